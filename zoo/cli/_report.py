import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import files, pages
from . import _run as runs
from ._arguments import Report
from ._evaluate import describe_examples


def run_report(arguments: Report) -> None:
    run = arguments.run
    out = run / "report.html" if arguments.out is None else arguments.out
    if out.suffix != ".html":
        raise ValueError(f"`--out {out}`: a report is an HTML file; give it a name that ends in .html")
    runs.read_settings(run)
    if not (run / "evaluation.json").exists():
        way_out = "zoo evaluate" if (run / runs.MODEL).exists() else "zoo train --resume"
        raise FileNotFoundError(f"`{run}` has no evaluation.json yet; `{way_out} {run}` makes it")
    if not find_figures(run):
        from ._plot import draw_figures

        draw_figures(run, *runs.open_run(run, arguments.data))
    files.write_text(out, make_page(run))
    print(out)


def make_page(run: Path) -> str:
    """What is in the run directory, as one HTML document that needs no other file, no network and no script.

    **Raises:** `ValueError` naming the file that is damaged.
    """
    made, evaluation, metrics = (run / name for name in ("settings.json", "evaluation.json", "metrics.jsonl"))
    how, measured = (_read(path, lambda: json.loads(path.read_text())) for path in (made, evaluation))
    history = _read(metrics, lambda: files.read_history(metrics))
    tables = _read(evaluation, lambda: _make_tables(measured))
    training = _read(metrics, lambda: _make_training_table(history))
    pictures = [_read(path, lambda: _make_picture(path, history)) for path in find_figures(run)]
    commands = _read(made, lambda: _list_commands(how, measured))
    settings = how["settings"]
    options = [(f"--{name.replace('_', '-')}", value) for name, value in settings.items() if value is not None]
    title = f"{settings['model']} on {settings['data']}"
    summary = f"{settings['likelihood']} likelihood, {settings['prior']} prior, trained on the {settings['objective']}"
    return pages.page(
        f"{title} - zoo",
        pages.element("header", pages.element("h1", title), pages.element("p", summary)),
        pages.element(
            "main",
            pages.section("Evaluation", *tables),
            pages.section("Figures", pages.element("div", *pictures, class_="figures")),
            pages.section("Training", training),
            pages.section("Settings", pages.listing(options)),
            pages.section("How it was made", *commands),
        ),
        pages.element("footer", pages.element("p", f"This page: {runs.command()}")),
    )


def find_figures(run: Path) -> list[Path]:
    """The run's figures, those that this version draws first and in its order."""
    order = list(CAPTIONS)
    place = lambda path: (order.index(path.stem) if path.stem in CAPTIONS else len(order), path.name)
    return sorted((run / "figures").glob("*.png"), key=place)


def _read(path: Path, make: Callable[[], Any]) -> Any:
    """Makes something of the file's content. An error names the file, which then is not what a run leaves."""
    try:
        return make()
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {type(error).__name__} {error}") from error


def _make_tables(evaluation: dict[str, Any]) -> list[pages.Html]:
    """A table for each group of rows that were measured on the same examples."""
    tables = []
    for group in files.group_rows(evaluation):
        error = lambda row: "" if row["standard_error"] is None else f"{row['standard_error']:.3g}"
        rows = [(name, f"{row['mean']:.6g}", error(row), row["unit"]) for name, row in group.items()]
        first = next(iter(group.values()))
        caption = f"Measured on {describe_examples(group)} (--observe {first['observe']}), seed {first['seed']}"
        tables.append(pages.table(caption, ["measure", "value", "standard error", "unit"], rows, numbers=True))
    return tables


def _make_training_table(history: list[dict[str, Any]]) -> pages.Html:
    """One row for each epoch, at most about twenty of them."""
    import numpy as np

    if not history:
        return pages.element("p", "There is no metrics.jsonl to tell of it.")
    columns = {name: label for name, label in DIAGNOSTICS.items() if any(name in row for row in history)}
    epochs = sorted({row["epoch"] for row in history})
    lines = []
    for epoch in epochs[:: -math.ceil(len(epochs) / 20)][::-1]:  # backwards, so that the last one is among them
        rows = [row for row in history if row["epoch"] == epoch]
        values = [[row[name] for row in rows if name in row] for name in columns]
        medians = [f"{float(np.median(column)):.6g}" if column else "" for column in values]
        lines.append((epoch + 1, max(row["step"] for row in rows), *medians))
    caption = "Nats per example: medians over each epoch's batches, and the objective of the held-out examples after it"
    return pages.table(caption, ["epoch", "step", *columns.values()], lines, numbers=True)


def _make_picture(path: Path, history: list[dict[str, Any]]) -> pages.Html:
    name = path.stem.replace("_", " ")
    caption, alt = CAPTIONS.get(path.stem, (name, f"The figure {name}"))
    losses = [row["loss"] for row in history if row["split"] == "train"]
    if path.stem == "loss_curve" and losses:
        alt += f" Training went from {-losses[0]:.4g} to {-losses[-1]:.4g} in {len(losses):,} steps."
    return pages.picture(path.read_bytes(), caption=caption, alt=alt)


def _list_commands(how: dict[str, Any], evaluation: dict[str, Any]) -> list[pages.Html]:
    rows = files.complete_rows(evaluation).values()
    commands = dict.fromkeys(row["command"] for row in rows)
    measuring = list({json.dumps(row["versions"]): row["versions"] for row in rows}.values())
    versions = [(name, then, *(each.get(name, "") for each in measuring)) for name, then in how["versions"].items()]
    return [
        pages.element("h3", "Trained by"),
        pages.command(how["command"]),
        pages.element("h3", "Measured by"),
        *map(pages.command, commands),
        pages.element("h3", "Versions"),
        pages.table("As they were then", ["package", "in training", *["in measuring"] * len(measuring)], versions),
    ]


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
