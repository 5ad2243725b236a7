import math
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import special
from .._custom_types import Scalar
from ._bounded import LOG_SCALE_MIN
from ._gaussian import positive
from ._likelihood import AbstractLikelihood
from ._marginals import as_float64, stack
from ._split import split


class GaussianShared(AbstractLikelihood):
    r"""Gaussian with one learned scale for all dimensions and examples: the sigma-VAE's likelihood.

    $$\log p(x \mid \mu) = -\frac{(x - \mu)^2}{2 \sigma^2} - \log \sigma - \frac12 \log 2\pi, \qquad
    \log \sigma = -6 + \mathrm{softplus}(r + 6)$$

    A density (Lebesgue measure) on the real line; the decoder gives $\mu$ alone. `log_scale`, the $r$ above, is a
    trainable leaf of whatever model holds this; `channels`, `measure` and `support` are as in `Likelihood`. The scale
    stays above exp(-6) = 0.0025 in the units of x.

    Rybkin, Daniilidis and Levine, "Simple and effective VAE training with calibrated decoders", 2021.
    """

    log_scale: Float[Array, ""]
    channels: int = eqx.field(static=True, default=1)
    measure: str = eqx.field(static=True, default="lebesgue")
    support: tuple[float, float] = eqx.field(static=True, default=(-math.inf, math.inf))
    integer_unit: ClassVar[None] = None
    learns_scale: ClassVar[bool] = True
    wide: ClassVar[bool] = False

    @property
    def scale(self) -> Scalar:
        r"""$\sigma$, in the units of x."""
        return jnp.exp(special.above(self.log_scale, LOG_SCALE_MIN))

    def log_prob(self, params: Float[Array, " ..."], x: Array) -> Scalar:
        r"""$\log p(x \mid params)$ in nats, summed over the event."""
        mean, x = split(params, x, 1, "gaussian_shared")
        log_scale = special.above(self.log_scale, LOG_SCALE_MIN).astype(mean.dtype)
        z = (x - mean) * jnp.exp(-log_scale)
        return jnp.sum(-0.5 * z * z - (log_scale + 0.5 * math.log(2 * math.pi)))

    def start(self, xs: Float[Array | np.ndarray, " n ..."]) -> Float[Array, " ..."]:
        """The means; the scale that goes with them is `optimal_log_scale(means, xs)`."""
        return stack(as_float64(xs).mean(axis=0))

    def mean(self, params: Float[Array, " ..."]) -> Float[Array, " ..."]:
        """The parameters themselves."""
        return params

    def sample(self, params: Float[Array, " ..."], *, key: PRNGKeyArray) -> Float[Array, " ..."]:
        """A draw with the present scale."""
        return params + self.scale.astype(params.dtype) * jr.normal(key, params.shape, params.dtype)


def gaussian_shared(scale: float = 1.0) -> GaussianShared:
    """A [`GaussianShared`][zoo.likelihoods.GaussianShared] that starts at `scale`.

    **Arguments:**

    - `scale`: where training starts, above exp(-6), in the units of x.

    **Raises:**

    `ValueError` if `scale` is not above exp(-6) and finite.
    """
    scale = positive("gaussian_shared", "scale", scale)
    if scale <= math.exp(LOG_SCALE_MIN):
        raise ValueError(
            f"`gaussian_shared(scale={scale})`: the scale stays above exp({LOG_SCALE_MIN:g}) = "
            f"{math.exp(LOG_SCALE_MIN):.3g}; start higher, or use `gaussian(scale)` for a smaller fixed one"
        )
    return GaussianShared(_raw(jnp.asarray(math.log(scale), float)))


def optimal_log_scale(means: Float[Array, " *shape"], xs: Float[Array, " *shape"]) -> Float[Array, ""]:
    r"""The leaf `log_scale` of a `GaussianShared` for which `xs` is likeliest.

    In closed form the best scale is the root mean square error over all examples and dimensions,
    $\sigma_*^2 = \mathrm{mean}\,(x - \mu)^2$. Use it on training data to set the leaf:

    ```python
    model = eqx.tree_at(lambda m: m.likelihood.log_scale, model, optimal_log_scale(means, xs))
    ```

    The paper also puts $\sigma_*(x)$, chosen from the very x that is scored, into the loss. That is no
    density of x (it does not integrate to one), so there is no likelihood of that name here: set the leaf,
    then score other data.

    **Arguments:**

    - `means`: decoded means, of any shape, a batch axis included.
    - `xs`: the data, of the same shape.

    **Returns:**

    The leaf's value, a scalar: that of the smallest or almost smallest scale where the error is below
    exp(-6).

    **Raises:** `ValueError` where the two differ in shape.

    Rybkin, Daniilidis and Levine, "Simple and effective VAE training with calibrated decoders", 2021, the
    optimal sigma-VAE.
    """
    if means.shape != xs.shape:
        raise ValueError(
            f"`optimal_log_scale`: means of shape {means.shape} and xs of shape {xs.shape} must agree; "
            "pass what the decoder's mean and the data are, example by example"
        )
    error = jnp.mean(jnp.square(xs - means))
    return _raw(0.5 * jnp.log(jnp.maximum(error, math.exp(2 * LOG_SCALE_MIN + 1e-3))))


def _raw(log_scale: Float[Array, ""]) -> Float[Array, ""]:
    """The inverse of `above`."""
    excess = log_scale - LOG_SCALE_MIN
    return LOG_SCALE_MIN + excess + jnp.log(-jnp.expm1(-excess))
