from pathlib import Path
from typing import Any, NamedTuple, cast

from . import _build as build, _run as runs
from ._arguments import Evaluate, Train
from ._evaluate import measure


class Job(NamedTuple):
    """What a run trains on, and how: the settings made into objects."""

    settings: Train
    dataset: build.Dataset
    model: Any
    ys: Any
    options: dict[str, Any]  # of `zoo.fit`

    @property
    def key(self) -> Any:
        import jax.random as jr

        return jr.key(self.settings.seed)

    @property
    def steps(self) -> int:
        return self.options["epochs"] * max(len(self.dataset.train) // self.options["batch_size"], 1)

    @property
    def parameters(self) -> int:
        import equinox as eqx
        import jax

        return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(self.model, eqx.is_inexact_array)))


def prepare(settings: Train, dataset: build.Dataset, mesh: Any) -> Job:
    """The job that the settings stand for.

    **Raises:** `ValueError` where it cannot work. A run directory is made after it, so that a run that cannot
    start leaves nothing behind.
    """
    import zoo

    model = build.model(settings, dataset)
    ys, held_out_ys = (build.labels(settings, labels) for labels in (dataset.train_labels, dataset.test_labels))
    examples = dict(ys=ys, held_out=dataset.test, held_out_ys=held_out_ys)
    fixed: dict[str, Any] = dict(
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        observe=build.observe(settings),
        microbatches=settings.microbatches,
    )
    options: dict[str, Any] = (
        examples
        | fixed
        | numbers(settings, len(dataset.train))
        | dict(k=settings.k, estimator=build.estimator(settings))
    )
    judgement = zoo.train.Judgement(*(options[name] for name in ("objective", "k", "estimator", "penalties")))
    zoo.train.check_fit(
        model, dataset.train, dataset.test, ys=ys, held_out_ys=held_out_ys, judgement=judgement, **fixed,
        checkpoint_every=settings.checkpoint_every, mesh=mesh,
    )  # fmt: skip
    return Job(settings, dataset, model, ys, options)


def numbers(settings: Train, examples: int, **values: Any) -> dict[str, Any]:
    """What of a job's options depends on numbers that may be swept; `values` take the place of the settings' own."""
    import optax

    own = lambda name: values.get(name, getattr(settings, name))
    steps = cast(int, settings.epochs) * max(examples // settings.batch_size, 1)
    return dict(
        objective=build.objective(settings, **{n: v for n, v in values.items() if n in build.names.OBJECTIVE_OPTIONS}),
        penalties=build.penalties(settings, examples, weight=own("penalty_weight")),
        optimiser=optax.adam(optax.cosine_decay_schedule(own("learning_rate"), steps)),
    )


def finish(run: Path, job: Job, model: Any) -> tuple[Any, dict[str, Any]]:
    """Freezes the trained model, fits its prior, saves it and measures it; the model and its evaluation."""
    import jax.random as jr

    import zoo

    settings, dataset, observe = job.settings, job.dataset, job.options["observe"]
    frozen = zoo.freeze(model, dataset.train, ys=job.ys, observe=observe, key=jr.fold_in(job.key, 3))
    frozen = build.refit(settings, frozen, dataset, key=jr.fold_in(job.key, 4))
    zoo.save(run / runs.MODEL, frozen)
    measured = dataset.first(settings.evaluation_examples)
    return frozen, next(measure(settings, frozen, measured, Evaluate(run, k=settings.evaluation_k)))
