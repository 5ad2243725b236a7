"""The continuous Bernoulli at whatever logits hypothesis finds: subnormals, the largest numbers, neighbours."""

import functools

import continuous_bernoulli_truth as truth
import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from zoo import special


SIZE = 12
FLOAT32, FLOAT64 = np.float32, np.float64
BOTH = pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64])
few = settings(max_examples=12, deadline=None)
# The smallest and the largest that a mean can be: the compiler makes subnormal numbers 0.
INSIDE = {dtype: (np.finfo(dtype).tiny, 1 - np.finfo(dtype).epsneg) for dtype in (FLOAT32, FLOAT64)}


def rows(dtype, elements):
    return arrays(dtype, SIZE, elements=elements)


def numbers(dtype, low=None, high=None):
    """Finite numbers of the dtype, from the subnormal to the largest."""
    ends = {name: dtype(value).item() for name, value in (("min_value", low), ("max_value", high)) if value is not None}
    return st.floats(allow_nan=False, allow_infinity=False, width=32 if dtype == FLOAT32 else 64, **ends)


def logits(dtype):
    """Any logit at all, and as often one of those that matter."""
    return rows(dtype, numbers(dtype) | numbers(dtype, -30, 30))


def probabilities(dtype):
    return rows(dtype, st.just(0.0) | numbers(dtype, np.finfo(dtype).tiny, 1))


def in_its_dtype(test):
    """Run the test with float64 where its dtype is that."""

    @functools.wraps(test)
    def run(dtype, **kwargs):
        with jax.enable_x64(dtype == FLOAT64):
            test(dtype, **kwargs)

    return run


def slope(function, order=1):
    for _ in range(order):
        function = jax.grad(function)
    return function


@jax.jit
def everything(eta, u):
    """Every function and its derivatives at each logit, with u as datum and as quantile's argument."""

    def one(eta, u):
        found = {}
        for name in ("cb_log_normalizer", "cb_mean", "cb_variance", "cb_entropy"):
            function = getattr(special, name)
            found[name] = function(eta)
            found[name + "'"] = jax.grad(function)(eta)
        found["cb_log_prob"] = special.cb_log_prob(u, eta)
        found["cb_log_prob'"], found["cb_log_prob, in x"] = jax.grad(special.cb_log_prob, (1, 0))(u, eta)
        found["cb_log_prob''"] = jax.grad(jax.grad(special.cb_log_prob, 1), 1)(u, eta)
        found["cb_icdf"] = special.cb_icdf(u, eta)
        found["cb_icdf'"] = jax.grad(special.cb_icdf, 1)(u, eta)
        return found

    return jax.vmap(one)(eta, u)


def evaluate(eta, u=None):
    u = np.full(SIZE, 0.5, eta.dtype) if u is None else u
    return {name: np.asarray(value) for name, value in everything(jnp.asarray(eta), jnp.asarray(u)).items()}


def spacing(*values):
    """A unit in the last place of the largest of them, at each place."""
    limits = np.finfo(values[0].dtype)
    return np.spacing(np.max(np.abs(values), axis=0).clip(limits.tiny, limits.max / 2))


def exactly(function, *arrays):
    """A formula in the numbers as they are, without rounding, then as float64."""
    return np.array([float(function(*map(mp.mpf, map(float, row)))) for row in zip(*arrays)])


@BOTH
@few
@given(values=st.data())
@in_its_dtype
def test_all_is_finite(dtype, values):
    found = evaluate(values.draw(logits(dtype)), values.draw(probabilities(dtype)))
    for name, value in found.items():
        assert value.dtype == dtype and np.isfinite(value).all(), name


@BOTH
@few
@given(values=st.data())
@in_its_dtype
def test_reflection(dtype, values):
    eta = values.draw(logits(dtype))
    there, back = evaluate(eta), evaluate(-eta)
    a, b = there["cb_log_normalizer"], back["cb_log_normalizer"]
    # results that are subnormal count as 0
    assert np.all(
        np.abs(exactly(lambda a, b, eta: b - (a - eta), a, b, eta)) <= 2 * np.finfo(dtype).tiny + spacing(a, b)
    )
    a, b = there["cb_mean"], back["cb_mean"]
    assert np.all(np.abs(exactly(lambda a, b: b - (1 - a), a, b)) <= spacing(a, b))
    for name in ("cb_variance", "cb_entropy"):
        np.testing.assert_array_equal(there[name], back[name])


@BOTH
@few
@given(values=st.data())
@in_its_dtype
def test_moments_stay_where_they_belong(dtype, values):
    found = evaluate(np.sort(values.draw(logits(dtype))))
    low, high = INSIDE[dtype]
    assert np.all((found["cb_mean"] >= low) & (found["cb_mean"] <= high))
    assert np.all(np.diff(found["cb_mean"]) >= 0)
    assert np.all((found["cb_variance"] >= 0) & (found["cb_variance"] <= dtype(1 / 12)))
    assert np.all(found["cb_entropy"] <= 0)


@BOTH
@few
@given(values=st.data())
@in_its_dtype
def test_the_mean_does_not_decrease_between_neighbours(dtype, values):
    """But by the last place: the formula changes, and rounding is not monotone."""
    eta = np.sort(values.draw(logits(dtype)))
    eta = np.clip(eta, -np.finfo(dtype).max / 2, np.finfo(dtype).max / 2)
    mean, after = evaluate(eta)["cb_mean"], evaluate(np.nextafter(eta, dtype(np.inf)))["cb_mean"]
    assert np.all(mean - after <= spacing(mean, after))


@BOTH
@few
@given(values=st.data())
@in_its_dtype
def test_the_log_normaliser_is_convex(dtype, values):
    a, b = (values.draw(logits(dtype)) / 2 for _ in range(2))
    middle = (a + b) / 2
    ends = [evaluate(eta)["cb_log_normalizer"] for eta in (a, b)]
    # the middle is rounded, and A's slope is at most 1
    slack = 2 * spacing(*ends) + spacing(a, b)
    assert np.all(evaluate(middle)["cb_log_normalizer"] - (ends[0] / 2 + ends[1] / 2) <= slack)


@BOTH
@few
@given(values=st.data())
@in_its_dtype
def test_derivatives_are_the_cumulants(dtype, values):
    eta, x = values.draw(logits(dtype)), values.draw(probabilities(dtype))
    found = evaluate(eta, x)
    np.testing.assert_array_equal(found["cb_log_normalizer'"], found["cb_mean"])
    np.testing.assert_array_equal(found["cb_mean'"], found["cb_variance"])
    np.testing.assert_array_equal(found["cb_log_prob''"], -found["cb_variance"])
    np.testing.assert_array_equal(found["cb_log_prob, in x"], eta)


@BOTH
@few
@given(values=st.data())
@in_its_dtype
def test_the_quantile_inverts_the_distribution_function(dtype, values):
    eta, u = values.draw(logits(dtype)), values.draw(probabilities(dtype))
    q = evaluate(eta, u)["cb_icdf"]
    assert np.all((q >= 0) & (q <= 1))
    # F a few units below and above the quantile encloses u
    distribution = lambda x, h: mp.expm1(x * h) / mp.expm1(h) if abs(h) > mp.mpf("1e-60") else x
    aside = np.maximum(4 * spacing(q), np.finfo(dtype).tiny)
    for q, aside, u, h in zip(q, aside, u, eta, strict=True):
        q, aside, u, h = map(mp.mpf, map(float, (q, aside, u, h)))
        assert distribution(max(q - aside, 0), h) <= u <= distribution(min(q + aside, mp.mpf(1)), h)


@few
@given(eta=rows(FLOAT64, numbers(FLOAT64, -1e12, 1e8) | numbers(FLOAT64, -30, 30)))
def test_the_density_integrates_to_one(eta):
    with jax.enable_x64(True):
        near_end = np.concatenate([[0.0], np.logspace(-20, 0, 20_001)])
        x = np.where(eta[:, None] > 0, 1 - near_end[None], near_end[None])
        density = np.exp(np.asarray(whole(jnp.asarray(x), jnp.asarray(eta)[:, None])))
        total = np.abs(np.trapezoid(density, x))
    np.testing.assert_allclose(total, 1, atol=1e-5)


def log_normalizer(h):
    """The truth's formula cancels all of its digits below 1e-150."""
    return truth.log_normalizer(h) if abs(h) > 1e-60 else h / 2


def entropy(h):
    """The truth's formula cancels all of its digits beyond 1e150."""
    return truth.entropy(h) if abs(h) < 1e30 else 1 - mp.log(abs(h))


whole = jax.jit(special.cb_log_prob)
TRUTHS = {
    "cb_log_normalizer": (log_normalizer, 2.0, 4.0),
    "cb_mean": (truth.mean, 2.0, 4.0),
    "cb_variance": (truth.variance, 3.0, 4.0),
    "cb_entropy": (entropy, 4.0, 4.0),
}


@BOTH
@settings(max_examples=6, deadline=None)
@given(values=st.data())
@in_its_dtype
@np.errstate(over="ignore")  # one unit above the largest numbers
def test_the_truth_is_within_the_bars(dtype, values):
    eta, u = values.draw(logits(dtype)), values.draw(probabilities(dtype))
    found, exact, at = evaluate(eta, u), truth.exact(eta), truth.exact(u)
    for name, (function, *bars) in TRUTHS.items():
        errors = truth.ulps(found[name], [function(h) for h in exact])
        assert errors.max() <= bars[dtype == FLOAT64], (name, eta[errors.argmax()])
    log_prob = [v * h - log_normalizer(h) for v, h in zip(at, exact, strict=True)]
    # In double precision XLA's exponential is itself off by some units, more of them in some versions.
    assert truth.ulps(found["cb_log_prob"], log_prob, at_least=1.0).max() <= (16 if dtype == FLOAT64 else 2)
    quantile = [truth.icdf(v, h) for v, h in zip(at, exact, strict=True)]
    assert truth.ulps(found["cb_icdf"], quantile).max() <= (16 if dtype == FLOAT64 else 4)


@BOTH
@settings(max_examples=3, deadline=None)
@given(values=st.data())
@in_its_dtype
def test_eager_compiled_and_mapped_are_alike(dtype, values):
    eta, u = values.draw(logits(dtype)), values.draw(probabilities(dtype))
    found = evaluate(eta, u)
    for name in (*TRUTHS, "cb_log_prob", "cb_icdf"):
        function = getattr(special, name)
        given = (jnp.asarray(u), jnp.asarray(eta))[name in TRUTHS :]
        eager = np.asarray(function(*given))
        np.testing.assert_array_equal(eager, jax.jit(function)(*given))
        # in one kernel with all the others, where the compiler fuses other products with other sums
        assert np.all(np.abs(eager - found[name]) <= 2 * spacing(eager, np.full(SIZE, dtype(1))))
