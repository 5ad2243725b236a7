import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from zoo import data


def test_sprites_grid():
    sprites = data.sprites()
    assert (sprites.size, sprites.factor_sizes) == (64, (3, 6, 40, 32, 32))
    assert len(sprites) == 737_280
    assert sprites.factor_names == ("shape", "scale", "orientation", "x", "y")
    small = data.sprites(8, factor_sizes=(3, 1, 2, 2, 1))
    assert small.grid().tolist() == [list(i) for i in np.ndindex(3, 1, 2, 2, 1)]


def reference_sprite(size, subsamples, factor_sizes, factors):
    """One image, point by point."""
    shape, scale, orientation, x, y = factors
    _, scales, orientations, columns, rows = factor_sizes
    radius = 0.2 * np.linspace(0.5, 1, scales)[scale]
    centre = np.linspace(0.2, 0.8, columns)[x], np.linspace(0.2, 0.8, rows)[y]
    angle = np.linspace(0, 2 * np.pi, orientations, endpoint=False)[orientation]
    out = np.zeros((size, size))
    for row, column, i, j in np.ndindex(size, size, subsamples, subsamples):
        right = (column + (j + 0.5) / subsamples) / size - centre[0]
        up = centre[1] - (row + (i + 0.5) / subsamples) / size
        point = complex(right, up) / radius * np.exp(-1j * angle)
        u, v = point.real, point.imag
        if shape == 0:
            inside = abs(u) <= np.sqrt(0.5) and abs(v) <= np.sqrt(0.5)
        elif shape == 1:
            inside = u * u + 4 * v * v <= 1
        else:
            u, v = 1.25 * u, 1.25 * v + 0.25
            inside = (u * u + v * v - 1) ** 3 <= u * u * v**3
        out[row, column] += inside
    return np.round(255 * out / subsamples**2)


def test_sprites_against_a_loop():
    sizes = (3, 6, 40, 32, 32)
    sprites = data.sprites(28)
    rng = np.random.default_rng(0)
    factors = np.stack([[shape, *(rng.integers(n) for n in sizes[1:])] for shape in (0, 1, 2, 2)])
    images = sprites.images(factors)
    assert images.shape == (4, 1, 28, 28) and images.dtype == np.uint8
    for image, row in zip(images, factors, strict=True):
        reference = reference_sprite(28, 4, sizes, row)
        # A point on an edge may fall either side in float32: one sixteenth of a pixel, seldom.
        differing = np.abs(image[0] - reference) > 0.5
        assert differing.sum() <= 3 and np.abs(image[0] - reference).max() <= 17
        assert image.max() == 255


def test_sprites_move_turn_and_grow():
    sprites = data.sprites(64)
    rows = np.asarray(
        [
            [1, 5, 0, 0, 16],
            [1, 5, 0, 31, 16],
            [1, 5, 0, 16, 0],
            [1, 5, 0, 16, 31],
            [1, 5, 10, 16, 0],
            [1, 0, 0, 16, 0],
        ]
    )
    left, right, top, bottom, turned, small = (image[0].astype(float) for image in sprites.images(rows))
    column, row = np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5)

    def centre(image):
        return (image * column).sum() / image.sum(), (image * row).sum() / image.sum()

    np.testing.assert_allclose(centre(left)[0], 0.2 * 64, atol=0.1)
    np.testing.assert_allclose(centre(right)[0], 0.8 * 64, atol=0.1)
    np.testing.assert_allclose(centre(top)[1], 0.2 * 64, atol=0.1)
    np.testing.assert_allclose(centre(bottom)[1], 0.8 * 64, atol=0.1)
    np.testing.assert_allclose(top.sum() / small.sum(), 4, rtol=0.02)  # scale 1 against 1/2
    # An ellipse with semi-axes of 12.8 and 6.4 pixels, lying and standing.
    np.testing.assert_allclose(top.sum() / 255, np.pi * 12.8 * 6.4, rtol=0.01)
    assert np.ptp(column[top > 127]) > 1.8 * np.ptp(row[top > 127])
    assert np.ptp(row[turned > 127]) > 1.8 * np.ptp(column[turned > 127])


def test_sprites_stay_within_the_image_and_differ():
    """In the four corners a shape has the area it has in the middle; neighbours differ even at 28 x 28."""
    sprites = data.sprites(28)
    rows = np.stack([(s, 5, o, x, y) for s in range(3) for o in range(0, 40, 3) for x in (0, 31) for y in (0, 31)])
    corners = sprites.images(rows).sum((1, 2, 3)) / 255
    middles = sprites.images(rows * [1, 1, 1, 0, 0] + [0, 0, 0, 16, 16]).sum((1, 2, 3)) / 255
    np.testing.assert_allclose(corners, middles, rtol=0.07)
    line = sprites.images(np.stack([(2, 2, 7, x, 5) for x in range(32)]))
    assert len(np.unique(line.reshape(32, -1), axis=0)) == 32
    black_and_white = data.sprites(28, subsamples=1).images(rows[:5])
    assert set(np.unique(black_and_white)) == {0, 255}


def test_sprites_sample():
    sprites = data.sprites(28, factor_sizes=(3, 6, 4, 8, 8))
    images, factors = sprites.sample(600, key=jr.key(0))
    assert images.shape == (600, 1, 28, 28) and factors.shape == (600, 5)
    for column, size in enumerate(sprites.factor_sizes):
        assert stats.chisquare(np.bincount(factors[:, column], minlength=size)).pvalue > 1e-4
    again, _ = sprites.sample(600, key=jr.key(0))
    assert np.array_equal(images, again)
    # Rendered in chunks or one by one under jit: the same.
    one = jax.jit(sprites.image)
    for i in (0, 255, 256, 599):
        assert np.abs(one(factors[i]).astype(int) - images[i].astype(int)).max() <= 17
    assert jnp.array_equal(one(jnp.asarray([9, 9, 9, 99, 99])), one(jnp.asarray([2, 5, 3, 7, 7])))


def test_sprites_refuse_bad_input():
    with pytest.raises(ValueError, match=r"sprites\(size=0\)` needs size >= 1"):
        data.sprites(0)
    with pytest.raises(ValueError, match=r"sprites\(subsamples=0\)` needs subsamples >= 1"):
        data.sprites(subsamples=0)
    with pytest.raises(ValueError, match="needs five numbers >= 1"):
        data.sprites(factor_sizes=(3, 6, 40))
    with pytest.raises(ValueError, match="needs five numbers >= 1"):
        data.sprites(factor_sizes=(3, 0, 1, 1, 1))
    with pytest.raises(ValueError, match="has 3 shapes, asked for 4"):
        data.sprites(factor_sizes=(4, 1, 1, 1, 1))
    sprites = data.sprites(8)
    with pytest.raises(ValueError, match="needs orientation in 0..39, got 40 at row 1"):
        sprites.images(np.asarray([[0, 0, 0, 0, 0], [0, 0, 40, 0, 0]]))
    with pytest.raises(ValueError, match="shape .n, 5., got .5,."):
        sprites.images(np.zeros(5, int))
    with pytest.raises(ValueError, match=r"sample\(n=0\)` needs n >= 1"):
        sprites.sample(0, key=jr.key(0))
