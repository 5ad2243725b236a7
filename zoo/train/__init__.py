"""Training: loss, step, fit, frozen models."""

from ._average import average as average, averaged as averaged
from ._checks import check_fit as check_fit
from ._early_stopping import early_stopping as early_stopping
from ._fit import Fit as Fit, fit as fit
from ._fit_many import fit_many as fit_many
from ._fit_prior import fit_prior as fit_prior
from ._freeze import freeze as freeze
from ._guard import is_finite as is_finite
from ._join import join_processes as join_processes
from ._judgement import Judgement as Judgement
from ._loss import loss as loss
from ._mesh import choose_mesh as choose_mesh, data_mesh as data_mesh
from ._signals import catch_signals as catch_signals
from ._start import start as start
from ._step import TrainState as TrainState, step as step
from ._tensorboard import tensorboard as tensorboard
