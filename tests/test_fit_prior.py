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
