"""What does it take to lose a run, and what does keeping it cost?

    python benchmarks/resume.py [--kills 20] [--steps 50]

Answer: no kill loses anything, and every 100 steps a checkpoint costs the default job 0.2% of its time.

2 cores (AMD EPYC, virtual), jax 0.10.2, 25 November 2026, one run, for its first half beside another program:

    mlp: 20 kills, 1 inside a save, after steps [0, 9, 18, 28, 28, 32, 34, 34, 44, 47, 47, 47, 59, 74, 83, 83,
        86, 98, 120, 120]: the same bytes
    conv: 20 kills, 3 inside a save, after steps [8, 8, 9, 15, 22, 25, 29, 34, 42, 52, 59, 62, 67, 82, 92, 92,
        107, 125, 144, 144]: the same bytes
    the default job: 40.4 ms a step, 7.4 ms a save of 1,277,216 bytes: every 100 steps 0.18% of the time
"""

import argparse
import os
import random
import shutil
import signal
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import jax
import numpy as np
import optax

import zoo


EPOCHS = 40


def train(family: str, run: Path):
    """240 steps with a checkpoint at each one, so that a kill often falls into a save."""
    key = jax.random.key(0)
    rng = np.random.default_rng(1)
    if family == "mlp":
        model = zoo.MLPVAE(3, 2, width_size=64, likelihood=zoo.likelihoods.gaussian(), key=key)
        xs = rng.normal(size=(40, 3)).astype(np.float32)
    else:
        model = zoo.ConvVAE((1, 4, 4), 2, width_size=8, key=key)
        xs = rng.uniform(0.01, 0.99, size=(40, 1, 4, 4)).astype(np.float32)
    zoo.fit(
        model, xs, optimiser=optax.adam(1e-3), batch_size=6, epochs=EPOCHS, held_out=xs[:5], held_out_every=50,
        checkpoint=run, checkpoint_every=1, resume=True, progress=False, key=jax.random.key(7),
    )  # fmt: skip


def child(family: str, run: Path) -> int:
    # Forked before jax has started a thread; jax itself starts in the child.
    pid = os.fork()
    if pid == 0:
        train(family, run)
        os._exit(0)
    return pid


def newest(run: Path) -> int:
    kept = zoo.files.checkpoints(run)
    return int(kept[-1].stem.removeprefix("step-")) if kept else -1


def wait_for(condition) -> None:
    while not condition():
        time.sleep(0.002)


def kills(family: str, count: int, directory: Path) -> str:
    whole, killed = directory / f"{family}-whole", directory / f"{family}-killed"
    os.waitpid(child(family, whole), 0)
    random.seed(family)
    total, in_a_save, stops = EPOCHS * 6, 0, []
    for i in range(count):
        before = newest(killed)
        pid = child(family, killed)
        # Some die while they start; the others some way on, wherever they then are, but before the last quarter.
        if random.random() < 0.2:
            time.sleep(random.uniform(0, 1))
        else:
            goal = max(before, 0) + random.randint(1, max((3 * total // 4 - before) // (count - i + 1), 1))
            wait_for(lambda: newest(killed) >= goal)
            time.sleep(random.uniform(0, 0.02))
        os.kill(pid, signal.SIGKILL)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL, "the run was over before it was killed"
        in_a_save += any(killed.glob(".*.tmp"))
        stops.append(newest(killed))
    assert os.waitpid(child(family, killed), 0)[1] == 0
    for name in ("metrics.jsonl", f"step-{total:09d}.safetensors"):
        same = (whole / name).read_bytes() == (killed / name).read_bytes()
        assert same, f"{family}: {name} differs"
    return f"{family}: {count} kills, {in_a_save} inside a save, after steps {stops}: the same bytes"


def cost(steps: int, directory: Path) -> str:
    """The default job of the command line: one save against a hundred of its steps."""
    key = jax.random.key(0)
    data = zoo.data.fashion_mnist_mini()
    prior = zoo.priors.MixtureOfNormals(8, 64, key=key)
    model = zoo.ConvVAE((1, 28, 28), 8, prior=prior, key=key)
    images = data.train_images[: 32 * steps]
    stamps: list[tuple[int, float]] = []
    result = zoo.fit(
        model, images, observe=zoo.data.dequantise, batch_size=32, progress=False, key=key,
        callback=lambda rows: stamps.append((rows[-1]["step"], time.perf_counter())),
    )  # fmt: skip
    (first, began), (last, ended) = stamps[0], stamps[-1]
    step = (ended - began) / (last - first)
    times = []
    for i in range(9):
        started = time.perf_counter()
        path = zoo.files.save_checkpoint(directory / "cost", {"state": result.state, "best": model}, i)
        times.append(time.perf_counter() - started)
    save = statistics.median(times)
    return (
        f"the default job: {step * 1e3:.1f} ms a step, {save * 1e3:.1f} ms a save of {path.stat().st_size:,} bytes: "
        f"every 100 steps {save / step:.2f}% of the time"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=50)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    directory = Path(tempfile.mkdtemp())
    # The children would spend most of their lives compiling.
    jax.config.update("jax_compilation_cache_dir", str(directory / "cache"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    for family in ("mlp", "conv"):
        print(kills(family, arguments.kills, directory), flush=True)
    print(cost(arguments.steps, directory))
    shutil.rmtree(directory)


if __name__ == "__main__":
    main()
