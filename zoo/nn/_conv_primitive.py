from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
from jax import lax
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

from ._conv_cpu import LAYOUT, Padding, cpu_weight_gradient


def conv_stack(
    xs: Float[Array, " n height width channels"],
    kernel: Float[Array, " kernel_height kernel_width channels out"],
    padding: Padding,
) -> Float[Array, " n new_height new_width out"]:
    """A stack of images filtered with stride 1, zero-padded by `padding` = ((top, bottom), (left, right)).

    XLA's CPU compiler has a fast convolution only for some layouts, and inside a loop for none of those
    that autodiff makes. So the convolution here is a primitive of its own, bilinear in image and kernel:
    its transpose in the image is itself, with another kernel, and its transpose in the kernel is
    `zoo_conv_weight_gradient`, which each platform lowers in its own way. Under `vmap` the mapped axis
    joins the stack, whence the sum over the batch happens inside the weight gradient. (`custom_vjp` and
    `custom_vmap` cannot say this together: the one has to be outermost for `grad(vmap(f))`, the other
    for `vmap(grad(f))`.)
    """
    xs, kernel = _vary_alike(xs, kernel)
    return conv_p.bind(xs, kernel, padding=padding)


def _vary_alike(*arrays: Array) -> list[Array]:
    # Under `shard_map` a replicated kernel meets a sharded batch; the cast's transpose is the sum over devices.
    axes = [_varying(x) for x in arrays]
    union = frozenset().union(*axes)
    return [lax.pcast(x, tuple(union - a), to="varying") if union - a else x for x, a in zip(arrays, axes)]


def _varying(x: Array) -> frozenset:
    kind: Any = jax.typeof(x)
    # `vma` became `mat.varying` in jax 0.10.
    return frozenset(kind.mat.varying if hasattr(kind, "mat") else kind.vma)


def _flipped(kernel: Array) -> Array:
    return kernel[::-1, ::-1].swapaxes(2, 3)


def _rest(padding: Padding, kernel: tuple[int, ...]) -> Padding:
    (top, bottom), (left, right) = padding
    height, width = kernel[0] - 1, kernel[1] - 1
    return (height - top, height - bottom), (width - left, width - right)


def _kernel_size(x: tuple[int, ...], y: tuple[int, ...], padding: Padding) -> tuple[int, int]:
    return x[1] + sum(padding[0]) - y[1] + 1, x[2] + sum(padding[1]) - y[2] + 1


def _conv_shape(x, kernel, *, padding):
    n, height, width, _ = x.shape
    height, width = height + sum(padding[0]) - kernel.shape[0] + 1, width + sum(padding[1]) - kernel.shape[1] + 1
    return x.update(shape=(n, height, width, kernel.shape[3]), weak_type=False)


def _weight_gradient_shape(x, g, *, padding):
    return x.update(shape=(*_kernel_size(x.shape, g.shape, padding), x.shape[3], g.shape[3]), weak_type=False)


def _xla_conv(x, kernel, *, padding):
    return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=LAYOUT)


def _xla_weight_gradient(x, g, *, padding):
    # Channels of x are the batch of this convolution and the images its channels.
    return lax.conv_general_dilated(x, g, (1, 1), padding, dimension_numbers=("CHWN", "IHWO", "HWNC"))


def _map_one_by_one(bind: Callable, xla: Callable, x: Array, y: Array, dims: tuple) -> tuple[Array, int]:
    """The batched form where the two operands do not share one stack: several models, or per-example gradients."""
    axes = [None if d is None else 0 for d in dims]
    x, y = (a if d is None else jnp.moveaxis(a, d, 0) for a, d in zip((x, y), dims))

    def loop(x, y):
        if None in axes:
            return lax.map(lambda a: bind(a, y) if axes[1] is None else bind(x, a), x if axes[1] is None else y)
        return lax.map(lambda a: bind(*a), (x, y))

    return lax.platform_dependent(x, y, cpu=loop, default=jax.vmap(xla, in_axes=axes)), 0


def _batch_conv(args, dims, *, padding):
    x, kernel = args
    if dims[1] is None:
        x = jnp.moveaxis(x, dims[0], 0)
        y = conv_stack(x.reshape(-1, *x.shape[2:]), kernel, padding)
        return y.reshape(*x.shape[:2], *y.shape[1:]), 0
    bind, xla = partial(conv_p.bind, padding=padding), partial(_xla_conv, padding=padding)
    return _map_one_by_one(bind, xla, x, kernel, dims)


def _batch_weight_gradient(args, dims, *, padding):
    x, g = args
    bind, xla = partial(weight_gradient_p.bind, padding=padding), partial(_xla_weight_gradient, padding=padding)
    return _map_one_by_one(bind, xla, x, g, dims)


def _primitive(name: str, shape: Callable, xla: Callable, cpu: Callable, batch: Callable) -> jex.Primitive:
    primitive = jex.Primitive(name)
    primitive.def_abstract_eval(shape)
    primitive.def_impl(jax.jit(primitive.bind, static_argnames="padding"))
    mlir.register_lowering(primitive, mlir.lower_fun(xla, multiple_results=False))
    mlir.register_lowering(primitive, mlir.lower_fun(cpu, multiple_results=False), platform="cpu")
    batching.primitive_batchers[primitive] = batch
    return primitive


conv_p = _primitive("zoo_conv", _conv_shape, _xla_conv, _xla_conv, _batch_conv)
weight_gradient_p = _primitive(
    "zoo_conv_weight_gradient",
    _weight_gradient_shape,
    _xla_weight_gradient,
    cpu_weight_gradient,
    _batch_weight_gradient,
)


def _conv_transpose_x(g, x, kernel, *, padding):
    return conv_p.bind(g, _flipped(kernel), padding=_rest(padding, kernel.shape))


def _conv_transpose_kernel(g, x, kernel, *, padding):
    return weight_gradient_p.bind(x, g, padding=padding)


def _weight_gradient_transpose_x(kernel, x, g, *, padding):
    return conv_p.bind(g, _flipped(kernel), padding=_rest(padding, kernel.shape))


def _weight_gradient_transpose_g(kernel, x, g, *, padding):
    return conv_p.bind(x, kernel, padding=padding)


ad.defbilinear(conv_p, _conv_transpose_x, _conv_transpose_kernel)
ad.defbilinear(weight_gradient_p, _weight_gradient_transpose_x, _weight_gradient_transpose_g)
