from ._mixture_of_normals import MixtureOfNormals as MixtureOfNormals
from ._prior import AbstractBorrowingPrior as AbstractBorrowingPrior, AbstractPrior as AbstractPrior
from ._standard_normal import StandardNormal as StandardNormal
from ._vamp_prior import VampPrior as VampPrior
