import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from zoo import nn


X = np.random.default_rng(0).normal(size=(4, 6, 8)).astype(np.float32)


def test_conv_is_equinox_s():
    ours = nn.Conv(8, 5, key=jr.key(0))
    theirs = eqx.nn.Conv2d(8, 5, 3, padding=1, key=jr.key(0))
    theirs = eqx.tree_at(lambda c: (c.weight, c.bias), theirs, (
        jnp.transpose(ours.kernel, (3, 2, 0, 1)), jnp.arange(5.0)[:, None, None],
    ))  # fmt: skip
    ours = eqx.tree_at(lambda c: c.bias, ours, jnp.arange(5.0))
    np.testing.assert_allclose(
        ours(jnp.asarray(X)), jnp.moveaxis(theirs(jnp.moveaxis(jnp.asarray(X), -1, 0)), 0, -1), atol=1e-5
    )


def test_upsampling_convolution_is_upsampling_then_convolution():
    layer = nn.Conv(8, 5, operation=nn.upsample_conv, key=jr.key(0))
    plain = eqx.tree_at(lambda c: (c.kernel, c.bias), nn.Conv(8, 5, key=jr.key(1)), (layer.kernel, layer.bias))
    np.testing.assert_allclose(layer(jnp.asarray(X)), plain(nn.upsample(jnp.asarray(X))), atol=1e-5)


def test_upsampling_repeats_pixels():
    np.testing.assert_array_equal(nn.upsample(jnp.asarray(X)), X.repeat(2, axis=0).repeat(2, axis=1))


def test_max_pool_is_equinox_s():
    theirs = eqx.nn.MaxPool2d(2, 2)(jnp.moveaxis(jnp.asarray(X), -1, 0))
    np.testing.assert_array_equal(nn.max_pool(jnp.asarray(X)), jnp.moveaxis(theirs, 0, -1))


def test_max_pool_sends_each_gradient_to_the_largest_pixel():
    x = jnp.asarray(X)
    gradient = jax.grad(lambda x: jnp.sum(jnp.arange(48.0).reshape(2, 3, 8) * nn.max_pool(x)))(x)
    blocks = X.reshape(2, 2, 3, 2, 8)
    largest = blocks == blocks.max(axis=(1, 3), keepdims=True)
    expected = largest * np.arange(48.0).reshape(2, 1, 3, 1, 8)
    np.testing.assert_array_equal(gradient, expected.reshape(X.shape))


def test_group_norm_is_equinox_s():
    gain, bias = jnp.linspace(0.5, 2, 8), jnp.linspace(-1, 1, 8)
    ours = eqx.tree_at(lambda n: (n.gain, n.bias), nn.GroupNorm(8, groups=4), (gain, bias))
    theirs = eqx.tree_at(lambda n: (n.weight, n.bias), eqx.nn.GroupNorm(4, 8), (gain, bias))
    expected = jnp.moveaxis(theirs(jnp.moveaxis(jnp.asarray(X), -1, 0)), 0, -1)
    np.testing.assert_allclose(ours(jnp.asarray(X)), expected, atol=1e-5)
    with pytest.raises(ValueError, match="groups must divide"):
        nn.GroupNorm(6, groups=4)


def test_gelu_in_its_sigmoid_form():
    x = np.linspace(-4, 4, 9).astype(np.float32)
    np.testing.assert_allclose(nn.gelu_sigmoid(jnp.asarray(x)), x / (1 + np.exp(-1.702 * x)), rtol=1e-5)


def test_variance_preserving_gelu_keeps_the_variance_of_standard_normals():
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    values = np.asarray(nn.variance_preserving_gelu(jnp.asarray(nodes, jnp.float32)), np.float64)
    weights /= weights.sum()
    np.testing.assert_allclose(weights @ values**2 - (weights @ values) ** 2, 1, rtol=1e-6)


def test_unit_vectors():
    lengths = np.linalg.norm(X, axis=-1, keepdims=True)
    np.testing.assert_allclose(nn.unit(jnp.asarray(X)), X / lengths, rtol=1e-5)
    value, gradient = jax.value_and_grad(lambda x: nn.unit(x)[0])(jnp.zeros(3))
    assert value == 0 and np.isfinite(gradient).all()


def test_selu_networks_keep_mean_zero_and_variance_one():
    """What Klambauer et al. derive for LeCun-normal weights, twelve layers deep."""
    network = nn.MLP((512,), (512,), width_size=512, depth=12, activation=jax.nn.selu, key=jr.key(0))
    hidden = nn.Sequential(network.layers.layers[:-1])
    out = jax.vmap(hidden)(jr.normal(jr.key(1), (256, 512)))
    np.testing.assert_allclose([jnp.mean(out), jnp.var(out)], [0, 1], atol=0.15)


def test_depth_to_space_is_the_inverse():
    np.testing.assert_array_equal(nn.depth_to_space(nn.space_to_depth(jnp.asarray(X))), X)


def test_a_strided_convolution_is_equinox_s():
    """2 x 2 blocks as channels and a 1 x 1 kernel are a 2 x 2 kernel and strides of 2."""
    ours = nn.Conv(4 * 8, 5, size=1, key=jr.key(0))
    theirs = eqx.nn.Conv2d(8, 5, 2, stride=2, use_bias=False, key=jr.key(0))
    kernel = jnp.transpose(ours.kernel.reshape(2, 2, 8, 5), (3, 2, 0, 1))
    theirs = eqx.tree_at(lambda c: c.weight, theirs, kernel)
    expected = jnp.moveaxis(theirs(jnp.moveaxis(jnp.asarray(X), -1, 0)), 0, -1)
    np.testing.assert_allclose(ours(nn.space_to_depth(jnp.asarray(X))), expected, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_strided_decoder_starts_without_a_pattern(channels):
    decoder = nn.StridedDecoder(2, (channels, 8, 12), width_size=4, key=jr.key(0))
    image = np.asarray(eqx.filter_jit(decoder)(jnp.array([0.5, -1.0])))
    blocks = image.reshape(channels, 4, 2, 6, 2)
    np.testing.assert_allclose(blocks, np.broadcast_to(blocks[:, :, :1, :, :1], blocks.shape), atol=1e-6)
    assert len({tuple(plane.ravel()) for plane in image}) == channels and blocks[:, :, 0, :, 0].std() > 1e-3


def test_space_to_depth_keeps_each_block_together():
    x = jnp.arange(4 * 6 * 2.0).reshape(4, 6, 2)
    y = nn.space_to_depth(x)
    assert y.shape == (2, 3, 8)
    for i in range(2):
        for j in range(3):
            np.testing.assert_array_equal(y[i, j], x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].reshape(-1))


def test_a_residual_block_starts_as_the_identity():
    block = nn.ResidualBlock(8, key=jr.key(0))
    x = jr.normal(jr.key(1), (4, 4, 8))
    np.testing.assert_array_equal(block(x), x)


@pytest.mark.parametrize(
    "shape, head", [((1, 28, 28), (7, 7)), ((3, 64, 64), (4, 4)), ((1, 8, 24), (4, 6)), ((1, 28, 27), (7, 7))]
)
def test_residual_networks_halve_as_far_as_they_can(shape, head):
    networks = nn.residual(width_size=8)
    encoder, decoder = networks.encoder(shape, 5, key=jr.key(0)), networks.decoder(3, shape, key=jr.key(1))
    assert jax.eval_shape(encoder, jnp.zeros(shape)).shape == (5,)
    assert jax.eval_shape(decoder, jnp.zeros(3)).shape == shape
    assert decoder.head_shape[:2] == head


@pytest.mark.parametrize(
    "build, axes",
    [(lambda: nn.BatchNorm(2, axis_names=("batch",)), (0, 1, 2)), (lambda: nn.GroupNorm(2, groups=1), (1, 2, 3))],
)
def test_norms_have_the_derivatives_of_their_definition(build, axes):
    """To the second order: the variance is written so that the first takes a sum less."""
    with jax.enable_x64(True):
        layer = build()
        xs = jnp.asarray(np.random.default_rng(0).normal(2.0, 3.0, (3, 2, 1, 2)))
        weight = jnp.asarray(np.random.default_rng(1).normal(size=xs.shape))

        def defined(xs):
            mean, variance = jnp.mean(xs, axes, keepdims=True), jnp.var(xs, axes, keepdims=True)
            return (xs - mean) / jnp.sqrt(variance + layer.epsilon)

        both = lambda normalise: lambda xs: jnp.sum(jnp.sin(normalise(xs)) * weight)
        derivatives = [
            jax.jit(lambda xs, f=both(f): (jax.grad(f)(xs), jax.hessian(f)(xs)))(xs)
            for f in (jax.vmap(layer, axis_name="batch"), defined)
        ]
        jax.tree.map(lambda found, wanted: np.testing.assert_allclose(found, wanted, atol=1e-12), *derivatives)


def test_half_precision_rounds_inside_and_nowhere_else():
    network = nn.MLP((6,), (4,), width_size=8, depth=1, activation=jax.nn.relu, key=jr.key(0))
    x = jnp.linspace(-1.0, 1.0, 6)
    call = eqx.filter_jit(eqx.filter_value_and_grad(lambda network, x: network(x).sum()))
    (exact, true), (rounded, got) = call(network, x), call(nn.HalfPrecision(network), x)
    assert rounded.dtype == jnp.float32
    assert 2.0**-14 < abs(rounded - exact) < 2.0**-5  # it did round, and no more than that
    for slope, expected in zip(jax.tree.leaves(got), jax.tree.leaves(true), strict=True):
        assert slope.dtype == jnp.float32
        np.testing.assert_allclose(slope, expected, atol=2.0**-6 * float(jnp.max(jnp.abs(expected))))
