"""Codes that say nothing of the factors, and codes that say something of some: what the scores make of chance."""

import jax.random as jr
import numpy as np
import pytest

from zoo import evaluate


def noise(n, seed=0):
    """Eight normal latents and three factors that have nothing to do with them."""
    generator = np.random.default_rng(seed)
    factors = np.stack([generator.integers(0, values, n) for values in (3, 6, 40)], axis=1)
    return generator.normal(size=(n, 8)).astype(np.float32), factors


@pytest.mark.parametrize("n", [100, 1000, 20_000])
@pytest.mark.parametrize("categorical", [(), (0,)])
@pytest.mark.parametrize("penalty", [0.0, 0.01])
def test_dci_of_noise_is_nothing(n, categorical, penalty):
    """A few spurious weights made 0.93 of it, as each of them stands alone."""
    for seed in range(3):
        found = evaluate.dci(*noise(n, seed), categorical=categorical, penalty=penalty, key=jr.key(seed))
        assert found.disentanglement == 0 and found.completeness == 0 and not found.importance.any()
        assert found.informativeness > 0.97


def test_dci_counts_the_factors_that_are_predicted():
    codes, factors = noise(1000)
    codes[:, 0], codes[:, 1] = 1.0, factors[:, 1] + 0.1 * codes[:, 1]
    found = evaluate.dci(codes, factors, key=jr.key(0))
    assert found.importance[:, [0, 2]].sum() == 0 and found.errors[1] < 0.1
    assert found.disentanglement == pytest.approx(1) and 0.6 / 3 < found.completeness < 0.34
    # a weak hold on a factor is one, where there are data enough to tell
    codes[:, 2] += 0.3 * factors[:, 0]
    assert evaluate.dci(codes, factors, key=jr.key(0)).importance[2, 0] > 0.1


def test_gaps_of_noise_are_small_and_constant_latents_say_nothing():
    codes, factors = noise(20_000)
    codes[:, 0] = 1.0
    for found in (evaluate.mig(codes, factors), evaluate.sap(codes, factors, categorical=(0,))):
        assert 0 <= found.score < 2e-3
        assert np.all(found.table[0] == 0)
    assert evaluate.modularity(codes, factors).modularity[0] == 0
