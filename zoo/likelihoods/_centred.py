import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._constants import AbstractConstants
from .._custom_types import Scalar
from ._gaussian_shared import GaussianShared, optimal_log_scale
from ._likelihood import AbstractLikelihood
from ._marginals import as_float64, thin
from ._read import read


# What one unit of a decoder's output counts for, where the values have no end, and how far all of it can go.
_GAIN, _REACH = 0.1, 20.0


class Units(NamedTuple):
    """What data are measured in, as `zoo.data.units` finds it, and some of them.

    **Fields:**

    - `shift`, `scale`: of each column of vectors, of each channel of anything else; `scale` is above 0.
    - `rows`: some examples, by which the parameters of a likelihood start.
    """

    shift: np.ndarray
    scale: np.ndarray
    rows: np.ndarray


class Origin(AbstractConstants):
    """Where a likelihood's parameters and an encoder's inputs have their zero, and the units of both."""

    offset: Float[Array, " ..."]
    shift: Float[Array, " ..."]
    scale: Float[Array, " ..."]


class Centred(AbstractLikelihood):
    r"""A likelihood in the units of some data, whose zero parameters are the data's independent marginals.

    With shift m and scale s of each dimension, and the family's start $\hat\eta$ for the data in these units,

    $$\log p(x \mid \eta) = \log p_{family}\left(\frac{x - m}{s} \,\Big|\, \hat\eta + \gamma \eta\right)
    - \sum_j \log s_j$$

    so densities, means and samples are in the units of x, whatever they are. A family whose scale is fixed, or whose
    values have no unit (pixels in [0, 1], counts, classes), keeps x as it is: m = 0 and s = 1 there, and only
    $\hat\eta$ counts. The floor of a learned scale is then relative to the data's own.

    The logits of a continuous Bernoulli reach from a few units to minus some hundreds, where pixels are black. There
    $\sinh(\mathrm{asinh}\,\hat\eta + \eta)$ takes the place of $\hat\eta + \gamma \eta$: a step of $\eta$ then moves a
    mean of 0.002 by the same share of itself as one of 0.2, and training is faster by far.

    Elsewhere $\gamma \eta$ is $\eta$ itself for values in [0, 1] and $20 \tanh(\eta/200)$ for all others: a tenth of
    $\eta$, and never beyond 20 scales, or 20 nats of a scale or a rate. Adam moves all weights of the decoder's last
    layer at once, and where scales and rates have no end a step of 1 in each would already undo what was learned.

    `features(x)` is what an encoder sees of x: $(x - m)/s$, of counts the same of $\log(1 + x)$, pixels as they are.
    Beyond eight scales it grows like a logarithm, so that one outlier cannot throw the encoder off.

    **Fields:** `family`: the likelihood; `origin`: constants, which training leaves alone; `logarithmic`: whether an
    encoder sees log(1 + x).
    """

    family: Any
    origin: Origin
    logarithmic: bool = eqx.field(static=True)

    @property
    def channels(self) -> int:
        """How many parameters one dimension of a datum takes."""
        return self.family.channels

    @property
    def measure(self) -> str:
        """What the density is a density of."""
        return self.family.measure

    @property
    def support(self) -> tuple[float, float]:
        """The family's, in the units of x."""
        return self.family.support

    @property
    def integer_unit(self) -> int | None:
        """Which whole number among the data stands for 1."""
        return self.family.integer_unit

    @property
    def learns_scale(self) -> bool:
        """Whether the parameters hold a scale."""
        return self.family.learns_scale

    @property
    def wide(self) -> bool:
        """Whether good parameters differ by orders of magnitude."""
        return self.family.wide

    def features(self, x: Float[Array, " ..."]) -> Float[Array, " ..."]:
        """What an encoder sees of an example."""
        return _bend(self.standardise(x)) if _has_units(self.family) else x

    def standardise(self, x: Float[Array, " ..."]) -> Float[Array, " ..."]:
        """$(x - m)/s$, of counts the same of their logarithms; pixels as they are."""
        origin = lax.stop_gradient(self.origin)
        x = jnp.log1p(jnp.maximum(x, 0.0)) if self.logarithmic else x
        return (x - origin.shift) / origin.scale

    def log_prob(self, params: Float[Array, " ..."], x: Array) -> Scalar:
        r"""$\log p(x \mid params)$ in nats, in the units of x, summed over the event."""
        origin = lax.stop_gradient(self.origin)
        params = self._from_start(params)
        if not self.learns_scale:
            return self.family.log_prob(params, x)
        jacobian = jnp.sum(jnp.broadcast_to(jnp.log(origin.scale), x.shape))
        return self.family.log_prob(params, (x - origin.shift) / origin.scale) - jacobian

    def mean(self, params: Float[Array, " ..."]) -> Float[Array, " ..."]:
        """$E[x]$, in the units of x."""
        return self._in_units(self.family.mean(self._from_start(params)))

    def sample(self, params: Float[Array, " ..."], *, key: PRNGKeyArray) -> Float[Array, " ..."]:
        """A draw, in the units of x."""
        return self._in_units(self.family.sample(self._from_start(params), key=key))

    def _from_start(self, params: Float[Array, " ..."]) -> Float[Array, " ..."]:
        """The family's parameters, of the decoder's."""
        origin = lax.stop_gradient(self.origin)
        if self.wide:
            return _sinh(jnp.arcsinh(origin.offset) + params)
        if not _has_units(self.family):
            return origin.offset + params
        step = _REACH * jnp.tanh((_GAIN / _REACH) * params)
        # The parameters of a family of fixed scale are means, in the units of x.
        in_units = self.measure == "lebesgue" and not self.learns_scale
        return origin.offset + (origin.scale * step if in_units else step)

    def _in_units(self, x: Float[Array, " ..."]) -> Float[Array, " ..."]:
        origin = lax.stop_gradient(self.origin)
        return x * origin.scale + origin.shift if self.learns_scale else x

    def start(self, xs: Float[Array | np.ndarray, " n ..."]) -> Float[Array, " ..."]:
        """What a decoder would have to add for other data: zeros for those that it is centred on."""
        x = (jnp.asarray(xs) - self.origin.shift) / self.origin.scale if self.learns_scale else xs
        best = self.family.start(x)
        if self.wide:
            return jnp.arcsinh(best) - jnp.arcsinh(self.origin.offset)
        if not _has_units(self.family):
            return best - self.origin.offset
        step = best - self.origin.offset
        if self.measure == "lebesgue" and not self.learns_scale:
            step = step / self.origin.scale
        return (_REACH / _GAIN) * jnp.arctanh(jnp.clip(step / _REACH, -0.999, 0.999))

    def __repr__(self) -> str:
        return f"centred({self.family!r})"


def centred(likelihood: Any, units: Units) -> Any:
    """The likelihood in these units, with its zero parameters at the independent marginals of the units' rows.

    One that is centred already stays as it is, and so does one of your own that is no `AbstractLikelihood`.

    **Arguments:** `likelihood`: one of `zoo.likelihoods`; `units`: what `zoo.data.units(xs)` returns.
    """
    if not can_be_centred(likelihood):
        return likelihood
    rows = np.asarray(read(likelihood, thin(units.rows, 1024)))
    logarithmic = math.isinf(likelihood.support[1]) and likelihood.measure == "counting"
    shift, scale = units.shift, units.scale
    if logarithmic:
        logs = np.log1p(as_float64(rows))
        spread = logs.std(axis=0)
        shift, scale = logs.mean(axis=0), np.where(spread > 0, spread, 1.0)
    inside = as_float64(rows)
    if likelihood.learns_scale:
        inside = (inside - shift) / scale
    inside = inside.astype(jnp.result_type(float))
    offset = likelihood.start(inside)
    if isinstance(likelihood, GaussianShared):
        best = optimal_log_scale(jnp.broadcast_to(offset, inside.shape), jnp.asarray(inside))
        likelihood = eqx.tree_at(lambda family: family.log_scale, likelihood, best.astype(likelihood.log_scale.dtype))
    as_floats = lambda value: jnp.asarray(value, jnp.result_type(float))
    return Centred(likelihood, Origin(as_floats(offset), as_floats(shift), as_floats(scale)), logarithmic)


def can_be_centred(likelihood: Any) -> bool:
    """Whether `centred` makes another likelihood of it: it says where it starts, and is not centred yet.

    **Arguments:** `likelihood`: of a model.
    """
    return isinstance(likelihood, AbstractLikelihood) and not isinstance(likelihood, Centred)


def features_of(likelihood: Any) -> Callable[[Float[Array, " ..."]], Float[Array, " ..."]]:
    """What an encoder sees of an example, as a function of it: the example itself unless the likelihood is centred.

    **Arguments:** `likelihood`: one of `zoo.likelihoods`.
    """
    return likelihood.features if isinstance(likelihood, Centred) else lambda x: x


def _has_units(likelihood: Any) -> bool:
    """Whether x may be any number, or at least any count or class, and not only one in [0, 1]."""
    return likelihood.support != (0.0, 1.0)


def _sinh(x: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    """sinh(x), straight on beyond 10, where it is 11,000."""
    near = jnp.clip(x, -10.0, 10.0)
    return jnp.sinh(near) + math.cosh(10.0) * (x - near)


def _bend(x: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    size = jnp.abs(x)
    far = jnp.maximum(size, 8.0)
    return jnp.where(size <= 8, x, jnp.sign(x) * 8 * (1 + jnp.log(far / 8)))
