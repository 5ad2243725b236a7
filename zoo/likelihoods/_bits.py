import math

from jax import Array


# Three numbers go by the name of an image's log-likelihood. With K levels, k = 0..K-1 a pixel, D pixels,
# and u uniform on [0, 1):
#
#   P(k)            probability of the pixels themselves (counting measure)
#   p_y, y = (k + u)/K      density on [0, 1] of the dequantised pixels
#   p_v, v = k + u = K y    density on [0, K) of the same: p_v(v) = p_y(y) / K^D
#
# and E_u log p_v(k + u) <= log P(k), by Jensen's inequality, for P(k) the mass of p_v in the pixels' cube.


def bits_per_dimension(
    log_prob: Array | float,
    size: int,
    *,
    measure: str,
    levels: int = 256,
    support: tuple[float, float] = (0.0, 1.0),
) -> Array | float:
    r"""Log-likelihood of images of `levels` grey levels in bits per dimension, the lower the better.

    For probabilities (`measure="counting"`) $-\log P / (D \log 2)$. For densities (`measure="lebesgue"`) of
    pixels dequantised onto an interval of width w, whose cells have width w/levels,

    $$b = \frac{D \log(levels / w) - \log p(x)}{D \log 2}$$

    which is 8 - log p / (D log 2) for 256 levels on [0, 1]. In the mean it bounds the bits of the discrete
    model that the density implies from above, so the two kinds may stand in one table. A density of pixels
    *not* dequantised has no such meaning, nor has a Bernoulli's probability of binarised pixels beside
    either (pass `levels=2` with it: it counts bits of other data).

    **Arguments:**

    - `log_prob`: nats per image, of any shape.
    - `size`: D, how many dimensions an image has.
    - `measure`: the likelihood's `measure`.
    - `levels`: grey levels of the data.
    - `support`: the interval that the dequantised pixels fill: (0, 1), or (0, levels).

    **Returns:**

    Bits per dimension, of the shape of `log_prob`.

    **Raises:**

    `ValueError` for another measure, or an interval that is not bounded.
    """
    if measure == "counting":
        cell = 0.0
    elif measure == "lebesgue":
        cell = math.log(_width(support) / levels)
    else:
        raise ValueError(f'`bits_per_dimension(measure={measure!r})`: pass "lebesgue" or "counting"')
    return -(log_prob / (size * math.log(2))) - cell / math.log(2)


def change_of_scale(
    log_prob: Array | float, size: int, *, old: tuple[float, float], new: tuple[float, float]
) -> Array | float:
    r"""Log-density of the same data stretched from the interval `old` onto `new`.

    If v = c y + d in each of D dimensions, then $\log p_v = \log p_y - D \log c$: from [0, 1] to 0..256 a
    density loses D log 256 nats, and nothing has become better or worse.

    **Arguments:**

    - `log_prob`: nats per example, of any shape, as a density on `old`.
    - `size`: D, how many dimensions an example has.
    - `old`, `new`: the ends of the two intervals.

    **Returns:**

    Nats per example, as a density on `new`.
    """
    return log_prob - size * math.log(_width(new) / _width(old))


def _width(interval: tuple[float, float]) -> float:
    width = interval[1] - interval[0]
    if not 0 < width < math.inf:
        raise ValueError(f"the interval {interval} must have a positive, finite width, such as (0.0, 1.0)")
    return width
