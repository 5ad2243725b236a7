"""How long is a training step of the reference network, against PyTorch and against the notebook's own code?

    python benchmarks/step_time.py --torch-python ../torch-venv/bin/python [--devices 2]

Ours are steps as `fit` takes them when they are slow, up to eight to a call; `a call each` is `zoo.step`.

Answer: it depends on the processor. As long as PyTorch or up to an eighth longer with AVX-512, a tenth shorter without;
faster than the notebook on both. With `--devices 2 --rounds 5` on two cores of an Intel Xeon (AVX-512, 2 MiB of second
cache a core), torch 2.13.0, 2026-11-27, nothing else running, one run each, batch 128:

    milliseconds a step                               ours    theirs   ratio    must    aim; a call each
    jax 0.10.2
    norm=batch, against torch, channels-last        286.22    272.97    1.05    1.00   0.80  missed     346.46
    norm=none, against torch, channels-last         259.22    231.15    1.12    1.00   0.90  missed     312.63
    norm=batch, against the notebook                286.22   1047.17    0.27    0.50   0.38  aim met     346.46
    jax 0.12.0
    norm=batch, against torch, channels-last        286.78    290.63    0.99    1.00   0.80  met     337.56
    norm=none, against torch, channels-last         251.36    236.62    1.06    1.00   0.90  missed     303.61
    norm=batch, against the notebook                286.78    707.39    0.41    0.50   0.38  met     337.56

A torch that has only norm=none, channels-last to do and waits for ours in between takes 271 to 281 ms, and the ratio is
0.92 to 0.98 with either jax.

With `--devices 2 --rounds 4` on two cores of an AMD EPYC (AVX2, 0.5 MiB of second cache a core), earlier the same day,
before the four changes below and one step to a call, so it can only have become less; nothing else running but a
download while the first of them compiled:

    milliseconds a step                               ours    theirs   ratio    must    aim
    jax 0.10.2
    norm=batch, against torch, channels-last       1023.00   1102.42    0.93    1.00   0.80  met
    norm=none, against torch, channels-last         873.92   1027.69    0.85    1.00   0.90  aim met
    norm=batch, against the notebook               1023.00   5598.17    0.18    0.50   0.38  aim met
    jax 0.12.0
    norm=batch, against torch, channels-last        997.44   1085.04    0.92    1.00   0.80  met
    norm=none, against torch, channels-last         833.58    980.52    0.85    1.00   0.90  aim met
    norm=batch, against the notebook                997.44   3119.27    0.32    0.50   0.38  aim met

Before these changes the ratios to PyTorch were 1.45 and 1.28 on an Intel Xeon with jax 0.10, 1.51 and 1.36 with 0.12.
What each gained, two devices, medians of rounds taken in turn with the code before it:

* Eight steps to a call. XLA asks the system for the 200 MB of a program's temporaries at each call. Four to a call, jax
  0.10: norm=batch 451 to 332 ms, norm=none 343 to 276. Eight: 308 to 283 and 274 to 252 in two runs, one after the
  other.
* No bias before BatchNorm, which takes it off again, on both sides (and SELU by `exp`, which gains nothing alone):
  norm=batch 344 to 312 ms with jax 0.10, 344 to 301 with 0.12.
* Kernels' gradients keep the sums over columns of the cotangent: norm=none 254 to 244 ms with jax 0.12 (289 to 282 on
  one device), 258 to 256 with 0.10.
* Devices exchange a gradient as one array: see `iwae_time.py`, where it is a larger share.

Where a step of norm=none goes, by `jax.profiler.trace`, milliseconds of one of two devices:

                                                                jax 0.10   jax 0.12
    convolutions by XLA                                              124        120
    loops: kernels' gradients and upsampled convolutions             107         84
    SELU, its derivative and the bias                                 38         30
    Adam, and the exchange between devices                             5          9
    the rest                                                          12         10

Of XLA's convolutions, 28x28 64->64 takes 27 to 31 ms forward and 26 by image, at 130 GFLOP/s a core. Of the largest
loop, the gradient of that layer's kernel, 6.8 of 15 ms were the sums of minimal filtering and 5.9 its products, before
the third change.

Tried and left, in turn as above, norm=none on two devices unless said:

* Minimal filtering F(2 x 2, 3 x 3) of 28x28 64->64, forward and by image: 264 to 252 ms with jax 0.12, and 292 to 321
  on one device of it, as XLA's own convolutions then use both cores. F(4 x 4, 3 x 3): 264 to 274, and 254 with every
  sum computed once.
* Gradients of 2, 4 and 8 microbatches, `fit(microbatches=)`: 260 ms with one, then 251, 247, 243. PyTorch gains as
  much: 311, 272, 243, 258.
* SELU by `exp` in place of `expm1`, its derivative from the output alone: 272 to 258 and 286 to 280 (norm=batch) with
  jax 0.10, 255 to 253 and 284 to 282 with 0.12. It is 5 of 277 ms in a profile.
* Stacked products of shifted columns and rows for kernels' gradients; the forward convolution as one product of nine
  times the channels; one convolution to four times the channels for the upsampled layer, slower in the backward pass.
* jemalloc in place of the system's allocator gains as much as several steps to a call, from outside.

Of upsampled convolutions, 9 products for 16: ratios to PyTorch before / after, four or five rounds each, of norm=none
on two devices of jax 0.12 1.19 / 1.05 and 1.11 / 1.11.
"""

import os
from functools import partial

from interleave import HEADER, Elsewhere, medians, parser, repeated, serve, start_jax, timer, verdict


LATENT = 8


def main():
    options = parser(__doc__)
    options.add_argument("--batch", type=int, default=128)
    arguments = options.parse_args()
    if arguments.serve:
        return serve(partial(torch_step, batch=arguments.batch))
    print(f"{start_jax(arguments.devices)}; batch {arguments.batch}")
    contenders = {}
    for norm in ("batch", "none"):
        contenders[f"block {norm}"] = zoo_blocks(norm, arguments.batch, arguments.devices)
        contenders[f"call {norm}"] = zoo_step(norm, arguments.batch, arguments.devices)
    contenders["notebook"] = notebook_step(arguments.batch)
    if arguments.torch_python:
        elsewhere = Elsewhere(arguments.torch_python, __file__, "--batch", str(arguments.batch))
        names = [f"{norm} {layout}" for norm in ("batch", "none") for layout in ("channels-last", "contiguous")]
        contenders |= {name: elsewhere[name] for name in names}
    took = medians(contenders, rounds=arguments.rounds, seconds=arguments.seconds)
    single = {norm: f"{1e3 * took[f'call {norm}']:10.2f}" for norm in ("batch", "none")}
    print(f"{HEADER}; a call each")
    for norm, aim in (("batch", 0.8), ("none", 0.9)) if arguments.torch_python else ():
        layouts = {layout: took[f"{norm} {layout}"] for layout in ("channels-last", "contiguous")}
        best = min(layouts, key=layouts.__getitem__)
        ours = took[f"block {norm}"]
        print(verdict(f"norm={norm}, against torch, {best}", ours, layouts[best], 1.0, aim), single[norm])
    ours = took["block batch"]
    print(verdict("norm=batch, against the notebook", ours, took["notebook"], 0.5, 0.38), single["batch"])


def zoo_state(norm, networks=None):
    """The reference network before its first step, and its optimiser; `networks` makes another of its encoder and of
    its decoder.
    """
    import equinox as eqx
    import jax.random as jr
    import optax

    import zoo

    adam = optax.adam(1e-3)
    model = zoo.ConvVAE((1, 28, 28), LATENT, networks=zoo.nn.convolutional(norm=norm), key=jr.key(0))
    if networks is not None:
        model = eqx.tree_at(lambda m: (m.encoder, m.decoder), model, replace_fn=networks)
    return zoo.TrainState(model, adam, key=jr.key(1)), adam


def zoo_step(norm, batch, devices, networks=None):
    import jax
    import jax.random as jr

    import zoo
    from zoo.train._blocks import copy_to_devices, divide_batch

    mesh = None if devices == 1 else zoo.train.data_mesh(devices)
    state, adam = zoo_state(norm, networks)
    state = copy_to_devices(state, mesh)
    xs = divide_batch(jr.uniform(jr.key(2), (batch, 1, 28, 28)), mesh)

    def step():
        nonlocal state
        state, metrics = zoo.step(state, xs, objective=zoo.objectives.elbo, optimiser=adam, mesh=mesh)
        return metrics

    return repeated(step, jax.block_until_ready)


def zoo_blocks(norm, batch, devices):
    """Steps as `fit` takes them when they are slow, up to eight to a call."""
    import jax.random as jr

    import zoo

    mesh = None if devices == 1 else zoo.train.data_mesh(devices)
    state, adam = zoo_state(norm)
    xs = jr.uniform(jr.key(2), (8 * batch, 1, 28, 28))
    options = dict(objective=zoo.objectives.elbo, optimiser=adam, batch_size=batch, mesh=mesh)
    return in_blocks(state, xs, **options)


def in_blocks(state, xs, *, mesh, batch_size, **options):
    """Steps on the batches of `xs`, all to one call that are there, at most as many as `fit` takes."""
    import jax
    import jax.numpy as jnp
    import jax.random as jr

    from zoo.train._blocks import LONGEST_BLOCK, copy_to_devices, draw_order, run_block
    from zoo.train._recipe import write_recipe

    state, data_set = copy_to_devices((state, (xs, None)), mesh)
    order, longest = draw_order(jr.key(3), jnp.uint32(0), len(xs)), min(LONGEST_BLOCK, len(xs) // batch_size)
    recipe = write_recipe(batch_size=batch_size, mesh=mesh, **options)

    def run(steps):
        nonlocal state
        while steps > 0:
            count = min(steps, longest)
            state, metrics = run_block(state, data_set, order, jnp.int32(0), jnp.int32(count), recipe)
            jax.block_until_ready(metrics)
            steps -= count

    return timer(run)


def notebook_step(batch):
    """The network as the reference notebook builds and differentiates it: stax, one batch-wide function."""
    import jax
    import jax.numpy as jnp
    import jax.random as jr
    from jax.example_libraries import optimizers, stax

    def stage(*sizes):
        layers = [(stax.Conv(size, (3, 3), padding="SAME"), stax.BatchNorm(), stax.Selu) for size in sizes]
        return [layer for three in layers for layer in three]

    def double(params, xs, **_):
        return jnp.kron(xs.transpose(0, 3, 1, 2), jnp.ones((2, 2))).transpose(0, 2, 3, 1)

    upsample = (lambda key, shape: ((shape[0], 2 * shape[1], 2 * shape[2], shape[3]), ())), double
    as_images = (lambda key, shape: ((shape[0], 7, 7, 64), ())), lambda params, xs, **_: xs.reshape(-1, 7, 7, 64)
    pool = stax.MaxPool((2, 2), (2, 2))
    encoder = stax.serial(*stage(32, 32), pool, *stage(64, 64), pool, stax.Flatten, stax.Dense(2 * LATENT))
    last = stax.Conv(1, (3, 3), padding="SAME"), stax.Sigmoid
    decoder = stax.serial(stax.Dense(7 * 7 * 64), as_images, upsample, *stage(32, 32), upsample, *stage(64, 64), *last)
    weights = encoder[0](jr.key(0), (-1, 28, 28, 1))[1], decoder[0](jr.key(1), (-1, LATENT))[1]

    def loss(weights, xs, key):
        mean, log_variance = jnp.split(encoder[1](weights[0], xs), 2, axis=1)
        rate = -0.5 * jnp.sum(1 + log_variance - mean**2 - jnp.exp(log_variance), axis=1)
        z = mean + jnp.exp(0.5 * log_variance) * jr.normal(key, mean.shape)
        p, tiny = decoder[1](weights[1], z), 1e-6
        away = jnp.where((p < 0.49) | (p > 0.51), p, 0.49)  # its normaliser is cut out around a half
        slope = jnp.abs(1 - 2 * away)
        normaliser = jnp.log(jnp.abs(2 * jnp.arctanh(slope - tiny))) - jnp.log(slope + tiny)
        log_p = xs * jnp.log(p + tiny) + (1 - xs) * jnp.log(1 - p + tiny) + normaliser
        return jnp.mean(2 * rate - jnp.sum(log_p, axis=(1, 2, 3)))

    init, update, weights_of = optimizers.adam(3e-3)
    state, xs, key = init(weights), jr.uniform(jr.key(2), (batch, 28, 28, 1)), jr.key(3)

    @jax.jit
    def next_state(key, state):
        value, gradient = jax.value_and_grad(loss)(weights_of(state), xs, key)
        return update(0, gradient, state), value

    def step():
        nonlocal state
        state, value = next_state(key, state)
        return value

    return repeated(step, jax.block_until_ready)


def torch_step(name, *, batch, device="cpu"):
    """`name`: the normalisation, the layout of images in memory, and `compiled` or nothing."""
    import torch
    from torch import nn

    norm, layout, *compiled = name.split()
    torch.set_num_threads(os.cpu_count() or 1)
    layout = torch.channels_last if layout == "channels-last" else torch.contiguous_format

    def stage(*sizes):
        for a, b in zip(sizes[:-1], sizes[1:]):
            normalisation = [nn.BatchNorm2d(b)] if norm == "batch" else []
            yield from (nn.Conv2d(a, b, 3, padding=1, bias=not normalisation), *normalisation, nn.SELU())

    double = lambda: nn.Upsample(scale_factor=2)
    encoder = nn.Sequential(
        *stage(1, 32, 32), nn.MaxPool2d(2), *stage(32, 64, 64), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(64 * 49, 2 * LATENT),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(LATENT, 64 * 49), nn.Unflatten(1, (64, 7, 7)), double(), *stage(64, 32, 32), double(),
        *stage(32, 64, 64), nn.Conv2d(64, 1, 3, padding=1),
    )  # fmt: skip
    model = nn.ModuleList([encoder, decoder]).to(device, memory_format=layout)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    xs = torch.rand(batch, 1, 28, 28).to(device, memory_format=layout)

    def log_normaliser(eta):
        size = eta.abs()
        near = size < 1e-2
        safe = torch.where(near, 1.0, size)
        away = eta.clamp(min=0) + torch.log(-torch.expm1(-safe) / safe)
        return torch.where(near, eta / 2 + eta**2 / 24, away)

    def negative_bound():
        mean, log_scale = encoder(xs).chunk(2, dim=1)
        noise = torch.randn_like(mean)
        z = mean + log_scale.exp() * noise
        eta = decoder(z)
        log_likelihood = (xs * eta - log_normaliser(eta)).sum((1, 2, 3))
        rate = (0.5 * (z**2 - noise**2) - log_scale).sum(1)
        return (rate - log_likelihood).mean()

    if compiled:
        negative_bound = torch.compile(negative_bound)

    def step():
        loss = negative_bound()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        return loss

    return repeated(step, lambda loss: loss.item())


if __name__ == "__main__":
    main()
