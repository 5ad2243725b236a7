import zoo

from . import _run as runs
from ._arguments import Sample


def run_sample(arguments: Sample) -> None:
    if arguments.n < 1:
        raise ValueError(f"`--n {arguments.n}`: pass at least 1")
    settings, model = runs.read_settings(arguments.run), zoo.load(arguments.run / runs.MODEL)
    has_pictures = len(model.data_shape) > 1
    import jax.random as jr
    import matplotlib
    import numpy as np

    matplotlib.use("Agg")

    out = arguments.run if arguments.out is None else arguments.out
    out.mkdir(parents=True, exist_ok=True)
    ys = None
    if isinstance(model, zoo.ConditionalVAE):
        assert model.num_classes is not None
        numbers = np.arange(arguments.n) % model.num_classes
        ys = numbers if arguments.label is None else np.full(arguments.n, arguments.label)
    elif arguments.label is not None:
        raise ValueError(f"`--label {arguments.label}`: the model `{settings.model}` knows no labels; leave it out")
    key, noise = jr.key(arguments.seed), arguments.noise or not has_pictures
    np.save(out / "samples.npy", np.asarray(zoo.sample(model, arguments.n, y=ys, noise=noise, key=key)))
    print(out / "samples.npy")
    if has_pictures or model.data_shape == (2,):
        figure, _ = zoo.plots.samples(model, arguments.n, y=ys, noise=noise, key=key)
        figure.savefig(out / "samples.png", dpi=100, bbox_inches="tight")
        print(out / "samples.png")
