"""The matrix: models with likelihoods, objectives and estimators."""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats
from same import assert_same

import zoo
from zoo import estimators, likelihoods, objectives, posteriors, priors


MODELS = {
    "conv": functools.partial(zoo.ConvVAE, (1, 4, 4)),
    "conv-group": functools.partial(zoo.ConvVAE, (1, 4, 4), norm="group"),
    "conv-batch": functools.partial(zoo.ConvVAE, (1, 4, 4), norm="batch"),
    "mlp": functools.partial(zoo.MLPVAE, (1, 4, 4), width_size=8, depth=1),
}
LIKELIHOODS = {
    "bernoulli": likelihoods.bernoulli,
    "continuous_bernoulli": likelihoods.continuous_bernoulli,
    "gaussian": likelihoods.gaussian(scale=0.3),
    "gaussian_learned": likelihoods.gaussian_learned,
    "gaussian_shared": likelihoods.gaussian_shared(),
    "laplace": likelihoods.laplace(),
    "student_t": likelihoods.student_t,
    "logistic": likelihoods.logistic,
    "beta": likelihoods.beta,
    "truncated_normal": likelihoods.truncated_normal,
    "discretized_logistic_mixture": likelihoods.discretized_logistic_mixture(),
    "categorical": likelihoods.categorical(3),
    "poisson": likelihoods.poisson,
    "negative_binomial": likelihoods.negative_binomial,
}
OBJECTIVES = {
    "elbo": objectives.elbo,
    "elbo_kl": objectives.elbo_kl,
    "beta_elbo": functools.partial(objectives.beta_elbo, beta=4.0),
    "capacity_elbo": functools.partial(objectives.capacity_elbo, gamma=10.0, capacity=2.0),
    "free_bits": functools.partial(objectives.free_bits, nats=1e-3),
    "iwae": objectives.iwae,
    "miwae": functools.partial(objectives.miwae, m=2),
    "ciwae": functools.partial(objectives.ciwae, beta=0.3),
    "piwae": functools.partial(objectives.piwae, m=2),
    "renyi": functools.partial(objectives.renyi, alpha=0.5),
    "power": functools.partial(objectives.power, exponent=0.5),
    "jackknife": functools.partial(objectives.jackknife, order=1),
    "wake_theta": objectives.wake_theta,
    "wake_phi": objectives.wake_phi,
}
ESTIMATORS = {
    "reparameterised": estimators.reparameterised,
    "stl": estimators.stl,
    "dreg": estimators.dreg,
    "detached": estimators.detached,
}
# An objective sees only the record of the draws, so it meets likelihoods that differ in kind: one without parameters,
# one with parameters of its own, and counts. `test_combinations.py` has all of them under the IWAE, and the other
# models; `test_fit.py` trains a thinned one with batch norm; a slow sweep adds the rest.
COMBINATIONS = [("mlp", "gaussian", estimator) for estimator in ESTIMATORS]
COMBINATIONS += [("mlp", name, "reparameterised") for name in ("gaussian_shared", "poisson")]
SWEEP = [
    pytest.param(*combination, marks=pytest.mark.slow, id="-".join(combination))
    for combination in itertools.product(MODELS, LIKELIHOODS, ESTIMATORS)
    if combination not in COMBINATIONS
]
# Values that every support holds: 0 and 1, and thirds for the densities.
BITS = np.random.default_rng(0).integers(0, 2, size=(3, 1, 4, 4)).astype(np.float32)
GREYS = np.float32(0.1) + np.float32(0.8) * BITS


@eqx.filter_jit
def value_and_gradient(model, xs, index, estimator, key):
    """One program for all objectives: they are the branches of a switch on the draws."""
    one_of_them = lambda draws: jax.lax.switch(index, list(OBJECTIVES.values()), draws)
    loss = functools.partial(zoo.loss, objective=one_of_them, estimator=ESTIMATORS[estimator], k=4, key=key)
    return eqx.filter_value_and_grad(lambda model: loss(model, xs))(model)


@pytest.mark.parametrize(
    "model, likelihood, estimator", [pytest.param(*names, id="-".join(names)) for names in COMBINATIONS] + SWEEP
)
def test_every_combination_has_a_finite_value_and_gradient(model, likelihood, estimator):
    likelihood = LIKELIHOODS[likelihood]
    model = MODELS[model](2, likelihood=likelihood, key=jr.key(0))
    xs = jnp.asarray(BITS if likelihood.measure == "counting" else GREYS)
    for i, name in enumerate(OBJECTIVES):
        value, gradient = value_and_gradient(model, xs, jnp.int32(i), estimator, jr.key(1))
        assert np.isfinite(value), name
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient)), name
        if name.startswith("wake"):
            continue  # each is meant for one of the two networks
        for part in (gradient.encoder, gradient.decoder):
            assert any(np.any(leaf != 0) for leaf in jax.tree.leaves(part)), name


def test_an_estimator_never_changes_the_value():
    model = MODELS["mlp"](2, likelihood=LIKELIHOODS["gaussian"], key=jr.key(0))
    for i, name in enumerate(OBJECTIVES):
        values = [
            value_and_gradient(model, jnp.asarray(GREYS), jnp.int32(i), estimator, jr.key(1))[0]
            for estimator in ESTIMATORS
        ]
        np.testing.assert_allclose(values, values[0], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("model", ["conv-batch", "mlp"])
def test_every_model_can_be_saved(model, likelihood, tmp_path):
    model = MODELS[model](2, likelihood=LIKELIHOODS[likelihood], key=jr.key(0))
    zoo.save(tmp_path / "model", model)
    assert_same(zoo.load(tmp_path / "model"), model)


@pytest.mark.parametrize("build", [zoo.nn.strided, zoo.nn.convolutional])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 8, 12), (2, 4, 16)])
def test_images_of_any_shape_that_divides_by_four(shape, build):
    model = zoo.ConvVAE(shape, 3, networks=build(), key=jr.key(0))
    draws = jax.eval_shape(lambda x: model.draw(x, k=5, key=jr.key(1)), jnp.zeros(shape))
    assert draws.z.shape == (5, 3)
    assert draws.log_likelihood.shape == (5,)
    assert jax.eval_shape(model.decode, jnp.zeros(3)).shape == shape


@pytest.mark.parametrize("norm, per_channel", [("batch", 2), ("group", 3), ("none", 1)])
def test_the_reference_network_has_its_number_of_parameters(norm, per_channel):
    """The notebook's layers, counted by hand: kernels, two numbers per normalised channel, and biases but before a
    `BatchNorm`, which takes them off again.
    """
    model = zoo.ConvVAE((1, 28, 28), 8, networks=zoo.nn.convolutional(norm=norm), key=jr.key(0))
    conv = lambda a, b: 9 * a * b + per_channel * b
    encoder = conv(1, 32) + conv(32, 32) + conv(32, 64) + conv(64, 64) + 7 * 7 * 64 * 16 + 16
    decoder = 8 * 3136 + 3136 + conv(64, 32) + conv(32, 32) + conv(32, 64) + conv(64, 64) + 9 * 64 + 1
    count = lambda part: sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(part, eqx.is_array)))
    assert (count(model.encoder), count(model.decoder)) == (encoder, decoder)


def test_draws_are_what_they_say():
    model = zoo.MLPVAE(3, 2, width_size=4, depth=1, key=jr.key(0))
    x = jnp.array([0.1, -0.2, 0.3])

    @jax.jit
    def both(x):
        draws, posterior = model.draw(x, k=4, key=jr.key(1)), model.posterior(x)
        terms = lambda z: (
            posterior.log_prob(z),
            model.prior.log_prob(z),
            model.likelihood.log_prob(model.decode(z), x),
        )
        # One by one, as the definitions have them.
        return draws, model.draw(x, k=2, key=jr.key(1)).z, [terms(draws.z[i]) for i in range(4)]

    draws, fewer, terms = both(x)
    for i, (log_posterior, log_prior, log_likelihood) in enumerate(terms):
        np.testing.assert_allclose(draws.log_posterior[i], log_posterior, rtol=1e-5)
        np.testing.assert_allclose(draws.log_prior[i], log_prior, rtol=1e-5)
        np.testing.assert_allclose(draws.log_likelihood[i], log_likelihood, rtol=1e-5)
    assert len({tuple(z) for z in draws.z.tolist()}) == 4
    # More draws leave the first ones as they are.
    np.testing.assert_array_equal(fewer, draws.z[:2])


def test_the_closed_form_kl_is_the_mean_of_the_draws():
    posterior = posteriors.DiagonalNormal(jnp.array([0.5, -1.0]), jnp.array([-0.7, 0.2]))
    prior = priors.StandardNormal(2)

    @jax.jit
    def draw(keys):
        zs = jax.vmap(lambda key: posterior.sample(key=key))(keys)
        return jax.vmap(posterior.log_prob)(zs) - jax.vmap(prior.log_prob)(zs), posterior.kl(prior)

    log_ratio, kl = (np.asarray(a, np.float64) for a in draw(jr.split(jr.key(0), 200_000)))
    np.testing.assert_allclose(kl, np.mean(log_ratio), atol=4 * np.std(log_ratio) / 447)


def test_densities_over_z_integrate_to_one():
    grid = np.linspace(-9, 9, 601, dtype=np.float32)
    zs = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    posterior = posteriors.DiagonalNormal(jnp.array([0.5, -1.0]), jnp.array([-0.7, 0.2]))
    mixture = priors.MixtureOfNormals(2, 3, key=jr.key(0))
    mixture = eqx.tree_at(lambda m: m.logits, mixture, jnp.array([0.0, 1.0, -1.0]))
    for distribution in (posterior, priors.StandardNormal(2), mixture):
        log_prob = np.asarray(eqx.filter_jit(lambda d, zs: jax.vmap(d.log_prob)(zs))(distribution, zs))
        np.testing.assert_allclose(np.sum(np.exp(log_prob)) * (grid[1] - grid[0]) ** 2, 1, atol=1e-4)


def test_a_mixture_s_samples_follow_its_density():
    prior = priors.MixtureOfNormals(1, 3, spread=3.0, key=jr.key(1))
    prior = eqx.tree_at(
        lambda p: (p.logits, p.log_scale), prior, (jnp.array([0.0, 1.0, -1.0]), jnp.array([[-1.0], [0.3], [0.0]]))
    )
    draw = jax.jit(jax.vmap(lambda key: prior.sample(key=key)))
    zs = np.sort(np.asarray(draw(jr.split(jr.key(2), 4000)))[:, 0])
    weights = np.exp(prior.logits) / np.exp(prior.logits).sum()
    cdf = sum(
        w * scipy.stats.norm(float(m[0]), float(np.exp(s[0]))).cdf(zs)
        for w, m, s in zip(weights, prior.mean, prior.log_scale, strict=True)
    )
    assert np.max(np.abs(cdf - np.arange(1, 4001) / 4000)) < 1.95 / 4000**0.5  # Kolmogorov-Smirnov, p = .001


def test_a_mixture_trains_with_the_model_and_has_no_closed_form():
    model = zoo.MLPVAE(3, 2, depth=1, prior=priors.MixtureOfNormals(2, 4, key=jr.key(0)), key=jr.key(1))
    xs = np.ones((2, 3), np.float32)
    gradient = eqx.filter_jit(eqx.filter_grad(zoo.loss))(model, xs, objective=objectives.iwae, k=2, key=jr.key(2))
    assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(gradient.prior))
    with pytest.raises(ValueError, match="elbo_kl"):
        eqx.filter_eval_shape(zoo.loss, model, xs, objective=objectives.elbo_kl, key=jr.key(2))


def test_a_user_s_own_encoder_fits_in_one_line():
    model = zoo.MLPVAE(3, 2, depth=1, key=jr.key(0))
    mine = eqx.nn.MLP(3, 4, 16, 1, key=jr.key(1))
    model = eqx.tree_at(lambda m: m.encoder, model, mine)
    result = zoo.fit(model, np.zeros((4, 3), np.float32), batch_size=2, progress=False, key=jr.key(2))
    assert isinstance(result.model.encoder, eqx.nn.MLP)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda key: zoo.ConvVAE((1, 28, 0), 2, key=key), r"\(1, 28, 0\).*of a picture"),
        (lambda key: zoo.ConvVAE((1, 28, 28), 0, key=key), "latent_size=0"),
        (lambda key: zoo.MLPVAE(3, 0, key=key), "latent_size=0"),
        (lambda key: zoo.MLPVAE(0, 2, key=key), r"\(0,\)"),
        (lambda key: zoo.ConvVAE((1, 28, 28), 2, norm="layer", key=key), "layer"),
        (lambda key: priors.StandardNormal(0), "latent_size=0"),
        (lambda key: priors.MixtureOfNormals(2, 0, key=key), "components=0"),
    ],
)
def test_models_that_cannot_be_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build(jr.key(0))
