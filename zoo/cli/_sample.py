from . import _run as runs
from ._arguments import Sample


def sample(arguments: Sample) -> None:
    if arguments.n < 1:
        raise ValueError(f"`--n {arguments.n}`: pass at least 1")
    settings, model, dataset = runs.open_run(arguments.run)
    import jax.random as jr
    import matplotlib
    import numpy as np

    matplotlib.use("Agg")
    import zoo

    out = arguments.run if arguments.out is None else arguments.out
    out.mkdir(parents=True, exist_ok=True)
    key = jr.key(arguments.seed)
    xs = np.asarray(zoo.sample(model, arguments.n, noise=arguments.noise or not dataset.is_images, key=key))
    np.save(out / "samples.npy", xs)
    if dataset.is_images:
        figure, _ = zoo.plots.samples(model, arguments.n, noise=arguments.noise, key=key)
    else:
        figure, axes = zoo.plots.points(xs)
    figure.savefig(out / "samples.png", dpi=100, bbox_inches="tight")
    print(out / "samples.npy", out / "samples.png", sep="\n")
