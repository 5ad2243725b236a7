"""Variational autoencoders for JAX and Equinox, in small pieces that all combine.

A model draws, an objective judges the draws, a likelihood scores one datum.
"""

from importlib import import_module


def _read_homes() -> dict[str, str]:
    """Read in the stub `__init__.pyi` which module each public name is imported from: `.` for a room itself."""
    homes, home = {}, ""
    with open(f"{__file__}i", encoding="utf-8") as stub:
        for line in stub:
            words = line.replace(",", " ").split()
            if words[:1] == ["from"]:
                home = words[1]
            homes |= {name: home for word, name in zip(words, words[1:]) if word == "as"}
    return homes


# Names are fetched when first asked for, and the stub is read without `ast`: `zoo --help` must not wait.
_HOMES = _read_homes()
__version__ = "0.1.0"
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    home = _HOMES[name]
    value = import_module(f".{name}", __name__) if home == "." else getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
