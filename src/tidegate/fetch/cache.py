"""Where downloads lie on this machine, and where a user may have put them. Knows nothing of what is in them."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Say where downloads and parsed data are kept.

    ``TIDEGATE_CACHE`` where it is set, else the platform's own place: ``$XDG_CACHE_HOME/tidegate`` or
    ``~/.cache/tidegate``, ``~/Library/Caches/tidegate`` on macOS, ``%LOCALAPPDATA%/tidegate/cache`` on Windows.
    """
    if chosen := os.environ.get("TIDEGATE_CACHE"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tidegate"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "tidegate" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegate"


def find_file(name: str, file: str) -> Path | None:
    """Find a file of a data set: in ``$TIDEGATE_DATA/<name>/`` first, then in the cache; None if nowhere."""
    folders = [cache_folder()]
    if chosen := os.environ.get("TIDEGATE_DATA"):
        folders.insert(0, Path(chosen))
    return next((path for folder in folders if (path := folder / name / file).is_file()), None)
