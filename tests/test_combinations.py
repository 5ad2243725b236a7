"""Every model with every likelihood, every prior with every posterior, every pair that does not go together.

Objectives and estimators meet all likelihoods in `test_models.py`: what they see is one record, whoever drew it.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from test_models import BITS, GREYS, LIKELIHOODS, OBJECTIVES

import zoo
from zoo import estimators, flows, models, nn, objectives, penalties, posteriors, priors


SMALL = nn.fully_connected(width_size=4, depth=1)
MODELS = {
    "mlp": lambda likelihood, key: zoo.MLPVAE((1, 4, 4), 2, width_size=4, depth=1, likelihood=likelihood, key=key),
    "resnet": lambda likelihood, key: zoo.ResNetVAE((1, 8, 8), 2, width_size=8, likelihood=likelihood, key=key),
    "conditional": lambda likelihood, key: zoo.ConditionalVAE(
        (1, 4, 4), 2, num_classes=3, networks=SMALL, likelihood=likelihood, key=key
    ).given(1),
    "bottom-up": lambda likelihood, key: zoo.HierarchicalVAE(
        (1, 4, 4), (3, 2), networks=SMALL, width_size=4, likelihood=likelihood, key=key
    ),
    "top-down": lambda likelihood, key: zoo.HierarchicalVAE(
        (1, 4, 4), (3, 2), inference=models.TopDown, networks=SMALL, width_size=4, likelihood=likelihood, key=key
    ),
    "discrete": lambda likelihood, key: zoo.DiscreteVAE(
        (1, 4, 4), 2, 3, networks=SMALL, likelihood=likelihood, key=key
    ),
    "vq": lambda likelihood, key: zoo.VQVAE(
        (1, 4, 4), codebook_size=4, code_size=2, width_size=2, likelihood=likelihood, key=key
    ),
}
# `MLPVAE` meets all likelihoods here, the others one with two parameters to a dimension and one with a parameter of
# its own, the convolutional ones the first of them; a slow sweep adds the rest.
FEW = dict.fromkeys(MODELS, ("gaussian_learned", "gaussian_shared"))
FEW |= {"mlp": tuple(LIKELIHOODS), "resnet": ("gaussian_learned",), "vq": ("gaussian_learned",)}
PAIRS = [
    pytest.param(model, name, marks=() if name in FEW[model] else pytest.mark.slow)
    for model in MODELS
    for name in LIKELIHOODS
]
PRIORS = {
    "standard": lambda key: priors.StandardNormal(2),
    "normal": lambda key: priors.Normal(2),
    "mixture": lambda key: priors.MixtureOfNormals(2, 3, key=key),
    "vamp": lambda key: priors.VampPrior(GREYS),
    "flow": lambda key: priors.FlowPrior(2, 1, 4, key=key),
}
POSTERIORS = {
    "diagonal": lambda key: posteriors.DiagonalNormal,
    "full": lambda key: posteriors.FullNormal,
    "low-rank": lambda key: posteriors.LowRankFamily(1),
    "laplace": lambda key: posteriors.Laplace,
    "coupling": lambda key: posteriors.FlowPosterior(2, 1, key=key),
    "autoregressive": lambda key: posteriors.FlowPosterior(2, 1, bijection=flows.MaskedAutoregressive, key=key),
    "planar": lambda key: posteriors.FlowPosterior(2, 1, bijection=flows.Planar, key=key),
}


# Each prior with the plainest posterior, and each posterior with the prior that asks most of it: its density at
# points that another one drew; a slow sweep adds the rest.
DISTRIBUTIONS = [
    pytest.param(prior, posterior, marks=() if prior == "vamp" or posterior == "diagonal" else pytest.mark.slow)
    for prior in PRIORS
    for posterior in POSTERIORS
]


def assert_finite(model, xs, *, estimator=estimators.reparameterised, penalties=()):
    """Value and gradient of the IWAE, compiled; without a filter, as a model's leaves are its parameters."""
    loss = functools.partial(zoo.loss, objective=objectives.iwae, estimator=estimator, k=2, penalties=penalties)
    judged = jax.jit(jax.value_and_grad(lambda model: loss(model, jnp.asarray(xs), key=jr.key(1))))
    value, gradient = judged(model)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    return gradient


@pytest.mark.parametrize("model, likelihood", PAIRS)
def test_every_model_takes_every_likelihood(model, likelihood):
    likelihood = LIKELIHOODS[likelihood]
    xs = BITS if likelihood.measure == "counting" else GREYS
    xs = np.tile(xs, (1, 1, 2, 2)) if model == "resnet" else xs
    added = (penalties.commitment,) if model == "vq" else ()
    assert_finite(MODELS[model](likelihood, jr.key(0)), xs, penalties=added)


@pytest.mark.parametrize("prior, posterior", DISTRIBUTIONS)
def test_every_prior_takes_every_posterior(prior, posterior):
    prior, posterior = PRIORS[prior](jr.key(2)), POSTERIORS[posterior](jr.key(3))
    options = dict(width_size=4, depth=1, likelihood=LIKELIHOODS["gaussian"])
    model = zoo.MLPVAE((1, 4, 4), 2, prior=prior, posterior=posterior, **options, key=jr.key(0))
    gradient = assert_finite(model, GREYS, estimator=estimators.dreg)
    # What can be learned is learned.
    for part in (gradient.encoder, gradient.decoder, gradient.prior, gradient.family):
        leaves = [leaf for leaf in jax.tree.leaves(part) if eqx.is_inexact_array(leaf)]
        assert not leaves or any(np.any(leaf != 0) for leaf in leaves)


@pytest.mark.parametrize("model", ["conditional", "bottom-up", "top-down", "discrete"])
def test_every_model_is_judged_by_every_objective(model):
    model = MODELS[model](LIKELIHOODS["gaussian"], jr.key(0))
    draw = lambda x: model.draw(x, k=4, key=jr.key(1))
    draws = jax.eval_shape(draw, GREYS[0])
    judges = dict(OBJECTIVES)
    if draws.kl is None:
        with pytest.raises(ValueError, match="no closed-form KL"):
            jax.eval_shape(judges.pop("elbo_kl"), draws)
    values = jax.jit(lambda x: {name: objective(draw(x)) for name, objective in judges.items()})(GREYS[0])
    assert all(np.isfinite(value) for value in values.values()), values


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda key: zoo.MLPVAE(3, 2, posterior=posteriors.FlowPosterior(3, key=key), key=key), "latent_size=2"),
        (lambda key: zoo.MLPVAE(3, 2, posterior=posteriors.LowRankFamily(3), key=key), "rank"),
        (lambda key: zoo.MLPVAE(3, 1, posterior=posteriors.VonMisesFisher, key=key), "latent_size=1"),
        (lambda key: zoo.HierarchicalVAE(3, (2, 2), prior=priors.VampPrior(np.ones((2, 3))), key=key), "VampPrior"),
        (lambda key: zoo.ResNetVAE((28,), key=key), "channels"),
        (lambda key: zoo.VQVAE((1, 28, 28), codebook_size=1, key=key), "codebook_size=1"),
        (lambda key: zoo.DiscreteVAE((1, 28, 28), 2, 1, key=key), "num_classes=1"),
    ],
)
def test_pairs_that_do_not_go_together_say_why(build, message):
    with pytest.raises(ValueError, match=message):
        build(jr.key(0))


@pytest.mark.parametrize("estimator", [estimators.stl, estimators.dreg])
def test_discrete_latents_have_no_pathwise_gradient(estimator):
    model = MODELS["discrete"](LIKELIHOODS["gaussian"], jr.key(0))
    with pytest.raises(ValueError, match="reparameteris"):
        eqx.filter_eval_shape(
            zoo.loss, model, GREYS, objective=objectives.iwae, estimator=estimator, k=2, key=jr.key(1)
        )
