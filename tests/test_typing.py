import jax.numpy as jnp
import jax.random as jr
import pytest

import zoo


def test_the_hook_is_on_and_catches_wrong_shapes():
    draws = dict(z=jnp.zeros((3, 2)), log_likelihood=jnp.zeros(3), log_prior=jnp.zeros(3))
    zoo.Draws(**draws, log_posterior=jnp.zeros(3))
    with pytest.raises(TypeError, match="log_posterior|Draws"):
        zoo.Draws(**draws, log_posterior=jnp.zeros(4))
    with pytest.raises(TypeError):
        zoo.priors.StandardNormal(2).log_prob(jnp.zeros(3))


def test_a_batch_where_one_image_belongs_is_caught():
    model = zoo.ConvVAE((1, 4, 4), 2, key=jr.key(0))
    with pytest.raises(TypeError):
        model.posterior(jnp.zeros((2, 1, 4, 4)))
