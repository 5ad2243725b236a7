import io

import matplotlib.figure


# This file imports matplotlib, so it is itself imported only inside functions.
class Figure(matplotlib.figure.Figure):
    """A figure that pyplot does not know of: nothing global changes, nothing needs closing.

    A notebook shows it when it is the last value of a cell, at 80 dots to the inch: it is stored with its pictures.
    """

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=80)
        return file.getvalue()
