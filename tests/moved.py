"""Models as they are after some training: a decoder that is not trained puts out zeros, whatever z is."""

import equinox as eqx
import jax
import jax.random as jr

from zoo import nn


def moved(model):
    """The model with weights of the usual size in the last layer of its decoder, and a bias that is not zero."""
    layers, structure = jax.tree.flatten(model.decoder, is_leaf=_is_layer)
    last = max(i for i, layer in enumerate(layers) if _is_layer(layer))

    def fill(leaf):
        fan_in = 1e4 if leaf.ndim == 1 else leaf.size // leaf.shape[-1]
        return jr.normal(jr.key(leaf.size), leaf.shape, leaf.dtype) * fan_in**-0.5

    layers[last] = jax.tree.map(fill, layers[last])
    return eqx.tree_at(lambda m: m.decoder, model, jax.tree.unflatten(structure, layers))


def _is_layer(node):
    return isinstance(node, nn.Linear | nn.Conv)
