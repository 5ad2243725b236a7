import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
from jaxtyping import PyTree


class Partitioned(eqx.Module):
    """A function or somebody else's module with its float arrays as its leaves, and nothing else among them.

    `jax.grad`, `jax.jit`, `jax.tree.map` and the `init` of an optax optimiser take a model as it is, as its leaves are
    its parameters. A function such as `jax.nn.gelu`, or an `equinox.nn.MLP` with its activation, has leaves of another
    kind: in here they are static. `partitioned` makes one where it is needed.

    **Fields:** `parameters`: the module with `None` in place of all but its float arrays, and the layers that hold
    nothing else; `rest`: the module with `None` in place of these.
    """

    parameters: PyTree
    rest: Any = eqx.field(static=True)

    @property
    def module(self) -> Any:
        """The function or module itself."""
        # In this order: where `rest` has nothing, `freeze` may have put a layer of another kind.
        return eqx.combine(self.rest, self.parameters)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def __reduce__(self):
        # pickle does not find `jax.nn.selu` again: it looks for the function inside of what `jax.jit` has made.
        return _restore, (self.parameters, jax.tree.map(_Name.of, self.rest))


def partitioned(layer: Callable) -> Callable:
    """The layer itself where its leaves are float arrays, otherwise a `Partitioned` of it.

    **Arguments:** `layer`: a function, or any module that can be called.
    """
    # Layers such as `BatchNorm` stay whole, so that what looks for them finds and replaces them.
    return (
        layer if _is_parameters(layer) else Partitioned(*eqx.partition(layer, _is_parameters, is_leaf=_is_parameters))
    )


def _is_parameters(node: Any) -> bool:
    return all(map(eqx.is_inexact_array, jax.tree.leaves(node)))


class _Name(NamedTuple):
    """Where a function is found again."""

    module: str
    path: str

    @classmethod
    def of(cls, leaf: Any) -> Any:
        """The name in place of a function that has one; anything else as it is."""
        name = cls(getattr(leaf, "__module__", None) or "", getattr(leaf, "__qualname__", ""))
        return name if callable(leaf) and name.found() is leaf else leaf

    def found(self) -> Any:
        try:
            return vars(importlib.import_module(self.module)).get(self.path)
        except (ImportError, ValueError):
            return None


def _restore(parameters: PyTree, named: PyTree) -> Partitioned:
    is_name = lambda leaf: isinstance(leaf, _Name)
    return Partitioned(
        parameters, jax.tree.map(lambda leaf: leaf.found() if is_name(leaf) else leaf, named, is_leaf=is_name)
    )
