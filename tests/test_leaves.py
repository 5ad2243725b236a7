"""A model's leaves are its parameters and nothing else: JAX and optax take it as it is, pickle and copy too."""

import copy
import functools
import json
import pickle
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from test_combinations import MODELS, POSTERIORS, PRIORS, SMALL
from test_models import GREYS, LIKELIHOODS

import zoo
from zoo import nn, objectives


OLD = Path(__file__).parent / "files_0_1_0"
SAID = json.loads((OLD / "says.json").read_text())
SHAPE = (1, 8, 8)


def networks_of_ones_own(key):
    encoder = eqx.nn.MLP(3, 4, 4, 1, jax.nn.gelu, jnp.tanh, key=key)
    return zoo.VAE(encoder, eqx.nn.MLP(2, 3, 4, 1, jax.nn.relu, jnp.sin, key=key), data_shape=3, latent_size=2)


MADE = {name: functools.partial(make, LIKELIHOODS["gaussian_shared"]) for name, make in MODELS.items()}
MADE |= {
    "conv": lambda key: zoo.ConvVAE(SHAPE, 2, width_size=8, norm="group", key=key),
    "conv, batch norm": lambda key: zoo.ConvVAE(
        SHAPE, 2, networks=nn.convolutional(width_size=8, norm="batch"), key=key
    ),
    "own networks": networks_of_ones_own,
    "half precision": lambda key: eqx.tree_at(
        lambda m: (m.encoder, m.decoder), zoo.MLPVAE(3, 2, networks=SMALL, key=key), replace_fn=nn.HalfPrecision
    ),
}
MADE |= {f"{name} prior": lambda key, prior=prior: zoo.MLPVAE((1, 4, 4), 2, networks=SMALL, prior=prior(key), key=key)
         for name, prior in PRIORS.items()}  # fmt: skip
MADE |= {f"{name} posterior": lambda key, make=family: zoo.MLPVAE(3, 2, networks=SMALL, posterior=make(key), key=key)
         for name, family in POSTERIORS.items()}  # fmt: skip
MADE |= {f"{name} likelihood": lambda key, family=family: zoo.MLPVAE(3, 2, networks=SMALL, likelihood=family, key=key)
         for name, family in LIKELIHOODS.items()}  # fmt: skip


@functools.cache
def made(name):
    """The model with weights of numpy's, small as those that it starts with: nothing is compiled for them."""
    random = np.random.default_rng(0)
    weights = lambda leaf: jnp.asarray(0.3 * random.normal(size=leaf.shape), leaf.dtype)
    return jax.tree.map(weights, eqx.filter_eval_shape(MADE[name], jr.key(0)))


@pytest.mark.parametrize("name", MADE)
def test_a_model_is_its_float_arrays_and_comes_back_from_pickle_and_copy(name):
    model = made(name)
    wrong = [path for path, leaf in jax.tree.leaves_with_path(model) if not eqx.is_inexact_array(leaf)]
    assert wrong == []
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert jax.tree.structure(other) == jax.tree.structure(model)
        assert all(map(np.array_equal, jax.tree.leaves(other), jax.tree.leaves(model)))


# `test_combinations.py` takes the gradient of every combination without a filter.
@pytest.mark.parametrize("name", [*MODELS, "conv", "own networks", "vamp prior", "coupling posterior"])
def test_jax_and_optax_take_a_model_as_it_is(name):
    model = made(name)
    shapes = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)

    def everything(model, other):
        mixed = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, model, other)
        return mixed, optax.incremental_update(model, other, 0.1), optax.adam(1e-3).init(model)[0].mu

    assert all(shapes(tree) == shapes(model) for tree in jax.eval_shape(jax.jit(everything), model, model))
    ensemble = eqx.filter_eval_shape(eqx.filter_vmap(MADE[name]), jr.split(jr.key(0), 3))
    assert jax.tree.structure(ensemble) == jax.tree.structure(model)
    assert all(leaf.shape[0] == 3 for leaf in jax.tree.leaves(ensemble))


def test_a_gradient_moves_a_model_of_ones_own_networks_without_a_filter():
    model, xs = made("own networks"), jr.normal(jr.key(1), (8, 3))
    loss = jax.jit(lambda model: zoo.loss(model, xs, objective=objectives.elbo, key=jr.key(2)))
    gradient = jax.grad(loss)(model)
    moved = jax.tree.map(lambda w, g: w - 1e-5 * g, model, gradient)
    assert loss(moved) < loss(model)
    assert moved.encoder.module.activation is model.encoder.module.activation


@pytest.mark.parametrize("name", sorted(path.stem for path in OLD.glob("*.safetensors")))
def test_files_of_0_1_0_still_load(name):
    """Written by that version: the model says of the same examples what it said then, and is saved anew."""
    model = zoo.load(OLD / f"{name}.safetensors")
    if name in SAID:
        xs = np.asarray(SAID[name]["xs"], np.float32)
        score = lambda model: zoo.bound(
            model, xs, objective=objectives.iwae, k=3, observe=lambda x, *, key: x, key=jr.key(1)
        )
        np.testing.assert_allclose(score(model), SAID[name]["nats"], rtol=3e-6)
    model = model.model if name == "state" else model
    assert all(map(eqx.is_inexact_array, jax.tree.leaves(model)))


def test_training_goes_on_from_a_state_of_0_1_0():
    state = zoo.load(OLD / "state.safetensors")
    optimiser = zoo.train.average(optax.adam(1e-3))
    wanted = zoo.TrainState(state.model, optimiser, key=jr.key(0))
    assert jax.tree.structure(state) == jax.tree.structure(wanted)
    state = zoo.load(OLD / "state.safetensors", like=wanted)
    after, _ = zoo.step(state, jnp.ones((3, 3)), objective=objectives.elbo, optimiser=optimiser)
    assert int(after.step) == int(state.step) + 1


@pytest.mark.parametrize("name", ["mlp", "conditional", "bottom-up", "conv", "own networks"])
def test_a_model_says_what_it_is(name):
    text = repr(made(name))
    count = sum(leaf.size for leaf in jax.tree.leaves(made(name)))
    assert text.startswith(type(made(name)).__name__) and f"{count:,} parameters" in text
    assert f"data_shape={made(name).data_shape}" in text and "likelihood=" in text
    assert len(text) < 700


def test_likelihoods_and_draws_say_what_they_are():
    assert repr(zoo.likelihoods.bernoulli) == "bernoulli"
    assert repr(zoo.likelihoods.gaussian(0.5)) == "gaussian(scale=0.5)"
    assert repr(zoo.likelihoods.categorical(4)) == "categorical(classes=4)"
    draws = made("mlp").draw(jnp.asarray(GREYS[0]), k=3, key=jr.key(0))
    assert "k=3" in repr(draws) and "nats" in repr(draws) and len(repr(draws)) < 300
    batch = jax.vmap(lambda x: made("mlp").draw(x, k=3, key=jr.key(0)))(jnp.asarray(GREYS))
    assert f"{len(GREYS)}" in repr(batch)
    assert "k=3" in repr(jax.eval_shape(lambda: made("mlp").draw(jnp.asarray(GREYS[0]), k=3, key=jr.key(0))))
