"""Every model starts at the independent marginals of the data, in whatever units those are."""

import functools
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import zoo
from zoo import MLPVAE, bound, data, evaluate, fit, likelihoods, objectives
from zoo.models import observe_example


RNG = np.random.default_rng(0)
REAL = {
    "gaussian-learned": likelihoods.gaussian_learned,
    "gaussian-shared": likelihoods.gaussian_shared(),
    "logistic": likelihoods.logistic,
    "student-t": likelihoods.student_t,
}
OTHERS = {
    "gaussian": (likelihoods.gaussian(0.5), RNG.normal(3, 1, (200, 4))),
    "laplace": (likelihoods.laplace(0.5), RNG.normal(3, 1, (200, 4))),
    "bernoulli": (likelihoods.bernoulli, RNG.random((200, 4)) < [0.5, 0.1, 0.02, 0.99]),
    "continuous-bernoulli": (likelihoods.continuous_bernoulli, RNG.beta(0.3, [0.5, 1, 2, 0.05], (200, 4))),
    "beta": (likelihoods.beta, RNG.beta([0.5, 2, 5, 1], [0.5, 1, 2, 9], (200, 4))),
    "truncated-normal": (likelihoods.truncated_normal, np.clip(RNG.normal(0.5, [0.1, 0.3, 0.02, 1], (200, 4)), 0, 1)),
    "poisson": (likelihoods.poisson, RNG.poisson([3, 0.1, 40, 1e4], (200, 4))),
    "negative-binomial": (
        likelihoods.negative_binomial,
        RNG.poisson(RNG.gamma(2, [1, 0.1, 20, 1e4], (200, 4))),
    ),
    "categorical": (likelihoods.categorical(5), RNG.integers(0, [5, 2, 3, 4], (200, 4))),
    "discretized-logistic-mixture": (
        likelihoods.discretized_logistic_mixture(),
        np.round(255 * RNG.beta(0.5, 0.5, (200, 4))) / 255,
    ),
}


def best(likelihood, xs):
    """The mean log p(x) of independent dimensions, by a longer and finer climb than the library's, from its start."""
    xs = jnp.asarray(xs, jnp.float32)
    loss = lambda params: -jnp.mean(jax.vmap(lambda x: likelihood.log_prob(params, x))(xs))
    optimiser = optax.adam(optax.cosine_decay_schedule(0.03, 600))

    @jax.jit
    def run(params):
        def advance(carry, _):
            params, state, lowest = carry
            value, gradient = jax.value_and_grad(loss)(params)
            updates, state = optimiser.update(gradient, state)
            return (optax.apply_updates(params, updates), state, jnp.minimum(lowest, value)), None

        with jax.numpy_dtype_promotion("standard"):
            start = (params, optimiser.init(params), jnp.array(jnp.inf))
            return jax.lax.scan(advance, start, length=600)[0][2]

    return -float(run(jnp.asarray(likelihood.start(xs))))


@pytest.mark.parametrize("name", [*OTHERS, *REAL])
def test_the_start_is_the_best_of_independent_dimensions(name):
    likelihood, xs = OTHERS[name] if name in OTHERS else (REAL[name], RNG.standard_t(5, (200, 4)) * 2 + 1)
    xs = jnp.asarray(xs, jnp.float32)
    start = likelihood.start(xs)
    assert start.shape == (4 * likelihood.channels,)
    if name == "gaussian-shared":
        scale = likelihoods.optimal_log_scale(jnp.broadcast_to(start, xs.shape), xs)
        likelihood = eqx.tree_at(lambda m: m.log_scale, likelihood, scale)
    found = float(jnp.mean(jax.vmap(lambda x: likelihood.log_prob(start, x))(xs)))
    # A bernoulli has half a count more, and so have the classes and the Poisson.
    assert found == pytest.approx(best(likelihood, xs), abs=0.02 * 4)


def test_a_pixel_that_is_always_black_starts_at_a_finite_logit():
    for likelihood in (likelihoods.bernoulli, likelihoods.poisson, likelihoods.continuous_bernoulli, likelihoods.beta):
        assert jnp.isfinite(likelihood.start(jnp.zeros((20, 3)))).all()


@pytest.mark.parametrize("name", REAL)
def test_no_number_depends_on_the_units_of_the_data(name):
    xs = RNG.normal(size=(256, 3)).astype(np.float32)
    xs[:, 2] += xs[:, 0]
    scales, shifts = np.array([1e-6, 40.0, 1e6]), np.array([3e-6, -900.0, 2e6])
    others = (xs * scales + shifts).astype(np.float32)

    def train(xs, epochs):
        units = data.units(xs)
        options = dict(width_size=16, likelihood=REAL[name], key=jr.key(0))
        model = MLPVAE(3, 2, units=units, **options)
        if epochs:
            model = fit(model, xs, batch_size=64, epochs=epochs, key=jr.key(1), progress=False).model
        return bound(model, xs[:64], objective=objectives.elbo, k=4, key=jr.key(2), progress=False)

    for epochs, tolerance in ((0, 1e-3), (25, 1e-2)):
        difference = train(others, epochs) - train(xs, epochs) + np.log(scales).sum()
        assert np.abs(difference).max() < tolerance


def test_a_normal_in_five_dimensions_is_learned_at_both_rates():
    # exactly -7.0947 nats; a floor of q's rate at first costs the rest
    xs = RNG.normal(size=(2560, 5)).astype(np.float32)
    for rate in (1e-3, 1e-2):
        model = MLPVAE(5, 2, width_size=50, likelihood=likelihoods.gaussian_learned, key=jr.key(0))
        options = dict(optimiser=optax.adam(rate), epochs=25, key=jr.key(1), progress=False)
        model = fit(model, xs, **options).model
        assert bound(model, xs, objective=objectives.elbo, key=jr.key(2), progress=False).mean() > -7.25


def test_whole_numbers_are_what_the_likelihood_takes_them_for():
    bits = RNG.random((8, 6)) < 0.5
    counts = RNG.integers(0, 5, (8, 6))
    for likelihood, xs in (
        (likelihoods.bernoulli, bits),
        (likelihoods.poisson, counts),
        (likelihoods.negative_binomial, counts),
        (likelihoods.categorical(5), counts),
        (likelihoods.gaussian_learned, counts),
    ):
        model = MLPVAE(6, 2, width_size=8, likelihood=likelihood, key=jr.key(0))
        for dtype in (np.uint8, np.int32, np.int64) + (np.bool_,) * (xs is bits):
            evaluate.check_examples("fit(xs)", model, xs.astype(dtype))
            seen = observe_example(model, None, jnp.asarray(xs[0].astype(dtype)), key=jr.key(1))
            np.testing.assert_array_equal(seen, xs[0].astype(np.float32))
    # and the way from the door to the density is that one
    score = lambda xs: np.asarray(bound(model, xs, objective=objectives.elbo, key=jr.key(1), progress=False))
    np.testing.assert_array_equal(score(counts.astype(np.uint8)), score(counts.astype(np.float32)))


def test_the_bytes_of_pixels_are_pixels():
    xs = RNG.integers(1, 255, (8, 6), dtype=np.uint8)
    model = MLPVAE(6, 2, width_size=8, likelihood=likelihoods.beta, key=jr.key(0))
    score = lambda xs: np.asarray(bound(model, xs, objective=objectives.elbo, key=jr.key(1), progress=False))
    np.testing.assert_array_equal(score(xs), score(np.asarray(data.scale(xs))))
    # of fewer levels as of 256
    levels = MLPVAE(6, 2, width_size=8, likelihood=likelihoods.discretized_logistic_mixture(levels=16), key=jr.key(0))
    score = lambda xs: np.asarray(bound(levels, xs, objective=objectives.elbo, key=jr.key(1), progress=False))
    np.testing.assert_allclose(score(xs // 16), score((xs // 16).astype(np.float32) / 15), rtol=1e-6)


@pytest.mark.parametrize(
    "likelihood, xs, message",
    [
        (likelihoods.bernoulli, np.array([[0, 7]], np.uint8), r"in \[0, 1\], got 7 at index \(0, 1\); .*binarise"),
        (likelihoods.poisson, np.array([[0.5, 1]], np.float32), r"whole numbers in \[0, inf\], got 0.5"),
        (likelihoods.poisson, np.array([[-1, 1]], np.int32), "got -1 at index"),
        (likelihoods.categorical(3), np.array([[3, 1]], np.int64), r"in \[0, 2\], got 3"),
        (likelihoods.beta, np.array([[3, 1]], np.int64), "got dtype int64"),
        (likelihoods.gaussian_learned, np.array([[np.inf, 1]], np.float32), "got inf at index"),
    ],
)
def test_numbers_that_a_likelihood_does_not_take_are_refused(likelihood, xs, message):
    model = MLPVAE(2, 1, width_size=4, likelihood=likelihood, key=jr.key(0))
    with pytest.raises(ValueError, match=message):
        fit(model, xs, batch_size=1, key=jr.key(1), progress=False)


def test_what_an_observe_of_ones_own_makes_is_looked_at():
    xs = np.array([[3.0, 0.1], [7.0, 0.2]], np.float32)
    model = MLPVAE(2, 1, width_size=4, likelihood=likelihoods.beta, key=jr.key(0))
    observe = functools.partial(data.dequantise, step=jnp.array([1.0, 0.1]))
    with pytest.raises(ValueError, match=r"`fit\(xs\), observed` needs finite values in \[0, 1\], got .* \(0, 0\)"):
        fit(model, xs, observe=observe, batch_size=1, key=jr.key(1), progress=False)


def test_images_may_be_any_numbers_of_the_likelihoods_support():
    xs = RNG.normal(100, 50, (8, 1, 4, 4)).astype(np.float32)
    networks = zoo.nn.fully_connected(width_size=8)
    model = zoo.ConvVAE((1, 4, 4), 2, networks=networks, likelihood=likelihoods.gaussian_learned, key=jr.key(0))
    result = fit(model, xs, batch_size=4, epochs=2, key=jr.key(1), progress=False)
    assert np.isfinite([row["loss"] for row in result.history]).all()
    assert result.model.likelihood.origin.shift.shape == (1, 1, 1)


def test_columns_that_never_vary_and_columns_on_a_grid_are_named():
    xs = np.stack([RNG.normal(size=200), np.full(200, 3.0), RNG.integers(1990, 2020, 200)], axis=1).astype(np.float32)
    model = MLPVAE(3, 1, width_size=4, likelihood=likelihoods.gaussian_learned, key=jr.key(0))
    with pytest.warns(UserWarning) as caught:
        fit(model, xs, batch_size=100, key=jr.key(1), progress=False)
    texts = " ".join(str(warning.message) for warning in caught)
    assert "columns 1 never vary" in texts and "columns 2 are rounded, to multiples of 1" in texts
    observe = functools.partial(data.dequantise, step=data.find_grid(xs))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(model, xs, observe=observe, batch_size=100, key=jr.key(1), progress=False)
    assert not any("rounded" in str(warning.message) for warning in caught)


@pytest.mark.parametrize("step", [1.0, 0.01, 0.25, 1 / 65535])
def test_the_grid_of_a_column_is_found(step):
    k = RNG.integers(0, 300, 2000)
    xs = np.stack([k * step + 7, RNG.normal(size=2000)], axis=1).astype(np.float32)
    np.testing.assert_allclose(data.find_grid(xs), [step, 0], rtol=1e-2)


def test_noise_on_a_grid_fills_its_cells_evenly():
    x = jnp.full(20_000, 7.25)
    noise = (data.dequantise(x, step=0.5, key=jr.key(0)) - x) / 0.5
    assert noise.min() > -0.5 and noise.max() < 0.5
    assert float(noise.mean()) == pytest.approx(0, abs=0.01)
    assert float(noise.var()) == pytest.approx(1 / 12, abs=0.003)
    levels = data.dequantise(jnp.full(20_000, 65535, jnp.uint16), levels=65536, key=jr.key(0))
    assert 65535 / 65536 < float(levels.min()) and float(levels.max()) < 1


def test_an_outlier_moves_neither_shift_nor_scale():
    xs = RNG.normal(5, 2, (1000, 2))
    outlier = xs.copy()
    outlier[0] = 1e12
    for found, expected in zip(data.units(outlier)[:2], data.units(xs)[:2]):
        np.testing.assert_allclose(found, expected, rtol=0.02)
    assert data.units(xs).shift == pytest.approx([5, 5], abs=0.3)
    assert data.units(xs).scale == pytest.approx([2, 2], abs=0.2)


def test_a_model_that_is_trained_is_not_started_again():
    xs = RNG.normal(size=(64, 3)).astype(np.float32)
    options = dict(batch_size=32, progress=False)
    model = MLPVAE(3, 1, width_size=4, likelihood=likelihoods.gaussian_learned, key=jr.key(0))
    first = fit(model, xs, key=jr.key(1), **options).model
    second = fit(first, 3 * xs, key=jr.key(2), **options).model
    for before, after in zip(first.likelihood.origin.__dict__.values(), second.likelihood.origin.__dict__.values()):
        np.testing.assert_array_equal(before, after)
    # and one that was trained without a start stays in its own units
    trained = eqx.tree_at(lambda m: m.decoder.layers.layers[-1].bias, model, replace_fn=lambda bias: bias + 1)
    kept = fit(trained, xs, key=jr.key(1), **options).model.likelihood
    assert not isinstance(kept, likelihoods.Centred)


def test_weight_decay_leaves_the_units_alone():
    xs = RNG.normal(1000, 3, (64, 2)).astype(np.float32)
    model = MLPVAE(2, 1, width_size=4, likelihood=likelihoods.gaussian_learned, units=data.units(xs), key=jr.key(0))
    trained = fit(model, xs, optimiser=optax.adamw(0.1, weight_decay=1.0), batch_size=32, key=jr.key(1), progress=False)
    np.testing.assert_array_equal(trained.model.likelihood.origin.shift, model.likelihood.origin.shift)
    gradient = jax.grad(lambda m: m.likelihood.log_prob(jnp.zeros(4), jnp.ones(2)))(model)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradient.likelihood.origin))


def test_data_in_other_units_than_the_models_are_named():
    xs = RNG.normal(size=(64, 2)).astype(np.float32)
    model = MLPVAE(2, 1, width_size=4, likelihood=likelihoods.gaussian_learned, units=data.units(xs), key=jr.key(0))
    with pytest.warns(UserWarning, match="in columns 1 most values are over 50 scales away"):
        bound(model, xs * [1, 1000], objective=objectives.elbo, key=jr.key(1), progress=False)


def test_training_says_what_was_first_not_finite():
    xs = RNG.normal(size=(64, 2)).astype(np.float32)
    model = MLPVAE(2, 1, width_size=4, likelihood=likelihoods.gaussian_learned, key=jr.key(0))
    poisoned = eqx.tree_at(lambda m: m.encoder.layers.layers[0].bias, model, replace_fn=lambda bias: bias + jnp.nan)
    with pytest.raises(FloatingPointError, match="the model's weight .*encoder.* is first nan.*already at init"):
        fit(poisoned, xs, batch_size=32, key=jr.key(1), progress=False)
    spoil = lambda x, *, key: jnp.where(x > 1.5, jnp.nan, x)
    with pytest.raises(FloatingPointError, match="what `observe` makes of the data is first nan for example"):
        fit(model, xs, observe=spoil, batch_size=32, epochs=5, key=jr.key(1), progress=False)
    huge = eqx.tree_at(lambda m: m.encoder.layers.layers[-1].bias, model, replace_fn=lambda bias: bias + 1e38)
    with pytest.raises(FloatingPointError, match="is first (inf|-inf|nan)"):
        fit(huge, xs, batch_size=32, key=jr.key(1), progress=False)
