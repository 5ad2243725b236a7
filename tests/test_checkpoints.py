import errno
import os
import resource
import signal
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from zoo.files._checkpoints import checkpoints, load_newest, run_lock, save_checkpoint
from zoo.files._save import load, save


class Crash(BaseException):
    pass


def test_a_crash_at_any_call_leaves_the_old_file_or_the_new(tmp_path, monkeypatch):
    """The process dies before, or after, its n-th call to the system: nothing tidies up behind it."""
    path = tmp_path / "tree"
    outcomes = []
    for after in (False, True):
        for fatal in range(9):
            monkeypatch.undo()
            save(path, "old")
            calls = iter(range(100))

            def dying(function):
                def call(*args, **kwargs):
                    number = next(calls)
                    if number == fatal and not after:
                        raise Crash
                    result = function(*args, **kwargs)
                    if number >= fatal:
                        raise Crash
                    return result

                return call

            for name in ("open", "write", "fsync", "replace", "unlink"):
                monkeypatch.setattr(os, name, dying(getattr(os, name)))
            try:
                save(path, "new")
            except Crash:
                pass
            monkeypatch.undo()
            outcomes.append(load(path))
    assert outcomes[:4] == ["old"] * 4  # open, write, fsync, replace
    assert set(outcomes) == {"old", "new"}


KILL = """
import os, random, signal, sys, time, warnings
from zoo.files._file import unpack, write_atomically, pack
import numpy as np
warnings.simplefilter("ignore")
path = sys.argv[1]
old = pack('"x"', {"a": np.zeros(2**18)})
write_atomically(path, old)
random.seed(0)
seen = set()
for _ in range(20):
    child = os.fork()
    if child == 0:
        while True:
            write_atomically(path, pack(str(os.getpid()), {"a": np.full(2**18, os.getpid(), np.int64)}))
    time.sleep(random.uniform(0.001, 0.04))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    _, manifest, arrays = unpack(path)
    seen.add(manifest)
    assert manifest == "x" or set(np.frombuffer(arrays["a"][2], np.int64)) == {manifest}
print(len(seen))
"""


def test_twenty_kills_inside_a_save_destroy_nothing(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILL, tmp_path / "tree"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0  # some of the killed processes had replaced the file before they died


def failing(number):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    "call, number",
    [("write", errno.ENOSPC), ("fsync", errno.EIO), ("open", errno.EROFS), ("replace", errno.EACCES)],
)
def test_a_failing_disk_leaves_the_old_file(call, number, tmp_path, monkeypatch):
    path = tmp_path / "tree"
    save(path, "old")
    monkeypatch.setattr(os, call, failing(number))
    with pytest.raises(OSError) as caught:
        save(path, "new")
    monkeypatch.undo()
    assert caught.value.errno == number
    assert str(path) in str(caught.value) and "untouched" in str(caught.value) and "\n" not in str(caught.value)
    assert load(path) == "old" and os.listdir(tmp_path) == ["tree"]


def test_a_full_disk(tmp_path):
    path = tmp_path / "tree"
    save(path, "old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, limits[1]))
    try:
        with pytest.raises(OSError, match="cannot write .*tree: File too large"):
            save(path, np.zeros(10**5))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert load(path) == "old" and os.listdir(tmp_path) == ["tree"]


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="cannot write .*nowhere/tree: No such file"):
        save(tmp_path / "nowhere" / "tree", 1)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")


def test_a_link_is_followed(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "runs" / "tree")
    save(tmp_path / "link", 5)
    assert (tmp_path / "link").is_symlink() and load(tmp_path / "runs" / "tree") == 5


def test_checkpoints_rotate_and_the_newest_is_loaded(tmp_path):
    assert load_newest(tmp_path / "run") is None
    for step in (0, 5, 900, 10000):
        assert save_checkpoint(tmp_path / "run", {"w": jnp.full((2,), step)}, step).exists()
    names = [path.name for path in checkpoints(tmp_path / "run")]
    assert names == ["step-000000900.safetensors", "step-000010000.safetensors"]
    newest = load_newest(tmp_path / "run", like={"w": jnp.full((2,), 0)})
    assert (newest.step, newest.skipped) == (10000, []) and int(newest.state["w"][0]) == 10000
    save_checkpoint(tmp_path / "run", 0, 10001, keep=3)
    assert len(checkpoints(tmp_path / "run")) == 3
    with pytest.raises(ValueError, match="keep=0"):
        save_checkpoint(tmp_path, 0, 1, keep=0)


def test_a_bad_checkpoint_is_passed_over_with_its_reason(tmp_path):
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, {"w": jnp.ones(2)}, step, keep=3)
    newest = tmp_path / "step-000000003.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    second = tmp_path / "step-000000002.safetensors"
    second.write_bytes((tmp_path / "step-000000001.safetensors").read_bytes())  # whole, but of another step
    found = load_newest(tmp_path)
    assert found.step == 1
    assert "step-000000003" in found.skipped[0] and "damaged" in found.skipped[0]
    assert "not the checkpoint of step 2" in found.skipped[1]
    # The run goes on from step 1: a later, damaged file takes no place in the rotation.
    save_checkpoint(tmp_path, {"w": jnp.ones(2)}, 2)
    assert load_newest(tmp_path).step == 2 and len(checkpoints(tmp_path)) == 3
    with pytest.raises(ValueError, match="no checkpoint in .*step-000000003.*step-000000002.*step-000000001"):
        load_newest(tmp_path, like={"w": jnp.ones(3)})


def test_the_second_writer_is_refused_until_the_first_ends(tmp_path):
    left = tmp_path / ".step-000000004.safetensors.99-abc.tmp"
    left.write_bytes(b"half")
    (tmp_path / "metrics.jsonl").write_text("{}")
    with run_lock(tmp_path):
        assert not left.exists() and (tmp_path / "metrics.jsonl").exists()
        code = (
            "import sys; from zoo.files._checkpoints import run_lock\n"
            "try:\n    run_lock(sys.argv[1]).__enter__()\n"
            "except BlockingIOError as error:\n    print(error)"
        )
        refused = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
        assert f"process {os.getpid()}) writes to {tmp_path}" in refused.stdout
        assert refused.stdout.count("\n") == 1
        with pytest.raises(BlockingIOError, match="another run"), run_lock(tmp_path):
            pass
    with run_lock(tmp_path):
        pass


def test_a_killed_holder_frees_the_lock(tmp_path):
    code = "import sys, time; from zoo.files._checkpoints import run_lock\n"
    code += "with run_lock(sys.argv[1]):\n    print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError), run_lock(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with run_lock(tmp_path):
            pass
