import equinox as eqx
import jax

from zoo import nn


def thin(model):
    """A `ConvVAE` with one normalised convolution to a stage instead of two: half of what a test has to compile."""
    for part in ("encoder", "decoder"):
        stages = lambda model: getattr(model, part).stages
        layers = stages(model).layers
        after = (jax.nn.selu, nn.variance_preserving_gelu)  # as functions, which `Sequential` keeps out of the leaves
        second = [
            i for i, layer in enumerate(layers[:-1]) if isinstance(layer, nn.Conv) and layer.operation is nn.conv
            and layers[i - 1].rest in after and isinstance(layers[i + 1], nn.BatchNorm)
        ]  # fmt: skip
        dropped = {i + j for i in second for j in range(3)}  # the convolution, its norm, its activation
        kept = nn.Sequential(tuple(layer for i, layer in enumerate(layers) if i not in dropped))
        model = eqx.tree_at(stages, model, kept)
    return model
