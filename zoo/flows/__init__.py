"""Bijections of a vector with the logarithms of their Jacobian determinants."""

from ._bijection import AbstractBijection as AbstractBijection, Bijection as Bijection
from ._compose import (
    Chain as Chain,
    Flip as Flip,
    Inverse as Inverse,
    log_prob_through as log_prob_through,
    sample_through as sample_through,
    stack as stack,
)
from ._coupling import Coupling as Coupling
from ._masked_autoregressive import MaskedAutoregressive as MaskedAutoregressive
from ._planar import Planar as Planar
from ._trace_back import trace_back as trace_back
