"""Variational autoencoders for JAX and Equinox, in small pieces that all combine.

A model draws, an objective judges the draws, a likelihood scores one datum.
"""

from importlib import import_module
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from . import (
        data as data,
        estimators as estimators,
        evaluate as evaluate,
        flows as flows,
        likelihoods as likelihoods,
        models as models,
        nn as nn,
        objectives as objectives,
        penalties as penalties,
        plots as plots,
        posteriors as posteriors,
        priors as priors,
        protocols as protocols,
        special as special,
        train as train,
    )
    from ._draws import Draws as Draws, Proposal as Proposal
    from .evaluate import (
        active_units as active_units,
        annealed_importance_sampling as annealed_importance_sampling,
        beta_vae_score as beta_vae_score,
        bound as bound,
        dci as dci,
        density_coverage as density_coverage,
        elbo_decomposition as elbo_decomposition,
        encode as encode,
        factor_vae_score as factor_vae_score,
        fashion_features as fashion_features,
        frechet_distance as frechet_distance,
        gaps as gaps,
        jackknife as jackknife,
        knn_probe as knn_probe,
        linear_probe as linear_probe,
        log_likelihood as log_likelihood,
        mig as mig,
        mmd_test as mmd_test,
        modularity as modularity,
        nearest_copies as nearest_copies,
        precision_recall as precision_recall,
        rate_distortion as rate_distortion,
        reconstruct as reconstruct,
        sample as sample,
        sandwich as sandwich,
        sap as sap,
    )
    from .models import (
        MLPVAE as MLPVAE,
        VQVAE as VQVAE,
        ConditionalVAE as ConditionalVAE,
        ConvVAE as ConvVAE,
        DiscreteVAE as DiscreteVAE,
        HierarchicalVAE as HierarchicalVAE,
        ResNetVAE as ResNetVAE,
    )
    from .train import (
        TrainState as TrainState,
        fit as fit,
        fit_prior as fit_prior,
        freeze as freeze,
        load as load,
        loss as loss,
        save as save,
        step as step,
    )

# Names are fetched when first asked for: `zoo --help` must not wait for jax to be imported.
_ROOMS = (
    "data", "estimators", "evaluate", "flows", "likelihoods", "models", "nn", "objectives", "penalties", "plots",
    "posteriors", "priors", "protocols", "special", "train",
)  # fmt: skip
_HOMES = {
    "_draws": ("Draws", "Proposal"),
    "models": ("ConditionalVAE", "ConvVAE", "DiscreteVAE", "HierarchicalVAE", "MLPVAE", "ResNetVAE", "VQVAE"),
    "train": ("TrainState", "fit", "fit_prior", "freeze", "load", "loss", "save", "step"),
    "evaluate": (
        "active_units",
        "annealed_importance_sampling",
        "beta_vae_score",
        "bound",
        "dci",
        "density_coverage",
        "elbo_decomposition",
        "encode",
        "factor_vae_score",
        "fashion_features",
        "frechet_distance",
        "gaps",
        "jackknife",
        "knn_probe",
        "linear_probe",
        "log_likelihood",
        "mig",
        "mmd_test",
        "modularity",
        "nearest_copies",
        "precision_recall",
        "rate_distortion",
        "reconstruct",
        "sample",
        "sandwich",
        "sap",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
__version__ = "0.1.0"
__all__ = ["__version__", *_ROOMS, *_HOME]


def __getattr__(name: str):
    if name in _ROOMS:
        value = import_module(f".{name}", __name__)
    elif name in _HOME:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    else:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
