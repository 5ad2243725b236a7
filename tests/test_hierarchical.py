"""Several layers of latents: a linear chain whose evidence is known, and densities term by term."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats

import zoo
from zoo import estimators, likelihoods, models, nn, objectives, posteriors, priors


INFERENCE = {"bottom-up": models.BottomUp, "top-down": models.TopDown}
SCALE = 0.5


class Affine(eqx.Module):
    """x -> (W x + b, log-scales)."""

    weight: jax.Array
    bias: jax.Array

    def __call__(self, x):
        return self.weight @ x + self.bias


def linear_chain(inference):
    """z2 ~ N(0, 1), z1 ~ N(A z2 + a, 0.8^2), x ~ N(B z1 + b, 0.5^2): x is normal, moments by hand."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 2)), rng.normal(size=(4, 3))
    link = Affine(
        jnp.asarray(np.vstack([a, np.zeros((3, 2))]), jnp.float32), jnp.array([0.1, -0.2, 0.3] + [np.log(0.8)] * 3)
    )
    decoder = Affine(jnp.asarray(b, jnp.float32), jnp.array([0.5, 0.0, -0.5, 1.0]))
    model = zoo.HierarchicalVAE(
        4, (3, 2), inference=inference, width_size=8, networks=nn.fully_connected(width_size=8),
        likelihood=likelihoods.gaussian(scale=SCALE), key=jr.key(0),
    )  # fmt: skip
    model = eqx.tree_at(lambda m: (m.prior.links, m.decoder), model, ((link,), decoder))
    if inference is models.TopDown:  # evidence so vague that q is the prior: an honest proposal in few dimensions
        biases = lambda m: [head.bias for head in m.inference.heads]
        model = eqx.tree_at(biases, model, [jnp.repeat(jnp.array([0.0, 2.0]), n) for n in (3, 2)])
    mean = b @ np.array([0.1, -0.2, 0.3]) + np.array([0.5, 0.0, -0.5, 1.0])
    covariance = b @ (a @ a.T + 0.64 * np.eye(3)) @ b.T + SCALE**2 * np.eye(4)
    return model, scipy.stats.multivariate_normal(mean, covariance)


def awake(model):
    """The model with what starts at zeros a little off them, so that its layers depend on each other."""

    def nudge(leaf):
        idle = eqx.is_inexact_array(leaf) and not jnp.any(leaf)
        return 0.1 * jr.normal(jr.key(leaf.size), leaf.shape) if idle else leaf

    return jax.tree.map(nudge, model)


@pytest.mark.parametrize("inference", INFERENCE.values(), ids=INFERENCE)
def test_the_bounds_climb_to_the_evidence_of_a_linear_chain(inference):
    model, truth = linear_chain(inference)
    xs = truth.rvs(4, random_state=1).astype(np.float32)
    exact = truth.logpdf(xs)
    bound = lambda objective, k: np.asarray(
        jnp.mean(jnp.stack([zoo.bound(model, xs, objective=objective, k=k, key=jr.key(i)) for i in range(8)]), axis=0)
    )
    elbo, iwae = bound(objectives.elbo, 50), bound(objectives.iwae, 50)
    assert np.all(elbo < iwae)
    assert np.all(iwae < exact + 0.5)
    # The untrained posterior is far off: many draws, and a loose tolerance, still tell a missing term.
    wide = eqx.tree_at(lambda m: m.prior, model, model.prior)
    np.testing.assert_allclose(zoo.log_likelihood(wide, xs, k=50_000, key=jr.key(2)), exact, atol=0.3)


@pytest.mark.parametrize("inference", INFERENCE.values(), ids=INFERENCE)
def test_samples_follow_the_density_layer_by_layer(inference):
    """Self-normalisation: E_q[p(z) / q(z)] = 1 and E_p[q(z) / p(z)] = 1, both with light-tailed ratios."""
    model = zoo.HierarchicalVAE(
        3, (2, 2, 1), inference=inference, width_size=8, networks=nn.fully_connected(width_size=8),
        likelihood=likelihoods.gaussian(scale=SCALE), key=jr.key(0),
    )  # fmt: skip
    model = awake(model)

    @jax.jit
    def log_probs(keys):
        posterior, prior = model.posterior(jnp.array([0.3, -0.2, 0.4])), model.prior
        draws = [jax.vmap(lambda key: part.sample(key=key))(keys) for part in (posterior, prior)]
        whole = [[jax.vmap(part.log_prob)(zs) for part in (posterior, prior)] for zs in draws]
        return whole, [jax.vmap(part.log_probs)(zs) for part, zs in zip((posterior, prior), draws, strict=True)]

    whole, parts = log_probs(jr.split(jr.key(1), 100_000))
    for i, log_prob in enumerate(np.asarray(whole, np.float64)):
        ratio = np.exp(log_prob[1 - i] - log_prob[i])
        assert abs(ratio.mean() - 1) < 5 * ratio.std() / len(ratio) ** 0.5 + 0.01
        np.testing.assert_allclose(np.sum(parts[i], axis=1), log_prob[i], rtol=1e-5, atol=1e-5)


def test_top_down_inference_multiplies_the_two_normals():
    prior = priors.HierarchicalPrior(priors.StandardNormal(1), (lambda z: jnp.array([2.0, jnp.log(0.5)]),))
    evidence = posteriors.DiagonalNormal(jnp.array([-1.0]), jnp.log(jnp.array([2.0])))
    top = posteriors.DiagonalNormal(jnp.zeros(1), jnp.zeros(1))
    together = posteriors.TopDownPosterior((evidence, top), prior).below(0, jnp.zeros(1))
    precision = 1 / 0.25 + 1 / 4
    np.testing.assert_allclose(together.mean, (2 / 0.25 - 1 / 4) / precision, rtol=1e-6)
    np.testing.assert_allclose(jnp.exp(-2 * together.log_scale), precision, rtol=1e-6)


@pytest.mark.parametrize("inference", INFERENCE.values(), ids=INFERENCE)
def test_dreg_has_the_mean_of_the_plain_gradient(inference):
    model = zoo.HierarchicalVAE(
        3, (2, 1), inference=inference, width_size=4, networks=nn.fully_connected(width_size=4, depth=1),
        likelihood=likelihoods.gaussian(scale=SCALE), key=jr.key(0),
    )  # fmt: skip
    model = awake(model)
    xs = jnp.array([[0.3, -0.2, 0.4]])

    @eqx.filter_jit
    @eqx.filter_vmap
    def both(key):
        def gradient(estimator):
            loss = lambda m: zoo.loss(m, xs, objective=objectives.iwae, k=4, estimator=estimator, key=key)
            return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(eqx.filter_grad(loss)(model))])

        return gradient(estimators.reparameterised), gradient(estimators.dreg)

    plain, double = (np.asarray(rows, np.float64) for rows in both(jr.split(jr.key(1), 4000)))
    error = np.sqrt((plain.var(0) + double.var(0)) / len(plain))
    z = (plain.mean(0) - double.mean(0)) / np.where(error > 0, error, 1)
    assert np.abs(z).max() < 4.5


def test_the_cost_of_the_layers_adds_up():
    layers = dict(width_size=8, networks=nn.fully_connected(width_size=8, depth=1))
    model = zoo.HierarchicalVAE(3, (2, 2), **layers, likelihood=likelihoods.gaussian(), key=jr.key(0))
    xs = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    layers = zoo.evaluate.kl_per_layer(model, xs, k=2000, key=jr.key(1))
    assert layers.shape == (5, 2)
    draws = jax.jit(jax.vmap(lambda x: model.draw(x, k=2000, key=jr.key(2))))(xs)
    whole = np.mean(np.asarray(draws.log_posterior) - np.asarray(draws.log_prior), axis=1)
    np.testing.assert_allclose(np.sum(layers, axis=1), whole, atol=0.1)
    assert np.sum(layers) > 0.05  # and not of the other sign
    with pytest.raises(ValueError, match="needs a `HierarchicalVAE`, got a `MLPVAE`"):
        zoo.evaluate.kl_per_layer(zoo.MLPVAE(2, 1, width_size=2, depth=1, key=jr.key(0)), xs, key=jr.key(1))


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(latent_sizes=(3,)), r"latent_sizes=\(3,\)"),
        (dict(latent_sizes=(3, 0)), r"latent_sizes=\(3, 0\)"),
        (dict(prior=priors.VampPrior(np.zeros((2, 3), np.float32))), "VampPrior"),
        (dict(inference=models.TopDown, posterior=posteriors.FullNormal), "BottomUp"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        zoo.HierarchicalVAE(**(dict(data_shape=3) | options), key=jr.key(0))
