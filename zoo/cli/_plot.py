from pathlib import Path
from typing import Any

import zoo

from . import _build as build, _run as runs
from ._arguments import Plot, Train


# A telephone shows six inches as two and a half: larger text, and dots enough to be looked at closely.
STYLE: dict[Any, Any] = {"font.size": 13.0, "savefig.dpi": 150, "savefig.bbox": "tight"}


def run_plot(arguments: Plot) -> None:
    settings, model, dataset = runs.open_run(arguments.run, arguments.data)
    for path in draw_figures(arguments.run, settings, model, dataset, arguments.out):
        print(path)


def draw_figures(
    run: Path, settings: Train, model: Any, dataset: "zoo.data.DataSet", out: Path | None = None
) -> list[Path]:
    """Every figure that suits the data, as PNG files; their paths."""
    import matplotlib

    matplotlib.use("Agg")
    out = run / "figures" if out is None else out
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    with matplotlib.rc_context(STYLE):
        for name, (figure, _) in _figures(run, settings, model, dataset).items():
            paths.append(out / f"{name}.png")
            figure.savefig(paths[-1])
    return paths


def _figures(run: Path, settings: Train, model: Any, dataset: "zoo.data.DataSet") -> dict[str, tuple[Any, Any]]:
    import jax.random as jr

    key, observe = jr.key(settings.seed), build.observe(settings, dataset)
    figures = {"loss_curve": zoo.plots.loss_curve(zoo.files.read_history(run / "metrics.jsonl"))}
    if model.data_shape == (2,):
        span = 1.15 * float(abs(dataset.test).max())
        bounds = (-span, span)
        density = zoo.plots.model_log_density(model, bounds=bounds, key=key)
        figures["density"] = zoo.plots.density_2d(density, dataset.log_density, bounds=bounds)
        return figures
    ys = build.labels(model, dataset.test_labels)
    if len(model.data_shape) > 1:
        few = None if ys is None else ys[:20]
        figures["reconstructions"] = zoo.plots.reconstructions(
            model, dataset.test[:20], ys=few, observe=observe, key=key
        )
        if ys is None:
            figures["samples"] = zoo.plots.samples(model, 64, key=key)
        else:
            figures["samples"] = class_samples(model, dataset.classes, key=key)
    codes = zoo.encode(model, dataset.test, ys=ys, observe=observe, key=key)
    is_vector = not isinstance(codes, tuple) and codes.ndim == 2
    codes = codes[-1] if isinstance(codes, tuple) else codes.reshape(len(codes), -1)  # of layers the highest
    if len(codes) < 2:
        return figures
    figures["latent_space"] = zoo.plots.latent_scatter(codes, dataset.test_labels, names=dataset.classes)
    if len(model.data_shape) > 1 and ys is None and is_vector:
        figures["manifold"] = zoo.plots.manifold(model, codes)
    return figures


def class_samples(model: Any, classes: tuple[str, ...] | None, *, n: int = 10, key: Any) -> tuple[Any, Any]:
    """A conditional model's samples, one class to a row."""
    import numpy as np

    labels = np.repeat(np.arange(model.num_classes), n)
    images = np.asarray(zoo.sample(model, y=labels, key=key))
    title = "Means $E[x\\,|\\,z, y]$ at $z \\sim p(z\\,|\\,y)$, one class to a row"
    return zoo.plots.class_grid(images.reshape(-1, n, *images.shape[1:]), classes, title=title)
