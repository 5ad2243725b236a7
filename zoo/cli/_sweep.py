import dataclasses
import time
from pathlib import Path
from typing import Any

import zoo

from . import _build as build, _data as sources, _names as names, _run as runs
from ._arguments import SWEPT, Sweep, Train
from ._evaluate import format_number
from ._job import Job, finish, options_to_sweep, prepare


def run_sweep(arguments: Sweep) -> None:
    over, values, settings = check_sweep(arguments)
    started = time.perf_counter()
    data = sources.find(arguments.train, progress=True)
    settings = [build.resolve(each, data) for each in settings]
    import jax.numpy as jnp
    import jax.random as jr

    mesh = zoo.train.choose_mesh(len(values), devices=arguments.train.devices, at_least=1)
    dataset = build.dataset(arguments.train, data)
    jobs = [prepare(each, dataset, None) for each in settings]
    first, examples = jobs[0], len(dataset.train)
    root = runs.create(settings[0], over=over, values=values, **sources.record(dataset))
    print(
        f"{len(jobs)} runs of {first.settings.model} on {first.settings.data} over {over}: {first.parameters:,} "
        f"parameters each, {examples:,} examples; {root}"
    )
    # What depends on the number is made of it anew, for all runs at once; nothing depends on a seed.
    swept = None if over == "seed" else lambda value: options_to_sweep(settings[0], examples, **{over: value})
    made_anew = () if swept is None else ("objective", "penalties", "optimiser")
    results = zoo.train.fit_many(
        [job.model for job in jobs], dataset.train, values=None if over == "seed" else values, settings=swept,
        **{name: option for name, option in first.options.items() if name not in made_anew},
        mesh=mesh, keys=jnp.stack([jr.fold_in(job.key, 1) for job in jobs]),
    )  # fmt: skip
    trained = time.perf_counter() - started
    rows = []
    for value, job, result in zip(values, jobs, results):
        out = root / f"{_option(over)}={value:g}"
        run = runs.create(dataclasses.replace(job.settings, out=out, devices=1), **sources.record(dataset))
        zoo.files.write_history(run / "metrics.jsonl", result.history)
        rows.append(_finish_run(run, job, result))
    table = {"over": over, "values": values, "runs": rows, "command": runs.command(), "versions": runs.versions()}
    curve = None
    if over == "beta" and first.settings.objective == "beta-elbo" and any(row["metrics"] for row in rows):
        curve = _rate_distortion(root, first, values, rows)
        # Of a single example there are no errors, and JSON has no NaN.
        null = lambda column: [None if value != value else value for value in column.tolist()]
        table["rate_distortion"] = {name: null(column) for name, column in curve._asdict().items()}
    zoo.files.write_json(root / "sweep.json", table)
    print(_table(over, values, rows))
    for path in _figures(root, over, values, rows, curve):
        print(path)
    print(f"{time.perf_counter() - started:.0f} s, training {trained:.0f} s; `zoo plot` draws one run's figures")


def check_sweep(arguments: Sweep) -> tuple[str, list[Any], list[Train]]:
    """What is swept, its values, and each run's options, those that were not given not yet filled in.

    **Raises:** `ValueError` where that cannot be swept, or not together with the other options.
    """
    over, base = arguments.over.replace("-", "_"), arguments.train
    names.check("over", _option(over), [*map(_option, SWEPT)])
    values = arguments.values or ((0, 1, 2, 3) if over == "seed" else ())
    if not values or len({f"{value:g}" for value in values}) < len(values):
        raise ValueError(f"`--over {_option(over)}` needs values that differ, got {list(values)}; pass `--values`")
    if over == "seed" and any(value != int(value) or value < 0 for value in values):
        raise ValueError(f"`--over seed --values {' '.join(map(str, values))}`: pass whole numbers, 0 or more")
    for option in ("resume", "checkpoint_every"):
        if getattr(base, option) is not None:
            raise ValueError(f"`zoo sweep` keeps no checkpoints; leave out `--{_option(option)}`, or use `zoo train`")
    if base.distributed:
        raise ValueError("`zoo sweep --distributed`: one process trains a sweep; leave it out, or use `zoo train`")
    if base.warmup and over in ("beta", "capacity"):
        raise ValueError(f"`--over {_option(over)} --warmup {base.warmup}`: a number that rises is not swept; leave it")
    if base.devices and len(values) % base.devices:
        raise ValueError(f"`--devices {base.devices}` share {len(values)} runs: pass a multiple of {base.devices}")
    values = [int(value) if over == "seed" else float(value) for value in values]
    build.check_names(base)
    return over, values, [dataclasses.replace(base, **{over: value}) for value in values]


def _finish_run(run: Path, job: Job, result: Any) -> dict[str, Any]:
    """Saves and measures a run's model; of a model that is not finite, says at which step it went wrong."""
    import numpy as np

    losses = [row["loss"] for row in result.history if row["split"] == "train"]
    bad = [*np.flatnonzero(~np.isfinite(losses)), *[len(losses) - 1] * (not zoo.train.is_finite(result.model))]
    if bad:
        return {"run": run.name, "metrics": {}, "not_finite_at_step": int(bad[0]) + 1}
    _, evaluation = finish(run, job, result.model)
    zoo.files.write_json(run / "evaluation.json", evaluation)
    return {"run": run.name, "metrics": evaluation["metrics"]}


def _rate_distortion(root: Path, job: Job, values: list[Any], rows: list[dict[str, Any]]) -> Any:
    """The curve over beta of the models that are finite, on the examples that the runs were measured on."""
    import jax.random as jr

    betas, runs_of = zip(*((value, root / row["run"]) for value, row in zip(values, rows) if row["metrics"]))
    measured = job.dataset.first(job.settings.evaluation_examples)
    ys, observe = build.labels(job.model, measured.test_labels), job.options["observe"]
    models = [zoo.load(run / runs.MODEL) for run in runs_of]
    return zoo.rate_distortion(models, measured.test, betas=betas, ys=ys, observe=observe, key=jr.key(1))


def _table(over: str, values: list[Any], rows: list[dict[str, Any]]) -> str:
    import numpy as np

    columns = list(next((row["metrics"] for row in rows if row["metrics"]), {}))
    cells = [[_option(over), *columns]]
    for value, row in zip(values, rows):
        if not row["metrics"]:
            cells.append([f"{value:g}", f"not finite at step {row['not_finite_at_step']}", *[""] * (len(columns) - 1)])
            continue
        measured = [row["metrics"][name] for name in columns]
        cells.append([f"{value:g}", *map(format_number, measured)])
    means = [[row["metrics"][name]["mean"] for row in rows if row["metrics"]] for name in columns]
    if over == "seed" and columns and len(means[0]) > 1:
        cells.append(["all", *(f"{np.mean(m):.6g}, deviation {np.std(m, ddof=1):.3g}" for m in means)])
    widths = [max(map(len, column)) for column in zip(*cells)]
    return "\n".join("  " + "   ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip() for line in cells)


def _figures(root: Path, over: str, values: list[Any], rows: list[dict[str, Any]], curve: Any) -> list[Path]:
    whole = [(value, row["metrics"]) for value, row in zip(values, rows) if row["metrics"]]
    if not whole:
        return []
    figure, ax = None, None
    for name in [name for name, metric in whole[0][1].items() if metric["unit"] == "nats" and "KL" not in name]:
        means, errors = zip(*((metrics[name]["mean"], metrics[name]["standard_error"]) for _, metrics in whole))
        swept = [value for value, _ in whole]
        figure, ax = zoo.plots.sweep(swept, means, errors, name=over.replace("_", " "), label=name, ax=ax)
    assert figure is not None
    figures = {"sweep": figure}
    if curve is not None:
        figures["rate_distortion"] = zoo.plots.rate_distortion(curve.rates, curve.distortions, curve.betas)[0]
    paths = [root / "figures" / f"{name}.png" for name in figures]
    paths[0].parent.mkdir(exist_ok=True)
    for path, drawn in zip(paths, figures.values()):
        drawn.savefig(path, dpi=100, bbox_inches="tight")
    return paths


def _option(name: str) -> str:
    return name.replace("_", "-")
