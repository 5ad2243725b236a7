"""Two sets of points compared: each figure against a few lines of float64, and what theory says of alike sets."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import linalg, stats

from zoo import data, evaluate
from zoo.evaluate import _mmd_test, _neighbours


RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(60, 3)).astype(np.float32)
SAMPLES = (0.8 * RNG.normal(size=(50, 3)) + [0.5, 0, 0]).astype(np.float32)


def distances(xs, ys):
    return np.linalg.norm(xs.astype(np.float64)[:, None] - ys.astype(np.float64)[None], axis=2)


# The Fréchet distance


@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_frechet_distance_is_its_definition(offset):
    xs, ys = REAL + np.float32(offset), SAMPLES + np.float32(offset)
    means, covariances = zip(
        *((z.mean(axis=0), np.cov(z.T)) for z in (xs.astype(float), ys.astype(float))), strict=True
    )
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = np.sum((means[0] - means[1]) ** 2) + np.trace(covariances[0] + covariances[1] - 2 * root)
    np.testing.assert_allclose(evaluate.frechet_distance(xs, ys), expected, rtol=1e-5)


def test_frechet_distance_of_a_shift_and_of_nothing():
    assert evaluate.frechet_distance(REAL, REAL[::-1]) < 1e-6
    np.testing.assert_allclose(evaluate.frechet_distance(REAL, REAL + np.float32(2)), 12, rtol=1e-5)
    expected = 4 * np.trace(np.cov(REAL.T)) + 4 * np.sum(REAL.mean(axis=0) ** 2)
    np.testing.assert_allclose(evaluate.frechet_distance(REAL, 3 * REAL), expected, rtol=1e-5)


def test_frechet_distance_of_fewer_points_than_features():
    """Singular covariances: the root of what is zero must not be noise."""
    xs = RNG.normal(size=(5, 40)).astype(np.float32)
    assert evaluate.frechet_distance(xs, xs) < 1e-4
    np.testing.assert_allclose(evaluate.frechet_distance(xs, xs + np.float32(1)), 40, rtol=1e-4)


# Neighbours


@pytest.mark.parametrize("rows, columns", [(512, 4096), (7, 13)])
def test_neighbours_are_those_of_a_loop(monkeypatch, rows, columns):
    """In one block, and in blocks that are not full."""
    monkeypatch.setattr(_neighbours, "_ROWS", rows)
    monkeypatch.setattr(_neighbours, "_COLUMNS", columns)
    far = np.float32(100)  # from the origin: differences of large numbers
    between, within = distances(SAMPLES, REAL), distances(REAL, REAL)
    found, places = _neighbours.nearest(jnp.asarray(SAMPLES + far), jnp.asarray(REAL + far), 4)
    np.testing.assert_array_equal(places, np.argsort(between, axis=1)[:, :4])
    np.testing.assert_allclose(found, np.sort(between, axis=1)[:, :4], atol=5e-5)
    found, places = _neighbours.nearest(jnp.asarray(REAL), jnp.asarray(REAL), 3, others=True)
    np.testing.assert_array_equal(places, np.argsort(within, axis=1)[:, 1:4])
    radii = np.linspace(0.1, 2, 60).astype(np.float32)
    counts = _neighbours.count_within(jnp.asarray(SAMPLES), jnp.asarray(REAL), radii)
    np.testing.assert_array_equal(counts, np.sum(between <= radii, axis=1))


def test_memory_does_not_grow_with_the_points():
    def temporaries(blocks):
        points, present = jnp.zeros((blocks, 64, 3)), jnp.ones((blocks, 64), bool)
        run = _neighbours._nearest.lower(jnp.zeros((16, 3)), points, present, jnp.zeros(16, jnp.int32), 3)
        return run.compile().memory_analysis().temp_size_in_bytes

    assert temporaries(40) <= temporaries(4) + 40 * 8


def test_precision_recall_density_and_coverage_are_their_definitions():
    between, k = distances(REAL, SAMPLES), 3
    of_real, of_samples = (np.sort(distances(z, z), axis=1)[:, k] for z in (REAL, SAMPLES))
    found = evaluate.precision_recall(REAL, SAMPLES, k=k)
    within = between <= of_real[:, None]
    precision, recall = np.mean(within.any(axis=0)), np.mean((between <= of_samples[None]).any(axis=1))
    np.testing.assert_allclose([found.precision.mean, found.recall.mean], [precision, recall])
    assert 0 < recall < precision < 1
    np.testing.assert_allclose(found.precision.standard_error, np.sqrt(precision * (1 - precision) / 49))
    found = evaluate.density_coverage(REAL, SAMPLES, k=k)
    np.testing.assert_allclose(found.density.mean, within.sum() / (k * 50))
    np.testing.assert_allclose(found.density.standard_error, stats.sem(within.sum(axis=0) / k))
    np.testing.assert_allclose(found.coverage.mean, np.mean(within.any(axis=1)))


def test_points_that_are_repeated_lie_in_their_own_balls():
    """Each of 50 images six times: the third neighbour is at distance 0, and so is the ball's radius."""
    xs = np.repeat(np.random.default_rng(2).uniform(size=(50, 300)).astype(np.float32), 6, axis=0)
    found = evaluate.precision_recall(xs, xs[::-1].copy(), k=3)
    assert found.precision.mean == found.recall.mean == 1
    found = evaluate.density_coverage(xs, xs, k=3)
    assert found.density.mean == 2 and found.coverage.mean == 1
    # Not only equal rows count.
    apart = xs + np.float32(1e-3)
    assert evaluate.precision_recall(xs, apart, k=3).precision.mean == 0


def test_alike_and_unlike_sets():
    xs, ys = np.random.default_rng(1).normal(size=(2, 400, 2)).astype(np.float32)
    found = evaluate.density_coverage(xs, ys, k=3)
    # Whatever the density: the k nearest of 2n - 1 points are all of one half.
    expected = 1 - np.prod((400 - np.arange(1, 4)) / (800 - np.arange(1, 4)))
    assert abs(found.coverage.mean - expected) < 0.05 and abs(found.density.mean - 1) < 0.1
    same = evaluate.precision_recall(xs, ys)
    assert abs(same.precision.mean - same.recall.mean) < 0.06
    assert evaluate.precision_recall(xs, ys, progress=True) == same
    assert evaluate.precision_recall(xs, xs) == evaluate.precision_recall(xs, xs[::-1])
    assert evaluate.precision_recall(xs, xs).precision.mean == 1
    far = evaluate.precision_recall(xs, ys + np.float32(50))
    assert far.precision.mean == far.recall.mean == 0
    # One corner of the data: all of it real, little of the real found.
    corner = evaluate.precision_recall(xs, (0.1 * ys).astype(np.float32))
    assert corner.precision.mean > 0.95 and corner.recall.mean < 0.2


# The two-sample test


def squared_mmd(xs, ys, scale):
    kernel = lambda a, b: np.exp(-(distances(a, b) ** 2) / (2 * scale**2))
    n, m = len(xs), len(ys)
    within = (kernel(xs, xs).sum() - n) / (n * (n - 1)) + (kernel(ys, ys).sum() - m) / (m * (m - 1))
    return within - 2 * kernel(xs, ys).mean()


def test_mmd_is_its_definition(monkeypatch):
    monkeypatch.setattr(_mmd_test, "_ALIVE", 110 * 30)  # blocks of 30 rows, the last not full
    found = evaluate.mmd_test(REAL, SAMPLES, permutations=99, key=jr.key(0))
    pooled = np.concatenate([REAL, SAMPLES])
    np.testing.assert_allclose(found.scale, np.median(distances(pooled, pooled)[np.triu_indices(110, 1)]), rtol=1e-5)
    np.testing.assert_allclose(found.squared_mmd.mean, squared_mmd(REAL, SAMPLES, found.scale), atol=1e-6)
    # To first order the jackknife's, which leaves out one point after another.
    one, other = (
        [squared_mmd(np.delete(REAL, i, axis=0), SAMPLES, found.scale) for i in range(60)],
        [squared_mmd(REAL, np.delete(SAMPLES, i, axis=0), found.scale) for i in range(50)],
    )
    expected = np.sqrt(59 * np.var(one) + 49 * np.var(other))
    np.testing.assert_allclose(found.squared_mmd.standard_error, expected, rtol=0.05)
    deals = np.asarray(_mmd_test._deal_at_random(60, 110, 99, jr.key(0))).T.astype(bool)
    assert deals[0].tolist() == [True] * 60 + [False] * 50 and np.all(deals.sum(axis=1) == 60)
    null = [squared_mmd(pooled[deal], pooled[~deal], found.scale) for deal in deals[1:]]
    np.testing.assert_allclose(found.null, null, atol=1e-6)
    p = (1 + np.sum(np.array(null) >= found.squared_mmd.mean)) / 100
    np.testing.assert_allclose(found.p_value, (p, np.sqrt(p * (1 - p) / 99)))


def test_the_p_value_is_uniform_where_the_distributions_agree():
    draws = np.random.default_rng(2).normal(size=(200, 2, 16, 2)).astype(np.float32)
    tests = [evaluate.mmd_test(*pair, permutations=39, key=jr.key(i)) for i, pair in enumerate(draws)]
    counts = np.bincount([round(40 * float(test.p_value.mean)) - 1 for test in tests], minlength=40)
    assert stats.chisquare(counts.reshape(8, 5).sum(axis=1)).pvalue > 1e-3
    # Unbiased: the mean over many pairs of sets is 0.
    values = [test.squared_mmd.mean for test in tests]
    assert abs(np.mean(values)) < 4 * stats.sem(values)
    # Points that are all alike stay as they are, however they are dealt.
    alike = np.ones((2, 16, 2), np.float32)
    assert evaluate.mmd_test(*alike, scale=1.0, permutations=39, key=jr.key(0)).p_value.mean == 1
    # The standard error is on the safe side here, by the root of 2.
    errors = [test.squared_mmd.standard_error for test in tests]
    assert np.sqrt(np.mean(np.square(errors))) / np.std(values) == pytest.approx(np.sqrt(2), rel=0.15)
    assert (
        evaluate.mmd_test(draws[0, 0], draws[0, 1] + np.float32(3), permutations=39, key=jr.key(0)).p_value.mean
        == 1 / 40
    )


# Copies


def test_copies_are_found():
    training, held_out = REAL[:40], REAL[40:]
    samples = np.concatenate([SAMPLES, training[[7, 30]]])
    found = evaluate.nearest_copies(samples, training, held_out)
    between = distances(samples, training)
    np.testing.assert_array_equal(found.places, between.argmin(axis=1))
    np.testing.assert_allclose(found.distances, between.min(axis=1), atol=1e-6)
    assert found.exact == 2 and found.places[-2:].tolist() == [7, 30]
    others = distances(held_out, training).min(axis=1)
    statistic = stats.mannwhitneyu(others, between.min(axis=1)).statistic
    np.testing.assert_allclose(found.closer.mean, statistic / (len(samples) * 20))
    wins = between.min(axis=1)[:, None] < others[None]
    error = np.sqrt(stats.sem(wins.mean(axis=1)) ** 2 + stats.sem(wins.mean(axis=0)) ** 2)
    np.testing.assert_allclose(found.closer.standard_error, error, rtol=1e-6)


def test_fresh_samples_and_copies():
    rng = np.random.default_rng(3)
    training, held_out, fresh = rng.normal(size=(3, 200, 4)).astype(np.float32)
    closer = evaluate.nearest_copies(fresh, training, held_out).closer
    assert abs(closer.mean - 0.5) < 4 * closer.standard_error
    assert evaluate.nearest_copies(held_out, training, held_out).closer.mean == pytest.approx(0.5, abs=1e-9)
    blurred = training + 0.01 * rng.normal(size=training.shape).astype(np.float32)
    copies = evaluate.nearest_copies(blurred, training, held_out)
    assert copies.closer.mean > 0.99 and copies.exact == 0


# Features


def test_fashion_features_tell_the_classes_apart():
    from zoo.evaluate._features import load_classifier

    images, labels = data.fashion_mnist_mini()[2:]
    features = evaluate.fashion_features(images)
    assert features.shape == (1000, 64) and features.dtype == jnp.float32
    assert float(features.min()) == 0 and np.all(np.asarray(features).std(axis=0).max() > 0.1)
    logits = features @ load_classifier().head.weight + load_classifier().head.bias[None]
    assert np.mean(np.asarray(logits).argmax(axis=1) == labels) > 0.88
    # Bytes or floats, alone or in company.
    floats = (images[600:603] / 255).astype(np.float32)
    np.testing.assert_allclose(evaluate.fashion_features(floats), features[600:603], atol=1e-4)
    with pytest.raises(ValueError, match=r"`fashion_features\(images\)` needs shape \(n, 1, 28, 28\)"):
        evaluate.fashion_features(images[:, 0])


# The jackknife


def test_the_jackknife_of_a_mean_is_its_standard_error():
    found = evaluate.estimate_metric(lambda xs: xs.mean(), (REAL[:, 0],), groups=60, key=jr.key(0))
    np.testing.assert_allclose(found, (REAL[:, 0].mean(), stats.sem(REAL[:, 0])), rtol=1e-5)


def test_the_jackknife_leaves_every_row_out_once():
    """Of 19 rows in 10 groups too, the last smaller than the others."""
    values = np.random.default_rng(5).normal(size=(300, 19))
    errors = [evaluate.estimate_metric(np.mean, (xs,), key=jr.key(i)).standard_error for i, xs in enumerate(values)]
    assert np.mean(np.square(errors)) == pytest.approx(1 / 19, rel=0.2)


def test_the_jackknife_of_two_sets_keeps_rows_together():
    rng = np.random.default_rng(4)
    xs, ys = rng.normal(size=(2000, 1)), rng.normal(size=1000)

    def metric(xs, doubled, ys):
        assert np.array_equal(2 * xs, doubled)
        return xs.mean() + ys.mean()

    found = evaluate.estimate_metric(metric, (xs, 2 * xs), (ys,), groups=200, key=jr.key(0))
    np.testing.assert_allclose(found.standard_error, np.sqrt(1 / 2000 + 1 / 1000), rtol=0.25)


# Bad input

CALLS = {
    "frechet_distance": evaluate.frechet_distance,
    "precision_recall": evaluate.precision_recall,
    "density_coverage": evaluate.density_coverage,
    "mmd_test": lambda xs, ys: evaluate.mmd_test(xs, ys, key=jr.key(0)),
    "nearest_copies": lambda xs, ys: evaluate.nearest_copies(xs, ys, xs),
}
BAD = {
    "empty": (REAL[:0], SAMPLES, "needs at least one example, got an empty batch"),
    "nan": (REAL, np.where(SAMPLES > 0, SAMPLES, np.nan), "finite numbers, got nan at index"),
    "space": (REAL, SAMPLES[:, :2], r"points of one space: one of .* has shape \(3,\), one of .* \(2,\); take both"),
    "dtype": (REAL.astype(int), SAMPLES, "bytes .* or floats, got dtype int64"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("call", CALLS)
def test_bad_input(call, bad):
    xs, ys, message = BAD[bad]
    with pytest.raises(ValueError, match=f"`{call}.*{message}"):
        CALLS[call](xs, ys)


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"`frechet_distance\(ys\)`: a covariance needs at least 2 points, got 1"):
        evaluate.frechet_distance(REAL, SAMPLES[:1])
    with pytest.raises(ValueError, match=r"`precision_recall\(k=50\)`: each of the 50 points of `samples`.*1 to 49"):
        evaluate.precision_recall(REAL, SAMPLES, k=50)
    with pytest.raises(ValueError, match=r"`density_coverage\(k=0\)`"):
        evaluate.density_coverage(REAL, SAMPLES, k=0)
    with pytest.raises(ValueError, match=r"`mmd_test`: each set needs pairs, got 60 and 1 points"):
        evaluate.mmd_test(REAL, SAMPLES[:1], key=jr.key(0))
    with pytest.raises(ValueError, match=r"`mmd_test\(permutations=0\)`"):
        evaluate.mmd_test(REAL, SAMPLES, permutations=0, key=jr.key(0))
    with pytest.raises(ValueError, match=r"`mmd_test\(scale=-1.0\)`"):
        evaluate.mmd_test(REAL, SAMPLES, scale=-1.0, key=jr.key(0))
    with pytest.raises(ValueError, match="at least half of the pairs of points are equal; pass a `scale`"):
        evaluate.mmd_test(np.ones((4, 2), np.float32), np.ones((4, 2), np.float32), key=jr.key(0))
    with pytest.raises(ValueError, match=r"`estimate_metric\(groups=1\)`"):
        evaluate.estimate_metric(np.mean, (REAL,), groups=1, key=jr.key(0))
    with pytest.raises(ValueError, match=r"arrays of set 0 have \[60, 50\] rows"):
        evaluate.estimate_metric(np.mean, (REAL, SAMPLES), key=jr.key(0))
    with pytest.raises(ValueError, match=r"`estimate_metric\(groups=70\)`: set 0 has 60 rows"):
        evaluate.estimate_metric(np.mean, (REAL,), groups=70, key=jr.key(0))
