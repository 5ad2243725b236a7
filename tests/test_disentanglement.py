"""Scores of codes against factors: each by its definition in a few lines of float64, and what theory says."""

import itertools

import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from zoo import data, evaluate
from zoo.evaluate._dci import lasso


RNG = np.random.default_rng(0)
FACTORS = data.sprites(28, factor_sizes=(3, 2, 4, 5, 5)).grid()  # 600 rows
N, K = FACTORS.shape
PERFECT = (FACTORS * [1.0, -3.0, 0.5, 2.0, 10.0] + 7).astype(np.float32)
NOISE = RNG.normal(size=(N, K)).astype(np.float32)
ROTATION = np.linalg.qr(RNG.normal(size=(K, K)))[0]
ROTATED = ((FACTORS - FACTORS.mean(axis=0)) / FACTORS.std(axis=0) @ ROTATION).astype(np.float32)
# Neither perfect nor noise, with a latent too many and one that is constant.
MIXED = np.concatenate([ROTATED[:, :2] + 0.3 * NOISE[:, :2], PERFECT[:, 2:], NOISE[:, :1], np.ones((N, 1))], axis=1)
MIXED = MIXED.astype(np.float32)
SMALL = dict(train=1000, test=500, key=jr.key(0))


def information(code, factor, bins):
    """I(code; factor) as a Kullback-Leibler divergence."""
    joint = np.histogram2d(code, factor, bins=(bins, np.arange(factor.max() + 2) - 0.5))[0] / len(code)
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    return np.sum(joint[joint > 0] * np.log(joint[joint > 0] / product[joint > 0]))


def table(codes, bins):
    codes = codes.astype(np.float64)
    return np.array([[information(code, factor, bins) for factor in FACTORS.T] for code in codes.T])


@pytest.mark.parametrize("bins", [5, 20])
def test_mig_is_its_definition(bins):
    found = evaluate.mig(MIXED, FACTORS, bins=bins)
    expected = table(MIXED, bins)
    np.testing.assert_allclose(found.table, expected, atol=1e-12)
    gaps = []
    for k, factor in enumerate(FACTORS.T):
        best, second = sorted(expected[:, k])[::-1][:2]
        gaps.append((best - second) / stats.entropy(np.bincount(factor)))
    np.testing.assert_allclose(found.gaps, gaps, atol=1e-12)
    np.testing.assert_allclose(found.score, np.mean(gaps), atol=1e-12)


def test_modularity_is_its_definition():
    found = evaluate.modularity(MIXED, FACTORS)
    each = []
    for row in table(MIXED, 20):
        best = np.argmax(row)
        template = np.where(np.arange(K) == best, row[best], 0)
        each.append(1 - np.sum((row - template) ** 2) / (row[best] ** 2 * (K - 1)) if row[best] > 1e-12 else 0)
    np.testing.assert_allclose(found.modularity, each, atol=1e-12)
    np.testing.assert_allclose(found.score, np.mean(each), atol=1e-12)
    assert found.modularity[-1] == 0  # the constant latent


def test_sap_is_its_definition():
    found = evaluate.sap(MIXED, FACTORS)
    squared = np.corrcoef(MIXED[:, :-1].astype(np.float64), FACTORS, rowvar=False)[:-K, -K:] ** 2
    squared = np.concatenate([squared, np.zeros((1, K))])
    np.testing.assert_allclose(found.table, squared, atol=1e-10)
    ordered = np.sort(squared, axis=0)
    np.testing.assert_allclose(found.score, np.mean(ordered[-1] - ordered[-2]), atol=1e-10)


def test_sap_of_a_category_tries_every_threshold():
    rng = np.random.default_rng(1)
    factors = np.stack([rng.integers(3, size=30), np.arange(30) % 2], axis=1)
    # Values that occur often, so that a threshold between equal ones would show; classes out of order.
    codes = np.stack([np.round(rng.normal(size=30) + np.array([1, 4, 2])[factors[:, 0]]), rng.normal(size=30)], axis=1)
    found = evaluate.sap(codes, factors, categorical=(0,)).table[:, 0]
    for code, score in zip(codes.T, found, strict=True):
        best = 0
        cuts = np.append(np.unique(code), np.inf)
        for low, high in itertools.combinations_with_replacement(cuts, 2):
            interval = (code >= low).astype(int) + (code >= high)
            for names in itertools.permutations(range(3)):
                right = np.array(names)[interval] == factors[:, 0]
                best = max(best, np.mean([right[factors[:, 0] == c].mean() for c in range(3)]))
        np.testing.assert_allclose(score, best, atol=1e-12)


def test_lasso_is_at_its_minimum():
    rng = np.random.default_rng(2)
    xs, ys = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4)), rng.normal(size=(50, 3))
    weights = lasso(xs, ys, 0.1)
    slope = xs.T @ (ys - xs @ weights) / 50
    assert 0 < np.sum(weights == 0) < weights.size
    np.testing.assert_allclose(slope[weights != 0], 0.1 * np.sign(weights[weights != 0]), atol=1e-8)
    assert np.all(np.abs(slope) <= 0.1 + 1e-8)


def test_dci_is_its_definition():
    found = evaluate.dci(MIXED, FACTORS, categorical=(0,), key=jr.key(1))
    importance = found.importance
    fitted = np.asarray(jr.permutation(jr.key(1), N))[N // 4 :]
    standard = lambda xs: (
        (xs[fitted] - xs[fitted].mean(axis=0)) / np.where(np.ptp(xs, axis=0) > 0, xs[fitted].std(axis=0), 1)
    )
    for k, factor in enumerate(FACTORS.T):
        target = np.eye(3)[factor] if k == 0 else factor[:, None].astype(np.float64)
        weights = lasso(standard(MIXED.astype(np.float64)), standard(target), 0.01)
        np.testing.assert_allclose(importance[:, k], np.abs(weights).sum(axis=1), atol=1e-9)
    shares = importance[importance.sum(axis=1) > 0]
    each = 1 - stats.entropy(shares, base=K, axis=1)
    np.testing.assert_allclose(found.disentanglement, np.average(each, weights=shares.sum(axis=1)), atol=1e-12)
    completeness = 1 - stats.entropy(importance, base=len(importance), axis=0)
    np.testing.assert_allclose(found.completeness, np.mean(completeness), atol=1e-12)
    np.testing.assert_allclose(found.informativeness, np.mean(found.errors), atol=1e-12)


def test_dci_without_a_penalty_predicts_as_least_squares():
    """On the held-out quarter, of the order that the key gives."""
    found = evaluate.dci(ROTATED[:, :3], FACTORS, penalty=0.0, key=jr.key(2))
    order = np.asarray(jr.permutation(jr.key(2), N))
    test, train = order[: N // 4], order[N // 4 :]
    xs = np.concatenate([ROTATED[:, :3].astype(np.float64), np.ones((N, 1))], axis=1)
    fit = np.linalg.lstsq(xs[train], FACTORS[train].astype(np.float64), rcond=None)[0]
    residual = FACTORS[test] - xs[test] @ fit
    spread = np.sum((FACTORS[test] - FACTORS[train].mean(axis=0)) ** 2, axis=0)
    np.testing.assert_allclose(found.errors, np.sqrt(np.sum(residual**2, axis=0) / spread), atol=1e-6)


def test_a_perfect_representation():
    """One latent to each factor, of another scale, sign and order."""
    codes = PERFECT[:, ::-1]
    assert evaluate.mig(codes, FACTORS).score > 0.999
    assert evaluate.sap(codes, FACTORS).score > 0.999
    assert evaluate.modularity(codes, FACTORS).score > 0.999
    parts = evaluate.dci(codes, FACTORS, key=jr.key(0))
    assert parts.disentanglement > 0.999 and parts.completeness > 0.999 and parts.informativeness < 0.02
    assert evaluate.factor_vae_score(codes, FACTORS, **SMALL).mean == 1
    assert evaluate.beta_vae_score(codes, FACTORS, **SMALL).mean > 0.99


def test_a_random_representation():
    assert evaluate.mig(NOISE, FACTORS).score < 0.03
    assert evaluate.sap(NOISE, FACTORS).score < 0.03
    assert evaluate.dci(NOISE, FACTORS, key=jr.key(0)).informativeness > 0.97
    for score in (evaluate.factor_vae_score, evaluate.beta_vae_score):
        found = score(NOISE, FACTORS, **SMALL)
        assert abs(found.mean - 1 / K) < 4 * found.standard_error
        np.testing.assert_allclose(found.standard_error, np.sqrt(found.mean * (1 - found.mean) / 499), rtol=1e-6)


def test_a_rotation_is_informative_but_not_disentangled():
    assert evaluate.mig(ROTATED, FACTORS).score < 0.25
    parts = evaluate.dci(ROTATED, FACTORS, key=jr.key(0))
    assert parts.disentanglement < 0.5 and parts.informativeness < 0.1


HALF = np.indices((8, 8, 8)).reshape(3, -1).T


def test_factor_vae_score_where_one_factor_is_unknown():
    """The latent that knows nothing wins half of the other factor's votes: 1/2 + 1/4."""
    codes = HALF[:, [0, 2]].astype(np.float32)
    found = evaluate.factor_vae_score(codes, HALF[:, :2], train=2000, test=4000, key=jr.key(1))
    assert abs(found.mean - 0.75) < 4 * found.standard_error


def test_factor_vae_score_asks_for_the_least_variance_in_units_of_each_latent():
    codes = (HALF[:, :2] + 0.3 * np.random.default_rng(3).normal(size=(512, 2))) * [1, 100]
    assert evaluate.factor_vae_score(codes, HALF[:, :2], train=500, test=500, key=jr.key(1)).mean == 1


def test_pairs_agree_in_one_factor_and_else_by_chance():
    from zoo.evaluate._factor_scores import _differences, _draw, _table

    table = _table("beta_vae_score", HALF.astype(np.float32), HALF)
    differences, truth = map(np.asarray, _draw(_differences, table, 1, jr.split(jr.key(2), 4000)))
    own = truth[:, None] == np.arange(3)
    assert np.all(differences[own] == 0)
    assert abs(np.mean(differences[~own] == 0) - 1 / 8) < 4 * np.sqrt(1 / 8 * 7 / 8 / 8000)
    assert stats.chisquare(np.bincount(truth)).pvalue > 1e-3
    # Of two independent and uniform numbers from 0 to 7.
    assert abs(differences[~own].mean() - 21 / 8) < 4 * differences[~own].std() / np.sqrt(8000)


def test_collapsed_latents_cast_no_vote():
    codes = np.concatenate([PERFECT, 0.001 * NOISE], axis=1)
    assert evaluate.factor_vae_score(codes, FACTORS, **SMALL).mean == 1
    with pytest.raises(ValueError, match=r"threshold=0.05\).*at most 0\.00.*collapsed"):
        evaluate.factor_vae_score(0.001 * NOISE, FACTORS, **SMALL)


CALLS = {
    "mig": evaluate.mig,
    "sap": evaluate.sap,
    "modularity": evaluate.modularity,
    "dci": lambda codes, factors: evaluate.dci(codes, factors, key=jr.key(0)),
    "beta_vae_score": lambda codes, factors: evaluate.beta_vae_score(codes, factors, key=jr.key(0)),
    "factor_vae_score": lambda codes, factors: evaluate.factor_vae_score(codes, factors, key=jr.key(0)),
}
BAD = {
    "missing": (NOISE, None, r"factors=None.*600 codes.*shape \(600, factors\).*data.sprites"),
    "rows": (NOISE, FACTORS[:7], r"600 codes, factors of shape \(7, 5\); pass factors of shape \(600, factors\)"),
    "one column": (NOISE, FACTORS[:, 0], r"factors of shape \(600,\)"),
    "floats": (NOISE, FACTORS * 0.5, r"needs integers.*float64; number the values with np.unique"),
    "constant": (NOISE, FACTORS * [1, 1, 0, 1, 1], r"factor 2 is 0 in all 600 rows.*leave its column out"),
    "empty": (NOISE[:0], FACTORS[:0], r"codes\)` needs at least one example.*pass some data"),
    "nan": (np.where(np.arange(N)[:, None] == 3, np.nan, NOISE), FACTORS, r"finite numbers, got nan at index \(3, 0\)"),
    "flat": (NOISE[:, 0], FACTORS, r"shape \(n, latents\).*got \(600,\); `zoo.encode`"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("call", CALLS)
def test_bad_input(call, bad):
    codes, factors, message = BAD[bad]
    with pytest.raises(ValueError, match=f"`{call}.*{message}"):
        CALLS[call](codes, factors)


def test_bad_arguments():
    one = FACTORS[:, :1]
    with pytest.raises(ValueError, match=r"`mig\(codes\)`.*at least 2 columns, got \(600, 1\)"):
        evaluate.mig(NOISE[:, :1], FACTORS)
    with pytest.raises(ValueError, match=r"`mig\(bins=1\)`"):
        evaluate.mig(NOISE, FACTORS, bins=1)
    with pytest.raises(ValueError, match=r"`sap\(categorical=\(5,\)\)`: there are 5 factors"):
        evaluate.sap(NOISE, FACTORS, categorical=(5,))
    with pytest.raises(ValueError, match=r"factor 0 has 9 values, at most 8"):
        evaluate.sap(NOISE[:90], (np.arange(90) % 9)[:, None], categorical=(0,))
    with pytest.raises(ValueError, match="`modularity.*at least 2, got 1"):
        evaluate.modularity(NOISE, one)
    with pytest.raises(ValueError, match="`dci.*at least 2, got 1"):
        evaluate.dci(NOISE, one, key=jr.key(0))
    with pytest.raises(ValueError, match=r"`dci\(penalty=-1\)`"):
        evaluate.dci(NOISE, FACTORS, penalty=-1, key=jr.key(0))
    with pytest.raises(ValueError, match=r"`beta_vae_score\(pairs=0\)`"):
        evaluate.beta_vae_score(NOISE, FACTORS, pairs=0, key=jr.key(0))
    with pytest.raises(ValueError, match="`factor_vae_score.*at least 2, got 1"):
        evaluate.factor_vae_score(NOISE, one, key=jr.key(0))
