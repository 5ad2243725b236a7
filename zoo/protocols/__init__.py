"""Which images, which bits and which calls published numbers stand on."""

from ._binarised_fashion_mnist import Protocol as Protocol, binarised_fashion_mnist as binarised_fashion_mnist
