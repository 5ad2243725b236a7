"""With `jax_enable_x64`, many scientists' default, bytes and floats of either size are what the model computes in."""

import os
import subprocess
import sys

import pytest


PROGRAM = """
import jax
import jax.random as jr
import numpy as np

import zoo

key, pixels = jr.key(0), np.random.default_rng(0).integers(0, 256, (32, 1, 8, 8), np.uint8)
points = np.random.default_rng(0).normal(size=(32, 3))
vq = zoo.VQVAE((1, 8, 8), codebook_size=4, code_size=2, width_size=2, key=key)
small = dict(width_size=4, depth=1, key=key)
mixture = zoo.priors.MixtureOfNormals(2, 3, key=key)
jobs = [
    (zoo.ConvVAE((1, 8, 8), 2, width_size=8, key=key), pixels, zoo.data.dequantise, ()),
    (vq, pixels, zoo.data.binarise, (zoo.penalties.commitment,)),
    (zoo.MLPVAE(3, 2, **small), points.astype(np.float32), None, ()),
    (zoo.MLPVAE(3, 2, prior=mixture, **small), points, None, ()),
]
for model, xs, observe, penalties in jobs:
    model = zoo.fit(
        model, xs, observe=observe, penalties=penalties, held_out=xs[:4], batch_size=16, progress=False, key=key
    ).model
    assert {leaf.dtype for leaf in jax.tree.leaves(model)} == {np.dtype("float64")}
    nats = zoo.log_likelihood(model, xs[:3], k=2, observe=observe, key=key)
    assert nats.dtype == np.float64 and np.isfinite(nats).all()
    zoo.sample(model, 2, key=key)
"""


@pytest.mark.filterwarnings("default")
def test_models_train_and_score_in_float64():
    environment = os.environ | {"JAX_ENABLE_X64": "1", "PYTHONWARNINGS": "ignore"}
    run = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
