"""A VAE whose log p(x) is known: x = W z + b + s e, with a posterior of one's choice."""

import equinox as eqx
import jax.nn
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from scipy.stats import multivariate_normal

from zoo import MLPVAE, likelihoods, posteriors


SCALE = 0.6


def linear_gaussian(size: int = 3, latent_size: int = 2, *, exact: bool = False) -> MLPVAE:
    """A linear model with its exact posterior, or with one that is shifted and too wide."""
    model = MLPVAE(
        size, latent_size, depth=0, activation=jax.nn.selu, likelihood=likelihoods.gaussian(scale=SCALE),
        posterior=posteriors.Family(posteriors.DiagonalNormal, log_scales=None), key=jr.key(0),
    )  # fmt: skip
    # An orthogonal W makes the exact posterior diagonal.
    orthogonal, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(size, latent_size)))
    weight = orthogonal * np.linspace(1.0, 1.6, latent_size)
    offset = np.linspace(-0.5, 0.5, size)
    precision = 1 + np.sum(weight**2, axis=0) / SCALE**2
    gain = weight / SCALE**2 / precision
    bias = -offset @ gain
    log_scale = -0.5 * np.log(precision)
    if not exact:
        bias, log_scale = bias + 0.3, log_scale + 0.4
    encoder = (
        np.concatenate([gain, np.zeros_like(gain)], axis=1),
        np.concatenate([bias, log_scale]),
    )
    leaves = lambda m: [
        m.encoder.layers.layers[0].weight, m.encoder.layers.layers[0].bias,
        m.decoder.layers.layers[0].weight, m.decoder.layers.layers[0].bias,
    ]  # fmt: skip
    values = [jnp.asarray(v, jnp.float32) for v in (*encoder, weight.T, offset)]
    return eqx.tree_at(leaves, model, values)


def exact_log_likelihood(model: MLPVAE, xs: np.ndarray) -> np.ndarray:
    """log p(x) in float64, by the closed form N(b, W W^T + s^2 I)."""
    layer = model.decoder.layers.layers[0]
    weight, offset = np.asarray(layer.weight, np.float64).T, np.asarray(layer.bias, np.float64)
    covariance = weight @ weight.T + SCALE**2 * np.eye(len(weight))
    return multivariate_normal(offset, covariance).logpdf(np.asarray(xs, np.float64))


def correlated() -> MLPVAE:
    """The model with another W, whose exact posterior has a full covariance, and an encoder that does not know it."""
    weight = jnp.array([[1.2, 0.3, -0.5], [1.0, 0.8, 0.1]], jnp.float32)
    return eqx.tree_at(lambda m: m.decoder.layers.layers[0].weight, linear_gaussian(), weight)


def exact_posterior(model: MLPVAE, xs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The means `(n, latent)` and the precision of p(z | x), in float64."""
    layer = model.decoder.layers.layers[0]
    weight, offset = np.asarray(layer.weight, np.float64).T, np.asarray(layer.bias, np.float64)
    precision = np.eye(weight.shape[1]) + weight.T @ weight / SCALE**2
    return np.linalg.solve(precision, weight.T @ (xs - offset).T / SCALE**2).T, precision
