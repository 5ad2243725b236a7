import functools
import json
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import ml_dtypes
import numpy as np
import optax
import pytest
import safetensors.numpy
from jaxtyping import Array

import zoo
from zoo import likelihoods
from zoo.files import _file
from zoo.files._save import load, save


HERE = Path(__file__).parent


def scaled_tanh(x, scale):
    return scale * jnp.tanh(x)


class Scores(NamedTuple):
    best: float
    history: tuple


class Net(eqx.Module):
    a: Array
    b: Array
    activation: Callable
    size: int = eqx.field(static=True)

    def __check_init__(self):
        raise AssertionError("a constructor was called")

    def twice(self, x):
        return 2 * x


def make(cls: type, **fields: Any) -> Any:
    net = object.__new__(cls)
    for name, value in fields.items():
        object.__setattr__(net, name, value)
    return net


def net(**changes: Any) -> Net:
    fields = dict(a=jnp.arange(2.0), b=jnp.ones(2), activation=jax.nn.selu, size=2)
    return make(Net, **(fields | changes))


def assert_identical(a: Any, b: Any) -> None:
    """Same structure, same types, same bits."""
    leaves, structure = jax.tree.flatten(a)
    others, other_structure = jax.tree.flatten(b)
    assert structure == other_structure
    for x, y in zip(leaves, others):
        assert type(x) is type(y)
        if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            assert x.dtype == y.dtype
            x, y = jr.key_data(x), jr.key_data(y)
        if isinstance(x, jax.Array | np.ndarray | np.generic):
            assert (x.dtype, x.shape) == (y.dtype, y.shape)
            assert getattr(x, "weak_type", None) == getattr(y, "weak_type", None)
            assert np.asarray(x).tobytes() == np.asarray(y).tobytes()
        elif isinstance(x, functools.partial):
            assert x.func is y.func
            assert_identical((x.args, x.keywords), (y.args, y.keywords))
        elif isinstance(x, types.MethodType):
            assert x.__func__ is y.__func__
            assert_identical(x.__self__, y.__self__)
        elif isinstance(x, float):
            assert repr(x) == repr(y)
        else:
            assert x is y or x == y


def train_state(depth: int = 2, width_size: int = 4, dtype: Any = jnp.float32) -> tuple:
    model = eqx.nn.MLP(3, 2, width_size, depth, activation=jax.nn.selu, dtype=dtype, key=jr.key(0))
    state = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3)).init(eqx.filter(model, eqx.is_inexact_array))
    return model, state, jr.key(1), jnp.asarray(7, jnp.int32)


BITS = jax.lax.bitcast_convert_type
TREES = {
    "model": lambda: eqx.nn.MLP(3, 2, 4, 2, key=jr.key(0)),
    "scan": lambda: eqx.nn.MLP(3, 2, 4, 2, scan=True, key=jr.key(0)),
    "state": train_state,
    "numbers": lambda: [None, True, 1, -(10**30), 0.1, -0.0, *map(float, ("inf", "-inf", "nan")), "é\ud800"],
    "containers": lambda: ((), [], {}, {"a": (1,), "b.c": [2]}, {1: {2: None}}, Scores(0.5, ((1,), ()))),
    "zero-d": lambda: (jnp.asarray(1.5), np.array(2, np.int8), np.float32(3.0), np.bool_(True)),
    "empty": lambda: (jnp.zeros(0), np.zeros((3, 0, 2), np.uint8)),
    "strides": lambda: (np.arange(24.0).reshape(2, 3, 4).T[::2, ::-1], np.asfortranarray(np.eye(3, 2))),
    "endian": lambda: np.arange(3, dtype=">i4").astype(np.int32),
    "bfloat16": lambda: (jnp.arange(4, dtype=jnp.bfloat16), np.ones((2, 2), ml_dtypes.bfloat16)),
    "integers": lambda: [np.array([1, 0, 2**7 - 1]).astype(d) for d in "b B h H i I l L ? e f d".split()],
    "float8": lambda: (jnp.ones(3, jnp.float8_e4m3fn), jnp.ones(3, jnp.float8_e5m2)),
    "denormal": lambda: BITS(jnp.array([1, 2**31], jnp.uint32), jnp.float32),
    "weak": lambda: (jnp.asarray(1.0), jnp.full((2, 3), 2.5), jnp.full((2,), 3), jnp.asarray(2)),
    "keys": lambda: (jr.key(3), jr.split(jr.key(4, impl="rbg"), (2, 3)), jr.key(5, impl="unsafe_rbg")),
    "functions": lambda: (jax.nn.relu, jax.nn.selu, jax.nn.gelu, jnp.add, jnp.tanh, jax.lax.exp, jnp.float32),
    "partials": lambda: (
        functools.partial(jax.nn.gelu, approximate=False),
        functools.partial(jax.nn.leaky_relu, negative_slope=np.float32(0.1)),
        jax.tree_util.Partial(jnp.power, jnp.arange(3.0)),
        eqx.Partial(eqx.nn.Linear(2, 1, key=jr.key(0)), jnp.ones(2), key=None),
    ),
    "methods": lambda: (net().twice, eqx.nn.Linear(2, 1, key=jr.key(0)).__call__),
    "own classes": lambda: (net(), net(activation=functools.partial(scaled_tanh, scale=2.0)), Scores),
    "dtype": lambda: np.dtype("int16"),
    "zoo": lambda: (zoo.ConvVAE((1, 4, 4), key=jr.key(0)), likelihoods.gaussian(scale=0.2), likelihoods.beta),
}


@pytest.mark.parametrize("name", TREES)
def test_round_trip_is_exact(name, tmp_path):
    tree = TREES[name]()
    save(tmp_path / "tree", tree)
    loaded = load(tmp_path / "tree", trust=("test_save",))
    assert_identical(tree, loaded)
    # Saving what was loaded gives the same bytes; and the tree is its own like.
    save(tmp_path / "again", loaded)
    assert (tmp_path / "tree").read_bytes() == (tmp_path / "again").read_bytes()
    load(tmp_path / "again", like=tree)


def test_big_endian_and_nan_payloads_keep_their_values(tmp_path):
    bits = np.array([0x7FC12345, 0xFF800000], np.uint32)
    save(tmp_path / "tree", (np.arange(3, dtype=">i4"), bits.view(np.float32)))
    integers, floats = load(tmp_path / "tree", allow_nonfinite=True)
    assert integers.dtype == np.int32 and integers.tolist() == [0, 1, 2]
    assert floats.view(np.uint32).tolist() == bits.tolist()


def test_a_loaded_model_computes_and_trains_as_the_saved_one(tmp_path):
    model, state, key, step = train_state()
    save(tmp_path / "state", (model, state, key, step))
    loaded, loaded_state, *_ = load(tmp_path / "state")
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3))

    traces = []

    @eqx.filter_jit
    def update(model, state):
        traces.append(None)
        gradient = eqx.filter_grad(lambda model: jnp.sum(model(jnp.ones(3)) ** 2))(model)
        updates, state = optimiser.update(gradient, state, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), state

    with jax.numpy_dtype_promotion("standard"):  # optax raises floats to integer powers
        assert_identical(update(model, state), update(loaded, loaded_state))
    assert len(traces) == 1  # nothing about the loaded tree makes jit compile again


def test_64_bit_leaves_need_x64(tmp_path):
    with jax.enable_x64(True):
        tree = (jnp.arange(3.0), jnp.arange(3), jnp.asarray(0.1))
        assert tree[0].dtype == jnp.float64
        save(tmp_path / "tree", tree)
        assert_identical(tree, load(tmp_path / "tree"))
    with pytest.raises(ValueError, match="0 is float64: load it with `jax_enable_x64`"):
        load(tmp_path / "tree")


def test_other_programs_can_read_the_arrays(tmp_path):
    model = eqx.nn.MLP(3, 2, 4, 1, key=jr.key(0))
    save(tmp_path / "model.safetensors", {"model": model, "half": jnp.ones(3, jnp.bfloat16)})
    arrays = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    names = {f"model.layers.{i}.{name}" for i in (0, 1) for name in ("weight", "bias")}
    assert set(arrays) == names | {"half"}
    np.testing.assert_array_equal(arrays["model.layers.1.weight"], model.layers[1].weight)
    with safetensors.safe_open(tmp_path / "model.safetensors", "numpy") as file:
        assert file.metadata()["format"] == "zoo" and file.metadata()["version"] == "2"


def test_names_are_public_and_found_by_identity(tmp_path):
    save(tmp_path / "tree", train_state()[:2])
    _, manifest, _ = _file.unpack(tmp_path / "tree")
    text = json.dumps(manifest)
    assert "equinox.nn:MLP(final_activation)" in text  # a lambda in a private module
    for name in ("equinox.nn:MLP", "equinox.nn:Linear", "jax.nn:selu", "optax:ScaleByAdamState"):
        assert f'"{name}"' in text
    assert "._" not in text
    save(tmp_path / "tree", zoo.MLPVAE(2, likelihood=likelihoods.bernoulli, key=jr.key(0)))
    _, manifest, _ = _file.unpack(tmp_path / "tree")
    assert manifest["module"] == "zoo.models:MLPVAE"
    assert manifest["fields"]["likelihood"] == {"name": "zoo.likelihoods:bernoulli"}


def test_a_file_of_version_1_is_read():
    expected = version_1()
    loaded = load(HERE / "save_version_1.safetensors", like=expected)
    assert_identical(expected, loaded)
    assert isinstance(loaded["model"].activation, functools.partial)


def version_1() -> dict[str, Any]:
    """What `tests/save_version_1.safetensors` holds: written once, and read by every later release."""
    gelu = functools.partial(jax.nn.gelu, approximate=False)
    model = eqx.nn.MLP(2, 1, 3, 1, activation=gelu, key=jr.key(0))
    weights, rest = eqx.partition(model, eqx.is_array)
    weights = jax.tree.map(lambda x: jnp.arange(x.size, dtype=x.dtype).reshape(x.shape), weights)
    return {
        "model": eqx.combine(weights, rest),
        "state": optax.adam(1e-3).init(weights),
        "key": jr.key(8),
        "step": jnp.asarray(3, jnp.int32),
        "leaves": (jnp.ones((), jnp.bfloat16), jnp.zeros((0, 2)), np.float32(0.5), jnp.full((2,), 1.0)),
        "numbers": (float("-inf"), None, True, "text"),
        "likelihood": likelihoods.bernoulli,
    }


class Outer:
    pass


UNSAVEABLE = {
    "lambda": (lambda: {"f": lambda x: x}, "f: .*<lambda>.*functools.partial"),
    "local": (lambda: (net(activation=test_refused_at_save.__get__),), "0.activation"),
    "object": (lambda: [Outer()], "0 is a Outer, which has no form"),
    "object array": (lambda: [np.array([None])], "0 is an array of object"),
    "text array": (lambda: [np.array(["a"])], "0 is an array of str32"),
    "complex": (lambda: [np.ones(2, np.complex64)], "0 is an array of complex64"),
    "set": (lambda: {"a": {1}}, "a is a set"),
    "key": (lambda: {"a": {(1, 2): 3}}, r"a has the key \(1, 2\)"),
    "clash": (lambda: {"a.b": np.ones(1), "a": {"b": np.ones(1)}}, "two leaves.*a.b"),
    "reserved": (lambda: {"__metadata__": np.ones(1)}, "__metadata__"),
    "file system": (lambda: [functools.partial(jnp.save, "x"), jnp.load], "1: jax.numpy:load is neither"),
    "deep": (lambda: functools.reduce(lambda inner, _: [inner], range(10**5), []), "too deep"),
}


@pytest.mark.parametrize("name", UNSAVEABLE)
def test_refused_at_save(name, tmp_path):
    make_tree, message = UNSAVEABLE[name]
    (tmp_path / "tree").write_bytes(b"before")
    with pytest.raises(ValueError, match=message) as caught:
        save(tmp_path / "tree", make_tree())
    assert str(caught.value).startswith("`save(") and "\n" not in str(caught.value)
    assert (tmp_path / "tree").read_bytes() == b"before" and os.listdir(tmp_path) == ["tree"]


def test_refused_inside_jit(tmp_path):
    with pytest.raises(ValueError, match="inside `jit`"):
        jax.jit(lambda x: save(tmp_path / "tree", [x]))(jnp.ones(2))


class Before(eqx.Module):
    a: Array
    b: Array


def test_changed_classes_are_refused_by_name(tmp_path):
    before = Before(jnp.zeros(2), jnp.ones(2))
    save(tmp_path / "tree", {"net": before})

    class Changed(eqx.Module):
        a: Array
        c: Array

    class Swapped(eqx.Module):
        b: Array
        a: Array

    class Static(eqx.Module):
        a: Array
        b: Array = eqx.field(static=True)

    for cls, message in [
        (Changed, r"net: the file has fields \['a', 'b'\], but test_save:Before has fields \['a', 'c'\]"),
        (Swapped, r"net: the file has fields \['a', 'b'\], but test_save:Before has fields \['b', 'a'\]"),
        (Static, r"static fields \[\], test_save:Before has \['b'\]"),
    ]:
        # The same name, another class: as after an edit of the program.
        with pytest.MonkeyPatch.context() as patch, pytest.raises(ValueError, match=message):
            patch.setattr(sys.modules[__name__], "Before", cls)
            load(tmp_path / "tree", trust=(__name__,))


def changed(index: int, value: Callable[[], Any]) -> Callable[[], tuple]:
    return lambda: tuple(value() if i == index else leaf for i, leaf in enumerate(train_state()))


LIKE = {
    "fewer layers": (lambda: train_state(1), "0.layers the file has a tuple of 3, `like` has a tuple of 2"),
    "more layers": (lambda: train_state(3), "0.layers the file has a tuple of 3, `like` has a tuple of 4"),
    "width": (
        lambda: train_state(width_size=5),
        r"0.layers.0.weight the file has float32\[4, 3\], `like` has float32\[5, 3\]",
    ),
    "dtype": (
        lambda: train_state(dtype=jnp.bfloat16),
        r"0.layers.0.weight the file has float32\[4, 3\], `like` has bfloat16\[4, 3\]",
    ),
    "key": (
        changed(2, lambda: jr.key(1, impl="rbg")),
        "2 the file has a key of threefry2x32.*a key of rbg",
    ),
    "number": (changed(3, lambda: 7), r"3 the file has int32\[\], `like` has 7"),
    "other class": (
        changed(0, lambda: eqx.nn.Lambda(jax.nn.relu)),
        "0 the file has equinox.nn:MLP.*:Lambda",
    ),
    "activation": (
        changed(0, lambda: eqx.tree_at(lambda m: m.activation, train_state()[0], jax.nn.relu)),
        "0.activation the file has jax.nn:selu, `like` has jax.nn:relu",
    ),
    "optimiser": (
        changed(1, lambda: optax.adamw(1e-3).init(jnp.ones(2))),
        "1 the file has a tuple of 2, `like` has a tuple of 3",
    ),
}


@pytest.mark.parametrize("name", LIKE)
def test_like_names_the_first_difference_and_both_sides(name, tmp_path):
    make_tree, message = LIKE[name]
    save(tmp_path / "tree", train_state())
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "tree", like=make_tree())


def test_like_takes_abstract_trees_and_other_numbers(tmp_path):
    save(tmp_path / "tree", (train_state(), 3, {"b": 1.5, "a": float("inf")}, net()))
    abstract = eqx.filter_eval_shape(train_state)
    loaded = load(tmp_path / "tree", like=(abstract, 500, {"a": 2.0, "b": float("nan")}, net()))
    assert_identical(loaded[0], train_state())
    assert loaded[1] == 3  # numbers are state and come from the file, but in static fields they are structure
    with pytest.raises(ValueError, match="3.size the file has 2, `like` has 3"):
        load(tmp_path / "tree", like=(abstract, 500, {"a": 2.0, "b": 1.0}, net(size=3)))


def test_trust_takes_classes_modules_and_names(tmp_path):
    save(tmp_path / "tree", (net(), Scores(1.0, ())))
    for trust in [(Net, Scores), (sys.modules[__name__],), (__name__,)]:
        assert isinstance(load(tmp_path / "tree", trust=trust)[0], Net)
    with pytest.raises(ValueError, match=r"test_save is not in zoo, equinox.*trust"):
        load(tmp_path / "tree", trust=(Scores,))


def test_nonfinite_weights_are_refused_by_name(tmp_path):
    for value in (jnp.nan, jnp.inf):
        save(tmp_path / "tree", {"w": jnp.full((3,), value, jnp.bfloat16)})
        with pytest.raises(ValueError, match="w holds NaN or infinity; pass `allow_nonfinite=True`"):
            load(tmp_path / "tree")
        assert load(tmp_path / "tree", allow_nonfinite=True)["w"].dtype == jnp.bfloat16


def test_a_newer_version_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(_file, "VERSION", 3)
    save(tmp_path / "tree", [1])
    monkeypatch.undo()
    with pytest.raises(ValueError, match="version '3', this release reads format 'zoo' version '1' and '2'"):
        load(tmp_path / "tree")
