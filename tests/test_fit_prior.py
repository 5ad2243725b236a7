import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from linear_gaussian import linear_gaussian

import zoo


def test_the_fitted_mixture_is_the_aggregated_posterior_where_that_is_one():
    """Two clusters of data and a linear encoder: q(z) is two normals whose parameters are known."""
    model = linear_gaussian()
    layer = model.encoder.layers.layers[0]
    gain, bias = np.asarray(layer.weight), np.asarray(layer.bias)
    noise = np.random.default_rng(0).normal(size=(4000, 3))
    centres = np.array([[8.0, 0.0, 0.0], [-8.0, 4.0, 0.0]])
    xs = (centres[np.arange(4000) % 2] + 0.5 * noise).astype(np.float32)
    fitted = zoo.fit_prior(model, xs, components=2, key=jr.key(0)).prior
    order = np.argsort(-np.asarray(fitted.mean)[:, 0])
    if centres[0] @ gain[:, 0] < centres[1] @ gain[:, 0]:
        order = order[::-1]
    np.testing.assert_allclose(np.asarray(fitted.mean)[order], (centres @ gain + bias)[:, :2], atol=0.05)
    variance = 0.25 * np.sum(gain[:, :2] ** 2, axis=0) + np.exp(2 * bias[2:])
    np.testing.assert_allclose(np.exp(2 * np.asarray(fitted.log_scale)), variance[None].repeat(2, 0), rtol=0.1)
    np.testing.assert_allclose(jax.nn.softmax(fitted.logits), [0.5, 0.5], atol=0.01)


def test_with_classes_the_mixture_has_shares_of_each():
    """Clusters that the encoder keeps apart, and of which each class has shares that are known."""
    networks = zoo.nn.fully_connected(width_size=1, depth=0)
    likelihood = zoo.likelihoods.gaussian()
    model = zoo.ConditionalVAE(2, 1, num_classes=3, networks=networks, likelihood=likelihood, key=jr.key(0))
    model = zoo.nn.zeroed(model)
    # What the encoder is given is scaled by the root of (2 + 3) / 2.
    gain = model.encoder.layers.layers[0].weight.at[0, 0].set(0.4**0.5)
    model = eqx.tree_at(lambda m: m.encoder.layers.layers[0].weight, model, gain)
    rng = np.random.default_rng(0)
    # The third class is in no example, and gets the shares of all.
    ys = np.arange(2000) % 2
    right = np.where(ys == 0, np.arange(2000) % 8 == 0, True)
    xs = np.stack([np.where(right, 20.0, -20.0), rng.normal(size=2000)], axis=1).astype(np.float32)
    prior = zoo.fit_prior(model, xs, ys=ys, components=2, key=jr.key(1)).prior
    assert isinstance(prior, zoo.priors.ConditionalMixture)
    order = np.argsort(np.asarray(prior.mixture.mean)[:, 0])
    np.testing.assert_allclose(np.asarray(prior.mixture.mean)[order, 0], [-20, 20], atol=0.2)
    shares = np.asarray(jax.nn.softmax(prior.weight + prior.mixture.logits[None], axis=1))[:, order]
    overall = np.array([0.375, 0.625])
    expected = np.array([(750 + overall[0]) / 1001, overall[0] / 1001, overall[0]])
    np.testing.assert_allclose(shares[:, 0], expected, rtol=1e-3)


def test_the_bound_gains_and_the_rest_of_the_model_stays():
    model = linear_gaussian()
    xs = np.random.default_rng(1).normal(size=(500, 3)).astype(np.float32) * 3
    fitted = zoo.fit_prior(model, xs, components=4, key=jr.key(0))
    bound = lambda m: np.mean(zoo.bound(m, xs, objective=zoo.objectives.elbo, k=20, key=jr.key(1)))
    assert bound(fitted) > bound(model) + 0.1
    assert jnp.array_equal(fitted.decode(jnp.ones(2)), model.decode(jnp.ones(2)))


def test_more_components_than_examples_are_refused():
    with pytest.raises(ValueError, match="components=9"):
        zoo.fit_prior(linear_gaussian(), np.zeros((8, 3), np.float32), components=9, key=jr.key(0))
