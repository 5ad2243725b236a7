"""`zoo.VAE` of anybody's networks, dropout among them; what does not fit together is refused where it is built."""

import functools
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import zoo
from zoo import likelihoods, nn, objectives, penalties, posteriors, priors
from zoo.train import _fit


KEY = jr.key(0)
XS = np.asarray(jr.normal(jr.key(1), (64, 3)), np.float32)
SMALL = nn.fully_connected(width_size=4, depth=1)
mlp = lambda a, b: eqx.nn.MLP(a, b, 4, 1, key=KEY)
vae = functools.partial(zoo.VAE, data_shape=3, latent_size=2)


def with_dropout(a, b):
    first, last = eqx.nn.Linear(a, 16, key=jr.key(2)), eqx.nn.Linear(16, b, key=jr.key(3))
    return nn.Stochastic(eqx.nn.Sequential([first, eqx.nn.Lambda(jnp.tanh), eqx.nn.Dropout(0.5), last]))


def test_a_model_of_ones_own_modules_is_trained_scored_and_sampled():
    model = vae(mlp(3, 4), mlp(2, 6), likelihood=likelihoods.gaussian_learned)
    result = zoo.fit(model, XS, objective=objectives.iwae, k=2, batch_size=32, epochs=3, progress=False, key=KEY)
    assert type(result.model) is zoo.VAE
    assert np.isfinite(zoo.log_likelihood(result.model, XS[:4], k=5, key=KEY)).all()
    assert zoo.sample(result.model, 5, key=KEY).shape == (5, 3)


def test_named_models_are_built_by_the_same_path():
    """An `MLPVAE` and a `VAE` of its networks are the same function of the same weights."""
    named = zoo.MLPVAE(3, 2, networks=SMALL, key=KEY)
    own = vae(named.encoder, named.decoder)
    drawn = [jax.jit(lambda x: model.draw(x, k=3, key=KEY))(XS[0]) for model in (named, own)]
    assert all(map(np.array_equal, *map(jax.tree.leaves, drawn)))
    options = zoo.MLPVAE(3, 2, width_size=4, depth=1, key=KEY)
    assert eqx.tree_equal(named, options)


@pytest.mark.parametrize(
    "build",
    [
        lambda networks: zoo.MLPVAE((1, 8, 8), 2, networks=networks, key=KEY),
        lambda networks: zoo.ConvVAE((1, 8, 8), 2, networks=networks, key=KEY),
        lambda networks: zoo.ResNetVAE((1, 8, 8), 2, networks=networks, key=KEY),
        lambda networks: zoo.ConditionalVAE((1, 8, 8), 2, num_classes=3, networks=networks, key=KEY).given(0),
        lambda networks: zoo.HierarchicalVAE((1, 8, 8), (3, 2), networks=networks, key=KEY),
        lambda networks: zoo.DiscreteVAE((1, 8, 8), 2, 3, networks=networks, key=KEY),
    ],
)
@pytest.mark.parametrize("networks", [SMALL, nn.strided(width_size=4), nn.residual(width_size=4)])
def test_every_model_takes_every_networks(build, networks):
    draw = lambda x: build(networks).draw(x, k=2, key=KEY)
    assert jax.eval_shape(draw, jnp.zeros((1, 8, 8))).log_likelihood.shape == (2,)


def test_codes_take_networks_too():
    model = zoo.VQVAE((1, 8, 8), codebook_size=4, code_size=2, networks=nn.grid(width_size=4), key=KEY)
    like = zoo.VQVAE((1, 8, 8), codebook_size=4, code_size=2, width_size=4, key=KEY)
    assert eqx.tree_equal(model, like)


R2, R3, SPHERE = priors.StandardNormal(2), priors.StandardNormal(3), priors.UniformSphere(3)
CODES = priors.UniformCodes((2, 2), 4)


@pytest.mark.parametrize(
    "build, message",
    [
        (
            lambda: zoo.MLPVAE(3, 3, posterior=posteriors.VonMisesFisher, prior=R3, key=KEY),
            "unit sphere in R.3, .* in R.3",
        ),
        (lambda: zoo.MLPVAE(3, 3, posterior=posteriors.VonMisesFisher, key=KEY), "StandardNormal` in R.3"),
        (lambda: zoo.MLPVAE(3, 3, prior=SPHERE, key=KEY), "DiagonalNormal` lives in R.3, .*UniformSphere` in the unit"),
        (lambda: zoo.MLPVAE(3, 2, prior=R3, key=KEY), "in R.2, .* in R.3"),
        (lambda: zoo.MLPVAE(3, 2, prior=priors.MixtureOfNormals(3, 2, key=KEY), key=KEY), "in R.2, .* in R.3"),
        (lambda: zoo.MLPVAE(3, 2, prior=CODES, key=KEY), "2 x 2 places of 4 codes"),
        (
            lambda: zoo.MLPVAE(3, 2, prior=priors.VampPrior(np.ones((2, 4), np.float32)), key=KEY),
            "pseudo-inputs of shape",
        ),
        (lambda: zoo.MLPVAE(3, 2, prior=priors.ConditionalNormal(3, 2, key=KEY), key=KEY), "needs a label"),
        (
            lambda: zoo.DiscreteVAE(3, 2, 3, prior=priors.Categorical(3, 3), key=KEY),
            "2 variables of 3 classes, .* 3 vari",
        ),
        (lambda: zoo.DiscreteVAE(3, 2, 3, prior=R2, key=KEY), "StandardNormal` in R.2"),
        (lambda: zoo.VQVAE((1, 8, 8), codebook_size=5, prior=CODES, key=KEY), "2 x 2 places of 5 codes, .* of 4 codes"),
        (lambda: zoo.VQVAE((1, 8, 8), prior=R2, key=KEY), "StandardNormal` in R.2"),
        (lambda: zoo.HierarchicalVAE(3, (3, 2), prior=R3, key=KEY), "highest layer, which lives in R.2.*R.3"),
        (lambda: zoo.HierarchicalVAE(3, (3, 2), posterior=posteriors.VonMisesFisher, key=KEY), "layers in the unit"),
        (lambda: zoo.ConditionalVAE(3, 2, num_classes=3, prior=R3, key=KEY), "in R.2, .* in R.3"),
        (lambda: zoo.ConvVAE(networks=nn.strided(), width_size=3, key=KEY), r"nn.strided\(width_size=3\)"),
        (lambda: zoo.MLPVAE(3, networks=SMALL, depth=3, key=KEY), r"nn.fully_connected\(depth=3\)"),
        (lambda: vae(mlp(3, 5), mlp(2, 3)), r"gives an array of shape \(5,\), but this posterior takes \(4,\)"),
        (lambda: vae(mlp(4, 4), mlp(2, 3)), r"cannot take one example, an array of shape \(3,\)"),
        (lambda: vae(mlp(3, 4), mlp(2, 4)), r"parameters of shape \(4,\), but the likelihood takes \(3,\)"),
        (lambda: vae(mlp(3, 4), mlp(5, 3)), "decoder cannot take a latent from R.2"),
        (lambda: vae(mlp(3, 4), mlp(2, 3), prior=SPHERE), "unit sphere"),
        (lambda: zoo.VAE(mlp(3, 4), mlp(2, 3), data_shape=3, latent_size=0), "latent_size=0"),
    ],
)
def test_what_does_not_fit_together_is_refused_where_it_is_built(build, message):
    with pytest.raises(ValueError, match=message):
        eqx.filter_eval_shape(build)


def test_a_pair_on_different_spaces_is_refused_however_it_came_about():
    model = eqx.tree_at(lambda m: m.prior, zoo.MLPVAE(3, 3, networks=SMALL, key=KEY), SPHERE)
    for judge in (
        lambda: model.draw(jnp.asarray(XS[0]), k=1, key=KEY),
        lambda: zoo.log_likelihood(model, XS, k=1, key=KEY),
        lambda: zoo.fit(model, XS, batch_size=8, progress=False, key=KEY),
    ):
        with pytest.raises(ValueError, match="unit sphere in R.3"):
            judge()


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(objective=objectives.elbo_kl), "no closed-form KL"),
        (
            dict(objective=lambda draws: draws.log_weight, k=3),
            "a scalar for the draws of one example, got .* .3,.",
        ),
        (dict(penalties=[penalties.DecoderGradient()]), "deterministic autoencoder"),
        (dict(penalties=[penalties.commitment]), "codebook"),
    ],
)
def test_fit_refuses_what_cannot_judge_this_model_before_anything_compiles(options, message, monkeypatch):
    model = zoo.MLPVAE(3, 2, networks=SMALL, prior=priors.MixtureOfNormals(2, 3, key=KEY), key=KEY)
    monkeypatch.setattr(jax.stages.Lowered, "compile", lambda *_: pytest.fail("something was compiled"))
    monkeypatch.setattr(_fit, "run_block", lambda *_: pytest.fail("a step was taken"))
    with pytest.raises(ValueError, match=message):
        zoo.fit(model, XS, batch_size=8, progress=False, key=KEY, **options)


def test_bound_takes_a_function_of_several_numbers():
    model = zoo.MLPVAE(3, 2, networks=SMALL, key=KEY)
    both = lambda draws: jnp.stack([objectives.elbo(draws), objectives.iwae(draws)])
    values = zoo.bound(model, XS[:4], objective=both, k=2, key=KEY)
    for i, one in enumerate((objectives.elbo, objectives.iwae)):
        np.testing.assert_allclose(values[:, i], zoo.bound(model, XS[:4], objective=one, k=2, key=KEY), rtol=1e-6)


def test_dropout_is_random_in_training_and_gone_when_frozen():
    model = vae(with_dropout(3, 4), with_dropout(2, 3))
    loss = eqx.filter_jit(lambda model, key: zoo.loss(model, jnp.asarray(XS), objective=objectives.elbo, key=key))
    plain = eqx.tree_at(lambda m: (m.encoder, m.decoder), model, replace_fn=lambda network: network.frozen())
    # The same draws, so what differs is what was dropped.
    assert loss(model, jr.key(4)) != loss(plain, jr.key(4))
    assert loss(model, jr.key(4)) == loss(model, jr.key(4))
    with pytest.raises(ValueError, match="`Stochastic` needs a key"):
        model.posterior(jnp.asarray(XS[0]))
    with pytest.raises(ValueError, match="zoo.freeze"):
        zoo.log_likelihood(model, XS, k=1, key=KEY)
    result = zoo.fit(model, XS, held_out=XS, batch_size=32, epochs=1, progress=False, key=KEY)
    frozen = zoo.freeze(result.model, XS, key=KEY)
    assert np.isfinite(zoo.log_likelihood(frozen, XS[:3], k=2, key=KEY)).all()
    assert frozen.posterior(jnp.asarray(XS[0])).space == posteriors.DiagonalNormal.from_params(jnp.zeros(4)).space


def test_a_norm_inside_ones_own_module_becomes_the_population_s():
    class Encoder(eqx.Module):
        norm: nn.BatchNorm
        last: eqx.nn.Linear
        activation: Callable = jax.nn.relu  # no parameter: the module is held in a `Partitioned`

        def __call__(self, x):
            return self.last(self.activation(self.norm(x[None, None])[0, 0]))

    model = vae(Encoder(nn.BatchNorm(3, axis_names=("batch",)), eqx.nn.Linear(3, 4, key=KEY)), mlp(2, 3))
    assert isinstance(model.encoder, nn.Partitioned) and len(nn.batch_norms(model)) == 1
    trained = zoo.fit(model, XS, batch_size=32, progress=False, key=KEY).model
    assert np.isfinite(zoo.log_likelihood(zoo.freeze(trained, XS, key=KEY), XS[:3], k=2, key=KEY)).all()
    frozen = zoo.freeze(model, XS, key=KEY)
    out = jax.vmap(frozen.encoder.module.norm)(jnp.asarray(XS)[:, None, None])
    np.testing.assert_allclose(np.mean(out, axis=0), np.zeros((1, 1, 3)), atol=1e-5)
    np.testing.assert_allclose(np.std(out, axis=0), np.ones((1, 1, 3)), rtol=1e-4)


def test_each_example_drops_units_of_its_own_and_half_of_them():
    network = nn.Stochastic(eqx.nn.Dropout(0.5))
    keys = jr.split(KEY, 400)
    kept = jax.vmap(lambda key: nn.give_keys(network, key=key)(jnp.ones(10)))(keys)
    assert set(np.unique(kept)) == {0.0, 2.0}
    assert abs(float(kept.mean()) - 1) < 4 / np.sqrt(4000)
    assert len(np.unique(np.asarray(kept), axis=0)) > 200
    pair = nn.give_keys((network, network), key=KEY)
    assert not np.array_equal(jr.key_data(pair[0].key), jr.key_data(pair[1].key))
    assert np.array_equal(network.frozen()(jnp.ones(10)), np.ones(10))
