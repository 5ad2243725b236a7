import continuous_bernoulli_truth as truth
import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from zoo import special


FLOAT32, FLOAT64 = np.float32, np.float64
BARS = {
    "cb_log_normalizer": (truth.log_normalizer, 2.0, 4.0),
    "cb_mean": (truth.mean, 2.0, 4.0),
    "cb_variance": (truth.variance, 3.0, 4.0),
    "cb_entropy": (truth.entropy, 4.0, 4.0),
}


def _x64(dtype):
    return jax.enable_x64(dtype == FLOAT64)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64])
@pytest.mark.parametrize("name", BARS)
def test_moments(name, dtype):
    function, *bars = BARS[name]
    logits = truth.logits(dtype, count=1500)
    with _x64(dtype):
        got = getattr(special, name)(jnp.asarray(logits))
        assert got.dtype == dtype
        errors = truth.ulps(got, [function(h) for h in truth.exact(logits)])
    assert errors.max() <= bars[dtype == FLOAT64], logits[errors.argmax()]


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64])
def test_log_prob_and_derivatives(dtype):
    logits = truth.logits(dtype, count=1200)
    x = truth.data(logits)
    etas, xs = truth.exact(logits), truth.exact(x)
    bars = (4, 4, 4) if dtype == FLOAT64 else (2, 2, 3)
    truths = (
        [v * h - truth.log_normalizer(h) for v, h in zip(xs, etas)],
        [v - truth.mean(h) for v, h in zip(xs, etas)],
        [-truth.variance(h) for h in etas],
    )
    with _x64(dtype):
        function = special.cb_log_prob
        for order in range(3):
            got = jax.vmap(function)(jnp.asarray(x), jnp.asarray(logits))
            errors = truth.ulps(got, truths[order], at_least=1.0)
            worst = errors.argmax()
            assert errors.max() <= bars[order], (order, x[worst], logits[worst])
            function = jax.grad(function, argnums=1)


def test_derivative_in_x():
    logits = jnp.array([-3.0, 0.0, 40.0])
    assert jnp.all(jax.vmap(jax.grad(special.cb_log_prob))(jnp.full(3, 0.25), logits) == logits)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64])
def test_icdf(dtype):
    logits = truth.logits(dtype, count=1200)
    u = truth.uniforms(logits)
    etas, us = truth.exact(logits), truth.exact(u)
    with _x64(dtype):
        arrays = jnp.asarray(u), jnp.asarray(logits)
        errors = truth.ulps(special.cb_icdf(*arrays), [truth.icdf(v, h) for v, h in zip(us, etas)])
        assert errors.max() <= 4, (u[errors.argmax()], logits[errors.argmax()])
        slope = jax.vmap(jax.grad(special.cb_icdf, argnums=1))(*arrays)
        errors = truth.ulps(slope, [truth.icdf_by_logits(v, h) for v, h in zip(us, etas)])
        assert errors.max() <= 16, (u[errors.argmax()], logits[errors.argmax()])


def test_icdf_ends_and_inverse():
    logits = jnp.asarray(truth.logits(FLOAT32, count=120))
    assert jnp.all(special.cb_icdf(jnp.zeros_like(logits), logits) == 0)
    assert jnp.all(special.cb_icdf(jnp.ones_like(logits), logits) == 1)
    u = jnp.linspace(0.0, 1.0, 257)
    for eta in (-200.0, -2.0, 0.0, 1e-20, 0.9, 3.0, 60.0):
        x = special.cb_icdf(u, jnp.full_like(u, eta))
        assert jnp.all((x >= 0) & (x <= 1)) and jnp.all(jnp.diff(x) >= 0)
    slope = jax.grad(lambda u: special.cb_icdf(u, 2.0))(0.3)
    density = jnp.exp(special.cb_log_prob(special.cb_icdf(0.3, 2.0), 2.0))
    assert abs(slope * density - 1) < 1e-5


def test_higher_orders():
    """Third to sixth cumulants against Taylor coefficients of A, computed by mpmath."""
    for eta in (1e-3, 0.7, 2.4, 2.6, 9.0, -5.0):
        derivative = special.cb_variance
        series = mp.taylor(truth.log_normalizer, mp.mpf(eta), 6)
        for order in range(3, 7):
            derivative = jax.grad(derivative)
            expected = float(series[order] * mp.factorial(order))
            assert abs(float(derivative(eta)) - expected) <= 1e-3 * abs(expected) + 1e-5, (eta, order)


EXTREMES = [0.0, 1e-45, 1e-38, 1e-20, 1e-4, 1.0, 2.5, 17.0, 88.0, 104.0, 1e4, 1e19, 1e30, 3.4e38]


def test_finite_everywhere():
    eta = jnp.asarray(EXTREMES + [-e for e in EXTREMES])
    ends = jnp.array([0.0, 1e-30, 0.3, 1 - 6e-8, 1.0])
    functions = [lambda h, _, f=f: f(h) for f in map(special.__dict__.get, BARS)]
    functions += [lambda h, x: special.cb_log_prob(x, h), lambda h, u: special.cb_icdf(u, h)]

    def derivatives(eta, end):
        values = []
        for function in functions:
            # The quantiles' fourth is slow to compile: below.
            for _ in range(4 if function is functions[-1] else 5):
                values.append(function(eta, end))
                function = jax.grad(function)
        return jnp.stack(values)

    values = jax.jit(jax.vmap(jax.vmap(derivatives, (None, 0)), (0, None)))(eta, ends)
    assert jnp.all(jnp.isfinite(values)), jnp.argwhere(~jnp.isfinite(values))


@pytest.mark.slow
def test_the_quantiles_fourth_derivative_is_finite_too():
    eta = jnp.asarray(EXTREMES + [-e for e in EXTREMES])
    function = special.cb_icdf
    for _ in range(4):
        function = jax.grad(function, argnums=1)
    for end in (0.0, 1e-30, 0.3, 1 - 6e-8, 1.0):
        values = jax.jit(jax.vmap(function, (None, 0)))(jnp.float32(end), eta)
        assert jnp.all(jnp.isfinite(values)), (end, eta[~jnp.isfinite(values)])


def test_dtypes_and_transformations():
    logits = jnp.array([-8.0, 0.0, 3.0])
    for half in (jnp.float16, jnp.bfloat16):
        got = special.cb_mean(logits.astype(half))
        assert got.dtype == half
        assert jnp.all(got == special.cb_mean(logits).astype(half))
    assert special.cb_mean(3.0).dtype == jnp.float32
    assert special.cb_icdf(0.5, logits).shape == (3,)
    assert jnp.isnan(special.cb_log_normalizer(jnp.nan))
    assert jnp.array_equal(jax.jit(special.cb_mean)(logits), jax.vmap(special.cb_mean)(logits))


def test_the_usual_formula_is_no_density():
    """With lambda clipped and an epsilon in the logarithms the integral is not one; ours is."""
    x = jax.nn.sigmoid(jnp.linspace(-16.0, 16.0, 8001))  # points crowded towards both ends
    worst = 0.0
    for eta in (-60.0, -20.0, 0.3, 20.0, 60.0):
        ours = jnp.exp(special.cb_log_prob(x, eta))
        assert abs(jnp.trapezoid(ours, x) - 1) < 1e-3
        lam = jnp.clip(jax.nn.sigmoid(eta), 1e-6, 1 - 1e-6)
        constant = jnp.log(2 * jnp.arctanh(1 - 2 * lam) / (1 - 2 * lam))
        theirs = jnp.exp(x * jnp.log(lam + 1e-6) + (1 - x) * jnp.log1p(-lam + 1e-6) + constant)
        worst = max(worst, abs(float(jnp.trapezoid(theirs, x)) - 1))
    assert worst > 0.01


def test_logistic():
    logits = truth.logits(FLOAT32, count=600)
    logits = logits[np.abs(logits) < 80]
    etas = truth.exact(logits)
    sigmoid = [1 / (1 + mp.exp(-h)) for h in etas]
    assert truth.ulps(special.sigmoid(jnp.asarray(logits)), sigmoid).max() <= 3
    softplus = [mp.log1p(mp.exp(h)) for h in etas]
    assert truth.ulps(special.softplus(jnp.asarray(logits)), softplus).max() <= 3
    slope = jax.vmap(jax.grad(special.softplus))(jnp.asarray(logits))
    assert truth.ulps(slope, sigmoid).max() <= 3
    x = truth.data(logits)
    expected = [v * h - s for v, h, s in zip(truth.exact(x), etas, map(lambda h: mp.log1p(mp.exp(h)), etas))]
    got = special.bernoulli_log_prob(jnp.asarray(x), jnp.asarray(logits))
    assert truth.ulps(got, expected, at_least=1.0).max() <= 2
    got = jax.vmap(jax.grad(special.bernoulli_log_prob, argnums=1))(jnp.asarray(x), jnp.asarray(logits))
    assert truth.ulps(got, [v - s for v, s in zip(truth.exact(x), sigmoid)], at_least=1.0).max() <= 2


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64])
def test_stirling_remainder_and_erfcx(dtype):
    rng = np.random.default_rng(0)
    a = np.concatenate([10 ** rng.uniform(-3, 6, 200), [8.0, 7.999, 1.0, 2.0]]).astype(dtype)
    half_log_tau = mp.log(2 * mp.pi) / 2
    remainder = [mp.loggamma(v) - (v - 0.5) * mp.log(v) + v - half_log_tau for v in truth.exact(a)]
    t = np.concatenate([10 ** rng.uniform(-8, 30, 200), rng.uniform(0, 10, 200), [0.0]]).astype(dtype)
    scaled = [
        mp.exp(v**2) * mp.erfc(v) if v < 1e6 else (1 - 1 / (2 * v**2)) / (v * mp.sqrt(mp.pi)) for v in truth.exact(t)
    ]
    with _x64(dtype):
        got = np.asarray(special.stirling_remainder(jnp.asarray(a)))
        eps = np.finfo(dtype).eps
        # in absolute terms near the switch: it stands in sums with log(2 pi)/2
        assert np.all(np.abs(got - np.array(remainder, dtype=np.float64)) <= 16 * eps * np.maximum(1, got))
        errors = truth.ulps(special.erfcx(jnp.asarray(t)), scaled)
    assert errors.max() <= (5 if dtype == FLOAT32 else 6)


def test_torch_agrees_where_it_is_right():
    """Between its Taylor window around zero and its saturation torch has three or four digits; outside it is wrong."""
    torch = pytest.importorskip("torch")
    right = np.concatenate([np.linspace(-9, -0.5, 40), np.linspace(0.5, 9, 40)]).astype(np.float32)
    x = np.linspace(0, 1, right.size, dtype=np.float32)

    def both(logits, x):
        theirs = torch.distributions.ContinuousBernoulli(logits=torch.tensor(logits))
        log_prob = theirs.log_prob(torch.tensor(x)).numpy(), jax.vmap(special.cb_log_prob)(x, jnp.asarray(logits))
        return log_prob, (theirs.mean.numpy(), special.cb_mean(jnp.asarray(logits)))

    for theirs, ours in both(right, x):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-3)
    # At 30 the density at x = 1 is log 30 nats; there torch is over half a nat off, and this library is not.
    (theirs, ours), _ = both(np.array([30.0], np.float32), np.array([1.0], np.float32))
    np.testing.assert_allclose(ours, np.log(30.0), rtol=1e-6)
    assert abs(theirs[0] - np.log(30.0)) > 0.5
