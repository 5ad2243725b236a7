"""`zoo sweep`: several runs at once, each of them what `zoo train` would have made of it."""

import json

import numpy as np
import pytest
import safetensors.numpy

from zoo.cli import main


TINY = (
    "--data eight-gaussians --width-size 8 --latent-size 1 --prior standard --likelihood gaussian --batch-size 4000 "
    "--epochs 2 --evaluation-k 2 --evaluation-examples 50"
).split()


@pytest.fixture(scope="module")
def swept(tmp_path_factory, coarse_densities):
    root = tmp_path_factory.mktemp("runs") / "sweep"
    main(["sweep", "--over", "beta", "--values", "0.5", "4", *TINY, "--out", str(root)])
    return root


def refused(capsys, line: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(line.split())
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_a_run_of_a_sweep_is_the_run_alone(swept, tmp_path):
    main(["train", "--beta", "4", "--devices", "1", *TINY, "--out", str(tmp_path / "alone")])
    both = swept / "beta=4", tmp_path / "alone"
    many, alone = (safetensors.numpy.load_file(run / "model.safetensors") for run in both)
    assert set(many) == set(alone)
    for name, leaf in alone.items():
        np.testing.assert_allclose(many[name], leaf, rtol=1e-5, atol=1e-5)
    histories = [[json.loads(row) for row in (run / "metrics.jsonl").read_text().splitlines()] for run in both]
    assert [(row["step"], row["split"]) for row in histories[0]] == [
        (row["step"], row["split"]) for row in histories[1]
    ]
    for row, other in zip(*histories):
        assert row.get("loss", 0.0) == pytest.approx(other.get("loss", 0.0), rel=1e-5)
    settings = [json.loads((run / "settings.json").read_text())["settings"] for run in both]
    assert [s.pop("out") for s in settings] == [str(run) for run in both] and settings[0] == settings[1]


def test_it_leaves_a_table_and_a_figure_and_its_runs_are_runs(swept, capsys):
    table = json.loads((swept / "sweep.json").read_text())
    assert (table["over"], table["values"]) == ("beta", [0.5, 4.0])
    assert [row["run"] for row in table["runs"]] == ["beta=0.5", "beta=4"]
    for name in ("sweep", "rate_distortion"):
        assert (swept / "figures" / f"{name}.png").stat().st_size > 1000
    # Minus the sum of rate and distortion is the ELBO, of the same examples and draws but for the closed form.
    curve = table["rate_distortion"]
    assert curve["betas"] == table["values"] and curve["rates"][0] > curve["rates"][1]
    for rate, distortion, row in zip(curve["rates"], curve["distortions"], table["runs"]):
        assert -rate - distortion == pytest.approx(row["metrics"]["elbo"]["mean"], abs=1)
    main(["evaluate", str(swept / "beta=0.5"), "--k", "2", "--examples", "50", "--json"])
    again = json.loads(capsys.readouterr().out)["metrics"]
    assert again["elbo"]["mean"] == pytest.approx(table["runs"][0]["metrics"]["elbo"]["mean"], rel=1e-6)
    biases = [
        safetensors.numpy.load_file(swept / row["run"] / "model.safetensors")["encoder.layers.layers.4.bias"]
        for row in table["runs"]
    ]
    assert not np.allclose(*biases, rtol=1e-3)
    assert "holds a sweep" in refused(capsys, f"evaluate {swept}")


def test_a_run_that_blows_up_stops_no_other_and_seeds_differ(tmp_path, capsys):
    # The rate rises until float32 ends: the second run is not finite, the first is.
    line = f"sweep --over learning-rate --values 0.001 1e30 --out {tmp_path / 'rates'}"
    main([*line.split(), *TINY])
    printed = capsys.readouterr().out
    assert "not finite at step" in printed
    assert (tmp_path / "rates" / "learning-rate=0.001" / "model.safetensors").exists()
    assert not (tmp_path / "rates" / "learning-rate=1e+30" / "model.safetensors").exists()
    main(["sweep", "--values", "3", "5", *TINY, "--out", str(tmp_path / "seeds")])
    assert "\n  all " in capsys.readouterr().out
    losses = [(tmp_path / "seeds" / f"seed={seed}" / "metrics.jsonl").read_text() for seed in (3, 5)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    "line, message",
    [
        ("sweep --over beta", "--values"),
        ("sweep --over bta --values 1 2", "did you mean `beta`"),
        ("sweep --over beta --values 1 1", "differ"),
        ("sweep --over beta --values 1 -1 --data two-moons", "beta=-1"),
        ("sweep --over nats --values 1 2 --data two-moons", "has no nats"),
        ("sweep --values 0.5 1", "whole numbers"),
        ("sweep --resume somewhere", "keeps no checkpoints"),
        ("sweep --over beta --values 1 2 --warmup 10", "--warmup 10"),
        ("sweep --devices 3", "multiple of 3"),
    ],
)
def test_what_cannot_be_swept_is_refused_and_leaves_nothing(line, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, line)
    assert not list(tmp_path.iterdir())


def test_of_a_single_example_the_table_has_no_errors():
    from zoo.cli._sweep import _table

    rows = [{"metrics": {"elbo": {"mean": -1.5, "standard_error": error}}} for error in (None, 0.25)]
    assert [line.split(None, 1)[1] for line in _table("beta", [1.0, 2.0], rows).splitlines()] == [
        "elbo",
        "-1.5",
        "-1.5 +- 0.25",
    ]
