"""q(z | x): what an encoder's numbers mean."""

from ._categorical import Categorical as Categorical, StraightThrough as StraightThrough
from ._diagonal_normal import DiagonalNormal as DiagonalNormal
from ._flow_posterior import FlowedNormal as FlowedNormal, FlowPosterior as FlowPosterior
from ._full_normal import FullNormal as FullNormal
from ._gumbel_softmax import GumbelSoftmax as GumbelSoftmax, RelaxedCategorical as RelaxedCategorical
from ._hierarchical import BottomUpPosterior as BottomUpPosterior, TopDownPosterior as TopDownPosterior
from ._laplace import Laplace as Laplace
from ._low_rank_normal import LowRankFamily as LowRankFamily, LowRankNormal as LowRankNormal
from ._point import Point as Point
from ._posterior import (
    AbstractPosterior as AbstractPosterior,
    AbstractScaledPosterior as AbstractScaledPosterior,
    AbstractVectorPosterior as AbstractVectorPosterior,
    Family as Family,
    PosteriorFamily as PosteriorFamily,
    Traits as Traits,
    as_family as as_family,
    bounded as bounded,
)
from ._quantised import Quantised as Quantised
from ._traced import AbstractTracedPosterior as AbstractTracedPosterior, draw_from as draw_from
from ._von_mises_fisher import VonMisesFisher as VonMisesFisher
