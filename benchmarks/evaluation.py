"""What does streaming cost `zoo.log_likelihood` in time, and what does it save in memory?

    python benchmarks/evaluation.py [--rounds 7] [--k 5000] [--examples 2]

Answer: nothing where decoding is work, next to nothing where it is not. The reference's decoder takes 0.70 of plain
`vmap`'s time, as its chunks stay in the cache, and its 1.9 GiB of temporaries become 16 MiB, whatever k and the number
of examples; the small network of the IWAE paper takes 1.12 times as long (at most 1.15 is wanted; 1.50 while every
model had as many draws to a chunk as the convolutions' memory allows: too few for small matrix products).

2 cores (Intel Xeon, virtual), nothing else running, 27 November 2026, `--rounds 4 --examples 1`, one run:

    jax 0.10.2, cpu, 2 cores; k = 5000
    model            plain s  streamed s   ratio   plain MiB  streamed MiB
    reference          5.205       3.630   0.702      1914.4          16.2
    conv               1.174       0.682   0.579       239.6          16.2
    mlp 200-200        0.021       0.024   1.122        31.8          15.0

    MiB of the streamed program, reference
    n = 2     k = 100         13.7
    n = 2     k = 5000        16.2
    n = 1000  k = 5000        16.2
    n = 2     k = 100000      16.2
    n = 1000  k = 1           18.7
"""

import argparse
import contextlib
import os
import statistics
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import zoo
from zoo.evaluate import _examples


MIB = 2**20
MODELS = {
    "reference": lambda: zoo.ConvVAE(
        (1, 28, 28), 8, networks=zoo.nn.convolutional(), likelihood=zoo.likelihoods.bernoulli, key=jr.key(0)
    ),
    "conv": lambda: zoo.ConvVAE((1, 28, 28), 8, likelihood=zoo.likelihoods.bernoulli, key=jr.key(0)),
    "mlp 200-200": lambda: zoo.MLPVAE(
        (1, 28, 28), 50, width_size=200, depth=2, activation=jnp.tanh, likelihood=zoo.likelihoods.bernoulli,
        key=jr.key(0),
    ),
}  # fmt: skip


@eqx.filter_jit
def plain(model, x, k, key):
    """All the draws of one example at once."""
    return zoo.objectives.iwae(model.draw(x, k=k, key=key))


def temporaries(program, *arguments):
    return program.lower(*arguments).compile().compiled.memory_analysis().temp_size_in_bytes


def streamed_temporaries(model, n, k):
    """Bytes that XLA sets aside in the program that `log_likelihood` would run."""
    found, original = [], _examples._map_compiled

    def measured(*arguments):
        found.append(temporaries(original, *arguments))
        raise StopIteration

    _examples._map_compiled = measured
    with contextlib.suppress(StopIteration):
        zoo.log_likelihood(model, np.zeros((n, 1, 28, 28), np.float32), k=k, key=jr.key(0))
    _examples._map_compiled = original
    return found[0]


def ratio(model, xs, k, rounds):
    """Median seconds to an example, plain and streamed, and the median ratio, from interleaved runs."""
    keys = jr.split(jr.key(1), len(xs))
    runs = (
        lambda: [jax.block_until_ready(plain(model, x, k, key)) for x, key in zip(jnp.asarray(xs), keys)],
        lambda: zoo.log_likelihood(model, xs, k=k, key=jr.key(1)),
    )
    times = []
    for _ in range(rounds + 1):
        row = []
        for run in runs:
            start = time.perf_counter()
            jax.block_until_ready(run())
            row.append((time.perf_counter() - start) / len(xs))
        times.append(row)
    # The first round compiles.
    before, after = zip(*times[1:])
    return statistics.median(before), statistics.median(after), statistics.median(b / a for a, b in times[1:])


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--k", type=int, default=5000)
    parser.add_argument("--examples", type=int, default=2)
    arguments = parser.parse_args()
    k, xs = arguments.k, (zoo.data.fashion_mnist_mini().test_images[: arguments.examples] > 127).astype(np.float32)
    print(f"jax {jax.__version__}, {jax.default_backend()}, {os.cpu_count()} cores; k = {k}")
    print(f"{'model':14s}{'plain s':>10}{'streamed s':>12}{'ratio':>8}{'plain MiB':>12}{'streamed MiB':>14}")
    for name, make in MODELS.items():
        model = make()
        before, after, cost = ratio(model, xs, k, arguments.rounds)
        sizes = temporaries(plain, model, jnp.asarray(xs[0]), k, jr.key(0)), streamed_temporaries(model, 2, k)
        mib = [size / MIB for size in sizes]
        print(f"{name:14s}{before:10.3f}{after:12.3f}{cost:8.3f}{mib[0]:12.1f}{mib[1]:14.1f}", flush=True)
    print("\nMiB of the streamed program, reference")
    for n, k in [(2, 100), (2, 5000), (1000, 5000), (2, 100_000), (1000, 1)]:
        print(f"n = {n:<6}k = {k:<8}{streamed_temporaries(MODELS['reference'](), n, k) / MIB:8.1f}", flush=True)


if __name__ == "__main__":
    main()
