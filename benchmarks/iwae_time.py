"""How long is a training step of the IWAE paper's network, against pythae's IWAE and plain PyTorch?

    python benchmarks/iwae_time.py --torch-python ../torch-venv/bin/python --devices 2

784-200-200-50 tanh, Adam, one batch after another out of 10,000 images that lie ready. Ours are steps as `fit` runs
them, many in one call; `a call each` is `zoo.step`. Batches of 100 draws and more are shared by the devices.

Answer: faster than both, by as much as it should be but for two rows at the edge. With `--rounds 5 --seconds 1` on two
cores of an Intel Xeon (AVX-512), jax 0.10.2, torch 2.13.0, 2026-11-27, nothing else running; of two runs the later, and
the earlier for batch 20, k = 1 and batch 100, k = 5:

    milliseconds a step                               ours    theirs   ratio    must    aim; a call each
    batch 20, k = 1, against pythae                   1.38      2.91    0.47    0.60   0.35  met       2.30
    batch 20, k = 1, against torch                    1.38      1.75    0.79    0.95   0.80  aim met       2.30
    batch 20, k = 5, against pythae                   2.34      3.93    0.59    0.60   0.60  aim met       4.08
    batch 20, k = 5, against torch                    2.34      2.44    0.96    0.95   0.80  missed       4.08
    batch 20, k = 50, against pythae                  7.67     21.75    0.35    0.60   0.45  aim met      10.72
    batch 20, k = 50, against torch                   7.67      8.49    0.90    0.95   0.80  met      10.72
    batch 100, k = 1, against pythae                  2.52      4.19    0.60    0.60   0.35  missed       4.39
    batch 100, k = 1, against torch                   2.52      2.71    0.93    0.95   0.80  met       4.39
    batch 100, k = 5, against pythae                  5.15      9.44    0.55    0.60   0.60  aim met       7.42
    batch 100, k = 5, against torch                   5.15      5.45    0.95    0.95   0.80  met       7.42
    batch 100, k = 50, against pythae                36.39    206.69    0.18    0.60   0.45  aim met      40.77
    batch 100, k = 50, against torch                 36.39    140.56    0.26    0.95   0.80  aim met      40.77

In an hour in which torch took 40.68 ms for the last row, ours was 38.49 before, and the ratio 0.95.

On the same machine, while the devices exchanged a gradient array by array, a step of batch 100, k = 5 took 6.0 ms and
one of batch 20, k = 50 8.9; as one array 5.0 and 8.0 (medians of five turns, two runs each with jax 0.10 and 0.12).
Where 2.3 ms of batch 20, k = 5 on two devices go, by `jax.profiler.trace`: 0.8 in matrix products, 0.65 in Adam, which
each device does whole, 0.4 in the exchange, the rest in 300 small operations. Whether one device or two take a batch of
100 draws changes nothing (2.62 and 2.49 ms for batch 100, k = 1; 2.26 and 2.27 for batch 20, k = 5).

On an AMD EPYC (AVX2) on 2026-11-25, before that, every row was met: 0.33 to 0.59 of pythae, 0.56 to 0.87 of torch.
"""

import os

from interleave import HEADER, Elsewhere, medians, parser, repeated, serve, start_jax, verdict
from step_time import in_blocks


CASES = [(batch, k) for batch in (20, 100) for k in (1, 5, 50)]
IMAGES = 10_000


def main():
    arguments = parser(__doc__).parse_args()
    if arguments.serve:
        return serve(torch_step)
    print(start_jax(arguments.devices))
    print(f"{HEADER}; a call each")
    elsewhere = arguments.torch_python and Elsewhere(arguments.torch_python, __file__)
    for batch, k in CASES:
        contenders = zoo_steps(batch, k, arguments.devices)
        if elsewhere:
            contenders |= {name: elsewhere[f"{name} {batch} {k}"] for name in ("pythae", "torch")}
        took = medians(contenders, rounds=arguments.rounds, seconds=arguments.seconds)
        ours, case = took["block"], f"batch {batch}, k = {k}"
        single = f"{1e3 * took['call']:10.2f}"
        if elsewhere:
            aim = 0.35 if k == 1 else 0.45 if k == 50 else 0.6
            print(verdict(f"{case}, against pythae", ours, took["pythae"], 0.6, aim), single)
            print(verdict(f"{case}, against torch", ours, took["torch"], 0.95, 0.8), single, flush=True)
        else:
            print(f"{case:44s}{1e3 * ours:10.2f}", single, flush=True)


def zoo_steps(batch, k, devices):
    import jax
    import jax.numpy as jnp
    import jax.random as jr
    import optax

    import zoo
    from zoo.train._blocks import copy_to_devices, divide_batch, draw_order

    # Fewer draws are done before two devices have exchanged their gradients.
    mesh = zoo.train.data_mesh(devices) if devices > 1 and batch * k >= 100 else None
    adam, bernoulli = optax.adam(1e-3), zoo.likelihoods.bernoulli
    model = zoo.MLPVAE(784, 50, width_size=200, depth=2, activation=jnp.tanh, likelihood=bernoulli, key=jr.key(0))
    state = copy_to_devices(zoo.TrainState(model, adam, key=jr.key(1)), mesh)
    xs = copy_to_devices((jr.uniform(jr.key(2), (IMAGES, 784)) < 0.3).astype(jnp.float32), mesh)
    rows, objective = draw_order(jr.key(3), jnp.uint32(0), IMAGES), zoo.objectives.iwae
    gather, at = jax.jit(lambda first: divide_batch(xs[jax.lax.dynamic_slice_in_dim(rows, first, batch)], mesh)), 0

    def call():
        nonlocal at, state
        at = (at + batch) % IMAGES
        state, metrics = zoo.step(state, gather(at), objective=objective, optimiser=adam, k=k, mesh=mesh)
        return metrics

    block = in_blocks(state, xs, objective=objective, optimiser=adam, k=k, batch_size=batch, mesh=mesh)
    return {"call": repeated(call, jax.block_until_ready), "block": block}


def torch_step(name):
    import torch

    side, batch, k = name.split()
    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(0)
    xs, at = (torch.rand(IMAGES, 784) < 0.3).float(), 0
    rows = torch.randperm(IMAGES)
    loss_of, model = pythae_loss(int(k)) if side == "pythae" else plain_loss(int(k))
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, **({} if side == "pythae" else {"fused": True}))

    def step():
        nonlocal at
        at = (at + int(batch)) % IMAGES
        loss = loss_of(xs[rows[at : at + int(batch)]])
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        return loss

    return repeated(step, lambda loss: loss.item())


def mlp(*sizes):
    from torch import nn

    layers = [part for a, b in zip(sizes[:-1], sizes[1:]) for part in (nn.Linear(a, b), nn.Tanh())]
    return nn.Sequential(*layers[:-1])


def plain_loss(k):
    import math

    import torch
    from torch import nn
    from torch.nn.functional import binary_cross_entropy_with_logits

    encoder, decoder = mlp(784, 200, 200, 100), mlp(50, 200, 200, 784)

    def loss(xs):
        mean, log_scale = encoder(xs).chunk(2, dim=1)
        noise = torch.randn(k, *mean.shape)
        z = mean + log_scale.exp() * noise
        logits = decoder(z)
        target = xs.expand(k, -1, -1)
        distortion = binary_cross_entropy_with_logits(logits, target, reduction="none").sum(2)
        log_weight = 0.5 * (noise**2 - z**2).sum(2) + log_scale.sum(1) - distortion
        return -(log_weight.logsumexp(0) - math.log(k)).mean()

    return loss, nn.ModuleList([encoder, decoder])


def pythae_loss(k):
    from pythae.models import IWAE, IWAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from torch import nn

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.layers, self.mean, self.log_variance = mlp(784, 200, 200), nn.Linear(200, 50), nn.Linear(200, 50)

        def forward(self, x):
            hidden = self.layers(x).tanh()
            return ModelOutput(embedding=self.mean(hidden), log_covariance=self.log_variance(hidden))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.layers = mlp(50, 200, 200, 784)

        def forward(self, z):
            return ModelOutput(reconstruction=self.layers(z).sigmoid())

    settings = IWAEConfig(input_dim=(784,), latent_dim=50, reconstruction_loss="bce", number_samples=k)
    model = IWAE(settings, encoder=Encoder(), decoder=Decoder())
    return lambda xs: model({"data": xs}).loss, model


if __name__ == "__main__":
    main()
