"""The shape vocabulary: one word per axis, used in every signature.

`batch` examples, `k` draws, `latent` sizes of z, `channels height width` of an image.
"""

from jaxtyping import Array, Float, UInt8


Scalar = Float[Array, ""]
Image = Float[Array, " channels height width"]
Pixels = UInt8[Array, " *shape"]
