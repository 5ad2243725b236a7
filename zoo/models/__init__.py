from ._conv_vae import ConvVAE as ConvVAE
from ._mlp_vae import MLPVAE as MLPVAE
from ._vae import AbstractVAE as AbstractVAE
