from ._conv import conv as conv, upsample_conv as upsample_conv
from ._layers import (
    Conv as Conv,
    gelu_sigmoid as gelu_sigmoid,
    lecun_normal as lecun_normal,
    Linear as Linear,
    max_pool as max_pool,
    Sequential as Sequential,
    upsample as upsample,
    UpsampleConv as UpsampleConv,
)
from ._networks import ConvDecoder as ConvDecoder, ConvEncoder as ConvEncoder, MLP as MLP
from ._norm import BatchNorm as BatchNorm, ChannelAffine as ChannelAffine, GroupNorm as GroupNorm
