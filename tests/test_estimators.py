import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from zoo import objectives
from zoo._draws import Proposal
from zoo.estimators import detached, dreg, reparameterised, stl
from zoo.posteriors import DiagonalNormal, Traits


partial = functools.partial
LATENT = 2
X = jnp.array([1.2, -0.4, 0.7])


class Prior(eqx.Module):
    mean: jax.Array

    def log_prob(self, z):
        return DiagonalNormal(self.mean, jnp.zeros_like(self.mean)).log_prob(z)


class Model(eqx.Module):
    """x ~ N(W z, .5^2), a learned prior, and a posterior whose parameters are leaves."""

    weight: jax.Array
    prior_mean: jax.Array
    mean: jax.Array
    log_scale: jax.Array
    vamp: bool = False  # whether the prior also depends on the posterior's parameters

    def propose(self, k, key):
        posterior = DiagonalNormal(self.mean, self.log_scale)
        prior = Prior(self.prior_mean + (jnp.tanh(self.mean) if self.vamp else 0))
        return Proposal(
            z=jax.vmap(lambda key: posterior.sample(key=key))(jr.split(key, k)),
            posterior=posterior,
            log_likelihood=lambda z: -0.5 * jnp.sum((X - self.weight @ z) ** 2) / 0.25,
            log_prior=prior.log_prob,
        )


def make_model(vamp=False):
    weight = jnp.array([[1.0, 0.3], [-0.5, 0.8], [0.2, -0.6]])
    return Model(weight, jnp.array([0.1, -0.2]), jnp.array([0.8, -0.5]), jnp.array([-0.9, -0.3]), vamp)


@eqx.filter_jit
def gradient(objective, estimator, model, k, key):
    return eqx.filter_grad(lambda model: estimator(objective, model.propose(k, key))[0])(model)


@eqx.filter_jit
def gradients(family, estimator, model, k, key):
    return tuple(gradient(objective, estimator, model, k, key) for objective in family)


@eqx.filter_jit
def both(objective, estimator, model, k, keys):
    """The gradients of an estimator and of plain reparameterisation, on the same draws."""
    return jax.vmap(lambda key: tuple(gradient(objective, e, model, k, key) for e in (estimator, reparameterised)))(
        keys
    )


def arbitrary(draws):
    """Not a function of the weights alone, and not linear in anything."""
    l, p, q = draws.log_likelihood, draws.log_prior, draws.log_posterior
    return jnp.tanh(0.1 * jnp.mean(l - q)) + 0.3 * jax.nn.logsumexp(p - 0.5 * q) + jnp.mean(jnp.sin(0.2 * q) * p)


FAMILY = {
    "elbo": objectives.elbo,
    "iwae": objectives.iwae,
    "ciwae": partial(objectives.ciwae, beta=0.3),
    "miwae": partial(objectives.miwae, m=2),
    "piwae": partial(objectives.piwae, m=2),
    "renyi(.4)": partial(objectives.renyi, alpha=0.4),
    "renyi(-1.5)": partial(objectives.renyi, alpha=-1.5),
    "beta_elbo": partial(objectives.beta_elbo, beta=2.0),
    "jackknife": partial(objectives.jackknife, order=1),
    "arbitrary": arbitrary,
}


def z_scores(differences):
    n = len(differences)
    return np.mean(differences, 0) / (np.std(differences, 0) / math.sqrt(n) + 1e-7)


@pytest.mark.parametrize("vamp", [False, True])
def test_dreg_is_unbiased(vamp):
    names = ["iwae", "arbitrary"] if vamp else list(FAMILY)
    family = tuple(FAMILY[name] for name in names)
    for name, (got, plain) in zip(names, pairs(family, make_model(vamp)), strict=True):
        for field in ("mean", "log_scale"):
            ours, theirs = np.asarray(getattr(got, field)), np.asarray(getattr(plain, field))
            assert np.abs(z_scores(ours - theirs)).max() < 4, (name, field)
            assert np.std(ours - theirs) > 1e-2, name  # another estimator, not the same one
        # The generative model's gradient is F's own, draw by draw.
        np.testing.assert_allclose(got.weight, plain.weight, rtol=2e-4, atol=2e-5, err_msg=name)
        np.testing.assert_allclose(got.prior_mean, plain.prior_mean, rtol=2e-4, atol=2e-5, err_msg=name)


@eqx.filter_jit
def pairs(family, model):
    return tuple(both(objective, dreg, model, 4, jr.split(jr.key(1), 20_000)) for objective in family)


def test_prior_that_depends_on_the_encoder_needs_its_own_part():
    """Holding it fixed, as plain DReG would, is off: the test above can fail."""
    held = eqx.tree_at(lambda m: m.vamp, make_model(True), False)
    held = eqx.tree_at(lambda m: m.prior_mean, held, held.prior_mean + jnp.tanh(held.mean))
    _, full = both(objectives.iwae, dreg, make_model(True), 4, jr.split(jr.key(1), 10_000))
    partial_, _ = both(objectives.iwae, dreg, held, 4, jr.split(jr.key(1), 10_000))
    assert np.abs(z_scores(np.asarray(partial_.mean) - np.asarray(full.mean))).max() > 20


def test_stl_is_unbiased_for_the_elbo_and_biased_for_iwae():
    keys = jr.split(jr.key(2), 20_000)
    for objective, biased in [(objectives.elbo, False), (objectives.iwae, True)]:
        got, plain = both(objective, stl, make_model(), 4, keys)
        z = np.abs(z_scores(np.asarray(got.log_scale) - np.asarray(plain.log_scale)))
        assert (z > 10).any() if biased else (z < 4).all()
        np.testing.assert_allclose(got.weight, plain.weight, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("k", [3, 300])  # 300: second derivatives in more than one chunk
def test_dreg_of_renyi_is_alpha_w_plus_the_rest_of_w_squared(k):
    for alpha in (0.0, 0.4, 1.0):
        check_dreg_of_renyi(k, alpha)


def check_dreg_of_renyi(k, alpha):
    model, key = make_model(), jr.key(3)

    @eqx.filter_jit
    @eqx.filter_grad
    def by_hand(posterior_model, alpha):
        proposal = posterior_model.propose(k, key)
        held = DiagonalNormal(model.mean, model.log_scale)
        log_weight = jax.vmap(
            lambda z: (
                -0.5 * jnp.sum((X - model.weight @ z) ** 2) / 0.25
                + Prior(model.prior_mean).log_prob(z)
                - held.log_prob(z)
            )
        )(proposal.z)
        w = jax.lax.stop_gradient(jax.nn.softmax((1 - alpha) * log_weight))
        return jnp.sum((alpha * w + (1 - alpha) * w**2) * log_weight)

    expected = by_hand(model, jnp.asarray(alpha))
    # An array, so that all alphas share one compilation.
    objective = eqx.Partial(objectives.renyi, alpha=jnp.asarray(alpha))
    got = gradient(objective, dreg, model, k, key)
    np.testing.assert_allclose(got.mean, expected.mean, rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(got.log_scale, expected.log_scale, rtol=2e-4, atol=1e-6)


def test_dreg_of_the_elbo_is_stl():
    args = make_model(), 5, jr.key(4)
    got, expected = (gradient(objectives.elbo, estimator, *args) for estimator in (dreg, stl))
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("estimator", [reparameterised, stl, dreg])
def test_piwae_trains_two_networks_by_two_bounds(estimator):
    family = partial(objectives.piwae, m=3), objectives.iwae, partial(objectives.miwae, m=3)
    got, iwae, miwae = gradients(family, estimator, make_model(), 6, jr.key(5))
    for field in ("weight", "prior_mean"):
        np.testing.assert_allclose(getattr(got, field), getattr(iwae, field), rtol=1e-4, atol=1e-5)
    for field in ("mean", "log_scale"):
        np.testing.assert_allclose(getattr(got, field), getattr(miwae, field), rtol=1e-4, atol=1e-5)
        assert not np.allclose(getattr(got, field), getattr(iwae, field), rtol=1e-2)


@jax.jit
def wake_by_hand(key):
    """The sum of weight times log p(x, z) + log q(z | x), differentiated with weights and draws held fixed."""
    model = make_model()
    draws = model.propose(6, key).score()
    weight, zs = jax.nn.softmax(draws.log_weight), draws.z

    def value(model):
        fixed = eqx.tree_at(lambda p: p.z, model.propose(6, key), zs).score()
        return jnp.sum(weight * (fixed.log_likelihood + fixed.log_prior + fixed.log_posterior))

    return eqx.filter_grad(value)(model)


@pytest.mark.parametrize("estimator", [reparameterised, stl, dreg, detached])
def test_wake_phases_hold_the_draws_fixed(estimator):
    phases = objectives.wake_theta, objectives.wake_phi
    theta, phi = gradients(phases, estimator, make_model(), 6, jr.key(6))
    expected = wake_by_hand(jr.key(6))
    for field in ("weight", "prior_mean"):
        np.testing.assert_allclose(getattr(theta, field), getattr(expected, field), rtol=1e-4, atol=1e-6)
        assert np.abs(getattr(phi, field)).max() == 0
    for field in ("mean", "log_scale"):
        np.testing.assert_allclose(getattr(phi, field), getattr(expected, field), rtol=1e-4, atol=1e-6)
        assert np.abs(getattr(theta, field)).max() == 0


def test_value_and_draws_do_not_depend_on_the_estimator():
    @jax.jit
    def judged(key):
        proposal = make_model().propose(6, key)
        judge = lambda estimator: {name: estimator(objective, proposal) for name, objective in FAMILY.items()}
        judgements = [judge(estimator) for estimator in (reparameterised, stl, dreg, detached)]
        draws = proposal.score()
        return judgements, {name: objective(draws) for name, objective in FAMILY.items()}, draws.log_weight

    judgements, values, log_weight = judged(jr.key(7))
    for name, value in values.items():
        for judged_value, draws in (of_one[name] for of_one in judgements):
            assert float(judged_value) == pytest.approx(float(value), rel=1e-6)
            assert draws.rescore is None
            np.testing.assert_allclose(draws.log_weight, log_weight, rtol=1e-5)


def test_a_weight_on_the_loss_passes_through():
    model, key = make_model(), jr.key(8)
    once = gradient(objectives.iwae, dreg, model, 5, key)
    loss = lambda m: -1e-3 * dreg(objectives.iwae, m.propose(5, key))[0]
    scaled = eqx.filter_jit(eqx.filter_grad(loss))(model)
    for a, b in zip(jax.tree.leaves(once), jax.tree.leaves(scaled), strict=True):
        np.testing.assert_allclose(-1e-3 * a, b, rtol=1e-5)


@pytest.mark.parametrize("estimator", [reparameterised, stl, dreg])
def test_the_gradient_of_a_batch_is_the_mean_of_its_examples(estimator):
    model, keys = make_model(), jr.split(jr.key(8), 3)
    batch = lambda m: jnp.mean(jax.vmap(lambda key: estimator(objectives.iwae, m.propose(5, key))[0])(keys))
    each = [gradient(objectives.iwae, estimator, model, 5, key) for key in keys]
    together = jax.tree.leaves(eqx.filter_jit(eqx.filter_grad(batch))(model))
    for a, *bs in zip(together, *map(jax.tree.leaves, each), strict=True):
        np.testing.assert_allclose(a, np.mean(bs, axis=0), rtol=1e-4, atol=1e-5)


def test_dreg_stays_finite_far_from_the_posterior():
    for scale in np.float32([0.0, 1e-6, 1e3]):
        model = eqx.tree_at(lambda m: m.weight, make_model(), scale * make_model().weight)
        # The program of the test above, and so all of its draws.
        slopes = [got for got, _ in pairs(tuple(FAMILY.values()), model)]
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


class Pair(eqx.Module):
    """A posterior over a PyTree of latents."""

    a: DiagonalNormal
    b: DiagonalNormal
    traits = Traits()

    def log_prob(self, z):
        return self.a.log_prob(z["a"]) + self.b.log_prob(z["b"])


def test_dreg_of_a_tree_of_latents_is_that_of_one_vector():
    model, key = make_model(), jr.key(10)

    def as_tree(model):
        flat = model.propose(4, key)
        mean, log_scale = model.mean, model.log_scale
        join = lambda z: jnp.concatenate([z["a"], z["b"]])
        return Proposal(
            z={"a": flat.z[:, :1], "b": flat.z[:, 1:]},
            posterior=Pair(DiagonalNormal(mean[:1], log_scale[:1]), DiagonalNormal(mean[1:], log_scale[1:])),
            log_likelihood=lambda z: flat.log_likelihood(join(z)),
            log_prior=lambda z: flat.log_prior(join(z)),
        )

    got = eqx.filter_jit(eqx.filter_grad(lambda m: dreg(arbitrary, as_tree(m))[0]))(model)
    expected = gradient(arbitrary, dreg, model, 4, key)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_closed_form_divergence_is_differentiated_as_usual():
    model, key = make_model(), jr.key(11)

    def value(model, estimator):
        proposal = model.propose(4, key)
        proposal = eqx.tree_at(lambda p: p.kl, proposal, jnp.sum(model.mean**2), is_leaf=lambda leaf: leaf is None)
        return estimator(partial(objectives.beta_elbo, beta=3.0), proposal)[0]

    slope = eqx.filter_jit(eqx.filter_grad(value))
    got, expected = (slope(model, estimator) for estimator in (dreg, reparameterised))
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_signal_to_noise():
    """Encoder gradients at k = 100 in ten dimensions: DReG's signal-to-noise is over ten times IWAE's."""
    x = math.sqrt(2) * jr.normal(jr.key(12), (10,))
    shift = 0.5 * x + 0.03 * jr.normal(jr.key(13), (10,))

    def value(mean, key, estimator):
        q = DiagonalNormal(mean, jnp.full(10, 0.5 * math.log(2 / 3)))
        proposal = Proposal(
            z=jax.vmap(lambda key: q.sample(key=key))(jr.split(key, 100)),
            posterior=q,
            log_likelihood=lambda z: -0.5 * jnp.sum((x - z) ** 2),
            log_prior=DiagonalNormal(jnp.zeros(10), jnp.zeros(10)).log_prob,
        )
        return estimator(objectives.iwae, proposal)[0]

    slopes = lambda mean, key: [jax.grad(value)(mean, key, estimator) for estimator in (dreg, reparameterised)]
    got = jax.jit(jax.vmap(slopes, in_axes=(None, 0)))(shift, jr.split(jr.key(14), 2000))
    ratio = [np.mean(np.abs(rows.mean(0)) / rows.std(0)) for rows in map(np.asarray, got)]
    assert ratio[0] > 10 * ratio[1]


def test_dreg_passes_through_the_decoder_once():
    decoder = eqx.nn.MLP(10, 200, 100, 2, key=jr.key(15))
    arrays, static = eqx.partition(decoder, eqx.is_array)

    def flops(estimator):
        def loss(arrays, mean, key):
            mlp = eqx.combine(arrays, static)
            q = DiagonalNormal(mean, -mean)
            proposal = Proposal(
                z=jax.vmap(lambda key: q.sample(key=key))(jr.split(key, 50)),
                posterior=q,
                log_likelihood=lambda z: -jnp.sum(mlp(z) ** 2),
                log_prior=DiagonalNormal(jnp.zeros(10), jnp.zeros(10)).log_prob,
            )
            return estimator(objectives.iwae, proposal)[0]

        slope = jax.jit(jax.grad(loss, argnums=(0, 1)))
        return slope.lower(arrays, jnp.zeros(10), jr.key(0)).compile().cost_analysis()["flops"]

    assert flops(dreg) < 1.01 * flops(reparameterised)


def test_posterior_that_cannot_be_reparameterised():
    class Lattice(DiagonalNormal):
        traits = Traits(reparameterised=False)

    proposal = make_model().propose(3, jr.key(0))
    lattice = Lattice(proposal.posterior.mean, proposal.posterior.log_scale)
    proposal = eqx.tree_at(lambda p: p.posterior, proposal, lattice)
    for estimator in (reparameterised, stl, dreg):
        with pytest.raises(ValueError, match=f"estimators.{estimator.__name__}.*Lattice.*detached"):
            estimator(objectives.iwae, proposal)
    detached(objectives.wake_phi, proposal)
