import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import integrate, stats

from zoo import data


TOYS = {
    "eight_gaussians": (data.eight_gaussians, 6.5),
    "two_moons": (data.two_moons, 3.0),
    "two_spirals": (data.two_spirals, 4.0),
    "checkerboard": (data.checkerboard, 4.0),
    "pinwheel": (data.pinwheel, 6.0),
}


@pytest.fixture(scope="module", params=TOYS)
def toy(request):
    """A toy, 40,000 points from it, and its density at the middles of a grid's cells."""
    toy, reach = TOYS[request.param]
    points = np.asarray(toy(40_000, key=jr.key(5)))
    edges = np.linspace(-reach, reach, 321)
    middles = ((edges[1:] + edges[:-1]) / 2).astype(np.float32)
    grid = np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1)
    density = jax.jit(jax.vmap(toy.log_density))(grid.reshape(-1, 2))
    mass = np.exp(np.asarray(density, np.float64)).reshape(320, 320) * (edges[1] - edges[0]) ** 2
    return toy, points, edges, mass


def test_toy_has_mass_one(toy):
    _, _, _, mass = toy
    assert abs(mass.sum() - 1) < 3e-4


def test_toy_points_follow_the_density(toy):
    toy, points, edges, mass = toy
    assert points.shape == (40_000, 2) and points.dtype == np.float32
    counts = np.histogram2d(*points.T, bins=edges[::10])[0]
    expected = len(points) * mass.reshape(32, 10, 32, 10).sum((1, 3))
    common = expected > 5
    statistic = np.sum((counts - expected)[common] ** 2 / expected[common])
    rest = counts[~common].sum(), expected[~common].sum() + len(points) * (1 - mass.sum())
    assert stats.chi2.sf(statistic, common.sum()) > 1e-4
    assert abs(rest[0] - rest[1]) < 5 * np.sqrt(rest[1] + 20)


def test_toy_refuses_bad_n(toy):
    toy, _, _, _ = toy
    with pytest.raises(ValueError, match=r"\(n=0\)` needs n >= 1"):
        toy(0, key=jr.key(0))
    with pytest.raises(TypeError):
        toy(2.5, key=jr.key(0))
    assert toy(np.int64(1), key=jr.key(0)).shape == (1, 2)


def test_toy_density_has_gradients(toy):
    toy, points, _, _ = toy
    gradient = jax.jit(jax.vmap(jax.grad(toy.log_density)))
    assert jnp.all(jnp.isfinite(gradient(np.concatenate([points[:100], np.zeros((1, 2), np.float32)]))))


def test_eight_gaussians_in_closed_form():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(200, 2)) * 4, [[0, 0], [5, 0], [30, -40]]]).astype(np.float32)
    centres = 5 * np.exp(1j * np.pi / 4 * np.arange(8))
    squares = np.abs(x.astype(float) @ [1, 1j] - centres[:, None]) ** 2
    expected = np.logaddexp.reduce(-squares / 0.08 - np.log(2 * np.pi * 0.04) - np.log(8))
    np.testing.assert_allclose(jax.vmap(data.eight_gaussians.log_density)(x), expected, rtol=2e-6, atol=2e-5)


def test_entropies(toy):
    toy, _, _, mass = toy
    cell = (toy_reach(toy) / 160) ** 2
    entropy = -np.sum(mass * np.log(np.where(mass > 0, mass / cell, 1)))
    if toy is data.eight_gaussians:
        assert abs(entropy - 1.69844) < 1e-5
    if toy is data.checkerboard:
        assert abs(entropy - np.log(32)) < 1e-6
    if toy is data.pinwheel:  # where blades hardly meet: log 5 blades, two normals, twice as large
        assert abs(entropy - (np.log(5 * 4 * 0.03) + 1 + np.log(2 * np.pi))) < 0.06


def toy_reach(toy):
    return next(reach for other, reach in TOYS.values() if other is toy)


def curve_density(x, curve, weight, end):
    """The density of a blurred curve by adaptive quadrature, around the nearest points of the curve."""
    t = np.linspace(0, end, 4001)
    distance = np.hypot(*(curve(t) - x[:, None]))
    lowest = distance.min()

    def integrand(t):
        square = np.sum((curve(t) - x) ** 2)
        return weight(t) * np.exp(-(square - lowest**2) / 0.02) / (2 * np.pi * 0.01)

    breaks = t[1:-1][(distance[1:-1] < distance[:-2]) & (distance[1:-1] < distance[2:])]
    value = integrate.quad(integrand, 0, end, points=breaks, epsabs=0, epsrel=1e-12, limit=400)[0]
    return np.log(value) - lowest**2 / 0.02


@pytest.mark.parametrize("x", [(0.0, 0.0), (1.0, 0.5), (-1.1, -0.2), (0.3, 1.2), (4.0, -3.0), (-3.5, 3.5)])
def test_moons_and_spirals_by_adaptive_quadrature(x):
    x = np.asarray(x)
    moons = (
        lambda t: np.stack([np.cos(t), np.sin(t)]),
        lambda t: np.stack([1 - np.cos(t), 0.5 - np.sin(t)]),
    )
    parts = [curve_density(x, moon, lambda t: 0.5 / np.pi, np.pi) for moon in moons]
    arms = [lambda t, sign=sign: sign * t / 3 * np.stack([-np.cos(t), np.sin(t)]) for sign in (1, -1)]
    others = [curve_density(x, arm, lambda t: t / (3 * np.pi) ** 2, 3 * np.pi) for arm in arms]
    with jax.enable_x64(True):
        point = jnp.asarray(x, jnp.float64)
        assert abs(data.two_moons.log_density(point) - np.logaddexp(*parts)) < 1e-9
        assert abs(data.two_spirals.log_density(point) - np.logaddexp(*others)) < 1e-6


def test_checkerboard_squares():
    inside = [(-4, -4), (-2, -2), (3.999, 3.999), (-3, 1), (1, 1)]
    outside = [(-1, -3), (1, -1), (4, 3), (-5, -5), (5, 1), (-4.001, -3)]
    log_density = jax.vmap(data.checkerboard.log_density)
    np.testing.assert_allclose(log_density(jnp.asarray(inside, jnp.float32)), -np.log(32), rtol=1e-6)
    assert jnp.all(log_density(jnp.asarray(outside, jnp.float32)) == -jnp.inf)
    points = data.checkerboard(20_000, key=jr.key(1))
    assert jnp.all(jnp.isfinite(log_density(points)))
