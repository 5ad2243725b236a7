import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
import optax
import pytest
from hostile_files import FOUR, GOOD, HOSTILE, LINEAR, STATIC, describing, partial, seal, tensor
from hypothesis import given, settings, strategies as st

from zoo.files._save import load, save


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
from zoo.files._save import load

os.chdir(sys.argv[1])
load("good")
events = []
watched = ("exec", "compile", "import", "pickle.find_class", "marshal.loads", "os.system", "os.exec")
watched += ("subprocess.Popen", "os.mkdir", "os.fork", "os.remove", "socket.connect", "ctypes.dlopen")
sys.addaudithook(lambda event, args: events.append((event, args)) if event in watched else None)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
slowest = (0.0, "")
for name in sorted(glob.glob("*.hostile")):
    start = time.process_time()  # of this process: how busy the machine is does not count
    try:
        load(name)
    except ValueError:
        pass
    else:
        events.append(("accepted", name))
    slowest = max(slowest, (time.process_time() - start, name))
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
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(NAMES)
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


def test_the_good_description_is_good(tmp_path):
    (tmp_path / "file").write_bytes(describing(GOOD))
    assert len(load(tmp_path / "file")) == 6
