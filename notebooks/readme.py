"""Makes the figures of the pages and the table of the main job again, and writes down what made them.

    python notebooks/readme.py                      `zoo train`, three minutes on two quiet cores
    python notebooks/readme.py --accuracy PYTHON    the accuracy figure; PYTHON has torch and tensorflow_probability

`figures/made.json` then says of each figure which code drew it, and of the main job what it was set to and printed.
`tests/test_readme.py` compares that with the code as it is: a figure older than its code is an error there.
"""

import argparse
import ast
import dataclasses
import datetime
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from zoo.cli import _build as build
from zoo.cli._arguments import Train


ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "notebooks" / "figures"
RECORD = FIGURES / "made.json"
PAGE = ROOT / "notebooks" / "getting_started.md"  # where the table stands
ACCURACY = "benchmarks/continuous_bernoulli.py"
# Each figure's drawing: a file of the plots and an entry of `draw_figures`, or a benchmark.
MAIN_JOB = {
    "reconstructions.png": "zoo/plots/_reconstructions.py",
    "samples.png": "zoo/plots/_samples.py",
    "latent_space.png": "zoo/plots/_latent_scatter.py",
    "manifold.png": "zoo/plots/_manifold.py",
}
DRAWN_BY = MAIN_JOB | {"continuous_bernoulli.png": ACCURACY}
# What the main job's pictures show beside the drawing; its settings are compared one by one.
NETWORK = tuple(f"zoo/{name}.py" for name in ("models/_conv_vae", "nn/_halvings", "nn/_networks", "nn/_strided"))
FUNCTIONS = ("zoo/special/_cb_cumulants.py", "zoo/special/_continuous_bernoulli.py")
TABLE = re.compile(r"(?<=and prints\n\n```text\n).*?(?=```\n)", re.DOTALL)
DATE = re.compile(r"jax [\d.]+, \d{4}-\d\d-\d\d, one run")


def code_of(figure: str) -> str:
    """A hash of the code that the figure is made by; comments, docstrings and blank lines do not count."""
    path = DRAWN_BY[figure]
    if figure in MAIN_JOB:
        parts = [code(ROOT / name) for name in (*drawing(path), *NETWORK)] + entries(Path(figure).stem)
    else:
        parts = [functions_behind(ROOT / path, "figure"), *(code(ROOT / name) for name in FUNCTIONS)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def drawing(path: str) -> list[str]:
    """A file of `zoo/plots` and those that it imports there."""
    found, new = [], [path]
    while new:
        found.append(new.pop())
        text = (ROOT / found[-1]).read_text(encoding="utf-8")
        imported = [f"zoo/plots/{name}.py" for name in re.findall(r"^from \.(\w+) import", text, flags=re.MULTILINE)]
        new += [name for name in imported if name not in found + new]
    return sorted(found)


def entries(name: str) -> list[str]:
    """How `zoo plot` calls for the figure, and the constants that say in which style."""
    text = (ROOT / "zoo/cli/_plot.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    assignments = [node for node in ast.walk(tree) if isinstance(node, (ast.Assign, ast.AnnAssign))]
    found = [node for node in assignments if node in tree.body or f"figures['{name}']" in ast.unparse(node)]
    return [ast.get_source_segment(text, node) or "" for node in found]


def code(path: Path) -> str:
    return "\n".join(lines_of(ast.parse(text := path.read_text(encoding="utf-8")), text.splitlines()))


def functions_behind(path: Path, name: str) -> str:
    """The function of that name and those of its file that it leads to."""
    text = path.read_text(encoding="utf-8")
    functions = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    found, new = [], [name]
    while new:
        found.append(new.pop())
        named = {node.id for node in ast.walk(functions[found[-1]]) if isinstance(node, ast.Name)}
        new += sorted((named & functions.keys()) - set(found + new))
    return "\n".join(line for name in sorted(found) for line in lines_of(functions[name], text.splitlines()))


def lines_of(tree: ast.AST, lines: list[str]) -> list[str]:
    """The lines of a module or a function that do something."""
    scopes = (ast.Module, ast.ClassDef, ast.FunctionDef)
    silent = set()
    for node in ast.walk(tree):
        if isinstance(node, scopes) and ast.get_docstring(node) is not None:
            silent |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    first, last = getattr(tree, "lineno", 1), getattr(tree, "end_lineno", len(lines))
    numbered = ((number, lines[number - 1].rstrip()) for number in range(first, last + 1))
    return [line for number, line in numbered if number not in silent and line and not line.lstrip().startswith("#")]


def default_settings() -> dict[str, object]:
    """What `zoo train` does unless told otherwise."""
    settings = dataclasses.asdict(build.resolve(Train()))
    return {name: value for name, value in settings.items() if value is not None}


def picture_of(figure: str) -> str:
    return hashlib.sha256((FIGURES / figure).read_bytes()).hexdigest()


def record(figures: list[str], **more: object) -> None:
    made = json.loads(RECORD.read_text()) if RECORD.exists() else {"figures": {}}
    made["figures"] |= {name: {"code": code_of(name), "picture": picture_of(name)} for name in figures}
    RECORD.write_text(json.dumps(made | more, indent=2, sort_keys=True) + "\n")


def main_job() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        program = "from zoo.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", program, "train", "--out", run], check=True, stdout=subprocess.PIPE, text=True
        )
        for name in MAIN_JOB:
            shutil.copy(run / "figures" / name, FIGURES / name)
    table = done.stdout[done.stdout.index("250 held-out") : done.stdout.index("\n\n")] + "\n"
    record(list(MAIN_JOB), settings=default_settings(), prints=table)
    text = TABLE.sub(lambda _: table, PAGE.read_text(encoding="utf-8"))
    today = f"jax {version('jax')}, {datetime.date.today()}, one run"
    PAGE.write_text(DATE.sub(today, text, count=1), encoding="utf-8")
    print(f"{table}\n{PAGE.name} has this table, and today's date; see that it names the machine")


def accuracy(python: str) -> None:
    figure = "continuous_bernoulli.png"
    subprocess.run([sys.executable, ROOT / ACCURACY, "--figure", FIGURES / figure, "--python", python], check=True)
    record([figure])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accuracy", metavar="PYTHON")
    arguments = parser.parse_args()
    accuracy(arguments.accuracy) if arguments.accuracy else main_job()
