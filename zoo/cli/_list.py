import inspect

from . import _names as names
from ._arguments import List


def list_names(arguments: List) -> None:
    """Prints each kind's names with the first sentence of what they stand for."""
    for kind in arguments.kind:
        names.check("kind", kind, names.KINDS)
    for kind in arguments.kind or names.KINDS:
        print(kind)
        for name in names.KINDS[kind]:
            print(f"  {name:<28}{_first_sentence(names.look_up(kind, name, names.KINDS[kind]))}")


def _first_sentence(value) -> str:
    text = inspect.getdoc(value) or ""
    return text.split("\n\n")[0].replace("\n", " ")
