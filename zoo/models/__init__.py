"""Models: which z is drawn, and its densities."""

from ._abstract_vae import (
    AbstractVAE as AbstractVAE,
    draw_keys as draw_keys,
    in_units as in_units,
    observe_example as observe_example,
    parameter_shape as parameter_shape,
)
from ._conditional_vae import ConditionalVAE as ConditionalVAE, check_labels as check_labels, given as given
from ._conv_vae import ConvVAE as ConvVAE
from ._discrete_vae import DiscreteVAE as DiscreteVAE
from ._hierarchical_vae import BottomUp as BottomUp, HierarchicalVAE as HierarchicalVAE, TopDown as TopDown
from ._mlp_vae import MLPVAE as MLPVAE
from ._network_vae import AbstractNetworkVAE as AbstractNetworkVAE
from ._resnet_vae import ResNetVAE as ResNetVAE
from ._vae import VAE as VAE
from ._vq_vae import VQVAE as VQVAE
