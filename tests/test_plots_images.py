from statistics import NormalDist

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from plotted import IMAGES, KEY, LATENTS, MODEL, SIDE, TOY, image_model, observe

import zoo
from zoo import plots, spaces
from zoo.plots._tiles import lay_out, tile
from zoo.priors import AbstractPrior, StandardNormal


def decoded(model, z):
    """E[x | z] of one latent, through the likelihood's mean."""
    return np.asarray(model.likelihood.mean(model.decode(jnp.asarray(z, jnp.float32))))


def cell(ax, row, column, side=SIDE):
    """One tile of a picture without wide gaps."""
    (image,) = ax.images
    top, left = row * (side + 1), column * (side + 1)
    return np.asarray(image.get_array())[top : top + side, left : left + side]


def test_tiles_lie_where_they_should():
    images = np.random.default_rng(0).uniform(size=(5, 3, 4, 6)).astype(np.float32)
    sheet = tile(images, lay_out(images, 2))
    assert sheet.shape == (3 * 5 - 1, 2 * 7 - 1, 3)
    expected = np.ones_like(sheet)
    for i in range(5):
        for y in range(4):
            for x in range(6):
                expected[i // 2 * 5 + y, i % 2 * 7 + x] = images[i, :, y, x]
    np.testing.assert_array_equal(sheet, expected)


def test_samples_are_the_likelihoods_means():
    _, ax = plots.samples(MODEL, 5, key=KEY)
    means = np.asarray(zoo.sample(MODEL, 5, key=KEY))
    for i in range(5):
        np.testing.assert_array_equal(cell(ax, i // 3, i % 3), means[i, 0])
    np.testing.assert_array_equal(cell(ax, 1, 2), 1.0)
    assert "mean" in ax.get_title().lower()
    _, noisy = plots.samples(MODEL, 5, noise=True, key=KEY)
    np.testing.assert_array_equal(cell(noisy, 0, 0), np.asarray(zoo.sample(MODEL, 5, noise=True, key=KEY))[0, 0])


def test_samples_of_points():
    _, ax = plots.samples(TOY, 40, noise=True, key=KEY)
    expected = np.asarray(zoo.sample(TOY, 40, noise=True, key=KEY))
    np.testing.assert_allclose(ax.collections[0].get_offsets(), expected, rtol=1e-6)


def test_reconstructions_stand_beneath_their_originals():
    _, ax = plots.reconstructions(MODEL, IMAGES, observe=observe, key=KEY)
    made = np.asarray(zoo.reconstruct(MODEL, IMAGES, observe=observe, key=KEY))
    sheet = np.asarray(ax.images[0].get_array())
    assert sheet.shape == (4 * SIDE + 1 + 5 + 1, 10 * (SIDE + 1) - 1)
    tops = (0, SIDE + 1, 2 * SIDE + 6, 3 * SIDE + 7)
    for i in range(12):
        left = i % 10 * (SIDE + 1)
        upper, lower = (sheet[top : top + SIDE, left : left + SIDE] for top in tops[i // 10 * 2 : i // 10 * 2 + 2])
        np.testing.assert_allclose(upper, IMAGES[i, 0] / 255, atol=1e-6)
        np.testing.assert_array_equal(lower, made[i, 0])
    np.testing.assert_array_equal(sheet[tops[2] :, 2 * (SIDE + 1) :], 1.0)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["original", "reconstruction"] * 2


def test_the_manifold_goes_through_the_mean_along_the_principal_axes():
    _, ax = plots.manifold(MODEL, LATENTS, size=5)
    np.testing.assert_allclose(cell(ax, 2, 2), decoded(MODEL, LATENTS.mean(axis=0))[0], atol=1e-5)
    covariance = np.cov(LATENTS.T, bias=True)
    variances, vectors = np.linalg.eigh(covariance)
    first, second = vectors[:, 2], vectors[:, 1]
    first, second = (v * np.sign(v[np.argmax(np.abs(v))]) for v in (first, second))
    far = NormalDist().inv_cdf(0.95)
    right = LATENTS.mean(axis=0) + far * np.sqrt(variances[2]) * first
    upper_right = right + far * np.sqrt(variances[1]) * second
    np.testing.assert_allclose(cell(ax, 2, 4), decoded(MODEL, right)[0], atol=1e-5)
    np.testing.assert_allclose(cell(ax, 0, 4), decoded(MODEL, upper_right)[0], atol=1e-5)
    assert ax.get_xticklabels()[-1].get_text() == "1.6"


class OffCentre(AbstractPrior):
    """A prior that is no standard normal."""

    @property
    def space(self):
        return spaces.Euclidean(2)

    def sample(self, *, key):
        return 4.0 + jr.normal(key, (2,))

    def log_prob(self, z):
        return StandardNormal(2).log_prob(z - 4.0)


def test_the_manifold_of_two_latents_is_the_priors_grid():
    model = image_model(latent_size=2)
    _, ax = plots.manifold(model, LATENTS[:, :2], size=3)
    far = NormalDist().inv_cdf(0.95)
    for row, z_2 in enumerate((far, 0, -far)):
        for column, z_1 in enumerate((-far, 0, far)):
            np.testing.assert_allclose(cell(ax, row, column), decoded(model, [z_1, z_2])[0], atol=1e-5)
    assert "N(0, I)" in ax.get_title()
    other = eqx.tree_at(lambda m: m.prior, model, OffCentre())
    _, ax = plots.manifold(other, LATENTS[:, :2], size=3)
    np.testing.assert_allclose(cell(ax, 1, 1), decoded(model, LATENTS[:, :2].mean(axis=0))[0], atol=1e-5)


def test_traversals_move_one_dimension_at_a_time():
    _, ax = plots.traversals(MODEL, LATENTS[0], values=(-1.0, 0.0, 2.0), dimensions=(2, 0))
    for row, j in enumerate((2, 0)):
        for column, value in enumerate((-1.0, 0.0, 2.0)):
            z = LATENTS[0].copy()
            z[j] = value
            np.testing.assert_allclose(cell(ax, row, column), decoded(MODEL, z)[0], atol=1e-5)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["$z_{3}$", "$z_{1}$"]
    z = zoo.encode(MODEL, IMAGES[:1], observe=observe, key=KEY)[0]
    _, of_image = plots.traversals(MODEL, IMAGES[0], observe=observe, key=KEY)
    _, of_latent = plots.traversals(MODEL, z)
    np.testing.assert_array_equal(of_image.images[0].get_array(), of_latent.images[0].get_array())


def test_interpolation_is_a_straight_line_between_the_two():
    _, ax = plots.interpolation(MODEL, LATENTS[0], LATENTS[1], steps=5)
    for column, t in enumerate((0, 0.25, 0.5, 0.75, 1)):
        z = (1 - t) * LATENTS[0] + t * LATENTS[1]
        np.testing.assert_allclose(cell(ax, 0, column), decoded(MODEL, z)[0], atol=1e-5)
    _, ax = plots.interpolation(MODEL, IMAGES[:2], IMAGES[2:4], steps=3, observe=observe, key=KEY)
    z_a, z_b = (zoo.encode(MODEL, xs, observe=observe, key=KEY) for xs in (IMAGES[:2], IMAGES[2:4]))
    for row in range(2):
        np.testing.assert_allclose(cell(ax, row, 0), IMAGES[row, 0] / 255, atol=1e-6)
        np.testing.assert_allclose(cell(ax, row, 4), IMAGES[2 + row, 0] / 255, atol=1e-6)
        np.testing.assert_allclose(cell(ax, row, 2), decoded(MODEL, (z_a[row] + z_b[row]) / 2)[0], atol=1e-5)


def test_class_grid_puts_one_class_in_a_row():
    by_class = IMAGES.reshape(4, 3, 1, SIDE, SIDE)
    _, ax = plots.class_grid(list(by_class), ("a", "b", "c", "d"))
    for row in range(4):
        for column in range(3):
            np.testing.assert_allclose(cell(ax, row, column), by_class[row, column, 0] / 255, atol=1e-6)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c", "d"]
    rgb = np.random.default_rng(0).uniform(size=(2, 3, 3, SIDE, SIDE))
    _, ax = plots.class_grid(rgb)
    np.testing.assert_allclose(cell(ax, 1, 2), rgb[1, 2].transpose(1, 2, 0), atol=1e-6)
