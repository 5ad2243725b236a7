import base64
import html
import struct
from collections.abc import Sequence
from pathlib import Path


class Html(str):
    """Text that is HTML already. Any other text is escaped when it is put into an element."""


def element(tag: str, *children: object, **attributes: object) -> Html:
    """An element. `class_` and `http_equiv` stand for the attributes `class` and `http-equiv`."""
    pairs = ((name.rstrip("_").replace("_", "-"), html.escape(str(value))) for name, value in attributes.items())
    opening = "".join([tag, *(f' {name}="{value}"' for name, value in pairs)])
    if tag in ("meta", "link", "img"):
        return Html(f"<{opening}>")
    inside = "".join(child if isinstance(child, Html) else html.escape(str(child)) for child in children)
    return Html(f"<{opening}>{inside}</{tag}>")


def page(title: str, *body: Html) -> str:
    """A whole document. It is told to load nothing and to run nothing, whatever is in it."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", Html(f"\n{style}")),
    )
    return f"<!DOCTYPE html>\n{element('html', head, element('body', *body), lang='en')}\n"


def section(heading: str, *children: Html) -> Html:
    name = heading.lower().replace(" ", "-")
    return element("section", element("h2", heading, id=name), *children, aria_labelledby=name)


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: bool = False) -> Html:
    """A table whose first column names its rows; with `numbers` the other columns are aligned on the right."""
    columns = [element("th", name, scope="col") for name in head]
    cells = [[element("th", first, scope="row"), *(element("td", cell) for cell in rest)] for first, *rest in rows]
    return element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *columns)),
        element("tbody", *(element("tr", *line) for line in cells)),
        class_="numbers" if numbers else "words",
    )


def listing(pairs: Sequence[tuple[object, object]]) -> Html:
    """A list of terms, each with what it stands for."""
    return element(
        "dl", *(element("div", element("dt", term), element("dd", description)) for term, description in pairs)
    )


def command(line: str) -> Html:
    """What was typed. Where it is too long it breaks between its words and not at their hyphens."""
    words = [child for word in line.split(" ") for child in (" ", element("span", word))]
    return element("pre", element("code", *words[1:]))


def picture(png: bytes, *, caption: str, alt: str) -> Html:
    """A PNG inside the page.

    **Raises:** `ValueError` where it is no whole PNG.
    """
    if png[:8] != b"\x89PNG\r\n\x1a\n" or png[12:16] != b"IHDR" or png[-8:-4] != b"IEND":
        raise ValueError("no whole PNG")
    width, height = struct.unpack(">II", png[16:24])
    source = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    return element(
        "figure",
        element("img", src=source, alt=alt, width=width, height=height),
        element("figcaption", caption),
    )
