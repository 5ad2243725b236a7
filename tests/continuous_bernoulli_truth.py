"""The continuous Bernoulli to a hundred and more digits, and errors in units in the last place."""

import mpmath as mp
import numpy as np


mp.mp.dps = 160
_TINY = mp.mpf("1e-45")


def log_normalizer(h):
    return mp.log(mp.expm1(h) / h) if h else mp.mpf(0)


def mean(h):
    return -1 / mp.expm1(-h) - 1 / h if abs(h) > _TINY else mp.mpf(0.5) + h / 12


def variance(h):
    return 1 / h**2 - 1 / (2 * mp.sinh(h / 2)) ** 2 if abs(h) > _TINY else mp.mpf(1) / 12


def entropy(h):
    return log_normalizer(h) - h * mean(h) if abs(h) > _TINY else -(h**2) / 24


def icdf(u, h):
    return mp.log1p(u * mp.expm1(h)) / h if abs(h) > _TINY else u


def icdf_by_logits(u, h):
    if abs(h) < _TINY:
        return u * (1 - u) / 2
    return (u / (u + (1 - u) * mp.exp(-h)) - icdf(u, h)) / h


def exact(array):
    return [mp.mpf(float(a)) for a in np.asarray(array)]


def ulps(got, truth, *, at_least=0.0):
    """Errors in ulp(truth), or in ulp(at_least) where that is larger; zero where the truth is subnormal."""
    got = np.asarray(got)
    tiny = np.finfo(got.dtype).tiny
    size = np.array([max(abs(float(t)), at_least) for t in truth])
    error = np.array([abs(float(mp.mpf(float(g)) - t)) for g, t in zip(got, truth)])
    unit = np.spacing(np.maximum(size, tiny).astype(got.dtype)).astype(np.float64)
    return np.where(size < tiny, 0.0, error / unit)


def logits(dtype, *, count, seed=0):
    """Random logits of both signs and all sizes, and where one formula gives way to another."""
    rng = np.random.default_rng(seed)
    largest = 37 if dtype == np.float32 else 60
    edges = [2.5, 3.0, 4.0, 4.5, 1.0, 85.0, 87.5, 89.0, 103.0, 700.0, 730.0, 2.0**50]
    sizes = np.concatenate(
        [
            10 ** rng.uniform(-35, 0, count // 6),
            rng.uniform(0, 12, count // 2),
            rng.uniform(0, 120, count // 6),
            10 ** rng.uniform(1, largest, count // 6),
            edges,
            np.nextafter(np.array(edges, dtype), dtype(0)),
        ]
    )
    return np.concatenate([sizes, -sizes]).astype(dtype)


def uniforms(like, *, seed=1):
    """Numbers in (0, 1), many of them near the ends."""
    rng = np.random.default_rng(seed)
    n = like.shape[0]
    u = np.where(rng.random(n) < 0.4, 10 ** rng.uniform(-30, 0, n), rng.random(n))
    u = np.where(rng.random(n) < 0.2, 1 - 1e-4 * u, u).astype(like.dtype)
    return np.clip(u, np.finfo(like.dtype).tiny, 1 - np.finfo(like.dtype).epsneg)


def data(like, *, seed=2):
    """Values in [0, 1], the ends among them, many where the log-density is near zero."""
    rng = np.random.default_rng(seed)
    n = like.shape[0]
    a = np.abs(like).astype(np.float64)
    near = np.minimum(1, np.log(a + 1.1) / (a + 1) * rng.exponential(1, n))
    x = np.where(rng.random(n) < 0.5, rng.random(n), np.where(like > 0, 1 - near, near))
    # where 1 - x is rounded at its coarsest
    x = np.where((a > 4) & (a < 12) & (rng.random(n) < 0.5), rng.uniform(0.4, 0.5, n), x)
    x = np.where(rng.random(n) < 0.15, rng.choice([0.0, 0.5, 1.0], n), x)
    return np.clip(x, 0, 1).astype(like.dtype)
