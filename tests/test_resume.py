"""A run may end anywhere and in any way, and nothing is lost."""

import functools
import json
import math
import os
import resource
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from linear_gaussian import linear_gaussian

import zoo
from zoo import objectives
from zoo.cli import main
from zoo.files import checkpoints, load_newest, read_history
from zoo.train import average, averaged, early_stopping
from zoo.train._store import Store


ADAM = optax.adam(1e-2)
XS = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)
# Six steps to an epoch, the last eight examples of its order left out.
quiet_fit = functools.partial(zoo.fit, optimiser=ADAM, batch_size=6, epochs=3, progress=False, key=jr.key(7))


@functools.cache
def example(family: str):
    if family == "mlp":
        return linear_gaussian(), XS
    xs = np.random.default_rng(0).uniform(0.01, 0.99, size=(40, 1, 4, 4)).astype(np.float32)
    return zoo.ConvVAE((1, 4, 4), 2, width_size=4, key=jr.key(0)), xs


@pytest.fixture
def bits(tmp_path):
    def bits_of(tree) -> bytes:
        zoo.save(tmp_path / "bits", tree)
        return (tmp_path / "bits").read_bytes()

    return bits_of


def until(step: int):
    return lambda history: bool(history) and history[-1]["step"] >= step


# Every kind of place in a run for the one model; for the other, the end of an epoch and the middle of one.
@pytest.mark.parametrize("family, steps", [("mlp", (1, 4, 6, 13, 18)), ("conv", (6, 13))])
def test_a_run_continues_bit_for_bit_from_any_step(family, steps, tmp_path, bits, monkeypatch):
    model, xs = example(family)
    measured = dict(held_out=xs[:5], held_out_every=4) if family == "mlp" else {}
    fit = functools.partial(quiet_fit, model, xs, **measured)
    whole = fit(checkpoint=tmp_path / "whole", checkpoint_every=5)
    assert bits(whole.state) == bits(fit().state)  # checkpoints leave no trace
    monkeypatch.setattr("zoo.train._blocks.next_block_size", lambda *_: 1)
    for step in steps:
        run = tmp_path / str(step)
        stopped = fit(checkpoint=run, stop=until(step))
        assert int(stopped.state.step) == step and load_newest(run).step == step
        with monkeypatch.context() as patch:
            patch.setattr("zoo.train._blocks.next_block_size", lambda *_: 7)
            resumed = fit(checkpoint=run, resume=True)
        assert bits(resumed.state) == bits(whole.state)
        assert bits(resumed.best) == bits(whole.best)
        assert resumed.history == whole.history
        assert (run / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()
        assert checkpoints(run)[-1].read_bytes() == checkpoints(tmp_path / "whole")[-1].read_bytes()


# The children are forked before jax starts; where each one dies is drawn from the calls that reach the disk.
KILLS = """
import os, random, signal, sys, time, warnings
warnings.simplefilter("ignore")
import jax, numpy as np, optax
import zoo

directory, family, kills = sys.argv[1], sys.argv[2], int(sys.argv[3])
jax.config.update("jax_compilation_cache_dir", directory + "/cache")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)

def train(run):
    key = jax.random.key(0)
    if family == "mlp":
        model = zoo.MLPVAE(3, 2, width_size=8, depth=1, likelihood=zoo.likelihoods.gaussian(), key=key)
        xs = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)
    else:
        model = zoo.ConvVAE((1, 4, 4), 2, width_size=4, key=key)
        xs = np.random.default_rng(1).uniform(0.01, 0.99, size=(40, 1, 4, 4)).astype(np.float32)
    zoo.fit(model, xs, optimiser=optax.adam(1e-2), batch_size=6, epochs=5, held_out=xs[:5], checkpoint=run,
            checkpoint_every=3, resume=True, progress=False, key=jax.random.key(7))

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

def write_half_and_die(descriptor, data):
    write(descriptor, data[: len(data) // 2])
    die()

def tear(path, rows):
    append(path, rows)
    os.truncate(path, os.path.getsize(path) - 20)
    die()

def child(run, fatal):
    pid = os.fork()
    if pid == 0:
        if fatal is not None:
            place, number = fatal
            calls = iter(range(10**9))
            def dying(function, death):
                return lambda *a, **k: (death if next(calls) == number else function)(*a, **k)
            if place == "tear":
                zoo.train._store.append_rows = dying(append, tear)
            else:
                setattr(os, place, dying(getattr(os, place), write_half_and_die if place == "write" else die))
        train(run)
        os._exit(0)
    return os.waitpid(pid, 0)[1]

import zoo.train._store
write, append = os.write, zoo.train._store.append_rows
random.seed(family)
assert child(directory + "/whole", None) == 0
places = ["write", "replace", "tear", "fsync", "unlink"]
killed = [child(directory + "/killed", (places[i % 5], random.randrange(1, 6))) for i in range(kills)]
assert killed == [signal.SIGKILL] * kills, killed
assert child(directory + "/killed", None) == 0
for name in ("metrics.jsonl", "step-000000030.safetensors"):
    whole, other = (open(f"{directory}/{run}/{name}", "rb").read() for run in ("whole", "killed"))
    assert whole == other, name
"""


@pytest.mark.parametrize("family", ["mlp", pytest.param("conv", marks=pytest.mark.slow)])
def test_kills_inside_a_save_lose_nothing(family, tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLS, tmp_path, family, "3"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_how_fast_it_went_is_kept_apart_and_once_for_each_step(tmp_path):
    fit = functools.partial(quiet_fit, *example("mlp"), checkpoint=tmp_path, checkpoint_every=5)
    with pytest.raises(InterruptedError):
        fit(callback=lambda rows: rows[-1]["step"] >= 12 and interrupt())
    fit(resume=True)
    rows = read_history(tmp_path / "timing.jsonl")
    assert sum(row["steps"] for row in rows) == rows[-1]["step"] == 18
    assert [row["step"] for row in rows] == np.cumsum([row["steps"] for row in rows]).tolist()
    assert all(row["images_per_second"] == pytest.approx(6 * row["steps"] / row["seconds"], rel=1e-2) for row in rows)
    assert "seconds" not in (tmp_path / "metrics.jsonl").read_text()


def interrupt():
    raise InterruptedError


def test_more_epochs_may_be_added(tmp_path, bits):
    model, xs = example("mlp")
    quiet_fit(model, xs, checkpoint=tmp_path / "run", epochs=1)
    longer = quiet_fit(model, xs, checkpoint=tmp_path / "run", epochs=3, resume=True)
    assert bits(longer.state) == bits(quiet_fit(model, xs).state)


@pytest.mark.parametrize(
    "options, error, message",
    [
        (dict(resume=False), FileExistsError, "resume=True"),
        (dict(checkpoint=None), ValueError, "checkpoint="),
        (dict(batch_size=8), ValueError, "batch_size = 8.* has 6"),
        (dict(xs=XS[:39]), ValueError, "examples = 39.* has 40"),
        (dict(key=jr.key(8)), ValueError, "key = .* has "),
        (dict(model=linear_gaussian(3, 1)), ValueError, r"the file has float32\[3, 4\], `like` has float32\[3, 2\]"),
        (dict(optimiser=optax.sgd(1e-2)), ValueError, "opt_state"),
        (dict(held_out=XS), ValueError, "state.best the file has None"),
        (dict(checkpoint_every=0), ValueError, "checkpoint_every=0"),
        (dict(held_out_every=-1), ValueError, "held_out_every=-1"),
    ],
)
def test_another_run_is_not_gone_on_with(options, error, message, tmp_path):
    run = tmp_path / "run"
    stopped = dict(model=linear_gaussian(), xs=XS, checkpoint=run)
    quiet_fit(**stopped, stop=lambda history: True)
    before = {path: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(error, match=message):
        quiet_fit(**(stopped | dict(resume=True) | options))
    assert {path: path.read_bytes() for path in run.iterdir()} == before


def test_a_history_without_a_checkpoint_is_left_alone(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(FileExistsError, match="no checkpoint"):
        quiet_fit(*example("mlp"), checkpoint=tmp_path, resume=True)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n'


def test_a_damaged_checkpoint_is_passed_over_aloud(tmp_path, bits):
    model, xs = example("mlp")
    whole = quiet_fit(model, xs, checkpoint=tmp_path, checkpoint_every=5)
    newest = checkpoints(tmp_path)[-1]
    newest.write_bytes(newest.read_bytes()[:-9])
    with pytest.warns(UserWarning, match="passed a checkpoint over.*damaged"):
        again = quiet_fit(model, xs, checkpoint=tmp_path, resume=True)
    assert bits(again.state) == bits(whole.state) and again.history == whole.history


def test_saving_takes_its_share_and_no_more(tmp_path):
    store = Store(tmp_path, None)
    assert store.steps_until_due(130) == 70
    store.seconds, store.saved_at = 1.0, store.saved_at - 49
    assert store.steps_until_due(130) > 10**9
    store.saved_at -= 1.1
    assert store.steps_until_due(130) == 70
    assert Store(tmp_path, 7).steps_until_due(130) == 3
    assert Store(None, 7).steps_until_due(130) > 10**9


@pytest.mark.parametrize("limit, name", [(4000, "step-000000002.safetensors"), (20_000, "metrics.jsonl")])
def test_a_full_disk_leaves_the_last_checkpoint(limit, name, tmp_path):
    model, xs = example("mlp")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(OSError, match=f"cannot write .*/{name}: File too large") as caught:
            quiet_fit(
                model, xs, checkpoint=tmp_path, checkpoint_every=2, epochs=20,
                callback=lambda rows: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1])),
            )  # fmt: skip
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(caught.value)
    newest = load_newest(tmp_path)
    assert newest is not None and newest.skipped == []
    again = quiet_fit(model, xs, checkpoint=tmp_path, epochs=20, resume=True)
    assert again.history == quiet_fit(model, xs, epochs=20).history


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        quiet_fit(*example("mlp"), checkpoint=tmp_path / "file" / "run")


def spoiled() -> np.ndarray:
    return np.where(np.arange(len(XS))[:, None] == 17, np.float32(1e30), XS)


def test_a_bad_batch_is_named_and_never_saved(tmp_path):
    model = linear_gaussian()
    with pytest.raises(FloatingPointError) as caught:
        quiet_fit(model, spoiled(), checkpoint=tmp_path, checkpoint_every=1)
    step = int(str(caught.value).split("stopped at step ")[1].split(":")[0])
    batch = json.loads("[" + str(caught.value).split("the examples [")[1].split("]")[0] + "]")
    assert 17 in batch and len(batch) == 6
    order = jr.permutation(jr.fold_in(jr.split(jr.key(7))[1], 0xFFFFFFFF - (step - 1) // 6), 40)
    assert batch == order[(step - 1) % 6 * 6 :][:6].tolist()
    assert str(caught.value).endswith(f"the last good checkpoint is {checkpoints(tmp_path)[-1]}")
    newest = load_newest(tmp_path)
    assert newest is not None and newest.step == step - 1 and newest.skipped == []
    assert [row["step"] for row in read_history(tmp_path / "metrics.jsonl")] == list(range(1, step))
    with pytest.raises(FloatingPointError) as again:
        quiet_fit(model, spoiled(), checkpoint=tmp_path, checkpoint_every=1, resume=True)
    assert str(again.value) == str(caught.value)


def test_bad_batches_are_left_out_and_counted_on_request(tmp_path, bits):
    forgiving = optax.apply_if_finite(ADAM, 2)
    fit = functools.partial(quiet_fit, linear_gaussian(), spoiled(), optimiser=forgiving, checkpoint=tmp_path)
    result = fit(checkpoint_every=1)
    skipped = [row["skipped"] for row in result.history]
    bad = [row["step"] for row in result.history if not np.isfinite(row["gradient_norm"])]
    assert skipped == [sum(step <= row["step"] for step in bad) for row in result.history] and len(bad) >= 2
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()
    assert [row["skipped"] for row in read_history(tmp_path / "metrics.jsonl")] == skipped
    # The steps around the bad ones are those of plain Adam, which has never seen the batch.
    settings = dict(objective=objectives.elbo)
    state = zoo.TrainState(linear_gaussian(), forgiving, key=jr.split(jr.key(7))[1])
    for _ in range(3):
        before, (state, _) = state, zoo.step(state, jnp.full((6, 3), 1e30), optimiser=forgiving, **settings)
        unchanged = bits(before.model) == bits(state.model)
        assert unchanged == (int(state.step) <= 2)
    with pytest.raises(FloatingPointError, match="step"):
        quiet_fit(linear_gaussian(), np.full_like(XS, 1e30), optimiser=forgiving)


def test_early_stopping_is_a_function_of_the_history():
    rows = lambda *values: [dict(split="held_out", objective=value) for value in values] + [dict(split="train")]
    stop = early_stopping(2)
    assert not stop([]) and not stop(rows(1.0, 0.5)) and not stop(rows(1.0, 0.5, 1.5, 1.2))
    assert stop(rows(1.0, 0.5, 1.0)) and stop(rows(1.0, 0.5, float("nan")))
    assert early_stopping(2, tolerance=0.5)(rows(1.0, 1.4, 1.3)) and not stop(rows(1.0, 1.4, 1.3))
    for wrong in (dict(patience=0), dict(patience=1, tolerance=-1.0)):
        with pytest.raises(ValueError, match="early_stopping"):
            early_stopping(**wrong)


def test_a_run_ends_early_with_its_best_model(tmp_path, bits):
    """What is learned leads away from what is held out, so the first measurement is the best."""
    options = dict(held_out=XS, held_out_every=2, stop=early_stopping(2))
    fit = functools.partial(quiet_fit, linear_gaussian(exact=True), XS + 9, **options)
    result = fit(checkpoint=tmp_path)
    measured = [row["objective"] for row in result.history if row["split"] == "held_out"]
    assert len(measured) - 1 - int(np.argmax(measured)) == 2 and int(result.state.step) == 2 * len(measured) < 18
    value = zoo.bound(result.best, XS, objective=objectives.elbo, key=jr.split(jr.key(7))[0]).mean()
    assert float(value) == max(measured)
    again = fit(checkpoint=tmp_path, resume=True)
    assert bits(again.state) == bits(result.state) and bits(again.best) == bits(result.best)


def test_the_average_lags_a_tenth_of_the_steps_and_then_a_fixed_time(tmp_path):
    """The weights of the mean by hand: binomials, which grow like t^8, until the exponential average takes over."""
    optimiser = average(optax.sgd(0.1), decay=0.25)
    params, seen = jnp.array([1.0, -2.0]), []
    state = optimiser.init(params)
    for t in range(1, 8):
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimiser.update(params**2, state, params)
            plain, _ = optax.sgd(0.1).update(params**2, optax.sgd(0.1).init(params), params)
        assert np.array_equal(updates, plain)
        params = params + updates
        seen.append(np.asarray(params, np.float64))
        if t <= 4:  # 9 / (t + 8) >= 1 - decay
            weights = np.array([math.comb(i + 8, 8) for i in range(t)])
            mean = weights @ seen / weights.sum()
        else:
            mean = 0.25 * mean + 0.75 * seen[-1]
        np.testing.assert_allclose(state.mean, mean, rtol=1e-6)
    with pytest.raises(ValueError, match="decay=1"):
        average(optax.sgd(0.1), decay=1.0)


def test_the_averaged_model_survives_a_stop(tmp_path, bits):
    optimiser = average(ADAM, decay=0.9)
    whole = quiet_fit(linear_gaussian(), XS, optimiser=optimiser)
    quiet_fit(linear_gaussian(), XS, optimiser=optimiser, checkpoint=tmp_path, stop=until(5))
    resumed = quiet_fit(linear_gaussian(), XS, optimiser=optimiser, checkpoint=tmp_path, resume=True)
    assert bits(averaged(resumed.state)) == bits(averaged(whole.state)) != bits(whole.model)
    assert bits(whole.model) == bits(quiet_fit(linear_gaussian(), XS).model)
    with pytest.raises(ValueError, match="average"):
        averaged(quiet_fit(linear_gaussian(), XS).state)


def test_a_schedule_longer_than_the_run_is_refused():
    objective = objectives.scheduled(objectives.beta_elbo, beta=objectives.linear_schedule(19))
    with pytest.raises(ValueError, match="19 steps.*18"):
        quiet_fit(linear_gaussian(), XS, objective=objective)


TRAIN = (
    "train --data eight-gaussians --width-size 8 --epochs 2 --batch-size 500 --prior standard --evaluation-k 2 "
    "--evaluation-examples 10 --checkpoint-every 5 --devices 1 --out {}"
)
# The run is told to stop as soon as it has written its rows of step 9 or later.
STOPPED = """
import os, signal, sys, time
import zoo.train._store as store
from zoo.cli import main

append = store.append_rows
def stop(path, rows):
    append(path, rows)
    if rows[-1]["step"] >= 9:
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
        time.sleep(0.2)
        store.append_rows = append
store.append_rows = stop
main(sys.argv[2:])
"""


def test_signals_stop_the_command_line_and_resume_continues_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("zoo.cli._train.draw_figures", lambda *_: None)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    main(TRAIN.format(whole).split())
    for name, line in [("SIGTERM", TRAIN.format(stopped)), ("SIGINT", f"train --resume {stopped}")]:
        call = [sys.executable, "-c", STOPPED, name, *line.split()]
        done = subprocess.run(call, capture_output=True, text=True)
        assert done.returncode == 128 + getattr(signal, name), done.stderr
        assert f"stopped by {name} after step " in done.stdout and f"`zoo train --resume {stopped}`" in done.stdout
        assert not (stopped / "model.safetensors").exists() and "Traceback" not in done.stderr
    capsys.readouterr()
    for message, line in [("settings.json", f"--epochs 3 --resume {stopped}"), ("no run", f"--resume {tmp_path}")]:
        with pytest.raises(SystemExit, match="2"):
            main(["train", *line.split()])
        assert message in capsys.readouterr().err
    with zoo.files.run_lock(stopped), pytest.raises(SystemExit, match="2"):
        main(["train", "--resume", str(stopped)])
    assert f"process {os.getpid()}) writes to {stopped}" in capsys.readouterr().err
    main(["train", "--resume", str(stopped)])
    for name in ("metrics.jsonl", "model.safetensors", "step-000000080.safetensors"):
        assert (whole / name).read_bytes() == (stopped / name).read_bytes(), name
    capsys.readouterr()
    main(["train", "--resume", str(stopped)])
    assert "is finished" in capsys.readouterr().out
    with zoo.files.run_lock(stopped), pytest.raises(SystemExit, match="2"):
        main(TRAIN.format(stopped).split() + ["--overwrite"])
    assert (stopped / "model.safetensors").exists()


def test_a_second_signal_leaves_at_once():
    code = (
        "import os, signal, time; from zoo.train import catch_signals\n"
        "with catch_signals() as received:\n"
        "    os.kill(os.getpid(), signal.SIGINT); time.sleep(0.3); assert received == [signal.SIGINT]\n"
        "    os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 128 + signal.SIGTERM
