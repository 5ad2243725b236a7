"""The house keeps its plan: which room may know which, what is abstract, how large files are."""

import ast
import inspect
from pathlib import Path

import equinox as eqx
import pytest

import zoo


ROOT = Path(zoo.__file__).parent
# Each room, and the rooms it may import from. `_draws`, `_custom_types` and `_checks` are open to all.
MAY_KNOW = {
    "special": set(),
    "data": set(),
    "files": set(),
    "nn": set(),
    "likelihoods": {"special"},
    "flows": {"nn"},
    "priors": {"special", "nn", "flows"},
    "posteriors": {"priors", "special", "nn", "flows"},
    "objectives": set(),
    "estimators": set(),
    "penalties": set(),
    "models": {"posteriors", "priors", "nn", "likelihoods"},
    "evaluate": {"models", "data", "nn", "objectives", "priors", "posteriors"},
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
    "plots": {"models", "evaluate", "data", "priors", "posteriors"},
}


def modules():
    return [path for path in ROOT.rglob("*.py") if path.parent != ROOT and path.parent.name != "cli"]


def imported_rooms(path: Path):
    """The rooms that a file imports from: `from ..room import`, `from .. import room`, `from zoo import`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.level == 2 or (node.module or "").split(".")[0] == "zoo"):
            module = (node.module or "").removeprefix("zoo").lstrip(".").split(".")[0]
            yield from [module] if module else [alias.name for alias in node.names]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_run_one_way(path):
    room = path.relative_to(ROOT).parts[0]
    open_to_all = {"_draws", "_custom_types", "_checks"}
    assert set(imported_rooms(path)) - open_to_all <= MAY_KNOW[room]


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
