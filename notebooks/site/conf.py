"""What Sphinx needs to know; `build.py` calls it."""

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging

import zoo


project = "zoo"
copyright = "The zoo authors, MIT licence"
release = zoo.__version__
html_title = f"zoo {release}"

extensions = ["myst_nb"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the notebooks are committed with what they printed and drew
suppress_warnings = ["mystnb.unknown_mime_type"]

html_theme = "furo"
html_static_path = ["style.css"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"
python_maximum_signature_line_length = 80
add_module_names = True
modindex_common_prefix = ["zoo."]

FORMULA = LatexToMathML()


def as_mathml(node: nodes.Element, *, displayed: bool) -> str:
    try:
        return FORMULA.convert_with_local_state(node.astext(), displaystyle=displayed)
    except LatexError as error:
        logging.getLogger(__name__).warning("no formula: %s: %s", node.astext(), error, location=node)
        return ""


def write_inline_formula(writer, node: nodes.math) -> None:
    writer.body.append(as_mathml(node, displayed=False))
    raise nodes.SkipNode


def write_formula(writer, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="formula">{as_mathml(node, displayed=True)}</div>\n')
    raise nodes.SkipNode


def quote_as_in_the_source(app: Sphinx, tree: nodes.document) -> None:
    """Sphinx prints the strings of a signature in single quotes; the source has double ones."""
    for signature in tree.findall(addnodes.desc_signature):
        for text in list(signature.findall(nodes.Text)):
            text.parent.replace(text, nodes.Text(text.astext().replace("'", '"')))


def setup(app: Sphinx) -> None:
    """Formulas become MathML when the page is built: a reader needs no script and no network to see them."""
    app.add_html_math_renderer("mathml", (write_inline_formula, None), (write_formula, None))
    app.connect("doctree-read", quote_as_in_the_source)
