import contextlib
import dataclasses
import signal
import time
from typing import cast

import zoo

from . import _build as build, _data as sources, _run as runs
from ._arguments import Train
from ._evaluate import format_table
from ._job import finish, prepare
from ._plot import draw_figures


def run_train(arguments: Train) -> None:
    run = arguments.resume
    build.check_names(arguments)
    settings = arguments if run is None else runs.read_settings_to_resume(arguments)
    if run is not None and runs.is_finished(run):
        print(f"{run} is finished; nothing is left to be done")
        print(format_table(zoo.files.read_evaluation(run), []))
        return
    started = time.perf_counter()
    data = sources.find(settings, progress=arguments.process in (None, 0))
    settings = build.resolve(settings, data)
    with _join(arguments) as first:
        import jax.random as jr

        # A penalty compares all examples of a batch, whoever has them.
        shared = 1 if settings.penalty else cast(int, settings.batch_size) // max(settings.microbatches, 1)
        mesh = zoo.train.choose_mesh(shared, devices=settings.devices)
        if not arguments.distributed:  # kept with the run: with other devices its last digits would be others
            settings = dataclasses.replace(settings, devices=1 if mesh is None else mesh.size)
        dataset = build.dataset(settings, data)
        if run is not None and (change := sources.find_change(run, dataset)):
            raise ValueError(f"`--resume {run}`: {change}; put them back, pass --data where they are, or begin anew")
        job = prepare(settings, dataset, mesh)
        run = runs.create(settings, **sources.record(dataset)) if first and run is None else run
        examples = len(dataset.train)
        if first:
            print(f"{settings.model} on {settings.data}: {job.parameters:,} parameters, {examples:,} examples; {run}")
        with zoo.train.catch_signals() as received:
            result = zoo.fit(
                job.model, dataset.train, **job.options, mesh=mesh, checkpoint=run if first else None, resume=first,
                checkpoint_every=settings.checkpoint_every, stop=lambda history: bool(received), progress=first,
                key=jr.fold_in(job.key, 1),
            )  # fmt: skip
    step = int(result.state.step)
    if received or step < job.steps:
        # Where another process was the one to be told, this one ends as that does.
        number = signal.Signals(received[0] if received else signal.SIGTERM)
        if first:
            print(f"stopped by {number.name} after step {step} of {job.steps}; `zoo train --resume {run}` goes on")
        raise SystemExit(128 + number)
    if not first:
        return
    assert run is not None
    trained = time.perf_counter() - started
    with zoo.files.run_lock(run):
        frozen, evaluation = finish(run, job, result.model)
        draw_figures(run, settings, frozen, dataset)
        zoo.files.write_json(run / "evaluation.json", evaluation)
    total = time.perf_counter() - started
    print(
        format_table(
            evaluation,
            [("parameters", f"{job.parameters:,}"), ("time", f"{total:.0f} s, training {trained:.0f} s")],
        )
    )
    print(f"\n{run}/")
    for path in sorted(p for p in run.rglob("*") if p.is_file() and not p.name.startswith(".")):
        print(f"  {path.relative_to(run)}")


def _join(arguments: Train) -> contextlib.AbstractContextManager[bool]:
    """Joins the other processes of the run; without `--distributed` there are none, and this is the first."""
    if not arguments.distributed:
        for name in ("coordinator", "processes", "process"):
            if getattr(arguments, name) is not None:
                raise ValueError(f"`--{name} {getattr(arguments, name)}` needs --distributed; pass that too")
        return contextlib.nullcontext(True)

    return zoo.train.join_processes(arguments.coordinator, arguments.processes, arguments.process)
