"""`zoo evaluate --metrics`: rows about samples, labels and factors, with models whose answers are known."""

import functools
import json

import numpy as np
import pytest
from moved import moved

import zoo
from zoo.cli import _build as build, _names as names, _run as runs, main
from zoo.cli._arguments import Train


N = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of each data set, its model as it began, and the data."""
    root, small = tmp_path_factory.mktemp("runs"), pytest.MonkeyPatch()
    few = functools.partial(zoo.data.from_sprites, train_size=400, test_size=300)
    small.setattr(zoo.data, "from_sprites", few)

    def run(data):
        settings = build.resolve(Train(data=data, model="mlp", width_size=4, prior="standard", out=root / data))
        dataset = build.dataset(settings)
        zoo.save(runs.create(settings) / runs.MODEL, build.model(settings, dataset))
        return root / data, dataset

    points = build.resolve(Train(data="eight-gaussians", out=root / "points"))
    yield {data: run(data) for data in ("sprites", "fashion-mnist-mini")} | {"points": (runs.create(points), None)}
    small.undo()


def needing(what):
    return [name for name, entry in names.METRICS.items() if what in entry.traits]


def rows(capsys, run, *options):
    main(["evaluate", str(run), "--json", *map(str, options)])
    return json.loads(capsys.readouterr().out)["metrics"]


def test_a_model_that_draws_the_data_and_one_that_copies_them(made, monkeypatch, capsys):
    run, dataset = made["fashion-mnist-mini"]
    grey = lambda images: images.astype(np.float32) / 255
    metrics = ("--examples", N, "--metrics", *needing("pictures"))
    monkeypatch.setattr(zoo.evaluate, "sample", lambda model, n, **_: grey(dataset.test[:n]))
    found = rows(capsys, run, *metrics)
    mean = {name: row["mean"] for name, row in found.items()}
    assert mean["frechet_distance (fashion_features)"] == pytest.approx(0, abs=1e-3)
    for name in ("precision", "recall", "coverage"):
        assert mean[f"{name} (fashion_features)"] == 1
    assert mean["mmd: p-value (fashion_features)"] == 1
    assert mean["nearest_copies: closer than held-out (fashion_features)"] == pytest.approx(0.5, abs=0.01)
    assert mean["nearest_copies: exact (fashion_features)"] == 0
    # Every number has its error, those of counts that all agree being 0.
    assert all(row["standard_error"] >= 0 for row in found.values())
    assert found["mmd (fashion_features)"]["standard_error"] > 0
    # Trousers only, out of the training images: real, but few of the kinds there are.
    trousers = dataset.train[dataset.train_labels == 1][:N]
    monkeypatch.setattr(zoo.evaluate, "sample", lambda model, n, **_: grey(trousers))
    found = rows(capsys, run, *metrics)
    mean = {name: row["mean"] for name, row in found.items()}
    assert mean["recall (fashion_features)"] < 0.3 < mean["precision (fashion_features)"]
    assert mean["coverage (fashion_features)"] < 0.5
    assert mean["mmd: p-value (fashion_features)"] == pytest.approx(1 / 501)
    assert mean["nearest_copies: closer than held-out (fashion_features)"] > 0.95
    features = zoo.fashion_features(dataset.test[:N]), zoo.fashion_features(trousers)
    row = found["frechet_distance (fashion_features)"]
    assert row["mean"] == pytest.approx(zoo.frechet_distance(*features), rel=1e-3)
    assert 0 < row["standard_error"] < row["mean"] / 3


def test_samples_are_the_model_s_pictures_and_what_are_no_clothes_is_compared_as_pixels(made):
    from zoo import measures

    run, dataset = made["sprites"]
    _, model, _ = runs.open_run(run)
    import jax.random as jr

    measured = measures.Measured(moved(model), dataset.first(N), zoo.data.dequantise, 1, False, jr.key(1))
    assert measured.samples.shape == (N, 1, 28, 28) and 0 <= measured.samples.min() < measured.samples.max() <= 1
    assert np.unique(measured.samples[:, 0, 5, 5]).size == N
    assert measured.space == "pixels" and measured.features[0] is measured.dataset.test


def test_codes_that_are_the_factors_score_as_theory_says(made, monkeypatch, capsys):
    run, dataset = made["sprites"]
    factors = {len(dataset.train): dataset.train_factors, N * 4: dataset.test_factors[: N * 4]}
    layers = lambda codes: (codes[:, :2].astype(np.float32), codes[:, 2:].astype(np.float32))
    monkeypatch.setattr(zoo.evaluate, "encode", lambda model, xs, **_: layers(factors[len(xs)]))
    options = ("--examples", N * 4, "--metrics", *needing("labels"), *needing("factors"))
    found = rows(capsys, run, *options)
    mean = {name: row["mean"] for name, row in found.items()}
    for name in ("linear_probe", "beta_vae_score", "factor_vae_score"):
        assert mean[name] > 0.97, name
    assert mean["sap"] > 0.9 and mean["dci: disentanglement"] > 0.85 and mean["dci: completeness"] > 0.85
    # The lasso is linear, and the middle one of three shapes is not.
    assert mean["dci: informativeness"] < 0.25 and found["dci: informativeness"]["unit"] == "prediction error"
    # Of 240 rows the plug-in information of unrelated columns is far from 0.
    codes = dataset.test_factors[: N * 4].astype(np.float32)
    assert mean["mig"] == pytest.approx(zoo.mig(codes, dataset.test_factors[: N * 4]).score)
    assert mean["modularity"] == pytest.approx(zoo.modularity(codes, dataset.test_factors[: N * 4]).score)
    # The probes learn from the training examples.
    training = dataset.train_factors.astype(np.float32), dataset.train_labels
    found_by_hand = zoo.knn_probe(*training, codes, dataset.test_labels[: N * 4])
    assert (mean["knn_probe"], found["knn_probe"]["standard_error"]) == pytest.approx(found_by_hand)
    assert mean["knn_probe"] < mean["linear_probe"]  # the neighbours' distances are those of x and y
    assert all(row["standard_error"] > 0 for name, row in found.items() if mean[name] < 1)
    monkeypatch.setattr(
        zoo.evaluate, "encode", lambda model, xs, **_: np.random.default_rng(0).normal(size=(len(xs), 6))
    )
    noise = {name: row["mean"] for name, row in rows(capsys, run, *options).items()}
    assert noise["linear_probe"] < 0.5 and noise["beta_vae_score"] < 0.5 and noise["factor_vae_score"] < 0.5
    assert noise["sap"] < 0.1 and noise["mig"] < 0.1 and noise["dci: informativeness"] > 0.9


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *map(str, arguments)])
    message = capsys.readouterr().err
    assert stopped.value.code == 2 and message.count("\n") == 1
    return message


def test_what_the_data_do_not_have_is_refused_before_anything_is_measured(made, capsys, monkeypatch):
    monkeypatch.setattr(build, "dataset", lambda settings: pytest.fail("the data were read"))
    points, clothes, sprites = (made[name][0] for name in ("points", "fashion-mnist-mini", "sprites"))
    for name in needing("pictures"):
        assert "eight-gaussians has none" in refused(capsys, points, "--metrics", "log-likelihood", name)
        assert "at least 10 examples" in refused(capsys, clothes, "--examples", 9, "--metrics", name)
    for name in needing("labels"):
        assert "needs labels, and eight-gaussians has none" in refused(capsys, points, "--metrics", name)
    for name in needing("factors"):
        for run in (points, clothes):
            assert "come with --data sprites" in refused(capsys, run, "--metrics", "log-likelihood", name)
        assert "at least 10 examples" in refused(capsys, sprites, "--examples", 9, "--metrics", name)
    for name in ("nearest-copies", *needing("labels")):
        assert "leave out `--split train`" in refused(capsys, clothes, "--split", "train", "--metrics", name)
    assert "--examples 0" in refused(capsys, clothes, "--examples", 0)
    assert "--k 0" in refused(capsys, clothes, "--k", 0)
