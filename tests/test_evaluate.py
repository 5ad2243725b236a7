import inspect
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, strategies as st
from linear_gaussian import exact_log_likelihood, linear_gaussian

import zoo
from zoo import evaluate, objectives
from zoo._checks import check_counts
from zoo.evaluate import _examples
from zoo.evaluate._parts import part_size
from zoo.train._measure import Examples, measure_held_out
from zoo.train._recipe import write_recipe


XS = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)


def test_log_likelihood_is_the_exact_one():
    model = linear_gaussian()
    estimate = zoo.log_likelihood(model, XS, k=100_000, key=jr.key(0))
    np.testing.assert_allclose(estimate, exact_log_likelihood(model, XS), atol=0.01)


def test_with_the_exact_posterior_one_draw_is_enough():
    model = linear_gaussian(exact=True)
    estimate = zoo.log_likelihood(model, XS, k=1, key=jr.key(0))
    np.testing.assert_allclose(estimate, exact_log_likelihood(model, XS), atol=1e-4)


def test_the_bound_climbs_to_the_log_likelihood():
    model = linear_gaussian()
    x = np.repeat(XS[:1], 2000, axis=0)
    values = {k: np.asarray(zoo.log_likelihood(model, x, k=k, key=jr.key(2)), np.float64) for k in (1, 5, 50)}
    error = {k: v.std() / np.sqrt(len(v)) for k, v in values.items()}
    exact = exact_log_likelihood(model, XS)[0]
    means = [values[k].mean() for k in (1, 5, 50)] + [exact]
    assert np.all(np.diff(means) > [0, 0, -3 * error[50]])
    assert means[1] - means[0] > 10 * error[1]
    assert exact - means[0] > 10 * error[1]


def test_one_draw_is_the_elbo():
    model = linear_gaussian()
    elbo = zoo.bound(model, XS, objective=objectives.elbo, k=1, key=jr.key(3))
    np.testing.assert_allclose(elbo, zoo.log_likelihood(model, XS, k=1, key=jr.key(3)), rtol=1e-6)


@pytest.mark.parametrize("chunk_size", [1, 7, 50, 64])
def test_chunks_change_nothing_but_rounding(chunk_size):
    model = linear_gaussian()
    whole = zoo.log_likelihood(model, XS, k=50, chunk_size=1000, key=jr.key(4))
    chunked = zoo.log_likelihood(model, XS, k=50, chunk_size=chunk_size, key=jr.key(4))
    np.testing.assert_allclose(chunked, whole, atol=2e-5)


def test_an_example_scores_the_same_alone_and_in_company():
    model = linear_gaussian()
    together = zoo.log_likelihood(model, XS, k=10, key=jr.key(4))
    np.testing.assert_allclose(zoo.log_likelihood(model, XS[:1], k=10, key=jr.key(4)), together[:1], atol=1e-5)


def test_samples_with_noise_have_the_model_s_moments():
    model = linear_gaussian()
    layer = model.decoder.layers.layers[0]
    xs = np.asarray(zoo.sample(model, 20_000, noise=True, key=jr.key(5)))
    covariance = np.asarray(layer.weight.T @ layer.weight) + 0.36 * np.eye(3)
    np.testing.assert_allclose(xs.mean(axis=0), layer.bias, atol=0.04)
    np.testing.assert_allclose(np.cov(xs.T), covariance, atol=0.08)
    means = np.asarray(zoo.sample(model, 20_000, key=jr.key(5)))
    np.testing.assert_allclose(np.cov(means.T), covariance - 0.36 * np.eye(3), atol=0.08)


def of_images(**options):
    return zoo.MLPVAE((1, 8, 8), 2, width_size=4, depth=1, **options, key=jr.key(0))


def test_reconstructions_are_the_likelihood_s_mean_and_not_its_logits():
    model = zoo.ConvVAE((1, 8, 8), 2, width_size=2, key=jr.key(0))
    xs = np.random.default_rng(0).uniform(0.01, 0.99, size=(3, 1, 8, 8)).astype(np.float32)
    pictures = zoo.reconstruct(model, xs, key=jr.key(1))
    assert pictures.shape == xs.shape
    eta = 8 * jnp.ones((1, 8, 8))
    constant = eqx.tree_at(lambda m: m.decoder, model, lambda z: eta, is_leaf=lambda m: callable(m))
    np.testing.assert_allclose(zoo.reconstruct(constant, xs, key=jr.key(1)), 1 / (1 - np.exp(-8.0)) - 1 / 8, rtol=1e-5)


def test_codes_are_posterior_means():
    model = linear_gaussian()
    layer = model.encoder.layers.layers[0]
    expected = (XS @ np.asarray(layer.weight) + np.asarray(layer.bias))[:, :2]
    np.testing.assert_allclose(zoo.encode(model, XS, key=jr.key(0)), expected, rtol=1e-5, atol=1e-6)


def test_latents_decode_to_means_and_those_of_another_model_are_refused():
    model = linear_gaussian()
    layer = model.decoder.layers.layers[0]
    zs = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)  # more than are decoded at once
    expected = zs @ np.asarray(layer.weight) + np.asarray(layer.bias)
    np.testing.assert_allclose(evaluate.decode_means(model, zs), expected, rtol=1e-5, atol=1e-5)
    networks = zoo.nn.fully_connected(width_size=2, depth=1)
    layers = zoo.HierarchicalVAE(3, (4, 2), networks=networks, likelihood=model.likelihood, key=jr.key(0))
    assert evaluate.decode_means(layers, zoo.encode(layers, XS, key=jr.key(0))).shape == XS.shape
    for model, latents, message in [
        (model, zs[:, :1], r"`decode_means\(zs\)` needs latents of shape \(n, 2\), got \(300, 1\); `draw_latents`"),
        (model, zs[0], r"\(n, 2\), got \(2,\)"),
        (model, zs[:0], "at least one latent"),
        (layers, zs, r"\(n, 4\) and \(n, 2\), got \(300, 2\)"),
        (layers, (zs, zs), r"got \(300, 2\) and \(300, 2\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            evaluate.decode_means(model, latents)


def test_whatever_goes_through_many_examples_has_a_progress_bar(capsys):
    model, key = linear_gaussian(), jr.key(0)
    factors = np.indices((4, 4, 2)).reshape(3, -1).T
    codes = factors.astype(np.float32)
    for text, call in [
        ("6/6", lambda **bar: zoo.encode(model, XS, key=key, **bar)),
        ("6/6", lambda **bar: zoo.sample(model, 6, key=key, **bar)),
        ("6/6", lambda **bar: evaluate.decode_means(model, XS[:, :2], **bar)),
        ("32/32", lambda **bar: evaluate.knn_probe(codes, factors[:, 0], codes, factors[:, 0], **bar)),
        ("30/30", lambda **bar: evaluate.factor_vae_score(codes, factors, train=20, test=10, key=key, **bar)),
        ("4/4", lambda **bar: evaluate.estimate_metric(np.mean, (XS,), groups=4, key=key, **bar)),
    ]:
        quiet = call()
        assert capsys.readouterr().err == ""
        np.testing.assert_array_equal(call(progress=True), quiet)
        assert text in capsys.readouterr().err
    for name, function in vars(evaluate).items():
        takes = inspect.signature(function).parameters if inspect.isfunction(function) else {}
        if "model" in takes and name not in ("check_evaluation", "check_examples", "from_prior", "from_posterior"):
            assert takes["progress"].default is False, name


def test_bytes_are_scaled_once():
    model = of_images(likelihood=zoo.likelihoods.bernoulli)
    pixels = np.random.default_rng(0).integers(0, 256, size=(2, 1, 8, 8), dtype=np.uint8)
    by_bytes = zoo.log_likelihood(model, pixels, k=3, observe=zoo.data.scale, key=jr.key(0))
    by_floats = zoo.log_likelihood(model, pixels.astype(np.float32) / 255, k=3, key=jr.key(0))
    np.testing.assert_allclose(by_bytes, by_floats, rtol=1e-6)


@pytest.mark.parametrize(
    "xs, message",
    [
        (np.zeros((0, 1, 8, 8), np.float32), "empty batch"),
        (np.full((2, 1, 8, 8), np.nan, np.float32), "nan"),
        (np.full((2, 1, 8, 8), np.inf, np.float32), "inf"),
        (np.full((2, 1, 8, 8), -0.1, np.float32), "-0.1"),
        (np.full((2, 1, 8, 8), 1.5, np.float32), "1.5"),
        (np.zeros((2, 8, 8), np.float32), r"\(2, 8, 8\)"),
        (np.zeros((2, 1, 8, 9), np.float32), r"\(2, 1, 8, 9\)"),
        (np.zeros((2, 1, 8, 8), np.int64), "int64"),
    ],
)
def test_examples_the_model_cannot_take_are_refused(xs, message):
    model = of_images(likelihood=zoo.likelihoods.beta)
    for call in (
        lambda: zoo.log_likelihood(model, xs, k=2, key=jr.key(0)),
        lambda: zoo.fit(model, xs, batch_size=2, progress=False, key=jr.key(0)),
        lambda: zoo.reconstruct(model, xs, key=jr.key(0)),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_no_draws_are_refused():
    model = linear_gaussian()
    for call in (
        lambda: zoo.log_likelihood(model, XS, k=0, key=jr.key(0)),
        lambda: zoo.bound(model, XS, objective=objectives.elbo, k=0, key=jr.key(0)),
        lambda: zoo.fit(model, XS, k=0, batch_size=2, progress=False, key=jr.key(0)),
        lambda: jax.eval_shape(lambda x: model.draw(x, k=0, key=jr.key(0)), XS[0]),
    ):
        with pytest.raises(ValueError, match="k >= 1"):
            call()
    with pytest.raises(ValueError, match=r"`sample\(n=0\)`"):
        zoo.sample(model, 0, key=jr.key(0))
    with pytest.raises(ValueError, match=r"`log_likelihood\(chunk_size=0\)` .* pass chunk_size >= 1"):
        zoo.log_likelihood(model, XS, chunk_size=0, key=jr.key(0))


def test_numbers_of_draws_are_whole_and_may_be_numpy_s():
    with pytest.raises(ValueError, match=r"`gaps\(draws=2.5\)` needs a whole number; pass draws >= 1"):
        check_counts("gaps", steps=3, draws=2.5)
    check_counts("sizes", n=np.int32(1), sizes=(1, 2))
    with pytest.raises(ValueError, match=r"`sizes\(sizes=\(1, 0\)\)` needs whole numbers; pass sizes >= 1"):
        check_counts("sizes", n=1, sizes=(1, 0))
    zeros = eqx.Partial(lambda size, x: x + jnp.zeros(size, jnp.int32), np.int64(2))
    rows = _examples.map_rows(zeros, np.arange(3, dtype=np.int32), at_once=2, per_call=2, progress=None)
    np.testing.assert_array_equal(rows, [[0, 0], [1, 1], [2, 2]])


@given(n=st.integers(1, 10_000), at_most=st.integers(1, 10_000))
def test_parts_are_few_and_hardly_anything_is_done_twice(n, at_most):
    size = part_size(n, at_most)
    parts = math.ceil(n / at_most)
    assert size <= at_most and n <= parts * size < n + parts


@pytest.mark.parametrize("n, at_once, per_call, sizes", [(10, 3, 7, [6, 6]), (9, 4, 4, [3, 3, 3]), (7, 9, 9, [7])])
def test_rows_are_divided_into_calls_of_one_size(n, at_once, per_call, sizes, monkeypatch):
    called = []
    monkeypatch.setattr(_examples, "_map_compiled", lambda function, rows, at_once: called.append(len(rows)) or rows)
    rows = _examples.map_rows(abs, np.arange(n), at_once=at_once, per_call=per_call, progress=None)
    np.testing.assert_array_equal(rows, np.arange(n))
    assert called == sizes


def test_a_continuous_density_of_rounded_pixels_warns():
    model = of_images()
    black = np.zeros((2, 1, 8, 8), np.uint8)
    with pytest.warns(UserWarning, match="dequantise"):
        zoo.log_likelihood(model, black, k=1, key=jr.key(0))
    jax.block_until_ready(zoo.log_likelihood(model, black, k=1, observe=zoo.data.dequantise, key=jr.key(0)))


def temporaries(monkeypatch, model, n, k):
    """Bytes that XLA sets aside in the program that `log_likelihood` would run."""
    found, original = [], _examples._map_compiled

    def measured(*arguments):
        compiled = original.lower(*arguments).compile().compiled
        found.append(compiled.memory_analysis().temp_size_in_bytes)
        raise StopIteration

    monkeypatch.setattr(_examples, "_map_compiled", measured)
    with pytest.raises(StopIteration):
        zoo.log_likelihood(model, np.full((n, 1, 28, 28), 0.5, np.float32), k=k, key=jr.key(0))
    monkeypatch.undo()
    return found[0]


def test_the_decoder_s_temporaries_stay_below_32_mebibytes(monkeypatch):
    model = zoo.ConvVAE((1, 28, 28), 8, networks=zoo.nn.convolutional(), key=jr.key(0))
    assert 2**20 < temporaries(monkeypatch, model, 100, 5000) <= 32 * 2**20


def test_temporaries_depend_neither_on_k_nor_on_the_number_of_examples(monkeypatch):
    model = zoo.MLPVAE((1, 28, 28), 2, width_size=4, depth=1, key=jr.key(0))
    assert len({temporaries(monkeypatch, model, n, k) for n, k in [(100, 5000), (7, 20_000)]}) == 1


def test_weights_that_are_not_numbers_are_refused():
    broken = eqx.tree_at(lambda m: m.decoder.layers.layers[0].bias, linear_gaussian(), jnp.array([0.0, jnp.nan, 0.0]))
    for call in (
        lambda: zoo.log_likelihood(broken, XS, k=2, key=jr.key(0)),
        lambda: zoo.bound(broken, XS, objective=objectives.elbo, key=jr.key(0)),
        lambda: zoo.active_units(broken, XS, key=jr.key(0)),
        lambda: zoo.encode(broken, XS, key=jr.key(0)),
        lambda: zoo.sample(broken, 2, key=jr.key(0)),
        lambda: zoo.elbo_decomposition(broken, XS, key=jr.key(0)),
    ):
        with pytest.raises(ValueError, match=r"decoder\.layers\.layers\[0\]\.bias. holds NaN"):
            call()


def test_examples_with_infinite_weights_are_named():
    model = zoo.MLPVAE(1, 1, depth=0, likelihood=zoo.likelihoods.gaussian(scale=1e-10), key=jr.key(0))
    xs = np.array([[0.0], [1e20], [1.0], [-1e20]], np.float32)
    elbo = dict(objective=objectives.elbo, k=3)
    weight = lambda m: m.encoder.layers.layers[0].weight
    steep = eqx.tree_at(weight, model, replace_fn=lambda w: w.at[:, 0].set(1e30))
    for call in (
        lambda: zoo.log_likelihood(model, xs, k=3, key=jr.key(0)),
        lambda: zoo.bound(model, xs, **elbo, key=jr.key(0)),
        lambda: zoo.active_units(steep, xs, key=jr.key(0)),
    ):
        with pytest.raises(FloatingPointError, match=r"2 of 4 examples .* examples 1 \(.*\), 3 \(.*\);"):
            call()
    # In training such a held-out example is a value like any other.
    examples, recipe = Examples(xs, None, xs, None), write_recipe(**elbo, batch_size=4)
    assert np.isnan(measure_held_out(model, examples, recipe, key=jr.key(0)))
