"""Convolutions that run at full speed in loops, under `vmap` and in derivatives, on a CPU too."""

from ._conv import conv as conv, plain_convolutions as plain_convolutions, upsample_conv as upsample_conv
