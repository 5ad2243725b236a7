"""What is maximised: pure functions of the draws of one example, in nats."""

from ._beta import beta_elbo as beta_elbo, capacity_elbo as capacity_elbo, free_bits as free_bits
from ._elbo import elbo as elbo, elbo_kl as elbo_kl
from ._iwae import ciwae as ciwae, iwae as iwae, miwae as miwae
from ._jackknife import jackknife as jackknife
from ._piwae import piwae as piwae
from ._reconstruction import reconstruction as reconstruction
from ._renyi import power as power, renyi as renyi
from ._scheduled import Scheduled as Scheduled, at_step as at_step, scheduled as scheduled
from ._schedules import (
    Schedule as Schedule,
    cosine_schedule as cosine_schedule,
    cyclical_schedule as cyclical_schedule,
    linear_schedule as linear_schedule,
)
from ._wake import wake_phi as wake_phi, wake_theta as wake_theta
