"""What the units of z carry: against closed forms of the linear-Gaussian model, and float64 sums."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from linear_gaussian import linear_gaussian
from scipy.special import logsumexp
from scipy.stats import norm

import zoo
from zoo import posteriors


RANDOM = np.random.default_rng(2)
FACTOR = np.array([[1.0, 0.0, 0.0], [0.9, 0.5, 0.0], [-0.3, 0.2, 0.8]])
XS = (RANDOM.normal(size=(2000, 3)) @ FACTOR.T + 0.4).astype(np.float32)


def encoder_layer(model):
    layer = model.encoder.layers.layers[0]
    return [layer.weight, layer.bias]


def with_encoder(gain, mean, log_scale):
    """x to a normal posterior of mean gain^T x + mean, and the same log-scales everywhere."""
    values = np.concatenate([gain, np.zeros_like(gain)], axis=1), np.concatenate([mean, log_scale])
    return eqx.tree_at(encoder_layer, linear_gaussian(), [jnp.asarray(v, jnp.float32) for v in values])


# Both units follow the first dimension, so the aggregated posterior's total correlation is large.
MODEL = with_encoder(np.array([[0.8, 0.7], [0.0, 0.3], [0.2, 0.0]]), np.array([0.2, -0.1]), np.log([0.5, 0.4]))


def encoder_of(model):
    weight, bias = encoder_layer(model)
    return np.asarray(weight, np.float64), np.asarray(bias, np.float64)


def posteriors_of(model, xs):
    weight, bias = encoder_of(model)
    mean, log_scale = np.split(xs @ weight + bias, 2, axis=1)
    return mean, np.exp(log_scale)


def test_active_units_are_those_whose_means_move():
    # The second unit: q(z | x) = p(z), whatever x.
    gain = np.array([[0.8, 0.0], [0.0, 0.0], [0.2, 0.0]])
    collapsed = with_encoder(gain, np.array([0.2, 0.0]), np.array([-0.5, 0.0]))
    found = zoo.active_units(collapsed, XS, key=jr.key(0))
    mean, scale = posteriors_of(collapsed, XS.astype(np.float64))
    np.testing.assert_allclose(found.variance.mean, mean.var(axis=0, ddof=1), rtol=1e-4, atol=1e-6)
    kl = 0.5 * (mean**2 + scale**2 - 1) - np.log(scale)
    np.testing.assert_allclose(found.kl.mean, kl.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.kl.standard_error, kl.std(axis=0, ddof=1) / 2000**0.5, rtol=1e-3, atol=1e-6)
    assert (found.num_active, list(found.active), list(found.collapsed)) == (1, [True, False], [1])
    assert found.report().splitlines()[2].endswith("collapsed")
    # A unit at the threshold is active or not by the toss of a coin.
    assert found.standard_error == 0
    assert found._replace(threshold=found.variance.mean[0]).standard_error == pytest.approx(0.5)
    # Gaussian data: the variance's own variance is 2 sigma^4 / (n - 1).
    assert found.variance.standard_error[0] == pytest.approx(found.variance.mean[0] * (2 / 2000) ** 0.5, rel=0.15)
    # Two examples say little, and they say so.
    assert zoo.active_units(collapsed, XS[:2], key=jr.key(0)).variance.standard_error[0] > 0


def gaussian_parts(model):
    """Mutual information, total correlation and dimension-wise KL, where x is normal as here."""
    weight, bias = encoder_of(model)
    gain, scale = weight[:, :2], np.exp(bias[2:])
    mean = 0.4 * gain.sum(axis=0) + bias[:2]
    covariance = gain.T @ FACTOR @ FACTOR.T @ gain + np.diag(scale**2)
    variance = np.diag(covariance)
    log_det = np.linalg.slogdet(covariance)[1]
    return (
        0.5 * log_det - np.log(scale).sum(),
        0.5 * (np.log(variance).sum() - log_det),
        0.5 * np.sum(mean**2 + variance - 1 - np.log(variance)),
    )


@pytest.mark.parametrize("components, tolerance", [(10_000, 0.03), (300, 0.06)])
def test_the_parts_are_those_of_normal_data(components, tolerance):
    found = zoo.elbo_decomposition(MODEL, XS, k=5, components=components, key=jr.key(1)).estimates
    names = ("mutual_information", "total_correlation", "dimension_wise_kl")
    exact = gaussian_parts(MODEL)
    assert exact[1] > 0.1
    for name, value in zip(names, exact, strict=True):
        assert abs(found[name].mean - value) < tolerance + 3 * found[name].standard_error, name


def test_the_parts_add_up_to_the_divergence():
    found = zoo.elbo_decomposition(MODEL, XS[:50], k=200, key=jr.key(1))
    mean, scale = posteriors_of(MODEL, XS[:50].astype(np.float64))
    kl = 0.5 * np.sum(mean**2 + scale**2 - 1 - 2 * np.log(scale), axis=1)
    assert np.mean(found.kl) == pytest.approx(np.mean(kl), abs=0.05)
    np.testing.assert_allclose(found.kl, kl, atol=0.5)
    elbo = zoo.bound(MODEL, XS[:50], objective=zoo.objectives.elbo, k=200, key=jr.split(jr.key(1))[0])
    np.testing.assert_allclose(found.elbo, elbo, rtol=1e-4, atol=1e-3)
    # One draw of an example has the same aggregate in float64.
    z = RANDOM.normal(size=(400, 50, 2)) * scale + mean
    densities = norm(mean, scale).logpdf(z[:, :, None])
    joint, units = logsumexp(densities.sum(axis=3), axis=2), logsumexp(densities, axis=2)
    own = np.einsum("sii->si", densities.sum(axis=3))
    expected = np.mean(own - joint) + np.log(50), np.mean(joint - units.sum(axis=2)) + np.log(50)
    assert found.estimates["mutual_information"].mean == pytest.approx(expected[0], abs=0.02)
    assert found.estimates["total_correlation"].mean == pytest.approx(expected[1], abs=0.02)
    assert np.all(found.mutual_information <= np.log(50) + 1e-5)


def test_chunks_of_components_change_nothing():
    from zoo.evaluate import _decomposition

    draws = _decomposition.map_examples(
        eqx.Partial(_decomposition._draw, k=3), MODEL, XS[:11], None, observe=zoo.data.scale, at_once=11, per_call=11,
        progress=None, key=jr.key(0),
    )  # fmt: skip
    mixture = _decomposition._Mixture(draws.posterior, jnp.arange(11, dtype=jnp.uint32), 11)
    row = jax.tree.map(lambda leaf: leaf[4], draws), jnp.uint32(4)
    whole = _decomposition._take_apart(mixture, 11, row)
    chunked = _decomposition._take_apart(mixture, 3, row)
    for a, b in zip(whole, chunked, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    # The same draws in float64.
    z = np.asarray(draws.z[4], np.float64)
    densities = norm(*posteriors_of(MODEL, XS[:11].astype(np.float64))).logpdf(z[:, None])  # of draw, component, unit
    joint = logsumexp(densities.sum(axis=2), axis=1) - np.log(11)
    units = logsumexp(densities, axis=1) - np.log(11)
    np.testing.assert_allclose(whole.mutual_information, np.mean(densities[:, 4].sum(axis=1) - joint), atol=1e-5)
    np.testing.assert_allclose(whole.total_correlation, np.mean(joint - units.sum(axis=1)), atol=1e-5)
    np.testing.assert_allclose(whole.dimension_wise_kl, np.mean(units - norm.logpdf(z), axis=0).sum(), atol=1e-5)
    np.testing.assert_allclose(whole.information_per_unit, np.mean(densities[:, 4] - units, axis=0), atol=1e-5)


def test_posteriors_that_are_no_products_are_refused():
    model = zoo.MLPVAE(3, 2, width_size=4, depth=1, posterior=posteriors.FullNormal, key=jr.key(0))
    with pytest.raises(ValueError, match="DiagonalNormal.*got a `FullNormal`"):
        zoo.elbo_decomposition(model, XS[:4], k=2, key=jr.key(0))
    point = zoo.MLPVAE(3, 2, width_size=4, depth=1, posterior=posteriors.Point, key=jr.key(0))
    with pytest.raises(ValueError, match="no density"):
        zoo.elbo_decomposition(point, XS[:4], k=2, key=jr.key(0))
    with pytest.raises(ValueError, match="at least 2"):
        zoo.elbo_decomposition(MODEL, XS[:1], key=jr.key(0))
    with pytest.raises(ValueError, match="at least 2"):
        zoo.active_units(MODEL, XS[:1], key=jr.key(0))


@pytest.mark.parametrize("function", [zoo.active_units, zoo.elbo_decomposition, zoo.log_likelihood])
def test_bad_input_is_refused(function):
    unfrozen = zoo.ConvVAE((1, 8, 8), 2, norm="batch", key=jr.key(0))
    pictures = np.full((2, 1, 8, 8), 0.5, np.float32)
    for model, xs, message in [
        (unfrozen, pictures, "zoo.freeze"),
        (MODEL, XS[:0], "empty batch"),
        (MODEL, XS[:, :2], r"\(n, 3\), got \(2000, 2\)"),
        (MODEL, np.where(XS > 1, np.nan, XS), "nan"),
    ]:
        with pytest.raises(ValueError, match=message):
            function(model, xs, key=jr.key(0))
    if function is not zoo.active_units:
        with pytest.raises(ValueError, match="k=0"):
            function(MODEL, XS, k=0, key=jr.key(0))
