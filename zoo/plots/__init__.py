"""Figures: each function returns `(figure, axes)` and shows nothing."""

from ._bound_vs_k import bound_vs_k as bound_vs_k
from ._class_grid import class_grid as class_grid
from ._curves import curves as curves
from ._density_2d import density_2d as density_2d
from ._interpolation import interpolation as interpolation
from ._kl_per_unit import kl_per_unit as kl_per_unit
from ._latent_scatter import latent_scatter as latent_scatter
from ._loss_curve import loss_curve as loss_curve
from ._manifold import manifold as manifold
from ._model_density import model_log_density as model_log_density
from ._rate_distortion import rate_distortion as rate_distortion
from ._reconstructions import reconstructions as reconstructions
from ._samples import samples as samples
from ._sweep import sweep as sweep
from ._traversals import traversals as traversals
