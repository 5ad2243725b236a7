from typing import Any

import equinox as eqx
import jax
from jaxtyping import PyTree


class AbstractConstants(eqx.Module):
    """A part of a model whose arrays training leaves alone: they say what the data are measured in."""


def where_trainable(tree: PyTree) -> PyTree[bool]:
    """Say of each leaf whether training may change it: a float array that is no constant, for `equinox.partition`."""
    is_constant = lambda node: isinstance(node, AbstractConstants)
    return jax.tree.map(lambda node: not is_constant(node) and eqx.is_inexact_array(node), tree, is_leaf=is_constant)


def keep_trainable(tree: PyTree) -> PyTree:
    """Keep the leaves that training may change, with `None` in the place of others."""
    return eqx.filter(tree, where_trainable(tree))


def split_trainable(tree: PyTree) -> tuple[PyTree[Any], PyTree[Any]]:
    """Split a tree into the leaves that training may change and all others, for `equinox.combine`."""
    return eqx.partition(tree, where_trainable(tree))
