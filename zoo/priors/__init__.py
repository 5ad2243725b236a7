from ._mixture_of_normals import MixtureOfNormals as MixtureOfNormals
from ._prior import AbstractPrior as AbstractPrior
from ._standard_normal import StandardNormal as StandardNormal
