"""`log_likelihood` of a trained model: the numbers that are reported do not hang on keys, chunks or k."""

import jax.random as jr
import numpy as np
import optax
import pytest

import zoo
from zoo import data


N, K = 60, 200


@pytest.fixture(scope="module")
def trained():
    images = data.fashion_mnist_mini()
    model = zoo.MLPVAE(
        (1, 28, 28), 4, width_size=32, depth=1, likelihood=zoo.likelihoods.bernoulli, key=jr.key(0)
    )  # fmt: skip
    model = zoo.fit(
        model, images.train_images[:2000], observe=data.binarise, batch_size=50, epochs=2, optimiser=optax.adam(3e-3),
        progress=False, key=jr.key(1),
    ).model  # fmt: skip
    # Binarised here, so that the draws' noise is all there is.
    coins = np.random.default_rng(0).uniform(0, 255, size=(N, 1, 28, 28))
    return model, (images.test_images[:N] > coins).astype(np.float32)


def scores(trained, key, k=K, **settings):
    return np.asarray(zoo.log_likelihood(*trained, k=k, key=jr.key(key), **settings), np.float64)


def mean_and_error(values):
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values))


def test_other_keys_give_the_same_mean_within_three_standard_errors(trained):
    runs = np.stack([scores(trained, key) for key in range(6)])
    assert -500 < runs.mean() < -150  # it has learned: an even coin has -543
    for run in runs[1:]:
        difference, error = mean_and_error(run - runs[0])
        assert 0 < abs(difference) < 3 * error
    # The error is that of the runs: their means spread as it says.
    between = np.std(runs.mean(axis=1), ddof=1)
    within = np.sqrt(np.mean(np.var(runs, axis=0, ddof=1)) / N)
    assert 0.4 < between / within < 2


@pytest.mark.parametrize("chunk_size", [1, 37])
def test_chunks_change_nothing_but_rounding(chunk_size, trained):
    np.testing.assert_allclose(scores(trained, 0, chunk_size=chunk_size), scores(trained, 0), rtol=3e-6)


def test_more_draws_never_lower_the_mean_beyond_its_error(trained):
    means = [scores(trained, 10 + i, k=k) for i, k in enumerate((1, 10, K))]
    for fewer, more in zip(means, means[1:]):
        gain, error = mean_and_error(more - fewer)
        assert gain > -3 * error
    gain, error = mean_and_error(means[1] - means[0])
    assert gain > 3 * error  # and the first draws raise it
