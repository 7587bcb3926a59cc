"""Where data lies on this machine, and texts kept in a form that loads fast. Knows nothing of their meaning."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

TextGroups = dict[str, list[str]]


def cache_folder() -> Path:
    """Say where downloads and parsed data are kept.

    `TIDEGATE_CACHE` where it is set, else the platform's own place: `$XDG_CACHE_HOME/tidegate` or
    `~/.cache/tidegate`, `~/Library/Caches/tidegate` on macOS, `%LOCALAPPDATA%/tidegate/cache` on Windows.
    """
    if chosen := os.environ.get("TIDEGATE_CACHE"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tidegate"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "tidegate" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegate"


def find_file(name: str, file: str) -> Path | None:
    """Find a file of the data set `name`: in `$TIDEGATE_DATA/<name>/` first, then in the cache; None if nowhere."""
    folders = [cache_folder()]
    if chosen := os.environ.get("TIDEGATE_DATA"):
        folders.insert(0, Path(chosen))
    return next((path for folder in folders if (path := folder / name / file).is_file()), None)


def cached_texts(
    cached: Path, source: Path, groups: Iterable[str], build: Callable[[], Mapping[str, TextGroups]]
) -> TextGroups:
    """Return groups of texts from the cached form of `source`, building that form where it is absent.

    cached: a folder. `build()` reads the source and returns, per cache file, its groups of texts; all of these are
    written. The cached form belongs to one state of the source (path, size, time of change); one that belongs to
    another, is cut off or altered is built again. A cache that cannot be written costs a warning, not the data.
    """
    wanted = list(groups)
    key = _key(source)
    found = [_load(cached / f"{group}.npz", key) for group in wanted]
    if any(part is None for part in found):
        built = build()
        try:
            for group, texts in built.items():
                _save(cached / f"{group}.npz", key, texts)
        except OSError as error:
            warnings.warn(f"{source.name} will be read again next time: cannot write {cached} ({error})", stacklevel=2)
        found = [built[group] for group in wanted]
    return {name: texts for part in found if part is not None for name, texts in part.items()}


def _key(source: Path) -> str:
    state = source.stat()
    return f"1 {source.resolve()} {state.st_size} {state.st_mtime_ns}"


def _save(path: Path, key: str, groups: TextGroups) -> None:
    """Write groups of texts atomically: UTF-8 end to end with offsets, in an uncompressed .npz (which has CRCs)."""
    arrays: dict[str, npt.NDArray[np.generic]] = {"key": _to_bytes(key.encode())}
    for name, texts in groups.items():
        encoded = [text.encode() for text in texts]
        arrays[f"{name}.text"] = _to_bytes(b"".join(encoded))
        arrays[f"{name}.offsets"] = np.array([0, *accumulate(map(len, encoded))], dtype=np.int64)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise


def _load(path: Path, key: str) -> TextGroups | None:
    """Read what `_save` wrote; None where it is absent, belongs to another source, or is damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if arrays["key"].tobytes() != key.encode():
                return None
            names = [name.removesuffix(".text") for name in arrays.files if name.endswith(".text")]
            return {name: _cut(arrays[f"{name}.text"], arrays[f"{name}.offsets"]) for name in names}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, NotImplementedError):
        return None


def _cut(text: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> list[str]:
    whole = text.tobytes()
    return [whole[start:end].decode() for start, end in pairwise(offsets.tolist())]


def _to_bytes(data: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(data, dtype=np.uint8)
