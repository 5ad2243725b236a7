"""Networks and layers. They know nothing of probability."""

from ._causal_transformer import CausalTransformer as CausalTransformer
from ._conv import conv as conv, upsample_conv as upsample_conv
from ._grid_networks import GridDecoder as GridDecoder, GridEncoder as GridEncoder
from ._half_precision import HalfPrecision as HalfPrecision
from ._layers import (
    Conv as Conv,
    Linear as Linear,
    Sequential as Sequential,
    gelu_sigmoid as gelu_sigmoid,
    lecun_normal as lecun_normal,
    max_pool as max_pool,
    unit as unit,
    upsample as upsample,
)
from ._networks import (
    MLP as MLP,
    ConvDecoder as ConvDecoder,
    ConvEncoder as ConvEncoder,
    Networks as Networks,
    convolutional as convolutional,
    fully_connected as fully_connected,
    networks_for as networks_for,
)
from ._norm import BatchNorm as BatchNorm, ChannelAffine as ChannelAffine, GroupNorm as GroupNorm
from ._residual import (
    ResidualBlock as ResidualBlock,
    ResidualDecoder as ResidualDecoder,
    ResidualEncoder as ResidualEncoder,
    residual as residual,
    space_to_depth as space_to_depth,
)
