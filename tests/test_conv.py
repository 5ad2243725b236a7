import functools
import os
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from jax import lax

import zoo
from zoo.nn import conv, plain_convolutions, upsample_conv
from zoo.nn.convolution._minimal_filtering import FOUR_OF_THREE, filter_images, kernel_gradient
from zoo.nn.convolution._stack import cpu_kernel_gradient, xla_kernel_gradient
from zoo.nn.convolution._upsample_stack import DOWN, UP


def plain_conv(x, kernel, stride=1):
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x[None], kernel, (stride, stride), "SAME", dimension_numbers=layout)[0]


def plain_upsample_conv(x, kernel):
    return plain_conv(jnp.repeat(jnp.repeat(x, 2, axis=0), 2, axis=1), kernel)


def brute_force(x, kernel):
    height, width, _ = x.shape
    above, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    y = np.zeros((height, width, kernel.shape[3]))
    for i, j in np.ndindex(height, width):
        for a, b in np.ndindex(*kernel.shape[:2]):
            if 0 <= i + a - above < height and 0 <= j + b - left < width:
                y[i, j] += x[i + a - above, j + b - left] @ kernel[a, b]
    return y


def assert_close(actual, expected, tolerance):
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        a, e = np.asarray(a), np.asarray(e)
        assert a.shape == e.shape and a.dtype == e.dtype
        assert np.max(np.abs(a - e)) <= tolerance * np.max(np.abs(e))


def over_batch_and_k(function):
    return jax.vmap(jax.vmap(function, in_axes=(0, None), axis_name="k"), in_axes=(0, None), axis_name="batch")


def energy(function):
    return lambda x, kernel: jnp.sum(jnp.sin(function(x, kernel)))


def every_use(function):
    """All the ways in which a model uses a convolution, as one function of a stack of stacks and kernels."""

    def uses(xs, kernel, kernels):
        x, stack = xs[0, 0], over_batch_and_k(function)
        models = jax.vmap(jax.vmap(function, in_axes=(0, None)))
        one_x_many_models = jax.vmap(jax.vmap(function, in_axes=(None, 0)), in_axes=(0, None))
        example_gradient = over_batch_and_k(jax.grad(energy(function), argnums=(0, 1)))
        return {
            "one": function(x, kernel),
            "stack": stack(xs, kernel),
            "last axis": jax.vmap(function, in_axes=(3, None), out_axes=3)(jnp.moveaxis(xs[0], 0, 3), kernel),
            "models": models(xs, kernels),
            "one x, many models": one_x_many_models(xs[0], kernels),
            "gradient of one": jax.grad(energy(function), argnums=(0, 1))(x, kernel),
            "gradient": jax.grad(energy(stack), argnums=(0, 1))(xs, kernel),
            "per-example gradients": example_gradient(xs, kernel),
            "gradient of models": jax.grad(energy(models), argnums=(0, 1))(xs, kernels),
            "forward mode": jax.jvp(stack, (xs, kernel), (jnp.cos(xs), jnp.cos(kernel))),
            "gradient of a gradient": jax.grad(
                lambda *operands: energy(lambda *o: jnp.hstack([jnp.ravel(a) for a in o]))(
                    *jax.grad(energy(function), argnums=(0, 1))(*operands)
                ),
                argnums=(0, 1),
            )(x, kernel),
            "second derivative": jax.jvp(
                jax.grad(energy(function), argnums=(0, 1)), (x, kernel), (jnp.cos(x), jnp.cos(kernel))
            ),
        }

    return uses


def fewer_uses(function):
    gradient = jax.value_and_grad(energy(over_batch_and_k(function)), argnums=(0, 1))
    return lambda xs, kernel, kernels: gradient(xs, kernel)


def operands(height, width, channels, out, kernel_height, kernel_width, dtype):
    random = np.random.default_rng(0)
    shape, scale = (kernel_height, kernel_width, channels, out), (kernel_height * kernel_width * channels) ** -0.5
    return (
        jnp.asarray(random.normal(size=(4, 5, height, width, channels)), dtype),
        jnp.asarray(random.normal(size=shape) * scale, dtype),
        jnp.asarray(random.normal(size=(4, *shape)) * scale, dtype),
    )


SAME = (conv, plain_conv)
STRIDE_2 = (lambda x, kernel: conv(x, kernel, 2), lambda x, kernel: plain_conv(x, kernel, 2))
STRIDE_3 = (lambda x, kernel: conv(x, kernel, 3), lambda x, kernel: plain_conv(x, kernel, 3))
UPSAMPLE = (upsample_conv, plain_upsample_conv)
CASES = {
    "3x3": (SAME, (7, 6, 3, 4, 3, 3)),
    "1x1": (SAME, (3, 5, 4, 3, 1, 1)),
    "5x3, one channel in": (SAME, (6, 5, 1, 3, 5, 3)),
    "3x5, one channel out": (SAME, (5, 7, 3, 1, 3, 5)),
    "kernel beyond the image": (SAME, (2, 1, 2, 3, 5, 5)),
    "stride 2, even size": (STRIDE_2, (8, 8, 3, 2, 3, 3)),
    "stride 2, odd size": (STRIDE_2, (7, 9, 2, 3, 5, 3)),
    "stride 2, 1x1": (STRIDE_2, (5, 6, 2, 3, 1, 1)),
    "stride 3": (STRIDE_3, (8, 7, 2, 3, 5, 3)),
    "upsampled 3x3": (UPSAMPLE, (4, 3, 3, 2, 3, 3)),
    "upsampled 5x1": (UPSAMPLE, (3, 4, 2, 3, 5, 1)),
}
EVERY_USE = ["3x3", "stride 2, odd size", "upsampled 3x3"]


def uses_of(case):
    return every_use if case in EVERY_USE else fewer_uses


@functools.cache
def fast_in_float64(case, uses):
    (ours, _), sizes = CASES[case]
    with jax.enable_x64(True):
        return jax.jit(uses(ours))(*operands(*sizes, jnp.float64))


@pytest.mark.parametrize("case", CASES)
def test_equals_plain_autodiff_in_float64(case):
    (_, plain), sizes = CASES[case]
    with jax.enable_x64(True):
        expected = jax.jit(uses_of(case)(plain))(*operands(*sizes, jnp.float64))
    assert_close(fast_in_float64(case, uses_of(case)), expected, 1e-12)


@pytest.mark.parametrize("case", ["3x3", "upsampled 3x3"])
def test_equals_plain_autodiff_in_float32(case):
    (ours, plain), _ = CASES[case]
    # 45 images: full parts of the kernel's gradient and a rest.
    xs, kernel, _ = operands(8, 8, 16, 8, 3, 3, jnp.float32)
    xs = jnp.concatenate([xs, xs[:, :4]], axis=1)
    loss = lambda f: jax.jit(jax.value_and_grad(energy(over_batch_and_k(f)), argnums=(0, 1)))
    assert_close(loss(ours)(xs, kernel), loss(plain)(xs, kernel), 5e-6)


def in_a_scan(function):
    """Values and gradients of a stack of stacks, one stack after the other."""
    gradient = jax.value_and_grad(energy(jax.vmap(function, in_axes=(0, None))), argnums=(0, 1))
    return lambda xs, kernel, _: lax.scan(lambda total, x: (total + 1, gradient(x, kernel)), 0, xs)[1]


@pytest.mark.parametrize("case", CASES)
def test_the_plain_form_equals_the_fast_one_in_float64(case):
    (ours, _), sizes = CASES[case]
    for uses in (uses_of(case), in_a_scan):
        expected = fast_in_float64(case, uses)
        with jax.enable_x64(True), plain_convolutions():
            assert_close(jax.jit(uses(ours))(*operands(*sizes, jnp.float64)), expected, 1e-12)


@pytest.mark.parametrize("case", ["3x3", "stride 2, odd size", "upsampled 3x3"])
def test_the_plain_form_equals_the_fast_one_in_float32(case):
    function = CASES[case][0][0]
    arguments = operands(8, 8, 16, 8, 3, 3, jnp.float32)
    for uses in (fewer_uses, in_a_scan):
        fast = jax.jit(uses(function))
        expected = fast(*arguments)
        with plain_convolutions():
            assert_close(fast(*arguments), expected, 5e-6)


@pytest.mark.parametrize("function", [conv, upsample_conv])
def test_no_cached_trace_is_taken_for_the_other_form(function):
    _, kernel, _ = arguments = operands(5, 5, 3, 3, 3, 3, jnp.float32)
    traced = []

    @jax.jit
    def compiled(*arguments):
        traced.append(None)
        return in_a_scan(function)(*arguments)

    forms = lambda: ("zoo_" in str(jax.make_jaxpr(compiled)(*arguments)), len(traced))
    assert forms() == (True, 1)
    with plain_convolutions():
        assert forms() == (False, 2)
        with plain_convolutions():
            assert forms() == (False, 2)
    assert forms() == (True, 2)  # found again
    inside = eqx.filter_jit(lambda x: function(x, kernel))
    with plain_convolutions(), pytest.raises(ZeroDivisionError):
        inside(arguments[0][0, 0])
        1 / 0
    assert "zoo_" in str(jax.make_jaxpr(function)(arguments[0][0, 0], kernel))


# A release of jax that has lost what the fast form is made of.
WITHOUT = """
import sys
import equinox, jax, jax.extend.core, jax.interpreters.mlir, jax.numpy as jnp, jax.random as jr, optax
del jax.extend.core.Primitive, jax.interpreters.mlir.register_lowering
import zoo
model = equinox.filter_jit(lambda: zoo.ConvVAE((1, 8, 8), 2, width_size=2, key=jr.key(0)))()
fit = zoo.fit(model, jnp.zeros((8, 8, 8, 1)).transpose(0, 3, 1, 2), objective=zoo.objectives.iwae, k=2,
    optimiser=optax.adam(1e-3), batch_size=8, epochs=1, progress=False, key=jr.key(1))
assert jnp.isfinite(fit.history[-1]["loss"])
assert "zoo.nn.convolution._fast" not in sys.modules
"""


@pytest.mark.parametrize("value, plain", [("1", True), ("0", False)])
def test_the_environment_variable_trains_without_the_fast_form(value, plain):
    environment = os.environ | {"ZOO_PLAIN_CONVOLUTIONS": value}
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, env=environment)
    assert (done.returncode == 0) == plain, done.stderr
    assert plain or "zoo/nn/convolution/_primitive.py" in done.stderr


def kernel_gradient_in_float64(x, g, padding):
    """What 3x3 kernels do to the outputs, by the definition."""
    x, g = np.asarray(np.pad(x, ((0, 0), *padding, (0, 0))), np.float64), np.asarray(g, np.float64)
    height, width = g.shape[1:3]
    seen = lambda a, b: np.tensordot(x[:, a : a + height, b : b + width], g, axes=((0, 1, 2), (0, 1, 2)))
    return np.array([[seen(a, b) for b in range(3)] for a in range(3)])


@pytest.mark.parametrize("height, width", [(8, 12), (7, 9), (2, 1)])
@pytest.mark.parametrize("padding", [((1, 1), (1, 1)), ((0, 2), (2, 1))])
def test_minimal_filtering_is_exact(height, width, padding):
    random = np.random.default_rng(0)
    new_height, new_width = height + sum(padding[0]) - 2, width + sum(padding[1]) - 2
    x, g = random.normal(size=(37, height, width, 3)), random.normal(size=(37, new_height, new_width, 2))
    minimal = lambda x, g: kernel_gradient(x, g, FOUR_OF_THREE, (padding[0][0], padding[1][0]))
    with jax.enable_x64(True):
        actual = jax.jit(minimal)(jnp.asarray(x), jnp.asarray(g))
    assert_close(actual, kernel_gradient_in_float64(x, g, padding), 1e-12)


def test_minimal_filtering_is_used_and_rounds_no_more_than_a_convolution():
    random = np.random.default_rng(0)
    # Positive images: the case in which the differences of pixels lose most.
    x = jnp.asarray(np.abs(random.normal(size=(32, 28, 28, 32))), jnp.float32)
    g = jnp.asarray(random.normal(size=(32, 28, 28, 32)), jnp.float32)
    gradient = jax.jit(cpu_kernel_gradient, static_argnames="padding")
    exact = kernel_gradient_in_float64(x, g, ((1, 1), (1, 1)))
    error = np.max(np.abs(gradient(x, g, padding=((1, 1), (1, 1))) - exact)) / np.max(np.abs(exact))
    assert error < 2e-6  # 4e-6 with the usual points 0, 1, -1, 2, -2
    uses = lambda *operands: "dot_general" in gradient.lower(*operands, padding=((1, 1), (1, 1))).as_text()
    assert uses(x, g)
    assert not uses(x[..., :31], g)
    assert not uses(x[:, :14, :14], g[:, :14, :14])
    assert jnp.all(gradient(x[:0], g[:0], padding=((1, 1), (1, 1))) == 0)
    assert not uses(x.astype(jnp.bfloat16), g.astype(jnp.bfloat16))


def test_an_upsampled_convolution_takes_nine_products_for_sixteen():
    # 19 images: full parts of the stack, of 8 where it is mapped and of 4 where it is summed, and a rest.
    xs, kernel, _ = operands(14, 14, 32, 64, 3, 3, jnp.float32)
    x = xs.reshape(20, 14, 14, 32)[:19]
    gradient = lambda f: jax.jit(jax.value_and_grad(energy(jax.vmap(f, in_axes=(0, None))), argnums=(0, 1)))
    with jax.enable_x64(True):
        exact = gradient(plain_upsample_conv)(x.astype(jnp.float64), kernel.astype(jnp.float64))
    exact = jax.tree.map(lambda a: np.asarray(a, np.float32), exact)
    assert_close(gradient(upsample_conv)(x, kernel), exact, 2e-6)  # plain autodiff: 5e-6
    text = gradient(upsample_conv).lower(x, kernel).as_text()
    assert "convolution" not in text and "dot_general" in text
    few = gradient(upsample_conv).lower(x[..., :31], kernel[:, :, :31]).as_text()
    assert "convolution" in few
    half = gradient(upsample_conv).lower(x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)).as_text()
    assert "convolution" in half
    for size in (4, 5):  # the algorithms alone, also for sizes too small to be worth it
        with jax.enable_x64(True):
            (small, *_), k, _ = operands(size, 3, 3, 2, 3, 3, jnp.float64)
            y, pull = jax.vjp(jax.vmap(plain_upsample_conv, in_axes=(0, None)), small, k)
            g = jnp.cos(y)
            minimal = filter_images(small, k, UP, (1, 1)), filter_images(g, k.swapaxes(2, 3), DOWN, (1, 1))
            assert_close((*minimal, kernel_gradient(small, g, UP, (1, 1))), (y, *pull(g)), 1e-13)


def test_equals_the_definition():
    x, kernel = (np.asarray(a, np.float64) for a in operands(5, 4, 2, 3, 3, 5, jnp.float32)[:2])
    with jax.enable_x64(True):
        y = np.asarray(jax.jit(conv)(x[0, 0], kernel))
    assert np.max(np.abs(y - brute_force(x[0, 0], kernel))) < 1e-13


def test_stack_reaches_one_convolution():
    # Nested maps give one convolution of the whole stack, forward and backward, and no sum afterwards.
    xs, kernel, _ = operands(6, 6, 3, 4, 3, 3, jnp.float32)
    gradient = jax.grad(energy(over_batch_and_k(conv)), argnums=(0, 1))
    jaxpr = jax.make_jaxpr(gradient)(xs, kernel).jaxpr
    shapes = {}
    for equation in jaxpr.eqns:
        shapes.setdefault(equation.primitive.name, []).append([v.aval.shape for v in equation.invars])
    assert shapes["zoo_conv"] == [[(20, 6, 6, 3), (3, 3, 3, 4)]]
    assert shapes["zoo_conv_image_gradient"] == [[(3, 3, 3, 4), (20, 6, 6, 4)]]
    assert shapes["zoo_conv_kernel_gradient"] == [[(20, 6, 6, 3), (20, 6, 6, 4)]]


def test_under_equinox_ensembles_and_loops():
    class Layer(eqx.Module):
        kernel: jax.Array

        def __call__(self, x):
            return conv(x, self.kernel)

    xs, _, kernels = operands(5, 5, 3, 3, 3, 3, jnp.float32)
    loss = lambda layer, x: jnp.sum(jax.vmap(layer)(x) ** 2)
    plain = jax.grad(lambda k, x: jnp.sum(jax.vmap(plain_conv, in_axes=(0, None))(x, k) ** 2))

    @jax.jit
    def three_ways(xs, kernels):
        gradients = eqx.filter_vmap(eqx.filter_grad(loss))(eqx.filter_vmap(Layer)(kernels), xs)
        mapped = lax.map(lambda pair: eqx.filter_grad(loss)(Layer(pair[0]), pair[1]).kernel, (kernels, xs))
        return gradients.kernel, mapped, jnp.stack([plain(k, x) for k, x in zip(kernels, xs)])

    gradients, mapped, expected = three_ways(xs, kernels)
    assert_close(gradients, expected, 5e-6)
    assert_close(mapped, expected, 5e-6)


def test_the_other_platforms_form():
    # Without a GPU here, its lowering can still be made, and its kernel's gradient run on the CPU.
    xs, kernel, kernels = operands(6, 5, 3, 4, 3, 5, jnp.float32)
    padding = ((1, 1), (2, 2))
    stack = jax.vmap(conv, in_axes=(0, None))

    @jax.jit
    def both(x, kernel):
        g = jnp.cos(stack(x, kernel))
        return xla_kernel_gradient(x, g, padding=padding), jax.grad(energy(stack), argnums=1)(x, kernel)

    assert_close(*both(xs[0], kernel), 5e-6)
    uses = jax.jit(every_use(conv)).trace(xs, kernel, kernels)
    assert "while" in uses.lower(lowering_platforms=("cpu",)).as_text()
    assert "while" not in uses.lower(lowering_platforms=("cuda",)).as_text()
    models = jax.jit(jax.grad(energy(jax.vmap(jax.vmap(upsample_conv, in_axes=(0, None)))), argnums=(0, 1)))
    upsampled = models.trace(xs, kernels[:, :, :3]).lower(lowering_platforms=("cuda",)).as_text()
    assert "while" not in upsampled and "convolution" in upsampled


@pytest.mark.parametrize("function", [conv, upsample_conv])
def test_even_kernel_is_refused(function):
    with pytest.raises(ValueError, match=f"`{function.__name__}.*odd.*got 2 x 3"):
        function(jnp.ones((4, 4, 1)), jnp.ones((2, 3, 1, 1)))


SHARDED = """
import jax, jax.numpy as jnp, jax.random as jr, numpy as np
from jax.sharding import AxisType, PartitionSpec as P
from zoo.nn import conv, upsample_conv
mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
xs = jr.normal(jr.key(0), (34, 6, 6, 3)); kernels = jr.normal(jr.key(1), (2, 3, 3, 3, 3))
def loss(kernels, xs):
    y = jax.vmap(lambda x: upsample_conv(conv(x, kernels[0]), kernels[1]))(xs)
    return jnp.mean(jnp.sin(y))
one = jax.value_and_grad(loss)(kernels, xs)
def mean(kernels, xs):
    return jax.lax.pmean(loss(kernels, xs), "data")
def both(kernels, xs):
    kernels = jax.lax.pcast(kernels, "data", to="varying")
    return jax.lax.pmean(jax.value_and_grad(loss)(kernels, xs), "data")
def outside(kernels, xs):
    sharded = jax.shard_map(mean, mesh=mesh, in_specs=(P(), P("data")), out_specs=P())
    return jax.value_and_grad(sharded)(kernels, xs)
within = jax.shard_map(both, mesh=mesh, in_specs=(P(), P("data")), out_specs=P())
unchecked = jax.shard_map(
    lambda k, x: jax.lax.pmean(jax.value_and_grad(loss)(k, x), "data"),
    mesh=mesh, in_specs=(P(), P("data")), out_specs=P(), check_vma=False,
)
split = jax.device_put(xs, jax.NamedSharding(mesh, P("data")))
automatic = jax.value_and_grad(loss)
for many in (outside, within, unchecked, automatic):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(jax.jit(many)(kernels, split))):
        assert np.max(np.abs(a - b)) <= 5e-6 * np.max(np.abs(a)), many
"""


def test_two_devices(with_devices):
    subprocess.run([sys.executable, "-W", "error", "-c", SHARDED], check=True, env=with_devices(2))


def test_the_default_training_step_computes_and_holds_no_more_than_it_did():
    """The command line's default model, eight images to a step. Unlike times, these numbers are no matter of load."""
    adam = optax.adam(1e-3)

    def start():
        prior = zoo.priors.MixtureOfNormals(8, 64, key=jr.key(0))
        model = zoo.ConvVAE((1, 28, 28), 8, prior=prior, key=jr.key(0))
        return zoo.TrainState(model, adam, key=jr.key(1))

    state = eqx.filter_jit(start)()
    lowered = zoo.step.lower(state, jnp.zeros((8, 1, 28, 28)), objective=zoo.objectives.elbo, optimiser=adam)
    compiled = lowered.compile().compiled
    # XLA counts a loop's body once, and so a share of the kernels' gradients only.
    assert 0.57e9 < compiled.cost_analysis()["flops"] < 0.7e9  # 0.65e9
    assert compiled.memory_analysis().temp_size_in_bytes < 2.9 * 2**20  # 2.6 MiB
