import base64
import html
import struct
from collections.abc import Sequence


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
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", Html(STYLE)),
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


STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1c2126; --faint: #59636e; --line: #d5dbe1; --panel: #f4f6f8 }
@media (prefers-color-scheme: dark) {
  :root { --page: #14181c; --ink: #e4e8ec; --faint: #9aa5b1; --line: #323a43; --panel: #1d2329 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif;
  overflow-wrap: anywhere; -webkit-text-size-adjust: 100% }
header, main, footer { max-width: 76rem; margin: 0 auto; padding: 0 1rem }
header { padding-top: 1.5rem }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.25 }
h2 { margin: 2.5rem 0 .75rem; padding-bottom: .25rem; font-size: 1.2rem; border-bottom: 1px solid var(--line) }
h3 { margin: 1.25rem 0 .25rem; font-size: 1rem }
p { margin: .25rem 0 }
footer { padding-top: 2.5rem; padding-bottom: 2rem }
header p, footer p, caption, figcaption { color: var(--faint); font-size: .9rem }
caption { text-align: left; padding-bottom: .5rem }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top; border-top: 1px solid var(--line) }
thead th { border-top: 0; vertical-align: bottom; color: var(--faint); font-weight: normal }
tbody th { font-weight: 600 }
.numbers td, .numbers th + th { padding: .25rem 0 .25rem .75rem; text-align: right }
.numbers td { white-space: nowrap }
.numbers { width: min(100%, 44rem) }
dl { margin: 0; columns: 20rem; column-gap: 3rem; font-size: .9rem }
dl div { display: grid; grid-template-columns: 12rem 1fr; padding: .25rem 0; border-top: 1px solid var(--line);
  break-inside: avoid }
dt { font-weight: 600 }
dd { margin: 0 }
.figures { columns: 30rem; column-gap: 3rem }
figure { margin: 0 0 2rem; break-inside: avoid }
img { display: block; max-width: 100%; height: auto; padding: .5rem; background: #fff; border: 1px solid var(--line);
  border-radius: .25rem }
figcaption { padding-top: .5rem; max-width: 40rem }
pre { margin: 0; padding: .75rem; background: var(--panel); border-radius: .25rem; white-space: pre-wrap;
  font: .875rem/1.5 ui-monospace, monospace }
pre span { display: inline-block; max-width: 100% }
@media (max-width: 40rem) {
  img { padding: 0; margin: 0 -1rem; max-width: 100vw; border-width: 1px 0; border-radius: 0 }
  .numbers { font-size: .8rem }
  .numbers td, .numbers th + th { padding-left: .4rem }
  dl div { grid-template-columns: 11rem 1fr }
}
@media print { h2 { break-after: avoid } figure, tr { break-inside: avoid } }
"""
