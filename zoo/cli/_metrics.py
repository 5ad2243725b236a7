"""What `zoo evaluate --metrics` measures: each function gives rows of a table, a name to a `Row`."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.random as jr
import numpy as np

import zoo

from . import _build as build, _names as names
from ._arguments import Train


@dataclass(frozen=True)
class Measured:
    """A run's model, the data that it is measured on, and how it is measured."""

    model: Any
    settings: Train
    dataset: zoo.data.DataSet
    k: int
    key: Any
    progress: bool

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
        return self._encode(self.dataset.train, self.dataset.train_labels)

    @cached_property
    def samples(self) -> np.ndarray:
        """As many pictures as examples, of the same labels: E[x | z], cut where it goes beyond black or white."""
        n, ys = len(self.dataset.test), self.examples["ys"]
        pictures = zoo.sample(self.model, n, y=ys, progress=self.progress, key=jr.fold_in(self.key, 2))
        return np.clip(np.asarray(pictures), 0, 1)

    @cached_property
    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """The examples and the samples, in the space where pictures are compared."""
        return self.in_space(self.dataset.test), self.in_space(self.samples)

    @property
    def space(self) -> str:
        """The space where pictures are compared: features of a classifier, which knows clothes only, or else pixels."""
        return "fashion_features" if self.dataset.classes == zoo.data.FASHION_MNIST_CLASSES else "pixels"

    def in_space(self, images: np.ndarray) -> np.ndarray:
        if self.space == "pixels":
            return images
        return np.asarray(zoo.fashion_features(images, progress=self.progress))

    def _arguments(self, xs: np.ndarray, labels: np.ndarray | None) -> dict[str, Any]:
        ys, observe = build.labels(self.model, labels), names.look_up("observe", self.settings)
        return dict(xs=xs, ys=ys, observe=observe, progress=self.progress, key=self.key)

    def _encode(self, xs: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        layers = jax.tree.leaves(zoo.encode(self.model, **self._arguments(xs, labels)))
        return np.concatenate([np.asarray(layer).reshape(len(layer), -1) for layer in layers], axis=1)


class Row(NamedTuple):
    """A number with its standard error and its unit, and how many draws it takes of each example, if any."""

    mean: float
    standard_error: float | None
    unit: str
    k: int | None = None


Rows = dict[str, Row]
DECOMPOSITION_K, STEPS, CHAINS = 10, 500, 16


def log_likelihood(run: Measured) -> Rows:
    model, examples = run.model, run.examples
    elbo = zoo.bound(model, **examples, objective=zoo.objectives.elbo, k=1)
    values = zoo.log_likelihood(model, **examples, k=run.k)
    rows = {"elbo": _row(elbo, 1), f"log_likelihood (k={run.k})": _row(values, run.k)}
    # A density of pixels that were not dequantised has no bits.
    dequantised = run.settings.observe == "dequantise"
    if run.dataset.is_images and dequantised == (model.likelihood.measure == "lebesgue"):
        size, measure = math.prod(model.data_shape), model.likelihood.measure
        bits = zoo.likelihoods.bits_per_dimension(values, size, measure=measure)
        rows["bits per dimension"] = _row(bits, run.k, "bits")
    if run.dataset.log_density is not None:
        rows["KL(true || model)"] = _row(jax.vmap(run.dataset.log_density)(examples["xs"]) - values, run.k)
    return rows


def reconstruction(run: Measured) -> Rows:
    """The only number that there is of a posterior without a density: it has no bound."""
    values = zoo.bound(run.model, **run.examples, objective=zoo.objectives.reconstruction, k=1)
    return {"log p(x | z), no bound": _row(values, 1)}


def elbo_decomposition(run: Measured) -> Rows:
    k = min(run.k, DECOMPOSITION_K)
    found = zoo.elbo_decomposition(run.model, **run.examples, k=k)
    return _in_nats(f"elbo_decomposition (k={k})", found.estimates, k)


def active_units(run: Measured) -> Rows:
    found = zoo.active_units(run.model, **run.examples)
    rows = {"active units": Row(found.num_active, found.standard_error, f"of {len(found.active)}")}
    for name, column, unit in (("variance", found.variance, "z^2"), ("KL", found.kl, "nats")):
        for j, (mean, error) in enumerate(zip(column.mean, column.standard_error) if column else ()):
            rows[f"active_units: {name} of unit {j}"] = Row(float(mean), float(error), unit)
    return rows


def gaps(run: Measured) -> Rows:
    found = zoo.gaps(run.model, **run.examples, k=run.k)
    return _in_nats(f"gaps (k={run.k})", found.estimates, run.k)


def ais(run: Measured) -> Rows:
    found = zoo.annealed_importance_sampling(run.model, **run.examples, steps=STEPS, chains=CHAINS)
    rows = _in_nats(metric := f"ais ({STEPS} steps, {CHAINS} chains)", found.estimates)
    accepted = f"{metric}: acceptance"
    return rows | {accepted: rows[accepted]._replace(unit="probability")}


def _in_nats(metric: str, estimates: dict[str, Any], k: int | None = None) -> Rows:
    return {f"{metric}: {name}": row_of(found, "nats", k) for name, found in estimates.items()}


def _row(values: Any, k: int, unit: str = "nats") -> Row:
    return row_of(zoo.evaluate.estimate(values), unit, k)


def row_of(found: Any, unit: str, k: int | None = None) -> Row:
    error = float(found.standard_error)
    return Row(float(found.mean), None if np.isnan(error) else error, unit, k)
