import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, UInt8

from .. import data


_TRAIN, _ALL = 50_000, 60_000
_SEED = 777


class Protocol(NamedTuple):
    """The data of a benchmark, and how they are to be seen, so that numbers stand beside published ones.

    **Fields:**

    - `train`, `validation`, `test`: bytes of shape (n, channels, height, width).
    - `train_labels`, `validation_labels`, `test_labels`: the number of each image's class.
    - `observe`: for `zoo.fit` and for all of `zoo.evaluate`.
    - `k`: the draws of the published `zoo.log_likelihood` of each test image.
    """

    train: UInt8[np.ndarray, " train channels height width"]
    train_labels: UInt8[np.ndarray, " train"]
    validation: UInt8[np.ndarray, " validation channels height width"]
    validation_labels: UInt8[np.ndarray, " validation"]
    test: UInt8[np.ndarray, " test channels height width"]
    test_labels: UInt8[np.ndarray, " test"]
    observe: Callable[..., Float[Array, " ..."]]
    k: int


def binarised_fashion_mnist(
    directory: str | os.PathLike | None = None, *, download: bool = True, progress: bool = True
) -> Protocol:
    """Fashion-MNIST in black and white: training images binarised anew at every visit, the others once.

    The first 50,000 training images are for training, in grey: `observe`, which is `data.binarise`, tosses a coin
    for each pixel at every visit. The last 10,000 are for validation, and the 10,000 test images for the test. These
    two are binarised once, in this order and by these calls, with pixels x as float64 / 255 and in rows of 784,

        numpy.random.seed(777)
        validation = numpy.random.binomial(1, x_validation)
        test = numpy.random.binomial(1, x_test)

    (of a generator of their own: numpy's global one is left alone). A pixel that is 0 takes no random number, so the
    test bits depend on the validation images. What is black or white is 0 or 255 here, and `observe` leaves it.

        protocol = protocols.binarised_fashion_mnist()
        result = fit(model, protocol.train, observe=protocol.observe, ...)
        log_likelihood(frozen, protocol.test, observe=protocol.observe, k=protocol.k, key=key)

    One departure: where the paper's code shuffles the 60,000 with the run's seed before it cuts off the validation
    images, which makes the test's bits another draw for every seed, the last 10,000 are taken, as its option
    `use_fixed_validation` does.

    **Arguments:** as in `data.fashion_mnist`, whose files are needed.

    **Returns:** `Protocol`; 50,000 + 10,000 + 10,000 images of shape (1, 28, 28), k = 5000.

    **Raises:** as `data.fashion_mnist`, and `ValueError` where there are not 60,000 + 10,000 images.

    Norouzi, Fleet & Norouzi, "Exemplar VAE", 2020, arXiv 2004.04795, and its code; in its table of results a VAE of
    two gated layers of 300, 40 latents and a normal prior has -228.70 nats.
    """
    found = data.fashion_mnist(directory, download=download, progress=progress)
    if (len(found.train_images), len(found.test_images)) != (_ALL, _ALL - _TRAIN):
        raise ValueError(
            f"`binarised_fashion_mnist({'' if directory is None else repr(os.fspath(directory))})` needs 60,000 + "
            f"10,000 images, found {len(found.train_images):,} + {len(found.test_images):,}; pass the directory of the "
            "originals"
        )
    random = np.random.RandomState(_SEED)
    validation = _binarise(found.train_images[_TRAIN:], random)
    test = _binarise(found.test_images, random)
    return Protocol(
        train=found.train_images[:_TRAIN],
        train_labels=found.train_labels[:_TRAIN],
        validation=validation,
        validation_labels=found.train_labels[_TRAIN:],
        test=test,
        test_labels=found.test_labels,
        observe=data.binarise,
        k=5000,
    )


def _binarise(
    images: UInt8[np.ndarray, " n 1 28 28"], random: np.random.RandomState
) -> UInt8[np.ndarray, " n 1 28 28"]:
    bits = random.binomial(1, images.reshape(len(images), -1) / 255.0)
    return (255 * bits).astype(np.uint8).reshape(images.shape)
