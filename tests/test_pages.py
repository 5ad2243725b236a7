"""What the README and the pages of the documentation say in Python runs, from the top of each page to its end.

A block that is marked `py` in place of `python` is only shown.
"""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

import zoo


ROOT = Path(__file__).parents[1]
PAGES = sorted(path for path in (ROOT / "notebooks").rglob("*.md") if "```python" in path.read_text(encoding="utf-8"))
PAGES = [ROOT / "README.md", *PAGES]


@pytest.fixture
def few_images(tmp_path, monkeypatch):
    """The data that the pages speak of, so few that a page takes seconds; in a folder where they may write.

    Convolutions take long to compile: `.ci/run` runs the README's with them.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(zoo, "ConvVAE", zoo.MLPVAE)
    images = zoo.data.fashion_mnist_mini()
    few = images._replace(
        train_images=images.train_images[:256],
        train_labels=images.train_labels[:256],
        test_images=images.test_images[:32],
        test_labels=images.test_labels[:32],
    )
    monkeypatch.setattr(zoo.data, "fashion_mnist_mini", lambda: few)
    np.save("images.npy", images.train_images[:256, :, 10:18, 10:18])


@pytest.mark.notebooks
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_the_code_of_a_page_runs(page, few_images):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert blocks
    names: dict = {}
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        for block in blocks:
            exec(compile(block, page.name, "exec"), names)
    numbers = {name: np.asarray(value) for name, value in names.items() if isinstance(value, float | jax.Array)
               and jax.numpy.issubdtype(jax.numpy.result_type(value), jax.numpy.floating)}  # fmt: skip
    assert [name for name, value in numbers.items() if not np.isfinite(value).all()] == []
