from collections.abc import Callable
from typing import NamedTuple

import jax.random as jr
import numpy as np
from jaxtyping import Array, Integer, PRNGKeyArray, Shaped

from ._arrange import kind_of
from ._fashion_mnist import FASHION_MNIST_CLASSES, LabelledImages
from ._found import Kind
from ._sprites import Sprites
from ._toy import AbstractToy


class DataSet(NamedTuple):
    """Examples to learn from and examples to be measured on, with what is known of them.

    **Fields:**

    - `train`, `test`: examples along the first axis, such as bytes of shape (n, channels, height, width).
    - `train_labels`, `test_labels`: the number of each example's class, or `None`.
    - `classes`: what the classes are called, or `None`.
    - `log_density`: log p(x) of one example, where the density that they come from is known.
    - `train_factors`, `test_factors`: what each example was made of, one factor to a column, or `None`.
    - `digest`: the sha256 of all these, where they come from outside of the zoo and may change.
    - `notes`: what was found and decided in loading them, one sentence each.
    """

    train: Shaped[np.ndarray, " train ..."]
    test: Shaped[np.ndarray, " test ..."]
    train_labels: Integer[np.ndarray, " train"] | None = None
    test_labels: Integer[np.ndarray, " test"] | None = None
    classes: tuple[str, ...] | None = None
    log_density: Callable[[Array], Array] | None = None
    train_factors: Integer[np.ndarray, " train factors"] | None = None
    test_factors: Integer[np.ndarray, " test factors"] | None = None
    digest: str | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.train.shape[1:]))
        classes = f", {len(self.classes)} classes" if self.classes else ""
        counts = f"{len(self.train):,} + {len(self.test):,} {self.kind} of {shape} {self.train.dtype}"
        return f"<DataSet: {'; '.join([f'{counts}{classes}', *self.notes])}>"

    @property
    def kind(self) -> Kind:
        """What an example is: one of `"images"`, `"signals"`, with channels and a length, and `"vectors"`."""
        return kind_of(self.test)

    @property
    def is_images(self) -> bool:
        """Whether an example has channels, height and width."""
        return self.kind == "images"

    def first(self, n: int | None) -> "DataSet":
        """The data set with the first n of its test examples only; with all of them for `None`."""
        few = lambda rows: None if rows is None else rows[:n]
        return self._replace(test=self.test[:n], test_labels=few(self.test_labels), test_factors=few(self.test_factors))

    def tested_on_train(self) -> "DataSet":
        """The data set with its training examples in the place of its test examples."""
        return self._replace(test=self.train, test_labels=self.train_labels, test_factors=self.train_factors)


def from_clothes(images: LabelledImages) -> DataSet:
    """The data set of Fashion-MNIST, whole or in part.

    **Arguments:** `images`: as `fashion_mnist` and `fashion_mnist_mini` return them.
    """
    return DataSet(
        train=images.train_images,
        test=images.test_images,
        train_labels=images.train_labels,
        test_labels=images.test_labels,
        classes=FASHION_MNIST_CLASSES,
    )


def from_sprites(sprites: Sprites, *, train_size: int = 20_000, test_size: int = 5_000) -> DataSet:
    """The data set of pictures drawn evenly from a grid of sprites: the same ones at each call, classes being shapes.

    **Arguments:** `sprites`: as `sprites` returns them; `train_size`, `test_size`: how many pictures to draw.
    """
    (train, factors), (test, test_factors) = (sprites.sample(n, key=jr.key(n)) for n in (train_size, test_size))
    return DataSet(
        train=train,
        test=test,
        train_labels=factors[:, 0],
        test_labels=test_factors[:, 0],
        classes=("square", "ellipse", "heart"),
        train_factors=factors,
        test_factors=test_factors,
    )


def from_toy(toy: AbstractToy, *, train_size: int = 20_000, test_size: int = 2_000, key: PRNGKeyArray) -> DataSet:
    """The data set of points drawn from a known density.

    **Arguments:** `toy`: such as `two_moons`; `train_size`, `test_size`: how many points to draw.
    """
    train_key, test_key = jr.split(key)
    train, test = toy(train_size, key=train_key), toy(test_size, key=test_key)
    return DataSet(np.asarray(train), np.asarray(test), log_density=toy.log_density)
