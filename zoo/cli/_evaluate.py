import json
from typing import Any

from . import _build as build, _names as names, _run as runs
from ._arguments import Evaluate, Train


def evaluate(arguments: Evaluate) -> None:
    chosen = [_metric(name) for name in arguments.metrics]
    settings, model, dataset = runs.open_run(arguments.run)
    if arguments.split == "train":
        dataset = dataset._replace(test=dataset.train, test_labels=dataset.train_labels)
    if arguments.examples is not None:
        if arguments.examples < 1:
            raise ValueError(f"`--examples {arguments.examples}`: pass at least 1")
        dataset = dataset.first(arguments.examples)
    if arguments.k < 1:
        raise ValueError(f"`--k {arguments.k}`: pass at least 1")
    evaluation = measure(settings, model, dataset, arguments, chosen)
    runs.write_json(arguments.run / "evaluation.json", evaluation)
    print(json.dumps(evaluation, indent=2) if arguments.json else f"{table(evaluation, [])}\n{_made(evaluation)}")


def _metric(name: str) -> str:
    """The name as the command line writes it; that of the library's function does too."""
    name = name.replace("_", "-")
    names.check("metrics", name, names.METRICS)
    return name


def measure(
    settings: Train, model: Any, dataset: build.Dataset, arguments: Evaluate, chosen: list[str] | None = None
) -> dict[str, Any]:
    """Means over the examples, each with its standard error."""
    import jax.random as jr

    from . import _metrics as metrics

    examples = dict(
        xs=dataset.test,
        ys=build.labels(settings, dataset.test_labels),
        observe=build.observe(settings),
        key=jr.key(arguments.seed),
    )
    # A density of pixels that were not dequantised has no bits.
    bits = dataset.is_images and (settings.observe == "dequantise") == (model.likelihood.measure == "lebesgue")
    run = metrics.Measured(model, examples, arguments.k, bits, dataset.log_density, not arguments.json)
    if chosen:
        functions = [names.METRICS[name].get() for name in chosen]
    else:
        functions = [metrics.reconstruction if settings.posterior == "point" else metrics.log_likelihood]
    return {
        "metrics": {name: row._asdict() for name, row in metrics.together(functions, run).items()},
        "split": arguments.split,
        "examples": len(dataset.test),
        "k": arguments.k,
        "seed": arguments.seed,
        "data": settings.data,
        "observe": settings.observe,
        "command": runs.command(),
        "versions": runs.versions(),
    }


def _made(evaluation: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in evaluation["versions"].items())
    return f"k = {evaluation['k']}, seed {evaluation['seed']}; {evaluation['command']}\n{versions}"


def of_split(evaluation: dict[str, Any]) -> str:
    """What the examples measured were to the model."""
    return "training" if evaluation.get("split") == "train" else "held-out"


def table(evaluation: dict[str, Any], more: list[tuple[str, str]]) -> str:
    lines = []
    for name, value in evaluation["metrics"].items():
        error = "" if value["standard_error"] is None else f" +- {value['standard_error']:.3g}"
        lines.append((name, f"{value['mean']:.6g}{error} {value['unit']}"))
    width = max(len(name) for name, _ in lines + more)
    head = f"{evaluation['examples']:,} {of_split(evaluation)} examples of {evaluation['data']}"
    return "\n".join([head, *(f"  {name:<{width}}  {value}" for name, value in lines + more)])
