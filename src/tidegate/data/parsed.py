"""Texts that were parsed once and are kept in a form that loads fast. Knows nothing of their meaning."""

from __future__ import annotations

import json
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate, chain, pairwise
from pathlib import Path

from tidegate.durable import atomic_file, sweep_drafts
from tidegate.lock import Lock

TextGroups = dict[str, list[str]]

_CRC = 9  # bytes: eight hexadecimal digits and the end of their line


def cached_texts(
    cached: Path, source: Path, groups: Iterable[str], build: Callable[[], Mapping[str, TextGroups]]
) -> TextGroups:
    """Return groups of texts from the cached form of a source, building that form where it is absent.

    The cached form belongs to one state of the source (path, size, time of change); one that belongs to another, is
    cut off or altered is built again. A cache that cannot be written costs a warning, not the data.

    Args:
        cached: the folder of the cached form.
        source: the file that was parsed.
        groups: which files of the cached form to read.
        build: parses the source and returns the content of every file of the cached form.
    """
    wanted = list(groups)
    key = _key(source)
    found = [_load(cached / f"{group}.texts", key) for group in wanted]
    if any(part is None for part in found):
        built = build()
        try:
            cached.mkdir(parents=True, exist_ok=True)
            with Lock(cached / ".lock", wait=True):
                for group, texts in built.items():
                    _save(cached / f"{group}.texts", key, texts)
        except OSError as error:
            warnings.warn(f"{source.name} will be read again next time: cannot write {cached} ({error})", stacklevel=2)
        found = [built[group] for group in wanted]
    return {name: texts for part in found if part is not None for name, texts in part.items()}


def _key(source: Path) -> str:
    state = source.stat()
    return f"1 {source.resolve()} {state.st_size} {state.st_mtime_ns}"


def _save(path: Path, key: str, groups: TextGroups) -> None:
    """Write groups of texts atomically: a CRC-32, a line of JSON with the length of every text, and all texts."""
    encoded = {name: [text.encode() for text in texts] for name, texts in groups.items()}
    header = {"key": key, "groups": {name: [len(text) for text in texts] for name, texts in encoded.items()}}
    texts = chain.from_iterable(encoded.values())
    body = b"".join([json.dumps(header).encode(), b"\n", *texts])
    sweep_drafts(path)
    with atomic_file(path) as file:
        file.write(b"%08x\n" % zlib.crc32(body))
        file.write(body)


def _load(path: Path, key: str) -> TextGroups | None:
    """Read what `_save` wrote; None where it is absent, damaged, or belongs to another source."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if content[:_CRC] != b"%08x\n" % zlib.crc32(memoryview(content)[_CRC:]):
        return None
    start = content.index(b"\n", _CRC) + 1
    header = json.loads(content[_CRC:start])
    if header["key"] != key:
        return None
    groups: TextGroups = {}
    for name, lengths in header["groups"].items():
        edges = list(accumulate(lengths, initial=start))
        groups[name] = [content[begin:end].decode() for begin, end in pairwise(edges)]
        start = edges[-1]
    return groups
