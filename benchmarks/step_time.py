"""How long is a training step of the reference network, against PyTorch and against the notebook's own code?

    python benchmarks/step_time.py --torch-python ../torch-venv/bin/python [--devices 2]

Answer: it depends on the processor. Without AVX-512 faster than PyTorch by a tenth, with it slower by a quarter to a
half; faster than the notebook on both. With `--devices 2 --rounds 4` on two cores of an AMD EPYC (AVX2, 0.5 MiB of
second cache a core), torch 2.13.0, 2026-11-27, one run each, batch 128, nothing else running but a download while the
first of them compiled:

    milliseconds a step                               ours    theirs   ratio    must    aim
    jax 0.10.2
    norm=batch, against torch, channels-last       1023.00   1102.42    0.93    1.00   0.80  met
    norm=none, against torch, channels-last         873.92   1027.69    0.85    1.00   0.90  aim met
    norm=batch, against the notebook               1023.00   5598.17    0.18    0.50   0.38  aim met
    jax 0.12.0
    norm=batch, against torch, channels-last        997.44   1085.04    0.92    1.00   0.80  met
    norm=none, against torch, channels-last         833.58    980.52    0.85    1.00   0.90  aim met
    norm=batch, against the notebook                997.44   3119.27    0.32    0.50   0.38  aim met

With `--devices 2 --rounds 4 --seconds 2` on two cores of an Intel Xeon (AVX-512, 2 MiB of second cache a core), the
same day, with nothing else running:

    milliseconds a step                               ours    theirs   ratio    must    aim
    jax 0.10.2
    norm=batch, against torch, channels-last        622.35    429.97    1.45    1.00   0.80  missed
    norm=none, against torch, channels-last         473.57    371.04    1.28    1.00   0.90  missed
    norm=batch, against the notebook                622.35   1573.64    0.40    0.50   0.38  met
    jax 0.12.0
    norm=batch, against torch, channels-last        622.03    412.32    1.51    1.00   0.80  missed
    norm=none, against torch, channels-last         476.36    351.16    1.36    1.00   0.90  missed
    norm=batch, against the notebook                622.03    994.69    0.63    0.50   0.38  missed

The ratios change with the hour: the day before, on the same machine, they were 1.33, 1.25, 1.25 and 1.27 to PyTorch
with slower convolutions than these, and 0.55 to the notebook on one device of jax 0.12, whose convolutions use both
cores. So changes are compared in turn with the code before them. Since then upsampled convolutions take 9 products for
16; ratios to PyTorch before / after, four or five rounds each:

    norm=none, two devices, jax 0.12     1.19 / 1.05   1.11 / 1.11
    norm=batch, two devices, jax 0.12    1.37 / 1.35
    norm=none, one device, jax 0.12      1.11 / 1.18   1.08 / 1.02
    with parts of the stack half as large:
    norm=none, two devices, jax 0.12     1.21 / 1.13   1.10 / 1.06
    norm=none, two devices, jax 0.10     1.18 / 1.17   1.13 / 1.08
    norm=none, one device, jax 0.10      1.65 / 1.75   1.63 / 1.49

Before that, kernels' gradients: as many images at a time as a core's cache holds (16 at 28 x 28, 64 channels to 64, had
been 6 MiB), then minimal filtering. Six rounds in turn of norm=none on two devices of jax 0.12: 617 ms as it was, 532
with the cache minded, 457 with both, PyTorch 439.

Where 507 ms of norm=none went on jax 0.12, two devices, before the upsampled convolutions changed, by
`jax.profiler.trace` (a device's mean; what is in a loop counts twice): 257 in convolutions and matrix products of XLA's
fast form, 78 in the loops of the kernels' gradients, 52 in waiting for the other device at the step's end, the rest in
the sums of minimal filtering, in SELU and in copies.
XLA's convolutions between many channels run at 150 to 210 GFLOP/s, PyTorch's at 200 to 250.

Timed alone, milliseconds with two devices of jax 0.12 (as it was, then so):

    28x28 64->64 by minimal filtering F(2 x 2, 3 x 3)       forward 46, 34   by image 42, 34
    14x14 32->64 upsampled by 9 products in place of 16     forward 22, 15   by image 22, 13   by kernel 31, 26
    the same for 7x7 64->32                                 forward 7.4, 4.5 by image 7.2, 4.3 by kernel 7.9, 8.5

The first in a step, in turn: 503 to 491 ms on two devices of jax 0.12, 540 to 593 on one, 831 to 673 on one of jax
0.10; left, as it helps one and harms another. The second is what is used; the third would be compiled in the default
job's step too, and is not worth it. SELU by `exp` in place of `expm1` would save 2 of 5.6 ms for 28 x 28 x 64.

What would save more, measured on the AMD EPYC, jax 0.10, two devices, four rounds in turn (PyTorch 1051 and 1006 ms):

* XLA asks for the 200 MB of a program's temporaries anew at each call, and the system's 99,000 page faults are a tenth
  of a step. Three steps to a call, as `fit` does when steps are short: norm=batch 1127 to 965 ms. jemalloc in place of
  the system's allocator: 1238 to 1023 and 1226 to 1042 ms in the two rounds that nothing else disturbed.
* In such blocks of three steps, norm=batch and norm=none: 949 and 839 ms as it is; 876 and 806 with SELU by `exp` in
  place of `expm1`; 860 with no bias before BatchNorm, which takes it off again.
* Gradients of 2, 4 and 8 microbatches in such a block, norm=none: 818 ms with one, then 786, 781, 777.

Tried and left: F(4 x 4, 3 x 3) forward, whose sums XLA computes many times over (58 ms, 32 with barriers); stacked
products of shifted columns and rows (as fast as the convolution once that minds the cache); the forward convolution as
one product of nine times the channels (70 ms); one convolution to four times the channels for the upsampled layer,
slower in the backward pass.
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
    model = zoo.ConvVAE((1, 28, 28), LATENT, build=zoo.nn.convolutional, norm=norm, key=jr.key(0))
    if networks is not None:
        model = eqx.tree_at(lambda m: (m.encoder, m.decoder), model, replace_fn=networks)
    return zoo.TrainState(model, adam, key=jr.key(1)), adam


def zoo_step(norm, batch, devices, networks=None):
    import jax
    import jax.random as jr

    import zoo
    from zoo.train._blocks import replicate, split

    mesh = None if devices == 1 else zoo.train.data_mesh(devices)
    state, adam = zoo_state(norm, networks)
    state = replicate(state, mesh)
    xs = split(jr.uniform(jr.key(2), (batch, 1, 28, 28)), mesh)

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
    settings = dict(objective=zoo.objectives.elbo, optimiser=adam, batch_size=batch, mesh=mesh)
    return in_blocks(state, xs, **settings)


def in_blocks(state, xs, *, mesh, batch_size, **settings):
    """Steps on the batches of `xs`, all to one call that are there, at most as many as `fit` takes."""
    import jax
    import jax.numpy as jnp
    import jax.random as jr

    import zoo
    from zoo.train._blocks import BLOCK, order, replicate, run_block

    state, data_set = replicate((state, (xs, None)), mesh)
    rows, longest = order(jr.key(3), jnp.uint32(0), len(xs)), min(BLOCK, len(xs) // batch_size)
    settings = dict(k=1, estimator=zoo.estimators.reparameterised, penalties=(), observe=zoo.data.scale) | settings

    def run(steps):
        nonlocal state
        while steps > 0:
            count = min(steps, longest)
            state, metrics = run_block(
                state, data_set, rows, jnp.int32(0), jnp.int32(count), batch_size=batch_size, mesh=mesh, **settings
            )
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
