from typing import Any

from ._manifest import join


def difference(saved: Any, wanted: Any, path: tuple = (), static: bool = False) -> str | None:
    """Find the first place where two descriptions are not of one structure, naming both sides; or `None`.

    Arrays are compared by shape and dtype, numbers by type: these are what training changes. In static
    fields numbers are compared by value.
    """
    below = lambda name, a, b, static: difference(a, b, (path, name), static)
    differs = f"at {join(path)} the file has {show(saved)}, `like` has {show(wanted)}"
    if not static and _number(saved) is not None and _number(saved) is _number(wanted):
        return None
    if not isinstance(saved, dict) or not isinstance(wanted, dict):
        return None if type(saved) is type(wanted) and saved == wanted else differs
    if "array" in saved and "array" in wanted:
        return None if _array(saved) == _array(wanted) else differs
    if list(saved) != list(wanted):
        return differs
    for form, children in saved.items():
        others = wanted[form]
        if form in ("tuple", "list", "arguments"):
            if len(children) != len(others):
                return differs
            for i, (a, b) in enumerate(zip(children, others)):
                if found := below(str(i), a, b, static):
                    return found
        elif form == "dict":  # JAX does not mind the order of a dict
            mapped = {repr(key): child for key, child in others}
            if len(children) != len(others) or any(repr(key) not in mapped for key, _ in children):
                return differs
            for key, child in children:
                if found := below(str(key), child, mapped[repr(key)], static):
                    return found
        elif form in ("fields", "keywords"):
            if list(children) != list(others):
                return differs
            for name, child in children.items():
                inside = static or name in saved.get("static", ())
                if found := below(name, child, others[name], inside):
                    return found
        elif form in ("function", "of"):
            if found := below(form, children, others, static):
                return found
        elif children != others:
            return differs
    return None


def show(node: Any) -> str:
    """Write a description in a few words."""
    if not isinstance(node, dict):
        return f"{node!r:.80}"
    match node:
        case {"array": _}:
            kind = f"a key of {node['implementation']}, " if node["kind"] == "key" else ""
            return f"{kind}{node['dtype']}{node['shape']}"
        case {"tuple": children} | {"list": children}:
            return f"a {next(iter(node))} of {len(children)}"
        case {"dict": pairs}:
            return f"a dict of {str([key for key, _ in pairs])[:200]}"
        case {"module": name, "fields": fields} | {"namedtuple": name, "fields": fields}:
            return f"{name} of {str(list(fields))[:200]}"
        case {"name": name} | {"partial": name} | {"method": name} | {"dtype": name} | {"float": name}:
            return str(name)
    return str(node)[:80]


def _array(node: dict[str, Any]) -> tuple:
    return node["dtype"], node["shape"], node.get("implementation")


def _number(node: Any) -> type | None:
    """The type of a number; infinity and NaN are described by a dict."""
    if isinstance(node, dict):
        return float if set(node) == {"float"} else None
    return type(node) if isinstance(node, int | float) else None
