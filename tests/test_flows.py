"""Bijections, and the prior and the posterior that are made of them."""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from zoo import posteriors, priors
from zoo.flows import Chain, Coupling, Flip, Inverse, MaskedAutoregressive, Planar, stack


def inverse_autoregressive(latent_size, *, key):
    return Inverse(MaskedAutoregressive(latent_size, width_size=8, key=key))


def perturbed(module, scale, seed=0):
    """The module away from where it starts: noise on every parameter."""
    generator = np.random.default_rng(seed)
    noisy = lambda leaf: jnp.asarray(np.asarray(leaf) + np.float32(scale * generator.normal(size=leaf.shape)))
    return jax.tree.map(lambda leaf: noisy(leaf) if eqx.is_inexact_array(leaf) else leaf, module)


BIJECTIONS = {
    "coupling-3": lambda key: Coupling(3, width_size=8, key=key),
    "autoregressive-1": lambda key: MaskedAutoregressive(1, width_size=8, key=key),
    "autoregressive-4": lambda key: MaskedAutoregressive(4, width_size=8, key=key),
    "inverse-autoregressive-3": lambda key: inverse_autoregressive(3, key=key),
    "planar-1": lambda key: Planar(1, key=key),
    "planar-3": lambda key: Planar(3, key=key),
    "stack-of-coupling-3": lambda key: stack(functools.partial(Coupling, width_size=8), 3, 3, key=key),
}


def size_of(name):
    return int(next(part for part in reversed(name.split("-")) if part.isdigit()))


@eqx.filter_jit
def both_ways(flow, zs):
    def one(z):
        y, log_det = flow.forward(z)
        back, log_det_back = flow.inverse(y)
        there = jax.jacfwd(lambda z: flow.forward(z)[0])(z)
        return y, back, log_det, log_det_back, there, jax.jacrev(lambda y: flow.inverse(y)[0])(y)

    return jax.vmap(one)(zs)


@pytest.mark.parametrize("name", BIJECTIONS)
def test_a_bijection_is_undone_and_its_determinant_is_that_of_its_jacobian(name):
    start = eqx.filter_jit(BIJECTIONS[name])(jr.key(0))
    flow = perturbed(start, 0.4)
    zs = jnp.asarray(np.random.default_rng(2).normal(size=(20, size_of(name))) * 1.5, jnp.float32)
    ys, back, log_det, log_det_back, there, and_back = both_ways(flow, zs)
    assert np.abs(ys - zs).max() > 0.03  # not the identity, which would pass
    np.testing.assert_allclose(back, zs, atol=2e-4)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(np.asarray(there, np.float64))[1], atol=1e-4)
    np.testing.assert_allclose(log_det_back, -log_det, atol=1e-4)
    # what a loop or a solver finds is differentiated as the function it stands for
    product = np.einsum("nij,njk->nik", np.asarray(and_back, np.float64), np.asarray(there, np.float64))
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(size_of(name)), product.shape), atol=2e-3)
    # without the noise it is the identity
    ys, _, log_det, *_ = both_ways(start, zs)
    np.testing.assert_allclose(ys, zs, atol=1e-6)
    np.testing.assert_allclose(log_det, 0, atol=1e-6)


def test_the_masks_let_every_earlier_dimension_through_and_no_other():
    flow = perturbed(MaskedAutoregressive(5, width_size=8, key=jr.key(0)), 0.4)
    jacobian = np.asarray(jax.jit(jax.jacfwd(lambda z: flow.forward(z)[0]))(jr.normal(jr.key(2), (5,))))
    assert np.all(np.triu(jacobian, 1) == 0)
    assert np.all(jacobian[np.tril_indices(5)] != 0)


def test_a_chain_is_applied_in_order_and_undone_in_reverse():
    a, b = (perturbed(Planar(2, key=jr.key(0)), 0.5, seed=i) for i in range(2))
    z = jnp.array([0.3, -1.0])
    chain = Chain((a, Flip(), b))
    np.testing.assert_allclose(chain.forward(z)[0], b.forward(a.forward(z)[0][::-1])[0], rtol=1e-6)
    np.testing.assert_allclose(chain.inverse(chain.forward(z)[0])[0], z, atol=1e-5)
    np.testing.assert_allclose(Inverse(a).forward(z)[0], a.inverse(z)[0])


def test_a_planar_flow_stays_invertible_and_finite():
    """Rezende & Mohamed's constraint: u of any length and direction."""
    start = Planar(2, key=jr.key(0))
    zs = jnp.stack([jnp.linspace(-3, 3, 101)] * 2, 1) * start.w[None]

    @eqx.filter_jit
    def judge(flow):
        ys, log_det = jax.vmap(flow.forward)(zs)
        gradient = eqx.filter_grad(lambda flow: jnp.sum(jax.vmap(flow.inverse)(ys)[1]))(flow)
        return ys, log_det, jax.vmap(flow.inverse)(ys)[0], gradient

    for along in (-1e4, -30.0, 30.0, 1e4):
        flow = eqx.tree_at(lambda f: f.u, start, along * start.w / jnp.sum(start.w**2))
        ys, log_det, back, gradient = judge(flow)
        assert np.all(np.diff(ys @ flow.w) > 0), along  # monotone along w
        assert log_det.min() >= math.log(1e-2) - 1e-4
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
        np.testing.assert_allclose(back, zs, atol=5e-3)


def test_a_planar_flow_s_inverse_is_differentiated_in_its_parameters():
    """inverse(forward(z)) = z whatever the parameters are, so they have no gradient in it."""
    flow = perturbed(Planar(2, key=jr.key(0)), 0.5)
    there_and_back = lambda flow, z: flow.inverse(flow.forward(z)[0])[0] @ jnp.array([1.0, -0.7])
    slope = eqx.filter_jit(eqx.filter_grad(there_and_back))(flow, jnp.array([0.8, -0.3]))
    for leaf in jax.tree.leaves(slope):
        np.testing.assert_allclose(leaf, 0, atol=1e-5)


@pytest.mark.parametrize("build", [Coupling, MaskedAutoregressive])
def test_a_wild_network_cannot_overflow_a_layer(build):
    flow = perturbed(build(2, width_size=8, key=jr.key(0)), 1e4)
    y = jnp.array([1.0, -2.0])
    (value, log_det), slope = eqx.filter_jit(
        lambda flow: (flow.forward(y), eqx.filter_grad(lambda flow: flow.inverse(y)[1])(flow))
    )(flow)
    assert np.isfinite(value).all() and abs(log_det) <= 6.001
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


def test_a_flow_prior_starts_standard_normal_and_is_scored_in_one_pass():
    prior = priors.FlowPrior(3, key=jr.key(0))
    z = jnp.array([0.5, -1.0, 2.0])
    np.testing.assert_allclose(prior.log_prob(z), priors.StandardNormal(3).log_prob(z), rtol=1e-6)
    loops = ("scan", "while")
    assert not any(loop in str(jax.make_jaxpr(prior.log_prob)(z)) for loop in loops)
    assert any(loop in str(jax.make_jaxpr(lambda key: prior.sample(key=key))(jr.key(0))) for loop in loops)


def test_a_flow_prior_learns_a_bent_density():
    """z2 = z1^2 + noise, whose entropy is known and which no normal fits."""
    noise = np.random.default_rng(0).normal(size=(1000, 2))
    zs = np.float32(np.stack([noise[:, 0], noise[:, 0] ** 2 - 1 + 0.3 * noise[:, 1]], 1))
    zs, fresh = jnp.asarray(zs[:500]), jnp.asarray(zs[500:])
    entropy = math.log(2 * math.pi * math.e * 0.3)
    optimiser = optax.adam(optax.cosine_decay_schedule(3e-2, 400))
    mean_log_prob = eqx.filter_jit(lambda prior, zs: jnp.mean(jax.vmap(prior.log_prob)(zs)))

    @eqx.filter_jit
    def train(prior):
        arrays, static = eqx.partition(prior, eqx.is_inexact_array)

        def step(_, carry):
            arrays, state = carry
            gradient = jax.grad(lambda arrays: -mean_log_prob(eqx.combine(arrays, static), zs))(arrays)
            with jax.numpy_dtype_promotion("standard"):  # optax's Adam raises a float to an integer's power
                updates, state = optimiser.update(gradient, state)
            return optax.apply_updates(arrays, updates), state

        arrays, _ = jax.lax.fori_loop(0, 400, step, (arrays, optimiser.init(arrays)))
        return eqx.combine(arrays, static)

    prior = train(priors.FlowPrior(2, 3, 16, key=jr.key(1)))
    normal = 0.5 * np.linalg.slogdet(2 * math.pi * math.e * np.cov(np.asarray(fresh).T))[1]
    assert normal > entropy + 1
    assert mean_log_prob(prior, fresh) > -entropy - 0.3
    # samples lie where the data do
    samples = eqx.filter_jit(jax.vmap(lambda key: prior.sample(key=key)))(jr.split(jr.key(2), 500))
    residual = samples[:, 1] - samples[:, 0] ** 2 + 1
    assert np.median(np.abs(residual)) < 0.4


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda key: Coupling(1, key=key), r"Coupling\(latent_size=1\).*>= 2"),
        (lambda key: Coupling(2, width_size=0, key=key), "width_size=0"),
        (lambda key: MaskedAutoregressive(0, key=key), "latent_size=0"),
        (lambda key: MaskedAutoregressive(2, width_size=0, key=key), "width_size=0"),
        (lambda key: Planar(0, key=key), "latent_size=0"),
        (lambda key: stack(Planar, 2, 0, key=key), "layers=0"),
        (lambda key: priors.FlowPrior(0, key=key), "latent_size=0"),
        (lambda key: priors.FlowPrior(2, 0, key=key), "layers=0"),
        (lambda key: priors.FlowPrior(2, 2, 0, key=key), "width_size=0"),
        (lambda key: posteriors.FlowPosterior(1, key=key), "latent_size=1"),
        (lambda key: posteriors.FlowPosterior(2, key=key).num_params(3), "latent_size=2.*latent_size=3"),
    ],
)
def test_flows_that_cannot_be_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build(jr.key(0))
