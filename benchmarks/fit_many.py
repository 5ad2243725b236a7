"""How much faster do N small models train in one program than one after another?

    python benchmarks/fit_many.py [--runs 8] [--epochs 4]

Answer: 1.0 to 1.5 times the steps per second, on cores that others were using too. A sweep over values gains more,
as each value alone is compiled alone: 8 values of beta at width 64, 12 epochs, took 7.1 s together and 27.2 s after
one another. TODO: again on a quiet machine.

2 cores (AMD EPYC, virtual) under a load of 5, jax 0.10.2, --epochs 12, 22 November 2026:

    8 runs of width  16:  10461 steps/s together,  10980 one after another: 1.0 times
    8 runs of width  64:   9354 steps/s together,   6103 one after another: 1.5 times
    8 runs of width 200:   1688 steps/s together,   1726 one after another: 1.0 times
"""

import argparse
import time

import jax
import jax.random as jr
import optax

import zoo


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=4)
    arguments = parser.parse_args()
    xs = zoo.data.eight_gaussians(4_000, key=jr.key(0))
    adam = optax.adam(1e-3)
    keys = jr.split(jr.key(1), arguments.runs)
    options = dict(optimiser=adam, batch_size=32)
    for width_size in (16, 64, 200):
        make = lambda key: zoo.MLPVAE(2, 2, width_size=width_size, likelihood=zoo.likelihoods.gaussian(), key=key)
        models = [make(key) for key in keys]
        many = lambda epochs: zoo.train.fit_many(models, xs, epochs=epochs, keys=keys, **options)
        alone = lambda epochs: [
            zoo.fit(model, xs, epochs=epochs, progress=False, key=key, **options) for model, key in zip(models, keys)
        ]
        seconds = []
        for train in (many, alone):
            jax.block_until_ready([fit.model for fit in train(1)])  # compiles
            started = time.perf_counter()
            jax.block_until_ready([fit.model for fit in train(arguments.epochs)])
            seconds.append(time.perf_counter() - started)
        steps = arguments.runs * arguments.epochs * (4_000 // 32)
        together, after = (steps / s for s in seconds)
        print(
            f"{arguments.runs} runs of width {width_size:3}: {together:6.0f} steps/s together, {after:6.0f} one after "
            f"another: {together / after:.1f} times"
        )


if __name__ == "__main__":
    main()
