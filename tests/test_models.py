"""The matrix: every model with every likelihood, objective, estimator, prior and posterior that types allow."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import zoo
from zoo import estimators, likelihoods, objectives, posteriors, priors


MODELS = {
    "conv": functools.partial(zoo.ConvVAE, (1, 4, 4)),
    "conv-group": functools.partial(zoo.ConvVAE, (1, 4, 4), norm="group"),
    "conv-batch": functools.partial(zoo.ConvVAE, (1, 4, 4), norm="batch"),
    "mlp": functools.partial(zoo.MLPVAE, (1, 4, 4), width_size=8),
}
LIKELIHOODS = {
    "bernoulli": likelihoods.bernoulli,
    "continuous_bernoulli": likelihoods.continuous_bernoulli,
    "gaussian": likelihoods.gaussian(scale=0.3),
}
OBJECTIVES = {
    "elbo": objectives.elbo,
    "elbo_kl": objectives.elbo_kl,
    "beta_elbo": functools.partial(objectives.beta_elbo, beta=4.0),
    "iwae": objectives.iwae,
}
ESTIMATORS = {
    "reparameterised": estimators.reparameterised,
    "stl": estimators.stl,
    "dreg": estimators.dreg,
}
XS = np.round(np.random.default_rng(0).uniform(0, 1, size=(3, 1, 4, 4)).astype(np.float32) * 255) / 255


@pytest.mark.parametrize("likelihood", LIKELIHOODS.values(), ids=LIKELIHOODS)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_combination_has_finite_values_and_gradients_and_can_be_saved(model, likelihood, tmp_path):
    model = model(2, likelihood=likelihood, key=jr.key(0))

    @eqx.filter_jit
    def all_of_them(model, xs, key):
        return {
            (objective, estimator): eqx.filter_value_and_grad(zoo.loss)(
                model, xs, objective=OBJECTIVES[objective], estimator=ESTIMATORS[estimator], k=2, key=key
            )
            for objective in OBJECTIVES
            for estimator in ESTIMATORS
        }

    results = all_of_them(model, jnp.asarray(XS), jr.key(1))
    for combination, (value, gradient) in results.items():
        assert np.isfinite(value), combination
        leaves = jax.tree.leaves(gradient)
        assert all(np.isfinite(leaf).all() for leaf in leaves), combination
        assert any(np.any(leaf != 0) for leaf in jax.tree.leaves(gradient.decoder)), combination
        assert any(np.any(leaf != 0) for leaf in jax.tree.leaves(gradient.encoder)), combination
    # The estimator never changes the value.
    for objective in OBJECTIVES:
        values = [results[objective, estimator][0] for estimator in ESTIMATORS]
        np.testing.assert_allclose(values, values[0], rtol=1e-5)

    frozen = zoo.freeze(model, XS, key=jr.key(2))
    zoo.save(tmp_path / "model", frozen)
    loaded = zoo.load(tmp_path / "model")
    assert jax.tree.structure(loaded) == jax.tree.structure(frozen)
    score = functools.partial(zoo.log_likelihood, k=3, observe=zoo.data.dequantise, key=jr.key(3))
    np.testing.assert_array_equal(score(loaded, XS), score(frozen, XS))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 8, 12), (2, 4, 16)])
def test_images_of_any_shape_that_divides_by_four(shape):
    model = zoo.ConvVAE(shape, 3, key=jr.key(0))
    draws = jax.eval_shape(lambda x: model.draw(x, k=5, key=jr.key(1)), jnp.zeros(shape))
    assert draws.z.shape == (5, 3)
    assert draws.log_weight.shape == (5,)
    assert jax.eval_shape(model.decode, jnp.zeros(3)).shape == shape


def test_the_reference_network_has_its_number_of_parameters():
    """The notebook's layers, counted by hand: kernels and biases, and two numbers per normalised channel."""
    model = zoo.ConvVAE((1, 28, 28), 8, norm="batch", key=jr.key(0))
    conv = lambda a, b: 9 * a * b + b
    encoder = conv(1, 32) + conv(32, 32) + conv(32, 64) + conv(64, 64) + 2 * (32 + 32 + 64 + 64)
    encoder += 7 * 7 * 64 * 16 + 16
    decoder = 8 * 3136 + 3136 + conv(64, 32) + conv(32, 32) + conv(32, 64) + conv(64, 64) + conv(64, 1)
    decoder += 2 * (32 + 32 + 64 + 64)
    count = lambda part: sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(part, eqx.is_array)))
    assert (count(model.encoder), count(model.decoder)) == (encoder, decoder)


def test_draws_are_what_they_say():
    model = zoo.MLPVAE(3, 2, width_size=4, key=jr.key(0))
    x = jnp.array([0.1, -0.2, 0.3])
    draws = model.draw(x, k=4, key=jr.key(1))
    posterior = model.posterior(x)
    for i, z in enumerate(draws.z):
        np.testing.assert_allclose(draws.log_posterior[i], posterior.log_prob(z), rtol=1e-5)
        np.testing.assert_allclose(draws.log_prior[i], model.prior.log_prob(z), rtol=1e-5)
        np.testing.assert_allclose(
            draws.log_likelihood[i], model.likelihood.log_prob(model.decode(z), x), rtol=1e-5
        )
    assert len({tuple(z) for z in draws.z.tolist()}) == 4
    # More draws leave the first ones as they are.
    np.testing.assert_array_equal(model.draw(x, k=2, key=jr.key(1)).z, draws.z[:2])


def test_the_closed_form_kl_is_the_mean_of_the_draws():
    posterior = posteriors.DiagonalNormal(jnp.array([0.5, -1.0]), jnp.array([-0.7, 0.2]))
    prior = priors.StandardNormal(2)
    zs = jax.vmap(lambda key: posterior.sample(key=key))(jr.split(jr.key(0), 200_000))
    log_ratio = jax.vmap(posterior.log_prob)(zs) - jax.vmap(prior.log_prob)(zs)
    np.testing.assert_allclose(
        posterior.kl(prior), jnp.mean(log_ratio), atol=4 * float(jnp.std(log_ratio)) / 447
    )


def test_densities_over_z_integrate_to_one():
    grid = jnp.linspace(-9, 9, 601)
    zs = jnp.stack(jnp.meshgrid(grid, grid), -1).reshape(-1, 2)
    posterior = posteriors.DiagonalNormal(jnp.array([0.5, -1.0]), jnp.array([-0.7, 0.2]))
    for distribution in (posterior, priors.StandardNormal(2)):
        mass = jnp.sum(jnp.exp(jax.vmap(distribution.log_prob)(zs))) * (grid[1] - grid[0]) ** 2
        np.testing.assert_allclose(mass, 1, atol=1e-4)


def test_a_user_s_own_encoder_fits_in_one_line():
    model = zoo.MLPVAE(3, 2, key=jr.key(0))
    mine = eqx.nn.MLP(3, 4, 16, 1, key=jr.key(1))
    model = eqx.tree_at(lambda m: m.encoder, model, mine)
    result = zoo.fit(model, np.zeros((4, 3), np.float32), batch_size=2, progress=False, key=jr.key(2))
    assert isinstance(result.model.encoder, eqx.nn.MLP)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda key: zoo.ConvVAE((1, 28, 30), 2, key=key), r"\(1, 28, 30\).*divide by 4"),
        (lambda key: zoo.ConvVAE((1, 28, 0), 2, key=key), "divide by 4"),
        (lambda key: zoo.ConvVAE((1, 28, 28), 0, key=key), "latent_size=0"),
        (lambda key: zoo.MLPVAE(3, 0, key=key), "latent_size=0"),
        (lambda key: zoo.MLPVAE(0, 2, key=key), r"\(0,\)"),
        (lambda key: zoo.ConvVAE((1, 28, 28), 2, norm="layer", key=key), "layer"),
        (lambda key: priors.StandardNormal(0), "latent_size=0"),
    ],
)
def test_models_that_cannot_be_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build(jr.key(0))
