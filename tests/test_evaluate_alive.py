"""How many draws are scored together follows from the largest array that one of them makes."""

import jax
import jax.random as jr
import numpy as np
import pytest

import zoo
from zoo import likelihoods, nn, priors
from zoo.evaluate._alive import draws_alive


IMAGE, KEY = (1, 28, 28), jr.key(0)
PSEUDO = np.zeros((500, 3), np.float32)


@pytest.mark.parametrize(
    "model, largest",
    [
        # The reference decoder's second stage: 64 channels at full height and width.
        (lambda: zoo.ConvVAE(IMAGE, 2, networks=nn.convolutional(), key=KEY), 28 * 28 * 64),
        (lambda: zoo.MLPVAE(IMAGE, 2, likelihood=likelihoods.bernoulli, key=KEY), 784),
        (lambda: zoo.MLPVAE(IMAGE, 2, likelihood=likelihoods.gaussian_learned, key=KEY), 2 * 784),
        # A hidden layer, and not its 3000 x 3000 weights.
        (lambda: zoo.MLPVAE(3, 2, width_size=3000, key=KEY), 3000),
        # Distances to the components, and not the pseudo-inputs' way through the encoder.
        (lambda: zoo.MLPVAE(3, 2, width_size=8, prior=priors.MixtureOfNormals(2, 500, key=KEY), key=KEY), 2 * 500),
        (lambda: zoo.MLPVAE(3, 2, width_size=8, prior=priors.VampPrior(PSEUDO), key=KEY), 2 * 500),
    ],
    ids=["conv", "mlp", "two-parameters", "hidden", "mixture", "vamp"],
)
def test_the_largest_array_decides(model, largest):
    assert draws_alive(model(), None) == 2**21 // largest


def test_labels_of_either_kind():
    networks = nn.fully_connected(width_size=8, depth=1)
    ys = np.zeros(4, np.int32)
    for options, ys in ((dict(num_classes=3), ys), (dict(condition_size=5), np.zeros((4, 5), np.float32))):
        model = zoo.ConditionalVAE(IMAGE, 2, networks=networks, likelihood=likelihoods.bernoulli, key=KEY, **options)
        assert draws_alive(model, ys) == 2**21 // (2 * 784)  # the image and a plane of the label


def test_a_model_s_structure_is_looked_at_once(monkeypatch):
    model = zoo.MLPVAE(3, 2, width_size=8, depth=1, key=KEY)
    first = draws_alive(model, None)
    monkeypatch.setattr(zoo.MLPVAE, "decode", lambda self, z: pytest.fail("traced again"))
    assert draws_alive(jax.tree.map(lambda leaf: leaf, model), None) == first
