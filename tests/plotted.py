"""What the tests of the plots draw: images, latents, and models whose pictures are not all grey."""

import equinox as eqx
import jax
import jax.random as jr
import numpy as np

import zoo
from zoo.likelihoods import continuous_bernoulli, gaussian


SIDE = 8
KEY = jr.key(3)
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 1, SIDE, SIDE), dtype=np.uint8)
SPREAD = np.array([[2, 1, 0], [0, 0.5, 1], [0, 0, 0.1]])
LATENTS = np.random.default_rng(1).normal(size=(40, 3)) @ SPREAD + np.array([3, 0, -2])


def observe(x, *, key):
    return zoo.data.dequantise(x, key=key)


def image_model(latent_size=3):
    # Weights are widened so that logits are far from 0, where the mean and the sigmoid differ.
    model = zoo.MLPVAE(
        (1, SIDE, SIDE), latent_size, width_size=8, depth=1, likelihood=continuous_bernoulli, key=jr.key(0)
    )
    return eqx.tree_at(lambda m: m.decoder, model, jax.tree.map(_widen, model.decoder))


def _widen(leaf):
    return 3 * leaf if eqx.is_inexact_array(leaf) else leaf


MODEL = image_model()
TOY = zoo.MLPVAE(2, 2, width_size=8, depth=1, likelihood=gaussian(scale=0.5), key=jr.key(0))
