"""Several processes train as one does, end together, and go on."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import jax.random as jr
import numpy as np
import optax
import pytest
from linear_gaussian import linear_gaussian

import zoo
from zoo.cli import main
from zoo.files import load_newest, read_history


XS = np.random.default_rng(1).normal(size=(160, 3)).astype(np.float32)
# A run that the second process alone stops, gone on with; and one in which the second process is killed.
PROCESS = """
import json, os, signal, sys
from zoo.train import join_processes

sys.path.insert(0, sys.argv[4])
directory, coordinator, process = sys.argv[1], sys.argv[2], int(sys.argv[3])
with join_processes(coordinator, processes=2, process=process) as first:
    import jax, numpy as np, optax, zoo
    from linear_gaussian import linear_gaussian

    xs = np.random.default_rng(1).normal(size=(160, 3)).astype(np.float32)
    adam, mesh = optax.adam(1e-2), zoo.train.data_mesh()
    assert first == (process == 0) and mesh.size == 2
    def train(run, **options):
        return zoo.fit(
            linear_gaussian(), xs, optimiser=adam, batch_size=16, epochs=4, held_out=xs[:8], held_out_every=20,
            checkpoint=f"{directory}/{run}", checkpoint_every=10, mesh=mesh, progress=False, key=jax.random.key(7),
            **options,
        )
    stopped = train("whole", stop=lambda history: not first and len(history) >= 12)
    whole = train("whole", resume=True)
    print(json.dumps([int(stopped.state.step), whole.history]), flush=True)
    def die(rows):
        if not first and rows[-1]["step"] >= 20:
            os.kill(os.getpid(), signal.SIGKILL)
    train("killed", callback=die)
"""


def start(*calls: list) -> list[subprocess.Popen]:
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    names = ("SLURM_", "KUBERNETES_", "OMPI_", "JOB_COMPLETION_INDEX", "JAX_COORDINATOR", "XLA_FLAGS")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    environment |= {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"}
    return [subprocess.Popen([sys.executable, "-c", *map(str, call)], **pipes, env=environment) for call in calls]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_two_processes_agree_with_one_and_a_killed_one_ends_the_other(tmp_path):
    coordinator = f"127.0.0.1:{free_port()}"
    here = os.path.dirname(__file__)
    both = start(*([PROCESS, tmp_path, coordinator, process, here] for process in (0, 1)))
    killed_output, killed_error = both[1].communicate(timeout=300)
    killed_at = time.monotonic()
    output, error = both[0].communicate(timeout=300)
    assert both[1].returncode == -signal.SIGKILL, killed_error
    assert time.monotonic() - killed_at < 30 and both[0].returncode == 2, error
    assert "process 0 of 2: another process was lost" in error and "--resume" in error

    step, history = json.loads(output.splitlines()[-1])
    assert 10 <= step < 40 and output.splitlines()[-1] == killed_output.splitlines()[-1]
    fit = lambda **options: zoo.fit(
        linear_gaussian(), XS, optimiser=optax.adam(1e-2), batch_size=16, epochs=4, held_out=XS[:8], held_out_every=20,
        progress=False, key=jr.key(7), **options,
    )  # fmt: skip
    one = fit().history
    assert load_newest(tmp_path / "killed").step == 20
    resumed = fit(checkpoint=tmp_path / "killed", resume=True).history
    for other in (history, read_history(tmp_path / "whole" / "metrics.jsonl"), resumed):
        assert [row["step"] for row in other] == [row["step"] for row in one]
        assert one[40]["step"] == 40 and one[41]["split"] == "held_out"
        np.testing.assert_allclose(other[40]["loss"], one[40]["loss"], rtol=1e-6)
        np.testing.assert_allclose(other[41]["objective"], one[41]["objective"], rtol=1e-6)


@pytest.mark.parametrize(
    "line, message",
    [
        ("train --processes 2", "--processes 2.*needs --distributed"),
        ("train --distributed --coordinator 127.0.0.1:1 --process 0", "Number of processes.*pass those"),
        ("train --distributed --coordinator 127.0.0.1:1 --processes 2 --process 2", "process_id=2.*pass those"),
        ("sweep --distributed", "one process trains"),
    ],
)
def test_what_cannot_be_joined_is_refused_and_leaves_nothing(line, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("SLURM_JOB_ID", "KUBERNETES_SERVICE_HOST", "JOB_COMPLETION_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("jax._src.xla_bridge.backends_are_initialized", lambda: False)
    with pytest.raises(SystemExit, match="2"):
        main(line.split())
    assert re.search(message, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


TRAIN = (
    "train --data eight-gaussians --width-size 8 --epochs 4 --batch-size 500 --prior standard --evaluation-k 2 "
    "--evaluation-examples 10 --checkpoint-every 5 --out {}"
)
# The second process ends itself in this way, in the middle of the first run of the command.
COMMAND = """
import os, signal, sys, time
import zoo.train._processes as processes, zoo.train._fit as fit
from zoo.cli import main

if sys.argv[1] != "not":
    make_rows = fit.make_rows
    def end(*args):
        if args[2] >= 30:
            os.kill(os.getpid(), getattr(signal, sys.argv[1]))
            time.sleep(0.2)
        return make_rows(*args)
    fit.make_rows = end
main(sys.argv[2:])
"""


@pytest.mark.slow
@pytest.mark.parametrize("name, codes", [("SIGKILL", (2, -9)), ("SIGTERM", (143, 143))])
def test_the_command_line_resumes_what_a_lost_or_a_stopped_process_has_ended(name, codes, tmp_path):
    def together(line: str, how: str) -> list[tuple[int, str]]:
        options = f"{line} --distributed --coordinator 127.0.0.1:{free_port()} --processes 2 --process".split()
        both = start([COMMAND, "not", *options, "0"], [COMMAND, how, *options, "1"])
        outputs = [process.communicate(timeout=300) for process in both]
        return [(process.returncode, "".join(output)) for process, output in zip(both, outputs)]

    one, run = tmp_path / "one", tmp_path / "run"
    ended = together(TRAIN.format(run), name)
    assert tuple(code for code, _ in ended) == codes, ended
    assert ("was lost" if name == "SIGKILL" else f"`zoo train --resume {run}`") in ended[0][1]
    assert not (run / "model.safetensors").exists() and len(read_history(run / "metrics.jsonl")) < 160
    resumed = together(f"train --resume {run}", "not")
    assert tuple(code for code, _ in resumed) == (0, 0), resumed
    assert "log_likelihood" in resumed[0][1] and "log_likelihood" not in resumed[1][1]
    main(TRAIN.format(one).split())
    rows, others = (read_history(directory / "metrics.jsonl") for directory in (one, run))
    assert [row["step"] for row in rows] == [row["step"] for row in others]
    losses = [[row["loss"] for row in history if row["split"] == "train"] for history in (rows, others)]
    np.testing.assert_allclose(losses[1][:40], losses[0][:40], rtol=1e-6)
    assert (run / "evaluation.json").exists() and (run / "figures" / "density.png").exists()


FROZEN = """
import os, signal, sys
from zoo.train import join_processes

coordinator, process, frozen = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with join_processes(coordinator, processes=2, process=process):
    import numpy as np
    from jax.experimental import multihost_utils

    multihost_utils.process_allgather(np.int32(1))
    print("together", flush=True)
    if process == frozen:
        os.kill(os.getpid(), signal.SIGSTOP)
    multihost_utils.process_allgather(np.int32(2))
"""


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [0, 1])
def test_a_process_that_shows_no_sign_of_life_ends_the_other(frozen):
    """As when a machine loses its power: no connection is closed, and only the heartbeat is missed."""
    coordinator = f"127.0.0.1:{free_port()}"
    both = start(*([FROZEN, coordinator, process, frozen] for process in (0, 1)))
    survivor = both[1 - frozen]
    while "together" not in survivor.stdout.readline():
        assert survivor.poll() is None
    started = time.monotonic()
    _, error = survivor.communicate(timeout=60)
    both[frozen].kill()
    both[frozen].communicate()
    assert survivor.returncode != 0 and "another task died" in error
    assert time.monotonic() - started < 30
