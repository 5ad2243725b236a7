import functools
import importlib
import inspect
import re
import reprlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp


# Values out of a file may be as large as it is: for messages they are cut while they are printed.
brief = reprlib.repr

ROOTS = ("zoo", "equinox", "jax", "optax")

# A function named in a file runs when the model does, so only places that compute and never touch the
# disk, a process or the network may be named: `zoo.save`, bound to a path of somebody's choosing, may not.
_FUNCTIONS = (
    *("jax.nn", "jax.numpy", "jax.lax", "jax.scipy", "jax.random", "equinox.nn"),
    *("zoo.special", "zoo.likelihoods", "zoo.posteriors", "zoo.priors", "zoo.nn", "zoo.models"),
    *("zoo.objectives", "zoo.penalties", "zoo.estimators"),
)
_TOUCHES_FILES = ("jax.numpy:load", "jax.numpy:fromfile")
_NAME = re.compile(
    r"(?P<module>[A-Za-z]\w*(\.(?!__)[A-Za-z_]\w*)*)"
    r":(?P<path>(?!__)[A-Za-z_]\w*(\.(?!__)[A-Za-z_]\w*)*)"
    r"(\((?P<parameter>\w+)\))?",
    re.ASCII,
)


class SaveError(ValueError):
    """A tree that cannot be saved, or a file that is damaged, hostile or not what was asked for."""


def reference(value: Any, owner: type | None = None, field: str = "") -> str:
    """Find the name under which `resolve` finds `value`: `module:attribute`, a public one where there is one.

    The default of `owner`'s constructor for `field` has the name `module:owner(field)`: such defaults are
    often lambdas, or private.
    """
    name = _public(value)
    if name is None and owner is not None and _default(owner, field) is value:
        name = f"{reference(owner)}({field})"
    if name is None:
        name = _private(value)
    if name is None:
        described = getattr(value, "__qualname__", None) or repr(value)[:80]
        raise SaveError(
            f"{described} of {getattr(value, '__module__', None)} cannot be found again by its name: lambdas "
            "and functions made inside functions have none; define it at the top of a module and bind its "
            "settings with functools.partial"
        )
    module = _parse(name)[0]
    if module.partition(".")[0] in ROOTS and not _harmless(value, module, name):
        raise SaveError(f"{name} is neither a Module, a NamedTuple nor a function known to be pure, as `load` demands")
    return name


def constant(value: Any) -> str | None:
    """Find the public name under `zoo` of what equals `value` and has no leaves, as `zoo.likelihoods.bernoulli`."""
    if jax.tree.leaves(value):
        return None
    for module in _public_modules(type(value).__module__.partition(".")[0]):
        if _within(module.__name__, _FUNCTIONS):
            for name, other in vars(module).items():
                if not name.startswith("_") and same(value, other):
                    return f"{module.__name__}:{name}"
    return None


def same(a: Any, b: Any) -> bool:
    """Return whether two values without arrays are the same, functions by identity."""
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, eqx.Module):
        return jax.tree.structure(a) == jax.tree.structure(b)
    return a is b or (isinstance(a, bool | int | float | str) and a == b)


class Trust(NamedTuple):
    """What a file may name besides `ROOTS`: objects by their names, and whole modules."""

    objects: Mapping[str, Any]
    places: Sequence[str]


def collect_trust(trust: Sequence[Any], named: Iterable[str] = ()) -> Trust:
    """Collect the classes, functions and modules (or names of modules) in `trust`, and what `named` stands for.

    `named` are names that a tree in the caller's hands led to: their modules are imported already.
    """
    objects = {name: _look_up(*_parse(name)) for name in named}
    objects |= {reference(item): item for item in trust if not isinstance(item, str | ModuleType)}
    places = [item if isinstance(item, str) else item.__name__ for item in trust if _is_place(item)]
    return Trust(objects, places)


def resolve(name: Any, trust: Trust) -> Any:
    """Look up what `name` stands for: a class or a pure function. Nothing is called; no attribute code is run.

    Only names in `ROOTS`, and what `trust` has, are looked up.
    """
    module, path, parameter = _parse(name)
    if name in trust.objects:
        return trust.objects[name]
    _import(module, trust)
    value = _look_up(module, path, parameter)
    if not _within(_home(value), trust.places) and not _harmless(value, module, name):
        raise SaveError(f"{name} is neither a Module, a NamedTuple nor a function known to be pure")
    return value


def _parse(name: Any) -> tuple[str, str, str | None]:
    match = _NAME.fullmatch(name) if isinstance(name, str) and len(name) < 1000 else None
    if match is None:
        raise SaveError(f"{brief(name)} is not a name of the form module:attribute")
    return match["module"], match["path"], match["parameter"]


def _look_up(module: str, path: str, parameter: str | None) -> Any:
    value: Any = sys.modules[module]
    for part in path.split("."):
        if not isinstance(value, type) and value is not sys.modules[module]:
            raise SaveError(f"{module}:{path} goes through something that is not a class")
        if part not in vars(value):
            raise SaveError(f"there is no {module}:{path} in what is installed here")
        value = vars(value)[part]
    if parameter is not None:
        value = _default(value, parameter) if isinstance(value, type) else None
    return value


def is_namedtuple_class(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields")


def _harmless(value: Any, module: str, name: str) -> bool:
    own = _home(value)
    if isinstance(value, ModuleType) or own.partition(".")[0] not in ROOTS:
        return False
    if isinstance(value, type):
        # `jnp.float32` and its kin are classes with a metaclass of their own.
        known = isinstance(value, type(jnp.float32)) or is_namedtuple_class(value)
        return known or issubclass(value, eqx.Module)
    place = module if module.startswith("jax.") else own
    if isinstance(value, eqx.Module):
        usable = not jax.tree.leaves(value)  # a constant, such as `zoo.likelihoods.bernoulli`
    else:
        usable = callable(value) or is_namedtuple_class(type(value))
    return usable and _within(place, _FUNCTIONS) and name not in _TOUCHES_FILES


def _home(value: Any) -> str:
    """The module that defines `value`; for a NamedTuple, its class."""
    home = getattr(value, "__module__", None)
    return home if isinstance(home, str) else ""


def _import(name: str, trust: Trust) -> None:
    root = name.partition(".")[0]
    trusted = _within(name, trust.places)
    if root not in ROOTS and not trusted:
        raise SaveError(
            f"{name} is not in {', '.join(ROOTS)}: if you trust this file, pass `trust=(...)` with the "
            f"class, the function or the module (here {root!r})"
        )
    # To import runs code. Modules of zoo only define; others are used where the program has them already.
    if name not in sys.modules:
        if not (root == "zoo" or name in ROOTS or trusted):
            raise SaveError(f"the module {name} is not imported: import it before `load`")
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise SaveError(f"there is no module {name} in what is installed here") from error


def _is_place(item: Any) -> bool:
    return isinstance(item, str | ModuleType)


def _within(module: str, places: Sequence[str]) -> bool:
    return any(module == place or module.startswith(place + ".") for place in places)


def _default(owner: type, parameter: str) -> Any:
    try:
        found = inspect.signature(owner.__init__).parameters.get(parameter)
    except (TypeError, ValueError):
        return None
    return None if found is None or found.default is inspect.Parameter.empty else found.default


def _public(value: Any) -> str | None:
    name = getattr(value, "__name__", None)
    for module in _public_modules(_home(value).partition(".")[0]):
        if isinstance(name, str) and name.isidentifier() and vars(module).get(name) is value:
            return f"{module.__name__}:{name}"
    return None


def _private(value: Any) -> str | None:
    module = sys.modules.get(_home(value))
    if module is None:
        return None
    found: Any = module
    for part in getattr(value, "__qualname__", "").split("."):
        found = vars(found).get(part) if found is module or isinstance(found, type) else None
    if found is value:
        return f"{module.__name__}:{value.__qualname__}"
    for name, other in vars(module).items():
        if other is value:
            return f"{module.__name__}:{name}"
    return None


def _public_modules(root: str) -> list[ModuleType]:
    """List the imported public modules under `root`, the shortest names first."""
    return _list_public_modules(root, len(sys.modules)) if root in ROOTS else []


@functools.lru_cache(maxsize=16)
def _list_public_modules(root: str, count: int) -> list[ModuleType]:
    del count  # the list is made anew when something was imported
    # Not the face of zoo: it fetches names when first asked for, so what it holds changes.
    names = [name for name in sys.modules if _within(name, [root]) and "._" not in name and name != "zoo"]
    if root == "jax":
        names = [name for name in names if _within(name, _FUNCTIONS)]
    names.sort(key=lambda name: (name.count("."), name))
    return [sys.modules[name] for name in names if isinstance(sys.modules[name], ModuleType)]
