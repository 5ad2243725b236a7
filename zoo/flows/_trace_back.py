import jax
from jax import lax

from ._bijection import AbstractBijection, Vector
from ._compose import Chain


def trace_back(flow: AbstractBijection, y: Vector, z: Vector) -> Vector:
    r"""z itself, where y = f(z) is its image, with the derivatives of $f^{-1}(y)$ in y and in the flow's parameters.

    Inverting y would round what z says exactly: through a wild flow, by more than z.

    **Arguments:** `flow`: $f$; `y`: the image; `z`: what it is the image of, a constant here.
    """
    z = lax.stop_gradient(z)
    if not isinstance(flow, Chain):
        return _as_inverse(flow, y, z)
    starts = [z]
    for bijection in flow.bijections[:-1]:
        starts.append(lax.stop_gradient(bijection.forward(starts[-1])[0]))
    for bijection, start in zip(reversed(flow.bijections), reversed(starts), strict=True):
        y = trace_back(bijection, y, start)
    return y


@jax.custom_jvp
def _as_inverse(flow: AbstractBijection, y: Vector, z: Vector) -> Vector:
    return z


@_as_inverse.defjvp
def _(primals, tangents):
    flow, y, z = primals
    inverse = lambda flow, y: flow.inverse(y)[0]
    return _as_inverse(flow, y, z), jax.jvp(inverse, (flow, y), tangents[:2])[1]
