"""What the README and the pages show is what the code makes: no figure is older than the code that draws it."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

import zoo
from zoo.cli import _names as names


ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "notebooks").rglob("*.md")}
SHOWN = set(re.findall(r"figures/([\w.]+)", "\n".join([README, *PAGES.values()])))
AGAIN = "run `python notebooks/readme.py`, and for the accuracy figure as its `--help` says"


def script():
    """`notebooks/readme.py`, which is no module of the package."""
    spec = importlib.util.spec_from_file_location("readme", ROOT / "notebooks" / "readme.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


readme = script()
MADE = json.loads(readme.RECORD.read_text())


def test_every_figure_is_accounted_for():
    assert {path.name for path in readme.FIGURES.glob("*.png")} == readme.DRAWN_BY.keys() == MADE["figures"].keys()
    assert SHOWN == readme.DRAWN_BY.keys()


@pytest.mark.parametrize("figure", readme.DRAWN_BY)
def test_no_figure_is_older_than_its_code(figure):
    assert MADE["figures"][figure]["picture"] == readme.picture_of(figure), f"{figure} was not made so: {AGAIN}"
    assert MADE["figures"][figure]["code"] == readme.code_of(figure), f"{figure} is older than its code: {AGAIN}"


def test_the_main_job_s_table_is_what_it_printed():
    assert readme.TABLE.findall(PAGES[readme.PAGE.stem]) == [MADE["prints"]], AGAIN
    assert MADE["settings"].items() <= readme.default_settings().items(), f"other defaults than its figures': {AGAIN}"


def test_the_readme_is_short_and_its_links_lead_somewhere():
    assert len(README.split()) <= 900
    links = re.findall(r"\]\((?!https://)([^)#]+)", README)
    assert len(links) > 20
    for link in links:
        assert (ROOT / link).exists(), link


def rows():
    """Each row of a table whose first head is a room: the room, the names there, and what the command line calls them.

    The head of the column for the command line is an option, as `--likelihood`.
    """
    for table in re.findall(r"^\| `zoo\.\w+` \|[^\n]*\n(?:\|[^\n]*\n)+", "\n".join(PAGES.values()), re.MULTILINE):
        head, _, *body = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
        (column,) = [i for i, cell in enumerate(head) if cell.startswith("`--")]
        for cells in body:
            offered = {(head[column].strip("`-"), name) for name in re.findall(r"`([\w-]+)`", cells[column])}
            yield head[0].strip("`").removeprefix("zoo."), re.findall(r"`(\w+)", cells[0]), offered


def test_the_tables_name_what_there_is():
    for room, shown, _ in rows():
        for name in shown:
            assert hasattr(getattr(zoo, room), name), f"the page's `{name}` is no name of `zoo.{room}`"


def test_the_tables_have_a_row_for_all_that_the_command_line_offers():
    shown = set().union(*(names_there for *_, names_there in rows()))
    offered = {(kind, name) for kind, table in names.LISTED.items() for name in table}
    assert shown == offered, f"no row for {offered - shown}, or a row too many for {shown - offered}"


def test_only_code_counts(tmp_path, monkeypatch):
    """A comment, a docstring or a new option makes no figure old; another colour does."""
    figure, path = "samples.png", "zoo/plots/_samples.py"
    for name in (*readme.drawing(path), *readme.NETWORK, "zoo/cli/_plot.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(readme, "ROOT", tmp_path)
    before = readme.code_of(figure)
    assert before == MADE["figures"][figure]["code"]

    def after(name, old, new):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert old in text
        (tmp_path / name).write_text(text.replace(old, new, 1), encoding="utf-8")
        now = readme.code_of(figure)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return now

    assert after(path, "def ", "# a comment\n\n\ndef ") == before
    assert after(path, 'r"""Draws', 'r"""Paints') == before
    assert after("zoo/cli/_plot.py", 'figures["manifold"] = zoo', 'figures["manifold"] = other') == before
    assert after("zoo/cli/_plot.py", "samples(model, 64", "samples(model, 81") != before
    assert after("zoo/cli/_plot.py", '"savefig.dpi": 150', '"savefig.dpi": 50') != before
    assert after("zoo/plots/_canvas.py", "def ", "x = 1\n\n\ndef ") != before
    assert after(path, "title", "caption") != before
