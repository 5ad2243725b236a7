"""Annealing, both ways, and locally optimised posteriors, against the closed forms of the linear-Gaussian model."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from linear_gaussian import correlated, exact_log_likelihood, exact_posterior, linear_gaussian

import zoo
from zoo import data, likelihoods, posteriors, priors
from zoo.evaluate import from_posterior, from_prior
from zoo.evaluate._hmc import hmc


MODEL = correlated()
XS = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)


@pytest.mark.parametrize("start", [from_prior, from_posterior])
def test_annealing_finds_the_exact_log_likelihood(start):
    found = zoo.annealed_importance_sampling(MODEL, XS, steps=300, leapfrogs=4, chains=300, start=start, key=jr.key(0))
    error = np.asarray(found.log_likelihood) - exact_log_likelihood(MODEL, XS)
    np.testing.assert_allclose(error, 0, atol=0.05)
    # The errors are as large as they say, and the step sizes have gone where they were sent.
    assert 0.4 < np.sqrt(np.mean((error / found.standard_error) ** 2)) < 2
    np.testing.assert_allclose(found.acceptance, 0.65, atol=0.08)


def test_the_sandwich_closes_on_the_exact_log_likelihood():
    found = zoo.sandwich(MODEL, 40, steps=150, leapfrogs=4, chains=50, key=jr.key(2))
    exact = exact_log_likelihood(MODEL, found.xs).mean()
    lower, upper, gap = (found.estimates[name] for name in ("lower", "upper", "gap"))
    noise = 3 * gap.standard_error
    assert exact - 0.1 < lower.mean < exact + noise
    assert exact - noise < upper.mean < exact + 0.1


def test_a_short_walk_leaves_the_bounds_loose_on_their_own_sides():
    found = zoo.sandwich(MODEL, 100, steps=2, leapfrogs=4, chains=1, key=jr.key(3))
    exact = exact_log_likelihood(MODEL, found.xs)
    assert np.mean(found.lower - exact) < -0.5 and np.mean(found.upper - exact) > 0.5
    # The simulated examples are the model's.
    layer = MODEL.decoder.layers.layers[0]
    covariance = np.asarray(layer.weight.T @ layer.weight) + 0.36 * np.eye(3)
    whitened = (np.asarray(found.xs) - np.asarray(layer.bias)) @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    np.testing.assert_allclose(np.cov(whitened.T), np.eye(3), atol=0.5)


def test_transitions_leave_a_normal_density_as_it_is():
    precision = jnp.array([[2.0, -1.5], [-1.5, 3.0]])
    covariance = np.linalg.inv(np.asarray(precision))
    log_density = lambda z: (-0.5 * z @ precision @ z, z[0])
    zs = jnp.asarray(np.random.default_rng(0).multivariate_normal([0, 0], covariance, 20_000), jnp.float32)
    step = lambda z, key: hmc(log_density, z, step_size=jnp.array(0.8), leapfrogs=3, key=key)
    moved = jax.jit(jax.vmap(step))(zs, jr.split(jr.key(0), len(zs)))
    assert 0.3 < float(jnp.mean(moved.acceptance)) < 0.97
    np.testing.assert_allclose(np.cov(np.asarray(moved.z).T), covariance, atol=0.03)
    np.testing.assert_allclose(moved.extra, moved.z[:, 0])


def sandwich_of_trained_model(*, n, latent_size, epochs, examples, **settings):
    images = data.fashion_mnist_mini().train_images[:examples]
    model = zoo.MLPVAE(
        (1, 28, 28), latent_size, width_size=32, depth=1, likelihood=likelihoods.bernoulli, key=jr.key(0)
    )
    trained = zoo.fit(
        model, images, observe=data.binarise, batch_size=50, epochs=epochs, optimiser=optax.adam(3e-3), progress=False,
        key=jr.key(1),
    ).model  # fmt: skip
    found = zoo.sandwich(trained, n, **settings, key=jr.key(2)).estimates
    return found["lower"].mean, found["upper"].mean, found["gap"]


def test_the_sandwich_closes_on_a_trained_model():
    lower, upper, gap = sandwich_of_trained_model(
        n=8, latent_size=2, epochs=1, examples=1000, steps=60, leapfrogs=4, chains=8
    )
    assert -600 < lower < -100
    assert -3 * gap.standard_error - 1e-3 < upper - lower < 1


@pytest.mark.slow
def test_the_sandwich_closes_on_a_model_trained_for_longer():
    lower, upper, gap = sandwich_of_trained_model(
        n=8, latent_size=8, epochs=10, examples=6000, steps=600, leapfrogs=10, chains=16
    )
    assert -600 < lower < -100
    assert -3 * gap.standard_error - 1e-3 < upper - lower < 1


def kl_of_normals(mean, scale, exact_mean, precision):
    """KL(N(mean, diag scale^2) || N(exact_mean, precision^-1)) of each row."""
    miss = mean - exact_mean
    quadratic = np.einsum("ni,ij,nj->n", miss, precision, miss)
    trace = np.sum(np.diag(precision) * scale**2, axis=1)
    size = mean.shape[1]
    return 0.5 * (quadratic + trace - size - np.linalg.slogdet(precision)[1]) - np.sum(np.log(scale), axis=1)


def test_the_gaps_are_the_closed_forms():
    found = zoo.gaps(MODEL, XS, k=5000, steps=300, draws=10, key=jr.key(0))
    mean, precision = exact_posterior(MODEL, XS.astype(np.float64))
    layer = MODEL.encoder.layers.layers[0]
    encoded = np.split(XS @ np.asarray(layer.weight) + np.asarray(layer.bias), 2, axis=1)
    inference = kl_of_normals(encoded[0].astype(np.float64), np.exp(encoded[1]), mean, precision)
    best_scale = np.broadcast_to(1 / np.sqrt(np.diag(precision)), mean.shape)
    approximation = kl_of_normals(mean, best_scale, mean, precision)
    assert approximation.min() > 0.2 and np.mean(inference - approximation) > 0.5
    np.testing.assert_allclose(found.log_likelihood, exact_log_likelihood(MODEL, XS), atol=0.05)
    np.testing.assert_allclose(found.approximation, approximation, atol=0.05)
    error = found.estimates["amortisation"].mean - np.mean(inference - approximation)
    assert abs(error) < 0.05
    np.testing.assert_allclose(found.amortisation, inference - approximation, atol=0.05 + 0.05 * inference.max())
    np.testing.assert_allclose(found.inference, found.approximation + found.amortisation, rtol=1e-5)


def test_a_family_that_holds_the_posterior_has_no_approximation_gap():
    full = zoo.MLPVAE(3, 2, depth=0, likelihood=MODEL.likelihood, posterior=posteriors.FullNormal, key=jr.key(0))
    model = eqx.tree_at(lambda m: m.decoder, full, MODEL.decoder)
    found = zoo.gaps(model, XS[:2], k=100, steps=300, draws=10, key=jr.key(0))
    np.testing.assert_allclose(found.best_elbo, exact_log_likelihood(MODEL, XS[:2]), atol=0.01)
    np.testing.assert_allclose(found.approximation, 0, atol=0.01)


def test_the_last_draws_that_fill_a_chunk_do_not_count():
    """With the exact posterior every draw's weight is p(x): 15 of them, in chunks of 8, have that mean."""
    model = linear_gaussian(exact=True)
    found = zoo.gaps(model, XS, k=15, steps=1, draws=8, optimiser=optax.sgd(0.0), key=jr.key(0))
    for values in found:
        np.testing.assert_allclose(values, exact_log_likelihood(model, XS), atol=1e-4)


def test_what_cannot_be_annealed_is_refused():
    small = dict(likelihood=MODEL.likelihood, key=jr.key(0))
    layers = dict(width_size=2, depth=1)
    broken = eqx.tree_at(lambda m: m.decoder.layers.layers[0].bias, MODEL, jnp.array([0.0, jnp.nan, 0.0]))
    classes = zoo.DiscreteVAE(3, 2, 3, networks=zoo.nn.fully_connected(**layers), **small)
    sphere = zoo.MLPVAE(3, 2, prior=priors.UniformSphere(2), posterior=posteriors.VonMisesFisher, **layers, **small)
    unfrozen = zoo.ConvVAE((1, 8, 8), 2, norm="batch", key=jr.key(0))
    pictures = np.full((2, 1, 8, 8), 0.5, np.float32)
    refusals = [
        (broken, XS, {}, "NaN"),
        (classes, XS, {}, "UniformCategorical.*log_likelihood"),
        (sphere, XS, {}, "UniformSphere"),
        (unfrozen, pictures, {}, "freeze"),
        (MODEL, XS[:0], {}, "empty batch"),
        (MODEL, XS[:, :2], {}, r"\(6, 2\)"),
        (MODEL, XS, {"steps": 0}, "steps=0"),
    ]
    for function in (zoo.annealed_importance_sampling, zoo.gaps):
        for model, xs, settings, message in refusals:
            with pytest.raises(ValueError, match=message):
                function(model, xs, **settings, key=jr.key(0))
    for model, n, settings, message in [
        (broken, 2, {}, "NaN"),
        (classes, 2, {}, "UniformCategorical"),
        (MODEL, 0, {}, "n=0"),
        (MODEL, 2, {"chains": 0}, "chains=0"),
        (MODEL, 2, {"ys": np.zeros(2, np.int32)}, "takes no labels"),
    ]:
        with pytest.raises(ValueError, match=message):
            zoo.sandwich(model, n, **settings, key=jr.key(0))
    with pytest.raises(ValueError, match="k=0"):
        zoo.gaps(MODEL, XS, k=0, key=jr.key(0))
    point = zoo.MLPVAE(3, 2, posterior=posteriors.Point, **layers, **small)
    with pytest.raises(ValueError, match="no density"):
        zoo.gaps(point, XS, key=jr.key(0))
    with pytest.raises(ValueError, match="from_prior"):
        zoo.annealed_importance_sampling(point, XS, start=from_posterior, key=jr.key(0))
