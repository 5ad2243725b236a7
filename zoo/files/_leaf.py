from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer

from ._file import DTYPES
from ._names import SaveError, brief


_IMPLEMENTATIONS = ("threefry2x32", "rbg", "unsafe_rbg")
Array = jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct


def describe_array(value: Any, name: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """Describe an array leaf; what is to be written of it goes into `arrays`."""
    if isinstance(value, Tracer):
        raise SaveError(f"{name} is an abstract value inside `jit`: save outside")
    node: dict[str, Any] = {"array": name}
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        node |= {"kind": "key", "implementation": _implementation(value, name)}
        abstract = isinstance(value, jax.ShapeDtypeStruct)
        value = jax.eval_shape(jr.key_data, value) if abstract else jr.key_data(value)
    elif isinstance(value, jax.Array | jax.ShapeDtypeStruct):
        node["kind"] = "weak" if value.weak_type else "jax"
    else:
        node["kind"] = "scalar" if isinstance(value, np.generic) else "numpy"
    node |= {"dtype": np.dtype(value.dtype).name, "shape": list(value.shape)}
    if node["dtype"] not in DTYPES:
        raise SaveError(f"{name} is an array of {node['dtype']}, which a safetensors file cannot hold")
    if name in arrays or name == "__metadata__":
        raise SaveError(f"two leaves, or the file itself, claim the name {name}: rename a key")
    if not isinstance(value, jax.ShapeDtypeStruct):
        value = np.asarray(value)
        value = value.astype(value.dtype.newbyteorder("="), order="C", copy=False)
    arrays[name] = value
    return node


def build_array(node: Mapping[str, Any], name: str, arrays: dict[str, tuple], finite: bool) -> Any:
    """Build the leaf that `node` describes from what stands in `arrays`, and take it out there."""
    kind, implementation = node["kind"], node.get("implementation")
    expected = {"array", "kind", "dtype", "shape"} | ({"implementation"} if kind == "key" else set())
    if set(node) != expected or kind not in ("jax", "weak", "numpy", "scalar", "key"):
        raise SaveError(f"{name} is described as an array of kind {brief(kind)} by {brief(list(node))}")
    if node["array"] != name or name not in arrays:
        raise SaveError(f"{name} refers to the array {brief(node['array'])}; every leaf has its own, of its name")
    dtype, shape, data = arrays.pop(name)
    if [dtype, shape] != [node["dtype"], node["shape"]] or dtype not in DTYPES:
        raise SaveError(
            f"{name} is described as {brief(node['dtype'])} {brief(node['shape'])}, but the file holds "
            f"{dtype!r} {brief(shape)}"
        )
    array = np.frombuffer(data, np.dtype(dtype)).reshape(shape)
    if array.dtype == bool and np.any(array.view(np.uint8) > 1):
        raise SaveError(f"{name} has truth values other than 0 and 1")
    if finite and jnp.issubdtype(array.dtype, jnp.inexact) and not np.all(np.isfinite(array)):
        raise SaveError(f"{name} holds NaN or infinity; pass `allow_nonfinite=True` to load it all the same")
    if kind == "numpy":
        return array
    if kind == "scalar":
        return array[()] if array.ndim == 0 else _refuse(f"{name} is called a scalar but has shape {shape}")
    if kind == "key":
        if implementation not in _IMPLEMENTATIONS or array.dtype != np.uint32:
            raise SaveError(f"{name} is a key of {brief(implementation)} kept as {dtype}, which is unknown")
        return jr.wrap_key_data(jnp.array(array), impl=implementation)
    if array.dtype.itemsize == 8 and not jax.config.jax_enable_x64:  # pyright: ignore
        raise SaveError(f"{name} is {dtype}: load it with `jax_enable_x64` on, as it was saved")
    if kind == "weak":
        # Only a Python scalar starts out weakly typed; writing into it keeps it so, and the bits as they are.
        weak = jnp.full(shape, array.dtype.type(0).item())
        weak = weak.at[...].set(array) if weak.dtype == array.dtype else weak
        return weak if weak.weak_type and weak.dtype == array.dtype else jnp.array(array)
    return jnp.array(array)


def _implementation(key: Any, name: str) -> str:
    for implementation in _IMPLEMENTATIONS:
        if jax.eval_shape(lambda: jr.key(0, impl=implementation)).dtype == key.dtype:
            return implementation
    raise SaveError(f"{name} is a key of {key.dtype}; saved are those of {', '.join(_IMPLEMENTATIONS)}")


def _refuse(message: str) -> None:
    raise SaveError(message)
