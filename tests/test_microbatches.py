"""A batch in parts has the gradient of the whole, in less memory."""

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
from zoo import estimators, nn, objectives, penalties
from zoo.train import Judgement
from zoo.train._gradient import differentiate_loss


XS = np.random.default_rng(1).normal(size=(24, 3)).astype(np.float32)
ADAM = optax.adam(1e-2)


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))]


def assert_close(rows, others):
    for row, other in zip(rows, others, strict=True):
        assert row.keys() == other.keys()
        for name in row.keys() - {"split"}:
            assert float(row[name]) == pytest.approx(float(other[name]), rel=1e-4)


@pytest.mark.parametrize("precision, rounding", [("float64", 1e-13), ("float32", 2e-6)])
def test_the_gradient_and_the_metrics_are_those_of_the_whole_batch(precision, rounding):
    with jax.enable_x64(precision == "float64"):
        model, xs = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, precision) if eqx.is_inexact_array(leaf) else leaf,
            (linear_gaussian(), jnp.asarray(XS)),
        )
        gradient = eqx.filter_jit(functools.partial(
            differentiate_loss, model, xs, None, Judgement(objectives.iwae, 3, estimators.dreg), key=jr.key(2),
        ))  # fmt: skip
        whole, parts = (jax.tree.leaves(gradient(microbatches=n)) for n in (1, 8))
        for a, b in zip(whole, parts, strict=True):
            assert a.dtype == b.dtype == precision
            np.testing.assert_allclose(a, b, rtol=0, atol=rounding * np.max(np.abs(a)))


def test_a_run_is_that_without_microbatches():
    fit = functools.partial(zoo.fit, linear_gaussian(), XS, optimiser=ADAM, batch_size=12, epochs=3, progress=False)
    whole, parts = (fit(key=jr.key(7), microbatches=n) for n in (1, 4))
    for a, b in zip(leaves(whole.state), leaves(parts.state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert_close(whole.history, parts.history)


def test_labels_go_with_their_examples():
    networks = nn.fully_connected(width_size=4, depth=1)
    model = zoo.ConditionalVAE((3,), 2, num_classes=3, networks=networks, key=jr.key(0))
    state, xs, ys = zoo.TrainState(model, ADAM, key=jr.key(0)), jnp.asarray(np.clip(XS, 0.1, 0.9)), jnp.arange(24) % 3
    step = functools.partial(zoo.step, state, xs, ys=ys, objective=objectives.elbo, optimiser=ADAM)
    assert_close([step()[1]], [step(microbatches=2)[1]])


def test_k_5000_of_the_iwae_paper_s_network_trains_in_2_gib():
    model = zoo.MLPVAE(
        784, 50, width_size=200, activation=jnp.tanh, likelihood=zoo.likelihoods.bernoulli, key=jr.key(0)
    )
    state = zoo.TrainState(model, ADAM, key=jr.key(1))
    xs = jnp.zeros((100, 784))

    def temporaries(microbatches):
        options = dict(objective=objectives.iwae, k=5000, optimiser=ADAM, microbatches=microbatches)
        return zoo.step.lower(state, xs, **options).compile().compiled.memory_analysis().temp_size_in_bytes

    whole, parts = temporaries(1), temporaries(25)
    assert parts < 2**30 / 2 and whole > 4 * 2**30


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(microbatches=0), r"`fit\(microbatches=0\)`"),
        (dict(microbatches=5), r"5 equal parts, got 12 examples.*such as 15"),
        (dict(microbatches=4, penalties=[penalties.mmd]), "penalties.*whole batch"),
    ],
)
def test_parts_that_do_not_make_the_whole_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        zoo.fit(linear_gaussian(), XS, batch_size=12, **options, progress=False, key=jr.key(0))


def test_layers_that_look_at_the_batch_are_refused():
    model = zoo.ConvVAE((1, 4, 4), 2, width_size=2, norm="batch", key=jr.key(0))
    state = zoo.TrainState(model, ADAM, key=jr.key(0))
    with pytest.raises(ValueError, match=r"`step\(microbatches=2\)`.*BatchNorm"):
        zoo.step(state, jnp.zeros((4, 1, 4, 4)), objective=objectives.elbo, optimiser=ADAM, microbatches=2)

    class Centred(eqx.Module):
        def __call__(self, x):
            return x - jax.lax.pmean(x, "batch")

    state = zoo.TrainState(
        eqx.tree_at(lambda m: m.encoder, linear_gaussian(), nn.Sequential((Centred(), linear_gaussian().encoder))),
        ADAM, key=jr.key(0),
    )  # fmt: skip
    with pytest.raises(NameError, match="batch"):
        zoo.step(state, jnp.asarray(XS), objective=objectives.elbo, optimiser=ADAM, microbatches=2)
