"""What a trained model is worth, and what it makes of data: functions of a frozen model."""

from ._active_units import ActiveUnits as ActiveUnits, active_units as active_units
from ._annealed import Annealed as Annealed, annealed_importance_sampling as annealed_importance_sampling
from ._annealing import from_posterior as from_posterior, from_prior as from_prior
from ._checks import check_evaluation as check_evaluation, check_examples as check_examples
from ._code_usage import CodeUsage as CodeUsage, code_usage as code_usage
from ._copies import Copies as Copies, nearest_copies as nearest_copies
from ._dci import DCI as DCI, dci as dci
from ._decomposition import ELBODecomposition as ELBODecomposition, elbo_decomposition as elbo_decomposition
from ._estimate import Estimate as Estimate, estimate as estimate
from ._estimate_metric import estimate_metric as estimate_metric
from ._factor_scores import beta_vae_score as beta_vae_score, factor_vae_score as factor_vae_score
from ._features import fashion_features as fashion_features
from ._frechet import frechet_distance as frechet_distance
from ._gaps import InferenceGaps as InferenceGaps, gaps as gaps
from ._layers import kl_per_layer as kl_per_layer
from ._log_likelihood import bound as bound, log_likelihood as log_likelihood
from ._mig import FactorGaps as FactorGaps, mig as mig
from ._mmd_test import MMDTest as MMDTest, mmd_test as mmd_test
from ._modularity import Modularity as Modularity, modularity as modularity
from ._pictures import (
    decode_means as decode_means,
    draw_latents as draw_latents,
    encode as encode,
    reconstruct as reconstruct,
    sample as sample,
)
from ._precision_recall import (
    DensityCoverage as DensityCoverage,
    PrecisionRecall as PrecisionRecall,
    density_coverage as density_coverage,
    precision_recall as precision_recall,
)
from ._probes import knn_probe as knn_probe, linear_probe as linear_probe
from ._rate_distortion import RateDistortion as RateDistortion, rate_distortion as rate_distortion
from ._sandwich import Sandwich as Sandwich, sandwich as sandwich
from ._sap import sap as sap
