from ._prior import AbstractPrior as AbstractPrior
from ._standard_normal import StandardNormal as StandardNormal
