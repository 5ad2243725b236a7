from ._diagonal_normal import DiagonalNormal as DiagonalNormal
from ._posterior import AbstractPosterior as AbstractPosterior, PosteriorFamily as PosteriorFamily
