"""Times contenders in turn, so that whatever else the machine does falls on all of them alike.

Some of them may live in another Python: `Elsewhere` starts a script there, which answers by `serve`. The two sides
never import each other's libraries.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any


# Runs so many steps and waits for them; returns seconds.
Timer = Callable[[int], float]


def parser(about: str | None, *, rounds: int = 7) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=(about or "").splitlines()[0])
    options.add_argument("--torch-python", help="the Python of a virtual environment with torch and pythae")
    options.add_argument("--rounds", type=int, default=rounds, help="how often each contender has its turn")
    options.add_argument("--seconds", type=float, default=2.0, help="about how long a turn is")
    options.add_argument("--devices", type=int, default=1, help="CPU devices of XLA that share each batch")
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return options


def timer(run: Callable[[int], None]) -> Timer:
    def seconds(steps: int) -> float:
        started = time.perf_counter()
        run(steps)
        return time.perf_counter() - started

    return seconds


def repeated(step: Callable[[], Any], wait: Callable[[Any], Any] = lambda result: result) -> Timer:
    """Step after step, and at the end `wait` for the last one's result."""

    def run(steps: int) -> None:
        result = None
        for _ in range(steps):
            result = step()
        wait(result)

    return timer(run)


def medians(contenders: dict[str, Timer], *, rounds: int, seconds: float) -> dict[str, float]:
    """Median seconds per step of each contender, over turns taken one after the other."""
    steps, times = {}, {name: [] for name in contenders}
    for name, contender in contenders.items():
        contender(1)  # compiles
        took = contender(1)
        took = took if took > seconds / 10 else contender(5) / 5
        steps[name] = max(1, round(seconds / took))
    for _ in range(rounds):
        for name, contender in contenders.items():
            time.sleep(0.2)  # the threads of the one before may be spinning still
            times[name].append(contender(steps[name]) / steps[name])
    return {name: statistics.median(column) for name, column in times.items()}


class Elsewhere:
    """The same script in another Python, which keeps its contenders ready: `Elsewhere(python, file)[name]`."""

    def __init__(self, python: str, script: str, *arguments: str):
        command = [python, script, "--serve", *arguments]
        # Without what this Python was told about where its packages are.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __getitem__(self, name: str) -> Timer:
        def seconds(steps: int) -> float:
            assert self.process.stdin is not None and self.process.stdout is not None
            print(name, steps, sep="\t", file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
            if not answer:
                raise SystemExit(f"{self.process.args[0]} ended: see its error above")
            return float(answer)

        return seconds


def serve(contenders: Callable[[str], Timer]) -> None:
    """Answers an `Elsewhere`; `contenders` makes one by its name when it is first asked for."""
    answers, made = sys.stdout, {}
    sys.stdout = sys.stderr  # libraries print
    for line in sys.stdin:
        name, steps = line.rstrip("\n").split("\t")
        if name not in made:
            made[name] = contenders(name)
        print(made[name](int(steps)), file=answers, flush=True)


def start_jax(devices: int = 1) -> str:
    """Starts jax with so many devices of the CPU; a line that says on what."""
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"  # read once, before jax starts
    import jax

    line = f"jax {jax.__version__}, {jax.devices()[0].device_kind}, {os.cpu_count()} cores, {devices} device(s)"
    return f"{line}, load {os.getloadavg()[0]:.1f}, {time.strftime('%d %B %Y')}"


def verdict(row: str, ours: float, theirs: float, bar: float, aim: float) -> str:
    """One row of a table: milliseconds, their ratio, and what it has to be."""
    ratio = ours / theirs
    word = "missed" if ratio > bar else "met" if ratio > aim else "aim met"
    return f"{row:44s}{1e3 * ours:10.2f}{1e3 * theirs:10.2f}{ratio:8.2f}{bar:8.2f}{aim:7.2f}  {word}"


HEADER = f"{'milliseconds a step':44s}{'ours':>10s}{'theirs':>10s}{'ratio':>8s}{'must':>8s}{'aim':>7s}"
