"""Makes the API pages from the docstrings: `python .ci/api.py FOLDER`, with the extra `docs`."""

import inspect
import pathlib
import re
import sys
from collections.abc import Iterator

import jaxtyping
import pdoc.doc
import pdoc.render

import zoo


def main(folder: pathlib.Path) -> None:
    pdoc.render.configure(docformat="markdown", math=True, show_source=False, footer_text=f"zoo {zoo.__version__}")
    pages = documented()
    files = {f"{name.replace('.', '/')}.html": pdoc.render.html_module(page, pages) for name, page in pages.items()}
    files |= {"index.html": pdoc.render.html_index(pages), "search.js": pdoc.render.search_index(pages)}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    print(f"{sum(len(page.own_members) for page in pages.values())} names on {len(pages)} pages in {folder}/")


def documented() -> dict[str, pdoc.doc.Module]:
    """One page for what is in the package itself, and one for each room."""
    modules = {"zoo": zoo}
    for room in (getattr(zoo, name) for name in zoo.__all__):
        if inspect.ismodule(room):
            # Without `__all__` pdoc shows no name that a room's `__init__.py` takes out of its files.
            room.__all__ = [n for n, value in vars(room).items() if n[0] != "_" and not inspect.ismodule(value)]
            modules[room.__name__] = room
    pages = {name: pdoc.doc.Module(module) for name, module in modules.items()}
    for member in (member for page in pages.values() for member in members(page)):
        member.docstring = as_markdown(docstring(member))
        if isinstance(member, pdoc.doc.Function):
            member.signature = with_short_types(member.signature)
        elif isinstance(member, pdoc.doc.Variable) and member.annotation is not pdoc.doc.empty:
            member.annotation = Short(member.annotation)
    return pages


def members(page: pdoc.doc.Namespace) -> Iterator[pdoc.doc.Doc]:
    for member in page.own_members:
        yield member
        if isinstance(member, pdoc.doc.Class):
            yield from members(member)


def docstring(member: pdoc.doc.Doc) -> str:
    """A likelihood's is that of its `log_prob`, a toy density's that of its class; NamedTuple's own say nothing."""
    value = getattr(member, "default_value", None)
    if hasattr(value, "log_density"):
        return inspect.getdoc(type(value)) or ""
    if hasattr(value, "log_prob"):
        return inspect.getdoc(value.log_prob) or ""
    return re.sub(r"\A(Alias for field number|Create new instance of) .*\Z", "", member.docstring)


def as_markdown(text: str) -> str:
    """Formulas are kept from being read as Markdown."""
    return re.sub(r"\$\$.+?\$\$|\$[^$]+\$", escaped, text, flags=re.DOTALL)


def escaped(formula: re.Match) -> str:
    on_one_line = re.sub(r"\s*\n\s*", " ", formula[0])
    return re.sub(r"([\\*_{}\[\]])", r"\\\1", on_one_line)


class Short:
    """A type annotation as it stands in the source: `Float[Array, 'k']`, `PRNGKeyArray`."""

    def __init__(self, annotation: object):
        text = inspect.formatannotation(annotation)
        text = text.replace(inspect.formatannotation(jaxtyping.PRNGKeyArray), "PRNGKeyArray")
        self.text = re.sub(r"\b(jaxtyping|jax\.jaxlib\._jax|jaxlib\._jax|typing|collections\.abc)\.", "", text)

    def __repr__(self) -> str:
        return self.text


def with_short_types(signature: inspect.Signature) -> inspect.Signature:
    empty = inspect.Parameter.empty
    short = lambda annotation: empty if annotation is empty else Short(annotation)
    parameters = [each.replace(annotation=short(each.annotation)) for each in signature.parameters.values()]
    return signature.replace(parameters=parameters, return_annotation=short(signature.return_annotation))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
