import hashlib
import io
import json
import os
import pickle
import zipfile
from typing import Any

import numpy as np


class Bomb:
    """Leaves a file behind when something unpickles it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def seal(header: Any, payload: bytes = b"", length: int | None = None) -> bytes:
    """A file with a correct checksum, whatever else is wrong with it: as an attacker would make it."""
    if isinstance(header, dict):
        metadata = {"sha256": "0" * 64, "format": "zoo", "version": "1"} | header.pop("__metadata__", {})
        header = json.dumps({"__metadata__": metadata} | header, separators=(",", ":")).encode()
    data = (len(header) if length is None else length).to_bytes(8, "little") + header + payload
    at = data.index(b"0" * 64)
    return data[:at] + hashlib.sha256(data).hexdigest().encode() + data[at + 64 :]


def describing(manifest: Any, header: dict[str, Any] | None = None, payload: bytes = b"") -> bytes:
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    return seal({"__metadata__": {"manifest": text}} | (header or {}), payload)


def tensor(shape: list[int], start: int, stop: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def array(name: str, shape: list[int], dtype: str = "float32", **changes: Any) -> dict[str, Any]:
    return {"array": name, "kind": "jax", "dtype": dtype, "shape": shape} | changes


def numpy_file(value: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, value, allow_pickle=True)
    return buffer.getvalue()


def zip_file() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../model.safetensors", b"\0" * 10**7)
    return buffer.getvalue()


def named(name: str) -> bytes:
    return describing({"name": name})


def partial(name: str, *arguments: Any) -> dict[str, Any]:
    return {
        "partial": "functools.partial",
        "function": {"name": name},
        "arguments": [*arguments],
        "keywords": {},
    }


FOUR = {"array": "tree", "kind": "jax", "dtype": "float32", "shape": [4]}
LINEAR = {"weight": None, "bias": None, "in_features": 1, "out_features": 1, "use_bias": False}
STATIC = ["in_features", "out_features", "use_bias"]
HUGE = 10**10

HOSTILE = {
    "empty": lambda: b"",
    "short": lambda: b"\x10",
    "zeros": lambda: b"\0" * 4096,
    "pickle": lambda: pickle.dumps(Bomb("executed")),
    "object array": lambda: numpy_file(np.array([Bomb("executed")], object)),
    "zip": zip_file,
    "script": lambda: b"#!/bin/sh\nmkdir executed\n",
    "foreign safetensors": lambda: (2).to_bytes(8, "little") + b"{}",
    "header of 2^63 bytes": lambda: seal(b'{"__metadata__":{"sha256":"' + b"0" * 64, length=2**63),
    "header of 2^32 bytes": lambda: seal({"__metadata__": {"manifest": "1"}}, length=2**32),
    "header of 16 MB": lambda: describing("[" + "0," * 2**23 + "0]"),
    "header that ends early": lambda: seal({"__metadata__": {"manifest": "1"}}, length=100),
    "header not JSON": lambda: seal(b'{"__metadata__":{"sha256":"' + b"0" * 64 + b'"'),
    "header not UTF-8": lambda: seal(b'{"__metadata__":{"sha256":"' + b"0" * 64 + b'","\xff":""}}'),
    "header a deep list": lambda: seal(b'{"__metadata__":{"sha256":"' + b"0" * 64 + b'"},"a":' + b"[" * 10**6),
    "no manifest": lambda: seal({}),
    "manifest not a string": lambda: seal({"__metadata__": {"manifest": [1]}}),
    "manifest not JSON": lambda: describing("{'a':"),
    "manifest NaN": lambda: describing("NaN"),
    "manifest a long number": lambda: describing("1" * 10**6),
    "deep lists": lambda: describing("[" * 10**6),
    "deep closed lists": lambda: describing('{"list":[' * 10**5 + "]}" * 10**5),
    "deep tuples": lambda: describing('{"tuple":[' * 900 + "]}" * 900 + " "),
    "deep objects": lambda: describing('{"a":' * 10**5 + "1" + "}" * 10**5),
    "wide lists": lambda: describing("[" + "[]," * 650000 + "[]]"),
    "long key": lambda: describing({"dict": [["k" * 2**20, {"list": [[]] * 10**5}]]}),
    "other version": lambda: seal({"__metadata__": {"version": "99", "manifest": "1"}}),
    "other format": lambda: seal({"__metadata__": {"format": "pt", "manifest": "1"}}),
    "ten billion elements": lambda: describing(
        array("tree", [HUGE]), {"tree": tensor([HUGE], 0, 4 * HUGE)}, b"\0" * 64
    ),
    "ten billion elements in no bytes": lambda: describing(array("tree", [HUGE]), {"tree": tensor([HUGE], 0, 0)}),
    "described as ten billion": lambda: describing(array("tree", [HUGE]), {"tree": tensor([4], 0, 16)}, b"\0" * 16),
    "overflowing shape": lambda: describing(array("tree", [2**62, 0, 8]), {"tree": tensor([2**62, 0, 8], 0, 0)}),
    "a hundred dimensions": lambda: describing(array("tree", [1] * 100), {"tree": tensor([1] * 100, 0, 4)}, b"\0" * 4),
    "overlap": lambda: describing(
        {"list": [array("0", [4]), array("1", [4])]},
        {"0": tensor([4], 0, 16), "1": tensor([4], 8, 24)},
        b"\0" * 24,
    ),
    "gap": lambda: describing(FOUR, {"tree": tensor([4], 8, 24)}, b"\0" * 24),
    "trailing bytes": lambda: describing(FOUR, {"tree": tensor([4], 0, 16)}, b"\0" * 24),
    "negative offset": lambda: describing(FOUR, {"tree": tensor([4], -16, 0)}, b"\0" * 16),
    "negative shape": lambda: describing(FOUR, {"tree": tensor([-4], 0, 16)}, b"\0" * 16),
    "unknown dtype": lambda: describing(FOUR, {"tree": tensor([4], 0, 16, "O8")}, b"\0" * 16),
    "other dtype": lambda: describing(FOUR, {"tree": tensor([4], 0, 16, "I32")}, b"\0" * 16),
    "path as a name": lambda: describing(
        array("../../etc/passwd", [4]), {"../../etc/passwd": tensor([4], 0, 16)}, b"\0" * 16
    ),
    "unreferenced array": lambda: describing(1, {"../x": tensor([4], 0, 16)}, b"\0" * 16),
    "array used twice": lambda: describing({"list": [FOUR, FOUR]}, {"tree": tensor([4], 0, 16)}, b"\0" * 16),
    "swapped arrays": lambda: describing(
        {"list": [array("1", [1]), array("0", [1])]},
        {"0": tensor([1], 0, 4), "1": tensor([1], 4, 8)},
        b"\0" * 8,
    ),
    "missing array": lambda: describing(FOUR),
    "NaN weights": lambda: describing(FOUR, {"tree": tensor([4], 0, 16)}, b"\xff" * 16),
    "truth beyond 1": lambda: describing(array("tree", [4], "bool"), {"tree": tensor([4], 0, 4, "BOOL")}, b"\2" * 4),
    "key of another size": lambda: describing(
        array("tree", [3], "uint32", kind="key", implementation="threefry2x32"),
        {"tree": tensor([3], 0, 12, "U32")},
        b"\0" * 12,
    ),
    "unknown key": lambda: describing(
        array("tree", [2], "uint32", kind="key", implementation="os.system"),
        {"tree": tensor([2], 0, 8, "U32")},
        b"\0" * 8,
    ),
    "unknown form": lambda: describing({"eval": "1"}),
    "more in a form": lambda: describing({"tuple": [], "eval": "1"}),
    "float by name": lambda: describing({"float": "1e3"}),
    "key twice": lambda: describing({"dict": [["a", 1], ["a", 2]]}),
    "key not hashable": lambda: describing({"dict": [[[], 1]]}),
    "key a tuple": lambda: describing({"dict": [[{"tuple": []}, 1]]}),
    "pair of three": lambda: describing({"dict": [["a", 1, 2]]}),
    "os.system": lambda: describing(partial("os:system", "mkdir executed")),
    "builtins": lambda: describing(partial("builtins:exec", "import os; os.mkdir('executed')")),
    "through a module": lambda: describing(partial("jax._src.api:sys.modules", "os")),
    "os inside a package": lambda: describing(partial("zoo.files._file:os.mkdir", "executed")),
    "a module": lambda: named("zoo.files._file:os"),
    "jnp.load": lambda: describing(partial("jax.numpy:load", "x.npy")),
    "jnp.save": lambda: describing(partial("jax.numpy:save", "executed")),
    "save": lambda: describing(partial("zoo.files._save:save", "executed", 1)),
    "equinox writes": lambda: describing(partial("equinox:tree_serialise_leaves", "executed", 1)),
    "callback": lambda: describing(partial("jax:pure_callback", {"name": "os:getpid"})),
    "a profiler": lambda: describing(partial("jax.profiler:start_trace", "executed")),
    "a class of jax": lambda: named("jax.profiler:StepTraceAnnotation"),
    "main": lambda: named("zoo.__main__:main"),
    "an import with effects": lambda: named("this:d"),
    "a module not imported": lambda: named("jax.collect_profile:main"),
    "no such module": lambda: named("zoo.nothing:Nothing"),
    "no such name": lambda: named("equinox.nn:Nothing"),
    "dunder": lambda: named("equinox.nn:Linear.__init__"),
    "dots": lambda: named("..os:system"),
    "slashes": lambda: named("../../os:system"),
    "spaces": lambda: named("zoo:save\n"),
    "a name that is a number": lambda: named(1),  # pyright: ignore
    "a long name": lambda: named("zoo:" + "a" * 10**6),
    "a function as a class": lambda: describing({"module": "jax.nn:relu", "fields": {}, "static": []}),
    "tuple as a class": lambda: describing({"namedtuple": "builtins:tuple", "fields": {}}),
    "NamedTuple as a Module": lambda: describing({"module": "optax:EmptyState", "fields": {}, "static": []}),
    "Module as a NamedTuple": lambda: describing({"namedtuple": "equinox.nn:Linear", "fields": LINEAR}),
    "abstract class": lambda: describing({"module": "equinox:Enumeration", "fields": {}, "static": []}),
    "missing field": lambda: describing({"module": "equinox.nn:Linear", "fields": {"weight": None}, "static": STATIC}),
    "field too many": lambda: describing(
        {"module": "equinox.nn:Linear", "fields": LINEAR | {"__class__": None}, "static": STATIC}
    ),
    "static not static": lambda: describing({"module": "equinox.nn:Linear", "fields": LINEAR, "static": ["weight"]}),
    "property as a method": lambda: describing(
        {"method": "__reduce__", "of": {"module": "equinox.nn:Linear", "fields": LINEAR, "static": STATIC}}
    ),
    "method of a number": lambda: describing({"method": "bit_length", "of": 1}),
    "partial of a number": lambda: describing(partial("jax.nn:relu") | {"function": 1}),
    "partial of an unknown kind": lambda: describing(partial("jax.nn:relu") | {"partial": "os.system"}),
    "object dtype": lambda: describing({"dtype": "object"}),
    "a default that is no function": lambda: named("equinox.nn:MLP(scan)"),
}


GOOD = json.dumps(
    {
        "list": [
            {"module": "equinox.nn:Linear", "fields": LINEAR, "static": STATIC},
            {"namedtuple": "optax:ScaleByAdamState", "fields": {"count": 1, "mu": 1.5, "nu": None}},
            partial("jax.nn:gelu", True),
            {"dict": [["a", {"tuple": [1, {"float": "inf"}]}], [1, {"dtype": "int8"}]]},
            {"name": "equinox.nn:MLP(final_activation)"},
            {
                "method": "__call__",
                "of": {"module": "equinox.nn:Linear", "fields": LINEAR, "static": STATIC},
            },
        ]
    }
)
