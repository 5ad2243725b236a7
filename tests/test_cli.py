import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy

import zoo
from zoo.cli import _build as build, _names as names, main


@pytest.fixture(scope="module")
def images_run(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "images"
    settings = "train --model mlp --prior normal --epochs 1 --evaluation-k 2 --width-size 16 --batch-size 200"
    main([*settings.split(), "--out", str(run)])
    return run


@pytest.fixture(scope="module")
def points_run(tmp_path_factory, coarse_densities):
    run = tmp_path_factory.mktemp("runs") / "points"
    main(
        f"train --model mlp --data eight-gaussians --objective iwae --k 10 --epochs 1 --out {run} "
        "--likelihood gaussian --prior standard --batch-size 200 --width-size 16 --estimator dreg --evaluation-k 50 "
        "--seed 3".split()
    )
    return run


def fails(capsys, line: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(line.split())
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message


def test_a_run_of_images_leaves_everything(images_run, capsys):
    figures = {path.name for path in (images_run / "figures").iterdir()}
    assert figures == {"loss_curve.png", "reconstructions.png", "samples.png", "latent_space.png", "manifold.png"}
    rows = [json.loads(line) for line in (images_run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["split"] == "train"] == list(range(1, 31))
    assert sum(row["split"] == "held_out" for row in rows) == 1
    saved = json.loads((images_run / "settings.json").read_text())["settings"]
    assert (saved["likelihood"], saved["observe"]) == ("continuous-bernoulli", "dequantise")
    assert safetensors.numpy.load_file(images_run / "model.safetensors")


def test_the_table_s_numbers_are_the_library_s(images_run):
    evaluation = json.loads((images_run / "evaluation.json").read_text())
    import jax.random as jr

    model = zoo.load(images_run / "model.safetensors")
    images = zoo.data.fashion_mnist_mini().test_images[:250]
    values = zoo.log_likelihood(model, images, k=2, observe=zoo.data.dequantise, key=jr.key(1))
    row = evaluation["metrics"]["log_likelihood (k=2)"]
    assert row["mean"] == pytest.approx(float(np.mean(values)), rel=1e-5)
    assert row["standard_error"] == pytest.approx(float(np.std(values, ddof=1)) / 250**0.5, rel=1e-4)
    bits = evaluation["metrics"]["bits per dimension"]
    assert bits["mean"] == pytest.approx(8 - row["mean"] / (784 * np.log(2)), rel=1e-5)
    assert (evaluation["examples"], evaluation["k"]) == (250, 2)


def test_a_run_of_points_draws_the_density(points_run):
    assert {path.name for path in (points_run / "figures").iterdir()} == {"loss_curve.png", "density.png"}
    evaluation = json.loads((points_run / "evaluation.json").read_text())["metrics"]
    assert "bits per dimension" not in evaluation
    # The entropy of the truth is known, and KL = -entropy - E log p(x).
    cross_entropy = -evaluation["log_likelihood (k=50)"]["mean"]
    assert evaluation["KL(true || model)"]["mean"] == pytest.approx(cross_entropy - 1.69844, abs=0.1)


def test_evaluate_sample_and_plot(images_run, points_run, tmp_path, capsys):
    main(["evaluate", str(images_run), "--k", "3", "--examples", "20", "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert (printed["k"], printed["examples"]) == (3, 20)
    main(["sample", str(images_run), "--n", "5", "--out", str(tmp_path)])
    assert np.load(tmp_path / "samples.npy").shape == (5, 1, 28, 28)
    main(["sample", str(points_run), "--n", "50", "--out", str(tmp_path / "points")])
    assert np.load(tmp_path / "points" / "samples.npy").shape == (50, 2)
    main(["plot", str(points_run), "--out", str(tmp_path / "figures")])
    assert (tmp_path / "figures" / "density.png").stat().st_size > 1000
    shutil.rmtree(points_run / "figures")
    main(["report", str(points_run), "--out", str(tmp_path / "report.html")])  # draws what is not there
    assert (tmp_path / "report.html").read_text().count("data:image/png") == 2


def test_every_metric_has_rows(points_run, capsys, monkeypatch):
    import jax.numpy as jnp
    import jax.random as jr

    from zoo.cli import _run as runs

    values = jnp.array([1.0, 2.0, 6.0])
    evaluate = zoo.evaluate
    monkeypatch.setattr(
        zoo.evaluate, "gaps", lambda model, xs, **_: evaluate.InferenceGaps(values, values - 1, values - 3)
    )
    annealed = evaluate.Annealed(values, values, 0.5 + 0.0 * values)
    monkeypatch.setattr(zoo.evaluate, "annealed_importance_sampling", lambda model, xs, **_: annealed)
    before = json.loads((points_run / "evaluation.json").read_text())
    metrics = "--metrics active_units elbo-decomposition gaps ais"
    main(f"evaluate {points_run} {metrics} --split train --examples 3 --k 50 --json".split())
    printed = json.loads(capsys.readouterr().out)
    assert (printed["split"], printed["examples"], printed["seed"]) == ("train", 3, 1)
    made = {name: printed[name] for name in ("split", "examples", "seed", "data", "observe", "command", "versions")}
    rows = {name.removesuffix(" (train)"): row for name, row in printed["metrics"].items()}
    assert rows["gaps (k=50): amortisation"] == made | {"mean": 2.0, "standard_error": 0.0, "unit": "nats", "k": 50}
    assert rows["ais (500 steps, 16 chains): acceptance"]["k"] is None
    # What was measured before is kept, in the file and not in what is printed; the same again takes its place.
    written = json.loads((points_run / "evaluation.json").read_text())["metrics"]
    assert written == before["metrics"] | printed["metrics"] and "elbo" not in printed["metrics"]
    assert before["metrics"]["elbo"]["examples"] == 2000 and before["metrics"]["elbo"]["k"] == 1
    error = float(np.std(values, ddof=1)) / 3**0.5
    assert rows["ais (500 steps, 16 chains): log_likelihood"]["standard_error"] == pytest.approx(error, rel=1e-6)
    assert rows["active units"]["unit"] == "of 2"
    # These examples are the training set's, as the settings make it.
    _, model, dataset = runs.open_run(points_run)
    parts = zoo.elbo_decomposition(model, dataset.train[:3], k=10, key=jr.key(1)).estimates
    for name, found in parts.items():
        row = rows[f"elbo_decomposition (k=10): {name}"]
        assert row["mean"] == pytest.approx(float(found.mean), rel=1e-4, abs=1e-5)
    main(f"evaluate {points_run} --k 5 --examples 20".split())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("20 held-out") and lines[-2].startswith("k = 5, seed 1; zoo") and "jax " in lines[-1]
    after = json.loads((points_run / "evaluation.json").read_text())["metrics"]
    assert after.keys() - written.keys() == {"log_likelihood (k=5)"} and after["elbo"]["examples"] == 20
    assert after["log_likelihood (k=50)"] == before["metrics"]["log_likelihood (k=50)"]
    main(f"train --resume {points_run}".split())  # is finished, and tells all that is known
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" examples")[0] for line in lines if " examples of " in line] == [
        "20 held-out", "2,000 held-out", "3 training",
    ]  # fmt: skip
    (points_run / "evaluation.json").write_text("{")
    monkeypatch.setattr(build, "dataset", lambda settings: pytest.fail("the data were read"))
    assert "evaluation.json is damaged" in fails(capsys, f"evaluate {points_run}")
    (points_run / "evaluation.json").write_text(json.dumps(before))


def test_what_is_measured_stays_measured_when_the_next_metric_fails(points_run, capsys, monkeypatch):
    def broken(model, xs, **_):
        raise FloatingPointError("examples 3 (nan)")

    monkeypatch.setattr(zoo.evaluate, "gaps", broken)
    before = (points_run / "evaluation.json").read_text()
    line = f"evaluate {points_run} --metrics active-units gaps --examples 50"
    assert "examples 3 (nan)" in fails(capsys, line)
    row = json.loads((points_run / "evaluation.json").read_text())["metrics"]["active units"]
    assert row["examples"] == 50 and row["unit"] == "of 2"
    (points_run / "evaluation.json").write_text(before)


def test_a_run_is_never_overwritten_without_being_told(points_run, tmp_path, capsys):
    before = (points_run / "model.safetensors").read_bytes()
    assert "--overwrite" in fails(capsys, f"train --data eight-gaussians --out {points_run}")
    assert (points_run / "model.safetensors").read_bytes() == before
    (tmp_path / "precious.txt").write_text("mine")
    assert "no run directory" in fails(capsys, f"train --data eight-gaussians --out {tmp_path} --overwrite")
    assert (tmp_path / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "line, message",
    [
        ("train --model convv", "did you mean `conv`"),
        ("train --data fashion-mnst", "did you mean `fashion-mnist`"),
        ("train --objective iwea", "did you mean `iwae`"),
        ("train --likelihood bernouli", "did you mean `bernoulli`"),
        ("train --k 0", "--k 0"),
        ("train --beta -1", "beta=-1"),
        ("train --objective iwae --beta 2", "has no beta"),
        ("train --objective miwae --k 4", "needs its m"),
        ("train --objective miwae --k 4 --m 3", "4"),
        ("train --batch-size 6001", "6001"),
        ("train --learning-rate 0", "positive"),
        ("train --model conv --data two-moons", "--data two-moons --model conv"),
        ("train --data two-moons --observe binarise", "values in [0, 1]"),
        ("train --model mlp --norm group", "mlp networks have none"),
        ("train --warmup 10", "nothing to warm up"),
        ("train --objective elbo-kl", "no closed-form KL"),
        ("evaluate nowhere", "no run directory"),
        ("evaluate nowhere --metrics gap", "did you mean `gaps`"),
        ("report nowhere", "no run directory"),
        ("list colours", "no such kind"),
    ],
)
def test_wrong_options_are_refused_and_leave_nothing(line, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, line)
    assert not list(tmp_path.iterdir())


def test_a_damaged_run_is_refused(images_run, tmp_path, capsys):
    for name in ("settings.json", "model.safetensors"):
        (tmp_path / name).write_bytes((images_run / name).read_bytes())
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    assert "model.safetensors" in fails(capsys, f"evaluate {tmp_path}")
    (tmp_path / "settings.json").write_text("{")
    assert "damaged" in fails(capsys, f"evaluate {tmp_path}")


def test_help_does_not_wait_for_jax():
    code = (
        "import sys; from zoo.cli import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(any(name in sys.modules for name in ('jax', 'numpy', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


def test_every_name_stands_for_something(capsys):
    for table in names.KINDS.values():
        for entry in table.values():
            assert entry.get() is not None
    main(["list", "model", "likelihood"])
    printed = capsys.readouterr().out
    assert "continuous-bernoulli" in printed and "objective" not in printed.split()
