import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import special
from .._custom_types import Scalar
from ._likelihood import Likelihood
from ._marginals import as_float64, climb, log_spread, stack, unbend
from ._split import groups, split


# In units of half the range, as the paper's: exp(-7) is an eighth of a grey level.
_LOG_SCALE_MIN = -7.0
_NAME = "discretized_logistic_mixture"


def discretized_logistic_mixture_log_prob(
    params: Float[Array, " ..."], x: Array, *, components: int, levels: int
) -> Scalar:
    *parts, x = split(params, x, 3 * components, _NAME)
    weights, means, inverse, log_width = _unpack(parts, components, levels)
    level = jnp.round(x * (levels - 1))
    outside = (x < 0) | (x > 1) | (jnp.abs(x * (levels - 1) - level) > 0.01)
    level = jnp.clip(level, 0.0, levels - 1.0)

    # the difference of two sigmoids as a product, exact however narrow or far away the bin:
    # sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b)), and log(1 - exp(-w)) = log w + A(-w)
    centre = ((2 * level - (levels - 1)) / (levels - 1))[None]
    half = 1 / (levels - 1)
    to_right = -special.softplus(-(centre + half - means) * inverse)
    to_left = -special.softplus((centre - half - means) * inverse)
    inner = log_width + special.cb_log_normalizer(-jnp.exp(log_width))
    first, last = (level == 0)[None], (level == levels - 1)[None]
    each = jnp.where(last, 0.0, to_right) + jnp.where(first, 0.0, to_left) + jnp.where(first | last, 0.0, inner)
    mixed = jax.nn.logsumexp(jax.nn.log_softmax(weights, axis=0) + each, axis=0)
    return jnp.sum(jnp.where(outside, -jnp.inf, mixed))


def _unpack(parts: list[Array], components: int, levels: int) -> tuple[Array, Array, Array, Array]:
    """Mixture logits, means, inverse scales and log of the bin width over the scale, components first."""
    weights, means, raw = (jnp.stack(parts[i * components : (i + 1) * components]) for i in range(3))
    log_scale = special.above(raw, _LOG_SCALE_MIN)
    return weights, means, jnp.exp(-log_scale), math.log(2 / (levels - 1)) - log_scale


def discretized_logistic_mixture_marginals(
    xs: Float[Array | np.ndarray, " n ..."], *, components: int, levels: int
) -> Float[Array, " ..."]:
    # Each component has an equal share of the sorted values.
    ordered = 2 * np.sort(as_float64(xs), axis=0) - 1
    parts = np.array_split(ordered, components) if len(xs) >= components else [ordered] * components
    means = [part.mean(axis=0) for part in parts]
    scales = [unbend(log_spread(part) + math.log(math.sqrt(3) / math.pi), _LOG_SCALE_MIN) for part in parts]
    guess = stack(*(np.zeros_like(mean) for mean in means), *means, *scales)
    log_prob = eqx.Partial(discretized_logistic_mixture_log_prob, components=components, levels=levels)
    return climb(log_prob, guess, xs, channels=3 * components)


def discretized_logistic_mixture_mean(
    params: Float[Array, " ..."], *, components: int, levels: int
) -> Float[Array, " ..."]:
    parts = groups(params, 3 * components, _NAME)
    weights, means, inverse, _ = _unpack(parts, components, levels)
    probs = jax.nn.softmax(weights, axis=0)

    # the mean of a whole number from 0 to n is the sum over j = 1..n of P(at least j)
    def add(j, total):
        edge = (2 * j.astype(params.dtype) - levels) / (levels - 1)
        return total + jnp.sum(probs * special.sigmoid((means - edge) * inverse), axis=0)

    return jax.lax.fori_loop(1, levels, add, jnp.zeros_like(parts[0])) / (levels - 1)


def discretized_logistic_mixture_sample(
    params: Float[Array, " ..."], *, key: PRNGKeyArray, components: int, levels: int
) -> Float[Array, " ..."]:
    parts = groups(params, 3 * components, _NAME)
    weights, means, inverse, _ = _unpack(parts, components, levels)
    which_key, noise_key = jr.split(key)
    which = jr.categorical(which_key, weights, axis=0)[None]
    mean = jnp.take_along_axis(means, which, axis=0)[0]
    scale = 1 / jnp.take_along_axis(inverse, which, axis=0)[0]
    y = mean + scale * jr.logistic(noise_key, mean.shape, mean.dtype)
    return jnp.clip(jnp.round((y + 1) * (0.5 * (levels - 1))), 0.0, levels - 1.0) / (levels - 1)


def discretized_logistic_mixture(components: int = 5, levels: int = 256) -> Likelihood:
    r"""Mixture of logistics, integrated over the bin of each grey level: the likelihood of PixelCNN++.

    $$P(x \mid \pi, \mu, s) = \sum_c \pi_c \left[\mathrm{sigmoid}\left(\frac{y + h - \mu_c}{s_c}\right) -
    \mathrm{sigmoid}\left(\frac{y - h - \mu_c}{s_c}\right)\right], \qquad y = 2x - 1, \quad
    h = \frac{1}{levels - 1}$$

    where the first bin reaches to $-\infty$ and the last to $\infty$. A probability (counting measure) of
    the `levels` values k/(levels - 1) in [0, 1], so pixels are scaled (`zoo.data.scale`) and not
    dequantised; -inf for x that is more than a hundredth of a level from all of them. Every dimension is a
    mixture of its own: the paper's coupling of a pixel's colours is left out. Channels: the components'
    logits, then their means on [-1, 1], then their log-scales, bent to stay above -7.

    **Arguments:**

    - `components`: how many logistics, at least 1.
    - `levels`: how many grey levels, at least 2.

    **Raises:** `ValueError` for fewer of either.

    Salimans et al., "PixelCNN++", 2017, equations 1 and 2.
    """
    if components < 1 or levels < 2:
        raise ValueError(
            f"`{_NAME}(components={components}, levels={levels})`: at least one component and two levels "
            "are needed; pass components >= 1 and levels >= 2"
        )
    bound = {"components": components, "levels": levels}
    return Likelihood(
        eqx.Partial(discretized_logistic_mixture_log_prob, **bound),
        eqx.Partial(discretized_logistic_mixture_mean, **bound),
        eqx.Partial(discretized_logistic_mixture_sample, **bound),
        channels=3 * components,
        measure="counting",
        support=(0.0, 1.0),
        integer_unit=levels - 1,
        marginals=eqx.Partial(discretized_logistic_mixture_marginals, **bound),
    )
