import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.extend.core as jex
import jax.numpy as jnp
from jax import lax
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array


class Derivative(NamedTuple):
    """One of the three derivatives of a trilinear form: each is a bilinear function of two arrays.

    **Fields:** `shape`, of the result, given the arrays; `anywhere` and `cpu`, the function for all platforms and its
    fast form on a CPU.
    """

    shape: Callable[..., tuple[int, ...]]
    anywhere: Callable[..., Array]
    cpu: Callable[..., Array]


def trilinear(
    name: str, *, forward: Derivative, image_gradient: Derivative, kernel_gradient: Derivative
) -> Callable[..., Array]:
    r"""The differentiable function $y(x, K)$ of a stack of images and a kernel, from the form $T(x, K, g) = y \cdot g$.

    XLA's CPU compiler has a fast convolution only for some layouts, and inside a loop for none of those that autodiff
    makes. So a convolution here is a primitive of its own, and so are its gradients: `forward(x, kernel)`,
    `image_gradient(kernel, g)` and `kernel_gradient(x, g)` are the derivatives of T in its third, first and second
    argument. Whatever is transposed in one of its arguments is another of them, whence derivatives of every order
    come back to these three. Under `vmap` the mapped axis joins the stack, whence the sum over the batch happens inside
    the kernel's gradient. (`custom_vjp` and `custom_vmap` cannot say this together: the one has to be outermost for
    `grad(vmap(f))`, the other for `vmap(grad(f))`.)

    **Arguments:** the derivatives, whose keyword arguments are those of the function that is returned.
    """
    y = _primitive(name, forward, stack=0)
    by_image = _primitive(f"{name}_image_gradient", image_gradient, stack=1)
    by_kernel = _primitive(f"{name}_kernel_gradient", kernel_gradient, stack=None)
    # The arguments of a rule: the cotangent of the result, then both operands, of which one is not known.
    ad.defbilinear(
        y,
        lambda g, x, kernel, **options: by_image.bind(kernel, g, **options),
        lambda g, x, kernel, **options: by_kernel.bind(x, g, **options),
    )
    ad.defbilinear(
        by_image,
        lambda x, kernel, g, **options: by_kernel.bind(x, g, **options),
        lambda x, kernel, g, **options: y.bind(x, kernel, **options),
    )
    ad.defbilinear(
        by_kernel,
        lambda kernel, x, g, **options: by_image.bind(kernel, g, **options),
        lambda kernel, x, g, **options: y.bind(x, kernel, **options),
    )
    return lambda x, kernel, **options: y.bind(*_vary_alike(x, kernel), **options)


def _vary_alike(*arrays: Array) -> list[Array]:
    # Under `shard_map` a replicated kernel meets a sharded batch; the cast's transpose is the sum over devices.
    axes = [_varying(x) for x in arrays]
    union = frozenset().union(*axes)
    return [lax.pcast(x, tuple(union - a), to="varying") if union - a else x for x, a in zip(arrays, axes)]


def _varying(x: Array) -> frozenset:
    kind: Any = jax.typeof(x)
    # `vma` became `mat.varying` in jax 0.10.
    return frozenset(kind.mat.varying if hasattr(kind, "mat") else kind.vma)


def _primitive(name: str, derivative: Derivative, *, stack: int | None) -> jex.Primitive:
    """`stack`: which of the two arrays is a stack of images as the result is, or None if images are summed over."""
    primitive = jex.Primitive(name)
    options = [p.name for p in inspect.signature(derivative.shape).parameters.values() if p.kind is p.KEYWORD_ONLY]

    def shaped(x, y, **options):
        return x.update(shape=derivative.shape(x, y, **options), weak_type=False)

    def batch(operands, dims, **options):
        if stack is not None and dims[1 - stack] is None:
            x = jnp.moveaxis(operands[stack], dims[stack], 0)
            joined = x.reshape(-1, *x.shape[2:])
            y = primitive.bind(*(joined if i == stack else a for i, a in enumerate(operands)), **options)
            return y.reshape(*x.shape[:2], *y.shape[1:]), 0
        bind, anywhere = (partial(f, **options) for f in (primitive.bind, derivative.anywhere))
        return _map_one_by_one(bind, anywhere, operands, dims)

    primitive.def_abstract_eval(shaped)
    primitive.def_impl(jax.jit(primitive.bind, static_argnames=options))
    mlir.register_lowering(primitive, mlir.lower_fun(derivative.anywhere, multiple_results=False))
    mlir.register_lowering(primitive, mlir.lower_fun(derivative.cpu, multiple_results=False), platform="cpu")
    batching.primitive_batchers[primitive] = batch
    return primitive


def _map_one_by_one(bind: Callable, anywhere: Callable, operands: tuple, dims: tuple) -> tuple[Array, int]:
    """The batched form where the two operands do not share one stack: several models, or per-example gradients."""
    axes = [None if d is None else 0 for d in dims]
    x, y = (a if d is None else jnp.moveaxis(a, d, 0) for a, d in zip(operands, dims))

    def loop(x, y):
        if None in axes:
            return lax.map(lambda a: bind(a, y) if axes[1] is None else bind(x, a), x if axes[1] is None else y)
        return lax.map(lambda a: bind(*a), (x, y))

    return lax.platform_dependent(x, y, cpu=loop, default=jax.vmap(anywhere, in_axes=axes)), 0
