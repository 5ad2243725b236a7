import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .._custom_types import Scalar


Note = tuple[Float[Array, " k"], Float[Array, " k"]]


def port(z: PyTree, k: int) -> tuple[PyTree, Note]:
    r"""z unchanged, through a gate at which the cotangent of draw i is rescaled on its way back.

    The gate also gives out two k-vectors of zeros. Backwards they bring in, draw by draw, the cotangent
    that a term `own` sent and the one that was `wanted`: z's cotangent is linear in it, and so is
    multiplied by their ratio. A weight on the loss multiplies both and cancels.
    """
    floating, rest = eqx.partition(z, eqx.is_inexact_array)
    floating, note = _gate(floating, _zeros(floating, k))
    return eqx.combine(floating, rest), note


@jax.custom_vjp
def settle(value: Scalar, notes: tuple[Note, ...], rates: tuple[Note, ...]) -> Scalar:
    """The value unchanged; backwards, `rates` times its cotangent is written on the gates' `notes`."""
    return value


def _settle_forward(value, notes, rates):
    return value, rates


def _settle_backward(rates, cotangent):
    return cotangent, jax.tree.map(lambda rate: cotangent * rate, rates), jax.tree.map(jnp.zeros_like, rates)


settle.defvjp(_settle_forward, _settle_backward)


@jax.custom_vjp
def _gate(z: PyTree, zeros: Note) -> tuple[PyTree, Note]:
    return z, zeros


def _gate_forward(z, zeros):
    return (z, zeros), None


def _gate_backward(_, cotangents):
    cotangent, (own, wanted) = cotangents
    # A draw whose term sent nothing has nothing to rescale: 0 / 0 is 0 here.
    silent = own == 0
    ratio = jnp.where(silent, 0, wanted / jnp.where(silent, 1, own))

    def rescale(leaf):
        return leaf * ratio.astype(leaf.dtype).reshape(-1, *(1,) * (leaf.ndim - 1))

    return jax.tree.map(rescale, cotangent), (jnp.zeros_like(own), jnp.zeros_like(wanted))


_gate.defvjp(_gate_forward, _gate_backward)


def _zeros(z: PyTree, k: int) -> Note:
    leaves = jax.tree.leaves(z)
    zeros = jnp.zeros(k, jnp.result_type(*leaves) if leaves else jnp.result_type(float))
    for leaf in leaves:
        # Of z's values and not of its shape: under `vmap` a constant's cotangent is the sum over all examples.
        same = jnp.all((leaf == leaf).reshape(k, -1), axis=1)
        zeros = jnp.where(same, zeros, zeros)
    return zeros, zeros
