import dataclasses
import functools
import inspect
import math
import types
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax.tree_util as jtu
import numpy as np

from ._file import DTYPES
from ._leaf import Array, build_array, describe_array
from ._names import SaveError, Trust, brief, constant, is_namedtuple_class, reference, resolve


# A path is (parent, name): joined only for a message or an array, as a long key under many leaves would
# otherwise be copied for each.
_KEYS = (str, int, bool, type(None), float)
_PARTIALS = {"functools.partial": functools.partial, "jax.tree_util.Partial": jtu.Partial}


def describe(value: Any, arrays: dict[str, Any], path: tuple = ()) -> Any:
    """Describe `value` as JSON, and put its arrays into `arrays` under their paths. `build` is the inverse.

    `jax.ShapeDtypeStruct` leaves are described as the arrays they stand for.
    """
    below = lambda name, child: describe(child, arrays, (path, name))
    listed = lambda children: [below(str(i), child) for i, child in enumerate(children)]
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, Array):
        return describe_array(value, join(path), arrays)
    if type(value) is tuple:
        return {"tuple": listed(value)}
    if type(value) is list:
        return {"list": listed(value)}
    if type(value) is dict:
        return {"dict": [[_key(key, path), below(str(key), child)] for key, child in value.items()]}
    if is_namedtuple_class(type(value)):
        name = constant(value)
        if name is not None:
            return {"name": name}
        fields = {name: below(name, child) for name, child in zip(value._fields, value)}
        return {"namedtuple": _reference(type(value), path), "fields": fields}
    if isinstance(value, types.MethodType):
        return _describe_method(value.__func__, value.__self__, path, below)
    if isinstance(value, eqx.Module):
        if {"__func__", "__self__"} <= set(vars(value)):  # what Equinox makes of a bound method
            return _describe_method(vars(value)["__func__"], vars(value)["__self__"], path, below)
        name = constant(value)
        return _describe_module(value, path, below) if name is None else {"name": name}
    for kind, partial in _PARTIALS.items():
        if type(value) is partial:
            return {
                "partial": kind,
                "function": below("function", value.func),
                "arguments": listed(value.args),
                "keywords": {key: below(key, child) for key, child in value.keywords.items()},
            }
    if isinstance(value, np.dtype):
        return {"dtype": value.name}
    if callable(value):
        return {"name": _reference(value, path)}
    raise SaveError(f"{join(path)} is a {type(value).__qualname__}, which has no form in a saved file")


def build(node: Any, arrays: dict[str, tuple], trust: Trust, finite: bool, path: tuple = ()) -> Any:
    """Build the value that `node` describes. It takes what it uses out of `arrays`, and runs no code of any class.

    With `finite`, arrays that hold NaN or infinity are refused.
    """
    below = lambda name, child: build(child, arrays, trust, finite, (path, name))
    listed = lambda children: [below(str(i), child) for i, child in enumerate(_expect(children, list, path))]
    if node is None or isinstance(node, bool | int | float | str):
        return node
    match _expect(node, dict, path):
        case {"float": "nan" | "inf" | "-inf" as text, **rest} if not rest:
            return float(text)
        case {"array": _, "kind": _, **_rest}:
            return build_array(node, join(path), arrays, finite)
        case {"tuple": children, **rest} if not rest:
            return tuple(listed(children))
        case {"list": children, **rest} if not rest:
            return listed(children)
        case {"dict": list(pairs), **rest} if not rest:
            pairs = [(pair[0], below(str(pair[0]), pair[1])) for pair in pairs if _is_pair(pair, path)]
            if len(dict(pairs)) != len(pairs):
                raise SaveError(f"{join(path)} has a key twice")
            return dict(pairs)
        case {"namedtuple": name, "fields": dict(fields), **rest} if not rest:
            cls = resolve(name, trust)
            if not is_namedtuple_class(cls):
                raise SaveError(f"{join(path)} is described as a NamedTuple, but {name} is none")
            _same_fields(name, list(fields), list(cls._fields), path)
            return tuple.__new__(cls, [below(name, child) for name, child in fields.items()])
        case {"module": name, "fields": dict(fields), "static": list(static), **rest} if not rest:
            return _build_module(name, fields, static, trust, path, below)
        case {"method": str(name), "of": owner, **rest} if not rest:
            self = below("self", owner)
            if not isinstance(self, eqx.Module) or not _is_method(type(self), name):
                raise SaveError(f"{join(path)}: {type(self).__qualname__} has no method {name:.80}")
            return getattr(self, name)
        case {
            "partial": kind,
            "function": inner,
            "arguments": arguments,
            "keywords": dict(keywords),
            **rest,
        } if not rest and kind in _PARTIALS:
            function = below("function", inner)
            if not callable(function):
                raise SaveError(f"{join(path)} binds arguments to something that is not a function")
            keywords = {key: below(key, child) for key, child in keywords.items()}
            return _PARTIALS[kind](function, *listed(arguments), **keywords)
        case {"dtype": str(name), **rest} if not rest and name in DTYPES:
            return np.dtype(name)
        case {"name": name, **rest} if not rest:
            return resolve(name, trust)
    raise SaveError(f"{join(path)} is described by {brief(list(node))}, which is not a form this version has")


def names(node: Any) -> Iterator[str]:
    """Yield every class and function that a description names."""
    if isinstance(node, list):
        for child in node:
            yield from names(child)
    elif isinstance(node, dict):
        for form, child in node.items():
            if form in ("module", "namedtuple", "name"):
                yield child
            else:
                # The keys below these two are names of fields, not forms.
                children = list(child.values()) if form in ("fields", "keywords") else child
                yield from names(children)


def join(path: tuple) -> str:
    """Join a path by dots, as `layers.0.weight`; the root is called `tree`."""
    names: list[str] = []
    while path:
        path, name = path
        names.append(name)
    return ".".join(reversed(names)) or "tree"


def _describe_method(function: Any, owner: Any, path: tuple, below: Callable) -> dict[str, Any]:
    name = function.__name__
    if not isinstance(owner, eqx.Module) or inspect.getattr_static(type(owner), name, None) is not function:
        raise SaveError(f"{join(path)} is the method {name} of something that does not have it in its class")
    return {"method": name, "of": below("self", owner)}


def _describe_module(value: eqx.Module, path: tuple, below: Callable) -> dict[str, Any]:
    cls = type(value)
    fields = {}
    for field in dataclasses.fields(cls):
        if field.name not in vars(value):
            raise SaveError(f"{join((path, field.name))} was never set")
        child = vars(value)[field.name]
        default = inspect.isfunction(child) and {"name": _reference(child, (path, field.name), cls, field.name)}
        fields[field.name] = default or below(field.name, child)
    return {"module": _reference(cls, path), "fields": fields, "static": static_fields(cls)}


def _build_module(
    name: Any, fields: dict[str, Any], static: list[str], trust: Trust, path: tuple, below: Callable
) -> eqx.Module:
    cls = resolve(name, trust)
    if not (isinstance(cls, type) and issubclass(cls, eqx.Module)) or inspect.isabstract(cls):
        raise SaveError(f"{join(path)} is described as a Module, but {name} is not one that can be made")
    _same_fields(name, list(fields), [field.name for field in dataclasses.fields(cls)], path)
    if static != static_fields(cls):
        raise SaveError(f"{join(path)}: the file has static fields {static}, {name} has {static_fields(cls)}")
    # As `jax.tree_util.tree_unflatten` does it: neither `__init__` nor `__check_init__` is called.
    value = object.__new__(cls)
    for field, child in fields.items():
        object.__setattr__(value, field, below(field, child))
    return value


def static_fields(cls: type) -> list[str]:
    """The fields of a Module that are no leaves."""
    return [field.name for field in dataclasses.fields(cls) if field.metadata.get("static", False)]  # pyright: ignore


def _same_fields(name: str, saved: list[str], present: list[str], path: tuple) -> None:
    # The order counts: an optimiser may have flattened the fields in it.
    if saved != present:
        raise SaveError(
            f"{join(path)}: the file has fields {str(saved)[:300]}, but {name} has fields "
            f"{str(present)[:300]}; load it with the release that wrote it"
        )


def _is_method(cls: type, name: str) -> bool:
    return (name == "__call__" or not name.startswith("__")) and inspect.isfunction(
        inspect.getattr_static(cls, name, None)
    )


def _reference(value: Any, path: tuple, owner: type | None = None, field: str = "") -> str:
    try:
        return reference(value, owner, field)
    except SaveError as error:
        raise SaveError(f"{join(path)}: {error}") from None


def _key(key: Any, path: tuple) -> Any:
    if type(key) not in _KEYS or (type(key) is float and not math.isfinite(key)):
        raise SaveError(f"{join(path)} has the key {brief(key)}; keys are str, int, float, bool or None")
    return key


def _is_pair(pair: Any, path: tuple) -> bool:
    if not isinstance(pair, list) or len(pair) != 2:
        raise SaveError(f"{join(path)} has something that is not a pair of key and value")
    _key(pair[0], path)
    return True


def _expect(node: Any, kind: type, path: tuple) -> Any:
    if not isinstance(node, kind):
        raise SaveError(f"{join(path)} is described by {brief(node)}, not by a {kind.__name__}")
    return node
