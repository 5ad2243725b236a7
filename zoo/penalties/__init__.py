"""What needs a whole batch: pure functions of its draws, added to the loss."""

from ._commitment import commitment as commitment
from ._decoder_gradient import (
    AbstractBorrowingPenalty as AbstractBorrowingPenalty,
    DecoderGradient as DecoderGradient,
)
from ._dip import dip_i as dip_i, dip_ii as dip_ii
from ._factor import (
    Discriminator as Discriminator,
    density_ratio as density_ratio,
    discriminator_loss as discriminator_loss,
    discriminator_step as discriminator_step,
    permute_dims as permute_dims,
)
from ._latent_norm import latent_norm as latent_norm
from ._mmd import imq as imq, mmd as mmd, rbf as rbf
from ._sliced_wasserstein import sliced_wasserstein as sliced_wasserstein
from ._total_correlation import (
    KLDecomposition as KLDecomposition,
    kl_decomposition as kl_decomposition,
    minibatch_stratified as minibatch_stratified,
    minibatch_weighted as minibatch_weighted,
    total_correlation as total_correlation,
)
