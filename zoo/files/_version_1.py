"""Descriptions of files of version 1, in which sizes, names and functions were leaves of a model."""

from typing import Any

from ._manifest import static_fields
from ._names import Trust, resolve


# Fields whose function or class a model now holds in a module of its own, with nothing but arrays among its leaves.
_NETWORKS = ("encoder", "decoder", "network", "activation")


def upgrade(node: Any, trust: Trust) -> Any:
    """The same tree as this version describes it."""
    if isinstance(node, list):
        return [upgrade(child, trust) for child in node]
    if not isinstance(node, dict):
        return node
    node = {form: upgrade(child, trust) for form, child in node.items()}
    if node.get("namedtuple") == "zoo.likelihoods:Likelihood":
        fields = node["fields"] | {"integer_unit": None, "learns_scale": False, "wide": False, "marginals": None}
        return {"module": node["namedtuple"], "fields": fields, "static": list(fields)}
    if str(node.get("module")).startswith("zoo.") and isinstance(node.get("fields"), dict):
        node["static"] = static_fields(resolve(node["module"], trust))
        _upgrade_fields(node["module"], node["fields"])
    return node


def _upgrade_fields(module: str, fields: dict[str, Any]) -> None:
    for field in _NETWORKS:
        if field in fields:
            fields[field] = _partitioned(fields[field])
    if _is_name(fields.get("family")):
        kind = {"kind": fields["family"], "log_scales": None}
        fields["family"] = {"module": "zoo.posteriors:Family", "fields": kind, "static": list(kind)}
    if module in ("zoo.posteriors:LowRankFamily", "zoo.posteriors:FlowPosterior"):
        fields["log_scales"] = None  # had no bounds
    if module == "zoo.nn:Sequential":
        fields["layers"] = {"tuple": [_partitioned(layer) for layer in fields["layers"]["tuple"]]}
    if module == "zoo.train:TrainState":
        fields["opt_state"] = _with_static_fields_of(fields["model"], fields["opt_state"])


def _partitioned(node: Any) -> Any:
    """A function in an `nn.Partitioned`; a module as it is."""
    fields = {"parameters": None, "rest": node}
    return {"module": "zoo.nn:Partitioned", "fields": fields, "static": ["rest"]} if _is_name(node) else node


def _is_name(node: Any) -> bool:
    return isinstance(node, dict) and "name" in node


def _with_static_fields_of(model: Any, state: Any) -> Any:
    """An optimiser's state, whose modules have `null` where the model has no array, with what the model has there."""
    if isinstance(state, dict) and state.get("module") == model["module"]:
        return _filled(state, model)
    if isinstance(state, dict):
        return {form: _with_static_fields_of(model, child) for form, child in state.items()}
    return [_with_static_fields_of(model, child) for child in state] if isinstance(state, list) else state


def _filled(node: Any, like: Any) -> Any:
    if node is None:
        return None if isinstance(like, dict) and "array" in like else like
    if isinstance(node, dict) and isinstance(like, dict) and "array" not in node:
        return {form: _filled(child, like.get(form)) for form, child in node.items()}
    if isinstance(node, list) and isinstance(like, list):
        return [_filled(child, other) for child, other in zip(node, like, strict=True)]
    return node
