"""p(z): what latents are drawn from."""

from ._autoregressive import Autoregressive as Autoregressive
from ._code import AbstractCodePrior as AbstractCodePrior, Code as Code
from ._conditional_mixture import ConditionalMixture as ConditionalMixture
from ._conditional_normal import ConditionalNormal as ConditionalNormal
from ._flow_prior import FlowPrior as FlowPrior
from ._hierarchical import HierarchicalPrior as HierarchicalPrior
from ._mixture_of_normals import MixtureOfNormals as MixtureOfNormals
from ._normal import Normal as Normal, normal_log_density as normal_log_density, sample_normal as sample_normal
from ._prior import AbstractBorrowingPrior as AbstractBorrowingPrior, AbstractPrior as AbstractPrior
from ._standard_normal import StandardNormal as StandardNormal
from ._uniform_categorical import (
    AbstractCategoricalPrior as AbstractCategoricalPrior,
    Categorical as Categorical,
    UniformCategorical as UniformCategorical,
    categorical_log_prob as categorical_log_prob,
    check_categorical_sizes as check_categorical_sizes,
)
from ._uniform_codes import UniformCodes as UniformCodes
from ._uniform_sphere import UniformSphere as UniformSphere, log_area as log_area
from ._vamp_prior import VampPrior as VampPrior
