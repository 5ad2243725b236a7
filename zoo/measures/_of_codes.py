"""What can be measured of codes, the posterior means E[z | x]: probes, and disentanglement."""

from collections.abc import Callable
from typing import Any

import jax.random as jr
import numpy as np

from .. import evaluate
from ._measured import Measured, Row, Rows, row_of


SHAPE = (0,)  # the factor of the sprites whose values have no order


def linear_probe(run: Measured) -> Rows:
    """Fitted to the training examples; the standard error is that of the examples it is tried on."""
    return {"linear_probe": row_of(evaluate.linear_probe(*_labelled(run)), "accuracy")}


def knn_probe(run: Measured) -> Rows:
    """As `linear_probe`."""
    return {"knn_probe": row_of(evaluate.knn_probe(*_labelled(run), progress=run.progress), "accuracy")}


def mig(run: Measured) -> Rows:
    """The standard error is the jackknife's over the examples, as of the next three."""
    return _jackknifed(run, lambda codes, factors: evaluate.mig(codes, factors).score, "mig")


def sap(run: Measured) -> Rows:
    return _jackknifed(run, lambda codes, factors: evaluate.sap(codes, factors, categorical=SHAPE).score, "sap")


def dci(run: Measured) -> Rows:
    """Informativeness is an error: 0 is best."""
    scores = lambda codes, factors: evaluate.dci(codes, factors, categorical=SHAPE, key=run.key)[:3]
    rows = _jackknifed(run, scores, "dci: disentanglement", "dci: completeness", error := "dci: informativeness")
    return rows | {error: rows[error]._replace(unit="prediction error")}


def modularity(run: Measured) -> Rows:
    return _jackknifed(run, lambda codes, factors: evaluate.modularity(codes, factors).score, "modularity")


def beta_vae_score(run: Measured) -> Rows:
    """The standard error is that of the pairs drawn, the codes held fixed."""
    return {"beta_vae_score": row_of(_scored(evaluate.beta_vae_score, run), "accuracy")}


def factor_vae_score(run: Measured) -> Rows:
    """The standard error is that of the batches drawn, the codes held fixed."""
    return {"factor_vae_score": row_of(_scored(evaluate.factor_vae_score, run), "accuracy")}


def _scored(score: Callable, run: Measured) -> Any:
    return score(run.codes, run.dataset.test_factors, progress=run.progress, key=run.key)


def _labelled(run: Measured) -> tuple[Any, ...]:
    return run.training_codes, run.dataset.train_labels, run.codes, run.dataset.test_labels


def _jackknifed(run: Measured, metric: Callable, *names: str) -> Rows:
    factors = run.dataset.test_factors
    assert factors is not None
    means, errors = evaluate.estimate_metric(
        metric, (run.codes, factors), progress=run.progress, key=jr.fold_in(run.key, 5)
    )
    columns = zip(names, np.atleast_1d(means), np.atleast_1d(errors), strict=True)
    return {name: Row(float(mean), float(error), "of 1") for name, mean, error in columns}
