import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._custom_types import Scalar


# Standard deviations about the mode that are integrated over: beyond, less than 1e-7 of the mass is left.
_REACH = 12.0
_PANELS = 64
_HALVINGS = 10
# Gauss-Legendre nodes and weights on [0, 1]
_NODES, _WEIGHTS = (0.5 * (np.polynomial.legendre.leggauss(4)[0] + 1), 0.5 * np.polynomial.legendre.leggauss(4)[1])


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def polar_angle(n: int, u: Scalar, concentration: Scalar) -> Scalar:
    r"""The angle from the mean direction below which lies the part u of a von Mises-Fisher distribution.

    The angle $\theta$ in $[0, \pi]$ has the density $f(\theta) \propto e^{\kappa \cos \theta} \sin^{n-2} \theta$,
    whose distribution function F is integrated panel by panel and solved by bisection and Newton's method.
    Its derivative in the concentration is that of the implicit function, $-\partial_\kappa F / f$, exact
    up to the quadrature, whatever the solver did. u is noise, and not differentiated.

    **Arguments:** `n`: dimensions, at least 2; `u`: in [0, 1]; `concentration`: $\kappa > 0$.

    Figurnov, Mohamed & Mnih, "Implicit reparameterization gradients", 2018, section 4.
    """
    return _solve(n, u, concentration)[0]


@polar_angle.defjvp
def _(n, primals, tangents):
    angle, slope = _solve(n, *primals)
    return angle, slope * tangents[1]


def _solve(n: int, u: Scalar, concentration: Scalar) -> tuple[Scalar, Scalar]:
    """The angle, and its derivative in the concentration."""
    mode, low, high = _window(n, concentration)
    width = (high - low) / _PANELS
    density = functools.partial(_density, n, concentration, mode)

    def integrals(start: Scalar, width: Scalar) -> tuple[Scalar, Scalar]:
        """Of the density, and of 1 - cos under it, over one panel or part of it."""
        angles = start + width * jnp.asarray(_NODES, u.dtype)
        masses = width * density(angles) * jnp.asarray(_WEIGHTS, u.dtype)
        return jnp.sum(masses), jnp.sum(masses * _fall(angles))

    edges = low + width * jnp.arange(_PANELS, dtype=u.dtype)
    masses, falls = jax.vmap(integrals, in_axes=(0, None))(edges, width)
    below, fall_below = jnp.cumsum(masses) - masses, jnp.cumsum(falls) - falls
    above, fall_above = (jnp.cumsum(part[::-1])[::-1] - part for part in (masses, falls))
    total, mean_fall = jnp.sum(masses), jnp.sum(falls) / jnp.sum(masses)

    target = u * total
    panel = jnp.clip(jnp.sum(below <= target) - 1, 0, _PANELS - 1)
    start, rest = edges[panel], target - below[panel]

    def halve(_, bracket):
        short, long = bracket
        middle = 0.5 * (short + long)
        enough = integrals(start, middle)[0] > rest
        return jnp.where(enough, short, middle), jnp.where(enough, middle, long)

    short, long = jax.lax.fori_loop(0, _HALVINGS, halve, (jnp.zeros_like(width), width))
    step = 0.5 * (short + long)
    tiny = jnp.finfo(u.dtype).tiny
    for _ in range(2):
        error = integrals(start, step)[0] - rest
        step = jnp.clip(step - error / jnp.maximum(density(start + step), tiny), short, long)
    angle = start + step

    # dF / d kappa is the mass below times (mean fall - mean fall below); from above, the same with another sign.
    # The side with less mass has the smaller rounding errors.
    near = [a + b for a, b in zip((below[panel], fall_below[panel]), integrals(start, step), strict=True)]
    far = [a + b for a, b in zip((above[panel], fall_above[panel]), integrals(angle, width - step), strict=True)]
    change = jnp.where(u < 0.5, mean_fall * near[0] - near[1], far[1] - mean_fall * far[0])
    return angle, -change / jnp.maximum(density(angle), tiny)


def _fall(angle: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    """1 - cos, which keeps its digits at small angles."""
    return 2 * jnp.sin(0.5 * angle) ** 2


def _window(n: int, concentration: Scalar) -> tuple[Scalar, Scalar, Scalar]:
    """The angle of the largest density, and the ends of what has to be integrated."""
    root = jnp.sqrt((n - 2) ** 2 + 4 * concentration**2)
    cosine = 2 * concentration / (n - 2 + root)
    # sin^2 = (1 - cos)(1 + cos), the first factor without cancellation
    mode = jnp.sqrt((n - 2) * cosine / concentration)
    mode = jnp.arctan2(mode, cosine)
    curvature = concentration * cosine + (concentration / cosine if n > 2 else 0.0)
    reach = _REACH * jax.lax.rsqrt(curvature)
    return mode, jnp.maximum(mode - reach, 0.0), jnp.minimum(mode + reach, jnp.pi)


def _density(n: int, concentration: Scalar, mode: Scalar, angle: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    """The density of the angle, but for a factor; 1 at the mode."""
    # cos - cos(mode) as a product: at a large concentration the difference decides
    cosines = -2 * jnp.sin(0.5 * (angle + mode)) * jnp.sin(0.5 * (angle - mode))
    sines = jnp.sin(angle) / jnp.sin(mode) if n > 2 else jnp.ones_like(angle)
    return jnp.exp(concentration * cosines) * jnp.maximum(sines, 0.0) ** (n - 2)
