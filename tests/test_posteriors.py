"""The families of q(z | x), and the priors that go with them: densities, draws, divergences, gradients."""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
from same import assert_same

import zoo
from zoo import estimators, flows, likelihoods, objectives, posteriors, priors, special
from zoo._draws import Proposal
from zoo.posteriors import DiagonalNormal, FullNormal, Laplace, LowRankFamily, VonMisesFisher
from zoo.posteriors._polar_angle import polar_angle


def flowed(bijection):
    """A family whose flow is away from the identity."""
    generator = np.random.default_rng(0)
    noisy = lambda leaf: jnp.asarray(np.asarray(leaf) + np.float32(0.3 * generator.normal(size=leaf.shape)))
    build = lambda key: posteriors.FlowPosterior(2, 2, bijection=bijection, key=key)
    family = eqx.filter_jit(build)(jr.key(0))
    return jax.tree.map(lambda leaf: noisy(leaf) if eqx.is_inexact_array(leaf) else leaf, family)


FAMILIES = {
    "diagonal": lambda: DiagonalNormal,
    "full": lambda: FullNormal,
    "low-rank-1": lambda: LowRankFamily(rank=1),
    "laplace": lambda: Laplace,
    "coupling": lambda: flowed(functools.partial(flows.Coupling, width_size=4)),
    "autoregressive": lambda: flowed(functools.partial(flows.MaskedAutoregressive, width_size=4)),
    "planar": lambda: flowed(flows.Planar),
}
CLOSED_FORM = ("diagonal", "full", "low-rank-1", "laplace")
PRIOR = priors.Normal(2, mean=jnp.array([0.4, -0.3]), log_scale=jnp.array([0.5, -0.2]))
# Means 0.5 and -1, log-scales -0.5 and 0.2, then whatever else a family has.
PARAMS = jnp.array([0.5, -1.0, -0.5, 0.2, 0.7, -0.6, 0.4, 0.9])


def make(name):
    family = FAMILIES[name]()
    return family.from_params(PARAMS[: family.num_params(2)])


AXIS = np.linspace(-12, 12, 401, dtype=np.float32)
GRID = jnp.asarray(np.stack(np.meshgrid(AXIS, AXIS, indexing="ij"), -1).reshape(-1, 2))


@eqx.filter_jit
def on_grid(distribution):
    return jax.vmap(distribution.log_prob)(GRID)


@eqx.filter_jit
def many(distribution, keys):
    return jax.vmap(lambda key: distribution.sample(key=key))(keys)


@eqx.filter_jit
def divergence(posterior, prior):
    return posterior.kl(prior)


def features(zs):
    """Functions whose means tell one distribution in the plane from another."""
    a, b = np.asarray(zs, np.float64).T
    return np.stack([a, b, a * a, a * b, b * b, np.tanh(2 * a), np.tanh(2 * b), np.cos(2 * a), np.sin(a * b)], 1)


@pytest.mark.parametrize("name", FAMILIES)
def test_densities_integrate_to_one_match_their_draws_and_their_divergence(name):
    posterior = make(name)
    log_prob = np.asarray(on_grid(posterior), np.float64)
    mass = np.exp(log_prob) * (AXIS[1] - AXIS[0]) ** 2
    assert mass.sum() == pytest.approx(1, abs=2e-3 if name == "laplace" else 2e-4)
    zs = many(posterior, jr.split(jr.key(2), 20_000))
    got, expected = features(zs), mass @ features(GRID) / mass.sum()
    score = (got.mean(0) - expected) / (got.std(0) / math.sqrt(len(got)))
    assert np.abs(score).max() < 4.5, score
    if name in CLOSED_FORM:
        np.testing.assert_allclose(posterior.mean, expected[:2], atol=3e-3)
    for prior in (priors.StandardNormal(2), PRIOR):
        kl = divergence(posterior, prior)
        if name in CLOSED_FORM:
            by_quadrature = mass @ (log_prob - np.asarray(on_grid(prior), np.float64))
            np.testing.assert_allclose(kl, by_quadrature, rtol=1e-2 if name == "laplace" else 2e-3)
        else:
            assert kl is None
    assert posterior.kl(priors.MixtureOfNormals(2, 2, key=jr.key(0))) is None


def test_the_learned_normal_prior_is_a_density_with_its_draws():
    mass = np.exp(np.asarray(on_grid(PRIOR), np.float64)) * (AXIS[1] - AXIS[0]) ** 2
    assert mass.sum() == pytest.approx(1, abs=1e-4)
    zs = np.asarray(many(PRIOR, jr.split(jr.key(3), 4000)))
    for j in range(2):
        truth = scipy.stats.norm(float(PRIOR.mean[j]), math.exp(float(PRIOR.log_scale[j])))
        assert scipy.stats.kstest(zs[:, j], truth.cdf).pvalue > 1e-3
    np.testing.assert_allclose(on_grid(priors.Normal(2)), on_grid(priors.StandardNormal(2)), rtol=1e-6)
    posterior = make("full")
    gradient = jax.jit(jax.grad(posterior.kl))(PRIOR)  # it is trained
    assert np.all(gradient.mean != 0) and np.all(gradient.log_scale != 0)


@pytest.mark.parametrize("family", [FullNormal, LowRankFamily(rank=2, log_scales=None)])
def test_covariances_are_what_the_parameters_say(family):
    """In four dimensions against scipy, with the covariance built by hand."""
    random = np.random.default_rng(4)
    params = random.normal(0, 0.5, family.num_params(4))
    mean, scale, rest = params[:4], np.exp(params[4:8]), params[8:]
    if family is FullNormal:
        factor = np.diag(scale)
        factor[np.tril_indices(4, -1)] = rest
        covariance = factor @ factor.T
    else:
        factor = rest.reshape(4, 2)
        covariance = np.diag(scale**2) + factor @ factor.T
    truth = scipy.stats.multivariate_normal(mean, covariance)
    zs = random.normal(0, 2, (5, 4))

    @jax.jit
    def log_prob_and_kl(params, zs):
        posterior = family.from_params(params)
        return jax.vmap(posterior.log_prob)(zs), posterior.kl(priors.StandardNormal(4))

    log_prob, kl = log_prob_and_kl(np.float32(params), np.float32(zs))
    np.testing.assert_allclose(log_prob, truth.logpdf(zs), rtol=2e-5)
    exact_kl = 0.5 * (np.trace(covariance) + mean @ mean - 4 - np.linalg.slogdet(covariance)[1])
    np.testing.assert_allclose(kl, exact_kl, rtol=1e-5)


def test_a_low_rank_factor_may_be_large_and_its_columns_nearly_parallel():
    """Woodbury's formula as it is usually written cancels here, and a Cholesky factor is not a number."""
    factor = np.array([[1e4, 1.001e4], [-2e4, -2e4], [0.5e4, 0.5e4]])
    posterior = posteriors.LowRankNormal(jnp.zeros(3), jnp.zeros(3), jnp.asarray(factor, jnp.float32))
    with mpmath.workdps(50):
        covariance = mpmath.matrix(np.float32(factor).astype(float) @ np.float32(factor).T.astype(float))
        covariance += mpmath.eye(3)
        z = mpmath.matrix([1e4, -2e4 + 1, 0.5e4 - 2])
        square = (z.T * mpmath.inverse(covariance) * z)[0]
        exact = -0.5 * float(square + mpmath.log(mpmath.det(covariance))) - 1.5 * math.log(2 * math.pi)
    z = jnp.array([1e4, -2e4 + 1, 0.5e4 - 2])
    value, gradient = jax.jit(jax.value_and_grad(lambda p: p.log_prob(z)))(posterior)
    np.testing.assert_allclose(value, exact, atol=0.02)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_the_full_normal_holds_the_exact_posterior_of_a_linear_model():
    """x = W z + b + s e: at the true posterior the bound is log p(x), whatever z, and has no slope."""
    weight = np.array([[1.0, 0.6], [0.5, 0.2], [0.3, 0.9]])
    scale, x = 0.6, np.array([0.8, -1.0, 0.5])
    covariance = np.linalg.inv(np.eye(2) + weight.T @ weight / scale**2)
    assert abs(covariance[0, 1]) > 0.1  # a diagonal one would not do
    mean, factor = covariance @ weight.T @ x / scale**2, np.linalg.cholesky(covariance)
    params = np.concatenate([mean, np.log(np.diag(factor)), factor[[1], [0]]])
    evidence = scipy.stats.multivariate_normal(np.zeros(3), weight @ weight.T + scale**2 * np.eye(3)).logpdf(x)
    likelihood, prior = likelihoods.gaussian(scale=scale), priors.StandardNormal(2)

    def terms(params, key):
        posterior = FullNormal.from_params(params)
        log_likelihood = lambda z: likelihood.log_prob(jnp.float32(weight) @ z, jnp.float32(x))
        zs = jax.vmap(lambda key: posterior.sample(key=key))(jr.split(key, 20_000))
        log_likelihoods = jax.vmap(log_likelihood)(zs)
        bound = jnp.mean(log_likelihoods) - posterior.kl(prior)
        return bound, log_likelihoods + jax.vmap(prior.log_prob)(zs) - jax.vmap(posterior.log_prob)(zs)

    params = jnp.asarray(params, jnp.float32)
    (bound, log_weight), slope = jax.jit(jax.value_and_grad(terms, has_aux=True))(params, jr.key(6))
    np.testing.assert_allclose(log_weight, evidence, atol=1e-4)
    np.testing.assert_allclose(bound, evidence, atol=0.03)
    np.testing.assert_allclose(slope, 0, atol=0.08)


# The gradient of every estimator, on a posterior whose parameters are the encoder's output.
WEIGHT = jnp.array([[1.0, 0.3], [-0.5, 0.8], [0.2, -0.6]])
X = jnp.array([0.7, -0.4, 0.5])


def slopes(family, params, estimator, keys):
    """Gradients in the encoder's output and in the family's own parameters, one row for each key."""
    size = 3 if family is VonMisesFisher else 2
    prior = priors.UniformSphere(3) if size == 3 else priors.StandardNormal(2)
    decode = (lambda z: 2 * z) if size == 3 else (lambda z: WEIGHT @ z)

    def value(trained, static, key):
        family, params = eqx.combine(trained, static)
        posterior = family.from_params(params)
        proposal = Proposal(
            z=jax.vmap(lambda key: posterior.sample(key=key))(jr.split(key, 3)),
            posterior=posterior,
            log_likelihood=lambda z: -jnp.sum((X - decode(z)) ** 2),
            log_prior=prior.log_prob,
        )
        return estimator(objectives.iwae, proposal)[0]

    trained, static = eqx.partition((family, params), eqx.is_inexact_array)
    gradient = jax.vmap(lambda key: jax.grad(value)(trained, static, key))(keys)
    return jnp.concatenate([leaf.reshape(len(keys), -1) for leaf in jax.tree.leaves(gradient)], 1)


@pytest.mark.parametrize("name", ["low-rank-1", "autoregressive", "planar", "sphere"])
def test_draws_are_reparameterised_so_that_dreg_is_unbiased(name):
    """Its identity holds only if z = T(noise, parameters) exactly, and log_prob scores any z."""
    family = VonMisesFisher if name == "sphere" else FAMILIES[name]()
    params = jnp.array([0.5, -0.7, 0.4, 1.0]) if name == "sphere" else PARAMS[: family.num_params(2)]
    keys = jr.split(jr.key(7), 6000)

    @jax.jit
    def both(keys):
        return tuple(slopes(family, params, e, keys) for e in (estimators.dreg, estimators.reparameterised))

    got, plain = (np.asarray(rows, np.float64) for rows in both(keys))
    difference = got - plain
    score = difference.mean(0) / (difference.std(0) / math.sqrt(len(keys)) + 1e-6)
    assert np.abs(score).max() < 4.8
    assert difference.std() > 1e-2  # another estimator


def von_mises_fisher(n, concentration):
    direction = np.random.default_rng(n).normal(size=n)
    return VonMisesFisher(jnp.asarray(direction / np.linalg.norm(direction), jnp.float32), jnp.float32(concentration))


def angular(n, concentration):
    """Angles, the density of the angle from the mean direction, and the distribution function: float64, by Simpson."""
    angles = np.linspace(0, min(np.pi, 14 * math.sqrt(max(n, 4) / concentration)), 100_001)
    with np.errstate(divide="ignore"):
        power = (n - 2) * np.log(np.sin(angles)) if n > 2 else 0.0
    density = np.exp(concentration * (np.cos(angles) - 1) + power - np.max(power - concentration * angles**2 / 2))
    distribution = scipy.integrate.cumulative_simpson(density, x=angles, initial=0)
    return angles, density / distribution[-1], distribution / distribution[-1]


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_sphere_s_density_draws_mean_and_divergence(n):
    @jax.jit
    def judge(posterior, keys):
        zs = jax.vmap(lambda key: posterior.sample(key=key))(keys)
        return zs, jax.vmap(posterior.log_prob)(zs), posterior.mean, posterior.kl(priors.UniformSphere(n))

    for concentration in (0.05, 3.0, 200.0):
        posterior = von_mises_fisher(n, concentration)
        zs, log_prob, mean, kl = (np.asarray(a, np.float64) for a in judge(posterior, jr.split(jr.key(8), 4000)))
        direction = np.asarray(posterior.direction, np.float64)
        np.testing.assert_allclose(np.linalg.norm(zs, axis=1), 1, atol=1e-6)
        # the angle's distribution function
        angles, density, distribution = angular(n, concentration)
        got = np.arccos(np.clip(zs @ direction, -1, 1))
        assert scipy.stats.kstest(got, lambda a: np.interp(a, angles, distribution)).pvalue > 1e-3
        # around the mean direction every direction is as likely
        around = zs - np.outer(zs @ direction, direction)
        score = around.mean(0) / (around.std(0) / math.sqrt(len(zs)) + 1e-12)
        assert np.abs(score).max() < 4.5
        # the density: that of the angle is it times the area of a circle of latitude
        log_latitude = math.log(2) + (n - 1) / 2 * math.log(math.pi) - math.lgamma((n - 1) / 2)
        inside = (got > 0.02) & (got < np.pi - 0.02)
        sines, densities = np.sin(got[inside]), np.interp(got[inside], angles, density)
        np.testing.assert_allclose(log_prob[inside], np.log(densities / sines ** (n - 2)) - log_latitude, atol=2e-3)
        # mean and divergence
        cosine = np.trapezoid(np.cos(angles) * density, angles)
        np.testing.assert_allclose(mean, cosine * direction, atol=1e-5)
        uniform = scipy.special.gammaln(n / 2) - math.log(2) - n / 2 * math.log(math.pi)
        np.testing.assert_allclose(kl, np.mean(log_prob) - uniform, atol=4.5 * np.std(log_prob) / 60)
    assert posterior.kl(priors.StandardNormal(n)) is None


@pytest.mark.parametrize("n", [2, 3, 64])
def test_the_angle_s_derivative_is_that_of_the_distribution_function(n):
    """Implicit reparameterisation: dF / d kappa + f d angle / d kappa = 0, by differences in float64."""
    us = np.float32([1e-4, 0.02, 0.3, 0.6, 0.95, 0.9999])

    @jax.jit
    def angle_and_slope(concentration):
        one = lambda u: jax.jvp(lambda c: polar_angle(n, u, c), (concentration,), (jnp.ones_like(concentration),))
        return jax.vmap(one)(jnp.asarray(us))

    for concentration in (1e-3, 0.7, 8.0, 500.0, 9e3):
        concentration = float(np.float32(concentration))
        angle, slope = (np.asarray(a, np.float64) for a in angle_and_slope(jnp.float32(concentration)))
        angles, density, distribution = angular(n, concentration)
        np.testing.assert_allclose(np.interp(angle, angles, distribution), us, atol=2e-6)
        step = 1e-3 * concentration
        up, down = (np.interp(angle, *angular(n, concentration + s)[::2]) for s in (step, -step))
        expected = -(up - down) / (2 * step) / np.interp(angle, angles, density)
        np.testing.assert_allclose(slope, expected, rtol=5e-3)


@pytest.mark.parametrize("n", [2, 3, 33, 64])
def test_the_log_bessel_function_against_mpmath(n):
    order = n / 2 - 1
    xs = np.geomspace(1e-4, 1e4, 33).astype(np.float32)
    function = lambda x: special.log_bessel(order, x)
    values, slopes_, curvatures = jax.jit(jax.vmap(lambda x: (
        function(x), jax.grad(function)(x), jax.grad(jax.grad(function))(x)
    )))(jnp.asarray(xs))  # fmt: skip
    for x, value, slope, curvature in zip(xs, values, slopes_, curvatures, strict=True):
        x = mpmath.mpf(float(x))
        exact = mpmath.log(mpmath.besseli(order, x) * mpmath.gamma(order + 1) * (2 / x) ** order) - x
        ratio = mpmath.besseli(order + 1, x) / mpmath.besseli(order, x)
        assert float(value) == pytest.approx(float(exact), rel=5e-6, abs=1e-6)
        assert float(slope) == pytest.approx(float(ratio - 1), rel=1e-5)
        assert float(curvature) == pytest.approx(float(1 - ratio**2 - (2 * order + 1) * ratio / x), rel=5e-5)


def test_log_bessel_of_no_argument_and_no_order():
    np.testing.assert_allclose(special.log_bessel(0.5, jnp.zeros(2)), 0, atol=1e-8)
    with pytest.raises(ValueError, match="order=-1"):
        special.log_bessel(-1, jnp.ones(()))


def test_gradients_are_finite_at_extreme_parameters():
    def everything(family, prior, params, key):
        posterior = family.from_params(params)
        z = posterior.sample(key=key)
        kl = posterior.kl(prior)
        return posterior.log_prob(z) + jnp.sum(z) + jnp.sum(posterior.mean) + (0.0 if kl is None else kl)

    sphere = priors.UniformSphere(3)
    slope = eqx.filter_jit(jax.vmap(jax.value_and_grad(functools.partial(everything, VonMisesFisher, sphere))))
    extremes = [[0.0, 0, 0, 0], [0, 0, 0, 1e4], [1e30, -1e30, 3, 1e30], [1e-30, 1e-30, 0, -1e30], [1, 0, 0, -1e4]]
    for seed in range(5):
        got = slope(jnp.array(extremes), jr.split(jr.key(seed), len(extremes)))
        assert all(np.isfinite(leaf).all() for leaf in got)
    family = LowRankFamily(rank=2)
    slope = jax.jit(jax.vmap(jax.value_and_grad(functools.partial(everything, family, priors.StandardNormal(2)))))
    wide, narrow = jnp.zeros(8).at[2:4].set(8.0), jnp.full(8, -10.0)
    got = slope(jnp.stack([wide, narrow]), jr.split(jr.key(0)))
    assert all(np.isfinite(leaf).all() for leaf in got)


@pytest.mark.parametrize("name", ["sphere"])
def test_a_model_trains_its_family_and_its_prior(name):
    model = make_model(name)
    loss = functools.partial(zoo.loss, objective=objectives.iwae, k=2, key=jr.key(2))
    value, gradient = eqx.filter_jit(eqx.filter_value_and_grad(lambda model: loss(model, jnp.ones((3, 3)))))(model)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert any(np.any(leaf != 0) for leaf in jax.tree.leaves(gradient.encoder))
    for part in (gradient.family, gradient.prior):
        leaves = jax.tree.leaves(part)
        assert (name == "sphere" and not leaves) or any(np.any(leaf != 0) for leaf in leaves)


@pytest.mark.parametrize("name", ["full", "low-rank-1", "autoregressive", "sphere"])
def test_a_model_is_saved_with_its_family_and_its_prior(name, tmp_path):
    model = make_model(name)
    zoo.save(tmp_path / "model", model)
    assert_same(zoo.load(tmp_path / "model"), model)


def make_model(name):
    family = VonMisesFisher if name == "sphere" else FAMILIES[name]()
    prior = {"sphere": priors.UniformSphere, "autoregressive": lambda n: priors.FlowPrior(n, 2, 4, key=jr.key(0))}
    prior = prior.get(name, priors.Normal)(2)
    layers = dict(width_size=4, depth=1, likelihood=likelihoods.gaussian())
    return zoo.MLPVAE(3, 2, **layers, posterior=family, prior=prior, key=jr.key(1))


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: LowRankFamily(0), "rank=0"),
        (lambda: LowRankFamily(3).num_params(2), "rank=3.*latent_size=2"),
        (lambda: FullNormal.num_params(0), r"FullNormal.*latent_size=0"),
        (lambda: Laplace.num_params(0), "latent_size=0"),
        (lambda: FullNormal.from_params(jnp.zeros(6)), "got 6 numbers"),
        (lambda: VonMisesFisher.num_params(1), "latent_size=1.*>= 2"),
        (lambda: priors.UniformSphere(1), "latent_size=1.*>= 2"),
        (lambda: priors.Normal(0), "latent_size=0"),
        (lambda: priors.Normal(2, mean=jnp.zeros(3)), r"latent_size=2.*\(3,\).*\(2,\)"),
        (lambda: priors.Normal(2, log_scale=jnp.zeros(())), r"log_scale.*\(\)"),
    ],
)
def test_distributions_that_cannot_be_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
