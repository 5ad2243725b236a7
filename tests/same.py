import equinox as eqx
import jax
import numpy as np


def assert_same(tree, other) -> None:
    """Two PyTrees of one structure, equal to the last bit: by numpy, so that no comparison is compiled."""
    assert jax.tree.structure(tree) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True):
        assert (np.array_equal(a, b) and a.dtype == b.dtype) if eqx.is_array(a) else a == b
