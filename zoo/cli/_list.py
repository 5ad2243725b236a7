from . import _names as names
from ._arguments import List


def run_list(arguments: List) -> None:
    """Prints each kind's names with a line about each."""
    for kind in arguments.kind:
        names.check("kind", kind, names.LISTED)
    for kind in arguments.kind or names.LISTED:
        print(kind)
        for name, entry in names.LISTED[kind].items():
            print(f"  {name:<30}{entry.about}")
