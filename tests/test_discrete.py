"""Categorical latents: everything is held against the sum over all codes of a model small enough for it."""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
import scipy.stats
from same import assert_same

import zoo
from zoo import estimators, likelihoods, nn, objectives, posteriors, priors
from zoo.models import DiscreteVAE


VARIABLES, CLASSES = 2, 3
CODES = np.array(list(itertools.product(range(CLASSES), repeat=VARIABLES)))
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[CODES]  # every z: (9, 2, 3)
XS = np.random.default_rng(0).integers(0, 2, size=(4, 5)).astype(np.float32)
SMALL = nn.fully_connected(width_size=8, depth=1)


def tiny(**options):
    options = dict(networks=SMALL, likelihood=likelihoods.bernoulli) | options
    return DiscreteVAE(5, VARIABLES, CLASSES, **options, key=jr.key(0))


def sharpened(model):
    """The same model with a posterior far from uniform, and a decoder to which the code matters."""
    louder = lambda network: jax.tree.map(lambda leaf: 1.5 * leaf if eqx.is_inexact_array(leaf) else leaf, network)
    return eqx.tree_at(lambda m: (m.encoder, m.decoder), model, (louder(model.encoder), louder(model.decoder)))


def log_joint(model, x):
    """log p(x, z) of every code."""
    return np.asarray(_log_joint(model, x), np.float64)


@eqx.filter_jit
def _log_joint(model, x):
    log_likelihood = jax.vmap(lambda z: model.likelihood.log_prob(model.decode(z), x))(ONE_HOT)
    return log_likelihood + jax.vmap(model.latent_prior.log_prob)(ONE_HOT)


@pytest.fixture(scope="module")
def model():
    prior = eqx.tree_at(lambda p: p.logits, priors.Categorical(VARIABLES, CLASSES), jr.normal(jr.key(3), (2, 3)))
    return sharpened(tiny(prior=prior))


def test_bounds_are_ordered_below_the_sum_over_all_codes(model):
    exact = np.array([scipy.special.logsumexp(log_joint(model, jnp.asarray(x))) for x in XS])

    def expected(objective, k):
        values = zoo.bound(model, np.repeat(XS, 3000, axis=0), objective=objective, k=k, key=jr.key(1))
        values = np.asarray(values, np.float64).reshape(len(XS), -1)
        return values.mean(1), values.std(1) / 3000**0.5

    elbo, elbo_error = expected(objectives.elbo, 1)
    iwae, iwae_error = expected(objectives.iwae, 4)
    assert np.all(elbo < iwae)
    assert np.all(iwae < exact + 4 * iwae_error)
    # The bound's own value, by enumeration.
    log_q = jax.jit(jax.vmap(lambda x: jax.vmap(model.posterior(x).log_prob)(ONE_HOT)))(XS)
    log_q = np.asarray(log_q, np.float64)
    joint = np.stack([log_joint(model, jnp.asarray(x)) for x in XS])
    truth = np.sum(np.exp(log_q) * (joint - log_q), axis=1)
    assert np.all(np.abs(elbo - truth) < 4 * elbo_error)
    np.testing.assert_allclose(np.exp(log_q).sum(1), 1, rtol=1e-5)
    estimate = zoo.log_likelihood(model, XS, k=4000, key=jr.key(2))
    relative_variance = np.sum(np.exp(2 * joint - log_q - 2 * exact[:, None]), axis=1) - 1
    assert np.all(np.abs(estimate - exact) < 4 * (relative_variance / 4000) ** 0.5)
    assert np.all(relative_variance < 20)  # the line above says something


@pytest.mark.parametrize("learned", [False, True])
def test_the_divergence_is_the_sum_over_all_codes(learned):
    logits = 2 * jr.normal(jr.key(0), (VARIABLES, CLASSES))
    prior = priors.UniformCategorical(VARIABLES, CLASSES)
    if learned:
        prior = eqx.tree_at(
            lambda p: p.logits, priors.Categorical(VARIABLES, CLASSES), jr.normal(jr.key(1), (VARIABLES, CLASSES))
        )
    posterior = posteriors.Categorical(logits, 1.0)
    log_probs = lambda zs: (jax.vmap(posterior.log_prob)(zs), jax.vmap(prior.log_prob)(zs), posterior.kl(prior))
    log_q, log_p, kl = map(np.asarray, jax.jit(log_probs)(ONE_HOT))
    np.testing.assert_allclose(np.sum(np.exp(log_p)), 1, rtol=1e-5)
    np.testing.assert_allclose(kl, np.sum(np.exp(log_q) * (log_q - log_p)), rtol=1e-5)
    assert posterior.kl(priors.StandardNormal(2)) is None


@pytest.mark.parametrize("kind", ["posterior", "uniform", "learned"])
def test_samples_are_one_hot_and_follow_their_probabilities(kind):
    logits = jr.normal(jr.key(0), (VARIABLES, CLASSES))
    distribution = {
        "posterior": posteriors.Categorical(logits, 0.7),
        "uniform": priors.UniformCategorical(VARIABLES, CLASSES),
        "learned": eqx.tree_at(lambda p: p.logits, priors.Categorical(VARIABLES, CLASSES), logits),
    }[kind]
    zs = np.asarray(jax.jit(jax.vmap(lambda key: distribution.sample(key=key)))(jr.split(jr.key(1), 5000)))
    assert set(np.unique(zs)) == {0, 1}  # exactly, rounding included
    assert np.all(zs.sum(-1) == 1)
    counts = np.array([np.sum(np.all(zs == code, axis=(1, 2))) for code in ONE_HOT])
    probabilities = np.exp(np.asarray(jax.jit(jax.vmap(distribution.log_prob))(ONE_HOT), np.float64))
    assert scipy.stats.chisquare(counts, 5000 * probabilities / probabilities.sum()).pvalue > 1e-3


def test_the_gradient_of_a_draw_is_that_of_its_relaxation():
    logits = jr.normal(jr.key(0), (VARIABLES, CLASSES))
    weight = jr.normal(jr.key(1), (VARIABLES, CLASSES))
    key, temperature = jr.key(2), 0.6
    noise = jr.gumbel(key, logits.shape)
    relaxed = lambda logits: jnp.sum(weight * jax.nn.softmax((logits + noise) / temperature))
    drawn = lambda logits: jnp.sum(weight * posteriors.Categorical(logits, temperature).sample(key=key))
    np.testing.assert_allclose(jax.grad(drawn)(logits), jax.grad(relaxed)(logits), rtol=1e-5)
    assert float(drawn(logits)) in [float(jnp.sum(weight * z)) for z in ONE_HOT]


def test_a_relaxed_model_trains_on_points_inside_the_simplex_and_is_frozen_to_exact_draws(model):
    relaxed = tiny(straight_through=False, temperature=0.4)
    in_training = jax.vmap(lambda x: relaxed.draw(x, k=20, key=jr.key(1)).z, axis_name="batch")
    z = jax.jit(in_training)(jnp.asarray(XS))
    np.testing.assert_allclose(z.sum(-1), 1, rtol=1e-5)
    assert np.mean((z > 0.01) & (z < 0.99)) > 0.1
    for judge in (
        lambda m: zoo.log_likelihood(m, XS, k=2, key=jr.key(1)),
        lambda m: zoo.bound(m, XS, objective=objectives.elbo, key=jr.key(1)),
        lambda m: zoo.reconstruct(m, XS, key=jr.key(1)),
        lambda m: jax.eval_shape(lambda x: m.draw(x, k=2, key=jr.key(1)), XS[0]),
    ):
        with pytest.raises(ValueError, match="zoo.freeze"):
            judge(relaxed)
    frozen = zoo.freeze(relaxed, XS, key=jr.key(2))
    assert set(np.unique(zoo.evaluate.draw_latents(frozen, XS, key=jr.key(1)))) == {0, 1}
    assert frozen.family == posteriors.StraightThrough(CLASSES, 0.4)
    for a, b in zip(jax.tree.leaves(frozen), jax.tree.leaves(relaxed), strict=True):
        assert not eqx.is_array(a) or np.array_equal(a, b)
    assert zoo.freeze(model, XS, key=jr.key(2)) is model


@pytest.mark.parametrize("straight_through", [True, False])
def test_training_raises_the_bound(straight_through):
    model = tiny(straight_through=straight_through, temperature=0.5)
    xs = np.eye(5, dtype=np.float32)[np.arange(3200) % 5]
    trained = zoo.fit(
        model, xs, objective=objectives.elbo_kl, k=2, batch_size=32, epochs=3, optimiser=optax.adam(1e-2),
        held_out=None if straight_through else xs[:5], progress=False, key=jr.key(0),
    )  # fmt: skip
    frozen = zoo.freeze(trained.model, xs, key=jr.key(1))
    exact = lambda model: np.mean([scipy.special.logsumexp(log_joint(model, jnp.asarray(x))) for x in xs[:5]])
    assert exact(frozen) > exact(zoo.freeze(model, xs, key=jr.key(1))) + 0.5


@pytest.mark.parametrize("straight_through", [True, False])
@pytest.mark.parametrize("estimator", [estimators.stl, estimators.dreg])
def test_estimators_that_need_exact_gradients_refuse(estimator, straight_through):
    model = tiny(straight_through=straight_through)
    with pytest.raises(ValueError, match="exactly reparameterised.*estimators.reparameterised"):
        eqx.filter_eval_shape(zoo.loss, model, XS, objective=objectives.elbo, estimator=estimator, key=jr.key(0))


def test_the_other_estimators_reach_both_networks(model):
    @eqx.filter_jit
    def gradients(model):
        loss = functools.partial(zoo.loss, objective=objectives.iwae, k=3, key=jr.key(0))
        both = (estimators.reparameterised, estimators.detached)
        return [
            eqx.filter_grad(functools.partial(loss, estimator=estimator))(model, jnp.asarray(XS)) for estimator in both
        ]

    for gradient in gradients(model):
        for part in (gradient.encoder, gradient.decoder, gradient.prior):
            assert any(np.any(leaf != 0) for leaf in jax.tree.leaves(part))
            assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(part))


def test_a_model_is_saved_and_loaded(tmp_path):
    for model in (tiny(), tiny(straight_through=False)):
        zoo.save(tmp_path / "model", model)
        loaded = zoo.load(tmp_path / "model")
        assert loaded.family == model.family
        assert_same(loaded, model)


def test_images_take_convolutions():
    model = eqx.filter_eval_shape(DiscreteVAE, (1, 4, 4), 3, 4, key=jr.key(0))
    assert isinstance(model.encoder, nn.StridedEncoder)
    draws = eqx.filter_eval_shape(lambda m, x: m.draw(x, k=5, key=jr.key(1)), model, jnp.zeros((1, 4, 4)))
    assert draws.z.shape == (5, 3, 4)


def test_a_fitted_prior_is_the_mean_posterior():
    model = DiscreteVAE((1, 2, 2), 3, 4, networks=SMALL, likelihood=likelihoods.gaussian(), key=jr.key(0))
    xs = np.random.default_rng(1).uniform(size=(32, 1, 2, 2)).astype(np.float32)
    assert zoo.sample(model, 2, key=jr.key(1)).shape == (2, 1, 2, 2)
    assert zoo.evaluate.encode(model, xs, key=jr.key(1)).shape == (32, 3, 4)
    with pytest.raises(ValueError, match="mixture of normals.*DiscreteVAE"):
        zoo.fit_prior(model, xs, components=2, key=jr.key(2))
    fitted = zoo.fit_prior(
        model, xs, prior=priors.Categorical(3, 4), epochs=100, batch_size=16, learning_rate=0.05, key=jr.key(2)
    )
    # The best product of categoricals is the mean posterior.
    mean = np.mean(zoo.evaluate.encode(model, xs, key=jr.key(1)), axis=0)
    np.testing.assert_allclose(jax.nn.softmax(fitted.prior.logits), mean, atol=0.1)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: DiscreteVAE(5, 0, 3, key=jr.key(0)), "num_variables=0"),
        (lambda: DiscreteVAE(5, 2, 1, key=jr.key(0)), r"num_classes=1\).*num_classes >= 2"),
        (lambda: tiny(temperature=0.0), r"temperature=0.0\)"),
        (lambda: tiny(temperature=float("inf"), straight_through=False), "GumbelSoftmax.temperature=inf"),
        (lambda: tiny(prior=priors.UniformCategorical(3, 3)), "in 2 variables of 3 classes, .* in 3 variables of 3"),
        (lambda: DiscreteVAE((1, 0, 8), key=jr.key(0)), "of a picture"),
        (lambda: priors.UniformCategorical(2, 1), "num_classes=1"),
        (lambda: priors.Categorical(0, 2), "num_variables=0"),
        (lambda: posteriors.StraightThrough(1), "num_classes=1"),
    ],
)
def test_models_that_cannot_be_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
