"""Classifiers of codes against a few lines of float64, and accuracies that are known."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special

from zoo import evaluate


RNG = np.random.default_rng(0)
LABELS, TEST_LABELS = RNG.integers(3, size=80), RNG.integers(3, size=70)
CENTRES = np.array([[0, 0], [2, 0], [0, 300]])  # the second axis in another unit
CODES, TEST_CODES = (
    (CENTRES[labels] + RNG.normal(size=(len(labels), 2)) * [1, 200]).astype(np.float32)
    for labels in (LABELS, TEST_LABELS)
)


def standardised(codes):
    mean, scale = CODES.astype(np.float64).mean(axis=0), CODES.astype(np.float64).std(axis=0)
    return np.concatenate([(codes - mean) / scale, np.ones((len(codes), 1))], axis=1)


def reference_weights(penalty):
    xs = standardised(CODES)

    def loss(flat):
        weights = flat.reshape(3, 3)
        cross_entropy = special.logsumexp(xs @ weights, axis=1) - np.sum(xs * weights[:, LABELS].T, axis=1)
        return np.mean(cross_entropy) + penalty / 2 * np.sum(weights[:2] ** 2)

    return optimize.minimize(loss, np.zeros(9), tol=1e-10).x.reshape(3, 3)


@pytest.mark.parametrize("penalty", [1e-4, 0.3])
def test_linear_probe_is_logistic_regression(penalty):
    from zoo.evaluate._probes import _fit

    weight, bias = _fit(
        jnp.asarray(standardised(CODES)[:, :2], jnp.float32), jnp.asarray(LABELS), 3, jnp.asarray(penalty)
    )
    expected = reference_weights(penalty)
    # The bias is not penalised and its mean not determined.
    centred = expected[2] - expected[2].mean()
    np.testing.assert_allclose(weight - np.mean(weight, axis=1, keepdims=True), expected[:2], atol=3e-3)
    np.testing.assert_allclose(bias - bias.mean(), centred, atol=3e-3)
    found = evaluate.linear_probe(CODES, LABELS, TEST_CODES, TEST_LABELS, penalty=penalty)
    accuracy = np.mean(np.argmax(standardised(TEST_CODES) @ expected, axis=1) == TEST_LABELS)
    np.testing.assert_allclose(found.mean, accuracy)
    np.testing.assert_allclose(found.standard_error, np.sqrt(accuracy * (1 - accuracy) / 69))


@pytest.mark.parametrize("k", [1, 4])
def test_knn_probe_is_a_vote(k):
    # Labels that know nothing of the codes: many votes are tied.
    labels = np.random.default_rng(1).integers(3, size=80)
    found = evaluate.knn_probe(CODES, labels, TEST_CODES, TEST_LABELS, k=k)
    right = []
    for code, label in zip(TEST_CODES.astype(np.float64), TEST_LABELS, strict=True):
        votes = labels[np.argsort(np.linalg.norm(CODES - code, axis=1))[:k]]
        counts = np.bincount(votes, minlength=3)
        winner = next(vote for vote in votes if counts[vote] == counts.max())
        right.append(winner == label)
    np.testing.assert_allclose(found.mean, np.mean(right))


def test_known_accuracies():
    labels = np.arange(80) % 3
    line = np.stack([labels, np.zeros(80)], axis=1).astype(np.float32)
    angle = np.arange(80)
    rings = (np.stack([np.cos(angle), np.sin(angle)], axis=1) * (1 + labels[:, None])).astype(np.float32)
    assert evaluate.linear_probe(line, labels, line, labels).mean == 1
    assert evaluate.knn_probe(rings, labels, rings[::-1], labels[::-1], k=1).mean == 1
    assert evaluate.linear_probe(rings, labels, rings, labels).mean < 0.6
    # Only the names of the labels differ; a class that was not trained on is never right.
    assert evaluate.knn_probe(line, 40 * labels + 5, line, 40 * labels + 5, k=1).mean == 1
    assert evaluate.knn_probe(line, labels, line, labels + 3, k=1).mean == 0


def test_bad_input():
    probe = evaluate.linear_probe
    with pytest.raises(ValueError, match=r"`linear_probe\(labels=None\)`: .* 80 codes, shape \(80,\)"):
        probe(CODES, None, TEST_CODES, TEST_LABELS)
    with pytest.raises(ValueError, match=r"`linear_probe\(test_labels\)`.*70 codes, shape \(70,\), got \(80,\)"):
        probe(CODES, LABELS, TEST_CODES, LABELS)
    with pytest.raises(ValueError, match="dtype float64; pass the labels"):
        probe(CODES, LABELS / 2, TEST_CODES, TEST_LABELS)
    with pytest.raises(ValueError, match="all labels are the same"):
        probe(CODES, 0 * LABELS, TEST_CODES, TEST_LABELS)
    with pytest.raises(ValueError, match=r"`linear_probe\(penalty=-1\)`"):
        probe(CODES, LABELS, TEST_CODES, TEST_LABELS, penalty=-1)
    with pytest.raises(ValueError, match=r"`linear_probe` needs points of one space"):
        probe(CODES, LABELS, TEST_CODES[:, :1], TEST_LABELS)
    with pytest.raises(ValueError, match=r"`linear_probe\(codes\)` needs at least one example"):
        probe(CODES[:0], LABELS[:0], TEST_CODES, TEST_LABELS)
    with pytest.raises(ValueError, match=r"`linear_probe\(test_codes\)` needs finite numbers, got nan at index"):
        probe(CODES, LABELS, TEST_CODES * np.nan, TEST_LABELS)
    with pytest.raises(ValueError, match=r"`knn_probe\(k=81\)`: there are 80 codes"):
        evaluate.knn_probe(CODES, LABELS, TEST_CODES, TEST_LABELS, k=81)
