import dataclasses
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np

from . import _names as names
from ._arguments import Train


class Dataset(NamedTuple):
    """What a run learns from and is measured on."""

    train: np.ndarray
    test: np.ndarray
    train_labels: np.ndarray | None
    test_labels: np.ndarray | None
    classes: tuple[str, ...] | None
    log_density: Callable | None
    train_factors: np.ndarray | None = None
    test_factors: np.ndarray | None = None

    @property
    def is_images(self) -> bool:
        return self.test.ndim == 4

    def first(self, n: int | None) -> "Dataset":
        """With the first n held-out examples only."""
        few = lambda rows: None if rows is None else rows[:n]
        return self._replace(test=self.test[:n], test_labels=few(self.test_labels), test_factors=few(self.test_factors))

    def of_training(self) -> "Dataset":
        """With the training examples in the place of the held-out ones."""
        return self._replace(test=self.train, test_labels=self.train_labels, test_factors=self.train_factors)


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
    own = names.OWN_NETWORKS.get(kind, ("conv" if image else "mlp",))
    networks = default(settings.networks, own[0])
    settings = dataclasses.replace(
        settings,
        model=kind,
        networks=networks,
        width_size=default(settings.width_size, names.WIDTHS.get(networks)),
        prior=default(settings.prior, _prior_of(kind, settings.posterior)),
        posterior=default(settings.posterior, "diagonal-normal"),
        likelihood=likelihood,
        objective=default(settings.objective, _objective_of(settings)),
        penalty=default(settings.penalty, "commitment" if kind == "vq" else None),
        latent_size=default(settings.latent_size, (20 if kind == "discrete" else 8) if image else 2),
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
    if not image and settings.networks != "mlp":
        option = "model" if settings.networks == settings.model else "networks"
        raise ValueError(
            f"`--{option} {settings.networks} --data {settings.data}`: points are no images; pass --{option} mlp"
        )
    if not image and settings.model == "conditional":
        raise ValueError(f"`--model conditional --data {settings.data}`: points have no labels; pass --model mlp")
    if settings.model in names.LAYERED and settings.prior == "vamp":
        raise ValueError(
            f"`--prior vamp --model {settings.model}`: the top has no posterior of its own at a "
            "pseudo-input; pass --prior mixture"
        )
    if settings.model in names.LAYERED and settings.posterior not in ("diagonal-normal", "full-normal", "laplace"):
        raise ValueError(
            f"`--posterior {settings.posterior} --model {settings.model}`: layers differ in size; pass "
            "--posterior diagonal-normal"
        )
    if settings.model in names.OWN_NETWORKS and networks not in own:
        raise ValueError(
            f"`--networks {networks} --model {settings.model}`: that model is made of {' or '.join(own)} networks; "
            f"pass --networks {own[0]} or leave it out"
        )
    allowed = names.DISCRETE_PRIORS.get(kind)
    others = {name for each in names.DISCRETE_PRIORS.values() for name in each}
    if settings.prior not in (allowed or names.PRIORS.keys() - others):
        way_out = "pass --prior " + " or --prior ".join(allowed) if allowed else "leave --prior out"
        raise ValueError(
            f"`--prior {settings.prior} --model {settings.model}`: other latents than the model's; {way_out}"
        )
    if settings.model in names.DISCRETE_PRIORS and settings.posterior != "diagonal-normal":
        raise ValueError(
            f"`--posterior {settings.posterior} --model {settings.model}`: its latents are discrete; leave it out"
        )
    if (settings.prior == "sphere") != (settings.posterior == "von-mises-fisher"):
        raise ValueError(
            f"`--prior {settings.prior} --posterior {settings.posterior}`: on the hypersphere live "
            "--prior sphere and --posterior von-mises-fisher, together"
        )
    if settings.prior in names.CONDITIONAL_PRIORS and settings.model != "conditional":
        raise ValueError(
            f"`--prior {settings.prior} --model {settings.model}`: there is no label; pass --model conditional"
        )
    if not image and settings.observe != "scale":
        raise ValueError(f"`--observe {settings.observe} --data {settings.data}`: points have no pixels; leave it out")
    if settings.networks not in names.NORMALISED and settings.norm != "none":
        raise ValueError(f"`--norm {settings.norm}`: only conv networks have it, not {settings.networks}")
    for option in ("k", "evaluation_k", "evaluation_examples", "epochs", "batch_size", "latent_size", "width_size"):
        if getattr(settings, option) < 1:
            raise ValueError(f"`--{option.replace('_', '-')} {getattr(settings, option)}`: pass at least 1")
    if not 0 < settings.learning_rate < float("inf"):
        raise ValueError(f"`--learning-rate {settings.learning_rate}`: pass a positive number")
    return settings


def _prior_of(kind: str, posterior: str | None) -> str:
    if kind in names.DISCRETE_PRIORS:
        return names.DISCRETE_PRIORS[kind][-1]
    return "sphere" if posterior == "von-mises-fisher" else "mixture"


def _objective_of(settings: Train) -> str:
    if settings.posterior == "point":
        return "reconstruction"
    return "elbo" if settings.beta is None else "beta-elbo"


def dataset(settings: Train) -> Dataset:
    import jax.random as jr

    import zoo

    source = names.look_up("data", settings, names.DATA)
    if settings.data in names.POINTS:
        train_key, test_key = jr.split(jr.fold_in(jr.key(settings.seed), 2))
        train, test = source(20_000, key=train_key), source(2_000, key=test_key)
        return Dataset(np.asarray(train), np.asarray(test), None, None, None, getattr(source, "log_density", None))
    images = source()
    if settings.data in names.FACTORS:
        (train, factors), (test, test_factors) = (images.sample(n, key=jr.key(n)) for n in names.SPRITES)
        shapes = factors[:, 0], test_factors[:, 0]
        return Dataset(train, test, *shapes, names.SHAPES, None, factors, test_factors)
    classes = zoo.data.FASHION_MNIST_CLASSES
    labels = images.train_labels, images.test_labels
    return Dataset(images.train_images, images.test_images, *labels, classes, None)


def model(settings: Train, dataset: Dataset) -> Any:
    """The model, of whatever options its constructor takes."""
    import jax.random as jr

    kind = names.look_up("model", settings, names.MODELS)
    takes = inspect.signature(kind).parameters
    model_key, prior_key = jr.split(jr.fold_in(jr.key(settings.seed), 0))
    posterior_key = jr.fold_in(prior_key, 0)
    posterior = names.look_up("posterior", settings, names.POSTERIORS)
    width, size = {"width_size": settings.width_size}, cast(int, settings.latent_size)
    norm = {"norm": settings.norm} if settings.networks in names.NORMALISED else {}
    networks = names.look_up("networks", settings, names.NETWORKS)
    offers = {
        "likelihood": names.look_up("likelihood", settings, names.LIKELIHOODS),
        "prior": prior(settings, dataset, key=prior_key),
        "posterior": posterior(settings.latent_size, key=posterior_key),
        "num_classes": dataset.classes and len(dataset.classes),
        "networks": networks(**width, **norm),
    }
    if settings.model == "discrete":
        offers |= {"num_variables": settings.latent_size, "num_classes": names.CLASSES}
    if settings.model == "vq":
        offers |= width | {"codebook_size": names.CODES, "code_size": 2 * size, "prior": None, "networks": None}
    offers |= {"latent_sizes": (4 * size, size)} if "latent_sizes" in takes else {"latent_size": size}
    return _built(partial(kind, dataset.train.shape[1:]), offers | {"key": model_key})


def prior(settings: Train, dataset: Dataset, *, key: Any) -> Any:
    """The prior, of whatever its constructor takes."""
    kind = names.look_up("prior", settings, names.PRIORS)
    offers = {
        "latent_size": settings.latent_size,
        "condition_size": dataset.classes and len(dataset.classes),
        "pseudo_inputs": dataset.train[: names.COMPONENTS],
        "num_variables": settings.latent_size,
        "num_classes": names.CLASSES,
        "grid_shape": tuple(side // 4 for side in dataset.train.shape[2:]),
        "num_codes": names.CODES,
        "key": key,
    }
    return _built(kind, offers)


def _built(kind: Callable, offers: dict[str, Any]) -> Any:
    """What the constructor makes of those of the options that it takes."""
    takes = inspect.signature(kind).parameters
    return kind(**{name: value for name, value in offers.items() if name in takes})


def refit(settings: Train, model: Any, dataset: Dataset, *, key: Any) -> Any:
    """The trained model, its prior fitted to the latents of its encoder where the settings ask for that."""
    import jax.random as jr

    import zoo

    examples: dict[str, Any] = dict(
        xs=dataset.train, ys=labels(settings, dataset.train_labels), observe=observe(settings), key=key
    )
    if settings.prior == "mixture" and settings.model in names.VECTOR:
        return zoo.fit_prior(model, **examples)
    if settings.prior == "autoregressive" or (settings.posterior == "point" and settings.prior != "standard"):
        start = prior(settings, dataset, key=jr.fold_in(key, 1))
        return zoo.fit_prior(model, **examples, prior=start, progress=True)
    return model


def labels(settings: Train, labels: np.ndarray | None) -> np.ndarray | None:
    """The labels, where the model takes any."""
    return labels if settings.model == "conditional" else None


def objective(settings: Train, **values: Any) -> Callable:
    """The objective with the options that it takes, warmed up if asked for; `values` replace those of the settings.

    **Raises:** `ValueError` where an option was given that it does not take, or one that it needs was not.
    """
    import zoo

    function = names.look_up("objective", settings, names.OBJECTIVES)
    takes = [name for name in inspect.signature(function).parameters if name in names.OBJECTIVE_OPTIONS]
    options = {name: getattr(settings, name) for name in names.OBJECTIVE_OPTIONS} | values
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


def penalties(settings: Train, examples: int, *, weight: Any) -> tuple[Callable, ...]:
    if settings.penalty is None:
        return ()
    penalty = names.look_up("penalty", settings, names.PENALTIES)
    if isinstance(penalty, type):
        return (penalty(weight),)
    if "dataset_size" in inspect.signature(penalty).parameters:
        penalty = partial(penalty, dataset_size=examples)
    return (lambda draws, *, key: weight * penalty(draws, key=key),)


def observe(settings: Train) -> Callable:
    return names.look_up("observe", settings, names.OBSERVE)


def estimator(settings: Train) -> Callable:
    return names.look_up("estimator", settings, names.ESTIMATORS)
