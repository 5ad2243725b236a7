from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .._checks import check_counts
from ._arrays import check_codes
from ._estimate import Estimate, estimate
from ._examples import map_rows
from ._probes import linear_probe


_AT_ONCE = 128  # batches drawn together


class _Table(NamedTuple):
    """The codes, and for each factor the rows sorted by its value."""

    codes: Float[Array, " n latents"]
    factors: Int[Array, " n factors"]
    order: Int[Array, " factors n"]
    start: Int[Array, " factors values"]
    size: Int[Array, " factors values"]


def beta_vae_score(
    codes: Array | np.ndarray,
    factors: Array | np.ndarray | None,
    *,
    pairs: int = 64,
    train: int = 10_000,
    test: int = 5_000,
    progress: bool = False,
    key: PRNGKeyArray,
) -> Estimate:
    r"""Measure how often a classifier tells which factor two data have in common from how far their codes are apart.

    For each of `train` + `test` points a factor y is drawn, then L pairs that agree in y and are else independent; the
    classifier, `linear_probe`, guesses y from

    $$\frac1L \sum_{l=1}^L |z_{1, l} - z_{2, l}|$$

    Pairs are drawn from the rows given, with replacement: a full grid, or factors drawn independently.

    **Arguments:**

    - `codes`, `factors`: as in `mig`.
    - `pairs`: L.
    - `train`, `test`: points that the classifier is fitted to and judged on.
    - `progress`: whether to show a bar.

    **Returns:** the accuracy with its standard error, that of the draws: 1 where every factor has a latent of its own,
    one over the number of factors where the codes are noise.

    **Raises:** as `mig`, and `ValueError` for counts below 1.

    Higgins et al., "beta-VAE: Learning basic visual concepts with a constrained variational framework", 2017,
    section 3.
    """
    table = _table("beta_vae_score", codes, factors, pairs=pairs, train=train, test=test)
    points, truth = _draw(_differences, table, pairs, jr.split(key, train + test), "pairs" if progress else None)
    points, truth = np.asarray(points), np.asarray(truth)
    return linear_probe(points[:train], truth[:train], points[train:], truth[train:])


def factor_vae_score(
    codes: Array | np.ndarray,
    factors: Array | np.ndarray | None,
    *,
    batch: int = 64,
    train: int = 10_000,
    test: int = 5_000,
    threshold: int | float = 0.05,
    progress: bool = False,
    key: PRNGKeyArray,
) -> Estimate:
    r"""Measure how often the latent that varies least tells which factor a batch has in common, by majority vote.

    For each vote a factor k is drawn and L data that agree in it; the vote is for k, cast by the latent

    $$d = \arg\min_j \frac{Var(z_j)}{s_j^2}$$

    with the variance of the batch and $s_j$ the standard deviation of all codes. What a latent stands for is what
    most of its `train` votes are for; the score is how often that is right on `test` others.

    **Arguments:**

    - `codes`, `factors`: as in `mig`; drawn from with replacement, as in `beta_vae_score`.
    - `batch`: L.
    - `train`, `test`: votes.
    - `threshold`: latents with a smaller standard deviation have collapsed and cast no vote; it is in the units of the
      codes, whose prior has deviation 1.
    - `progress`: whether to show a bar.

    **Returns:** the accuracy with its standard error, that of the draws: 1 where every factor has a latent of its own,
    one over the number of factors where the codes are noise.

    **Raises:** as `mig`, and `ValueError` for counts below 1 or where all latents have collapsed.

    Kim & Mnih, "Disentangling by factorising", 2018, section 4.
    """
    table = _table("factor_vae_score", codes, factors, batch=batch, train=train, test=test)
    deviation = np.std(np.asarray(table.codes, np.float64), axis=0)
    active = deviation > threshold
    if not active.any():
        raise ValueError(
            f"`factor_vae_score(threshold={threshold})`: no latent has a larger standard deviation, at most "
            f"{deviation.max():.3g}; the model has collapsed, or pass a smaller threshold"
        )
    table = table._replace(codes=table.codes[:, active] / jnp.asarray(deviation[active], table.codes.dtype)[None])
    voters, truth = _draw(_least_varying, table, batch, jr.split(key, train + test), "votes" if progress else None)
    voters, truth = np.asarray(voters), np.asarray(truth)
    votes = np.zeros((int(active.sum()), table.factors.shape[1]))
    np.add.at(votes, (voters[:train], truth[:train]), 1)
    right = votes.argmax(axis=1)[voters[train:]] == truth[train:]
    return estimate(right.astype(np.float64))


def _table(call: str, codes: Any, factors: Any, **counts: int) -> _Table:
    codes, factors = check_codes(call, codes, factors)
    if factors.shape[1] < 2:
        raise ValueError(f"`{call}(factors)` tells factors apart and needs at least 2, got 1; use `mig`")
    check_counts(call, **counts)
    size = int(factors.max()) + 1
    count = np.stack([np.bincount(factor, minlength=size) for factor in factors.T])
    order = np.argsort(factors, axis=0, kind="stable").T
    parts = (factors, order, np.cumsum(count, axis=1) - count, count)
    return _Table(jnp.asarray(codes.astype(np.float32)), *(jnp.asarray(part.astype(np.int32)) for part in parts))


def _draw(judge, table, size, keys, progress=None):
    """Draw a factor and a value of it for each key, and let `judge` look at `size` codes that have this value."""
    one = eqx.Partial(_draw_one, judge, table, size)
    return map_rows(one, keys, at_once=_AT_ONCE, per_call=32 * _AT_ONCE, progress=progress)


def _draw_one(judge, table, size, key):
    factor_key, judge_key = jr.split(key)
    factor = jr.randint(factor_key, (), 0, table.factors.shape[1])
    return judge(table, factor, size, judge_key), factor


def _draw_alike(table, factor, row, shape, key):
    """Draw codes of random rows in which the factor has the same value as in the row given."""
    value = table.factors[row, factor]
    place = jr.randint(key, shape, 0, table.size[factor, value])
    return table.codes[table.order[factor, table.start[factor, value] + place]]


def _differences(table, factor, size, key):
    row_key, pair_key = jr.split(key)
    rows = jr.randint(row_key, (size,), 0, len(table.codes))
    partners = jax.vmap(lambda row, key: _draw_alike(table, factor, row, (), key))(rows, jr.split(pair_key, size))
    return jnp.mean(jnp.abs(table.codes[rows] - partners), axis=0)


def _least_varying(table, factor, size, key):
    row_key, batch_key = jr.split(key)
    row = jr.randint(row_key, (), 0, len(table.codes))
    return jnp.argmin(jnp.var(_draw_alike(table, factor, row, (size,), batch_key), axis=0))
