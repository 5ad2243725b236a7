import contextlib
import json
import signal
import time
from typing import Any, cast

from . import _build as build, _run as runs
from ._arguments import Evaluate, Train
from ._evaluate import measure, table
from ._plot import draw_figures
from ._signals import signals_caught


def train(arguments: Train) -> None:
    run = arguments.resume
    settings = build.resolve(arguments) if run is None else runs.settings_to_resume(arguments)
    if run is not None and runs.finished(run):
        print(f"{run} is finished; nothing is left to be done")
        print(table(json.loads((run / "evaluation.json").read_text()), []))
        return
    started = time.perf_counter()
    import equinox as eqx
    import jax
    import jax.random as jr
    import optax

    import zoo

    mesh = _mesh(settings.devices)
    dataset = build.dataset(settings)
    model = build.model(settings, dataset)
    ys, held_out_ys = (build.labels(settings, labels) for labels in (dataset.train_labels, dataset.test_labels))
    objective, observe = build.objective(settings), build.observe(settings)
    key = jr.key(settings.seed)
    epochs = cast(int, settings.epochs)
    steps = epochs * max(len(dataset.train) // settings.batch_size, 1)
    optimiser = optax.adam(optax.cosine_decay_schedule(settings.learning_rate, steps))
    fit_settings: dict[str, Any] = dict(
        objective=objective,
        k=settings.k,
        estimator=build.estimator(settings),
        penalties=build.penalties(settings, len(dataset.train)),
        observe=observe,
        optimiser=optimiser,
        batch_size=settings.batch_size,
        epochs=epochs,
        ys=ys,
        held_out=dataset.test,
        held_out_ys=held_out_ys,
        checkpoint_every=settings.checkpoint_every,
        mesh=mesh,
    )
    # Before the run directory is made: a run that cannot start leaves nothing behind.
    zoo.train.check_fit(
        model, dataset.train, dataset.test, ys=ys, held_out_ys=held_out_ys, objective=objective, k=settings.k,
        batch_size=settings.batch_size, epochs=epochs, observe=observe,
        checkpoint_every=settings.checkpoint_every, mesh=mesh,
    )  # fmt: skip
    run = runs.create(settings) if run is None else run
    parameters = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))
    print(f"{settings.model} on {settings.data}: {parameters:,} parameters, {len(dataset.train):,} examples; {run}")
    with signals_caught() as received:
        result = zoo.fit(
            model, dataset.train, **fit_settings,
            checkpoint=run, resume=True, stop=lambda history: bool(received), key=jr.fold_in(key, 1),
        )  # fmt: skip
    if received:
        name = signal.Signals(received[0]).name
        print(f"stopped by {name} after step {int(result.state.step)} of {steps}; `zoo train --resume {run}` goes on")
        raise SystemExit(128 + received[0])
    trained = time.perf_counter() - started
    with zoo.train.run_lock(run):
        frozen = zoo.freeze(result.model, dataset.train, ys=ys, observe=observe, key=jr.fold_in(key, 3))
        frozen = build.refit(settings, frozen, dataset, key=jr.fold_in(key, 4))
        zoo.save(run / runs.MODEL, frozen)
        measured = dataset.first(settings.evaluation_examples)
        evaluation = measure(settings, frozen, measured, Evaluate(run, k=settings.evaluation_k))
        draw_figures(run, settings, frozen, dataset)
        runs.write_json(run / "evaluation.json", evaluation)
    total = time.perf_counter() - started
    print(
        table(
            evaluation,
            [("parameters", f"{parameters:,}"), ("time", f"{total:.0f} s, training {trained:.0f} s")],
        )
    )
    print(f"\n{run}/")
    for path in sorted(p for p in run.rglob("*") if p.is_file() and not p.name.startswith(".")):
        print(f"  {path.relative_to(run)}")


def _mesh(devices: int) -> Any:
    """The devices that share each batch; `None` for one.

    **Raises:** `ValueError` where there are fewer.
    """
    if devices == 1:
        return None
    import jax

    import zoo

    if devices > 1:
        with contextlib.suppress(RuntimeError):  # jax has started already, with the devices that it has
            jax.config.update("jax_num_cpu_devices", devices)
    return zoo.train.data_mesh(devices)
