"""A batch that nobody gave a size has 128 examples, or as many as there are."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import zoo
from zoo.train._recipe import choose_batch_size


FEW = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)


@pytest.mark.parametrize("n, microbatches, size", [(1000, 1, 128), (128, 3, 128), (40, 1, 40), (40, 3, 39), (2, 4, 4)])
def test_few_examples_are_one_batch(n, microbatches, size):
    assert choose_batch_size(None, np.zeros((n, 2)), microbatches=microbatches) == size
    assert choose_batch_size(64, np.zeros((n, 2))) == 64
    assert choose_batch_size(None, jnp.zeros((n, 2), jnp.float32)) == min(n, 128)


def test_few_examples_train_without_being_told():
    networks = zoo.nn.fully_connected(width_size=4)
    make = lambda: zoo.MLPVAE(2, 2, likelihood=zoo.likelihoods.gaussian_shared(), networks=networks, key=jr.key(0))
    result = zoo.fit(make(), FEW, progress=False, key=jr.key(1))
    asked = zoo.fit(make(), FEW, batch_size=40, progress=False, key=jr.key(1))
    assert len(result.history) == 1 and result.history == asked.history
    prior = zoo.priors.MixtureOfNormals(2, 3, key=jr.key(2))
    fitted = zoo.fit_prior(result.model, FEW, prior=prior, epochs=1, key=jr.key(3))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(fitted))
    with pytest.raises(ValueError, match=r"fit\(batch_size=41\)` needs at least 41 examples, got 40"):
        zoo.fit(make(), FEW, batch_size=41, progress=False, key=jr.key(1))
