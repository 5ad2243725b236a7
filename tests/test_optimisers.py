"""Optimisers that ask for more than the gradient get it: the loss, and the loss as a function of the weights."""

import functools
import subprocess
import sys

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
from zoo.train import average, averaged, fit_many


XS = np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32)
fit = functools.partial(zoo.fit, linear_gaussian(), XS, batch_size=16, progress=False, key=jr.key(7))


value_and_gradient = eqx.filter_jit(eqx.filter_value_and_grad(zoo.loss))


def losses(result):
    return np.array([row["loss"] for row in result.history if row["split"] == "train"])


def plateau(state):
    is_plateau = lambda node: isinstance(node, optax.contrib.ReduceLROnPlateauState)
    return next(filter(is_plateau, jax.tree.leaves(state.opt_state, is_leaf=is_plateau)))


def test_a_plateau_of_the_loss_reduces_the_steps_of_adam():
    """Its scale is what the rule makes of the losses in the history."""
    patience, factor, rtol = 3, 0.5, 1e-3
    reduced = optax.contrib.reduce_on_plateau(factor=factor, patience=patience, rtol=rtol)
    result = fit(optimiser=optax.chain(optax.adam(1e-2), reduced), epochs=10)
    best, waited, scale = np.inf, 0, 1.0
    for loss in losses(result):
        best, waited = (loss, 0) if loss < (1 - rtol) * best else (best, waited + 1)
        if waited == patience:
            waited, scale = 0, scale * factor
    assert scale < 0.1
    assert plateau(result.state).scale == pytest.approx(scale)


@pytest.mark.parametrize("microbatches", [1, 4])
def test_a_line_search_looks_at_the_loss_of_the_step_s_own_draws(microbatches):
    """The value that it ends with is the batch's loss at the new weights, with the draws that the step had."""
    lbfgs = optax.lbfgs()
    state = zoo.TrainState(linear_gaussian(), lbfgs, key=jr.key(0))
    xs, key = jnp.asarray(XS), jr.split(jr.fold_in(state.key, 0))[1]
    after, metrics = zoo.step(state, xs, objective=objectives.iwae, k=3, optimiser=lbfgs, microbatches=microbatches)
    value, gradient = value_and_gradient(after.model, xs, objective=objectives.iwae, k=3, key=key)
    search = after.opt_state[-1]
    assert value < metrics["loss"] - 0.01
    np.testing.assert_allclose(search.value, value, rtol=1e-5)
    for a, b in zip(jax.tree.leaves(search.grad), jax.tree.leaves(gradient), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_lbfgs_trains_and_goes_on_from_a_checkpoint(tmp_path):
    lbfgs = functools.partial(fit, batch_size=64, optimiser=optax.lbfgs(), held_out=XS)
    whole = lbfgs(epochs=6)
    assert whole.history[-1]["objective"] > whole.history[1]["objective"] + 0.1
    lbfgs(epochs=3, checkpoint=tmp_path)
    resumed = lbfgs(epochs=6, checkpoint=tmp_path, resume=True)
    assert losses(resumed).tolist() == losses(whole).tolist()


@pytest.mark.parametrize(
    "optimiser",
    [
        optax.polyak_sgd(max_learning_rate=1e-2),
        average(optax.apply_if_finite(optax.lbfgs(), 3)),
        optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1), optax.scale_by_backtracking_linesearch(5)),
        optax.chain(optax.sgd(0.1), optax.scale_by_backtracking_linesearch(5, store_grad=True)),
    ],
    ids=["polyak", "average-if-finite", "backtracking", "stored-gradient"],
)
def test_others_that_ask_for_more_train_too(optimiser):
    result = fit(optimiser=optimiser, batch_size=64, epochs=8)
    assert losses(result)[-2:].mean() < losses(result)[:2].mean() - 0.05
    if "Average" in type(result.state.opt_state).__name__:
        assert jax.tree.structure(averaged(result.state)) == jax.tree.structure(result.model)


def test_many_runs_search_each_for_itself():
    models = [linear_gaussian(), eqx.tree_at(lambda m: m.decoder.layers.layers[0].bias, linear_gaussian(), jnp.ones(3))]
    options = dict(optimiser=optax.lbfgs(), batch_size=64, epochs=4)
    for model, key, many in zip(models, keys := jr.split(jr.key(3)), fit_many(models, XS, **options, keys=keys)):
        alone = zoo.fit(model, XS, **options, progress=False, key=key)
        np.testing.assert_allclose(losses(many), losses(alone), rtol=1e-3)


# The same run by L-BFGS on one device, and on two in microbatches.
DEVICES = """
import jax.random as jr, numpy as np, optax, zoo
def losses(model, xs, devices, **options):
    mesh = None if devices == 1 else zoo.train.data_mesh(devices)
    result = zoo.fit(
        model, xs, optimiser=optax.lbfgs(), batch_size=16, epochs=3, mesh=mesh, progress=False, key=jr.key(7), **options
    )
    return [row["loss"] for row in result.history]
vectors = np.random.default_rng(1).normal(size=(32, 3)).astype(np.float32)
mlp = zoo.MLPVAE(3, 2, depth=0, likelihood=zoo.likelihoods.gaussian(), key=jr.key(0))
np.testing.assert_allclose(losses(mlp, vectors, 2, microbatches=2), losses(mlp, vectors, 1), rtol=1e-3)
"""


def test_devices_search_together(with_devices):
    done = subprocess.run([sys.executable, "-c", DEVICES], capture_output=True, text=True, env=with_devices(2))
    assert done.returncode == 0, done.stderr


def test_an_optimiser_that_asks_for_nothing_more_pays_for_nothing_more():
    """The batch is judged once, in the trace and so in the program."""
    traces = []

    def counted(draws):
        traces.append(None)
        return objectives.elbo(draws)

    step = functools.partial(zoo.step.lower, xs=jnp.asarray(XS), objective=counted)
    of = lambda optimiser: step(zoo.TrainState(linear_gaussian(), optimiser, key=jr.key(0)), optimiser=optimiser)
    of(optax.adam(1e-3))
    assert len(traces) == 1
    of(optax.lbfgs())
    assert len(traces) > 2
