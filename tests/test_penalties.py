import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from scipy import stats

from zoo import penalties
from zoo._draws import Draws
from zoo.penalties import (
    Discriminator,
    density_ratio,
    dip_i,
    dip_ii,
    discriminator_loss,
    discriminator_step,
    imq,
    kl_decomposition,
    minibatch_stratified,
    minibatch_weighted,
    mmd,
    permute_dims,
    rbf,
    sliced_wasserstein,
    total_correlation,
)
from zoo.posteriors import DiagonalNormal
from zoo.priors import StandardNormal


BATCH, K, LATENT = 5, 3, 2


def batch_of_draws(seed=0, batch=BATCH, dtype=np.float32):
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=(batch, LATENT))
    scale = np.exp(0.4 * rng.normal(size=(batch, LATENT)) - 0.7)
    z = mean[:, None] + scale[:, None] * rng.normal(size=(batch, K, LATENT))
    log_posterior = stats.norm.logpdf(z, mean[:, None], scale[:, None]).sum(-1)
    log_prior = stats.norm.logpdf(z).sum(-1)

    def example(z, log_prior, log_posterior, mean, log_scale):
        zero = jnp.zeros_like(log_prior)
        return Draws(z, zero, log_prior, log_posterior, posterior=DiagonalNormal(mean, log_scale))

    arrays = (z, log_prior, log_posterior, mean, np.log(scale))
    draws = jax.jit(jax.vmap(example))(*(jnp.asarray(array, dtype) for array in arrays))
    return draws, z, mean, scale


def only_latents(z):
    """The draws of a batch of which a penalty reads nothing but z, (batch, k, latent)."""
    zero = jnp.zeros(z.shape[1])
    return jax.vmap(lambda z: Draws(z, zero, zero, zero))(z)


def aggregated(z, mean, scale, weights):
    """log sum_m w_m q(z | x_m), and the same for each dimension."""
    density = np.exp(stats.norm.logpdf(z, mean, scale))
    return np.log(weights @ density.prod(-1)), np.log(weights @ density)


@pytest.mark.parametrize("dataset_size", [BATCH, 1000])
@pytest.mark.parametrize("sampling", [minibatch_stratified, minibatch_weighted])
def test_total_correlation_and_decomposition(sampling, dataset_size):
    with jax.enable_x64(True):
        draws, z, mean, scale = batch_of_draws(dtype=np.float64)
        options = dict(dataset_size=dataset_size, sampling=sampling)
        both = lambda draws: (kl_decomposition(draws, **options), total_correlation(draws, **options, weight=2.0))
        parts, penalty = jax.jit(both)(draws)
    information, correlation, dimension_wise = [], [], []
    for n, s in np.ndindex(BATCH, K):
        if sampling is minibatch_weighted:
            weights = np.full(BATCH, 1 / (dataset_size * BATCH))
        else:
            weights = np.full(BATCH, (dataset_size - 1) / (dataset_size * (BATCH - 1)))
            weights[n] = 1 / dataset_size
        joint, marginals = aggregated(z[n, s], mean, scale, weights)
        information.append(float(draws.log_posterior[n, s]) - joint)
        correlation.append(joint - marginals.sum())
        dimension_wise.append(marginals.sum() - float(draws.log_prior[n, s]))
    assert float(parts.mutual_information) == pytest.approx(np.mean(information), rel=1e-10)
    assert float(parts.total_correlation) == pytest.approx(np.mean(correlation), rel=1e-10)
    assert float(parts.dimension_wise_kl) == pytest.approx(np.mean(dimension_wise), rel=1e-10)
    assert float(penalty) == pytest.approx(2 * np.mean(correlation), rel=1e-10)
    divergence = float(np.mean(np.asarray(draws.log_posterior) - np.asarray(draws.log_prior)))
    assert sum(map(float, parts)) == pytest.approx(divergence, rel=1e-10)


def test_sampling_against_a_small_data_set():
    """All batches of 3 out of 6 examples: MSS is unbiased for q(z), MWS lies below."""
    data, size = 6, 3
    _, z, mean, scale = batch_of_draws(seed=1, batch=data)
    stratified = np.exp(np.asarray(minibatch_stratified(size, data), np.float64))
    weighted = np.exp(np.asarray(minibatch_weighted(size, data), np.float64))
    np.testing.assert_allclose(stratified.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.exp(minibatch_stratified(data, data)), np.full((data, data), 1 / data), 1e-6)
    # The paper's weights (1/N, 1/M, ..., (N - M)/(NM)) have the same mean over orders of the batch.
    others = size - 1
    paper = [1 / data, 1 / others, (data - others) / (data * others)]
    np.testing.assert_allclose(stratified[0], [paper[0], np.mean(paper[1:]), np.mean(paper[1:])], rtol=1e-6)
    for n in range(data):
        point = z[n, 0]
        exact = np.exp(aggregated(point, mean, scale, np.full(data, 1 / data))[0])
        rest = [i for i in range(data) if i != n]
        unbiased, low = [], []
        for companions in itertools.combinations(rest, size - 1):
            index = [n, *companions]
            unbiased.append(np.exp(aggregated(point, mean[index], scale[index], stratified[0])[0]))
            low.append(aggregated(point, mean[index], scale[index], weighted[0])[0])
        assert np.mean(unbiased) == pytest.approx(exact, rel=1e-6)
        assert np.mean(low) < np.log(exact)


def test_dip():
    with jax.enable_x64(True):
        draws, _, mean, scale = batch_of_draws(dtype=np.float64)
        got = [float(dip_i(draws, off_diagonal=3.0, diagonal=7)), float(dip_ii(draws))]
    covariance = np.cov(mean.T, bias=True)
    whole = covariance + np.diag((scale**2).mean(0))
    for value, matrix, off_diagonal, diagonal in [(got[0], covariance, 3, 7), (got[1], whole, 10, 10)]:
        expected = sum(
            (diagonal * (matrix[i, i] - 1) ** 2) if i == j else off_diagonal * matrix[i, j] ** 2
            for i, j in np.ndindex(LATENT, LATENT)
        )
        assert value == pytest.approx(expected, rel=1e-10)


KERNELS = {
    rbf: lambda x, y: math.exp(-np.sum((x - y) ** 2) / (2 * LATENT)),
    imq: lambda x, y: 2 * LATENT / (2 * LATENT + np.sum((x - y) ** 2)),
}


class Fixed(eqx.Module):
    """Samples that a reference can repeat."""

    def sample(self, *, key):
        return 0.5 + jr.normal(key, (LATENT,), jnp.float64)


@pytest.mark.parametrize("kernel", KERNELS)
def test_mmd(kernel):
    key = jr.key(3)
    with jax.enable_x64(True):
        draws, z, _, _ = batch_of_draws(dtype=np.float64)
        got = float(mmd(draws, kernel=kernel, prior=Fixed(), weight=2.0, key=key))
        prior = np.stack([Fixed().sample(key=key) for key in jr.split(key, K * BATCH)]).reshape(K, BATCH, -1)
    expected, by_hand = 0.0, KERNELS[kernel]
    for s in range(K):
        for i, j in np.ndindex(BATCH, BATCH):
            if i != j:
                pair = by_hand(z[i, s], z[j, s]) + by_hand(prior[s, i], prior[s, j])
                expected += pair / (BATCH * (BATCH - 1) * K)
            expected -= 2 * by_hand(z[i, s], prior[s, j]) / (BATCH**2 * K)
    assert got == pytest.approx(2 * expected, rel=1e-9)


def test_mmd_vanishes_at_the_prior_and_not_elsewhere():
    def penalty(shift, key):
        z = shift + jr.normal(key, (20, 1, LATENT))
        return mmd(only_latents(z), kernel=imq, key=jr.fold_in(key, 1))

    for shift, zero in [(0.0, True), (0.5, False)]:
        got = np.asarray(jax.jit(jax.vmap(penalty, (None, 0)))(shift, jr.split(jr.key(4), 500)))
        z_score = got.mean() / (got.std() / math.sqrt(500))
        assert abs(z_score) < 4 if zero else z_score > 20


def test_sliced_wasserstein():
    with jax.enable_x64(True):
        draws, z, _, _ = batch_of_draws(dtype=np.float64)
        key = jr.key(5)
        got = float(sliced_wasserstein(draws, directions=7, prior=Fixed(), key=key))
        direction_key, prior_key = jr.split(key)
        lines = np.asarray(jr.normal(direction_key, (LATENT, 7), jnp.float64))
        prior = np.stack([Fixed().sample(key=key) for key in jr.split(prior_key, K * BATCH)])
    prior = prior.reshape(K, BATCH, LATENT)
    squared = [
        np.mean((np.sort(z[:, s] @ u) - np.sort(prior[s] @ u)) ** 2)
        for s in range(K)
        for u in (lines / np.linalg.norm(lines, axis=0)).T
    ]
    assert got == pytest.approx(np.mean(squared), rel=1e-10)


def test_sliced_wasserstein_of_a_shift_is_its_square_over_the_dimensions():
    """With the prior's own samples, moved by c, every line sees (c . theta)^2, whose mean is |c|^2 / d."""
    key, shift = jr.key(6), jnp.array([3.0, 4.0])
    _, prior_key = jr.split(key)
    z = jr.normal(prior_key, (8, LATENT))[:, None] + shift[None, None]
    got = sliced_wasserstein(only_latents(z), directions=20_000, key=key)
    assert float(got) == pytest.approx(25 / LATENT, rel=0.02)


def test_permute_dims_keeps_marginals_and_breaks_the_rest():
    zs = jnp.tile(jr.normal(jr.key(7), (500, 1)), 3)
    shuffled = np.asarray(permute_dims(zs, key=jr.key(8)))
    np.testing.assert_array_equal(np.sort(shuffled, axis=0), np.sort(np.asarray(zs), axis=0))
    correlation = np.corrcoef(shuffled.T) - np.eye(3)
    assert np.abs(correlation).max() < 0.2


def test_factor_vae_finds_a_known_total_correlation():
    """Two normals of correlation .8: the total correlation is -log(1 - .64) / 2 = .511 nats."""
    rho = 0.8

    def draws(key):
        e = jr.normal(key, (128, 1, 2))
        z = jnp.stack([e[..., 0], rho * e[..., 0] + math.sqrt(1 - rho**2) * e[..., 1]], -1)
        return only_latents(z)

    discriminator = Discriminator(2, width_size=16, depth=2, key=jr.key(9))
    optimiser = optax.adam(1e-2)
    opt_state = optimiser.init(eqx.filter(discriminator, eqx.is_inexact_array))

    @eqx.filter_jit
    def play(discriminator, opt_state, key):
        a, b = jr.split(key)
        with jax.numpy_dtype_promotion("standard"):  # optax's Adam raises a float to an integer's power
            return discriminator_step(discriminator, opt_state, draws(a), optimiser=optimiser, key=b)

    losses = []
    for key in jr.split(jr.key(10), 300):
        discriminator, opt_state, value = play(discriminator, opt_state, key)
        losses.append(float(value))
    assert losses[0] == pytest.approx(math.log(2), abs=0.1) and np.mean(losses[-50:]) < 0.62
    ratio = jax.jit(lambda key: density_ratio(draws(key), discriminator=discriminator))
    values = [float(ratio(key)) for key in jr.split(jr.key(11), 16)]
    assert np.mean(values) == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.12)

    # Each player's gradient is its own.
    @eqx.filter_jit
    def gradients(discriminator, batch):
        penalty = eqx.filter_grad(lambda d: density_ratio(batch, discriminator=d, weight=5.0))(discriminator)
        loss = eqx.filter_grad(lambda b: discriminator_loss(discriminator, b, key=jr.key(0)))(batch)
        return (penalty, loss), eqx.filter_grad(lambda b: density_ratio(b, discriminator=discriminator))(batch).z

    others, own = gradients(discriminator, jax.jit(draws)(jr.key(12)))
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(others))
    assert np.abs(own).max() > 0


ALL = {
    "total_correlation": lambda d, key: total_correlation(d, dataset_size=100, key=key),
    "dip_i": lambda d, key: dip_i(d, key=key),
    "dip_ii": lambda d, key: dip_ii(d, key=key),
    "mmd": lambda d, key: mmd(d, prior=StandardNormal(LATENT), key=key),
    "sliced_wasserstein": lambda d, key: sliced_wasserstein(d, key=key),
    "density_ratio": lambda d, key: density_ratio(
        d, discriminator=Discriminator(LATENT, width_size=8, depth=1, key=jr.key(0)), key=key
    ),
}


@pytest.mark.parametrize("name", ALL)
def test_gradients_in_float32(name):
    draws, *_ = batch_of_draws()
    value, slope = eqx.filter_jit(eqx.filter_value_and_grad(ALL[name]))(draws, jr.key(0))
    assert value.dtype == jnp.float32
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((value, slope)))
    assert any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(slope))


@pytest.mark.parametrize("name", [*ALL, "kl_decomposition"])
def test_batch_of_one(name):
    draws, *_ = batch_of_draws(batch=1)
    penalty = ALL.get(name, lambda d, key: kl_decomposition(d))
    with pytest.raises(ValueError, match=rf"penalties\.{name}.*batch of 1.*batch_size >= 2"):
        penalty(draws, jr.key(0))


def test_bad_input():
    draws, *_ = batch_of_draws()
    bare = eqx.tree_at(lambda d: d.posterior, draws, None)
    tree = eqx.tree_at(lambda d: d.z, draws, {"a": draws.z})

    class Correlated(eqx.Module):
        mean: jax.Array
        matrix: jax.Array

    correlated = eqx.tree_at(
        lambda d: d.posterior, draws, Correlated(draws.posterior.mean, jnp.zeros((BATCH, LATENT, LATENT)))
    )
    key = jr.key(0)
    for message, call in [
        (r"dataset_size=4\).*batch of 5", lambda: total_correlation(draws, dataset_size=4)),
        (r"total_correlation.*`draws.posterior`", lambda: total_correlation(bare, dataset_size=9)),
        (
            r"total_correlation.*independent dimensions.*Correlated",
            lambda: ALL["total_correlation"](correlated, key),
        ),
        (r"dip_ii.*log_scale.*Correlated", lambda: dip_ii(correlated)),
        (r"dip_i.*one array", lambda: dip_i(tree)),
        (r"off_diagonal=-1", lambda: dip_i(draws, off_diagonal=-1)),
        (r"weight=nan", lambda: mmd(draws, weight=float("nan"), key=key)),
        (r"shape \(3,\).*shape \(2,\)", lambda: mmd(draws, prior=StandardNormal(3), key=key)),
        (r"directions=0", lambda: sliced_wasserstein(draws, directions=0, key=key)),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_everything_public_is_tested_here():
    names = {name for name in vars(penalties) if not name.startswith("_")} - {"jaxtyping", "KLDecomposition"}
    names -= {
        "commitment",
        "latent_norm",
        "AbstractBorrowingPenalty",
        "DecoderGradient",
    }  # with the models they are for: test_vq_vae, test_rae
    assert names <= set(globals())
