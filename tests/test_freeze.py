import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from same import assert_same
from thin import thin

import zoo
from zoo import nn


XS = np.random.default_rng(0).uniform(0.01, 0.99, size=(12, 1, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    likelihood = zoo.likelihoods.gaussian()
    return thin(zoo.ConvVAE((1, 8, 8), 2, width_size=4, likelihood=likelihood, norm="batch", key=jr.key(0)))


@pytest.fixture(scope="module")
def frozen(model):
    return zoo.freeze(model, XS, batch_size=5, key=jr.key(1))


def test_no_batch_norm_is_left(model, frozen):
    affine = lambda node: isinstance(node, nn.ChannelAffine)
    assert len(nn.batch_norms(model)) == 4
    assert not nn.batch_norms(frozen)
    assert sum(map(affine, jax.tree.leaves(frozen, is_leaf=affine))) == 4


def test_a_frozen_model_can_be_saved(frozen, tmp_path):
    zoo.save(tmp_path / "model", frozen)
    assert_same(zoo.load(tmp_path / "model"), frozen)


def test_a_frozen_model_scores_one_image_the_same_alone_and_in_any_batch(frozen):
    score = lambda xs: zoo.log_likelihood(frozen, xs, k=3, key=jr.key(2))
    alone, company, other = score(XS[:1])[0], score(XS[:5])[0], score(np.concatenate([XS[:1], XS[8:]]))[0]
    np.testing.assert_allclose([company, other], [alone, alone], rtol=1e-6)


def at_norms(stages, frozen_stages, hidden):
    """What goes into each of the frozen norms, and what comes out of it, for a batch."""
    found = []
    for layer, fixed in zip(stages.layers, frozen_stages.layers, strict=True):
        before, hidden = hidden, jax.vmap(fixed)(hidden)
        found += [(before, hidden)] if isinstance(layer, nn.BatchNorm) else []
    return found


def test_the_encoder_s_statistics_are_the_population_s(model, frozen):
    """Layer by layer on all examples at once: the definition, computed by other means."""
    stages, frozen_stages = model.encoder.stages, frozen.encoder.stages
    inputs = [before for before, _ in eqx.filter_jit(at_norms)(stages, frozen_stages, np.moveaxis(XS, 1, -1))]
    norms = [(a, b) for a, b in zip(stages.layers, frozen_stages.layers) if isinstance(a, nn.BatchNorm)]
    for (layer, fixed), values in zip(norms, inputs, strict=True):
        values = np.asarray(values, np.float64)
        scale = np.asarray(layer.gain) / np.sqrt(values.var(axis=(0, 1, 2)) + layer.epsilon)
        shift = np.asarray(layer.bias) - values.mean(axis=(0, 1, 2)) * scale
        np.testing.assert_allclose(fixed.scale, scale, rtol=2e-4)
        np.testing.assert_allclose(fixed.shift, shift, rtol=2e-4, atol=2e-4)


def test_the_decoder_s_inputs_come_out_standardised(frozen, model):
    """With gain 1 and bias 0, a frozen layer's outputs on the measured draws have mean 0 and variance 1."""
    chosen = np.asarray(jr.permutation(jr.fold_in(jr.key(1), 0), len(XS)))

    @jax.jit
    def outputs(xs):
        keys = [jr.split(jr.fold_in(jr.fold_in(jr.key(1), 1), i), n) for i, n in enumerate((5, 5, 2))]
        zs = jax.vmap(lambda x, key: frozen.draw(x, k=1, key=jr.split(key)[1]).z[0])(xs, jnp.concatenate(keys))
        hidden = jax.vmap(lambda z: frozen.decoder.head(z).reshape(frozen.decoder.head_shape))(zs)
        return [after for _, after in at_norms(model.decoder.stages, frozen.decoder.stages, hidden)]

    for values in map(np.asarray, outputs(XS[chosen])):
        np.testing.assert_allclose(values.mean(axis=(0, 1, 2)), 0, atol=1e-3)
        np.testing.assert_allclose(values.var(axis=(0, 1, 2)), 1, atol=1e-2)


def test_training_mode_standardises_over_batch_and_draws():
    layer = nn.BatchNorm(2, axis_names=("batch", "k"))
    xs = np.random.default_rng(0).normal(1, 3, size=(4, 3, 5, 5, 2)).astype(np.float32)
    ys = np.asarray(jax.jit(jax.vmap(jax.vmap(layer, axis_name="k"), axis_name="batch"))(xs))
    np.testing.assert_allclose(ys.mean(axis=(0, 1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(ys.var(axis=(0, 1, 2, 3)), 1, atol=1e-4)


def test_forgetting_to_freeze_is_loud(model):
    for call in (
        lambda: zoo.log_likelihood(model, XS, k=2, key=jr.key(0)),
        lambda: zoo.reconstruct(model, XS, key=jr.key(0)),
        lambda: zoo.sample(model, 2, key=jr.key(0)),
        lambda: jax.eval_shape(lambda x: model.draw(x, k=2, key=jr.key(0)), XS[0]),
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
