import hashlib
import io
import json
import os
import pickle
import random
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
import optax
import pytest
from hypothesis import given, settings, strategies as st

from zoo.train._save import load, save


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
    "header a deep list": lambda: seal(
        b'{"__metadata__":{"sha256":"' + b"0" * 64 + b'"},"a":' + b"[" * 10**6
    ),
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
    "ten billion elements in no bytes": lambda: describing(
        array("tree", [HUGE]), {"tree": tensor([HUGE], 0, 0)}
    ),
    "described as ten billion": lambda: describing(
        array("tree", [HUGE]), {"tree": tensor([4], 0, 16)}, b"\0" * 16
    ),
    "overflowing shape": lambda: describing(
        array("tree", [2**62, 0, 8]), {"tree": tensor([2**62, 0, 8], 0, 0)}
    ),
    "a hundred dimensions": lambda: describing(
        array("tree", [1] * 100), {"tree": tensor([1] * 100, 0, 4)}, b"\0" * 4
    ),
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
    "truth beyond 1": lambda: describing(
        array("tree", [4], "bool"), {"tree": tensor([4], 0, 4, "BOOL")}, b"\2" * 4
    ),
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
    "os inside a package": lambda: describing(partial("zoo.train._file:os.mkdir", "executed")),
    "a module": lambda: named("zoo.train._file:os"),
    "jnp.load": lambda: describing(partial("jax.numpy:load", "x.npy")),
    "jnp.save": lambda: describing(partial("jax.numpy:save", "executed")),
    "save": lambda: describing(partial("zoo.train._save:save", "executed", 1)),
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
    "missing field": lambda: describing(
        {"module": "equinox.nn:Linear", "fields": {"weight": None}, "static": STATIC}
    ),
    "field too many": lambda: describing(
        {"module": "equinox.nn:Linear", "fields": LINEAR | {"__class__": None}, "static": STATIC}
    ),
    "static not static": lambda: describing(
        {"module": "equinox.nn:Linear", "fields": LINEAR, "static": ["weight"]}
    ),
    "property as a method": lambda: describing(
        {"method": "__reduce__", "of": {"module": "equinox.nn:Linear", "fields": LINEAR, "static": STATIC}}
    ),
    "method of a number": lambda: describing({"method": "bit_length", "of": 1}),
    "partial of a number": lambda: describing(partial("jax.nn:relu") | {"function": 1}),
    "partial of an unknown kind": lambda: describing(partial("jax.nn:relu") | {"partial": "os.system"}),
    "object dtype": lambda: describing({"dtype": "object"}),
    "a default that is no function": lambda: named("equinox.nn:MLP(scan)"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_bytes(HOSTILE[name]())
    with pytest.raises(ValueError) as caught:
        load("file")
    assert str(caught.value).startswith("`load('file')`: ") and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert os.listdir() == ["file"]


def test_the_forger_can_forge(tmp_path):
    """The files above are refused for what is wrong with them, not because `seal` makes no good ones."""
    forged = describing(FOUR, {"tree": tensor([4], 0, 16)}, np.arange(4, dtype=np.float32).tobytes())
    (tmp_path / "file").write_bytes(forged)
    np.testing.assert_array_equal(load(tmp_path / "file"), np.arange(4, dtype=np.float32))
    linear = {"module": "equinox.nn:Linear", "fields": LINEAR, "static": STATIC}
    (tmp_path / "file").write_bytes(describing({"list": [linear, partial("jax.nn:relu", 1)]}))
    assert load(tmp_path / "file")[0].in_features == 1


def test_directories_pipes_and_devices_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ValueError, match="not a file"):
            load(path)


MEASURE = """
import glob, json, os, resource, sys, time
import zoo, equinox, jax, optax
from zoo.train._save import load

os.chdir(sys.argv[1])
load("good")
events = []
watched = ("exec", "compile", "import", "pickle.find_class", "marshal.loads", "os.system", "os.exec")
watched += ("subprocess.Popen", "os.mkdir", "os.fork", "os.remove", "socket.connect", "ctypes.dlopen")
sys.addaudithook(lambda event, args: events.append((event, args)) if event in watched else None)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
slowest = (0.0, "")
for name in sorted(glob.glob("*.hostile")):
    start = time.perf_counter()
    try:
        load(name)
    except ValueError:
        pass
    else:
        events.append(("accepted", name))
    slowest = max(slowest, (time.perf_counter() - start, name))
events = [event for event in events if not (event[0] == "import" and event[1][0].startswith("zoo."))]
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([slowest, before / 1024, after / 1024, [repr(event)[:200] for event in events]]))
"""


def test_hostile_files_take_no_time_no_memory_and_run_nothing(tmp_path):
    save(tmp_path / "good", eqx.nn.MLP(2, 2, 2, 1, key=jr.key(0)))
    for i, make in enumerate(HOSTILE.values()):
        (tmp_path / f"{i}.hostile").write_bytes(make())
    done = subprocess.run([sys.executable, "-c", MEASURE, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (seconds, name), before, after, events = json.loads(done.stdout)
    assert events == []
    assert seconds < 1, f"{list(HOSTILE)[int(name.split('.')[0])]} takes {seconds} s"
    # What jax itself takes is there before the first file.
    assert after - before < 300, (before, after)


def small_state() -> Any:
    model = eqx.nn.MLP(3, 2, 4, 1, activation=jax.nn.selu, key=jr.key(0))
    return model, optax.adam(1e-3).init(eqx.filter(model, eqx.is_inexact_array)), jr.key(1)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "state"
    save(path, small_state())
    return path.read_bytes()


def refused(path: Path, data: bytes) -> bool:
    path.write_bytes(data)
    try:
        load(path)
    except ValueError:
        return True
    return False


def test_truncations_are_all_refused(good, tmp_path):
    random.seed(0)
    points = random.sample(range(len(good)), min(len(good), 480)) + [
        *range(10),
        *range(len(good) - 10, len(good)),
    ]
    assert all(refused(tmp_path / "file", good[:point]) for point in points)
    assert refused(tmp_path / "file", good + b"\0")
    assert not refused(tmp_path / "file", good)


def test_bit_flips_are_all_refused(good, tmp_path):
    random.seed(1)
    length = int.from_bytes(good[:8], "little")
    # As many in the description as in the payload, and every bit of the first forty bytes.
    places = [random.randrange(8 * 8, 8 * (8 + length)) for _ in range(300)]
    places += [random.randrange(8 * (8 + length), 8 * len(good)) for _ in range(300)]
    for place in [*places, *range(320)]:
        flipped = bytearray(good)
        flipped[place // 8] ^= 1 << place % 8
        assert refused(tmp_path / "file", bytes(flipped)), place


def test_swapped_zeroed_and_shifted_blocks_are_refused(good, tmp_path):
    random.seed(2)
    for _ in range(100):
        a, b = sorted(random.sample(range(len(good)), 2))
        for damaged in (
            good[:a] + b"\0" * (b - a) + good[b:],
            good[:a] + good[b:],
            good[:a] + good[a:b] * 2 + good[b:],
        ):
            assert damaged == good or refused(tmp_path / "file", damaged)


def load_bytes(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "file"
        path.write_bytes(data)
        try:
            load(path)
        except ValueError as error:
            assert str(error).startswith("`load(")


PREFIX = b'{"__metadata__":{"sha256":"' + b"0" * 64 + b'"'
FORMS = "module namedtuple fields static tuple list dict array kind dtype shape name method of float".split()
NAMES = [
    "equinox.nn:Linear",
    "jax.nn:relu",
    "optax:EmptyState",
    "zoo:save",
    "os:system",
    "jax",
    "float32",
    "inf",
    "",
]
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(NAMES)
)
NODES = st.recursive(
    LEAVES,
    lambda node: st.lists(node, max_size=4) | st.dictionaries(st.sampled_from(FORMS), node, max_size=4),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(data):
    load_bytes(data)
    load_bytes(seal(PREFIX + data))


@settings(max_examples=150, deadline=None)
@given(NODES, st.binary(max_size=16))
def test_any_description(node, payload):
    load_bytes(describing(node))
    load_bytes(describing(node, {"tree": tensor([len(payload)], 0, len(payload), "U8")}, payload))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_change_to_a_good_description(data):
    """One node of a good description replaced by anything, under a correct checksum."""
    manifest = json.loads(GOOD)
    node, place = {"root": manifest}, "root"
    for _ in range(data.draw(st.integers(0, 8))):
        child = node[place]
        if not isinstance(child, dict | list) or not child:
            break
        places = list(child) if isinstance(child, dict) else range(len(child))
        node, place = child, data.draw(st.sampled_from(places))
    if data.draw(st.booleans()) and isinstance(node, dict):
        del node[place]
    else:
        node[place] = data.draw(NODES)
    load_bytes(describing(manifest))


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


def test_the_good_description_is_good(tmp_path):
    (tmp_path / "file").write_bytes(describing(GOOD))
    assert len(load(tmp_path / "file")) == 6
