"""Many runs in one program are the runs one after another."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from linear_gaussian import linear_gaussian

import zoo
from zoo import objectives
from zoo.train import fit_many


XS = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)
ADAM = optax.adam(1e-2)
KEYS = jr.split(jr.key(3), 3)
common = dict(batch_size=8, epochs=2)


def seeds(n: int = 3) -> list[zoo.MLPVAE]:
    shifted = lambda i: eqx.tree_at(
        lambda m: m.decoder.layers.layers[0].bias, linear_gaussian(), jnp.full(3, 0.1 * (i + 1))
    )
    return [shifted(i) for i in range(n)]


def assert_same(many: zoo.train.Fit, alone: zoo.train.Fit) -> None:
    assert [row["step"] for row in many.history] == [row["step"] for row in alone.history]
    for row, other in zip(many.history, alone.history):
        for name, value in other.items():
            assert row[name] == value if name == "split" else row[name] == pytest.approx(value, rel=1e-5, abs=1e-5)
    for fields in (lambda fit: fit.state.model, lambda fit: fit.state.opt_state, lambda fit: fit.best):
        leaves = [jax.tree.leaves(eqx.filter(fields(fit), eqx.is_array)) for fit in (many, alone)]
        for a, b in zip(*leaves, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_seeds_are_the_runs_alone_even_beside_one_that_blows_up():
    models = seeds()
    models[2] = eqx.tree_at(lambda m: m.decoder.layers.layers[0].bias, models[2], jnp.full(3, 1e30))
    *results, blown = fit_many(models, XS, held_out=XS[:5], optimiser=ADAM, **common, keys=KEYS)
    assert not np.isfinite(blown.history[-1]["objective"]) and blown.best is None
    for model, key, many in zip(models, KEYS, results):
        alone = zoo.fit(model, XS, held_out=XS[:5], optimiser=ADAM, **common, progress=False, key=key)
        assert_same(many, alone)


def test_values_reach_the_objective_and_the_optimiser():
    values = [0.5, 4.0]
    settings = lambda v: dict(objective=functools.partial(objectives.beta_elbo, beta=v), optimiser=optax.adam(2e-3 * v))
    results = fit_many(seeds(2), XS, values=values, settings=settings, **common, keys=KEYS[:2])
    for model, key, value, many in zip(seeds(2), KEYS, values, results):
        assert_same(many, zoo.fit(model, XS, **(common | settings(value)), progress=False, key=key))


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(models=seeds(2)), "2 models, 3 values and 3 keys"),
        (dict(values=[1.0]), "3 models, 1 values"),
        (dict(models=[*seeds(2), linear_gaussian(3, 1)]), "model 2 differs from model 0"),
        (dict(batch_size=41), "batch_size=41"),
        (dict(resume=True), r"\['resume'\]"),
        (
            dict(
                values=[1.0, -1.0, 2.0],
                settings=lambda beta: dict(objective=functools.partial(objectives.beta_elbo, beta=beta)),
            ),
            "beta=-1",
        ),
    ],
)
def test_what_cannot_run_together_is_refused(options, message):
    if "models" in options and len(options["models"]) == 2:
        options = options | dict(values=[0.0] * 3)
    with pytest.raises(ValueError, match=message):
        fit_many(**(dict(models=seeds(), xs=XS, keys=KEYS, batch_size=8) | options))
