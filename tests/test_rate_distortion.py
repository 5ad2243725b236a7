"""The curve over beta: on the linear-Gaussian model, whose best posterior at each beta is known."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from linear_gaussian import SCALE, linear_gaussian

import zoo


MODEL = linear_gaussian()
LAYER = MODEL.decoder.layers.layers[0]
W, B = np.asarray(LAYER.weight, np.float64).T, np.asarray(LAYER.bias, np.float64)
XS = np.asarray(zoo.sample(MODEL, 200, noise=True, key=jr.key(7)))
BETAS = [2.0, 0.5, 1.0]


def trained_at(beta):
    """The encoder that is best for this decoder: the likelihood counts 1 / beta, so the precision is less."""
    precision = 1 + np.sum(W**2, axis=0) / SCALE**2 / beta
    gain = W / SCALE**2 / beta / precision
    weight = np.concatenate([gain, np.zeros_like(gain)], axis=1)
    bias = np.concatenate([-B @ gain, -0.5 * np.log(precision)])
    leaves = lambda m: [m.encoder.layers.layers[0].weight, m.encoder.layers.layers[0].bias]
    model = eqx.tree_at(leaves, MODEL, [jnp.asarray(value, jnp.float32) for value in (weight, bias)])
    mean, scale = XS @ gain - B @ gain, 1 / np.sqrt(precision)
    rates = np.sum(0.5 * (mean**2 + scale**2 - 1) - np.log(scale), axis=1)
    misses = np.sum((XS - B - mean @ W.T) ** 2, axis=1) + np.sum((W * scale) ** 2)
    return model, rates, misses / 2 / SCALE**2 + 1.5 * np.log(2 * np.pi * SCALE**2)


MODELS, RATES, DISTORTIONS = zip(*map(trained_at, BETAS))


def test_the_points_are_the_closed_forms_and_lie_on_the_curve():
    found = zoo.rate_distortion(MODELS, XS, betas=BETAS, k=500, key=jr.key(0))
    np.testing.assert_allclose(found.rates, np.mean(RATES, axis=1), rtol=1e-4)
    np.testing.assert_allclose(found.distortions, np.mean(DISTORTIONS, axis=1), atol=0.03)
    np.testing.assert_allclose(found.rate_errors, np.std(RATES, axis=1, ddof=1) / 200**0.5, rtol=1e-3)
    np.testing.assert_allclose(found.distortion_errors, np.std(DISTORTIONS, axis=1, ddof=1) / 200**0.5, rtol=0.1)
    # dD / dR = -beta: a chord's slope is between those at its ends.
    order = np.argsort(BETAS)
    slopes = -np.diff(found.distortions[order]) / np.diff(found.rates[order])
    assert 0.5 < slopes[0] < 1 < slopes[1] < 2
    assert zoo.plots.rate_distortion(*found[:3])[1].get_xlabel().startswith("rate")


def test_without_a_closed_form_the_rate_is_that_of_the_draws():
    mixture = zoo.priors.MixtureOfNormals(2, 2, key=jr.key(0))  # of two standard normals
    mixture = eqx.tree_at(lambda prior: prior.mean, mixture, jnp.zeros((2, 2)))
    model = eqx.tree_at(lambda m: m.prior, MODELS[0], mixture, is_leaf=lambda leaf: leaf is MODELS[0].prior)
    found = zoo.rate_distortion([model], XS, betas=[2], k=500, key=jr.key(0))
    np.testing.assert_allclose(found.rates, np.mean(RATES[0]), atol=0.02)


def test_bad_input_is_refused():
    broken = eqx.tree_at(lambda m: m.decoder.layers.layers[0].bias, MODEL, jnp.array([0.0, jnp.nan, 0.0]))
    point = zoo.MLPVAE(3, 2, width_size=2, depth=1, posterior=zoo.posteriors.Point, key=jr.key(0))
    unfrozen = zoo.ConvVAE((1, 8, 8), 2, norm="batch", key=jr.key(0))
    for models, xs, betas, k, message in [
        ([], XS, [], 1, "at least one model"),
        ([MODEL], XS, [1, 2], 1, r"got 1 models and betas of shape \(2,\)"),
        ([MODEL], XS, [1], 0, "k=0"),
        ([MODEL], XS[:0], [1], 1, "empty batch"),
        ([MODEL, broken], XS, [1, 2], 1, "NaN"),
        ([point], XS, [1], 1, "no density"),
        ([unfrozen], np.full((2, 1, 8, 8), 0.5, np.float32), [1], 1, "freeze"),
    ]:
        with pytest.raises(ValueError, match=message):
            zoo.rate_distortion(models, xs, betas=betas, k=k, key=jr.key(0))
