import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import zoo
from zoo import nn


XS = np.random.default_rng(0).uniform(0.01, 0.99, size=(12, 1, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return zoo.ConvVAE((1, 8, 8), 2, norm="batch", key=jr.key(0))


@pytest.fixture(scope="module")
def frozen(model):
    return zoo.freeze(model, XS, batch_size=5, key=jr.key(1))


def test_no_batch_norm_is_left(model, frozen):
    layers = lambda m, kind: [
        leaf for leaf in jax.tree.leaves(m, is_leaf=lambda l: isinstance(l, kind)) if isinstance(leaf, kind)
    ]
    assert len(layers(model, nn.BatchNorm)) == 8
    assert not layers(frozen, nn.BatchNorm)
    assert len(layers(frozen, nn.ChannelAffine)) == 8


def test_a_frozen_model_scores_one_image_the_same_alone_and_in_any_batch(frozen):
    score = lambda xs: zoo.log_likelihood(frozen, xs, k=3, key=jr.key(2))
    alone, company, other = score(XS[:1])[0], score(XS[:7])[0], score(np.concatenate([XS[:1], XS[8:]]))[0]
    np.testing.assert_allclose([company, other], [alone, alone], atol=1e-4)


def test_the_encoder_s_statistics_are_the_population_s(model, frozen):
    """Layer by layer on all examples at once: the definition, computed by other means."""
    hidden = jnp.moveaxis(jnp.asarray(XS), 1, -1)
    for layer, fixed in zip(model.encoder.stages.layers, frozen.encoder.stages.layers, strict=True):
        if isinstance(layer, nn.BatchNorm):
            values = np.asarray(hidden, np.float64)
            scale = np.asarray(layer.gain) / np.sqrt(values.var(axis=(0, 1, 2)) + layer.epsilon)
            shift = np.asarray(layer.bias) - values.mean(axis=(0, 1, 2)) * scale
            np.testing.assert_allclose(fixed.scale, scale, rtol=2e-4)
            np.testing.assert_allclose(fixed.shift, shift, rtol=2e-4, atol=2e-4)
        hidden = jax.vmap(fixed)(hidden)


def test_the_decoder_s_inputs_come_out_standardised(frozen, model):
    """With gain 1 and bias 0, a frozen layer's outputs on the measured draws have mean 0 and variance 1."""
    chosen = np.asarray(jr.permutation(jr.fold_in(jr.key(1), 0), len(XS)))
    keys = [jr.split(jr.fold_in(jr.fold_in(jr.key(1), 1), i), n) for i, n in enumerate((5, 5, 2))]
    keys = jnp.concatenate(keys)
    xs = jnp.asarray(XS[chosen])
    draw = lambda x, key: frozen.draw(x, k=1, key=jr.split(key)[1]).z[0]
    hidden = jax.vmap(lambda z: frozen.decoder.head(z).reshape(frozen.decoder.head_shape))(jax.vmap(draw)(xs, keys))
    for layer, fixed in zip(model.decoder.stages.layers, frozen.decoder.stages.layers, strict=True):
        hidden = jax.vmap(fixed)(hidden)
        if isinstance(layer, nn.BatchNorm):
            np.testing.assert_allclose(jnp.mean(hidden, axis=(0, 1, 2)), 0, atol=1e-3)
            np.testing.assert_allclose(jnp.var(hidden, axis=(0, 1, 2)), 1, atol=1e-2)


def test_training_mode_standardises_over_batch_and_draws():
    layer = nn.BatchNorm(2, axis_names=("batch", "k"))
    xs = jr.normal(jr.key(0), (4, 3, 5, 5, 2)) * 3 + 1
    ys = jax.vmap(jax.vmap(layer, axis_name="k"), axis_name="batch")(xs)
    np.testing.assert_allclose(ys.mean(axis=(0, 1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(ys.var(axis=(0, 1, 2, 3)), 1, atol=1e-4)


def test_forgetting_to_freeze_is_loud(model):
    for call in (
        lambda: zoo.log_likelihood(model, XS, k=2, key=jr.key(0)),
        lambda: zoo.reconstruct(model, XS, key=jr.key(0)),
        lambda: zoo.sample(model, 2, key=jr.key(0)),
        lambda: model.draw(jnp.asarray(XS[0]), k=2, key=jr.key(0)),
    ):
        with pytest.raises(ValueError, match="zoo.freeze"):
            call()


def test_a_model_without_batch_norm_is_returned_as_it_is():
    model = zoo.ConvVAE((1, 8, 8), 2, norm="group", key=jr.key(0))
    assert zoo.freeze(model, XS, key=jr.key(1)) is model


class WithIdleLayer(eqx.Module):
    network: eqx.Module
    idle: nn.BatchNorm

    def __call__(self, x):
        return self.network(x)


def test_a_layer_that_takes_no_part_is_named(model):
    idle = WithIdleLayer(model.encoder, nn.BatchNorm(2, axis_names=("batch",)))
    with pytest.raises(ValueError, match=r"encoder\.idle.*never calls it"):
        zoo.freeze(eqx.tree_at(lambda m: m.encoder, model, idle), XS, key=jr.key(1))
