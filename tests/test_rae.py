"""Deterministic autoencoders, and priors of any kind fitted after training."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
import scipy.stats
from linear_gaussian import linear_gaussian
from moved import moved

import zoo
from zoo import estimators, likelihoods, objectives, penalties, posteriors, priors
from zoo.train._freeze import _score


XS = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)


def tiny(**options):
    options = dict(width_size=8, depth=1, posterior=posteriors.Point, likelihood=likelihoods.gaussian(0.5)) | options
    return zoo.MLPVAE(3, 2, **options, key=jr.key(0))


@pytest.fixture(scope="module")
def trained():
    settings = dict(objective=objectives.reconstruction, penalties=[penalties.latent_norm], batch_size=16, epochs=2)
    settings["optimiser"] = optax.adam(1e-2)
    return zoo.fit(tiny(), np.tile(XS, (10, 1)), **settings, held_out=XS, progress=False, key=jr.key(1))


def test_the_objective_is_the_log_likelihood_at_the_code():
    model, x = tiny(), jnp.asarray(XS[0])
    draws = model.draw(x, k=3, key=jr.key(0))
    np.testing.assert_array_equal(draws.z, jnp.broadcast_to(model.encoder(x), (3, 2)))
    truth = scipy.stats.norm(np.asarray(model.decoder(model.encoder(x))), 0.5).logpdf(XS[0]).sum()
    np.testing.assert_allclose(objectives.reconstruction(draws), truth, rtol=1e-5)


def test_the_loss_is_the_paper_s():
    model, xs = tiny(), jnp.asarray(XS)
    value = eqx.filter_jit(zoo.loss)(
        model, xs, objective=objectives.reconstruction, k=2, key=jr.key(0),
        penalties=[lambda draws, *, key: penalties.latent_norm(draws, weight=0.3, key=key)],
    )  # fmt: skip
    zs = np.asarray(jax.jit(jax.vmap(model.encoder))(xs))
    means = np.asarray(jax.jit(jax.vmap(model.decoder))(zs))
    reconstruction = scipy.stats.norm(means, 0.5).logpdf(XS).sum(1).mean()
    np.testing.assert_allclose(value, -reconstruction + 0.3 * 0.5 * (zs**2).sum(1).mean(), rtol=1e-5)
    with pytest.raises(ValueError, match="weight=-1"):
        draw = jax.vmap(lambda x: model.draw(x, k=1, key=jr.key(0)))
        jax.eval_shape(lambda xs: penalties.latent_norm(draw(xs), weight=-1), xs)


def test_the_gradient_penalty_is_the_jacobian_s_squared_norm():
    """Of a decoder of two layers, its Jacobian in closed form; and the same for each label of a conditional model."""
    model, xs = tiny(activation=jnp.tanh), jnp.asarray(np.tile(XS, (40, 1)))
    penalty = penalties.DecoderGradient(0.3)
    value = lambda model, xs, ys=None, penalty=penalty: zoo.loss(
        model, xs, ys=ys, objective=lambda draws: 0.0 * draws.log_likelihood[0], penalties=[penalty], key=jr.key(0)
    )
    first, second = (np.asarray(layer.weight, np.float64) for layer in model.decoder.layers.layers[::2])
    zs = np.asarray(jax.vmap(model.encoder)(xs), np.float64)
    slope = 1 - np.tanh(zs @ first + np.asarray(model.decoder.layers.layers[0].bias)) ** 2
    jacobians = np.einsum("zh,nh,hx->nzx", first, slope, second)
    np.testing.assert_allclose(eqx.filter_jit(value)(model, xs), 0.3 * (jacobians**2).sum((1, 2)).mean(), rtol=0.05)
    # With a single pixel every v gives the norm itself, and its gradient reaches the decoder.
    conditional = moved(zoo.ConditionalVAE(
        1, 2, num_classes=2, networks=zoo.nn.fully_connected(width_size=4, depth=1), posterior=posteriors.Point,
        likelihood=likelihoods.gaussian(), key=jr.key(0),
    ))  # fmt: skip
    xs, ys = xs[:4, :1], jnp.array([0, 1, 1, 0])
    here = lambda model, x, y: (lambda m: jax.grad(lambda z: m.decode(z)[0])(m.posterior(x).mean))(model.given(y))
    exact = lambda model: 0.3 * jnp.mean(jnp.sum(jax.vmap(lambda x, y: here(model, x, y))(xs, ys) ** 2, axis=1))
    ours = eqx.filter_jit(eqx.filter_value_and_grad(value))(conditional, xs, ys)
    plain = eqx.filter_jit(eqx.filter_value_and_grad(exact))(conditional)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="weight=-1"):
        penalties.DecoderGradient(-1.0)
    with pytest.raises(ValueError, match="DecoderGradient. needs the model"):
        value(model, jnp.asarray(XS[:4]), penalty=lambda draws, *, key: 2 * penalties.DecoderGradient()(draws, key=key))


def test_the_gradient_penalty_smooths_the_decoder():
    settings = dict(objective=objectives.reconstruction, batch_size=16, epochs=3, progress=False, key=jr.key(1))
    settings["optimiser"] = optax.adam(1e-2)
    xs, slope = np.tile(XS, (4, 1)), {}
    for weight in (0.0, 100.0):
        model = zoo.fit(tiny(), xs, penalties=[penalties.DecoderGradient(weight)], **settings).model
        jacobian = jax.jit(jax.vmap(jax.jacrev(lambda x: model.decoder(model.encoder(x)), argnums=0)))
        slope[weight] = float(jnp.mean(jacobian(jnp.asarray(XS)) ** 2))
    assert slope[100.0] < 0.5 * slope[0.0]


@pytest.mark.parametrize(
    "objective",
    [objectives.elbo, objectives.iwae, objectives.wake_theta, objectives.wake_phi]
    + [lambda draws: objectives.beta_elbo(draws, beta=2.0), lambda draws: objectives.renyi(draws, alpha=0.5)]
    + [lambda draws: objectives.piwae(draws, m=1), lambda draws: objectives.free_bits(draws, nats=0.1)],
)
def test_bounds_of_a_point_are_refused(objective):
    with pytest.raises(ValueError, match="`Point` has no density.*objectives.reconstruction"):
        eqx.filter_eval_shape(zoo.loss, tiny(), XS, objective=objective, k=2, key=jr.key(0))


def test_scores_and_estimators_of_a_point_are_refused():
    with pytest.raises(ValueError, match="`Point` has no density"):
        zoo.log_likelihood(tiny(), XS, k=2, key=jr.key(0))
    with pytest.raises(ValueError, match="closed-form KL"):
        zoo.bound(tiny(), XS, objective=objectives.elbo_kl, key=jr.key(0))
    for estimator in (estimators.stl, estimators.dreg):
        with pytest.raises(ValueError, match="`Point` has none such"):
            settings = dict(objective=objectives.reconstruction, estimator=estimator, key=jr.key(0))
            eqx.filter_eval_shape(zoo.loss, tiny(), XS, **settings)


def test_training_reconstructs_and_its_history_claims_no_bound(trained):
    rows = [row for row in trained.history if row["split"] == "train"]
    assert rows[-1]["log_likelihood"] > rows[0]["log_likelihood"] + 0.5
    assert np.isnan(rows[-1]["elbo"]) and np.isnan(rows[-1]["rate"])
    values = zoo.bound(trained.model, XS, objective=objectives.reconstruction, key=jr.key(0))
    held_out = [row["objective"] for row in trained.history if row["split"] == "held_out"]
    np.testing.assert_allclose(np.mean(values), held_out[-1], rtol=1e-5)


def test_a_fitted_prior_makes_a_generative_model_of_it(trained, tmp_path):
    fitted = zoo.fit_prior(trained.model, XS, components=4, key=jr.key(2))
    codes = np.asarray(zoo.encode(trained.model, XS, key=jr.key(0)))
    zs = np.asarray(jax.vmap(lambda key: fitted.prior.sample(key=key))(jr.split(jr.key(3), 4000)))
    np.testing.assert_allclose(zs.mean(0), codes.mean(0), atol=0.15)
    np.testing.assert_allclose(np.cov(zs.T), np.cov(codes.T), atol=0.25)
    zoo.save(tmp_path / "model", fitted)
    loaded = zoo.load(tmp_path / "model")
    np.testing.assert_array_equal(zoo.sample(loaded, 3, key=jr.key(4)), zoo.sample(fitted, 3, key=jr.key(4)))


def test_the_recipe_s_weight_decay_is_the_square_of_the_decoder_s_weights():
    """Ghosh et al.'s L2 regulariser, as the docstring of `posteriors.Point` has it."""

    def of_the_decoder(params):
        nothing = jax.tree.map(lambda leaf: False, params)
        return eqx.tree_at(lambda m: m.decoder, nothing, jax.tree.map(lambda leaf: True, params.decoder))

    leaves = lambda part: jax.tree.leaves(eqx.filter(part, eqx.is_inexact_array))
    after = []
    for rate in (0.0, 0.2):
        optimiser = optax.chain(optax.add_decayed_weights(rate, mask=of_the_decoder), optax.sgd(1e-2))
        state = zoo.TrainState(tiny(), optimiser, key=jr.key(1))
        settings = dict(objective=objectives.reconstruction, optimiser=optimiser)
        after.append(zoo.step(state, jnp.asarray(XS), **settings)[0].model)
    # The gradient of lambda / 2 |theta|^2, added to that of the loss.
    for before, plain, shrunk in zip(*(leaves(m.decoder) for m in (tiny(), *after)), strict=True):
        np.testing.assert_allclose(shrunk, plain - 1e-2 * 0.2 * before, atol=1e-6)
    for plain, shrunk in zip(*(leaves(m.encoder) for m in after), strict=True):
        np.testing.assert_allclose(shrunk, plain, atol=1e-7)


def test_freezing_needs_no_density():
    """What `freeze` measures layers with is the draws' terms, of which a point lacks one."""
    x = jnp.asarray(XS[0])
    assert jax.eval_shape(lambda x: _score(tiny(), x, None, zoo.data.scale, jr.key(0)), x).shape == ()


def test_a_normal_fitted_by_adam_is_the_aggregated_posterior():
    """With a linear encoder the aggregated posterior is normal, and its moments are known."""
    model = linear_gaussian()
    xs = np.random.default_rng(1).normal(size=(500, 3)).astype(np.float32)
    layer = model.encoder.layers.layers[0]
    gain, bias = np.asarray(layer.weight), np.asarray(layer.bias)
    fitted = zoo.fit_prior(
        model, xs, prior=priors.Normal(2), epochs=100, batch_size=100, learning_rate=0.02, key=jr.key(0)
    )
    mean = (xs @ gain + bias)[:, :2]
    np.testing.assert_allclose(fitted.prior.mean, mean.mean(0), atol=0.1)
    variance = mean.var(0) + np.exp(2 * bias[2:])
    np.testing.assert_allclose(np.exp(2 * np.asarray(fitted.prior.log_scale)), variance, rtol=0.15)


def test_a_flow_fitted_afterwards_gains_on_unseen_examples():
    model = linear_gaussian()
    rng = np.random.default_rng(2)
    ring = lambda n: (4 * np.sign(rng.normal(size=(n, 1))) + rng.normal(size=(n, 3))).astype(np.float32)
    xs, unseen = ring(256), ring(256)
    fitted = zoo.fit_prior(
        model, xs, prior=priors.FlowPrior(2, 1, 8, key=jr.key(0)), epochs=40, batch_size=64, learning_rate=0.01,
        key=jr.key(1),
    )  # fmt: skip
    bound = lambda m: np.mean(zoo.bound(m, unseen, objective=objectives.elbo, k=10, key=jr.key(1)))
    assert bound(fitted) > bound(model) + 0.1
    assert jnp.array_equal(fitted.decode(jnp.ones(2)), model.decode(jnp.ones(2)))


@pytest.mark.parametrize(
    "prior",
    [
        priors.ConditionalNormal(2, 2, width_size=4, key=jr.key(1)),
        priors.ConditionalMixture(2, 2, 3, key=jr.key(1)),
    ],
    ids=["normal", "mixture"],
)
def test_a_prior_given_the_label_is_fitted_afterwards(prior):
    model = zoo.ConditionalVAE(
        3, 2, num_classes=2, prior=prior,
        networks=zoo.nn.fully_connected(width_size=8, depth=1), likelihood=likelihoods.gaussian(), key=jr.key(0),
    )  # fmt: skip
    ys = np.arange(64) % 2
    settings = dict(ys=ys, prior=model.prior, epochs=30, batch_size=32, learning_rate=0.01)
    fitted = zoo.fit_prior(model, XS, **settings, key=jr.key(1))
    bound = lambda m: np.mean(zoo.bound(m, XS, ys=ys, objective=objectives.elbo, k=10, key=jr.key(1)))
    assert bound(fitted) > bound(model) + 0.05


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(epochs=0), r"epochs=0\).*epochs >= 1"),
        (dict(batch_size=65), r"batch_size=65\).*1 to 64"),
        (dict(batch_size=0), "batch_size=0"),
        (dict(learning_rate=0.0), "learning_rate=0.0"),
        (dict(prior=priors.StandardNormal(2)), r"StandardNormal.*nothing to learn"),
        (dict(prior=priors.VampPrior(np.zeros((2, 4), np.float32))), r"pseudo-inputs of shape \(4,\)"),
    ],
)
def test_fits_that_cannot_be_are_refused(options, message):
    options = dict(prior=priors.Normal(2), batch_size=16) | options
    with pytest.raises(ValueError, match=message):
        zoo.fit_prior(tiny(), XS, **options, key=jr.key(0))
