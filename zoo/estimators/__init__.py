"""How draws are differentiated: functions of an objective and a proposal."""

from ._dreg import dreg as dreg
from ._reparameterised import detached as detached, reparameterised as reparameterised
from ._stl import stl as stl
