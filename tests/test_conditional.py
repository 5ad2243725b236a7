"""Models given a label: each label's own evidence, priors that borrow, labels that cannot be."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
import scipy.stats
from moved import moved
from thin import thin

import zoo
from zoo import likelihoods, nn, priors


SCALE = 0.5
NETWORKS = nn.fully_connected(width_size=8, depth=1)


def linear_conditional():
    """x ~ N(W (z, onehot(y)), 0.5^2) with z ~ N(0, 1): the label moves the mean."""
    model = zoo.ConditionalVAE(
        2, 2, num_classes=3, networks=nn.fully_connected(width_size=1, depth=0),
        likelihood=likelihoods.gaussian(scale=SCALE), key=jr.key(0),
    )  # fmt: skip
    weight = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    # What the decoder is given is scaled by the root of (2 + 3) / 2.
    model = eqx.tree_at(lambda m: m.decoder.layers.layers[0].weight, model, jnp.asarray(weight * 0.4**0.5))
    # q = N(0, I): an honest proposal in two dimensions.
    model = eqx.tree_at(lambda m: m.encoder, model, replace_fn=nn.zeroed)
    covariance = weight[:2].T @ weight[:2] + SCALE**2 * np.eye(2)
    return model, [scipy.stats.multivariate_normal(weight[2 + y], covariance) for y in range(3)]


def test_each_label_has_its_own_evidence():
    model, truths = linear_conditional()
    ys = np.array([0, 1, 2, 2])
    xs = np.stack([truths[y].mean for y in ys]).astype(np.float32) + np.float32(0.2)
    exact = [truths[y].logpdf(x) for x, y in zip(xs, ys, strict=True)]
    estimate = zoo.log_likelihood(model, xs, ys=ys, k=50_000, key=jr.key(1))
    np.testing.assert_allclose(estimate, exact, atol=0.05)
    # The same through the model of one label.
    one = zoo.log_likelihood(model.given(2), xs[2:], k=50_000, key=jr.key(1))
    np.testing.assert_allclose(one, exact[2:], atol=0.05)


def test_samples_follow_their_label():
    model, truths = linear_conditional()
    ys = np.repeat(np.arange(3), 2000)
    xs = np.asarray(zoo.sample(model, y=ys, noise=True, key=jr.key(2)))
    for y, truth in enumerate(truths):
        z = (xs[ys == y].mean(0) - truth.mean) / np.sqrt(np.diag(truth.cov) / 2000)
        assert np.abs(z).max() < 4
    assert zoo.sample(model, y=1, key=jr.key(3)).shape == (1, 2)
    assert zoo.sample(model, 4, y=1, key=jr.key(3)).shape == (4, 2)


def test_initial_weights_see_as_much_of_x_and_z_as_without_a_label():
    """LeCun's weights: what a step in z or x changes has, in each output, the mean square of that step."""
    options = dict(num_classes=12, networks=nn.fully_connected(depth=0), likelihood=likelihoods.gaussian())
    step = jr.normal(jr.key(1), (4,))
    decode = moved(zoo.ConditionalVAE(1000, 4, **options, key=jr.key(0))).given(11).decode
    np.testing.assert_allclose((decode(step) - decode(0 * step)).std(), jnp.mean(step**2) ** 0.5, rtol=0.1)
    posterior = zoo.ConditionalVAE(4, 1000, **options, key=jr.key(0)).given(11).posterior
    change = posterior(step).mean - posterior(0 * step).mean
    np.testing.assert_allclose(change.std(), jnp.mean(step**2) ** 0.5, rtol=0.1)


def test_the_encoder_hears_the_label_after_its_first_step():
    options = dict(num_classes=3, networks=nn.fully_connected(depth=1), likelihood=likelihoods.gaussian())
    model = zoo.ConditionalVAE(4, 2, **options, key=jr.key(0))
    mean = lambda m, y: m.given(y).posterior(jnp.ones(4)).mean
    np.testing.assert_array_equal(mean(model, 0), mean(model, 1))
    slope = eqx.filter_grad(lambda m: jnp.sum(mean(m, 1)))(model).encoder_label.weight
    assert np.flatnonzero(np.abs(np.asarray(slope)).sum(1)).tolist() == [1]


def test_it_learns_what_the_label_says():
    """Points that are their label: with it every nat of the label is saved, without it they are a mixture."""
    rng = np.random.default_rng(0)
    ys = rng.integers(0, 4, 512)
    xs = (np.array([[2, 2], [2, -2], [-2, 2], [-2, -2]])[ys] + 0.1 * rng.normal(size=(512, 2))).astype(np.float32)
    options = dict(networks=NETWORKS, likelihood=likelihoods.gaussian(scale=0.3))
    model = zoo.ConditionalVAE(2, 2, num_classes=4, **options, key=jr.key(0))
    result = zoo.fit(
        model,
        xs,
        ys=ys,
        held_out=xs,
        held_out_ys=ys,
        optimiser=optax.adam(1e-2),
        epochs=10,
        batch_size=64,
        progress=False,
        key=jr.key(1),
    )
    right = zoo.log_likelihood(result.model, xs[:64], ys=ys[:64], k=100, key=jr.key(2)).mean()
    wrong = zoo.log_likelihood(result.model, xs[:64], ys=(ys[:64] + 1) % 4, k=100, key=jr.key(2)).mean()
    assert right > wrong + 5
    assert result.history[-1]["split"] == "held_out"


def test_the_prior_of_a_label():
    prior = priors.ConditionalNormal(3, 2, key=jr.key(0))
    last = lambda p: p.network.layers[-1].weight
    prior = eqx.tree_at(last, prior, 0.3 * jr.normal(jr.key(1), last(prior).shape))
    model = zoo.ConditionalVAE(
        2, 2, num_classes=3, networks=NETWORKS, prior=prior, likelihood=likelihoods.gaussian(), key=jr.key(0)
    )

    @jax.jit
    def judged(x, z):
        log_probs = [model.given(y).latent_prior.log_prob(z) for y in (0, 1)]
        return log_probs, model.given(0).draw(x, k=20_000, key=jr.key(2))

    (here, there), draws = judged(np.zeros(2, np.float32), np.float32([0.2, -0.4]))
    assert not np.allclose(here, there)
    ratio = np.asarray(draws.log_posterior - draws.log_prior)
    np.testing.assert_allclose(draws.kl, ratio.mean(), atol=5 * ratio.std() / len(ratio) ** 0.5)
    with pytest.raises(ValueError, match="label"):
        plain = zoo.MLPVAE(2, 2, width_size=8, prior=prior, key=jr.key(0))
        jax.eval_shape(lambda x: plain.draw(x, k=1, key=jr.key(0)), jnp.zeros(2))
    with pytest.raises(ValueError, match=r"`ConditionalNormal\(condition_size=3\)`.* of 4 numbers"):
        zoo.ConditionalVAE(2, 2, num_classes=4, networks=NETWORKS, prior=prior, key=jr.key(0)).given(1).latent_prior


def test_a_mixture_s_shares_are_the_label_s():
    prior = priors.ConditionalMixture(3, 2, 4, spread=50.0, key=jr.key(0))
    weight = jnp.array([[0, 1.0, -2, 0], [3, 0, 0, 0.5], [0, 0, 0, -1]])
    prior = eqx.tree_at(lambda p: (p.weight, p.mixture.logits), prior, (weight, jnp.array([0.1, 0.2, 0, -0.3])))
    model = zoo.ConditionalVAE(2, 2, num_classes=3, networks=NETWORKS, prior=prior, key=jr.key(0))
    z = np.array([0.3, -0.7])
    for y in range(3):
        here = model.given(y).latent_prior
        logits = np.array([0.1, 0.2, 0, -0.3]) + np.asarray(weight[y], np.float64)
        shares = np.exp(logits) / np.exp(logits).sum()
        distances = ((z - np.asarray(prior.mixture.mean, np.float64)) ** 2).sum(axis=1)
        expected = np.logaddexp.reduce(np.log(shares) - 0.5 * distances) - np.log(2 * np.pi)
        np.testing.assert_allclose(here.log_prob(jnp.asarray(z, jnp.float32)), expected, rtol=1e-5)
        # Means so far apart that each draw tells which normal it is of.
        zs = np.asarray(jax.jit(jax.vmap(lambda key: here.sample(key=key)))(jr.split(jr.key(1), 4000)))
        of = ((zs[:, None] - np.asarray(prior.mixture.mean)[None]) ** 2).sum(axis=2).argmin(axis=1)
        np.testing.assert_allclose(np.bincount(of, minlength=4) / 4000, shares, atol=0.04)
    with pytest.raises(ValueError, match=r"`ConditionalMixture\(condition_size=3\)`.* of 4 numbers"):
        zoo.ConditionalVAE(2, 2, num_classes=4, networks=NETWORKS, prior=prior, key=jr.key(0)).given(1).latent_prior
    with pytest.raises(ValueError, match="condition_size=0"):
        priors.ConditionalMixture(0, 2, key=jr.key(0))


def test_vectors_as_labels():
    model = zoo.ConditionalVAE(
        2, 2, condition_size=5, networks=NETWORKS, likelihood=likelihoods.gaussian(), key=jr.key(0)
    )
    ys = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    assert zoo.reconstruct(model, np.zeros((6, 2), np.float32), ys=ys, key=jr.key(1)).shape == (6, 2)
    assert zoo.sample(model, y=ys, key=jr.key(1)).shape == (6, 2)
    assert zoo.sample(model, 3, y=ys[0], key=jr.key(1)).shape == (3, 2)
    with pytest.raises(ValueError, match=r"\(6, 5\), got \(6, 4\)"):
        zoo.reconstruct(model, np.zeros((6, 2), np.float32), ys=ys[:, :4], key=jr.key(1))


def test_images_see_their_label_as_a_plane():
    networks = nn.convolutional(width_size=2, norm="batch")
    options = dict(num_classes=3, networks=networks, likelihood=likelihoods.gaussian())
    model = thin(moved(zoo.ConditionalVAE((1, 4, 4), 2, **options, key=jr.key(0))))
    xs = np.random.default_rng(0).integers(1, 255, (12, 1, 4, 4)).astype(np.uint8)
    ys = np.arange(12) % 3
    learned = lambda weight: 0.5 * jr.normal(jr.key(3), weight.shape)  # as it starts, the plane is zero
    model = eqx.tree_at(lambda m: m.encoder_label.weight, model, replace_fn=learned)
    frozen = zoo.freeze(model, xs, ys=ys, key=jr.key(1))
    together = zoo.reconstruct(frozen, xs, ys=ys, key=jr.key(2))
    # A frozen model scores one example alone, whatever the others' labels.
    np.testing.assert_allclose(zoo.reconstruct(frozen, xs[:1], ys=ys[:1], key=jr.key(2)), together[:1], atol=1e-5)
    for what in (lambda m: m.decode(jnp.zeros(2)), lambda m: m.posterior(jnp.ones((1, 4, 4))).mean):
        a, b = (np.asarray(what(frozen.given(y))) for y in (0, 1))
        assert not np.allclose(a, b)


@pytest.fixture(scope="module")
def model():
    return zoo.ConditionalVAE(2, 2, num_classes=3, networks=NETWORKS, likelihood=likelihoods.gaussian(), key=jr.key(0))


XS = np.zeros((4, 2), np.float32)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m: zoo.fit(m, XS, batch_size=2, key=jr.key(0)), "`fit.ys.` .* needs its labels"),
        (lambda m: zoo.log_likelihood(m, XS, ys=np.array([0, 1, 2, 3]), key=jr.key(0)), "from 0 to 2, got 0 to 3"),
        (lambda m: zoo.log_likelihood(m, XS, ys=np.array([0, 1, -1, 0]), key=jr.key(0)), "got -1 to 1"),
        (lambda m: zoo.encode(m, XS, ys=np.zeros(3, int), key=jr.key(0)), r"\(4,\), got \(3,\)"),
        (lambda m: zoo.encode(m, XS, ys=np.zeros(4), key=jr.key(0)), "integer labels, got dtype float64"),
        (lambda m: zoo.sample(m, 3, key=jr.key(0)), "needs its labels"),
        (lambda m: zoo.sample(m, 2, y=np.arange(3), key=jr.key(0)), r"\(2,\), got \(3,\)"),
        (lambda m: m.decode(jnp.zeros(2)), r"given\(y\)"),
        (lambda m: m.posterior(jnp.zeros(2)), r"given\(y\)"),
        (lambda m: zoo.encode(zoo.MLPVAE(2, 2, key=jr.key(0)), XS, ys=np.zeros(4, int), key=jr.key(0)), "takes no lab"),
        (lambda m: zoo.ConditionalVAE(2, 2, key=jr.key(0)), "num_classes=None, condition_size=None"),
        (lambda m: zoo.ConditionalVAE(2, 2, num_classes=3, condition_size=3, key=jr.key(0)), "pass `num_classes`"),
        (lambda m: zoo.ConditionalVAE(2, 2, num_classes=1, key=jr.key(0)), "num_classes=1"),
        (lambda m: zoo.ConditionalVAE(2, 0, num_classes=3, key=jr.key(0)), "latent_size=0"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be_are_refused_before_anything_compiles(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model)


def test_a_vamp_prior_is_the_mixture_of_the_posteriors():
    inputs = np.random.default_rng(0).random((3, 2), np.float32)
    prior = eqx.tree_at(lambda p: p.logits, priors.VampPrior(inputs), jnp.array([0.0, 1.0, -1.0]))
    model = zoo.MLPVAE(2, 2, width_size=8, depth=1, prior=prior, key=jr.key(0))
    weights = np.exp([0, 1, -1]) / np.exp([0, 1, -1]).sum()

    @jax.jit
    def one(u, z):
        posterior = model.posterior(u)
        return posterior.log_prob(z), posterior.mean

    @jax.jit
    def whole(z, keys):
        return model.latent_prior.log_prob(z), jax.vmap(lambda key: model.latent_prior.sample(key=key))(keys)

    z = np.float32([0.2, -0.4])
    log_probs, means = map(np.stack, zip(*(one(u, z) for u in inputs), strict=True))
    log_prob, zs = whole(z, jr.split(jr.key(1), 20_000))
    np.testing.assert_allclose(np.exp(log_prob), weights @ np.exp(log_probs), rtol=1e-5)
    error = np.asarray(zs).std(0) / 20_000**0.5
    assert np.all(np.abs(np.asarray(zs).mean(0) - weights @ means) < 4 * error)


def test_a_vamp_prior_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(3,\).*\(2,\)"):
        zoo.MLPVAE(2, 2, width_size=8, prior=priors.VampPrior(np.zeros((4, 3), np.float32)), key=jr.key(0))
    with pytest.raises(ValueError, match="components"):
        priors.VampPrior(np.zeros((0, 3), np.float32))
