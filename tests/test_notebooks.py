"""The notebooks are short, whole as they are committed, and run from the top to the bottom."""

import json
import os
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest


PATHS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def code_cells(path):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def test_there_are_notebooks():
    assert PATHS


def test_each_is_in_the_table():
    table = (Path(__file__).parents[1] / "notebooks" / "README.md").read_text()
    assert re.findall(r"^\| \[\w+\]\((\w+)\.ipynb\)", table, re.M) == [path.stem for path in PATHS]


@each_notebook
def test_is_short_and_light(path):
    assert len(json.loads(path.read_text())["cells"]) <= 15
    assert path.stat().st_size < 600_000


@each_notebook
def test_was_run_from_the_top_without_a_complaint(path):
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    for output in outputs:
        assert output["output_type"] != "error" and output.get("name") != "stderr"


@each_notebook
def test_names_no_machine_and_draws_with_the_zoo_alone(path):
    text = path.read_text()
    assert not re.search(r"/tmp/|/root/|/home/|/usr/|[A-Z]:\\\\|site-packages", text)
    sources = ["".join(cell["source"]) for cell in code_cells(path)]
    assert "%pip install -q vae-zoo" in sources[0]
    assert not any("matplotlib" in source for source in sources)


# Minus their log-densities at x = 0, as torch 2.13.0 and the nightly TFP 0.26 gave them for these logits.
LOGITS = [-30.0, -5.0, -0.2, -0.003, 0.02, 12.0, 16.5, 1000.0]
THEIRS = {
    "torch_213": [-2.76898146, -1.61619878, -0.09833425, -0.001499653, 0.010017097, 9.51582527, 13.7310181, 997.231018],
    "tfp_026": [-3.40119743, -1.61619854, -0.098333836, -0.00149965286, 0.0100166202, 9.51508713, 13.69664, 993.092224],
}  # fmt: skip


def test_the_formulas_of_other_libraries_have_their_errors():
    sources = ["".join(cell["source"]) for cell in code_cells(PATHS[1])]
    (source,) = [source for source in sources if "def torch_213" in source]
    room: dict[str, Any] = {"jax": jax, "jnp": jnp, "np": np}
    exec(source[: source.index("edges =")], room)
    for name, values in THEIRS.items():
        np.testing.assert_allclose(room[name](jnp.asarray(LOGITS, jnp.float32)), values, rtol=1e-6, atol=1e-6)


@pytest.mark.notebooks
@each_notebook
def test_runs_at_the_small_size(path, tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("ZOO_NOTEBOOK_SIZE", "small")
    monkeypatch.delenv("JAX_DISABLE_MOST_OPTIMIZATIONS", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(path.parents[1]), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
    settings = dict(timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}})
    nbclient.NotebookClient(notebook, **settings).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
