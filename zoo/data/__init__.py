"""Data sets, toy densities with their exact log-densities, and what a model sees of a pixel."""

from ._check import check_batch as check_batch
from ._checkerboard import checkerboard as checkerboard
from ._data_set import (
    DataSet as DataSet,
    from_clothes as from_clothes,
    from_sprites as from_sprites,
    from_toy as from_toy,
)
from ._eight_gaussians import eight_gaussians as eight_gaussians
from ._fashion_mnist import (
    FASHION_MNIST_CLASSES as FASHION_MNIST_CLASSES,
    LabelledImages as LabelledImages,
    fashion_mnist as fashion_mnist,
    fashion_mnist_mini as fashion_mnist_mini,
)
from ._labels import number_labels as number_labels
from ._load import load as load
from ._observe import (
    as_numbers as as_numbers,
    binarise as binarise,
    dequantise as dequantise,
    scale as scale,
)
from ._pinwheel import pinwheel as pinwheel
from ._sprites import Sprites as Sprites, sprites as sprites
from ._two_moons import two_moons as two_moons
from ._two_spirals import two_spirals as two_spirals
from ._units import find_grid as find_grid, units as units
