import dataclasses
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import zoo

from . import _data as sources, _names as names
from ._arguments import Train


COMPONENTS = 64  # of a mixture, or pseudo-inputs of a VampPrior; or as many as there are examples


def check_names(settings: Train) -> None:
    """**Raises:** `ValueError` for a name the zoo does not know. Nothing has been read or imported yet."""
    for option, table in names.KINDS.items():
        if option != "data" and getattr(settings, option) is not None:
            names.check(option, getattr(settings, option), table)
    names.check("norm", settings.norm, names.NORMS)
    sources.check(settings.data)


def resolve(settings: Train, data: names.Entry | None = None) -> Train:
    """The settings with every option that was not given filled in; `data` is what `--data` stands for, if read already.

    **Raises:** `ValueError` for a name the zoo does not know, and a number that cannot be. Nothing of jax has been
    imported yet when it is raised, unless data of one's own were read.
    """
    check_names(settings)
    data = sources.find(settings) if data is None else data
    if settings.data not in names.DATA:
        settings = dataclasses.replace(settings, data=str(sources.locate(settings.data)))
    settings = _fill_in(settings, data.usual)
    for option in ("posterior", "model", "likelihood"):
        if getattr(settings, option) is not None:
            settings = _fill_in(settings, names.KINDS[option][getattr(settings, option)].usual)
    settings = _fill_in(settings, names.MODELS[data.usual["model"]].usual)
    settings = _fill_in(settings, names.USUAL | {"objective": "elbo" if settings.beta is None else "beta-elbo"})
    settings = _fill_in(settings, names.NETWORKS[cast(str, settings.networks)].usual)
    for option in ("k", "evaluation_k", "evaluation_examples", "epochs", "batch_size", "latent_size", "width_size"):
        if getattr(settings, option) < 1:
            raise ValueError(f"`--{option.replace('_', '-')} {getattr(settings, option)}`: pass at least 1")
    if not 0 < settings.learning_rate < float("inf"):
        raise ValueError(f"`--learning-rate {settings.learning_rate}`: pass a positive number")
    return settings


def _fill_in(settings: Train, usual: Mapping[str, Any]) -> Train:
    missing = {option: value for option, value in usual.items() if getattr(settings, option) is None}
    return dataclasses.replace(settings, **missing)


def dataset(settings: Train, data: names.Entry | None = None) -> "zoo.data.DataSet":
    """The examples; `data` is what `--data` stands for, if read already."""
    import jax.random as jr

    data = sources.find(settings) if data is None else data
    return data.get()(key=jr.fold_in(jr.key(settings.seed), 2))


def model(settings: Train, dataset: "zoo.data.DataSet") -> Any:
    """The model that the settings describe.

    **Raises:** `ValueError` of the library for parts that do not go together.
    """
    import equinox as eqx
    import jax.random as jr

    kind = names.look_up("model", settings)
    if "posterior" not in _parameters_of(kind) and settings.posterior != names.USUAL["posterior"]:
        raise ValueError(
            f"`--posterior {settings.posterior}`: a {settings.model} model has a posterior of its own; leave it out"
        )
    model_key, prior_key = jr.split(jr.fold_in(jr.key(settings.seed), 0))
    size = cast(int, settings.latent_size)
    options = {
        "likelihood": names.look_up("likelihood", settings),
        "posterior": posterior(settings, key=jr.fold_in(prior_key, 0)),
        "networks": networks(settings),
        "num_classes": dataset.classes and len(dataset.classes),
        "num_variables": size,
        "latent_size": size,
        "latent_sizes": (4 * size, size),
        "code_size": 2 * size,
        "key": model_key,
    }
    make = lambda prior: _construct(partial(kind, dataset.train.shape[1:]), options | {"prior": prior})
    chosen = prior(settings, dataset, key=prior_key)
    if not _fitted_after_training(settings):
        return make(chosen)
    eqx.filter_eval_shape(make, chosen)  # what does not fit is refused before training, and not after it
    return make(None)


def networks(settings: Train) -> Any:
    """The networks, of the width and with the normalisation that were chosen."""
    kind = names.look_up("networks", settings)
    if "norm" not in _parameters_of(kind) and settings.norm != "none":
        raise ValueError(f"`--norm {settings.norm}`: {settings.networks} networks have none; leave it out")
    return _construct(kind, {"width_size": settings.width_size, "norm": settings.norm})


def prior(settings: Train, dataset: "zoo.data.DataSet", *, key: Any) -> Any:
    """The prior that the settings describe."""
    options = {
        "model": settings.model,
        "latent_size": settings.latent_size,
        "condition_size": dataset.classes and len(dataset.classes),
        "pseudo_inputs": dataset.train[:COMPONENTS],
        "num_variables": settings.latent_size,
        "grid_shape": zoo.nn.grid_shape(dataset.train.shape[1:]) if dataset.train.ndim > 2 else (),
        "key": key,
    }
    return _construct(names.look_up("prior", settings), options)


def _fitted_after_training(settings: Train) -> bool:
    return "fitted after training" in names.PRIORS[cast(str, settings.prior)].traits


def posterior(settings: Train, *, key: Any) -> Any:
    """The family of posteriors; some are made for one size of the latents."""
    family = names.look_up("posterior", settings)
    if "latent_size" not in _parameters_of(family):
        return family
    return _construct(family, {"latent_size": settings.latent_size, "key": key})


def _construct(constructor: Callable, options: dict[str, Any]) -> Any:
    """Calls the constructor with those of the options that it takes, and that are not set already."""
    return constructor(**{name: value for name, value in options.items() if name in _parameters_of(constructor)})


def _parameters_of(constructor: Callable) -> set[str]:
    return inspect.signature(constructor).parameters.keys() - getattr(constructor, "keywords", {}).keys()


def observe(settings: Train, dataset: "zoo.data.DataSet") -> Callable:
    """What the model sees of an example; of a table whose columns were rounded, noise fills each column's own grid."""
    chosen = names.look_up("observe", settings)
    if settings.observe != "dequantise" or dataset.kind != "vectors" or not (step := grid(dataset)).any():
        return chosen
    return partial(chosen, step=step)


def grid(dataset: "zoo.data.DataSet") -> Any:
    """The grid of each column of the training data, 0 where there is none."""
    return zoo.data.find_grid(dataset.train)


def refit(settings: Train, model: Any, dataset: "zoo.data.DataSet", *, key: Any) -> Any:
    """The trained model; its prior is fitted to the latents of its encoder where training cannot do that so well."""
    import jax.random as jr

    examples: dict[str, Any] = dict(
        xs=dataset.train, ys=labels(model, dataset.train_labels), observe=observe(settings, dataset), key=key
    )
    if isinstance(model.prior, zoo.priors.MixtureOfNormals):
        return zoo.fit_prior(model, **examples, components=min(COMPONENTS, len(dataset.train)))
    start = prior(settings, dataset, key=jr.fold_in(key, 1))
    # The objective of a posterior without a density leaves the prior as it was.
    untrained = settings.posterior == "point" and settings.prior != "standard" and isinstance(model.prior, type(start))
    if untrained or _fitted_after_training(settings):
        return zoo.fit_prior(model, **examples, prior=start, progress=True)
    return model


def describe_choices(settings: Train, dataset: "zoo.data.DataSet") -> str:
    """The data, the model and the choices that are not usual with them, as they would be typed."""
    data = names.DATA.get(settings.data) or sources.describe(dataset)
    usual = resolve(Train(data=settings.data, model=settings.model), data)
    chosen = {option: getattr(settings, option) for option in names.KINDS}
    unusual = [f"--{option} {name}" for option, name in chosen.items() if name != getattr(usual, option)]
    return " ".join([f"--data {settings.data} --model {settings.model}", *unusual])


def labels(model: Any, labels: Any) -> Any:
    """The labels, where the model takes any."""
    return labels if isinstance(model, zoo.ConditionalVAE) else None


def objective(settings: Any) -> Callable:
    """The objective with the options that it takes, warmed up if asked for.

    **Raises:** `ValueError` where an option was given that it does not take, or one that it needs was not.
    """
    function, named = names.look_up("objective", settings), f"`--objective {settings.objective}`"
    takes = _options_of(function)
    options = {name for entry in names.OBJECTIVES.values() for name in _options_of(entry.get())}
    given = {name: value for name in options if (value := getattr(settings, name)) is not None}
    for name in sorted(given.keys() - takes):
        raise ValueError(f"{named} has no {name}; leave out `--{name} {given[name]}`, or choose another objective")
    for name in sorted(takes - given.keys()):
        raise ValueError(f"{named} needs its {name}; pass `--{name}`")
    if settings.warmup < 0:
        raise ValueError(f"`--warmup {settings.warmup}`: pass the number of steps, 0 for none")
    if settings.warmup:
        rising = "capacity" if "capacity" in given else "beta"
        if rising not in given:
            raise ValueError(f"{named} has nothing to warm up; leave out `--warmup {settings.warmup}`")
        schedule = zoo.objectives.linear_schedule(settings.warmup, stop=given.pop(rising))
        return zoo.objectives.scheduled(partial(function, **given), **{rising: schedule})
    return partial(function, **given) if given else function


def _options_of(objective: Callable) -> set[str]:
    """The options of `zoo train` that are parameters of the objective."""
    return inspect.signature(objective).parameters.keys() & {field.name for field in dataclasses.fields(Train)}


def penalties(settings: Any, examples: int) -> tuple[Callable, ...]:
    if settings.penalty is None:
        return ()
    penalty = names.look_up("penalty", settings)
    if isinstance(penalty, type):
        return (penalty(settings.penalty_weight),)
    if "dataset_size" in inspect.signature(penalty).parameters:
        penalty = partial(penalty, dataset_size=examples)
    return (lambda draws, *, key: settings.penalty_weight * penalty(draws, key=key),)
