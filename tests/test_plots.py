import io
import subprocess
import sys

import jax.numpy as jnp
import jax.random as jr
import matplotlib
import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text
from plotted import IMAGES, KEY, LATENTS, MODEL, SIDE, TOY, observe

import zoo
from zoo import plots
from zoo.cli._plot import STYLE
from zoo.likelihoods import gaussian
from zoo.models import AbstractVAE
from zoo.plots._canvas import PALETTE, number
from zoo.plots._pca import principal_axes
from zoo.posteriors import DiagonalNormal
from zoo.priors import AbstractPrior, StandardNormal


HISTORY = [
    dict(split="train", step=i + 1, epoch=0, loss=1e5 / (i + 1) ** 2 + 10 + 0.01 * (i % 5)) for i in range(200)
] + [dict(split="held_out", step=200, epoch=0, objective=-12.0)]


CASES = {
    "loss_curve": lambda ax: plots.loss_curve(HISTORY, ax=ax),
    "reconstructions": lambda ax: plots.reconstructions(MODEL, IMAGES, observe=observe, ax=ax, key=KEY),
    "reconstructions of points": lambda ax: plots.reconstructions(
        TOY, LATENTS[:, :2].astype(np.float32), ax=ax, key=KEY
    ),
    "samples": lambda ax: plots.samples(MODEL, 5, ax=ax, key=KEY),
    "samples of points": lambda ax: plots.samples(TOY, 40, noise=True, ax=ax, key=KEY),
    "latent_scatter": lambda ax: plots.latent_scatter(
        LATENTS, np.arange(40) % 10, names=zoo.data.FASHION_MNIST_CLASSES, ax=ax
    ),
    "manifold": lambda ax: plots.manifold(MODEL, LATENTS, size=5, ax=ax),
    "traversals": lambda ax: plots.traversals(MODEL, LATENTS[0], ax=ax),
    "interpolation": lambda ax: plots.interpolation(MODEL, LATENTS[0], LATENTS[1], ax=ax),
    "density_2d": lambda ax: plots.density_2d(zoo.data.eight_gaussians.log_density, bounds=(-7, 7), axes=ax),
    "class_grid": lambda ax: plots.class_grid(IMAGES.reshape(4, 3, 1, SIDE, SIDE), "abcd", ax=ax),
    "kl_per_unit": lambda ax: plots.kl_per_unit([1.0, 0.001, 3.0], ax=ax),
    "rate_distortion": lambda ax: plots.rate_distortion([9.0, 5.0], [80.0, 90.0], [1, 4], ax=ax),
    "sweep": lambda ax: plots.sweep([0.1, 4.0, 1.0], [-9.0, -7.0, np.nan], [0.1, 0.2, 0.1], name="beta", ax=ax),
    "bound_vs_k": lambda ax: plots.bound_vs_k([1, 5], [-9.0, -7.0], [0.1, 0.1], log_px=-6.6, ax=ax),
    "curves": lambda ax: plots.curves([1, 9], {"a": [2, 3], "b": [4, 1]}, xlabel="x", ylabel="y", title="t", ax=ax),
}
IMAGE_GRIDS = ("reconstructions", "samples", "manifold", "traversals", "interpolation", "class_grid")


@pytest.mark.parametrize("name", CASES)
def test_a_new_figure_is_its_own_and_fits_its_page(name):
    before = plt.get_fignums(), dict(plt.rcParams)
    figure, ax = CASES[name](None)
    assert (plt.get_fignums(), dict(plt.rcParams)) == before
    assert ax.figure is figure and ax.get_title()
    figure.savefig(io.BytesIO())
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox()
    assert -0.02 <= box.x0 and box.x1 <= width + 0.02 and -0.02 <= box.y0 and box.y1 <= height + 0.02
    if name not in IMAGE_GRIDS:
        assert ax.get_xlabel() and ax.get_ylabel()


REPORTED = {name: CASES[name] for name in ("loss_curve", "samples", "latent_scatter", "density_2d")} | {
    "reconstructions": lambda _: plots.reconstructions(MODEL, IMAGES[:10], observe=observe, key=KEY),
    "manifold": lambda _: plots.manifold(MODEL, LATENTS, size=15),
    "class_grid": lambda _: plots.class_grid(np.repeat(IMAGES[:10, None], 10, axis=1), zoo.data.FASHION_MNIST_CLASSES),
}


@pytest.mark.parametrize("name", REPORTED)
def test_what_a_report_shows_is_legible_on_a_telephone_and_does_not_collide(name, monkeypatch):
    drawn, draw = {}, Text.draw
    monkeypatch.setattr(Text, "draw", lambda self, renderer: (drawn.setdefault(self), draw(self, renderer)))
    with matplotlib.rc_context(STYLE):
        figure, _ = REPORTED[name](None)
        figure.draw_without_rendering()
        scale = 400 / figure.get_tightbbox().width
        texts = [text for text in drawn if text.get_visible() and text.get_text()]
        boxes = [text.get_window_extent() for text in texts]
    assert texts and min(text.get_fontsize() for text in texts) / 72 * scale >= 7.9  # pixels, of a page 400 wide
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i]), texts[i]


@pytest.mark.parametrize("name", CASES)
def test_draws_on_the_axes_it_is_given(name):
    ours, axes = plt.subplots(1, 2)
    try:
        figure, ax = CASES[name](axes[1])
        assert figure is ours and ax is axes[1] and ax.has_data() and not axes[0].has_data()
        assert plt.get_fignums() == [ours.number]
    finally:
        plt.close(ours)


def test_matplotlib_is_imported_late_and_pyplot_never():
    code = """
import sys
import zoo.plots
assert "matplotlib" not in sys.modules
zoo.plots.kl_per_unit([1.0, 2.0])[0].savefig(sys.stdout.buffer, format="png")
assert "matplotlib.figure" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.startswith(b"\x89PNG")


def test_a_notebook_shows_the_figure():
    figure, _ = plots.kl_per_unit([1.0])
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_minus_is_a_minus_and_zero_has_none():
    assert [number(v, ".1f") for v in (-1.25, -0.01, 0.0, 2.0)] == ["\N{MINUS SIGN}1.2", "0.0", "0.0", "2.0"]


def test_the_scatter_is_the_projection_on_the_principal_axes():
    labels = np.arange(40) % 4
    _, ax = plots.latent_scatter(LATENTS, labels, names=("a", "b", "c", "d"))
    centred = LATENTS - LATENTS.mean(axis=0)
    _, singular, rows = np.linalg.svd(centred, full_matrices=False)
    expected = centred @ rows[:2].T
    offsets = np.asarray(ax.collections[0].get_offsets())
    expected *= np.sign(np.sum(expected * offsets, axis=0))
    np.testing.assert_allclose(offsets, expected, atol=1e-9)
    share = singular**2 / np.sum(singular**2)
    for i, label in enumerate((ax.get_xlabel(), ax.get_ylabel())):
        assert f"{100 * share[i]:.0f}%" in label
    colours = [matplotlib.colors.to_hex(c) for c in ax.collections[0].get_facecolors()]
    assert colours == [PALETTE[label] for label in labels]
    assert [text.get_text() for text in ax.texts] == ["a", "b", "c", "d"]


def test_two_latents_are_drawn_as_they_are():
    _, ax = plots.latent_scatter(jnp.asarray(LATENTS[:, :2]), None)
    np.testing.assert_allclose(ax.collections[0].get_offsets(), LATENTS[:, :2], rtol=1e-6)
    assert "%" not in ax.get_xlabel()


def test_class_names_do_not_cover_each_other():
    zs = np.random.default_rng(0).normal(size=(500, 2))  # ten classes with one median
    names = [f"a long name {i}" for i in range(10)]
    figure, ax = plots.latent_scatter(zs, np.arange(500) % 10, names=names)
    figure.savefig(io.BytesIO())
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(boxes[i].overlaps(boxes[j]) for i in range(10) for j in range(i))


def test_principal_axes_are_orthonormal_and_point_one_way():
    axes = principal_axes(LATENTS)
    np.testing.assert_allclose(axes.components @ axes.components.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(axes.variances, axes.project(LATENTS).var(axis=0), rtol=1e-9)
    assert (np.diff(axes.variances) < 0).all()
    for row in axes.components:
        assert row[np.argmax(np.abs(row))] > 0


def normal(mean, scale):
    """The log-density of a round normal on the plane."""
    mean = np.asarray(mean, np.float32)
    return lambda x: -0.5 * jnp.sum(jnp.square((x - mean) / scale)) - float(np.log(2 * np.pi * scale**2))


def test_density_2d_measures_the_divergence_of_two_normals():
    figure, axes = plots.density_2d(normal([0, 0], 1.0), normal([1, -0.5], 0.7), bounds=(-6, 6))
    # Two dimensions: log(s_m^2 / s_t^2) + (2 s_t^2 + |difference of the means|^2) / (2 s_m^2) - 1.
    kl = np.log(1 / 0.49) + (2 * 0.49 + 1.25) / 2 - 1
    assert f"{kl:.3f} nats" in axes[0].get_title()
    model, true = (ax.images[0] for ax in axes)
    assert model.get_clim() == true.get_clim() == (0, pytest.approx(1 / (2 * np.pi * 0.49), rel=1e-2))
    cells = np.asarray(true.get_array())
    assert cells.sum() * (12 / 200) ** 2 == pytest.approx(1, abs=1e-5)
    row, column = np.unravel_index(cells.argmax(), cells.shape)
    assert true.get_extent() == [-6, 6, -6, 6] and true.origin == "lower"
    assert (-6 + (column + 0.5) * 0.06, -6 + (row + 0.5) * 0.06) == pytest.approx((1, -0.5), abs=0.04)
    assert any("density" in ax.get_ylabel() for ax in figure.axes)


def test_density_2d_takes_arrays_and_says_where_it_cannot_measure():
    middles = -1 + (np.arange(20) + 0.5) / 10
    x, y = np.meshgrid(middles, middles)
    values = -0.5 * (x**2 + y**2) - np.log(2 * np.pi)
    ours, pair = plt.subplots(1, 2)
    try:
        _, axes = plots.density_2d(values, normal([0, 0], 1.0), bounds=((-1, 1), (-1, 1)), size=20, axes=pair)
        assert list(axes) == list(pair)
        drawn = [ax.images[0].get_array() for ax in axes]
        np.testing.assert_allclose(drawn[0], drawn[1], rtol=1e-5)
        assert "not computable" in axes[0].get_title() and "0.466" in axes[1].get_title()  # erf(1/sqrt 2)^2
    finally:
        plt.close(ours)
    nowhere = np.where(x > 0, -np.inf, values)
    peak = normal([0.3, 0], 0.15)
    _, axes = plots.density_2d(nowhere, peak, bounds=(-1, 1), size=20)
    assert "infinite" in axes[0].get_title()


class LinearGaussian(AbstractVAE):
    """x = W z + b + noise: p(x) is N(b, W W' + 0.25 I)."""

    prior: AbstractPrior = StandardNormal(2)
    likelihood: object = gaussian(scale=0.5)
    data_shape: tuple[int, ...] = (2,)

    def posterior(self, x):
        return DiagonalNormal(x, x)

    def decode(self, z):
        return jnp.array([[1.0, 0.5], [0.0, 1.0]]) @ z + jnp.array([0.5, 0.0])


def test_the_models_density_includes_its_noise_and_integrates_to_one():
    bounds, size = ((-6, 7), (-6, 6)), 40
    values = plots.model_log_density(LinearGaussian(), bounds=bounds, size=size, k=20000, key=KEY)
    area = 13 * 12 / size**2
    assert np.exp(values).sum() * area == pytest.approx(1, abs=1e-3)
    weights = np.array([[1.0, 0.5], [0.0, 1.0]])
    precision = np.linalg.inv(weights @ weights.T + 0.25 * np.eye(2))

    def exact(x):
        away = x - jnp.array([0.5, 0.0])
        constant = float(0.5 * np.log(np.linalg.det(precision)) - np.log(2 * np.pi))
        return constant - 0.5 * away @ jnp.asarray(precision, jnp.float32) @ away

    _, axes = plots.density_2d(values, exact, bounds=bounds, size=size)
    kl = float(axes[0].get_title().split("= ")[1].split(" nats")[0])
    assert 0 <= kl < 0.01


def test_kl_per_unit_sorts_and_counts():
    kl = np.array([[1.0, 0.0, 3.0], [2.0, 0.004, 5.0]])
    _, ax = plots.kl_per_unit(kl)
    assert [bar.get_height() for bar in ax.patches[:3]] == [4.0, 1.5, 0.002]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["3", "1", "2"]
    assert ax.get_title().startswith("2 of 3") and "nats" in ax.get_ylabel()
    assert plots.kl_per_unit(kl, 2.0)[1].get_title().startswith("1 of 3")


def test_rate_distortion_follows_beta_and_names_each_point():
    _, ax = plots.rate_distortion([5.0, 20.0, 0.01, 0.0], [90.0, 80.0, 99.0, 99.01], [2, 0.5, 4, 8])
    rates, distortions = ax.lines[0].get_data()
    assert list(rates) == [20.0, 5.0, 0.01, 0.0] and list(distortions) == [80.0, 90.0, 99.0, 99.01]
    # The two that collapsed onto one another share a label.
    assert [text.get_text() for text in ax.texts] == ["$\\beta$ = 0.5", "$\\beta$ = 2", "$\\beta$ = 4, 8"]
    for line in ax.lines[1:]:
        np.testing.assert_allclose(np.diff(np.sum(line.get_data(), axis=0)), 0, atol=1e-9)


def test_bound_vs_k_draws_curves_errors_and_the_truth():
    _, ax = plots.bound_vs_k([50, 1, 5], [-6.6, -9.1, -6.8], [0.1, 0.2, 0.3], label="right")
    _, again = plots.bound_vs_k([1, 5], [-9.1, -14.5], log_px=-6.5, label="wrong", ax=ax)
    assert again is ax and ax.get_xscale() == "log"
    first, second = (container[0] for container in ax.containers)
    assert list(first.get_xdata()) == [1, 5, 50] and list(first.get_ydata()) == [-9.1, -6.8, -6.6]
    heights = [np.ptp(segment[:, 1]) / 2 for segment in ax.containers[0][2][0].get_segments()]
    np.testing.assert_allclose(heights, [0.2, 0.3, 0.1], atol=1e-12)
    assert first.get_color() != second.get_color() and first.get_marker() != second.get_marker()
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert any("right" in t and "error" in t for t in texts) and "wrong" in texts
    exact = [line for line in ax.lines if line.get_label() == "exact log p(x)"]
    assert len(exact) == 1 and set(exact[0].get_ydata()) == {-6.5}
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "5", "50"]


def test_sweep_draws_the_finite_runs_in_order_and_further_curves():
    figure, ax = plots.sweep([4.0, 0.5, 2.0], [3.0, 1.0, np.inf], [0.1, 0.2, 0.3], name="beta", label="elbo")
    line, _, (bars,) = ax.containers[0]
    np.testing.assert_array_equal(line.get_xydata(), [[0.5, 1.0], [4.0, 3.0]])
    np.testing.assert_allclose(bars.get_segments()[1], [[4.0, 2.9], [4.0, 3.1]])
    assert (ax.get_xscale(), ax.get_xlabel()) == ("linear", "beta")
    assert plots.sweep([0.01, 0.1], [1.0, 2.0], label="iwae", ax=ax) == (figure, ax)
    assert ax.get_xscale() == "log" and len(ax.get_legend().get_texts()) == 2


def test_curves_differ_without_their_colours_and_leave_gaps():
    ys = {"rising": [1e-3, 1.0, 1e3], "broken": [2.0, np.nan, 0.0]}
    _, ax = plots.curves([1, 10, 1000], ys, xlabel="k", ylabel="nats", title="t", log_x=True, log_y=True)
    rising, broken = ax.lines
    np.testing.assert_array_equal(rising.get_xydata(), [[1, 1e-3], [10, 1.0], [1000, 1e3]])
    np.testing.assert_array_equal(broken.get_ydata(), [2.0, np.nan, np.nan])
    assert rising.get_linestyle() != broken.get_linestyle() and rising.get_marker() != broken.get_marker()
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "10", "1000"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["rising", "broken"]
    _, dense = plots.curves(np.arange(50), {"one": np.arange(50)}, xlabel="x", ylabel="y", title="t")
    _, five = plots.curves([1, 2], dict.fromkeys("abcde", [1.0, 2.0]), xlabel="x", ylabel="y", title="t")
    assert len({line.get_marker() for line in five.lines}) == len({line.get_color() for line in five.lines}) == 5
    assert dense.lines[0].get_marker() == "None" and dense.get_legend() is None and dense.get_xscale() == "linear"


def test_loss_curve_shows_the_end_and_tells_of_the_start():
    _, ax = plots.loss_curve(HISTORY)
    raw, median, held_out = ax.lines
    np.testing.assert_allclose(raw.get_ydata(), [-row["loss"] for row in HISTORY[:-1]])
    assert list(held_out.get_xdata()) == [200] and list(held_out.get_ydata()) == [-12.0]
    window = -np.array([row["loss"] for row in HISTORY[98:103]])
    assert median.get_ydata()[100] == np.median(window)
    low, high = ax.get_ylim()
    assert -1000 < low < -12 and -10.1 < high < 100
    assert any("\N{MINUS SIGN}100,010" in text.get_text() for text in ax.get_legend().get_texts())
    assert ax.get_ylabel() == "objective (nats per example)"
    one = [dict(split="train", step=1, epoch=0, loss=3.0)]
    assert plots.loss_curve(one)[1].get_ylim()[0] < -3 < plots.loss_curve(one)[1].get_ylim()[1]


def test_colours_stay_apart_for_the_colour_blind():
    # Machado et al., 2009, table 1, severity 1.0, in linear RGB.
    protanopia = [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]
    deuteranopia = [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ]
    rgb = np.array([matplotlib.colors.to_rgb(colour) for colour in PALETTE])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    for seen in (np.eye(3), np.array(protanopia), np.array(deuteranopia)):
        lab = _lab(np.clip(linear @ seen.T, 0, 1))
        distances = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + 1000 * np.eye(len(lab))
        assert distances.min() > 6  # a just noticeable difference is 2.3


def _lab(linear):
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / to_xyz.sum(axis=1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


VECTORS = zoo.MLPVAE(5, 2, width_size=4, depth=1, key=jr.key(0))
NAMED = dict(xlabel="x", ylabel="y", title="t")
ERRORS = {
    "no training step": (lambda: plots.loss_curve([HISTORY[-1]]), "no row with split"),
    "no sample": (lambda: plots.samples(MODEL, 0, key=KEY), "n=0"),
    "samples of vectors": (lambda: plots.samples(VECTORS, key=KEY), r"shape \(5,\)"),
    "manifold of vectors": (lambda: plots.manifold(TOY, LATENTS), r"\(2,\)"),
    "manifold of one": (lambda: plots.manifold(MODEL, LATENTS, size=1), "size=1"),
    "manifold of images": (lambda: plots.manifold(MODEL, IMAGES), r"\(n, latent\)"),
    "one latent": (lambda: plots.latent_scatter(LATENTS[:1], None), "at least 2 latents"),
    "diverged": (lambda: plots.latent_scatter(LATENTS * np.nan, None), "120 values are not finite"),
    "labels missing": (lambda: plots.latent_scatter(LATENTS, np.arange(3)), "40 latents"),
    "labels of floats": (lambda: plots.latent_scatter(LATENTS, np.ones(40)), "float64"),
    "labels below 0": (lambda: plots.latent_scatter(LATENTS, np.arange(40) - 1), "got -1"),
    "a class without a name": (
        lambda: plots.latent_scatter(LATENTS, np.arange(40) % 3, names="ab"),
        "label 2 and 2",
    ),
    "an image without a key": (lambda: plots.traversals(MODEL, IMAGES[0], observe=observe), "needs a `key`"),
    "many images": (lambda: plots.traversals(MODEL, IMAGES, key=KEY), "batch of 12"),
    "no such dimension": (lambda: plots.traversals(MODEL, LATENTS[0], dimensions=[3]), r"0\.\.2"),
    "no values": (lambda: plots.traversals(MODEL, LATENTS[0], values=[]), "at least one value"),
    "an image without channels": (
        lambda: plots.interpolation(MODEL, IMAGES[0, 0], IMAGES[1, 0]),
        r"\(8,\), but this model.s are \(3,\)",
    ),
    "one step": (lambda: plots.interpolation(MODEL, LATENTS[0], LATENTS[1], steps=1), "steps=1"),
    "two shapes": (lambda: plots.interpolation(MODEL, LATENTS[0], LATENTS[:2]), r"\(1, 3\) and \(2, 3\)"),
    "falling bounds": (lambda: plots.density_2d(np.zeros((5, 5)), bounds=(1, -1), size=5), "rising"),
    "no cells": (lambda: plots.density_2d(np.zeros((1, 1)), bounds=(-1, 1), size=1), "size=1"),
    "other grid": (lambda: plots.density_2d(np.zeros((5, 5)), bounds=(-1, 1)), r"\(200, 200\), got \(5, 5\)"),
    "NaN": (lambda: plots.density_2d(np.full((5, 5), np.nan), bounds=(-1, 1), size=5), "NaN"),
    "no scalar": (lambda: plots.density_2d(lambda x: x, bounds=(-1, 1), size=5), "scalar"),
    "one axes": (
        lambda: plots.density_2d(*[np.zeros((5, 5))] * 2, bounds=(-1, 1), size=5, axes="x"),
        "got 1",
    ),
    "density of images": (
        lambda: plots.model_log_density(MODEL, bounds=(-1, 1), key=KEY),
        "points in the plane",
    ),
    "no draw": (lambda: plots.model_log_density(TOY, bounds=(-1, 1), k=0, key=KEY), "k=0"),
    "classes of two sizes": (lambda: plots.class_grid([IMAGES[:2], IMAGES[:3]]), r"\[2, 3\]"),
    "no class": (lambda: plots.class_grid([]), "at least one class"),
    "images of rank 4": (lambda: plots.class_grid(IMAGES), r"\(12, 1, 8, 8\)"),
    "a name too few": (lambda: plots.class_grid(IMAGES[None], []), "0 names for 1"),
    "kl of rank 3": (lambda: plots.kl_per_unit(np.zeros((2, 2, 2))), r"\(2, 2, 2\)"),
    "kl NaN": (lambda: plots.kl_per_unit([np.nan]), "1 of them not finite"),
    "beta missing": (lambda: plots.rate_distortion([1.0, 2.0], [1.0, 2.0], [1.0]), r"\(1,\)"),
    "bound missing": (lambda: plots.bound_vs_k([1, 2], [1.0]), r"\(2,\), \(1,\)"),
    "a sweep of two lengths": (lambda: plots.sweep([1, 2], [1.0]), r"\(2,\), \(1,\)"),
    "a sweep that blew up": (lambda: plots.sweep([1], [np.nan]), "none of the 1 runs"),
    "no curve": (lambda: plots.curves([1.0], {}, **NAMED), "at least one curve"),
    "a curve too short": (lambda: plots.curves([1.0, 2.0], {"a": [1.0]}, **NAMED), r"\(2,\) and .*\(1,\)"),
    "a logarithm of nothing": (lambda: plots.curves([1.0], {"a": [-1.0]}, **NAMED, log_y=True), "no value of 'a'"),
    "k = 0": (lambda: plots.bound_vs_k([0, 2], [1.0, 2.0]), "k = 0"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_bad_input_says_what_is_wrong(name):
    call, text = ERRORS[name]
    with pytest.raises(ValueError, match=text):
        call()
