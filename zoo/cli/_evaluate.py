import json
from collections.abc import Iterator
from typing import Any

import zoo

from . import _build as build, _data as sources, _names as names, _run as runs
from ._arguments import Evaluate, Train


def run_evaluate(arguments: Evaluate) -> None:
    chosen = [_check_name(name) for name in arguments.metrics]
    settings = runs.read_settings(arguments.run, arguments.data)
    zoo.files.read_evaluation(arguments.run)  # refuses a damaged file before the work and not after it
    data = sources.find(settings)
    check(chosen, arguments, settings.data, data.traits)
    model, dataset = zoo.load(arguments.run / runs.MODEL), runs.read_data(arguments.run, settings, data)
    if arguments.split == "train":
        dataset = dataset.tested_on_train()
    dataset = dataset.first(arguments.examples)
    rows: dict[str, Any] = {}
    evaluation: dict[str, Any] = {}
    for evaluation in measure(settings, model, dataset, arguments, chosen):
        # Now, and not at the end: what is measured stays measured if the next metric fails.
        zoo.files.add_evaluation(arguments.run, evaluation)
        rows |= evaluation["metrics"]
    evaluation |= {"metrics": rows}
    print(
        json.dumps(evaluation, indent=2)
        if arguments.json
        else f"{format_table(evaluation, [])}\n{_describe_command(evaluation)}"
    )


def _check_name(name: str) -> str:
    """The metric's name with hyphens; the library's own, with underscores, stands for the same."""
    name = name.replace("_", "-")
    names.check("metrics", name, names.METRICS)
    return name


def check(chosen: list[str], arguments: Evaluate, data: str, holds: tuple[str, ...]) -> None:
    """**Raises:** `ValueError` where that cannot be measured on data that hold this, before anything is computed."""
    for option in ("examples", "k"):
        if (value := getattr(arguments, option)) is not None and value < 1:
            raise ValueError(f"`--{option} {value}`: pass at least 1")
    for name in chosen:
        asked, needs = f"`--metrics {name}`", names.METRICS[name].traits
        for need in needs:
            if need != "both splits" and need not in holds:
                having = ", ".join(other for other, entry in names.DATA.items() if need in entry.traits)
                raise ValueError(f"{asked} needs {need}, and {data} has none; they come with --data {having}")
        if arguments.split == "train" and "both splits" in needs:
            raise ValueError(f"{asked} needs held-out and training examples; leave out `--split train`")
        if (n := arguments.examples) is not None and n < 10 and {"pictures", "factors"} & {*needs}:
            raise ValueError(f"{asked} needs at least 10 examples; leave out `--examples {n}`")


def measure(
    settings: Train, model: Any, dataset: "zoo.data.DataSet", arguments: Evaluate, chosen: list[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Measures metric by metric: the rows of each, and with each row what it was measured on and how."""
    import jax.random as jr

    from .. import measures

    observe = build.observe(settings, dataset)
    run = measures.Measured(model, dataset, observe, arguments.k, not arguments.json, jr.key(arguments.seed))
    if chosen:
        functions = [names.METRICS[name].get() for name in chosen]
    else:
        functions = [measures.reconstruction if settings.posterior == "point" else measures.log_likelihood]
    made = {
        "split": arguments.split,
        "examples": len(dataset.test),
        "k": arguments.k,
        "seed": arguments.seed,
        "data": settings.data,
        "observe": settings.observe,
        "command": runs.command(),
        "versions": runs.versions(),
    }
    # Beside those of held-out examples, and not in their place.
    suffix = " (train)" if arguments.split == "train" else ""
    for function in functions:
        yield {"metrics": {f"{name}{suffix}": made | row._asdict() for name, row in function(run).items()}} | made


def _describe_command(evaluation: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in evaluation["versions"].items())
    return f"k = {evaluation['k']}, seed {evaluation['seed']}; {evaluation['command']}\n{versions}"


def format_table(evaluation: dict[str, Any], more: list[tuple[str, str]]) -> str:
    """The rows as text, those of the same examples together under a line about these; at the end `more`."""
    width = max(len(name) for name in [*evaluation["metrics"], *dict(more)])
    lines = []
    for rows in zoo.files.group_rows(evaluation):
        lines.append(describe_examples(rows))
        for name, value in rows.items():
            lines.append(f"  {name:<{width}}  {format_number(value)} {value['unit']}")
    return "\n".join([*lines, *(f"  {name:<{width}}  {value}" for name, value in more)])


def describe_examples(rows: dict[str, dict[str, Any]]) -> str:
    """How many examples a group of rows was measured on, and which."""
    row = next(iter(rows.values()))
    split = "training" if row.get("split") == "train" else "held-out"
    return f"{row['examples']:,} {split} examples of {row['data']}"


def format_number(row: dict[str, Any]) -> str:
    """The number with its standard error; of a single example there is none."""
    error = "" if row["standard_error"] is None else f" +- {row['standard_error']:.3g}"
    return f"{row['mean']:.6g}{error}"
