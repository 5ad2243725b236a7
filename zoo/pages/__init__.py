"""HTML pages that are whole in one file: they load nothing, run nothing and are readable on a telephone."""

from ._page import (
    Html as Html,
    command as command,
    element as element,
    listing as listing,
    page as page,
    picture as picture,
    section as section,
    table as table,
)
