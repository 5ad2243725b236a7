"""How much faster do N small models train in one program than one after another, on all cores of the same machine?

    python benchmarks/fit_many.py [--runs 8] [--epochs 30] [--rounds 5]

Answer: 2.5 times at width 16 and 2.7 at width 64, on two cores (AMD EPYC, virtual) with nothing else running, jax
0.10.2, 25 November 2026, medians of 5 rounds (lowest to highest). Width 200 was only run beside other programs, where
8 runs together took as long as one after another or longer.

    8 runs of width  16:  34576 steps/s together on 2 devices,  15096 one after another: 2.5 times (2.3 to 2.6);
        45 and 96 us of processor time a step
    8 runs of width  64:  22027 steps/s together on 2 devices,   8267 one after another: 2.7 times (2.4 to 2.7);
        80 and 157 us of processor time a step
"""

import argparse
import os
import statistics
import subprocess
import sys
import time


WIDTHS = (16, 64, 200)
EXAMPLES, BATCH = 4_000, 32


def child(together: bool, runs: int, epochs: int) -> None:
    """Trains the models of a width whenever asked for it on standard input, and answers how long it took,
    by the clock and in processor time."""
    import jax

    if together:
        jax.config.update("jax_num_cpu_devices", max(n for n in range(1, os.cpu_count() + 1) if runs % n == 0))
    import jax.random as jr
    import optax

    import zoo

    xs = zoo.data.eight_gaussians(EXAMPLES, key=jr.key(0))
    keys = jr.split(jr.key(1), runs)
    options = dict(optimiser=optax.adam(1e-3), batch_size=BATCH)
    mesh = zoo.train.data_mesh() if together else None
    make = lambda key, width: zoo.MLPVAE(2, 2, width_size=width, likelihood=zoo.likelihoods.gaussian(), key=key)
    models = {width: [make(key, width) for key in keys] for width in WIDTHS}

    def train(width: int, epochs: int) -> tuple[float, float]:
        started, used = time.perf_counter(), time.process_time()
        if together:
            fits = zoo.train.fit_many(models[width], xs, mesh=mesh, epochs=epochs, keys=keys, **options)
        else:
            alone = dict(epochs=epochs, progress=False) | options
            fits = [zoo.fit(model, xs, key=key, **alone) for model, key in zip(models[width], keys)]
        jax.block_until_ready([fit.model for fit in fits])
        return time.perf_counter() - started, time.process_time() - used

    for width in WIDTHS:
        train(width, 1)  # compiles
    print(jax.device_count(), flush=True)
    for line in sys.stdin:
        print(*train(int(line), epochs), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", choices=["together", "alone"])
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child == "together", arguments.runs, arguments.epochs)
        return
    # Two processes, as one with a device for each core would not be what trains one model after another.
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    call = [sys.executable, __file__, "--runs", str(arguments.runs), "--epochs", str(arguments.epochs), "--child"]
    children = [subprocess.Popen([*call, kind], **pipes) for kind in ("together", "alone")]
    devices = [int(process.stdout.readline()) for process in children][0]
    steps = arguments.runs * arguments.epochs * (EXAMPLES // BATCH)
    for width in WIDTHS:
        rounds = []
        for _ in range(arguments.rounds):
            seconds = []
            for process in children:
                print(width, file=process.stdin, flush=True)
                seconds.append([float(number) for number in process.stdout.readline().split()])
            rounds.append(seconds)
        clock = [[round[i][0] for round in rounds] for i in (0, 1)]
        used = [statistics.median(round[i][1] for round in rounds) / steps * 1e6 for i in (0, 1)]
        together, alone = (steps / statistics.median(seconds) for seconds in clock)
        ratios = [after / at_once for at_once, after in zip(*clock)]
        print(
            f"{arguments.runs} runs of width {width:3}: {together:6.0f} steps/s together on {devices} devices, "
            f"{alone:6.0f} one after another: {statistics.median(ratios):.1f} times ({min(ratios):.1f} to "
            f"{max(ratios):.1f}); {used[0]:.0f} and {used[1]:.0f} us of processor time a step",
            flush=True,
        )
    for process in children:
        process.stdin.close()
        process.wait()


if __name__ == "__main__":
    main()
