"""Networks and layers. They know nothing of probability."""

from ._causal_transformer import CausalTransformer as CausalTransformer
from ._grid_networks import GridDecoder as GridDecoder, GridEncoder as GridEncoder, grid as grid
from ._half_precision import HalfPrecision as HalfPrecision
from ._halvings import grid_shape as grid_shape
from ._layers import (
    Conv as Conv,
    Crop as Crop,
    Linear as Linear,
    Pad as Pad,
    Resize as Resize,
    Sequential as Sequential,
    depth_to_space as depth_to_space,
    from_row as from_row,
    gelu_sigmoid as gelu_sigmoid,
    is_untrained as is_untrained,
    lecun_normal as lecun_normal,
    max_pool as max_pool,
    space_to_depth as space_to_depth,
    starting_at_zero as starting_at_zero,
    to_row as to_row,
    unit as unit,
    upsample as upsample,
    variance_preserving_gelu as variance_preserving_gelu,
    zeroed as zeroed,
)
from ._networks import (
    MLP as MLP,
    ConvDecoder as ConvDecoder,
    ConvEncoder as ConvEncoder,
    Networks as Networks,
    convolutional as convolutional,
    fully_connected as fully_connected,
)
from ._norm import (
    BatchNorm as BatchNorm,
    ChannelAffine as ChannelAffine,
    GroupNorm as GroupNorm,
    batch_norms as batch_norms,
    is_batch_norm as is_batch_norm,
)
from ._partitioned import Partitioned as Partitioned, partitioned as partitioned
from ._residual import (
    ResidualBlock as ResidualBlock,
    ResidualDecoder as ResidualDecoder,
    ResidualEncoder as ResidualEncoder,
    residual as residual,
)
from ._stochastic import (
    Deterministic as Deterministic,
    Stochastic as Stochastic,
    give_keys as give_keys,
)
from ._strided import (
    StridedDecoder as StridedDecoder,
    StridedEncoder as StridedEncoder,
    networks_for as networks_for,
    strided as strided,
)
from .convolution import conv as conv, plain_convolutions as plain_convolutions, upsample_conv as upsample_conv
