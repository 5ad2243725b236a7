import functools
import itertools
import math

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import jax.random as jr
import mpmath
import numpy as np
import pytest
from hypothesis.extra import numpy as hnp

from zoo import objectives
from zoo._draws import Draws
from zoo.objectives import (
    at_step,
    beta_elbo,
    capacity_elbo,
    ciwae,
    cosine_schedule,
    cyclical_schedule,
    elbo,
    elbo_kl,
    free_bits,
    iwae,
    jackknife,
    linear_schedule,
    miwae,
    piwae,
    power,
    renyi,
    scheduled,
    wake_phi,
    wake_theta,
)


K = 6
inf = float("inf")
partial = functools.partial

# Functions of the log-weights alone, for which w -> c w adds log c.
BOUNDS = {
    "elbo": elbo,
    "iwae": iwae,
    "miwae": partial(miwae, m=3),
    "ciwae": partial(ciwae, beta=0.3),
    "piwae": partial(piwae, m=2),
    "renyi(.4)": partial(renyi, alpha=0.4),
    "renyi(1)": partial(renyi, alpha=1.0),
    "renyi(-2)": partial(renyi, alpha=-2),
    "renyi(3)": partial(renyi, alpha=3.0),
    "renyi(inf)": partial(renyi, alpha=inf),
    "renyi(-inf)": partial(renyi, alpha=-inf),
    "power(2)": partial(power, exponent=2.0),
    "jackknife(1)": partial(jackknife, order=1),
    "jackknife(2)": partial(jackknife, order=2),
    "wake_theta": wake_theta,
    "wake_phi": wake_phi,
}
GROUPED = {"miwae", "piwae"}
WEIGHTED = {
    "beta_elbo": partial(beta_elbo, beta=4),
    "capacity_elbo": partial(capacity_elbo, gamma=10.0, capacity=2.0),
    "free_bits": partial(free_bits, nats=3.0),
}


def record(log_likelihood, log_prior=None, log_posterior=None, kl=None):
    log_likelihood = jnp.asarray(log_likelihood)
    zero = jnp.zeros_like(log_likelihood)
    return Draws(
        z=zero[:, None],
        log_likelihood=log_likelihood,
        log_prior=zero if log_prior is None else jnp.asarray(log_prior),
        log_posterior=zero if log_posterior is None else jnp.asarray(log_posterior),
        kl=None if kl is None else jnp.asarray(kl),
    )


@jax.jit
def values(log_weight):
    return {name: bound(record(log_weight)) for name, bound in (BOUNDS | WEIGHTED).items()}


@jax.jit
def gradients(log_weight):
    return {
        name: jax.grad(lambda x, bound=bound: bound(record(x)))(log_weight)
        for name, bound in (BOUNDS | WEIGHTED).items()
    }


def log_weights(k=K):
    scales = st.sampled_from([1e-3, 1.0, 50.0, 1e4])
    unit = hnp.arrays(np.float32, k, elements=st.floats(-1, 1, width=32))
    return st.builds(lambda x, scale, shift: np.float32(x * scale + shift), unit, scales, st.floats(-1e3, 1e3))


properties = hypothesis.settings(deadline=None, max_examples=60)


def tolerance(log_weight):
    return 1e-5 * (1 + float(np.abs(log_weight).max()))


@properties
@hypothesis.given(log_weights())
def test_finite_ordered_and_of_total_weight_one(log_weight):
    value = {name: float(x) for name, x in values(log_weight).items()}
    slope = {name: np.asarray(x, np.float64) for name, x in gradients(log_weight).items()}
    tol = tolerance(log_weight)
    assert all(map(math.isfinite, value.values()))
    assert all(np.isfinite(x).all() for x in slope.values())
    ascending = [
        "renyi(inf)",
        "renyi(3)",
        "elbo",
        "renyi(.4)",
        "iwae",
        "power(2)",
        "renyi(-2)",
        "renyi(-inf)",
    ]
    for lower, upper in itertools.pairwise(ascending):
        assert value[lower] <= value[upper] + tol
    assert value["elbo"] - tol <= value["miwae"] <= value["iwae"] + tol
    assert value["piwae"] == value["wake_theta"] == value["wake_phi"] == value["iwae"]
    assert value["renyi(1)"] == pytest.approx(value["elbo"], abs=tol)
    for name in BOUNDS:
        # wake_phi moves log q alone, whose gradient is checked below.
        assert slope[name].sum() == pytest.approx(0 if name == "wake_phi" else 1, abs=1e-3)


@properties
@hypothesis.given(log_weights(), st.floats(-100, 100), st.permutations(range(K)))
def test_shift_and_permutation(log_weight, shift, order):
    tol = tolerance(log_weight) + 1e-5 * abs(shift)
    before = values(log_weight)
    shifted = values(np.float32(log_weight + np.float32(shift)))
    permuted = values(log_weight[np.array(order)])
    for name in BOUNDS:
        slack = 3 * K**2 * tol if "jackknife" in name else tol
        assert float(shifted[name]) == pytest.approx(float(before[name]) + shift, abs=slack)
        if name not in GROUPED:
            assert float(permuted[name]) == pytest.approx(float(before[name]), abs=slack)


@properties
@hypothesis.given(log_weights())
def test_mean_over_subsets_never_decreases_in_their_size(log_weight):
    mean_bound = [
        np.mean([_iwae_float64(subset) for subset in itertools.combinations(log_weight, size)])
        for size in range(1, K + 1)
    ]
    assert mean_bound[0] == pytest.approx(float(elbo(record(log_weight))), abs=tolerance(log_weight))
    assert mean_bound[-1] == pytest.approx(float(iwae(record(log_weight))), abs=tolerance(log_weight))
    assert all(a <= b + 1e-9 * (1 + abs(b)) for a, b in itertools.pairwise(mean_bound))
    # MIWAE, averaged over all ways to make its groups, is the mean over subsets of their size.
    splits = [miwae_by_hand(np.array(order)) for order in itertools.permutations(log_weight)][::7]
    some = np.stack([np.array(order) for order in itertools.permutations(log_weight)][::7])
    assert np.allclose(_miwae_batch(some), splits, atol=tolerance(log_weight))


def miwae_by_hand(log_weight):
    return np.mean([_iwae_float64(group) for group in np.split(log_weight, 3)])


_miwae_batch = jax.jit(jax.vmap(lambda x: miwae(record(x), m=3)))


def _iwae_float64(log_weight):
    return np.logaddexp.reduce(np.asarray(log_weight, np.float64)) - math.log(len(log_weight))


def test_groups_and_shares_at_their_ends():
    draws = record(np.float32([3.0, -700.0, 12.5, 0.1, 12.0, 5.0]))
    assert miwae(draws, m=1) == iwae(draws)
    assert miwae(draws, m=K) == pytest.approx(float(elbo(draws)), rel=1e-6)
    assert ciwae(draws, beta=1) == elbo(draws)
    assert ciwae(draws, beta=0) == iwae(draws)
    assert renyi(draws, alpha=0) == pytest.approx(float(iwae(draws)), rel=1e-6)
    assert jackknife(draws, order=0) == iwae(draws)
    assert power(draws, exponent=0.6) == renyi(draws, alpha=0.4)


def test_one_draw_is_its_log_weight():
    draws = record([-87.25], [-3.0], [4.5], kl=7.5)
    for name, bound in BOUNDS.items():
        if name in GROUPED or "jackknife" in name:
            bound = {"miwae": partial(miwae, m=1), "piwae": partial(piwae, m=1)}.get(name, iwae)
        assert bound(draws) == -94.75, name
    assert elbo_kl(draws) == beta_elbo(draws, beta=1) == -94.75


def test_softmax_weighted_log_weights_are_never_reported():
    log_weight = np.float32([1.0, 2.0, 4.0, -3.0, 0.5, 2.5])
    weight = np.exp(log_weight) / np.exp(log_weight).sum()
    wrong = float(np.sum(weight * log_weight))
    assert wrong > _iwae_float64(log_weight)
    for name, value in values(log_weight).items():
        assert abs(float(value) - wrong) > 5e-3, name


@pytest.mark.parametrize("alpha", [1 + 1e-3, 1 - 1e-6, 1 - 2**-24, 1 + 1e-16, 0.999, 0.5, -0.5, 2.0, -40.0])
@pytest.mark.parametrize("spread", [1e-3, 1.0, 30.0])
def test_renyi_keeps_its_digits(alpha, spread):
    log_weight = np.float32(spread * np.linspace(-1, 1, K) ** 3)
    exponent = 1 - mpmath.mpf(alpha)
    mean = mpmath.fsum(mpmath.exp(exponent * mpmath.mpf(float(x))) for x in log_weight) / K
    exact = mpmath.log(mean) / exponent if exponent else mpmath.fsum(map(float, log_weight)) / K
    with mpmath.workdps(60):
        for traced in (False, True):
            argument = jnp.float32(alpha) if traced else alpha
            if traced and abs(float(argument) - alpha) > 0:
                continue
            got = renyi(record(log_weight), alpha=argument)
            assert abs(float(got) - float(exact)) <= 3e-7 * spread


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("spread", [0.1, 3.0, 40.0])
def test_jackknife_against_all_subsets(order, spread):
    log_weight = spread * np.random.default_rng(order).normal(size=7)
    k, exact = len(log_weight), 0.0
    for j in range(order + 1):
        mean = np.mean([_iwae_float64(subset) for subset in itertools.combinations(log_weight, k - j)])
        exact += (-1) ** j * (k - j) ** order / math.factorial(order - j) / math.factorial(j) * mean
    with jax.enable_x64(True):
        assert float(jackknife(record(log_weight), order=order)) == pytest.approx(exact, rel=1e-12)
    assert float(jackknife(record(np.float32(log_weight)), order=order)) == pytest.approx(exact, rel=1e-5, abs=1e-5)


def test_weighted_bounds():
    terms = ([-10.0, -12.0], [-2.0, -1.0], [-0.5, 0.5])
    estimated, analytic = record(*terms), record(*terms, kl=1.25)
    assert beta_elbo(estimated, beta=4) == -11 - 4 * 1.5
    assert beta_elbo(analytic, beta=4) == -11 - 4 * 1.25
    assert beta_elbo(estimated, beta=1) == elbo(estimated)
    assert elbo_kl(analytic) == -12.25
    assert capacity_elbo(analytic, gamma=10, capacity=3) == -11 - 10 * 1.75
    assert capacity_elbo(estimated, gamma=10, capacity=1.0) == -11 - 10 * 0.5
    assert free_bits(analytic, nats=2.0) == -13
    assert free_bits(analytic, nats=1.0) == elbo_kl(analytic)


def test_wake_gradients():
    terms = [np.float32(x) for x in ([-10.0, -12.0, -9.0], [-2.0, -1.0, -0.3], [-0.5, 0.5, 0.1])]
    weight = jax.nn.softmax(record(*terms).log_weight)
    for objective, expected in [
        (wake_theta, (weight, weight, 0 * weight)),
        (wake_phi, (0 * weight, 0 * weight, weight)),
    ]:
        got = jax.grad(lambda *terms: objective(record(*terms)), argnums=(0, 1, 2))(*terms)
        np.testing.assert_allclose(got, expected, rtol=1e-6)


# z ~ N(0, 1), x | z ~ N(1.5 z, .8^2), x = 1.7; q = N(.3, .9^2), mismatched.
SLOPE, NOISE, X, MEAN, SCALE = 1.5, 0.8, 1.7, 0.3, 0.9
LOG_P = -0.5 * X**2 / (SLOPE**2 + NOISE**2) - 0.5 * math.log(2 * math.pi * (SLOPE**2 + NOISE**2))


def linear_gaussian(epsilon, xp=np):
    def normal(x, mean, scale):
        return -0.5 * ((x - mean) / scale) ** 2 - math.log(scale) - 0.5 * math.log(2 * math.pi)

    z = MEAN + SCALE * epsilon
    kl = 0.5 * (MEAN**2 + SCALE**2 - 1) - math.log(SCALE)
    return (
        normal(X, SLOPE * z, NOISE),
        normal(z, 0, 1),
        normal(z, MEAN, SCALE),
        xp.full(epsilon.shape[:-1], kl),
    )


LINEAR_GAUSSIAN = {
    "elbo": elbo,
    "elbo_kl": elbo_kl,
    "iwae": iwae,
    "miwae": partial(miwae, m=2),
    "ciwae": partial(ciwae, beta=0.3),
    "piwae": partial(piwae, m=2),
    "renyi(.4)": partial(renyi, alpha=0.4),
    "renyi(2)": partial(renyi, alpha=2.0),
    "renyi(inf)": partial(renyi, alpha=inf),
    "renyi(-inf)": partial(renyi, alpha=-inf),
    "power(2)": partial(power, exponent=2.0),
    "jackknife(1)": partial(jackknife, order=1),
    "wake_theta": wake_theta,
    "wake_phi": wake_phi,
    "beta_elbo": partial(beta_elbo, beta=2.0),
}


def test_linear_gaussian_against_quadrature():
    """k = 2: the mean over (z1, z2) by Gauss-Hermite quadrature, and by 40,000 pairs of draws."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    grid = np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 2)
    grid_weights = np.outer(weights, weights).reshape(-1)

    def evaluate(terms):
        return {
            name: jax.jit(jax.vmap(lambda l, p, q, kl, bound=bound: bound(record(l, p, q, kl))))(*terms)
            for name, bound in LINEAR_GAUSSIAN.items()
        }

    with jax.enable_x64(True):
        exact = {
            name: float(np.sum(grid_weights * np.asarray(value)))
            for name, value in evaluate(linear_gaussian(grid)).items()
        }
    draws = np.asarray(jr.normal(jr.key(0), (40_000, 2)))
    for name, value in evaluate(linear_gaussian(draws, jnp)).items():
        value = np.asarray(value, np.float64)
        # The kinks of a minimum converge slowly in quadrature.
        slack = 5e-3 if "inf" in name else 1e-5
        assert abs(value.mean() - exact[name]) < 3 * value.std() / math.sqrt(len(value)) + slack, name

    posterior_variance = 1 / (1 + (SLOPE / NOISE) ** 2)
    posterior_mean = posterior_variance * SLOPE * X / NOISE**2
    gap = 0.5 * (
        SCALE**2 / posterior_variance
        + (posterior_mean - MEAN) ** 2 / posterior_variance
        - 1
        - math.log(SCALE**2 / posterior_variance)
    )
    assert exact["elbo"] == pytest.approx(LOG_P - gap, abs=1e-9)
    assert exact["elbo_kl"] == pytest.approx(exact["elbo"], abs=1e-9)
    assert exact["miwae"] == pytest.approx(exact["elbo"], abs=1e-9)
    below = ["renyi(inf)", "renyi(2)", "elbo", "renyi(.4)", "iwae"]
    assert all(exact[a] < exact[b] < LOG_P for a, b in itertools.pairwise(below))
    assert exact["elbo"] < exact["ciwae"] < exact["iwae"] < exact["jackknife(1)"]


def test_linear_gaussian_in_k():
    """More draws, a tighter bound; the jackknife's bias falls faster than the bound's."""

    @functools.partial(jax.jit, static_argnums=0)
    def bounds(k):
        draws = jr.normal(jr.key(k), (20_000, k))
        terms = linear_gaussian(draws, jnp)
        return jax.vmap(lambda *terms: jnp.stack([f(record(*terms)) for f in (iwae, partial(jackknife, order=1))]))(
            *terms
        )

    means, errors = {}, {}
    for k in (2, 8, 64):
        value = np.asarray(bounds(k), np.float64)
        means[k], errors[k] = value.mean(0), value.std(0) / math.sqrt(len(value))
    assert means[2][0] < means[8][0] < means[64][0] < LOG_P + 3 * errors[64][0]
    assert abs(means[64][0] - LOG_P) < 0.05
    assert abs(means[64][1] - LOG_P) < 3 * errors[64][1] + 2e-3
    assert abs(means[8][1] - LOG_P) < 0.5 * abs(means[8][0] - LOG_P)


def test_schedules():
    linear = linear_schedule(10, start=1.0, stop=3.0)
    assert [float(linear(t)) for t in (0, 5, 10, 1000)] == [1, 2, 3, 3]
    cosine = cosine_schedule(10, stop=25.0)
    assert [float(cosine(t)) for t in (0, 5, 10)] == pytest.approx([0, 12.5, 25], abs=1e-5)
    assert float(cosine(1)) < 1.0 < 24.0 < float(cosine(9))
    cyclical = cyclical_schedule(40, cycles=4, ramp=0.5)
    values = [float(cyclical(t)) for t in range(42)]
    assert values[:40] == pytest.approx(4 * [0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1, 1], abs=1e-6)
    assert values[40:] == [1, 1]


def test_schedule_traces_once():
    traces = []
    objective = scheduled(beta_elbo, beta=cyclical_schedule(8, cycles=2))

    @jax.jit
    def value(step, log_likelihood):
        traces.append(None)
        return at_step(objective, step)(record(log_likelihood, log_posterior=jnp.ones(2)))

    got = [float(value(jnp.asarray(t), jnp.zeros(2))) for t in range(10)]
    assert got == [0, -0.5, -1, -1, 0, -0.5, -1, -1, -1, -1]
    assert len(traces) == 1
    assert at_step(elbo, 3) is elbo
    assert objective(record(jnp.zeros(2), log_posterior=jnp.ones(2))) == -1


def test_a_draw_without_weight_makes_no_bound_a_nan():
    """For alpha > 1 the mean of w^(1 - alpha) is infinite, and the bound minus infinity; the others leave it out."""
    zeros = jnp.zeros(3)
    draws = Draws(jnp.zeros((3, 1)), jnp.array([-jnp.inf, 0.0, 1.0]), zeros, zeros)
    nothing = Draws(jnp.zeros((3, 1)), jnp.full(3, -jnp.inf), zeros, zeros)
    log_mean = np.log((1 + np.e) / 3)
    assert objectives.renyi(draws, alpha=2.0) == objectives.power(draws, exponent=-1.0) == -jnp.inf
    np.testing.assert_allclose(objectives.renyi(draws, alpha=0.5), 2 * np.log((1 + np.exp(0.5)) / 3), rtol=1e-6)
    np.testing.assert_allclose(objectives.piwae(draws, m=3), log_mean, rtol=1e-6)
    np.testing.assert_allclose(objectives.piwae(draws, m=1), log_mean, rtol=1e-6)
    assert objectives.renyi(nothing, alpha=0.5) == objectives.renyi(nothing, alpha=2.0) == -jnp.inf


def test_a_draw_that_cannot_be_weighs_nothing():
    log_weight = jnp.array([-jnp.inf, 0.0, 1.0, -2.0])
    mean_weight = np.mean(np.exp(np.asarray(log_weight, np.float64)))
    share = np.exp(np.asarray(log_weight, np.float64)) / (4 * mean_weight)
    zeros = jnp.zeros(4)

    def bound(log_joint, objective):
        return objective(Draws(jnp.zeros((4, 1)), log_joint, zeros, zeros))

    def wake(log_posterior):
        return objectives.wake_phi(Draws(jnp.zeros((4, 1)), log_weight, zeros, log_posterior))

    for function, at in (
        (functools.partial(bound, objective=objectives.iwae), log_weight),
        (functools.partial(bound, objective=functools.partial(objectives.ciwae, beta=0.0)), log_weight),
        (wake, zeros),
    ):
        value, gradient = jax.value_and_grad(function)(at)
        np.testing.assert_allclose(value, np.log(mean_weight), atol=1e-6)
        np.testing.assert_allclose(gradient, share, rtol=1e-5)


def test_bad_input():
    draws = record(np.zeros(4, np.float32))
    nan = float("nan")
    refusals = [
        (r"beta_elbo\(beta=-1\)", lambda: beta_elbo(draws, beta=-1)),
        (r"beta_elbo\(beta=nan\)", lambda: beta_elbo(draws, beta=nan)),
        (r"capacity_elbo\(gamma=-2.0\)", lambda: capacity_elbo(draws, gamma=-2.0, capacity=1.0)),
        (r"capacity_elbo\(capacity=inf\)", lambda: capacity_elbo(draws, gamma=2.0, capacity=inf)),
        (r"free_bits\(nats=-1\)", lambda: free_bits(draws, nats=-1)),
        (r"ciwae\(beta=1.5\)", lambda: ciwae(draws, beta=1.5)),
        (r"miwae\(m=3\).*k=4", lambda: miwae(draws, m=3)),
        (r"miwae\(m=0\)", lambda: piwae(draws, m=0)),
        (r"renyi\(alpha=nan\)", lambda: renyi(draws, alpha=nan)),
        (r"power\(exponent=nan\)", lambda: power(draws, exponent=nan)),
        (r"jackknife\(order=3\)", lambda: jackknife(draws, order=3)),
        (r"jackknife\(order=1\).*k=1", lambda: jackknife(record([0.0]), order=1)),
        (r"elbo_kl.*objectives.elbo", lambda: elbo_kl(draws)),
        (r"linear_schedule\(steps=0\)", lambda: linear_schedule(0)),
        (r"cosine_schedule\(stop=nan\)", lambda: cosine_schedule(3, stop=nan)),
        (r"cycles=9", lambda: cyclical_schedule(5, cycles=9)),
        (r"ramp=0.0", lambda: cyclical_schedule(50, ramp=0.0)),
        (r"step=-1", lambda: linear_schedule(5)(-1)),
        (r"needs a schedule", lambda: scheduled(beta_elbo)),
        (r"beta=2.0", lambda: scheduled(beta_elbo, beta=2.0)),
        (r"`beta` takes 50 steps, past the end of a run of 20", lambda: objective.check(20)),
    ]
    objective = scheduled(beta_elbo, beta=linear_schedule(50))
    objective.check(50)
    for message, call in refusals:
        with pytest.raises(ValueError, match=message):
            call()


def test_everything_public_is_tested_here():
    names = {name for name in vars(objectives) if name[0].islower()} - {
        "jaxtyping",
        "reconstruction",
    }  # with deterministic models: test_rae
    assert names <= set(globals())
