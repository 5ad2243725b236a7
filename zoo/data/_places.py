import os
import sys
from pathlib import Path


def cache_directory(name: str) -> Path:
    """The folder of a data set in the user's cache."""
    if sys.platform == "win32":
        root = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    else:
        # The XDG base directory specification: relative values are to be ignored.
        root = os.environ.get("XDG_CACHE_HOME", "")
        root = root if os.path.isabs(root) else Path.home() / ".cache"
    return Path(root) / "vae-zoo" / name
