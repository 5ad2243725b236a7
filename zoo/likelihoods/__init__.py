from ._likelihood import Likelihood as Likelihood
