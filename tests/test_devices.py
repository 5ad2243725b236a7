"""Several devices train as one does."""

import json
import subprocess
import sys

import jax
import jax.random as jr
import numpy as np
import pytest
from jax.sharding import AxisType
from linear_gaussian import linear_gaussian

import zoo
from zoo.train._gradient import _average_over_devices


XS = np.random.default_rng(1).normal(size=(160, 3)).astype(np.float32)
# The history of 40 steps on no mesh, on meshes of 1, 2 and 4 devices, and on 2 in microbatches; and of one run that
# goes from 4 to 2.
RUNS = """
import json, sys, tempfile
import jax, numpy as np, optax
import zoo
model = zoo.MLPVAE(3, 2, depth=0, likelihood=zoo.likelihoods.gaussian(), key=jax.random.key(0))
xs = np.random.default_rng(1).normal(size=(160, 3)).astype(np.float32)
adam = optax.adam(1e-2)
def train(devices, **options):
    mesh = None if devices is None else zoo.train.data_mesh(devices)
    options = dict(epochs=4, held_out=xs[:8], held_out_every=40) | options
    on = set()
    look = lambda rows: on.update(len(array.sharding.device_set) for array in jax.live_arrays())
    result = zoo.fit(
        model, xs, optimiser=adam, batch_size=16, mesh=mesh, progress=False, callback=look, key=jax.random.key(7),
        **options,
    )
    assert max(on) == (devices or 1)
    assert len(result.model.encoder.layers.layers[0].weight.sharding.device_set) == 1
    return result.history
histories = [train(devices) for devices in (None, 1, 2, 4)] + [train(2, microbatches=4)]
run = tempfile.mkdtemp()
train(4, checkpoint=run, epochs=2)
histories.append(train(2, checkpoint=run, resume=True))
# Two models, each on a device of its own.
options = dict(optimiser=adam, batch_size=16, epochs=4, held_out=xs[:8])
keys = jax.random.split(jax.random.key(3), 2)
many = zoo.train.fit_many([model, model], xs, mesh=zoo.train.data_mesh(2), keys=keys, **options)
alone = [zoo.fit(model, xs, progress=False, key=key, **options) for key in keys]
print(json.dumps([histories, [fit.history for fit in many], [fit.history for fit in alone]]))
"""


def test_one_two_and_four_devices_agree(with_devices):
    done = subprocess.run([sys.executable, "-c", RUNS], capture_output=True, text=True, env=with_devices(4))
    assert done.returncode == 0, done.stderr
    (one, *others), many, alone = json.loads(done.stdout)
    assert one[39]["step"] == 40 and one[40]["split"] == "held_out"
    for other in others:
        assert [row["step"] for row in other] == [row["step"] for row in one]
        np.testing.assert_allclose(other[39]["loss"], one[39]["loss"], rtol=1e-6)
        np.testing.assert_allclose(other[40]["objective"], one[40]["objective"], rtol=1e-6)
    for history, row_by_row in zip(many, alone, strict=True):
        for row, other in zip(history, row_by_row, strict=True):
            assert row.pop("split") == other.pop("split") and row == pytest.approx(other, rel=1e-5)


# The gradient of images on one device, and on two that exchange moments and gradients and no images.
IMAGES = """
import jax, jax.numpy as jnp, jax.random as jr, numpy as np, equinox as eqx
import zoo
from zoo.train._blocks import copy_to_devices, divide_batch
from zoo.train._gradient import differentiate_loss
jax.config.update("jax_enable_x64", True)
mesh = zoo.train.data_mesh(2)
def gradient(model, xs, mesh):
    return differentiate_loss(model, xs, None, zoo.train.Judgement(zoo.objectives.elbo), mesh=mesh, key=jr.key(1))
model = zoo.ConvVAE((1, 4, 4), 2, width_size=1, norm="batch", key=jr.key(0))
xs = jr.uniform(jr.key(3), (68, 1, 4, 4))
one = jax.tree.leaves(eqx.filter_jit(gradient)(model, xs, None))
inputs = copy_to_devices(model, mesh), divide_batch(xs, mesh), mesh
compiled = eqx.filter_jit(gradient).lower(*inputs).compile()
largest = max(np.max(np.abs(leaf)) for leaf in one)
for a, b in zip(one, jax.tree.leaves(compiled(*inputs)), strict=True):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * largest)
assert "all-gather" not in compiled.compiled.as_text()
"""


def test_two_devices_share_images_and_their_statistics_and_nothing_else(with_devices):
    done = subprocess.run([sys.executable, "-c", IMAGES], capture_output=True, text=True, env=with_devices(2))
    assert done.returncode == 0, done.stderr


def test_a_mesh_that_cannot_be_used_is_refused():
    fit = lambda **options: zoo.fit(linear_gaussian(), XS, **options, progress=False, key=jr.key(0))
    explicit = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Explicit,))
    with pytest.raises(ValueError, match="AxisType.Auto.*Explicit.*data_mesh"):
        fit(mesh=explicit)
    with pytest.raises(ValueError, match="axis 'data'.*'batch'"):
        fit(mesh=jax.make_mesh((1,), ("batch",), axis_types=(AxisType.Auto,)))
    with pytest.raises(ValueError, match=r"`data_mesh\(0\)`"):
        zoo.train.data_mesh(0)
    with pytest.raises(ValueError, match="XLA_FLAGS"):
        zoo.train.data_mesh(1 + len(jax.devices()))


def test_a_batch_is_divided_evenly():
    code = (
        "import jax, numpy as np, zoo; from zoo.train._checks import check_mesh\n"
        "jax.config.update('jax_num_cpu_devices', 3)\n"
        "check_mesh('fit', zoo.train.data_mesh(3), 9)\n"
        "try: check_mesh('fit', zoo.train.data_mesh(3), 10)\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "of 10 examples" in done.stdout and "pass 12" in done.stdout, done.stderr


def test_gradients_of_two_dtypes_are_exchanged_each_as_itself():
    of_devices = {
        "a": np.arange(12.0, dtype=np.float32).reshape(2, 3, 2), "b": np.array([[1.0], [4.0]], np.float16),
        "c": np.array([3.0, 5.0], np.float32), "d": None,
    }  # fmt: skip
    means = jax.vmap(_average_over_devices, axis_name="data")(of_devices)
    for mean, own in zip(jax.tree.leaves(means), jax.tree.leaves(of_devices), strict=True):
        assert mean.dtype == own.dtype
        np.testing.assert_array_equal(mean, np.broadcast_to(own.mean(axis=0), own.shape))
