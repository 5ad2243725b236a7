from ._networks import Networks, fully_connected
from ._strided import strided


def networks_for(data_shape: tuple[int, ...]) -> Networks:
    """What a model takes unless told otherwise: `strided()` for images, `fully_connected()` for vectors.

    **Arguments:** `data_shape`: `(channels, height, width)` of an image, `(dimensions,)` of a vector.
    """
    return strided() if len(data_shape) == 3 else fully_connected()
