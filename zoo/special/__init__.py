"""Elementwise functions to the last bits of float32, with derivatives of every order."""

from ._bounded import above as above, between as between
from ._cb_entropy import cb_entropy as cb_entropy
from ._cb_icdf import cb_icdf as cb_icdf
from ._continuous_bernoulli import (
    cb_log_normalizer as cb_log_normalizer,
    cb_log_prob as cb_log_prob,
    cb_mean as cb_mean,
    cb_variance as cb_variance,
)
from ._erfcx import erfcx as erfcx
from ._gamma import stirling_remainder as stirling_remainder
from ._log_bessel import log_bessel as log_bessel
from ._logistic import (
    bernoulli_log_prob as bernoulli_log_prob,
    sigmoid as sigmoid,
    softplus as softplus,
)
