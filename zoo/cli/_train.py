import time
from typing import Any, cast

from . import _build as build, _run as runs
from ._arguments import Evaluate, Train
from ._evaluate import measure, table
from ._plot import draw_figures


def train(arguments: Train) -> None:
    settings = build.resolve(arguments)
    started = time.perf_counter()
    import equinox as eqx
    import jax
    import jax.random as jr
    import optax

    import zoo

    dataset = build.dataset(settings)
    model = build.model(settings, dataset.train.shape[1:])
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
        held_out=dataset.test,
    )
    # Before the run directory is made: a run that cannot start leaves nothing behind.
    zoo.train.check_fit(
        model, dataset.train, dataset.test, objective=objective, k=settings.k,
        batch_size=settings.batch_size, epochs=epochs, observe=observe,
    )  # fmt: skip
    run = runs.create(settings)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))
    print(f"{settings.model} on {settings.data}: {parameters:,} parameters, {len(dataset.train):,} examples; {run}")
    result = zoo.fit(model, dataset.train, **fit_settings, callback=runs.Metrics(run), key=jr.fold_in(key, 1))
    trained = time.perf_counter() - started
    frozen = zoo.freeze(result.model, dataset.train, observe=observe, key=jr.fold_in(key, 3))
    if settings.prior == "mixture":
        frozen = zoo.fit_prior(frozen, dataset.train, observe=observe, key=jr.fold_in(key, 4))
    zoo.save(run / runs.MODEL, frozen)
    measured = dataset._replace(test=dataset.test[: settings.evaluation_examples])
    evaluation = measure(settings, frozen, measured, Evaluate(run, k=settings.evaluation_k))
    runs.write_json(run / "evaluation.json", evaluation)
    draw_figures(run, settings, frozen, dataset)
    total = time.perf_counter() - started
    print(
        table(
            evaluation,
            [("parameters", f"{parameters:,}"), ("time", f"{total:.0f} s, training {trained:.0f} s")],
        )
    )
    print(f"\n{run}/")
    for path in sorted(p for p in run.rglob("*") if p.is_file()):
        print(f"  {path.relative_to(run)}")
