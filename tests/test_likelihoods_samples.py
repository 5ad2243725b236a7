"""Samples follow the density. Apart from `test_likelihoods.py`, whose programs are optimised as anybody's are: samplers
that accept or reject are long to compile so, and what is tested of them here does not depend on it.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats
from test_likelihoods import FAMILIES, draw_params, grid, log_density

from zoo import likelihoods


@pytest.mark.parametrize("name", FAMILIES)
def test_samples_follow_the_density(name):
    likelihood, n = FAMILIES[name], 4000
    draw = jax.jit(jax.vmap(lambda params, key: likelihood.sample(params, key=key), (None, 0)))
    for seed in range(2):
        params = jnp.asarray(draw_params(name, seed + 10), jnp.float32)
        points, weights = grid(likelihood, params)
        keys = jr.split(jr.key(seed), n)
        draws = np.asarray(draw(params, keys)).reshape(n)
        assert draws.dtype == np.float32
        with jax.enable_x64(True):
            wide = jax.tree.map(lambda a: a.astype(jnp.float64) if eqx.is_array(a) else a, likelihood)
            mass = np.exp(log_density(wide, jnp.asarray(params, jnp.float64), jnp.asarray(points))) * weights
        if likelihood.measure == "counting":
            index = np.searchsorted(points, draws - 1e-4)
            assert np.allclose(points[index], draws, atol=1e-6)
            counts = np.bincount(index, minlength=points.size)
            # the rarest values in one bin
            order = np.argsort(-mass)
            many = order[mass[order] * n >= 8]
            observed = np.append(counts[many], n - counts[many].sum())
            expected = np.append(mass[many], max(1 - mass[many].sum(), 0.0)) * n
            keep = expected > 1e-3
            assert observed[~keep].sum() == 0
            statistic = np.sum((observed[keep] - expected[keep]) ** 2 / expected[keep])
            assert scipy.stats.chi2.sf(statistic, max(keep.sum() - 1, 1)) > 1e-4
        else:
            cdf = np.interp(np.sort(draws), points, np.cumsum(mass) - mass / 2)
            assert scipy.stats.kstest(cdf, "uniform").pvalue > 1e-4


@pytest.mark.parametrize("rate", [3.0, 4000.0, 5000.0, 1e5, 5.8e7])
def test_poisson_samples_of_any_rate_have_its_mean_and_variance(rate):
    raw = jnp.full(100_000, 20 - np.log(np.expm1(20 - np.log(rate))), jnp.float32)
    xs = np.asarray(likelihoods.poisson.sample(raw, key=jr.key(0)), np.float64)
    assert abs(xs.mean() - rate) < 5 * np.sqrt(rate / len(xs)) + 3e-7 * rate * 8
    assert abs(xs.var() / rate - 1) < 5 * np.sqrt((2 + 1 / rate) / len(xs)) + 1e-2 * (rate > 1e7)
    assert np.all(xs == np.round(xs)) and xs.min() >= 0
