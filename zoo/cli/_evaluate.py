import json
import math
from typing import Any

from . import _build as build, _run as runs
from ._arguments import Evaluate, Train


def evaluate(arguments: Evaluate) -> None:
    settings, model, dataset = runs.open_run(arguments.run)
    if arguments.examples is not None:
        if arguments.examples < 1:
            raise ValueError(f"`--examples {arguments.examples}`: pass at least 1")
        dataset = dataset.first(arguments.examples)
    if arguments.k < 1:
        raise ValueError(f"`--k {arguments.k}`: pass at least 1")
    evaluation = measure(settings, model, dataset, arguments)
    runs.write_json(arguments.run / "evaluation.json", evaluation)
    print(json.dumps(evaluation, indent=2) if arguments.json else table(evaluation, []))


def measure(settings: Train, model: Any, dataset: build.Dataset, arguments: Evaluate) -> dict[str, Any]:
    """Means over the held-out examples, each with its standard error."""
    import jax
    import jax.random as jr

    import zoo

    observe = build.observe(settings)
    key = jr.key(arguments.seed)
    examples: dict[str, Any] = dict(
        xs=dataset.test, ys=build.labels(settings, dataset.test_labels), observe=observe, key=key
    )
    if settings.posterior == "point":
        # No density, no bound: there is nothing else to say in nats.
        reconstruction = zoo.bound(model, **examples, objective=zoo.objectives.reconstruction, k=1)
        return _record({"log p(x | z), no bound": reconstruction}, settings, dataset, arguments)
    elbo = zoo.bound(model, **examples, objective=zoo.objectives.elbo, k=1)
    log_likelihood = zoo.log_likelihood(model, **examples, k=arguments.k, progress=not arguments.json)
    rows: dict[str, Any] = {"elbo": elbo, f"log_likelihood (k={arguments.k})": log_likelihood}
    # A density of pixels that were not dequantised has no bits.
    if dataset.is_images and (settings.observe == "dequantise") == (model.likelihood.measure == "lebesgue"):
        rows["bits per dimension"] = zoo.likelihoods.bits_per_dimension(
            log_likelihood, math.prod(model.data_shape), measure=model.likelihood.measure
        )
    if dataset.log_density is not None:
        truth = jax.vmap(dataset.log_density)(dataset.test)
        rows["KL(true || model)"] = truth - log_likelihood
    return _record(rows, settings, dataset, arguments)


def _record(rows: dict[str, Any], settings: Train, dataset: build.Dataset, arguments: Evaluate) -> dict[str, Any]:
    import numpy as np

    values = {name: np.asarray(row, np.float64) for name, row in rows.items()}
    return {
        "metrics": {
            name: {
                "mean": float(row.mean()),
                "standard_error": float(row.std(ddof=1) / math.sqrt(len(row))) if len(row) > 1 else None,
                "unit": "bits" if name.startswith("bits") else "nats",
            }
            for name, row in values.items()
        },
        "examples": len(dataset.test),
        "k": arguments.k,
        "seed": arguments.seed,
        "data": settings.data,
        "observe": settings.observe,
        "command": runs.command(),
        "versions": runs.versions(),
    }


def table(evaluation: dict[str, Any], more: list[tuple[str, str]]) -> str:
    lines = []
    for name, value in evaluation["metrics"].items():
        error = "" if value["standard_error"] is None else f" +- {value['standard_error']:.3g}"
        lines.append((name, f"{value['mean']:.6g}{error} {value['unit']}"))
    width = max(len(name) for name, _ in lines + more)
    head = f"{evaluation['examples']:,} held-out examples of {evaluation['data']}"
    return "\n".join([head, *(f"  {name:<{width}}  {value}" for name, value in lines + more)])
