"""Builds the documentation: `python notebooks/site/build.py OUT`, with the extra `docs`.

The pages beside this folder, the notebooks with what they printed and drew, and a page of docstrings for each room
become one site that needs no network. A warning or a link that leads nowhere is an error.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import api
import links
from sphinx.cmd.build import main as run_sphinx


HERE = Path(__file__).parent
PAGES = HERE.parent


def gather(source: Path) -> None:
    """Puts everything that is a page into one folder, as Sphinx wants it."""
    for path in [*PAGES.rglob("*.md"), PAGES.parent / "CHANGELOG.md"]:
        page = source / (path.relative_to(PAGES) if path.is_relative_to(PAGES) else path.name)
        page.parent.mkdir(parents=True, exist_ok=True)
        text = api.linked_rows(path.read_text(encoding="utf-8"))
        page.write_text(api.linked(text, room=""), encoding="utf-8")
    for path in PAGES.glob("*.ipynb"):
        shutil.copy(path, source)
    shutil.copytree(PAGES / "figures", source / "figures")
    api.write_pages(source / "api")


def main(out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, doctrees = Path(folder) / "pages", Path(folder) / "doctrees"
        source.mkdir()
        gather(source)
        options = ["--quiet", "--fail-on-warning", "--keep-going", "--fresh-env", "-d", doctrees, "-c", HERE]
        if run_sphinx([os.fspath(each) for each in [*options, source, out]]):
            sys.exit("Sphinx has found the faults above")
    if faults := links.faults(out):
        sys.exit("\n".join(faults))
    print(f"{len(list(out.rglob('*.html')))} pages in {out}/")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
