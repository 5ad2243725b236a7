"""Networks for pictures of any size and signals: shapes agree, padding means nothing, 28 x 28 is what it was."""

import inspect
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import zoo
from zoo import nn, plots
from zoo.models import BottomUp, TopDown


NETWORKS = {"strided": nn.strided, "convolutional": nn.convolutional, "residual": nn.residual}
SIDES = st.integers(1, 40)
SHAPES = st.tuples(st.integers(1, 3), SIDES) | st.tuples(st.integers(1, 3), SIDES, SIDES)
BIG = [(3, 218, 178), (1, 105, 105), (3, 45, 60), (1, 30, 30), (3, 256, 256), (1, 1500)]


def array(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def shape_of(function, *arguments):
    return eqx.filter_eval_shape(function, *arguments).shape


def parameters(build):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(eqx.filter_eval_shape(build)))


@settings(max_examples=25, deadline=None)
@given(shape=SHAPES, name=st.sampled_from(sorted(NETWORKS)))
def test_encoder_and_decoder_take_and_give_the_same_shape(shape, name):
    networks = NETWORKS[name](width_size=2)
    encoder = eqx.filter_eval_shape(lambda: networks.encoder(shape, 5, key=jr.key(0)))
    decoder = eqx.filter_eval_shape(lambda: networks.decoder(3, (2 * shape[0], *shape[1:]), key=jr.key(0)))
    assert shape_of(lambda f, x: f(x), encoder, array(*shape)) == (5,)
    assert shape_of(lambda f, z: f(z), decoder, array(3)) == (2 * shape[0], *shape[1:])
    assert max(decoder.head_shape[:2]) <= 8


@settings(max_examples=10, deadline=None)
@given(shape=SHAPES)
def test_grids_have_the_shape_they_say(shape):
    encoder = eqx.filter_eval_shape(lambda: nn.GridEncoder(shape, 5, width_size=2, key=jr.key(0)))
    decoder = eqx.filter_eval_shape(lambda: nn.GridDecoder(5, shape, width_size=2, key=jr.key(0)))
    places = nn.grid_shape(shape)
    assert len(places) == len(shape) - 1 and max(places) <= 8
    assert shape_of(lambda f, x: f(x), encoder, array(*shape)) == (*places, 5)
    assert shape_of(lambda f, z: f(z), decoder, array(*places, 5)) == shape


@settings(max_examples=5, deadline=None)
@given(sides=st.tuples(SIDES, SIDES), data=st.data())
def test_what_is_padded_is_cropped_and_enters_no_density(sides, data):
    amounts = tuple((data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))) for _ in sides)
    x = np.random.default_rng(0).normal(size=(*sides, 2)).astype(np.float32)
    padded, crop = nn.Pad(amounts)(jnp.asarray(x)), nn.Crop(amounts)
    assert padded.shape == (*(n + sum(a) for n, a in zip(sides, amounts)), 2)
    np.testing.assert_array_equal(crop(padded), x)
    assert np.sum(padded != 0) == np.sum(x != 0)
    # The density of a network's output is that of its middle: the derivative is zero in the border, and nowhere else.
    log_prob = lambda y: zoo.likelihoods.bernoulli.log_prob(crop(y), jnp.asarray(x > 0, jnp.float32))
    np.testing.assert_array_equal(jax.grad(log_prob)(padded) != 0, nn.Pad(amounts)(jnp.ones_like(x)) != 0)


@pytest.mark.parametrize("shape", [(2, 5, 7), (1, 9)])
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_networks_crop_as_much_as_they_pad(name, shape):
    networks = NETWORKS[name](width_size=2)
    encoder, decoder = networks.encoder(shape, 5, key=jr.key(0)), networks.decoder(3, shape, key=jr.key(0))
    (pad,) = (layer for layer in encoder.stages.layers if isinstance(layer, nn.Pad))
    (crop,) = (layer for layer in decoder.stages.layers if isinstance(layer, nn.Crop))
    assert pad.amounts == crop.amounts
    following = [layer for layer in decoder.stages.layers if isinstance(layer, nn.Conv)]
    assert decoder.stages.layers.index(crop) > decoder.stages.layers.index(following[-1])


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_nothing_is_inserted_where_sides_divide(name):
    networks = NETWORKS[name](width_size=2)
    for network in (networks.encoder((1, 28, 28), 5, key=jr.key(0)), networks.decoder(3, (1, 28, 28), key=jr.key(0))):
        assert not any(isinstance(layer, nn.Pad | nn.Crop | nn.Resize) for layer in network.stages.layers)


@pytest.mark.parametrize("shape", BIG)
def test_models_of_any_shape(shape):
    key, options = jr.key(0), dict(width_size=4)
    builds = [
        lambda: zoo.ConvVAE(shape, 4, **options, key=key),
        lambda: zoo.ResNetVAE(shape, 4, **options, key=key),
        lambda: zoo.VQVAE(shape, codebook_size=4, code_size=4, **options, key=key),
        lambda: zoo.ConditionalVAE(shape, 4, num_classes=3, networks=nn.strided(**options), key=key).given(1),
        *(
            lambda inference=inference: zoo.HierarchicalVAE(
                shape, (4, 2), inference=inference, networks=nn.strided(**options), key=key
            )
            for inference in (BottomUp, TopDown)
        ),
        lambda: zoo.DiscreteVAE(shape, 4, 3, networks=nn.strided(**options), key=key),
    ]
    for build in builds:
        eqx.filter_eval_shape(build)  # which checks that all parts fit together


def test_large_pictures_take_few_parameters():
    for model in (zoo.ConvVAE, zoo.ResNetVAE):
        assert parameters(lambda: model((3, 256, 256), 128, key=jr.key(0))) < 6e6


@pytest.mark.parametrize(
    "shape, depth, small",
    [
        ((1, 28, 28), None, (7, 7)),
        ((1, 32, 32), None, (8, 8)),
        ((1, 33, 28), None, (5, 7)),
        ((1, 4, 400), None, (1, 7)),
        ((1, 28, 28), 1, (14, 14)),
        ((1, 28, 28), 3, (4, 4)),
        ((3, 256, 256), 3, (32, 32)),
        ((1, 1500), 4, (94,)),
    ],
)
def test_halvings_follow_from_the_size_or_are_given(shape, depth, small):
    assert nn.grid_shape(shape, depth=depth) == small
    assert (
        shape_of(lambda: zoo.ConvVAE(shape, 2, width_size=2, depth=depth, key=jr.key(0)).decode(jnp.zeros(2))) == shape
    )


# Parameters, the sum of cos(i) times parameter i, and that of what the networks make of ones, in version 0.1.0.
AS_IT_WAS = [
    (nn.strided(), (1, 28, 28), (2,), (242695, 21.75327, 0.86752)),
    (nn.strided(width_size=8, norm="group"), (3, 32, 8), (2,), (17391, -6.72592, 7.05666)),
    (nn.convolutional(width_size=4), (1, 28, 28), (2,), (4816, -8.05562, -4.10053)),
    (nn.residual(), (1, 28, 28), (2,), (240964, -17.64639, 3.80405)),
    (nn.residual(width_size=4, depth=2), (3, 16, 24), (2,), (8134, -10.07149, -0.38482)),
    (nn.grid(width_size=4), (1, 28, 28), (7, 7, 2), (2640, 8.41063, -0.98785)),
]


def checksum(tree):
    flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]).astype(np.float64)
    return float(flat @ np.cos(np.arange(flat.size)))


@pytest.mark.parametrize("networks, shape, latent_shape, expected", AS_IT_WAS)
def test_what_divided_by_four_is_what_it_was(networks, shape, latent_shape, expected):
    # Unwrapped: their decoders start at zero since.
    encoder = networks.encoder(shape, 3, key=jr.key(0))
    decoder = inspect.unwrap(networks.decoder)(2, shape, key=jr.key(1))
    made = eqx.filter_jit(lambda f, g: (f(jnp.ones(shape)), g(jnp.ones(latent_shape))))(encoder, decoder)
    sizes = [leaf.size for leaf in jax.tree.leaves((encoder, decoder))]
    np.testing.assert_allclose((sum(sizes), checksum((encoder, decoder)), checksum(made)), expected, rtol=1e-4)


@pytest.mark.parametrize("factors", [(1, 2), (2, 1), (1, 1)])
def test_one_side_alone_is_resized(factors):
    down, across = factors
    x = jnp.arange(4 * 6 * 2.0).reshape(4, 6, 2)
    squares = nn.space_to_depth(x, factors)
    assert squares.shape == (4 // down, 6 // across, 2 * down * across)
    np.testing.assert_array_equal(squares[1, 2], x[down : 2 * down, 2 * across : 3 * across].reshape(-1))
    np.testing.assert_array_equal(nn.depth_to_space(squares, factors), x)
    np.testing.assert_array_equal(nn.max_pool(nn.upsample(x, factors), factors), x)
    np.testing.assert_array_equal(nn.Resize(nn.max_pool, factors)(x), x[down - 1 :: down, across - 1 :: across])


def test_a_signal_is_convolved_along_its_length():
    encoder = nn.StridedEncoder((1, 16), 2, width_size=1, key=jr.key(0))
    convolution = encoder.stages.layers[2]
    x = jr.normal(jr.key(1), (1, 16))
    pairs = x.reshape(8, 2)
    kernel = convolution.kernel[0, :, :, 0]
    expected = sum(np.convolve(pairs[:, c], kernel[::-1, c], "same") for c in range(2))
    found = convolution(encoder.stages.layers[1](encoder.stages.layers[0](x.T)))
    np.testing.assert_allclose(found[0, :, 0], expected, atol=1e-5)


def test_a_model_of_padded_signals_is_saved(tmp_path):
    model = zoo.ConvVAE((2, 37), 2, width_size=2, key=jr.key(0))
    zoo.save(tmp_path / "model.safetensors", model)
    again = zoo.load(tmp_path / "model.safetensors", like=zoo.ConvVAE((2, 37), 2, width_size=2, key=jr.key(1)))
    assert jax.tree.structure(again) == jax.tree.structure(model)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: nn.strided().encoder((0, 28, 28), 2, key=jr.key(0)), r"StridedEncoder.*\(0, 28, 28\).*below 1"),
        (lambda: nn.strided().decoder(2, (1, 0), key=jr.key(0)), r"StridedDecoder.*\(1, 0\).*signal"),
        (lambda: nn.convolutional().encoder((28,), 2, key=jr.key(0)), r"ConvEncoder.*\(28,\).*nn.fully_connected"),
        (lambda: nn.residual().encoder((1, 2, 28, 28), 2, key=jr.key(0)), r"ResidualEncoder.*\(1, 2, 28, 28\)"),
        (lambda: nn.grid().encoder((), 2, key=jr.key(0)), r"GridEncoder.*\(\)"),
        (lambda: zoo.ConvVAE((1, 28, 28), depth=6, key=jr.key(0)), "depth=6.*5 halvings leave a single point"),
        (lambda: zoo.ConvVAE((1, 28, 28), depth=0, key=jr.key(0)), "depth=0"),
        (lambda: zoo.ConvVAE(depth=2, networks=nn.strided(), key=jr.key(0)), "networks have their own depth"),
        (lambda: nn.residual(halvings=9).encoder((1, 28, 28), 2, key=jr.key(0)), "5 halvings leave a single point"),
        (lambda: nn.grid_shape((3,)), r"grid_shape.*\(3,\)"),
    ],
)
def test_what_has_no_such_shape_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


SIGNALS = np.random.default_rng(0).normal(size=(12, 2, 9)).astype(np.float32)
OF_SIGNALS = zoo.MLPVAE((2, 9), 3, width_size=4, depth=1, key=jr.key(0))


def lines_in_cell(ax, channel, cell):
    """The heights of a signal's points, as drawn, from the bottom of its cell."""
    from matplotlib.collections import LineCollection

    collections = [drawn for drawn in ax.collections if isinstance(drawn, LineCollection)]
    return -np.asarray(collections[channel].get_segments()[cell])[:, 1]


def test_signals_are_drawn_as_lines_on_one_scale():
    _, ax = plots.reconstructions(OF_SIGNALS, SIGNALS, key=jr.key(1))
    made = np.asarray(zoo.reconstruct(OF_SIGNALS, SIGNALS, key=jr.key(1)))
    scale = np.ptp(np.concatenate([SIGNALS, made]))
    # Eight to a row: the originals, and the reconstructions beneath.
    for channel in range(2):
        for cell, signal in ((0, SIGNALS[0]), (8, made[0]), (16, SIGNALS[8]), (20, made[8])):
            drawn = np.diff(lines_in_cell(ax, channel, cell))
            np.testing.assert_allclose(drawn, 0.88 * 28 * np.diff(signal[channel]) / scale, atol=1e-3)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["original", "reconstruction"] * 2


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.samples(OF_SIGNALS, 5, key=jr.key(1)),
        lambda: plots.manifold(OF_SIGNALS, np.random.default_rng(0).normal(size=(9, 3)), size=3),
        lambda: plots.traversals(OF_SIGNALS, SIGNALS[0], key=jr.key(1)),
        lambda: plots.interpolation(OF_SIGNALS, SIGNALS[:2], SIGNALS[2:4], key=jr.key(1)),
        lambda: plots.interpolation(OF_SIGNALS, np.zeros(3), np.ones(3)),
        lambda: plots.class_grid(SIGNALS.reshape(3, 4, 2, 9)),
    ],
)
def test_every_figure_of_images_takes_signals(draw):
    figure, ax = draw()
    assert len(ax.collections) == 3 and not ax.images
    assert "each cell from" in ax.get_title()
    figure.draw_without_rendering()


@pytest.mark.parametrize("height, width, columns", [(8, 8, 4), (4, 16, 2), (16, 4, 8)])
def test_sheets_of_pictures_are_about_as_wide_as_high(height, width, columns):
    model = zoo.MLPVAE((3, height, width), 2, width_size=2, depth=1, key=jr.key(0))
    _, ax = plots.samples(model, 16, key=jr.key(0))
    rows = 16 // columns
    assert ax.images[0].get_array().shape == (rows * (height + 1) - 1, columns * (width + 1) - 1, 3)


def test_latents_of_one_dimension_are_drawn_along_a_line():
    zs = np.random.default_rng(0).normal(size=(30, 1))
    _, ax = plots.latent_scatter(zs, np.arange(30) % 3, names="abc")
    points = np.asarray(ax.collections[0].get_offsets())
    np.testing.assert_allclose(points[:, 0], zs[:, 0])
    assert np.abs(points[:, 1] - np.arange(30) % 3).max() < 0.5
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]
    model = zoo.MLPVAE((1, 4, 4), 1, width_size=2, depth=1, key=jr.key(0))
    _, ax = plots.manifold(model, zs, size=5)
    assert ax.images[0].get_array().shape == (4, 5 * 5 - 1)
    middle = np.asarray(model.likelihood.mean(model.decode(jnp.zeros(1))))[0]
    np.testing.assert_allclose(ax.images[0].get_array()[:, 10:14], np.clip(middle, 0, 1), atol=1e-5)
