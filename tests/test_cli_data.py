"""`--data PATH`: one's own data through every command, and what is said when they move, change or are none."""

import json
import shutil
import struct

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo.cli import _build as build, _data as sources, main
from zoo.cli._arguments import LOADING, SWEPT, Train


QUICK = "--model mlp --prior standard --width-size 4 --epochs 1 --evaluation-k 2 --evaluation-examples 4"


def write_pictures(folder, count=20):
    for name, shade in (("dark", 40), ("light", 200)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            picture = np.full((8, 12), shade + i, np.uint8)
            Image.fromarray(picture).save(folder / name / f"{i:02}.png")
    (folder / "notes.txt").write_text("mine")
    return folder


def fails(capsys, line):
    with pytest.raises(SystemExit) as stopped:
        main(line.split())
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("own")
    write_pictures(root / "pictures")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        main(f"train --data pictures --size 8 --held-out 0.2 --out run {QUICK}".split())
    return root


def copy(made, tmp_path):
    shutil.copytree(made, tmp_path / "all")
    return tmp_path / "all"


def test_a_run_writes_down_its_data(made):
    written = json.loads((made / "run" / "settings.json").read_text())
    assert written["settings"]["data"] == str(made / "pictures") and written["settings"]["size"] == [8]
    kept = written["data"]
    found = zoo.data.load(made / "pictures", size=8, held_out=0.2, progress=False)
    assert kept["digest"] == found.digest and kept["classes"] == ["dark", "light"] and len(kept["digest"]) == 64
    assert (kept["train"], kept["held_out"], kept["shape"]) == (32, 8, [1, 8, 8])
    assert kept["notes"] == list(found.notes) and len(kept["notes"]) == 3
    figures = {path.stem for path in (made / "run" / "figures").iterdir()}
    assert figures == {"loss_curve", "reconstructions", "samples", "latent_space", "manifold"}


def test_every_command_reads_the_same_data_again(made, tmp_path, monkeypatch, capsys):
    run = shutil.copytree(made / "run", tmp_path / "run")
    monkeypatch.chdir(tmp_path)  # the path was relative to another folder
    main(f"evaluate {run} --k 2 --json".split())
    printed = capsys.readouterr()
    assert json.loads(printed.out)["examples"] == 8 and "trained on" not in printed.err
    main(f"evaluate {run} --metrics knn-probe active-units".split())
    main(f"plot {run} --out {tmp_path / 'figures'}".split())
    assert (tmp_path / "figures" / "reconstructions.png").exists()
    main(f"sample {run} --n 3 --out {tmp_path}".split())
    main(f"report {run} --out {tmp_path / 'report.html'}".split())
    assert np.load(tmp_path / "samples.npy").shape == (3, 1, 8, 8)
    assert "factors, and" in fails(capsys, f"evaluate {run} --metrics mig")


def test_data_that_moved_are_found_where_they_are_said_to_be(made, tmp_path, capsys):
    made = copy(made, tmp_path)
    settings = json.loads((made / "run" / "settings.json").read_text())
    settings["settings"]["data"] = str(made / "pictures")
    (made / "run" / "settings.json").write_text(json.dumps(settings))
    (made / "pictures").rename(made / "moved")
    assert "pictures does not exist" in fails(capsys, f"evaluate {made / 'run'} --k 2")
    main(f"evaluate {made / 'run'} --k 2 --examples 2 --data {made / 'moved'}".split())
    assert "trained on" not in capsys.readouterr().err
    main(f"sample {made / 'run'} --n 2".split())  # needs none
    main(f"plot {made / 'run'} --data {made / 'moved'}".split())
    assert "trained on" not in capsys.readouterr().err


def test_a_run_whose_data_changed_says_so_and_does_not_go_on(made, tmp_path, capsys):
    made = copy(made, tmp_path)
    pictures, run = made / "pictures", made / "run"
    Image.fromarray(np.zeros((8, 12), np.uint8)).save(pictures / "dark" / "00.png")
    main(f"evaluate {run} --k 2 --examples 2 --data {pictures}".split())
    assert f"not those that {run} was trained on: some values differ" in capsys.readouterr().err
    (pictures / "dark" / "01.png").unlink()
    main(f"plot {run} --data {pictures}".split())
    assert "train 32 is now 31" in capsys.readouterr().err
    (run / "evaluation.json").unlink()
    message = fails(capsys, f"train --resume {run} --data {pictures}")
    assert "train 32 is now 31; put them back" in message


def test_a_run_goes_on_with_the_same_data(made, tmp_path, capsys):
    made = copy(made, tmp_path)
    before = (made / "run" / "evaluation.json").read_text()
    (made / "run" / "evaluation.json").unlink()
    (made / "pictures").rename(made / "moved")
    main(f"train --resume {made / 'run'} --data {made / 'moved'}".split())
    after = json.loads((made / "run" / "evaluation.json").read_text())["metrics"]
    means = lambda metrics: {name: row["mean"] for name, row in metrics.items()}
    assert means(after) == means(json.loads(before)["metrics"])


@pytest.mark.parametrize(
    "array, kind, shape",
    [
        (np.random.default_rng(0).normal(size=(40, 70)), "signals", (1, 70)),
        (np.random.default_rng(0).normal(size=(40, 5)), "vectors", (5,)),
        (np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), np.uint8), "images", (3, 6, 5)),
    ],
)
def test_what_is_usual_follows_from_the_kind(tmp_path, array, kind, shape):
    np.save(tmp_path / "x.npy", array)
    arguments = Train(data=str(tmp_path / "x.npy"))
    entry = sources.find(arguments)
    settings = build.resolve(arguments, entry)
    dataset = build.dataset(settings, entry)
    assert dataset.kind == kind and dataset.train.shape[1:] == shape
    likelihoods = {"images": "continuous-bernoulli", "signals": "gaussian-shared", "vectors": "gaussian-learned"}
    assert settings.likelihood == likelihoods[kind]
    assert settings.batch_size == 32 and settings.epochs == 200
    assert entry.traits == (("pictures",) if kind == "images" else ())


def test_a_path_that_is_called_as_a_name_is_a_path_if_written_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "mnist", 3)
    arguments = Train(data="./mnist", size=(8,))
    entry = sources.find(arguments)
    assert build.dataset(arguments, entry).classes == ("dark", "light")
    assert build.resolve(arguments, entry).data == str(tmp_path / "mnist")


def test_signals_and_tables_train_with_one_command(tmp_path, capsys):
    waves = np.sin(np.arange(80) / 5 + np.arange(12)[:, None]).astype(np.float32)
    np.savez(tmp_path / "waves.npz", x=waves, y=["a", "b"] * 6)
    main(f"train --data {tmp_path / 'waves.npz'} --out {tmp_path / 'run'} {QUICK}".split())
    assert {path.stem for path in (tmp_path / "run" / "figures").iterdir()} == {
        *("loss_curve", "reconstructions", "samples")  # one is held out, and no space of latents
    }
    main(f"sample {tmp_path / 'run'} --n 2".split())
    assert np.load(tmp_path / "run" / "samples.npy").shape == (2, 1, 80)
    assert capsys.readouterr().out.splitlines()[-1].endswith("samples.png")


@pytest.mark.parametrize(
    "line, message",
    [
        ("train --data absent/", "absent does not exist"),
        ("train --data absent.npz", "no data set has this name"),
        ("train --data fashion-mnst", "did you mean `fashion-mnist`"),
        ("train --data picturez", "no such data; "),
        ("train --data empty", "files found: none"),
        ("train --data two-moons --size 8", "--size (8,)`: that goes with a path"),
        ("train --data here.npy --size 8", "does not go with"),
        ("train --data here.npy --held-out 2", "needs a part between 0 and 1"),
        ("train --data here.npy --model convv", "did you mean `conv`"),
        ("sweep --data here.npy --objective iwea", "did you mean `iwae`"),
        ("sweep --over held-out --values 0.1 0.2", "no such over"),
    ],
)
def test_paths_that_are_none_are_refused_and_leave_nothing(line, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    np.save("here.npy", np.zeros((5, 3)))
    assert message in fails(capsys, line)
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "here.npy"}


def test_options_of_loading_are_those_of_the_library():
    import inspect

    taken = {*inspect.signature(zoo.data.load).parameters} - {"path_or_name", "download", "progress", "seed"}
    assert {*LOADING} - {"split_seed"} == taken and not {*LOADING} & {*SWEPT}
    defaults = inspect.signature(zoo.data.load).parameters
    assert all(getattr(Train(), name) == defaults[name].default for name in taken)


def test_skipping_what_is_corrupt_is_said(tmp_path, capsys):
    write_pictures(tmp_path / "pictures", 3)
    (tmp_path / "pictures" / "dark" / "02.png").write_bytes(struct.pack(">Q", 0x89504E470D0A1A0A))
    assert "dark/02.png" in fails(capsys, f"train --data {tmp_path / 'pictures'}")
    found = sources.find(Train(data=str(tmp_path / "pictures"), skip_corrupt=True), progress=True)
    assert found.usual["batch_size"] == 4
    assert "pictures: 1 pictures cannot be decoded, left out: dark/02.png" in capsys.readouterr().err
