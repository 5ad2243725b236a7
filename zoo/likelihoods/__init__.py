"""p(x | parameters): what the numbers of a decoder mean."""

from ._bernoulli import bernoulli as bernoulli
from ._beta import beta as beta
from ._bits import bits_per_dimension as bits_per_dimension, change_of_scale as change_of_scale
from ._categorical import categorical as categorical
from ._centred import (
    Centred as Centred,
    Units as Units,
    can_be_centred as can_be_centred,
    centred as centred,
    features_of as features_of,
)
from ._continuous_bernoulli import continuous_bernoulli as continuous_bernoulli
from ._discretized_logistic_mixture import discretized_logistic_mixture as discretized_logistic_mixture
from ._gaussian import gaussian as gaussian
from ._gaussian_learned import gaussian_learned as gaussian_learned
from ._gaussian_shared import (
    GaussianShared as GaussianShared,
    gaussian_shared as gaussian_shared,
    optimal_log_scale as optimal_log_scale,
)
from ._laplace import laplace as laplace
from ._likelihood import AbstractLikelihood as AbstractLikelihood, Likelihood as Likelihood
from ._logistic import logistic as logistic
from ._marginals import thin as thin
from ._negative_binomial import negative_binomial as negative_binomial
from ._poisson import poisson as poisson
from ._read import find_integer_unit as find_integer_unit, read as read
from ._student_t import student_t as student_t
from ._truncated_normal import truncated_normal as truncated_normal
