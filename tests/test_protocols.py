"""A protocol is exactly what was published: which images, which bits, which calls."""

import hashlib
from pathlib import Path

import jax.random as jr
import numpy as np
import pytest

import zoo
from zoo import data, protocols
from zoo.data import LabelledImages
from zoo.protocols import _binarised_fashion_mnist as module


def images(n, seed):
    return np.random.default_rng(seed).integers(256, size=(n, 1, 28, 28), dtype=np.uint8) // 2 * 2


@pytest.fixture
def small(monkeypatch):
    """30 images in place of 60,000, and 5 of test, which the protocol cuts at 20."""
    found = LabelledImages(images(30, 0), np.arange(30, dtype=np.uint8), images(10, 1), np.arange(10, dtype=np.uint8))
    monkeypatch.setattr(data, "fashion_mnist", lambda directory=None, **_: found)
    monkeypatch.setattr(module, "_TRAIN", 20)
    monkeypatch.setattr(module, "_ALL", 30)
    return found


def test_binarised_fashion_mnist_is_the_published_one(small):
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    found = protocols.binarised_fashion_mnist()
    assert np.array_equal(np.random.get_state()[1], before)
    np.random.seed(777)
    validation = np.random.binomial(1, small.train_images[20:].reshape(10, 784) / 255.0)
    test = np.random.binomial(1, small.test_images.reshape(10, 784) / 255.0)
    assert np.array_equal(found.validation.reshape(10, 784), 255 * validation)
    assert np.array_equal(found.test.reshape(10, 784), 255 * test)
    assert np.array_equal(found.train, small.train_images[:20])
    assert found.train_labels.tolist() == list(range(20)) and found.validation_labels.tolist() == list(range(20, 30))
    assert found.test_labels.tolist() == list(range(10)) and found.k == 5000


def test_training_images_change_at_every_visit_and_the_others_never(small):
    found = protocols.binarised_fashion_mnist()
    once, again = (found.observe(found.train[0], key=jr.key(seed)) for seed in (0, 1))
    assert set(np.unique(once)) == {0.0, 1.0} and not np.array_equal(once, again)
    for seed in (0, 1):
        assert np.array_equal(found.observe(found.test[0], key=jr.key(seed)), found.test[0] / 255)


def test_the_mini_set_is_refused():
    directory = Path(data.__file__).with_name("fashion_mnist_mini")
    with pytest.raises(ValueError, match=r"needs 60,000 \+ 10,000 images, found 6,000 \+ 1,000; pass the directory"):
        zoo.protocols.binarised_fashion_mnist(directory)


def test_the_bits_of_the_originals():
    """Where the originals are on this machine: the sums were written down on 2026-11-25, numpy 2.4.6."""
    try:
        found = protocols.binarised_fashion_mnist(download=False)
    except FileNotFoundError:
        pytest.skip("Fashion-MNIST is not on this machine")
    digests = [hashlib.sha256(np.packbits(bits > 0).tobytes()).hexdigest() for bits in (found.validation, found.test)]
    assert digests == [
        "b869ba8b3c41559faf540398b07ba91ee1155b4a5393192d96fd92b76c193725",
        "25f0d69b40ae46a7566c3c5fb8650d55ec964d5c10d88ced01e3afa36df0cb90",
    ]
