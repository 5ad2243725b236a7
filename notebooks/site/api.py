"""The API pages: for each room of the zoo one page of Markdown, made of signatures and docstrings."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import zoo


FENCE = "`" * 7


def rooms() -> dict[str, ModuleType]:
    return {name: getattr(zoo, name) for name in zoo.__all__ if inspect.ismodule(getattr(zoo, name))}


def public_names() -> dict[str, dict[str, Any]]:
    """The objects that each page is about, by the shortest name that a user can write.

    What a room shares with the package itself, as `zoo.fit`, stands on the room's page by that name.
    """
    on_top = {name: getattr(zoo, name) for name in zoo.__all__}
    pages, seen = {}, set()
    for room, module in rooms().items():
        page = pages[room] = {}
        for name, value in vars(module).items():
            if name.startswith("_") or inspect.ismodule(value):
                continue
            page[f"zoo.{name}" if on_top.get(name) is value else f"zoo.{room}.{name}"] = value
            seen.add(name)
    rest = on_top.keys() - seen - rooms().keys() - {"__version__"}
    return pages | {"zoo": {f"zoo.{name}": on_top[name] for name in sorted(rest)}}


PAGES = public_names()
# Every way to write a documented name, and the name that it is documented by.
KNOWN = {name: name for page in PAGES.values() for name in page}
KNOWN |= {f"zoo.{room}.{name.rpartition('.')[2]}": name for room in rooms() for name in PAGES[room]}


def write_pages(folder: Path) -> None:
    folder.mkdir()
    for room in sorted(rooms()):
        text = f"# zoo.{room}\n\n{linked(inspect.getdoc(rooms()[room]) or '', room)}\n\n"
        text += f"{FENCE}{{py:module}} zoo.{room}\n{FENCE}\n\n"
        text += "\n".join(entry(name, value, room) for name, value in PAGES[room].items())
        (folder / f"{room}.md").write_text(text, encoding="utf-8")
    (folder / "index.md").write_text(index(), encoding="utf-8")


def index() -> str:
    """The page of the package itself: what it exports, a line for each name, and the rooms."""
    parts = ["# The API\n", linked(inspect.getdoc(zoo) or "", "zoo"), "\n## Rooms\n\n| room | holds |\n|---|---|"]
    parts += [f"| [`zoo.{room}`]({room}.md) | {first_line(module)} |" for room, module in sorted(rooms().items())]
    parts += ["\n## Names of the package itself\n\n| name | is |\n|---|---|"]
    values = {name: value for page in PAGES.values() for name, value in page.items() if name.count(".") == 1}
    parts += [f"| {{py:obj}}`{name}` | {first_line(value)} |" for name, value in sorted(values.items())]
    parts += [f"\n{FENCE}{{toctree}}\n:hidden:\n\n" + "\n".join(sorted(rooms())) + f"\n{FENCE}\n"]
    parts += ["\n## The record\n", *(entry(name, value, "zoo") for name, value in PAGES["zoo"].items())]
    return "\n".join(parts)


def first_line(value: object) -> str:
    text = (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ")
    return re.sub(r"(?<!\\)\|", r"\\|", text.split(". ")[0].rstrip(".:"))


def entry(name: str, value: Any, room: str) -> str:
    """One name: its signature, its docstring and, of a class, its methods."""
    module, _, short = name.rpartition(".")
    if inspect.isclass(value):
        body = "\n\n".join([linked(class_docstring(value), room), *methods(value, room)])
        return block("class", f"{short}({class_arguments(value)})", body, module)
    if inspect.isfunction(inspect.unwrap(value)) and not hasattr(value, "log_density"):
        return block("function", f"{short}{signature(value)}", linked(inspect.getdoc(value) or "", room), module)
    return block("data", short, linked(value_docstring(value), room), module)


def block(kind: str, head: str, body: str, module: str | None = None) -> str:
    fence, option = (FENCE, f":module: {module}\n") if module else (FENCE[2:], "")
    return f"{fence}{{py:{kind}}} {' '.join(head.split())}\n{option}\n{body.strip()}\n{fence}\n"


def class_docstring(kind: type) -> str:
    own = vars(kind).get("__doc__") or ""
    constructor = vars(kind).get("__init__")
    parts = [inspect.cleandoc(own)] if own and not own.startswith(f"{kind.__name__}(") else []
    return "\n\n".join(parts + [inspect.getdoc(constructor) or ""] * written(constructor))


def value_docstring(value: Any) -> str:
    """A likelihood says what it is in its `log_prob`, a toy density in its class."""
    if hasattr(value, "log_density"):
        return inspect.getdoc(type(value)) or ""
    if hasattr(value, "log_prob"):
        return inspect.getdoc(value.log_prob) or ""
    return f"`{value!r}`"


def methods(kind: type, room: str) -> Iterator[str]:
    """The methods that a class has itself; one without a docstring does what its abstract class says of it."""
    for name, value in vars(kind).items():
        getter = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if name.startswith("_") or not written(getter):
            continue
        text = linked(inspect.cleandoc(getter.__doc__ or ""), room)
        if isinstance(value, property):
            yield block("property", name, text)
        else:
            yield block("method", f"{name}{signature(getter)}", text)


def written(value: object) -> bool:
    """Whether this is a function of the zoo's; those that dataclasses and protocols are given are not."""
    function = inspect.unwrap(value)
    return inspect.isfunction(function) and Path(zoo.__file__).parent in Path(function.__code__.co_filename).parents


def definition(value: Callable | type) -> Any:
    return ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(value)))).body[0]


def signature(function: Callable) -> str:
    """Arguments and result with their types, as they stand in the source."""
    node = definition(function)
    for arguments in (node.args.posonlyargs, node.args.args):
        if arguments and arguments[0].arg in ("self", "cls"):
            del arguments[0]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({ast.unparse(node.args)}){returns}"


def class_arguments(kind: type) -> str:
    """Those of the constructor, or the fields of a class that has none of its own."""
    if written(vars(kind).get("__init__")):
        node = definition(vars(kind)["__init__"])
        del node.args.args[0]
        return ast.unparse(node.args)
    fields = {}
    for base in reversed(kind.__mro__[:-1]):
        if base.__module__.startswith("zoo"):
            statements = [node for node in definition(base).body if isinstance(node, ast.AnnAssign)]
            fields |= {node.target.id: node for node in statements if isinstance(node.target, ast.Name)}
    taken = inspect.signature(kind).parameters if fields else {}
    return ", ".join(field(node) for name, node in fields.items() if name in taken)


def field(node: Any) -> str:
    text, value = f"{node.target.id}: {ast.unparse(node.annotation)}", node.value
    if isinstance(value, ast.Call):  # `eqx.field(static=True, default=...)`
        value = next((each.value for each in value.keywords if each.arg == "default"), None)
    return text if value is None else f"{text} = {ast.unparse(value)}"


def linked(text: str, room: str) -> str:
    """Markdown in which each documented name in backticks is a link to what is said of it.

    A formula is put on one line: one that begins with a plus or an equals sign would be a list or a heading.
    """
    text = re.sub(r"\$\$.+?\$\$|\$[^$]+\$", lambda found: " ".join(found[0].split()), text, flags=re.DOTALL)
    parts = re.split(r"(^```.*?^```|^ {4}[^\n]*$)", text, flags=re.DOTALL | re.MULTILINE)  # every second is code
    name = re.compile(r"(?<!`)`([A-Za-z_][\w.]*)`(?!`)")
    parts[::2] = [name.sub(lambda found: link(found, room), part) for part in parts[::2]]
    return "".join(parts)


def link(found: re.Match, room: str) -> str:
    """A dotted name, or the name of a class; a word in small letters is an argument more often than a function."""
    word = found[1]
    tries = [word, f"zoo.{word}"] if "." in word else [f"zoo.{word}", f"zoo.{room}.{word}"] * word[0].isupper()
    for name in tries:
        if name in KNOWN:
            return f"{{py:obj}}`{word} <{KNOWN[name]}>`"
    return found[0]


def linked_rows(text: str) -> str:
    """Links also the names in the first column of each table whose head is a room, as "| `zoo.priors` | what |"."""
    table = re.compile(r"^\| `zoo\.(\w+)` \|[^\n]*\n\|[-| ]+\n(?:\|[^\n]*\n)+", re.MULTILINE)
    return table.sub(lambda found: "\n".join(linked_row(row, found[1]) for row in found[0].splitlines()) + "\n", text)


def linked_row(row: str, room: str) -> str:
    def link_name(found: re.Match) -> str:
        name = KNOWN.get(f"zoo.{room}.{found[2]}")
        return f"{{py:obj}}`{found[1]} <{name}>`" if name else found[0]

    _, first, rest = row.split("|", 2)
    first = re.sub(r"`((\w+)[^`]*)`", link_name, first)
    return f"|{first}|{rest}"
