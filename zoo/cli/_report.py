import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import _page as html, _record, _run as runs
from ._arguments import Report


def run_report(arguments: Report) -> None:
    run = arguments.run
    out = run / "report.html" if arguments.out is None else arguments.out
    if out.suffix != ".html":
        raise ValueError(f"`--out {out}`: a report is an HTML file; give it a name that ends in .html")
    runs.read_settings(run)
    if not (run / "evaluation.json").exists():
        way_out = "zoo evaluate" if (run / runs.MODEL).exists() else "zoo train --resume"
        raise FileNotFoundError(f"`{run}` has no evaluation.json yet; `{way_out} {run}` makes it")
    if not figures_of(run):
        from ._plot import draw_figures

        draw_figures(run, *runs.open_run(run))
    runs.write_text(out, page_of(run))
    print(out)


def page_of(run: Path) -> str:
    """What is in the run directory, as one HTML document that needs no other file, no network and no script.

    **Raises:** `ValueError` naming the file that is damaged.
    """
    record, evaluation = (_whole(run / name, lambda: json.loads((run / name).read_text())) for name in RECORDS)
    history = _whole(run / "metrics.jsonl", lambda: runs.read_metrics(run))
    measured = _whole(run / "evaluation.json", lambda: _evaluation(evaluation))
    trained = _whole(run / "metrics.jsonl", lambda: _training(history))
    pictures = [_whole(path, lambda: _picture(path, history)) for path in figures_of(run)]
    made = _whole(run / "settings.json", lambda: _made(record, evaluation))
    settings = record["settings"]
    title = f"{settings['model']} on {settings['data']}"
    summary = f"{settings['likelihood']} likelihood, {settings['prior']} prior, trained on the {settings['objective']}"
    return html.page(
        f"{title} - zoo",
        html.element("header", html.element("h1", title), html.element("p", summary)),
        html.element(
            "main",
            html.section("Evaluation", *measured),
            html.section("Figures", html.element("div", *pictures, class_="figures")),
            html.section("Training", trained),
            html.section("Settings", _settings(settings)),
            html.section("How it was made", *made),
        ),
        html.element("footer", html.element("p", f"This page: {runs.command()}")),
    )


def figures_of(run: Path) -> list[Path]:
    """The run's figures, those that this version draws first and in its order."""
    order = list(CAPTIONS)
    place = lambda path: (order.index(path.stem) if path.stem in CAPTIONS else len(order), path.name)
    return sorted((run / "figures").glob("*.png"), key=place)


def _whole(path: Path, make: Callable[[], Any]) -> Any:
    """What `make` makes of the file's content; an error that names the file where it is not what a run leaves."""
    try:
        return make()
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {type(error).__name__} {error}") from error


def _evaluation(evaluation: dict[str, Any]) -> list[html.Html]:
    """A table for each group of rows that were measured on the same examples."""
    tables = []
    for group in _record.groups(evaluation):
        rows = []
        for name, metric in group.items():
            error = metric["standard_error"]
            rows.append((name, f"{metric['mean']:.6g}", "" if error is None else f"{error:.3g}", metric["unit"]))
        first = next(iter(group.values()))
        caption = f"Measured on {_record.of(group)} (--observe {first['observe']}), seed {first['seed']}"
        tables.append(html.table(caption, ["measure", "value", "standard error", "unit"], rows, numbers=True))
    return tables


def _training(history: list[dict[str, Any]]) -> html.Html:
    """One row for each epoch, at most about twenty of them."""
    import numpy as np

    if not history:
        return html.element("p", "There is no metrics.jsonl to tell of it.")
    columns = {name: label for name, label in DIAGNOSTICS.items() if any(name in row for row in history)}
    epochs = sorted({row["epoch"] for row in history})
    stride = math.ceil(len(epochs) / 20)
    rows = []
    for epoch in epochs[::-1][::stride][::-1]:
        rows_of = [row for row in history if row["epoch"] == epoch]
        values = [[row[name] for row in rows_of if name in row] for name in columns]
        medians = [f"{float(np.median(column)):.6g}" if column else "" for column in values]
        rows.append((epoch + 1, max(row["step"] for row in rows_of), *medians))
    caption = "Nats per example: medians over each epoch's batches, and the objective of the held-out examples after it"
    return html.table(caption, ["epoch", "step", *columns.values()], rows, numbers=True)


def _picture(path: Path, history: list[dict[str, Any]]) -> html.Html:
    name = path.stem.replace("_", " ")
    caption, alt = CAPTIONS.get(path.stem, (name, f"The figure {name}"))
    losses = [row["loss"] for row in history if row["split"] == "train"]
    if path.stem == "loss_curve" and losses:
        alt += f" Training went from {-losses[0]:.4g} to {-losses[-1]:.4g} in {len(losses):,} steps."
    return html.picture(path.read_bytes(), caption=caption, alt=alt)


def _settings(settings: dict[str, Any]) -> html.Html:
    given = [(f"--{name.replace('_', '-')}", value) for name, value in settings.items() if value is not None]
    return html.listing(given)


def _made(record: dict[str, Any], evaluation: dict[str, Any]) -> list[html.Html]:
    rows = _record.whole(evaluation).values()
    commands = dict.fromkeys(row["command"] for row in rows)
    measuring = list({json.dumps(row["versions"]): row["versions"] for row in rows}.values())
    versions = [(name, own, *(each.get(name, "") for each in measuring)) for name, own in record["versions"].items()]
    return [
        html.element("h3", "Trained by"),
        html.command(record["command"]),
        html.element("h3", "Measured by"),
        *map(html.command, commands),
        html.element("h3", "Versions"),
        html.table("As they were then", ["package", "in training", *["in measuring"] * len(measuring)], versions),
    ]


RECORDS = ("settings.json", "evaluation.json")
# The columns of the training table.
DIAGNOSTICS = {"loss": "loss", "log_likelihood": "log p(x|z)", "rate": "rate", "objective": "held out"}
# What is seen in each figure, in words for those who see it small, and for those who do not see it.
CAPTIONS = {
    "loss_curve": (
        "Training: the objective in nats per example, to be maximised, against the step. The line is a running median.",
        "Line chart of the objective in nats per example against the training step, for training batches and for "
        "held-out examples.",
    ),
    "density": (
        "The density of the data beside that of the model, over the plane.",
        "Two heat maps over the same square of the plane: the true density and the density of the model.",
    ),
    "reconstructions": (
        "Held-out images, each above its reconstruction: the mean E[x | z] at one z from q(z | x).",
        "Rows of held-out images, each row above the row of their reconstructions.",
    ),
    "samples": (
        "Samples: the means E[x | z] at z drawn from the prior.",
        "A grid of images that the model has made up.",
    ),
    "latent_space": (
        "Latent space: the codes of the held-out images along their first two principal axes, coloured by class; the "
        "names stand at the middle of each class.",
        "Scatter plot of the codes of the held-out images along two principal axes, coloured and named by class.",
    ),
    "manifold": (
        "The manifold: images decoded from a plane through the latent space, which the axes name.",
        "A square grid of decoded images that change smoothly along two axes of the latent space.",
    ),
}
