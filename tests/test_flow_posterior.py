"""A flow's draws are scored by the way they came; other points by the way back, or not at all."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import zoo
from zoo import estimators, evaluate, flows, models, objectives, posteriors, priors
from zoo._draws import Proposal
from zoo.flows import log_prob_through
from zoo.posteriors import draw_from
from zoo.posteriors._flow_posterior import Trail


SIZE = 8
KEYS = jr.split(jr.key(1), 1000)
X = jnp.linspace(0, 1, 2 * SIZE)


def moved(tree, scale):
    """The tree with noise on every number, in float32."""
    generator = np.random.default_rng(0)
    noisy = lambda leaf: np.float32(np.asarray(leaf) + scale * generator.normal(size=leaf.shape))
    return jax.tree.map(lambda leaf: jnp.asarray(noisy(leaf)) if eqx.is_inexact_array(leaf) else leaf, tree)


def in_double(tree):
    return jax.tree.map(
        lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64) if eqx.is_inexact_array(leaf) else leaf, tree
    )


def masked_autoregressive(size, *, key):
    """The other direction: a draw is `size` passes, a density one."""
    return flows.Inverse(flows.MaskedAutoregressive(size, key=key))


BIJECTIONS = {
    "autoregressive": flows.MaskedAutoregressive,
    "masked-autoregressive": masked_autoregressive,
    "coupling": flows.Coupling,
    "planar": flows.Planar,
}


@functools.cache
def family(name, scale, layers=4):
    """Layers in eight dimensions, away from the identity."""
    build = lambda key: posteriors.FlowPosterior(SIZE, layers, bijection=BIJECTIONS[name], key=key)
    return moved(eqx.filter_jit(build)(jr.key(0)), scale)


def over(function, *rows):
    return jax.jit(lambda *rows: jax.vmap(function)(*rows))(*rows)


def draws_of(q, keys):
    return over(lambda key: draw_from(q, key=key), keys)


def log_prob_of_starts(q, starts):
    """log q of the images of starts, in float64: no inverse."""
    with jax.enable_x64(True):
        q, starts = in_double((q, starts))

        @eqx.filter_jit
        def along(q, starts):
            return jax.vmap(lambda start: q.base.log_prob(start) - q.flow.forward(start)[1])(starts)

        return np.asarray(along(q, starts))


def log_prob_of_points(q, zs):
    """log q of float32 points in float64: the flow inverted with twice the digits."""
    with jax.enable_x64(True):
        q, zs = in_double((q, zs))

        @eqx.filter_jit
        def back(q, zs):
            def one(z):
                start, log_det = q.flow.inverse(z)
                return q.base.log_prob(start) + log_det, jnp.max(jnp.abs(q.flow.forward(start)[0] - z))

            return jax.vmap(one)(zs)

        values, misses = back(q, zs)
        assert misses.max() < 1e-6
        return np.asarray(values)


@pytest.mark.parametrize("name", ["autoregressive", "masked-autoregressive", "coupling", "planar"])
def test_a_draw_s_density_is_that_of_the_way_it_came(name):
    q = family(name, 0.5 if name == "masked-autoregressive" else 1.0).from_params(jnp.zeros(2 * SIZE))
    zs, trails = draws_of(q, KEYS)
    got = over(q.log_prob_along, zs, trails)
    np.testing.assert_allclose(got, log_prob_of_starts(q, trails.start), rtol=1e-5, atol=2e-2)


def test_a_bound_through_a_wild_flow_is_not_too_high():
    """Inverted in float32 the draws' densities were off by 183 nats on average."""
    wild = family("autoregressive", 1.0)
    model = eqx.filter_jit(lambda key: zoo.MLPVAE(2 * SIZE, SIZE, width_size=8, posterior=wild, key=key))(jr.key(3))

    @eqx.filter_jit
    def draw(model):
        q = model.posterior(X)
        keys = models.draw_keys(jr.key(1), 500)
        starts = jax.vmap(lambda key: draw_from(q, key=key)[1].start)(keys)
        return q, starts, model.draw(X, k=500, key=jr.key(1)).log_posterior

    q, starts, got = draw(model)
    np.testing.assert_allclose(got, log_prob_of_starts(q, starts), rtol=1e-4, atol=2e-2)
    assert np.isfinite(zoo.log_likelihood(model, X[None], k=100, key=jr.key(2))).all()


def test_layers_of_flows_are_scored_by_the_way_they_came():
    """Their terms are those of `kl_per_layer` too, and no inverse, which is a loop, is computed."""
    build = lambda key: zoo.HierarchicalVAE(2 * SIZE, (SIZE, SIZE), width_size=8, posterior=TAME, key=key)
    model = eqx.filter_jit(build)(jr.key(3))
    draw = lambda model: model.draw(X, k=200, key=jr.key(1))
    assert "scan" not in str(eqx.filter_make_jaxpr(draw)(model)[0])

    @eqx.filter_jit
    def score(model):
        draws = draw(model)
        return draws.log_posterior, jax.vmap(model.posterior(X).log_prob)(draws.z), jnp.mean(draws.rate)

    got, want, rate = score(model)
    np.testing.assert_allclose(got, want, rtol=1e-4)
    layers = evaluate.kl_per_layer(model, X[None], k=200, observe=lambda x, *, key: x, key=jr.key(4))
    np.testing.assert_allclose(layers.sum(), rate, rtol=0.3)


TAME = family("autoregressive", 0.1)
OBJECTIVES = {
    "stl": (estimators.stl, objectives.elbo),
    "dreg": (estimators.dreg, objectives.iwae),
    "detached": (estimators.detached, objectives.wake_phi),
}


def slopes(family, params, noises, estimator, objective, *, along):
    """Gradients in the encoder's numbers and in the flow's, one row a key; `along`: with the draws' trails, or none."""

    def value(trained, noise):
        q = trained[0].from_params(trained[1])

        def draw(noise):
            start = q.base.mean + jnp.exp(q.base.log_scale) * noise
            z, log_det = q.flow.forward(start)
            return z, Trail(start, log_det)

        zs, trails = jax.vmap(draw)(noise)
        weigh = lambda z: -0.01 * jnp.sum((z - 1) ** 2)
        log_prior = priors.StandardNormal(SIZE).log_prob
        proposal = Proposal(
            z=zs, posterior=q, log_likelihood=weigh, log_prior=log_prior, trail=trails if along else None
        )
        return estimator(objective, proposal)[0]

    gradient = jax.vmap(lambda noise: jax.grad(value)((family, params), noise))(noises)
    return jnp.concatenate([leaf.reshape(len(noises), -1) for leaf in jax.tree.leaves(gradient)], 1)


@pytest.mark.parametrize("how", OBJECTIVES)
def test_estimators_differentiate_the_inverse_where_the_draw_came_from(how):
    """The truth inverts in float64; an inverse in float32 is off by more than the gradient's length."""
    tree = family("autoregressive", 1.0, 2), jnp.linspace(-0.3, 0.3, 2 * SIZE), jr.normal(jr.key(5), (40, 3, SIZE))
    estimator, objective = OBJECTIVES[how]

    def rows(tree, along):
        family, params, noises = tree
        return np.asarray(eqx.filter_jit(slopes)(family, params, noises, estimator, objective, along=along), np.float64)

    got = rows(tree, True)
    with jax.enable_x64(True):
        truth = rows(in_double(tree), False)
    error = np.linalg.norm(got - truth, axis=1) / np.linalg.norm(truth, axis=1)
    assert np.median(error) < 2e-3 and np.quantile(error, 0.9) < 0.03, error


@pytest.mark.parametrize("name", ["autoregressive", "coupling"])
def test_a_density_elsewhere_is_right_or_not_a_number(name):
    """A round trip of z says nothing: it comes back to 1e-6 where its log-density is off by hundreds of nats."""
    q = family(name, 0.8).from_params(jnp.zeros(2 * SIZE))
    zs = draws_of(q, KEYS)[0]
    got, truth = np.asarray(over(q.log_prob, zs)), log_prob_of_points(q, zs)
    error = np.abs(np.asarray(over(lambda z: log_prob_through(q.flow, q.base, z), zs)) - truth)
    kept = np.isfinite(got)
    assert np.sum(error > 3) >= 2 and np.mean(kept[error > 3]) < 0.05
    assert np.mean(error[kept]) < 5 and np.mean(kept[error < 0.01]) > 0.97


def test_a_tame_flow_s_density_is_never_lost():
    q = TAME.from_params(jnp.zeros(2 * SIZE))
    zs = jnp.concatenate([draws_of(q, KEYS)[0], jnp.zeros((1, SIZE)), jnp.full((1, SIZE), 1e4)])
    got = over(q.log_prob, zs)
    np.testing.assert_allclose(got, log_prob_of_points(q, zs), rtol=1e-4)
