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
    ys = None
    if settings.model == "conditional":
        classes = model.num_classes
        ys = np.full(arguments.n, arguments.label) if arguments.label is not None else np.arange(arguments.n) % classes
    elif arguments.label is not None:
        raise ValueError(f"`--label {arguments.label}`: the model `{settings.model}` knows no labels; leave it out")
    key, noise = jr.key(arguments.seed), arguments.noise or not dataset.is_images
    np.save(out / "samples.npy", np.asarray(zoo.sample(model, arguments.n, y=ys, noise=noise, key=key)))
    figure, _ = zoo.plots.samples(model, arguments.n, y=ys, noise=noise, key=key)
    figure.savefig(out / "samples.png", dpi=100, bbox_inches="tight")
    print(out / "samples.npy", out / "samples.png", sep="\n")
