"""Every two choices of the command line, and many whole combinations, are sound or are refused with a way out.

Nothing is compiled: models are built, and batches judged, by their shapes alone.
"""

import functools
import itertools
import random

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import zoo
from zoo.cli import _build as build, _job as job, _names as names
from zoo.cli._arguments import Train


PARTS = ("model", "prior", "posterior", "likelihood")
JUDGES = ("objective", "estimator", "penalty")
KINDS = PARTS + JUDGES
N = 4
LABELS = np.arange(N) % 3
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 1, 8, 8), np.uint8)
DATA = zoo.data.DataSet(IMAGES, IMAGES, LABELS, LABELS, ("a", "b", "c"))
POINTS = zoo.data.from_toy(zoo.data.two_moons, train_size=N, test_size=N, key=jr.key(0))
# What the objectives that have options take of them.
NUMBERS = dict(beta=0.5, gamma=2.0, capacity=1.0, nats=0.5, m=2, alpha=0.5, exponent=0.5, order=1)
# Small networks, fully connected wherever a model does not have its own.
SMALL = dict(model="mlp", latent_size=2, width_size=4, k=4, batch_size=N)


def settings_of(choices):
    """The settings with these choices made, and the rest as they usually are."""
    given = SMALL | choices
    if given["model"] not in ("conv", "resnet", "vq"):
        given.setdefault("networks", "mlp")
    settings = build.resolve(Train(**given))
    takes = build._options_of(names.look_up("objective", settings))
    return build.resolve(Train(**given, **{name: NUMBERS[name] for name in takes}))


@functools.cache
def model_of(*parts):
    """The shapes of a model of these parts, or the error that refuses them."""
    settings = settings_of(dict(zip(PARTS, parts)))
    try:
        return eqx.filter_eval_shape(lambda: _built(settings))
    except ValueError as error:
        return error


def _built(settings):
    model = build.model(settings, DATA)
    here = model.given(0) if isinstance(model, zoo.ConditionalVAE) else model
    assert here.posterior(jnp.zeros(IMAGES.shape[1:])).space == here.latent_prior.space
    return model


def refusal(**choices):
    """The error that refuses these choices; `None` where they are sound."""
    settings = settings_of(choices)
    model = model_of(*(getattr(settings, part) for part in PARTS))
    if isinstance(model, ValueError):
        return model
    how = dict(
        objective=build.objective(settings),
        k=settings.k,
        estimator=names.look_up("estimator", settings),
        penalties=build.penalties(settings, N),
    )
    xs = jax.ShapeDtypeStruct(IMAGES.shape, jnp.float32)
    ys = build.labels(model, jax.ShapeDtypeStruct(LABELS.shape, jnp.int32))

    def judge(model, xs, ys):
        return zoo.loss(model, xs, ys=ys, **how, key=jr.key(0))

    try:
        value = eqx.filter_eval_shape(judge, model, xs, ys)
    except ValueError as error:
        return error
    assert value.shape == () and value.dtype == jnp.float32


def check(**choices):
    """What refuses these choices says where, and what to do instead."""
    error = refusal(**choices)
    if error is not None:
        message = str(error)
        assert message.count("`") >= 2, (choices, message)
        assert any(way in message for way in ("pass ", "use ", "leave ", "needs ", "it is for ", "cannot take ")), (
            choices,
            message,
        )


def check_pairs(one, other, every):
    """Each choice of one kind with each `every`-th of the other, a different set for the next."""
    for (i, a), (j, b) in itertools.product(enumerate(names.KINDS[one]), enumerate(names.KINDS[other])):
        if (i + j) % every == every - 1:
            check(**{one: a, other: b})


@pytest.mark.parametrize("one, other", [*itertools.combinations(KINDS, 2)])
def test_two_choices_are_sound_or_refused(one, other):
    """Of many choices each meets every seventh of the other kind's; in the slow test below, all of them."""
    many = min(len(names.KINDS[one]), len(names.KINDS[other])) > 7
    check_pairs(one, other, every=7 if many else 1)


@pytest.mark.slow
@pytest.mark.parametrize("one, other", [*itertools.combinations(KINDS, 2)])
def test_every_two_choices_are_sound_or_refused(one, other):
    check_pairs(one, other, every=1)


def combinations(seed, n):
    """Whole combinations of choices, drawn at random; half of a kind are as they usually are."""
    draw = random.Random(seed)
    usual = lambda kind: draw.random() < 0.5
    return [{kind: draw.choice([*names.KINDS[kind]]) for kind in KINDS if not usual(kind)} for _ in range(n)]


@pytest.mark.parametrize("choices", combinations(0, 40), ids=str)
def test_a_combination_is_sound_or_refused(choices):
    check(**choices)


@pytest.mark.slow
def test_a_thousand_combinations_are_sound_or_refused():
    for choices in combinations(1, 1000):
        check(**choices)


# What the command line once refused by its own tables, with a word of the library's refusal; `None` now works.
ONCE_REFUSED = [
    (dict(objective="elbo-kl", prior="mixture"), "no closed-form KL"),
    (dict(objective="elbo-kl", prior="normal"), None),
    (dict(data="two-moons", model="conv"), "of a picture"),
    (dict(data="two-moons", model="resnet"), "of a picture"),
    (dict(data="two-moons", model="vq"), r"grid_shape=\(\)"),
    (dict(data="two-moons", model="mlp", networks="pooled"), "of a picture"),
    (dict(data="two-moons", model="conditional"), "num_classes=None"),
    (dict(data="two-moons", observe="dequantise"), r"values in \[0, 1\]"),
    (dict(data="two-moons", observe="binarise"), r"values in \[0, 1\]"),
    *((dict(model=model, prior="vamp"), "cannot borrow") for model in ("hierarchical", "ladder")),
    (dict(model="hierarchical", posterior="low-rank-normal"), None),
    (dict(model="hierarchical", posterior="low-rank-normal", latent_size=1), None),
    (dict(model="hierarchical", posterior="point"), None),
    (dict(model="hierarchical", posterior="von-mises-fisher"), "lives in"),
    (dict(model="hierarchical", posterior="flow"), "pass the same to both"),
    (dict(model="hierarchical", posterior="planar-flow"), "pass the same to both"),
    (dict(model="ladder", posterior="low-rank-normal"), "TopDown"),
    (dict(model="ladder", posterior="flow"), "TopDown"),
    (dict(model="conv", networks="mlp"), None),
    (dict(model="conv", networks="resnet"), None),
    (dict(model="mlp", networks="conv"), None),
    (dict(model="resnet", networks="pooled"), None),
    (dict(model="vq", networks="mlp"), "lives in"),
    (dict(model="vq", networks="resnet"), "lives in"),
    *((dict(model="discrete", prior=prior), "lives in") for prior in ("standard", "mixture", "flow", "sphere")),
    *((dict(model="discrete", prior=prior), "lives in|label") for prior in ("autoregressive", "conditional-normal")),
    *((dict(model="vq", prior=prior), "lives in") for prior in ("standard", "mixture", "categorical", "sphere")),
    *((dict(model="mlp", prior=prior), "lives in") for prior in ("uniform", "categorical", "autoregressive")),
    *((dict(model=model, posterior="laplace"), "of its own") for model in ("discrete", "vq")),
    *((dict(prior="sphere", posterior=posterior), "lives in") for posterior in ("diagonal-normal", "laplace", "flow")),
    *((dict(prior=prior, posterior="von-mises-fisher"), "lives in") for prior in ("standard", "mixture", "flow")),
    *((dict(model="mlp", prior=prior), "needs a label") for prior in ("conditional-normal", "conditional-mixture")),
    (dict(model="mlp", norm="group"), "have none"),
    (dict(model="resnet", norm="batch"), "have none"),
]


@pytest.mark.parametrize("choices, refusal", ONCE_REFUSED, ids=str)
def test_what_the_command_line_once_refused_is_refused_by_the_library_or_works(choices, refusal):
    settings = build.resolve(Train(**(dict(model="mlp", latent_size=2, width_size=4, batch_size=N) | choices)))
    prepared = lambda: job.prepare(settings, POINTS if settings.data == "two-moons" else DATA, None).model
    if refusal is None:
        eqx.filter_eval_shape(prepared)
    else:
        with pytest.raises(ValueError, match=refusal) as refused:
            eqx.filter_eval_shape(prepared)
        assert str(refused.value).startswith(f"`--data {settings.data}")
