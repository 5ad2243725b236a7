from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.random as jr
import numpy as np

from .. import data, evaluate, models


@dataclass(frozen=True)
class Measured:
    """A model, the data that it is measured on, and how it is measured.

    **Fields:** `model`: trained and frozen; `dataset`: whose test examples are those to measure on; `observe`: as in
    `zoo.fit`; `k`: draws for each example; `progress`: whether to show a bar; `key`: for all that is drawn.
    """

    model: Any
    dataset: data.DataSet
    observe: Callable
    k: int
    progress: bool
    key: Any

    @property
    def examples(self) -> dict[str, Any]:
        """The examples, and how the model sees them, as the functions of `zoo.evaluate` take them."""
        return self._arguments(self.dataset.test, self.dataset.test_labels)

    @cached_property
    def codes(self) -> np.ndarray:
        """E[z | x] of each example as one row; where z has layers, they follow each other in the row."""
        return self._encode(self.dataset.test, self.dataset.test_labels)

    @cached_property
    def training_codes(self) -> np.ndarray:
        """The same of the training examples."""
        return self._encode(self.dataset.train, self.dataset.train_labels)

    @cached_property
    def samples(self) -> np.ndarray:
        """As many pictures as examples, of the same labels: E[x | z], cut where it goes beyond black or white."""
        n, ys = len(self.dataset.test), self.examples["ys"]
        pictures = evaluate.sample(self.model, n, y=ys, progress=self.progress, key=jr.fold_in(self.key, 2))
        return np.clip(np.asarray(pictures), 0, 1)

    @cached_property
    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """The examples and the samples, in the space where pictures are compared."""
        return self.in_space(self.dataset.test), self.in_space(self.samples)

    @property
    def space(self) -> str:
        """The space where pictures are compared: features of a classifier, which knows clothes only, or else pixels."""
        return "fashion_features" if self.dataset.classes == data.FASHION_MNIST_CLASSES else "pixels"

    def in_space(self, images: np.ndarray) -> np.ndarray:
        """The images as they are compared."""
        if self.space == "pixels":
            return images
        return np.asarray(evaluate.fashion_features(images, progress=self.progress))

    def _arguments(self, xs: np.ndarray, labels: np.ndarray | None) -> dict[str, Any]:
        ys = labels if isinstance(self.model, models.ConditionalVAE) else None
        return dict(xs=xs, ys=ys, observe=self.observe, progress=self.progress, key=self.key)

    def _encode(self, xs: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        layers = jax.tree.leaves(evaluate.encode(self.model, **self._arguments(xs, labels)))
        return np.concatenate([np.asarray(layer).reshape(len(layer), -1) for layer in layers], axis=1)


class Row(NamedTuple):
    """A number with its standard error and its unit, and how many draws it takes of each example, if any."""

    mean: float
    standard_error: float | None
    unit: str
    k: int | None = None


Rows = dict[str, Row]


def row_of(found: Any, unit: str, k: int | None = None) -> Row:
    """The row of an `Estimate`; of a single example there is no error."""
    error = float(found.standard_error)
    return Row(float(found.mean), None if np.isnan(error) else error, unit, k)


def row_of_values(values: Any, k: int, unit: str = "nats") -> Row:
    """The row of the mean of what was found for each example."""
    return row_of(evaluate.estimate(values), unit, k)
