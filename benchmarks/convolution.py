"""How fast is `zoo.nn`'s convolution against plain autodiff, outside and inside a loop?

    python benchmarks/convolution.py [--devices 2] [--rounds 8] [--stack-only]

Answer: forward the same, upsampled layers faster; backward 1.2 to 4.7 times as fast outside a loop, and in a loop as
fast as outside, where plain autodiff's backward pass is 5 to 64 times slower than outside. The whole stack of the
reference network's convolutions takes 0.68 of plain autodiff's time.

2 cores (Intel Xeon, virtual), 27 November 2026, in `speed.py`:

    jax 0.10.2, 1 device, batch 128; milliseconds, forward / backward (kernel and image), ours then plain
    layer                                        outside                   in a loop
    28x28 1->32                 1.4 /    2.6    1.3 /    3.2    2.8 /    2.5    3.1 /   59.5
    28x28 32->32               14.6 /   29.8   14.3 /   66.3   16.2 /   36.1   17.1 / 3000.9
    14x14 32->64                7.1 /   17.2    6.6 /   33.5    8.2 /   15.8    8.1 / 1307.3
    14x14 64->64               13.5 /   27.5   13.4 /   61.5   14.2 /   27.6   14.3 / 2845.4
    7x7 64->32 upsampled        5.2 /   10.1    7.8 /   29.9    5.4 /    9.7    8.2 / 1906.7
    14x14 32->32                3.7 /   11.1    3.8 /   16.2    4.0 /   10.5    4.1 /  840.1
    14x14 32->64 upsampled     15.5 /   29.4   27.6 /  139.5   19.6 /   33.4   36.8 / 7274.8
    28x28 64->64               56.9 /  117.5   56.2 /  256.4   61.1 /   96.9   62.4 /14521.6
    28x28 64->1                11.0 /    8.7    9.4 /   31.4   13.9 /    8.6   12.9 /  158.8

The whole stack with ReLU and max-pooling after it, wall-clock milliseconds of ours, plain, ours in a loop; the first of
the same run, the others of 26 November 2026 on an Intel Xeon too:

    jax 0.10.2,   1 device      425.1   624.0   385.2
    jax 0.12.0.1, 1 device      443.6   758.9   426.4
    jax 0.12.0.1, 2 devices     379.3   555.7   303.0
    jax 0.10.2,   2 devices     315.3   617.3   285.3
"""

import argparse
import os
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=1, help="CPU devices that share the batch")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--stack-only", action="store_true", help="leave out the table of layers")
    arguments = parser.parse_args()
    # XLA reads this once, before jax starts.
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={arguments.devices}"

    import jax

    print(f"jax {jax.__version__}, {os.cpu_count()} cores, {arguments.devices} device(s), batch {arguments.batch}")
    if not arguments.stack_only:
        layers_table(arguments.batch, arguments.rounds)
    stack_table(arguments.batch, arguments.rounds, arguments.devices)


# height, width, channels, out, upsampled
LAYERS = [
    (28, 28, 1, 32, False),
    (28, 28, 32, 32, False),
    (14, 14, 32, 64, False),
    (14, 14, 64, 64, False),
    (7, 7, 64, 32, True),
    (14, 14, 32, 32, False),
    (14, 14, 32, 64, True),
    (28, 28, 64, 64, False),
    (28, 28, 64, 1, False),
]


def ours():
    from zoo.nn import conv, upsample_conv

    return conv, upsample_conv


def plain():
    import jax.numpy as jnp
    from jax import lax

    def conv(x, kernel):
        return lax.conv_general_dilated(x[None], kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))[0]

    def upsample_conv(x, kernel):
        height, width, channels = x.shape
        x = jnp.broadcast_to(x[:, None, :, None], (height, 2, width, 2, channels))
        return conv(x.reshape(2 * height, 2 * width, channels), kernel)

    return conv, upsample_conv


def milliseconds(functions, rounds):
    """Least wall-clock and processor time of each function, in interleaved runs."""
    import jax

    times = {name: [] for name in functions}
    for function, arguments in functions.values():
        jax.block_until_ready(function(*arguments))
    for _ in range(rounds):
        for name, (function, arguments) in functions.items():
            wall, processor = time.perf_counter(), time.process_time()
            jax.block_until_ready(function(*arguments))
            times[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return {name: [1e3 * min(column) for column in zip(*rows)] for name, rows in times.items()}


def looped(function, steps):
    """`steps` runs in a `fori_loop`, each waiting for the one before."""
    import jax
    from jax import lax

    def run(*arguments):
        def body(_, arguments):
            results = lax.optimization_barrier(function(*arguments))
            tiny = 1e-30 * sum(leaf.ravel()[0] for leaf in jax.tree.leaves(results))
            # One number of each argument moves, in place: nothing is the same in the next round.
            return tuple(a.at[(0,) * a.ndim].add(tiny) for a in arguments)

        return lax.fori_loop(0, steps, body, arguments)

    return jax.jit(run)


def layers_table(batch, rounds):
    import jax
    import jax.random as jr

    print("\nmilliseconds, forward / backward (kernel and image), ours then plain; wall-clock")
    print(f"{'layer':28s}{'outside':>24s}{'in a loop':>28s}")
    for height, width, channels, out, upsampled in LAYERS:
        scale = 2 if upsampled else 1
        xs = jr.normal(jr.key(0), (batch, height, width, channels))
        kernel = jr.normal(jr.key(1), (3, 3, channels, out))
        g = jr.normal(jr.key(2), (batch, scale * height, scale * width, out))
        functions = {}
        for name, pair in (("ours", ours()), ("plain", plain())):
            stack = jax.vmap(pair[upsampled], in_axes=(0, None))
            forward = lambda kernel, xs, g, stack=stack: stack(xs, kernel)

            def both(kernel, xs, g, stack=stack):
                # An image from the data set needs no gradient.
                y, pull = jax.vjp(stack, xs, kernel) if channels > 1 else jax.vjp(lambda k: stack(xs, k), kernel)
                return y, pull(g)

            for part, function in (("forward", forward), ("both", both)):
                functions[name, part, "outside"] = jax.jit(function), (kernel, xs, g)
                # The plain gradient in a loop takes seconds: once is enough.
                steps = 1 if (name, part) == ("plain", "both") else 3
                functions[name, part, "loop", steps] = looped(function, steps), (kernel, xs, g)
        slow = {k: v for k, v in functions.items() if k[:3] == ("plain", "both", "loop")}
        times = milliseconds({k: v for k, v in functions.items() if k not in slow}, rounds)
        times |= milliseconds(slow, 1)
        wall = {key[:3]: value[0] / (key[3] if len(key) == 4 else 1) for key, value in times.items()}
        cell = lambda name, where: (
            f"{wall[name, 'forward', where]:7.1f} /{wall[name, 'both', where] - wall[name, 'forward', where]:7.1f}"
        )
        size = f"{height}x{width} {channels}->{out}" + (" upsampled" if upsampled else "")
        print(f"{size:24s}" + "".join(cell(n, w) for w in ("outside", "loop") for n in ("ours", "plain")), flush=True)


def stack_table(batch, rounds, devices):
    import jax
    import jax.numpy as jnp
    import jax.random as jr
    from jax.sharding import AxisType, NamedSharding, PartitionSpec as P

    mesh = jax.make_mesh((devices,), ("data",), axis_types=(AxisType.Auto,))
    kernels = [jr.normal(jr.key(i), (3, 3, *layer[2:4])) / (9 * layer[2]) ** 0.5 for i, layer in enumerate(LAYERS)]
    xs = jax.device_put(jr.uniform(jr.key(9), (batch, 28, 28, 1)), NamedSharding(mesh, P("data")))

    def halved(x):
        height, width, channels = x.shape
        return x.reshape(height // 2, 2, width // 2, 2, channels).max((1, 3))

    def loss(pair, kernels, xs):
        def one(x):
            conv, upsample_conv = pair
            y = x
            for i, ((*_, upsampled), kernel) in enumerate(zip(LAYERS, kernels)):
                y = upsample_conv(y, kernel) if upsampled else conv(y, kernel)
                y = jax.nn.relu(y) if i < len(LAYERS) - 1 else y
                y = halved(y) if i in (1, 3) else y
            return jnp.sum((x - y) ** 2)

        return jnp.mean(jax.vmap(one)(xs))

    def step(pair):
        def of_a_device(kernels, xs):
            gradient = jax.grad(lambda kernels: loss(pair, kernels, xs))(kernels)
            gradient = jax.lax.pmean(gradient, "data")
            return [kernel - 1e-4 * g for kernel, g in zip(kernels, gradient)]

        return jax.shard_map(of_a_device, mesh=mesh, in_specs=(P(), P("data")), out_specs=P(), check_vma=False)

    def many(function, steps):
        return jax.jit(lambda kernels, xs: jax.lax.fori_loop(0, steps, lambda _, k: function(k, xs), kernels))

    functions = {
        "ours": (jax.jit(step(ours())), (kernels, xs)),
        "plain": (jax.jit(step(plain())), (kernels, xs)),
        "ours, in a loop": (many(step(ours()), 3), (kernels, xs)),
    }
    print("\nthe whole stack, forward and backward, milliseconds: wall-clock, processor")
    for name, (wall, processor) in milliseconds(functions, rounds).items():
        steps = 3 if "loop" in name else 1
        print(f"{name:20s}{wall / steps:8.1f}{processor / steps:8.1f}", flush=True)


if __name__ == "__main__":
    main()
