"""Codes: the nearest of a codebook, their penalty, and the priors over grids of them."""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.special
import scipy.stats
from moved import moved
from same import assert_same

import zoo
from zoo import estimators, likelihoods, objectives, penalties, posteriors, priors
from zoo.models import VQVAE
from zoo.posteriors import Quantised
from zoo.priors import Autoregressive, Code, UniformCodes


XS = np.random.default_rng(0).integers(0, 2, size=(6, 1, 4, 8)).astype(np.float32)
GRIDS = jnp.array(list(itertools.product(range(3), repeat=4)), jnp.int32).reshape(-1, 2, 2)


def tiny(codebook_size=5, **options):
    options = dict(code_size=3, width_size=4, likelihood=likelihoods.bernoulli) | options
    return VQVAE((1, 4, 8), codebook_size=codebook_size, **options, key=jr.key(0))


@eqx.filter_jit
def log_probs(prior, grids):
    return jax.vmap(lambda grid: prior.log_prob(Code(grid)))(grids)


@eqx.filter_jit
def draw(model, x, key, k=1):
    return model.draw(x, k=k, key=key)


def spread(model):
    """With codes as far apart as the encodings are, so that the examples' differ."""
    return eqx.tree_at(lambda m: m.codebook, model, jr.normal(jr.key(1), model.codebook.shape))


@pytest.fixture(scope="module")
def model():
    return moved(spread(tiny()))


@pytest.fixture(scope="module")
def random_prior():
    """A prior over 2 x 2 grids of 3 codes, with a last layer that is not zero."""
    prior = Autoregressive((2, 2), 3, width_size=8, depth=2, key=jr.key(0))
    weight = prior.network.head.weight
    return eqx.tree_at(lambda p: p.network.head.weight, prior, jr.normal(jr.key(1), weight.shape))


def quantised(seed=0, batch=7, codes=5):
    """A batch of posteriors, and its numbers."""
    rng = np.random.default_rng(seed)
    encoding = rng.normal(size=(batch, 2, 3, 4)).astype(np.float32)
    codebook = rng.normal(size=(codes, 4)).astype(np.float32)
    posterior = jax.jit(jax.vmap(Quantised, in_axes=(0, None)))(encoding, codebook)
    return posterior, encoding, codebook


def draws_of(posterior):
    zero = jnp.zeros((len(posterior.index), 2))
    batch = jax.vmap(lambda p, zero: zoo.Draws(zero, zero, zero, zero, posterior=p))
    return batch(posterior, zero)


def nearest(encoding, codebook):
    return np.argmin(((encoding[..., None, :] - codebook) ** 2).sum(-1), axis=-1)


def test_the_code_is_the_nearest():
    posterior, encoding, codebook = quantised(batch=50, codes=9)
    np.testing.assert_array_equal(posterior.index, nearest(encoding, codebook))
    z = jax.vmap(lambda p: p.sample(key=jr.key(0)))(posterior)
    np.testing.assert_array_equal(z.index, posterior.index)
    np.testing.assert_array_equal(z.vector, codebook[posterior.index])  # to the last bit
    assert np.all(jax.vmap(lambda p, z: p.log_prob(z))(posterior, z) == 0)
    others = eqx.tree_at(lambda z: z.index, z, (z.index + 1) % 9)
    assert np.all(jax.vmap(lambda p, z: p.log_prob(z))(posterior, others) == -np.inf)


def test_gradients_pass_the_rounding_to_the_encoding_and_not_to_the_codebook():
    _, encoding, codebook = quantised()
    weight = jr.normal(jr.key(0), encoding[0].shape)
    drawn = lambda e, c: jnp.sum(weight * Quantised(e, c).sample(key=jr.key(1)).vector)
    to_encoding, to_codebook = jax.grad(drawn, argnums=(0, 1))(jnp.asarray(encoding[0]), jnp.asarray(codebook))
    np.testing.assert_array_equal(to_encoding, weight)
    assert not np.any(to_codebook)


def test_the_value_is_the_likelihood_less_the_cost_of_the_codes(model):
    x = jnp.asarray(XS[0])
    draws = draw(model, x, jr.key(0), 3)
    # log p(x, z) of all 25 codes, looked up as those that a prior drew.
    codes = jnp.asarray(list(itertools.product(range(5), repeat=2)), jnp.int32).reshape(-1, 1, 2)
    joint = jax.vmap(lambda c: model.likelihood.log_prob(model.decode(Code(c)), x) - 2 * jnp.log(5.0))
    joint = np.asarray(jax.jit(joint)(codes))
    index = nearest(np.asarray(draws.posterior.encoding), np.asarray(model.codebook))
    truth = joint[5 * index[0, 0] + index[0, 1]]
    for objective in (objectives.elbo, objectives.elbo_kl, objectives.iwae):
        np.testing.assert_allclose(objective(draws), truth, rtol=1e-5)
    assert truth < scipy.special.logsumexp(joint)
    assert np.ptp(joint) > 1e-3  # the code matters


@pytest.mark.parametrize("weight", [0.25, 2.0])
def test_commitment_is_the_paper_s_formula(weight):
    posterior, encoding, codebook = quantised()
    chosen = codebook[nearest(encoding, codebook)]
    distance = ((encoding - chosen) ** 2).sum((1, 2, 3)).mean()
    penalty = lambda e, c: penalties.commitment(draws_of(jax.vmap(Quantised, in_axes=(0, None))(e, c)), weight=weight)
    arguments = jnp.asarray(encoding), jnp.asarray(codebook)
    value, (to_encoding, to_codebook) = jax.jit(jax.value_and_grad(penalty, argnums=(0, 1)))(*arguments)
    np.testing.assert_allclose(value, (1 + weight) * distance, rtol=1e-5)
    np.testing.assert_allclose(to_encoding, 2 * weight * (encoding - chosen) / 7, rtol=1e-4, atol=1e-6)
    truth = np.zeros_like(codebook)
    np.add.at(truth, nearest(encoding, codebook).reshape(-1), 2 * (chosen - encoding).reshape(-1, 4) / 7)
    np.testing.assert_allclose(to_codebook, truth, rtol=1e-4, atol=1e-6)


def test_revival_moves_the_unused_codes_alone_and_towards_encodings():
    _, encoding, codebook = quantised()
    codebook[3:] += 100  # far from everything
    penalty = lambda c, revival: penalties.commitment(
        draws_of(jax.vmap(Quantised, in_axes=(0, None))(jnp.asarray(encoding), c)), revival=revival, key=jr.key(1)
    )
    without, with_it = (
        np.asarray(jax.jit(jax.grad(functools.partial(penalty, revival=revival)))(codebook)) for revival in (0.0, 0.5)
    )
    np.testing.assert_allclose(with_it[:3], without[:3], rtol=1e-5)
    assert not np.any(without[3:])
    # Twice the weight times the distance to some encoding of the batch.
    reached = codebook[3:] - np.asarray(with_it[3:])
    rows = encoding.reshape(-1, 4)
    assert np.all(np.min(np.abs(reached[:, None] - rows).max(-1), axis=1) < 1e-4)
    with pytest.raises(ValueError, match=r"revival=0.5\).*pass a key"):
        penalties.commitment(draws_of(quantised()[0]), revival=0.5)
    with pytest.raises(ValueError, match=r"weight=-1"):
        penalties.commitment(draws_of(quantised()[0]), weight=-1)
    with pytest.raises(ValueError, match="codebook, got a `DiagonalNormal`"):
        draws = lambda row: zoo.Draws(row, row, row, row, posterior=posteriors.DiagonalNormal(row, row))
        penalties.commitment(jax.vmap(draws)(jnp.zeros((2, 1))))


def test_training_uses_the_codes_and_gains(model):
    xs = np.repeat(XS, 480, axis=0)
    before = zoo.bound(model, XS, objective=objectives.elbo, key=jr.key(0)).mean()
    revive = lambda draws, *, key: penalties.commitment(draws, revival=0.1, key=key)
    trained = zoo.fit(model, xs, penalties=[revive], batch_size=32, epochs=2, progress=False, key=jr.key(1)).model
    after = zoo.bound(trained, XS, objective=objectives.elbo, key=jr.key(0)).mean()
    assert after > before + 3
    assert np.any(trained.codebook != model.codebook)
    usage = zoo.evaluate.code_usage(trained, XS, key=jr.key(2))
    index = eqx.filter_jit(jax.vmap(lambda x: trained.posterior(x).index))(jnp.asarray(XS))
    counts = np.bincount(np.asarray(index).reshape(-1), minlength=5)
    np.testing.assert_array_equal(usage.counts, counts)
    np.testing.assert_allclose(usage.perplexity, np.exp(scipy.stats.entropy(counts)), rtol=1e-5)
    drawn = zoo.evaluate.draw_latents(trained, XS, key=jr.key(3))
    pictures = zoo.reconstruct(trained, XS, key=jr.key(4))
    np.testing.assert_allclose(zoo.evaluate.decode_means(trained, drawn), pictures, atol=1e-5)
    with pytest.raises(ValueError, match="MLPVAE"):
        zoo.evaluate.code_usage(zoo.MLPVAE(2, key=jr.key(0)), np.zeros((2, 2), np.float32), key=jr.key(0))


@pytest.mark.parametrize("estimator", [estimators.stl, estimators.dreg])
def test_estimators_that_need_exact_gradients_refuse(model, estimator):
    with pytest.raises(ValueError, match="Quantised"):
        eqx.filter_eval_shape(zoo.loss, model, XS, objective=objectives.elbo, estimator=estimator, key=jr.key(0))


def test_the_bound_trains_both_networks_and_the_prior_and_leaves_the_codebook_to_the_penalty():
    prior = Autoregressive((1, 2), 5, width_size=8, depth=1, key=jr.key(0))
    loss = lambda m: zoo.loss(m, jnp.asarray(XS), objective=objectives.elbo, key=jr.key(0))
    gradient = eqx.filter_jit(eqx.filter_grad(loss))(moved(spread(tiny(prior=prior))))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    for part in (gradient.encoder, gradient.decoder, gradient.prior):
        assert any(np.any(leaf) for leaf in jax.tree.leaves(part))
    assert not np.any(gradient.codebook)


def test_an_autoregressive_prior_starts_uniform():
    prior = Autoregressive((2, 2), 3, width_size=8, key=jr.key(0))
    values = log_probs(prior, GRIDS)
    np.testing.assert_allclose(values, UniformCodes((2, 2), 3).log_prob(Code(GRIDS[0])), rtol=1e-6)


def test_an_autoregressive_prior_sums_to_one_and_is_causal(random_prior):
    log_prob = np.asarray(log_probs(random_prior, GRIDS), np.float64)
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1, rtol=1e-5)
    assert np.ptp(log_prob) > 1
    logits = np.asarray(jax.jit(jax.vmap(lambda grid: random_prior.network(grid)))(GRIDS.reshape(-1, 4)))
    for place in range(4):
        before = np.asarray(GRIDS).reshape(-1, 4)[:, :place]
        for prefix in np.unique(before, axis=0):
            rows = logits[np.all(before == prefix, axis=1), place]
            np.testing.assert_allclose(rows, rows[:1].repeat(len(rows), 0), atol=1e-5)
    # The last place does look at the first.
    last = logits[:, 3].reshape(3, 27, 3)
    assert np.max(np.abs(last[0] - last[1])) > 0.1


def test_an_autoregressive_prior_s_samples_follow_it(random_prior):
    draw = jax.jit(jax.vmap(lambda key: random_prior.sample(key=key).index))
    index = np.asarray(draw(jr.split(jr.key(2), 8000))).reshape(-1, 4) @ [27, 9, 3, 1]
    expected = 8000 * np.exp(np.asarray(log_probs(random_prior, GRIDS), np.float64))
    counts = np.bincount(index, minlength=81)
    rare = expected < 5
    if rare.any():
        counts, expected = (
            np.append(counts[~rare], counts[rare].sum()),
            np.append(expected[~rare], expected[rare].sum()),
        )
    assert scipy.stats.chisquare(counts, expected * 8000 / expected.sum()).pvalue > 1e-3


def test_uniform_codes_are_uniform():
    prior = UniformCodes((2, 2), 3)
    index = np.asarray(jax.jit(jax.vmap(lambda key: prior.sample(key=key).index))(jr.split(jr.key(2), 2000)))
    counts = np.stack([(index == code).sum(0) for code in range(3)])
    assert np.all(scipy.stats.chisquare(counts.reshape(3, -1)).pvalue > 1e-4)
    np.testing.assert_allclose(prior.log_prob(Code(GRIDS[0])), -4 * np.log(3), rtol=1e-6)


@pytest.mark.slow
def test_a_prior_fitted_to_codes_makes_unseen_ones_more_likely_and_samples_like_them(model):
    rng = np.random.default_rng(0)
    striped = (rng.uniform(size=(300, 1, 1, 8)) < 0.5).repeat(4, 2).astype(np.float32)
    train, unseen = striped[:200], striped[200:]
    prior = Autoregressive((1, 2), 5, width_size=16, depth=1, key=jr.key(0))
    fitted = zoo.fit_prior(model, train, prior=prior, epochs=8, batch_size=20, learning_rate=1e-2, key=jr.key(1))
    rate = lambda m: -zoo.bound(m, unseen, objective=lambda draws: jnp.mean(draws.log_prior), key=jr.key(2)).mean()
    assert rate(fitted) < rate(model) - 0.2
    np.testing.assert_allclose(rate(model), 2 * np.log(5), rtol=1e-5)
    assert jax.tree.all(
        jax.tree.map(jnp.array_equal, eqx.filter(fitted.encoder, eqx.is_array), eqx.filter(model.encoder, eqx.is_array))
    )
    # The two stages are one model, whose joint bounds log p(x).
    x = jnp.asarray(unseen[0])
    draws = draw(fitted, x, jr.key(3))
    code = Code(draws.z.index[0])
    joint = fitted.likelihood.log_prob(eqx.filter_jit(fitted.decode)(code), x) + fitted.prior.log_prob(code)
    np.testing.assert_allclose(draws.log_weight[0], joint, rtol=1e-5)
    assert zoo.sample(fitted, 3, noise=True, key=jr.key(4)).shape == (3, 1, 4, 8)


def test_a_model_with_its_prior_is_saved_and_loaded(model, tmp_path):
    fitted = eqx.tree_at(lambda m: m.prior, model, Autoregressive((1, 2), 5, width_size=8, key=jr.key(0)))
    zoo.save(tmp_path / "model", fitted)
    assert_same(zoo.load(tmp_path / "model"), fitted)


def first_draw(prior):
    model = tiny(prior=prior)
    jax.eval_shape(lambda x: model.draw(x, k=1, key=jr.key(0)), jnp.asarray(XS[0]))


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: tiny(codebook_size=1), r"codebook_size=1\).*codebook_size >= 2"),
        (lambda: tiny(code_size=0), "code_size=0"),
        (lambda: tiny(width_size=0), "width_size=0"),
        (lambda: VQVAE((1, 0, 8), key=jr.key(0)), r"\(1, 0, 8\).*of a picture"),
        (lambda: first_draw(UniformCodes((2, 2), 5)), "in 1 x 2 places of 5 codes, .*2 x 2 places of 5"),
        (lambda: first_draw(UniformCodes((1, 2), 4)), "in 1 x 2 places of 5 codes, .*1 x 2 places of 4"),
        (
            lambda: first_draw(Autoregressive((1, 2), 6, key=jr.key(0))),
            "places of 5 codes, .*places of 6.*pass",
        ),
        (lambda: first_draw(priors.StandardNormal(2)), "StandardNormal"),
        (lambda: UniformCodes((2, 2), 1), "num_codes=1"),
        (lambda: UniformCodes((0, 2), 2), r"\(0, 2\)"),
        (lambda: Autoregressive((), 2, key=jr.key(0)), "grid_shape"),
        (lambda: Autoregressive((2, 2), 3, width_size=0, key=jr.key(0)), "width_size=0"),
        (lambda: Autoregressive((2, 2), 3, key=jr.key(0)).log_prob(Code(jnp.zeros((3, 2), jnp.int32))), r"\(3, 2\)"),
        (lambda: zoo.fit_prior(tiny(), XS, components=2, key=jr.key(0)), "mixture of normals.*VQVAE.*Autoregressive"),
        (
            lambda: zoo.fit_prior(tiny(), XS, prior=UniformCodes((1, 2), 5), batch_size=2, key=jr.key(0)),
            "nothing to learn",
        ),
    ],
)
def test_what_cannot_be_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
