"""Every likelihood: normalised, its mean that of its density, finite at extremes, loud at misuse."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings, strategies as st

from zoo import likelihoods


FAMILIES = {
    "bernoulli": likelihoods.bernoulli,
    "beta": likelihoods.beta,
    "categorical": likelihoods.categorical(5),
    "continuous_bernoulli": likelihoods.continuous_bernoulli,
    "discretized_logistic_mixture": likelihoods.discretized_logistic_mixture(components=2),
    "gaussian": likelihoods.gaussian(scale=0.3),
    "gaussian_learned": likelihoods.gaussian_learned,
    "gaussian_shared": likelihoods.gaussian_shared(scale=0.7),
    "laplace": likelihoods.laplace(scale=0.3),
    "logistic": likelihoods.logistic,
    "negative_binomial": likelihoods.negative_binomial,
    "poisson": likelihoods.poisson,
    "student_t": likelihoods.student_t,
    "truncated_normal": likelihoods.truncated_normal,
}
# Parameters low and high enough for the sums and integrals below; the extremes have a test of their own.
RANGE = {"negative_binomial": (-1.5, 4.0), "poisson": (-5.0, 5.0), "student_t": (-2.0, 6.0), "beta": (-1.0, 4.0)}
NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)


def grid(likelihood, params):
    """Points and weights that sum or integrate over the support; points increase."""
    low, high = likelihood.support
    if likelihood.measure == "counting":
        if likelihood.channels == 6:  # the discretised mixture
            points = np.arange(256) / 255
        else:
            points = np.arange(low, min(high, 6000.0) + 1)
        return points, np.ones_like(points)
    # Gauss-Legendre on panels in t; x = tanh-like on (0, 1), sinh-like on the line: crowded where densities are
    edges = np.linspace(-1, 1, 161)
    t = (edges[:-1, None] + np.diff(edges)[:, None] * (NODES + 1) / 2).ravel()
    w = (np.diff(edges)[:, None] * WEIGHTS / 2).ravel()
    if high == 1.0:
        z = 40 * t
        s = 1 / (1 + np.exp(-z))
        points, slope = s, 40 * s * (1 - s)
    else:
        location = np.ravel(params)[0]
        points, slope = location + np.sinh(30 * t) / 1e3, 30 * np.cosh(30 * t) / 1e3
    return points, w * slope


@eqx.filter_jit
def log_density(likelihood, params, points):
    return jax.vmap(lambda x: likelihood.log_prob(params, x))(points)


@eqx.filter_jit
def _mean(likelihood, params):
    return likelihood.mean(params)


def draw_params(name, seed):
    likelihood = FAMILIES[name]
    low, high = RANGE.get(name, (-6.0, 6.0))
    params = np.random.default_rng(seed).uniform(low, high, likelihood.channels)
    if name in ("gaussian_learned", "logistic", "truncated_normal"):
        params[1] = min(params[1], 2.0)
    return params if likelihood.channels > 1 else params[0]


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_normalised_and_mean(name, seed):
    likelihood = FAMILIES[name]
    with jax.enable_x64(True):
        if isinstance(likelihood, eqx.Module):
            likelihood = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), likelihood)
        params = jnp.asarray(draw_params(name, seed))
        points, weights = grid(likelihood, params)
        mass = np.exp(log_density(likelihood, params, jnp.asarray(points))) * weights
        mean = np.asarray(_mean(likelihood, params)).reshape(())
    assert abs(mass.sum() - 1) < 2e-6
    if name != "student_t":  # its tails are too heavy for this quadrature of the mean
        assert abs((mass * points).sum() - mean) < 2e-6 * (1 + abs(mean))


def _sigma(raw, low=-6.0):
    return np.exp(low + np.logaddexp(0, raw - low))


def _scipy_logpdf(name, p, x):
    """Log-density by scipy, in float64, with the families' documented parameters."""
    match name:
        case "gaussian":
            return scipy.stats.norm.logpdf(x, p[0], 0.3)
        case "gaussian_learned":
            return scipy.stats.norm.logpdf(x, p[0], _sigma(p[1]))
        case "gaussian_shared":
            return scipy.stats.norm.logpdf(x, p[0], 0.7)
        case "laplace":
            return scipy.stats.laplace.logpdf(x, p[0], 0.3)
        case "logistic":
            return scipy.stats.logistic.logpdf(x, p[0], _sigma(p[1]))
        case "student_t":
            return scipy.stats.t.logpdf(x, 1 + np.logaddexp(0, p[2]), p[0], _sigma(p[1]))
        case "poisson":
            return scipy.stats.poisson.logpmf(x, np.exp(20 - np.logaddexp(0, 20 - p[0])))
        case "negative_binomial":
            mu, s = np.exp(20 - np.logaddexp(0, 20 - p[0])), np.exp(_between(p[1], -6, 12))
            return scipy.stats.nbinom.logpmf(x, s, s / (s + mu))
        case "beta":
            return scipy.stats.beta.logpdf(x, np.exp(_between(p[0], -3, 12)), np.exp(_between(p[1], -3, 12)))
        case "truncated_normal":
            scale = np.exp(_between(p[1], -6, np.log(2)))
            return scipy.stats.truncnorm.logpdf(x, -p[0] / scale, (1 - p[0]) / scale, p[0], scale)


def _between(raw, low, high):
    return high - np.logaddexp(0, high - (low + np.logaddexp(0, raw - low)))


SCIPY = ["gaussian", "gaussian_learned", "gaussian_shared", "laplace", "logistic", "student_t", "poisson"]


@pytest.mark.parametrize("name", [*SCIPY, "negative_binomial", "beta", "truncated_normal"])
def test_agrees_with_scipy_in_float32(name):
    """Large parameters too, where log-gammas of huge arguments would cancel."""
    likelihood, rng = FAMILIES[name], np.random.default_rng(0)
    low, high = likelihood.support
    scale = {"beta": 9.0, "poisson": 8.0, "negative_binomial": 8.0, "student_t": 9.0}.get(name, 3.0)
    params = rng.uniform(-2, scale, (300, likelihood.channels)).astype(np.float32)
    if name == "student_t":
        params[::2, 2] = 10 ** rng.uniform(0, 7, 150)
    points = rng.normal(0, 2, 300)
    if high == 1.0:
        points = rng.uniform(0, 1, 300)
    elif likelihood.measure == "counting":
        points = rng.poisson(np.exp(params[:, 0]))
    points = points.astype(np.float32)
    shaped = jnp.asarray(params if likelihood.channels > 1 else params[:, 0])
    got = np.asarray(jax.jit(jax.vmap(likelihood.log_prob))(shaped, jnp.asarray(points)))
    expected = np.array([_scipy_logpdf(name, p.astype(float), float(x)) for p, x in zip(params, points)])
    # what rounding the parameters and x by one part in 2^24 each would do
    shifted = np.array(
        [
            max(
                abs(_scipy_logpdf(name, p * (1 + 1e-7 * np.sign(s)), x * (1 + 1e-7)) - e)
                for s in itertools.product((-1, 1), repeat=len(p))
            )
            for p, x, e in zip(params.astype(float), points.astype(float), expected)
        ]
    )
    if likelihood.measure == "counting":  # x may not be moved
        shifted = 4e-7 * (1 + points)
    error = np.abs(got - expected)
    assert np.all(error <= 2e-6 + 4e-6 * np.abs(expected) + 8 * shifted), (error / np.abs(expected)).max()


EXTREME = [-1e6, -1e3, -30.0, -1e-30, 0.0, 1.0, 30.0, 1e3, 1e6]


@pytest.mark.parametrize("name", FAMILIES)
def test_extreme_parameters(name):
    """Finite values and gradients inside the support; minus infinity and zero gradients outside."""
    likelihood = FAMILIES[name]
    values = EXTREME if likelihood.channels <= 3 else [-1e4, 0.0, 1e4]
    params = jnp.asarray(list(itertools.product(values, repeat=likelihood.channels)), jnp.float32)
    params = params if likelihood.channels > 1 else params[:, 0]
    low, high = likelihood.support
    inside = [max(low, 0.0), min(high, 1.0)]
    inside += [0.5, 1 / 256] if likelihood.measure == "lebesgue" else []
    inside += [200.0] if high == float("inf") else []
    inside += [-5.0] if low == -float("inf") else []
    outside = [x for x in (-1.0, -1e-6, 1.5, 1e9, float("inf")) if not low <= x <= high]
    outside += [0.4321] if likelihood.measure == "counting" and name != "bernoulli" else []
    value_and_grad = jax.jit(jax.vmap(jax.value_and_grad(likelihood.log_prob), (0, None)))
    for x in inside:
        value, grad = value_and_grad(params, jnp.asarray(x))
        assert jnp.all(jnp.isfinite(value)), (x, params[~jnp.isfinite(value)])
        assert jnp.all(jnp.isfinite(grad)), (x, params[~jnp.isfinite(grad.reshape(len(grad), -1)).all(1)])
    for x in outside:
        value, grad = value_and_grad(params, jnp.asarray(x))
        assert jnp.all(value == -jnp.inf) and jnp.all(grad == 0), x
    mean = jax.jit(jax.vmap(likelihood.mean))(params)
    assert jnp.all(jnp.isfinite(mean)) and jnp.all((mean >= low) & (mean <= high))


@pytest.mark.parametrize("name", FAMILIES)
def test_shapes_and_wrong_channels(name):
    likelihood = FAMILIES[name]
    params = jr.normal(jr.key(1), (likelihood.channels * 3, 4))
    # groups are stacked along the first axis: dimension by dimension gives the same
    single = params.reshape(likelihood.channels, -1).T
    single = single if likelihood.channels > 1 else single[:, 0]

    @jax.jit
    def both(params, single, x):
        parts = jax.vmap(likelihood.log_prob)(single, x.ravel())
        return likelihood.log_prob(params, x), jnp.sum(parts)

    x = jnp.full((3, 4), 1.0 if likelihood.measure == "counting" else 0.3)
    total, parts = both(params, single, x)
    assert total.shape == () and jnp.allclose(total, parts, rtol=1e-5)
    draw = jax.eval_shape(lambda params: likelihood.sample(params, key=jr.key(0)), params)
    assert draw.shape == jax.eval_shape(likelihood.mean, params).shape == (3, 4)
    with pytest.raises(ValueError, match=r"(?s)\(3, 4\).*\(" + str(likelihood.channels * 3 + 3) + ", 4"):
        likelihood.log_prob(jnp.zeros((likelihood.channels * 3 + 3, 4)), x)
    half = jax.eval_shape(likelihood.log_prob, params.astype(jnp.bfloat16), x)
    assert half.dtype == jnp.bfloat16


def test_equal_arguments_do_not_retrace():
    traces = []

    @eqx.filter_jit
    def score(likelihood, params, x):
        traces.append(None)
        return likelihood.log_prob(params, x)

    makers = [
        lambda: likelihoods.gaussian(scale=0.1),
        lambda: likelihoods.laplace(scale=0.1),
        lambda: likelihoods.gaussian_shared(),
        lambda: likelihoods.discretized_logistic_mixture(1),
        lambda: likelihoods.categorical(3),
    ]
    for make in makers:
        channels = make().channels
        for _ in range(3):
            score(make(), jnp.zeros((channels * 2,)), jnp.zeros((2,)))
    assert len(traces) == len(makers)


def test_shared_scale_is_a_leaf_and_has_a_closed_form_optimum():
    shared = likelihoods.gaussian_shared(scale=0.5)
    assert jnp.allclose(shared.scale, 0.5)
    assert len(jax.tree.leaves(eqx.filter(shared, eqx.is_inexact_array))) == 1
    means = jr.normal(jr.key(0), (50, 3))
    xs = means + 0.2 * jr.normal(jr.key(1), (50, 3))

    def total(likelihood):
        return jnp.sum(jax.vmap(likelihood.log_prob)(means, xs))

    best = eqx.tree_at(lambda s: s.log_scale, shared, likelihoods.optimal_log_scale(means, xs))
    assert jnp.allclose(best.scale, jnp.sqrt(jnp.mean((xs - means) ** 2)), rtol=1e-5)
    assert abs(jax.grad(total)(best).log_scale) < 1e-2 < abs(jax.grad(total)(shared).log_scale)
    # a perfect fit stops at the documented floor and stays finite
    exact = eqx.tree_at(lambda s: s.log_scale, shared, likelihoods.optimal_log_scale(xs, xs))
    assert jnp.exp(-6.0) <= exact.scale < jnp.exp(-5.99)
    collapsed = eqx.tree_at(lambda s: s.log_scale, shared, jnp.asarray(-1e6))
    assert jnp.isfinite(collapsed.log_prob(xs[0], xs[0])) and collapsed.scale >= 0.99 * jnp.exp(-6.0)


def test_discretised_mixture_is_exact_in_far_bins():
    """The probability of a bin hundreds of scales away, where a difference of sigmoids is zero."""
    likelihood = likelihoods.discretized_logistic_mixture(1)
    got = likelihood.log_prob(jnp.array([0.0, -1.0, -5.0]), jnp.asarray(200 / 255))
    scale = _sigma(-5.0, -7.0)
    edges = (2 * np.array([199.5, 200.5]) - 255) / 255
    low, high = scipy.stats.logistic.logsf(edges, -1.0, scale)
    assert abs(got - (low + np.log1p(-np.exp(high - low)))) < 1e-4


def test_bernoulli_on_grey_is_the_expected_log_probability():
    logits = jnp.array([-2.0, 0.5, 8.0])
    x = jnp.array([0.2, 0.9, 0.4])
    log_prob = likelihoods.bernoulli.log_prob
    expected = sum(x[i] * log_prob(logits[i], 1.0 + 0 * x[i]) for i in range(3))
    expected = expected + sum((1 - x[i]) * log_prob(logits[i], 0 * x[i]) for i in range(3))
    assert jnp.allclose(log_prob(logits, x), expected, rtol=1e-6)


def test_bits():
    """A uniform density on [0, 1] is 8 bits a dimension, and so is the uniform probability of 256 levels."""
    bits = likelihoods.bits_per_dimension
    assert bits(0.0, 784, measure="lebesgue") == pytest.approx(8)
    assert bits(-784 * np.log(256), 784, measure="counting") == pytest.approx(8)
    wide = likelihoods.change_of_scale(0.0, 784, old=(0.0, 1.0), new=(0.0, 256.0))
    assert wide == pytest.approx(-784 * np.log(256))
    assert bits(wide, 784, measure="lebesgue", support=(0.0, 256.0)) == pytest.approx(8)
    with pytest.raises(ValueError, match="measure='nats'"):
        bits(0.0, 784, measure="nats")
    with pytest.raises(ValueError, match="finite width"):
        bits(0.0, 784, measure="lebesgue", support=(0.0, np.inf))


def test_bits_of_a_density_bound_those_of_its_bins():
    """Jensen's inequality: dequantised log-densities, averaged over the noise, never beat the bins' own bits."""
    likelihood, logits = likelihoods.continuous_bernoulli, jnp.asarray(3.0)
    edges = jnp.arange(257.0) / 256
    cdf = jnp.expm1(3.0 * edges) / jnp.expm1(3.0)
    bins = jnp.log(jnp.diff(cdf))
    noise = (jnp.arange(64.0) + 0.5) / 64
    for level in (0, 100, 255):
        density = jnp.mean(jax.vmap(lambda u: likelihood.log_prob(logits, (level + u) / 256))(noise))
        ours = likelihoods.bits_per_dimension(density, 1, measure="lebesgue")
        exact = likelihoods.bits_per_dimension(bins[level], 1, measure="counting")
        assert exact - 1e-4 <= ours < exact + 1e-2


@pytest.mark.parametrize(
    "call",
    [
        lambda: likelihoods.gaussian(scale=0.0),
        lambda: likelihoods.laplace(scale=-1.0),
        lambda: likelihoods.gaussian_shared(scale=1e-3),
        lambda: likelihoods.categorical(1),
        lambda: likelihoods.discretized_logistic_mixture(0),
        lambda: likelihoods.optimal_log_scale(jnp.zeros(3), jnp.zeros(4)),
        lambda: likelihoods.gaussian_learned.mean(jnp.zeros(3)),
    ],
)
def test_bad_arguments(call):
    with pytest.raises((ValueError, TypeError)):
        call()


@pytest.mark.parametrize("mean, size", [(1e4, 10.0), (1e5, 100.0), (1e6, 1e5), (5e6, 1e5)])
def test_large_counts_add_up_to_one(mean, size):
    """In float32 x and the mean must enter by one number, or their roundings part."""
    raw_mean = 20 - np.log(np.expm1(20 - np.log(mean)))
    raw_size = 12 - np.log(np.expm1(12 - np.log(size)))  # the bend at -6 is far
    deviation = np.sqrt(mean + mean**2 / size)
    counts = np.unique(
        np.linspace(max(0, mean - 12 * deviation), mean + 12 * deviation, 40_000).astype(np.float32).round()
    )
    params = jnp.asarray([raw_mean, raw_size], jnp.float32)
    log_probs = jax.jit(jax.vmap(lambda x: likelihoods.negative_binomial.log_prob(params, x[None])))(
        jnp.asarray(counts)
    )
    between = np.trapezoid(np.exp(np.asarray(log_probs, np.float64)), counts)
    assert abs(between - 1) < 2e-3


def test_many_classes_take_memory_for_their_logits_once():
    shape = (4, 256, 16, 16)
    score = jax.jit(jax.vmap(likelihoods.categorical(256).log_prob))
    program = score.lower(jax.ShapeDtypeStruct(shape, jnp.float32), jax.ShapeDtypeStruct((4, 1, 16, 16), jnp.float32))
    assert program.compile().memory_analysis().temp_size_in_bytes < 1.3 * 4 * np.prod(shape)
