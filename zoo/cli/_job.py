from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import zoo

from . import _build as build, _names as names, _run as runs
from ._arguments import Evaluate, Train
from ._evaluate import measure


class Job(NamedTuple):
    """What a run trains on, and how: the settings made into objects."""

    settings: Train
    dataset: "zoo.data.DataSet"
    model: Any
    options: dict[str, Any]  # of `zoo.fit`

    @property
    def key(self) -> Any:
        import jax.random as jr

        return jr.key(self.settings.seed)

    @property
    def steps(self) -> int:
        return _steps(self.settings, len(self.dataset.train))

    @property
    def parameters(self) -> int:
        import jax

        return sum(leaf.size for leaf in jax.tree.leaves(self.model))


def prepare(settings: Train, dataset: "zoo.data.DataSet", mesh: Any) -> Job:
    """The job that the settings stand for.

    **Raises:** `ValueError` where it cannot work. A run directory is made after it, so that a run that cannot
    start leaves nothing behind.
    """
    judged: dict[str, Any] = options_to_sweep(settings, len(dataset.train)) | dict(
        k=settings.k, estimator=names.look_up("estimator", settings)
    )
    optimiser = judged.pop("optimiser")
    try:
        model = build.model(settings, dataset)
        options: dict[str, Any] = dict(
            ys=build.labels(model, dataset.train_labels),
            held_out=dataset.test,
            held_out_ys=build.labels(model, dataset.test_labels),
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            observe=build.observe(settings, dataset),
            microbatches=settings.microbatches,
        )
        zoo.train.check_fit(
            model, dataset.train, **options, judgement=zoo.train.Judgement(**judged),
            checkpoint_every=settings.checkpoint_every, mesh=mesh,
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(f"`{build.describe_choices(settings, dataset)}`: {error}") from error
    return Job(settings, dataset, model, options | judged | {"optimiser": optimiser})


def options_to_sweep(settings: Train, examples: int, **numbers: Any) -> dict[str, Any]:
    """The options of `zoo.fit` that depend on what a sweep goes over, with these numbers for those of the settings."""
    import optax

    steps = _steps(settings, examples)
    chosen = SimpleNamespace(**(vars(settings) | numbers))  # a sweep's numbers are traced, which settings cannot be
    return dict(
        objective=build.objective(chosen),
        penalties=build.penalties(chosen, examples),
        optimiser=optax.adam(optax.cosine_decay_schedule(chosen.learning_rate, steps)),
    )


def _steps(settings: Train, examples: int) -> int:
    return cast(int, settings.epochs) * max(examples // cast(int, settings.batch_size), 1)


def finish(run: Path, job: Job, model: Any) -> tuple[Any, dict[str, Any]]:
    """Freezes the trained model, fits its prior, saves it and measures it; the model and its evaluation."""
    import jax.random as jr

    settings, dataset, options = job.settings, job.dataset, job.options
    frozen = zoo.freeze(model, dataset.train, ys=options["ys"], observe=options["observe"], key=jr.fold_in(job.key, 3))
    frozen = build.refit(settings, frozen, dataset, key=jr.fold_in(job.key, 4))
    zoo.save(run / runs.MODEL, frozen)
    measured = dataset.first(settings.evaluation_examples)
    return frozen, next(measure(settings, frozen, measured, Evaluate(run, k=settings.evaluation_k)))
