"""How long until something happens: the import, the help, the first step of the main job?

    python benchmarks/start_time.py [--rounds 7]

Answer: soon enough where a core is not slow. Two cores, jax 0.10.2, nothing else running, `--rounds 7`, one run each on
2026-11-27: an Intel Xeon, and an AMD EPYC on which PyTorch and jax take three times as long for a training step.

    seconds                                          Intel       AMD    must    aim
    `from zoo import ConvVAE, fit` beyond them        0.15      0.31    0.30   0.15  met, missed
    `zoo --help`                                      0.15      0.31    0.60   0.40  aim met
    compilation of the default job's first step       5.27     13.73   10.00   5.00  met, missed

Where Python keeps no bytecode of the package, as in a checkout under `PYTHONDONTWRITEBYTECODE`, the import is 0.5 s on
the slow one, so bytecode is made first.

Each is a process of its own, and they take turns. The import counts what it adds to that of jax, equinox and optax;
the compilation is that of the first block of steps of `zoo train`'s default job, less a second block's time.
"""

import compileall
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from interleave import parser, start_jax


LIBRARIES = "import jax, equinox, optax"
# The names of the face are imported when they are first used.
ZOO = f"{LIBRARIES}; from zoo import ConvVAE, fit"
HELP = "import sys; sys.argv = ['zoo', '--help']; from zoo.cli import main; main()"
FIRST_BLOCK = """
import time
import jax
jax.config.update("jax_num_cpu_devices", {devices})
import jax.random as jr
import zoo
prior = zoo.priors.MixtureOfNormals(8, 64, key=jr.key(0))
model = zoo.ConvVAE((1, 28, 28), 8, prior=prior, key=jr.key(0))
mesh = None if {devices} == 1 else zoo.train.data_mesh({devices})
stamps = [time.perf_counter()]
zoo.fit(
    model, zoo.data.fashion_mnist_mini().train_images[:256], observe=zoo.data.dequantise, batch_size=32, epochs=2,
    mesh=mesh, progress=False, key=jr.key(1), callback=lambda rows: stamps.append(time.perf_counter()),
)
first, second = stamps[1] - stamps[0], stamps[2] - stamps[1]
print(first - second)
"""


def seconds(*command: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def compilation(devices: int) -> float:
    program = [sys.executable, "-c", FIRST_BLOCK.format(devices=devices)]
    return float(subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main():
    arguments = parser(__doc__).parse_args()
    cores = os.cpu_count() or 1
    print(start_jax(arguments.devices))
    # As pip does for what it installs, the libraries among it; Python may have been told not to.
    compileall.compile_dir(Path(__file__).parent.parent / "zoo", quiet=1)
    contenders = {
        "libraries": lambda: seconds("-c", LIBRARIES),
        "zoo": lambda: seconds("-c", ZOO),
        "help": lambda: seconds("-c", HELP),
        "compilation": lambda: compilation(cores),
    }
    times = {name: [] for name in contenders}
    for _ in range(arguments.rounds):
        for name, contender in contenders.items():
            times[name].append(contender())
    took = {name: statistics.median(column) for name, column in times.items()}
    rows = (
        ("`from zoo import ConvVAE, fit` beyond them", took["zoo"] - took["libraries"], 0.3, 0.15),
        ("`zoo --help`", took["help"], 0.6, 0.4),
        ("compilation of the default job's first step", took["compilation"], 10.0, 5.0),
    )
    print(f"{'seconds':44s}{'took':>10s}{'must':>8s}{'aim':>7s}")
    for row, value, bar, aim in rows:
        word = "missed" if value > bar else "met" if value > aim else "aim met"
        print(f"{row:44s}{value:10.2f}{bar:8.2f}{aim:7.2f}  {word}")


if __name__ == "__main__":
    main()
