import dataclasses
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from . import _names as names
from ._arguments import Train


class Dataset(NamedTuple):
    """What a run learns from and is measured on."""

    train: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray | None
    classes: tuple[str, ...] | None
    log_density: Callable | None

    @property
    def is_images(self) -> bool:
        return self.test.ndim == 4


def resolve(settings: Train) -> Train:
    """The settings with every default that depends on another setting filled in.

    **Raises:** `ValueError` for a name the zoo does not know, or options that do not go together. Nothing
    of jax has been imported yet when it is raised.
    """
    names.check("data", settings.data, names.DATA)
    image = settings.data in names.IMAGES
    default = lambda value, otherwise: otherwise if value is None else value
    likelihood = default(settings.likelihood, "continuous-bernoulli" if image else "gaussian-shared")
    kind = default(settings.model, "conv" if image else "mlp")
    settings = dataclasses.replace(
        settings,
        model=kind,
        width_size=default(settings.width_size, 16 if kind == "conv" else 200),
        likelihood=likelihood,
        objective=default(settings.objective, "elbo" if settings.beta is None else "beta-elbo"),
        latent_size=default(settings.latent_size, 8 if image else 2),
        epochs=default(settings.epochs, names.EPOCHS.get(settings.data, 100)),
        evaluation_examples=default(settings.evaluation_examples, 250 if image else 2_000),
        observe=default(settings.observe, names.OBSERVE_OF.get(likelihood, "dequantise") if image else "scale"),
    )
    for option in names.KINDS:
        if getattr(settings, option) is not None:
            names.check(option, getattr(settings, option), names.KINDS[option])
    names.check("norm", settings.norm, names.NORMS)
    if settings.objective == "elbo-kl" and settings.prior != "standard":
        raise ValueError(f"`--objective elbo-kl --prior {settings.prior}`: no closed form; pass --prior standard")
    if not image and settings.model == "conv":
        raise ValueError(f"`--model conv --data {settings.data}`: points are no images; pass --model mlp")
    if not image and settings.observe != "scale":
        raise ValueError(f"`--observe {settings.observe} --data {settings.data}`: points have no pixels; leave it out")
    if settings.model != "conv" and settings.norm != "none":
        raise ValueError(f"`--norm {settings.norm} --model {settings.model}`: only the conv model has it")
    for option in ("k", "evaluation_k", "evaluation_examples", "epochs", "batch_size", "latent_size", "width_size"):
        if getattr(settings, option) < 1:
            raise ValueError(f"`--{option.replace('_', '-')} {getattr(settings, option)}`: pass at least 1")
    if not 0 < settings.learning_rate < float("inf"):
        raise ValueError(f"`--learning-rate {settings.learning_rate}`: pass a positive number")
    return settings


def dataset(settings: Train) -> Dataset:
    import jax.random as jr

    import zoo

    source = names.look_up("data", settings, names.DATA)
    if settings.data in names.POINTS:
        train_key, test_key = jr.split(jr.fold_in(jr.key(settings.seed), 2))
        train, test = source(20_000, key=train_key), source(2_000, key=test_key)
        return Dataset(np.asarray(train), np.asarray(test), None, None, getattr(source, "log_density", None))
    images = source()
    classes = zoo.data.FASHION_MNIST_CLASSES
    return Dataset(images.train_images, images.test_images, images.test_labels, classes, None)


def model(settings: Train, data_shape: tuple[int, ...]) -> Any:
    import jax.random as jr

    likelihood = names.look_up("likelihood", settings, names.LIKELIHOODS)
    kind = names.look_up("model", settings, names.MODELS)
    options = {"width_size": settings.width_size} | ({"norm": settings.norm} if settings.model == "conv" else {})
    model_key, prior_key = jr.split(jr.fold_in(jr.key(settings.seed), 0))
    prior = names.look_up("prior", settings, names.PRIORS)
    takes_key = {"key": prior_key} if "key" in inspect.signature(prior).parameters else {}
    prior = prior(settings.latent_size, **takes_key)
    return kind(data_shape, settings.latent_size, likelihood=likelihood, prior=prior, **options, key=model_key)


def objective(settings: Train) -> Callable:
    """The objective with the options that it takes, warmed up if asked for.

    **Raises:** `ValueError` where an option was given that it does not take, or one that it needs was not.
    """
    import zoo

    function = names.look_up("objective", settings, names.OBJECTIVES)
    takes = [name for name in inspect.signature(function).parameters if name in names.OBJECTIVE_OPTIONS]
    options = {name: getattr(settings, name) for name in names.OBJECTIVE_OPTIONS}
    given = {name: value for name, value in options.items() if value is not None}
    named = f"`--objective {settings.objective}`"
    for name in sorted(set(given) - set(takes)):
        raise ValueError(f"{named} has no {name}; leave out `--{name} {given[name]}`, or choose another objective")
    for name in sorted(set(takes) - set(given)):
        raise ValueError(f"{named} needs its {name}; pass `--{name}`")
    if settings.warmup < 0:
        raise ValueError(f"`--warmup {settings.warmup}`: pass the number of steps, 0 for none")
    if settings.warmup:
        rising = "capacity" if "capacity" in given else "beta"
        if rising not in given:
            raise ValueError(f"{named} has nothing to warm up; leave out `--warmup {settings.warmup}`")
        stop = given.pop(rising)
        schedule = zoo.objectives.linear_schedule(settings.warmup, stop=stop)
        return zoo.objectives.scheduled(partial(function, **given), **{rising: schedule})
    return partial(function, **given) if given else function


def penalties(settings: Train, examples: int) -> tuple[Callable, ...]:
    if settings.penalty is None:
        return ()
    penalty = names.look_up("penalty", settings, names.PENALTIES)
    if "dataset_size" in inspect.signature(penalty).parameters:
        penalty = partial(penalty, dataset_size=examples)
    return (lambda draws, *, key: settings.penalty_weight * penalty(draws, key=key),)


def observe(settings: Train) -> Callable:
    return names.look_up("observe", settings, names.OBSERVE)


def estimator(settings: Train) -> Callable:
    return names.look_up("estimator", settings, names.ESTIMATORS)
