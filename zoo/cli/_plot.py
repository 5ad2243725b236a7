from pathlib import Path
from typing import Any

from . import _build as build, _run as runs
from ._arguments import Plot, Train


def plot(arguments: Plot) -> None:
    settings, model, dataset = runs.open_run(arguments.run)
    for path in draw_figures(arguments.run, settings, model, dataset, arguments.out):
        print(path)


def draw_figures(run: Path, settings: Train, model: Any, dataset: build.Dataset, out: Path | None = None) -> list[Path]:
    """Every figure that suits the data, as PNG files; their paths."""
    import jax.random as jr
    import matplotlib

    matplotlib.use("Agg")
    import zoo

    out = run / "figures" if out is None else out
    out.mkdir(parents=True, exist_ok=True)
    key, observe = jr.key(settings.seed), build.observe(settings)
    figures = {"loss_curve": zoo.plots.loss_curve(runs.read_metrics(run))}
    if dataset.is_images:
        codes = zoo.encode(model, dataset.test, observe=observe, key=key)
        figures["reconstructions"] = zoo.plots.reconstructions(model, dataset.test[:20], observe=observe, key=key)
        figures["samples"] = zoo.plots.samples(model, 64, key=key)
        figures["latent_space"] = zoo.plots.latent_scatter(codes, dataset.test_labels, names=dataset.classes)
        figures["manifold"] = zoo.plots.manifold(model, codes)
    else:
        span = 1.15 * float(abs(dataset.test).max())
        bounds = (-span, span)
        density = zoo.plots.model_log_density(model, bounds=bounds, key=key)
        figures["density"] = zoo.plots.density_2d(density, dataset.log_density, bounds=bounds)
    paths = []
    for name, (figure, _) in figures.items():
        paths.append(out / f"{name}.png")
        figure.savefig(paths[-1], dpi=100, bbox_inches="tight")
    return paths
