"""The house keeps its plan: which room may know which, what is abstract, how large files are."""

import ast
import inspect
from pathlib import Path

import equinox as eqx
import pytest

import zoo


ROOT = Path(zoo.__file__).parent
# What lies beside the rooms and is open to all.
OPEN = {"_draws", "_custom_types", "_checks", "_constants", "spaces"}
# Each room, and the rooms it may import from; a room also knows the rooms inside it.
MAY_KNOW = {
    "special": set(),
    "data": {"likelihoods"},
    "files": set(),
    "nn": set(),
    "nn.convolution": set(),
    "likelihoods": {"special"},
    "flows": {"nn"},
    "priors": {"special", "nn", "flows"},
    "posteriors": {"priors", "special", "nn", "flows"},
    "objectives": set(),
    "estimators": set(),
    "penalties": set(),
    "models": {"posteriors", "priors", "nn", "likelihoods"},
    "evaluate": {"models", "data", "nn", "objectives", "priors", "posteriors", "likelihoods"},
    "protocols": {"data"},
    "train": {
        "models",
        "priors",
        "posteriors",
        "evaluate",
        "data",
        "files",
        "objectives",
        "estimators",
        "penalties",
        "nn",
        "likelihoods",
    },
    "pages": set(),
    "measures": {"evaluate", "data", "models", "objectives", "likelihoods"},
    "plots": {"models", "evaluate", "data", "priors", "posteriors"},
}
MAY_KNOW["cli"] = {*MAY_KNOW, ""}
FILES = [path for path in ROOT.rglob("*.py") if path.parent != ROOT]


def room_of(path: Path) -> str:
    return ".".join(path.parent.relative_to(ROOT).parts)


def is_room(*parts: str) -> bool:
    return (ROOT / Path(*parts) / "__init__.py").exists()


def names_used(room: str, source: str) -> list[str]:
    """The names of the package that a file in `room` imports or reaches as `room.name`: "zoo.models._vae.draw_keys"."""
    used, rooms = [], {}
    nodes = list(ast.walk(ast.parse(source)))
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            inside = ["zoo", *room.split(".")]
            base = inside[: len(inside) + 1 - node.level] if node.level else []
            base = ".".join(base + ([node.module] if node.module else []))
            imports = [(alias.asname or alias.name, f"{base}.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.Import):
            imports = [(alias.asname or alias.name.split(".")[0], alias.name) for alias in node.names]
        else:
            continue
        used += [name for _, name in imports]
        rooms |= {local: name for local, name in imports if name == "zoo" or is_room(*name.split(".")[1:])}
    for node in nodes:
        if isinstance(node, ast.Attribute):
            first, *rest = ast.unparse(node).split(".")
            if first in rooms:
                used.append(".".join([rooms[first], *rest]))
    return [name for name in used if name.split(".")[0] == "zoo"]


def violations(room: str, source: str) -> list[str]:
    """The names that a file in `room` must not use: those of a room it may not know, and private ones of another."""
    bad = []
    for name in names_used(room, source):
        parts = name.split(".")[1:]
        depth = 0
        while depth < len(parts) and is_room(*parts[: depth + 1]):
            depth += 1
        home, rest = ".".join(parts[:depth]), parts[depth:]
        if home == "" and rest[:1] and rest[0] in OPEN:
            continue
        is_known = home in {room, *MAY_KNOW[room]} or home.rpartition(".")[0] == room
        is_private = any(part.startswith("_") and not part.startswith("__") for part in rest)
        if not is_known or (is_private and home != room):
            bad.append(name)
    return bad


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_run_one_way_and_doors_are_used(path):
    assert violations(room_of(path), path.read_text()) == []


@pytest.mark.parametrize(
    "room, source",
    [
        ("evaluate", "from ..train import fit"),
        ("evaluate", "from .. import train"),
        ("evaluate", "from zoo.train import fit"),
        ("evaluate", "import zoo.train"),
        ("evaluate", "import zoo"),
        ("evaluate", "from zoo import Draws"),
        ("evaluate", "from ..models._vae import draw_keys"),
        ("evaluate", "from ..models import _vae"),
        ("evaluate", "from .. import models\nmodels._vae.draw_keys(key)"),
        ("evaluate", "def f():\n    from ..models._vae import draw_keys"),
        ("evaluate", "from ..nn.convolution import conv"),
        ("evaluate", "from ..nn.convolution._conv import conv"),
        ("evaluate", "from .._names import x"),
        ("train", "import zoo.models._vae as vae"),
        ("train", "from ..cli import main"),
        ("models", "from ..likelihoods import bernoulli, _split"),
        ("nn", "from .convolution._conv import conv"),
        ("nn.convolution", "from .. import Conv"),
        ("nn.convolution", "from .._layers import Conv"),
        ("nn.convolution", "from ...models import MLPVAE"),
        ("nn.convolution", "from ...models._vae import AbstractVAE"),
        ("cli", "from ..train._blocks import order"),
        ("cli", "import zoo\nzoo.train._blocks.order"),
        ("cli", "from zoo.files import _file"),
    ],
)
def test_what_breaks_the_plan_is_seen(room, source):
    assert violations(room, source)


@pytest.mark.parametrize(
    "room, source",
    [
        ("nn", "from .convolution import conv"),
        ("nn", "from ._layers import Conv"),
        ("nn.convolution", "from ._stack import conv_stack\nfrom ..._custom_types import Scalar"),
        ("train", "from .. import data\nfrom .._draws import Draws\ndata.scale(x)"),
        ("cli", "from . import _build as build\nimport zoo\nzoo.files.save"),
    ],
)
def test_what_keeps_the_plan_is_let_through(room, source):
    assert not violations(room, source)


def classes():
    for name in zoo.__all__:
        room = getattr(zoo, name)
        if inspect.ismodule(room):
            yield from (kind for _, kind in inspect.getmembers(room, inspect.isclass) if issubclass(kind, eqx.Module))


def test_classes_are_abstract_or_final():
    """Nothing inherits from what can be instantiated, and abstract classes say so in their names."""
    for kind in classes():
        for base in kind.__mro__[1:]:
            if issubclass(base, eqx.Module) and base is not eqx.Module and base.__module__.startswith("zoo"):
                assert base.__name__.lstrip("_").startswith("Abstract"), (kind, base)


def test_methods_are_implemented_once():
    for kind in classes():
        for name, method in vars(kind).items():
            if name.startswith("__") or not callable(method):
                continue
            for base in kind.__mro__[1:]:
                inherited = vars(base).get(name)
                abstract = getattr(inherited, "__isabstractmethod__", False)
                assert inherited is None or abstract, f"{kind.__name__}.{name} overrides {base.__name__}.{name}"


def test_files_are_short():
    sizes = {path: len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}
    assert max(sizes.values()) <= 400


def test_every_public_name_resolves_and_is_documented():
    for name in zoo.__all__:
        value = getattr(zoo, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert inspect.getdoc(value), name
    with pytest.raises(AttributeError, match="no_such_name"):
        zoo.no_such_name


def test_the_face_reads_its_stub_as_python_does():
    imports = [node for node in ast.parse((ROOT / "__init__.pyi").read_text()).body if isinstance(node, ast.ImportFrom)]
    names = [alias.name for node in imports for alias in node.names]
    assert zoo.__all__ == ["__version__", *names] and len(set(names)) == len(names)
    assert dir(zoo) == sorted(zoo.__all__)


def test_no_field_checks_are_switched_off():
    for path in ROOT.rglob("*.py"):
        assert "from __future__ import annotations" not in path.read_text(), path
