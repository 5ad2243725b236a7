"""How fast is `zoo.nn`'s convolution against plain autodiff, outside and inside a loop?

    python benchmarks/convolution.py [--devices 2] [--rounds 8] [--stack-only]

Answer: forward the same; backward 0.9 to 2.5 times as fast outside a loop, and in a loop as fast as outside,
where plain autodiff's backward pass is 9 to 240 times slower than outside. The whole stack of the reference
network's convolutions takes 0.58 of plain autodiff's time on one device and 0.68 on two with jax 0.12, 0.58 and
0.51 with jax 0.10.

2 cores (AMD EPYC, virtual), 22 November 2026:

    jax 0.12.0.1, 1 device, batch 128; milliseconds, forward / backward (kernel and image), ours then plain
    layer                                        outside                   in a loop
    28x28 1->32                 2.0 /    2.7    1.7 /    6.8    2.5 /    1.7    2.3 /   61.2
    28x28 32->32               12.4 /   27.4   12.2 /   29.1   13.4 /   29.5   13.7 / 3310.1
    14x14 32->64                6.4 /   15.4    6.6 /   15.8    7.6 /   14.3    7.0 / 1001.7
    14x14 64->64               10.6 /   22.4   10.4 /   24.7   11.1 /   22.5   11.7 / 1887.0
    7x7 64->32 upsampled        5.2 /    8.1    6.1 /   14.7    4.5 /    8.9    6.2 /  758.2
    14x14 32->32                3.4 /    8.7    3.3 /    7.7    3.6 /    8.3    3.5 /  364.0
    14x14 32->64 upsampled     18.2 /   39.2   23.5 /   72.5   20.0 /   32.5   26.1 /10966.7
    28x28 64->64               41.7 /   83.9   43.3 /  122.1   42.0 /   93.6   44.0 /28903.0
    28x28 64->1                 3.3 /    7.4    3.4 /   13.0    4.5 /    7.5    4.9 /  321.9

The layers above were timed before kernels' gradients minded the cache and used minimal filtering; the stack with
ReLU and max-pooling after it, 2 cores (Intel Xeon, virtual), 26 November 2026, wall-clock milliseconds of ours, plain,
ours in a loop:

    jax 0.12.0.1, 1 device      443.6   758.9   426.4
    jax 0.12.0.1, 2 devices     379.3   555.7   303.0
    jax 0.10.2,   1 device      505.3   876.7   552.3
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
    from zoo.nn._conv import conv, upsample_conv

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
