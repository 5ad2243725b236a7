import functools
import math
import operator

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, PRNGKeyArray, UInt8


_NAMES = ("shape", "scale", "orientation", "x", "y")
_DSPRITES = (3, 6, 40, 32, 32)
_REACH = 0.2  # of the image's side: the radius of the circle that holds every shape at scale 1
_HEART = 1.25  # the radius of the circle round the heart's curve; its centre is (0, 1/4)
_CHUNK = 256  # images rendered at once


class Sprites(eqx.Module):
    """Pictures of one shape each, and the five independent factors they are made of.

    Made by `sprites`. An image is rendered when it is asked for: the full grid of 64 x 64 pixels is 3 GB.

    **Fields:**

    - `size`: height and width, pixels.
    - `factor_sizes`: how many values each factor has, in the order of `factor_names`.
    - `subsamples`: a pixel's grey is the part of a `subsamples` x `subsamples` grid inside the shape.
    """

    size: int
    factor_sizes: tuple[int, ...]
    subsamples: int

    @property
    def factor_names(self) -> tuple[str, ...]:
        """The name of each factor, in the order of `factor_sizes`."""
        return _NAMES

    def __len__(self) -> int:
        """The number of images in the grid of all factors."""
        return math.prod(self.factor_sizes)

    def grid(self) -> Int32[np.ndarray, " n 5"]:
        """The factors of every image, the last factor changing fastest."""
        indices = np.indices(self.factor_sizes, dtype=np.int32)
        return indices.reshape(len(self.factor_sizes), -1).T

    def image(self, factors: Int[Array, " 5"]) -> UInt8[Array, " 1 size size"]:
        """Draw the image of one index per factor, bytes 0..255; under `jit` and `vmap` too.

        An index beyond the grid is taken as the nearest one on it; `images` refuses it instead.
        """
        values = [jnp.clip(factors[i], 0, size - 1).astype(jnp.float32) for i, size in enumerate(self.factor_sizes)]
        shape, scale, orientation, x, y = values
        _, scales, orientations, columns, rows = self.factor_sizes
        radius = _REACH * (1.0 - 0.5 * (scales - 1 - scale) / max(scales - 1, 1))
        angle = orientation * (2 * math.pi / orientations)
        grid = jnp.asarray((np.arange(self.size * self.subsamples) + 0.5) / (self.size * self.subsamples))
        grid = grid.astype(jnp.float32)
        right = (grid - _place(x, columns))[None, :] / radius
        up = (_place(y, rows) - grid)[:, None] / radius
        u = jnp.cos(angle) * right + jnp.sin(angle) * up
        v = jnp.cos(angle) * up - jnp.sin(angle) * right
        inside = jnp.where(shape == 0, _square(u, v), jnp.where(shape == 1, _ellipse(u, v), _heart(u, v)))
        squares = inside.reshape(self.size, self.subsamples, self.size, self.subsamples)
        count = jnp.sum(squares, axis=(1, 3), dtype=jnp.int32)
        area = self.subsamples**2
        return ((255 * count + area // 2) // area).astype(jnp.uint8)[None]

    def images(self, factors: Int[np.ndarray | Array, " *shape"]) -> UInt8[np.ndarray, " n 1 size size"]:
        """Draw the images of n rows of factors, on the host.

        **Raises:** `ValueError` where a row does not lie on the grid, or has not five factors.
        """
        factors = np.asarray(factors)
        if factors.shape[1:] != (len(_NAMES),):
            raise ValueError(
                f"`sprites.images(factors)` needs rows of five factors, shape (n, 5), got {factors.shape}; "
                "take rows of sprites.grid()"
            )
        beyond = (factors < 0) | (factors >= np.asarray(self.factor_sizes))
        if beyond.any():
            row, column = (int(i) for i in np.argwhere(beyond)[0])
            raise ValueError(
                f"`sprites.images(factors)` needs {_NAMES[column]} in 0..{self.factor_sizes[column] - 1}, "
                f"got {factors[row, column]} at row {row}; take rows of sprites.grid()"
            )
        out = np.empty((len(factors), 1, self.size, self.size), np.uint8)
        for start in range(0, len(factors), _CHUNK):
            chunk = factors[start : start + _CHUNK].astype(np.int32)
            # Filled up, so that all chunks have one shape and one compilation.
            full = np.resize(chunk, (_CHUNK, factors.shape[1]))
            out[start : start + len(chunk)] = np.asarray(_render(self, full))[: len(chunk)]
        return out

    def sample(
        self, n: int | np.integer, *, key: PRNGKeyArray
    ) -> tuple[UInt8[np.ndarray, " n 1 size size"], Int32[np.ndarray, " n 5"]]:
        """Draw n images, their factors uniformly and independently, with replacement.

        **Raises:** `ValueError` where n < 1.
        """
        n = operator.index(n)
        if n < 1:
            raise ValueError(f"`sprites.sample(n={n})` needs n >= 1; ask for one image or more")
        sizes = np.asarray(self.factor_sizes, np.int32)[None, :]
        factors = np.asarray(jr.randint(key, (n, sizes.size), 0, sizes, jnp.int32))
        return self.images(factors), factors


def sprites(size: int = 64, *, factor_sizes: tuple[int, ...] = _DSPRITES, subsamples: int = 4) -> Sprites:
    r"""White squares, ellipses and hearts on black, on a grid of five known factors.

    The grid of dSprites (Matthey et al., 2017), drawn here and deterministic: shape (square, ellipse,
    heart), scale (evenly from 0.5 to 1), orientation, and the centre's x and y (evenly, as far as the
    largest shape stays within the image; x to the right, y downwards). Two departures: the orientations
    are $2\pi i / 40$, where dSprites holds both 0 and $2\pi$, the same picture twice; and edges are grey,
    without which neighbouring positions at 28 x 28 would be equal. `subsamples=1` gives black and white.

    **Arguments:**

    - `size`: height and width, pixels; 64 and 28 are usual.
    - `factor_sizes`: how many values of shape (the first ones, at most 3), scale, orientation, x and y.
      A factor of one value stands at shape square, scale 1, orientation 0, the middle.
    - `subsamples`: a pixel is the mean of `subsamples` x `subsamples` points.

    **Returns:** `Sprites`.

    **Raises:** `ValueError` where a size is below 1, or factor_sizes is not five numbers.
    """
    for name, value in (("size", size), ("subsamples", subsamples)):
        if operator.index(value) < 1:
            raise ValueError(f"`sprites({name}={value})` needs {name} >= 1")
    factor_sizes = tuple(operator.index(value) for value in factor_sizes)
    if len(factor_sizes) != len(_NAMES) or min(factor_sizes) < 1:
        raise ValueError(f"`sprites(factor_sizes={factor_sizes})` needs five numbers >= 1, of {', '.join(_NAMES)}")
    if factor_sizes[0] > 3:
        raise ValueError(
            f"`sprites(factor_sizes={factor_sizes})` has 3 shapes, asked for {factor_sizes[0]}; "
            "pass at most 3 as the first number"
        )
    return Sprites(size, factor_sizes, subsamples)


@functools.partial(jax.jit, static_argnums=0)
def _render(sprites: Sprites, factors: Int[Array, " n 5"]) -> UInt8[Array, " n 1 size size"]:
    return jax.vmap(sprites.image)(factors)


def _place(index: Float[Array, ""], count: int) -> Float[Array, ""]:
    """The centre's coordinate, in parts of the image's side."""
    if count == 1:
        return jnp.full_like(index, 0.5)
    return _REACH + index * ((1 - 2 * _REACH) / (count - 1))


# Each shape in the coordinates of its own frame, right and up, within the circle of radius 1.


def _square(u: Float[Array, " h w"], v: Float[Array, " h w"]) -> Bool[Array, " h w"]:
    return jnp.maximum(jnp.abs(u), jnp.abs(v)) <= math.sqrt(0.5)


def _ellipse(u: Float[Array, " h w"], v: Float[Array, " h w"]) -> Bool[Array, " h w"]:
    return u**2 + (2 * v) ** 2 <= 1


def _heart(u: Float[Array, " h w"], v: Float[Array, " h w"]) -> Bool[Array, " h w"]:
    u, v = u * _HEART, v * _HEART + 0.25
    return (u**2 + v**2 - 1) ** 3 <= u**2 * v**3
