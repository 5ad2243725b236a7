"""How long is a training step on a GPU, how far from the roof, and what does bfloat16 do to the bound?

    python benchmarks/gpu_time.py --tflops 67 --gigabytes 3350 [--torch-python ../torch-venv/bin/python]

Answer: the times are not known. No GPU could be had; on a CPU (`--torch-device cpu`) the script runs. The bound loses
little: the last table, of ten epochs of the small set, on a CPU (two cores of an AMD EPYC, jax 0.10.2, 2026-11-26):

    held-out nats, k = 100                        mean   paired difference
    trained and scored in float32              2003.23   +0.00 +- 0.00
    the same, scored in bfloat16               2003.40   +0.17 +- 0.04
    trained in bfloat16, scored in float32     2000.16   -3.07 +- 1.24
    trained and scored in bfloat16             2000.24   -2.99 +- 1.24

What training in bfloat16 costs is one run's, and no more than two seeds are apart.

The steps are those of `step_time.py`, with the networks in float32 and in bfloat16, against PyTorch eager and
compiled. The roof is the longer of two times: XLA's count of the step's FLOPs at the device's peak, and of the bytes
that it moves at its bandwidth; both are told by the options, from the maker's data sheet. The last table has two runs
from the same weights and keys, in float32 and in bfloat16, and the float32 one's model scored in bfloat16: densities
are float32 in all of them, so the differences are the networks'.
"""

from functools import partial

from interleave import HEADER, Elsewhere, medians, parser, serve, start_jax, verdict
from step_time import torch_step, zoo_state, zoo_step


def main():
    options = parser(__doc__)
    options.add_argument("--batch", type=int, default=128)
    options.add_argument("--torch-device", default="cuda")
    options.add_argument("--tflops", type=float, help="the device's peak")
    options.add_argument("--gigabytes", type=float, help="that its memory moves in a second")
    options.add_argument("--epochs", type=int, default=10, help="of the runs whose bounds are compared; 0 for none")
    arguments = options.parse_args()
    if arguments.serve:
        return serve(partial(torch_step, batch=arguments.batch, device=arguments.torch_device))
    print(f"{start_jax(arguments.devices)}; batch {arguments.batch}")
    import zoo

    half = zoo.nn.HalfPrecision
    ours = {"norm=batch": ("batch", None), "norm=none": ("none", None), "norm=none, bfloat16": ("none", half)}
    contenders = {name: zoo_step(norm, arguments.batch, 1, networks) for name, (norm, networks) in ours.items()}
    if arguments.torch_python:
        options = ("--batch", str(arguments.batch), "--torch-device", arguments.torch_device)
        elsewhere = Elsewhere(arguments.torch_python, __file__, *options)
        names = [f"{norm} channels-last{mode}" for norm in ("batch", "none") for mode in ("", " compiled")]
        contenders |= {name: elsewhere[name] for name in names}
    took = medians(contenders, rounds=arguments.rounds, seconds=arguments.seconds)
    if arguments.torch_python:
        print(HEADER)
        for name, (norm, _) in ours.items():
            for mode, word in (("", "eager"), (" compiled", "compiled")):
                print(verdict(f"{name}, {word}", took[name], took[f"{norm} channels-last{mode}"], 1.0, 0.8))
    print(f"\n{'':24}{'ms a step':>12}{'GFLOP':>10}{'MiB':>10}   share of the roof")
    for name, (norm, networks) in ours.items():
        flops, moved = counts(norm, arguments.batch, networks)
        line = f"{name:24}{1e3 * took[name]:12.3f}{flops / 1e9:10.2f}{moved / 2**20:10.1f}"
        if arguments.tflops and arguments.gigabytes:
            roof = max(flops / (arguments.tflops * 1e12), moved / (arguments.gigabytes * 1e9))
            line += f"   {roof / took[name]:.1%}"
        print(line)
    if arguments.epochs:
        bounds(arguments.epochs)


def counts(norm, batch, networks):
    """XLA's count of a step's FLOPs and of the bytes that it reads and writes."""
    import jax.numpy as jnp

    import zoo

    state, adam = zoo_state(norm, networks)
    lowered = zoo.step.lower(state, jnp.zeros((batch, 1, 28, 28)), objective=zoo.objectives.elbo, optimiser=adam)
    analysis = lowered.compile().compiled.cost_analysis()
    return analysis["flops"], analysis["bytes accessed"]


def bounds(epochs):
    """Held-out nats with 100 draws, of one run in float32 and of one in bfloat16."""
    import equinox as eqx
    import jax.random as jr
    import numpy as np

    import zoo

    images = zoo.data.fashion_mnist_mini()
    observe = zoo.data.dequantise

    def networks(model, replace):
        return eqx.tree_at(lambda m: (m.encoder, m.decoder), model, replace_fn=replace)

    def trained(model):
        return zoo.fit(
            model, images.train_images, observe=observe, batch_size=64, epochs=epochs, progress=False, key=jr.key(1)
        ).model

    def nats(model):
        scores = zoo.log_likelihood(model, images.test_images[:250], k=100, observe=observe, key=jr.key(2))
        return np.asarray(scores, np.float64)

    model = zoo.ConvVAE((1, 28, 28), 8, key=jr.key(0))
    single = trained(model)
    half = trained(networks(model, zoo.nn.HalfPrecision))
    reference = nats(single)
    print(f"\n{'held-out nats, k = 100':40}{'mean':>10}   paired difference")
    for name, scores in (
        ("trained and scored in float32", reference),
        ("the same, scored in bfloat16", nats(networks(single, zoo.nn.HalfPrecision))),
        ("trained in bfloat16, scored in float32", nats(networks(half, lambda network: network.network))),
        ("trained and scored in bfloat16", nats(half)),
    ):
        difference = scores - reference
        error = difference.std(ddof=1) / len(difference) ** 0.5
        print(f"{name:40}{scores.mean():10.2f}   {difference.mean():+.2f} +- {error:.2f}", flush=True)


if __name__ == "__main__":
    main()
