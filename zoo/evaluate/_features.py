import functools
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import data, nn
from ._parts import equal_parts


FEATURE_SIZE = 64
FEATURE_FILE = Path(__file__).with_name("fashion_features.npz")
_PER_CALL = 512  # images to a compiled call: about 50 MB of activations


class FashionClassifier(eqx.Module):
    """Three convolutions and a hidden layer that tell the ten classes of Fashion-MNIST apart."""

    convolutions: tuple[nn.Conv, nn.Conv, nn.Conv]
    hidden: nn.Linear
    head: nn.Linear

    def __init__(self, *, key: PRNGKeyArray):
        keys = jr.split(key, 5)
        sizes = ((1, 16), (16, 32), (32, 32))
        first, second, third = (nn.Conv(*size, key=key) for size, key in zip(sizes, keys, strict=False))
        self.convolutions = (first, second, third)
        self.hidden = nn.Linear(4 * 4 * 32, FEATURE_SIZE, key=keys[3])
        self.head = nn.Linear(FEATURE_SIZE, len(data.FASHION_MNIST_CLASSES), key=keys[4])

    def features(self, x: Float[Array, " 1 28 28"]) -> Float[Array, " features"]:
        first, second, third = self.convolutions
        x = nn.max_pool(jax.nn.relu(first(x.transpose(1, 2, 0))))
        x = nn.max_pool(jax.nn.relu(second(x)))
        # From 7 x 7 to 8 x 8; nothing is below the zeros.
        x = nn.max_pool(jnp.pad(jax.nn.relu(third(x)), ((0, 1), (0, 1), (0, 0))))
        return jax.nn.relu(self.hidden(x.reshape(-1)))

    def __call__(self, x: Float[Array, " 1 28 28"]) -> Float[Array, " classes"]:
        """The logits of the classes."""
        return self.head(self.features(x))


def fashion_features(images: Array | np.ndarray, *, progress: bool = False) -> Float[Array, " n features"]:
    """Compute 64 features of each image: the last hidden layer of a small classifier of Fashion-MNIST.

    The space in which `frechet_distance`, `precision_recall` and `density_coverage` judge images of clothes.
    **It is not Inception's**: distances in it cannot be set beside published FIDs, only beside each other.
    The classifier was trained by `benchmarks/train_features.py` and names 89.9 % of the 10,000 test images rightly; its
    weights come with the package.

    **Arguments:** `images`: `(n, 1, 28, 28)`, uint8 pixels or floats in [0, 1]; `progress`: whether to show a bar.

    **Returns:** `(n, 64)`, none of them negative.

    **Raises:** `ValueError` for images of another shape, dtype or range.
    """
    data.check_batch(images, shape=(1, 28, 28), call="fashion_features(images)")
    classifier = load_classifier()
    bar = "features" if progress else None
    parts = [_features(classifier, jnp.asarray(images[index])) for index, _ in equal_parts(len(images), _PER_CALL, bar)]
    return jnp.concatenate(parts)[: len(images)]


@eqx.filter_jit
def _features(classifier, images):
    return jax.vmap(classifier.features)(data.scale(images))


@functools.cache
def load_classifier() -> FashionClassifier:
    """Load the classifier that comes with the package; the file holds its arrays in the order of the leaves."""
    empty = eqx.filter_eval_shape(FashionClassifier, key=jr.key(0))
    with np.load(FEATURE_FILE, allow_pickle=False) as file:
        arrays = iter([jnp.asarray(file[f"arr_{i}"]) for i in range(len(file.files))])
    return jax.tree.map(lambda leaf: next(arrays) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf, empty)
