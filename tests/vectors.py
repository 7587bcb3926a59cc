"""Files of vectors in every form that others write, made of words and numbers; `fasttext` lays a model out by hand."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

Given = Mapping[str, Sequence[float]]


def glove(given: Given) -> bytes:
    """A line for each word, as GloVe writes it."""
    return b"".join(f"{word} {' '.join(map(str, row))}\n".encode() for word, row in given.items())


def word2vec_text(given: Given) -> bytes:
    """The same below a line with the counts; each line ends in a space, as those of fastText do."""
    return _header(given) + glove(given).replace(b"\n", b" \n")


def word2vec_binary(given: Given, *, ends: bytes = b"\n") -> bytes:
    """Words with float32 numbers; word2vec itself ends each with a line break, others do not."""
    rows = (word.encode() + b" " + np.array(row, "<f4").tobytes() + ends for word, row in given.items())
    return _header(given) + b"".join(rows)


def fasttext(
    given: Given,
    buckets: Sequence[Sequence[float]] = (),
    *,
    grams: tuple[int, int] = (3, 6),
    labels: Sequence[str] = (),
    version: int = 12,
    model: int = 2,
    pruned: int = -1,
    quantized: bool = False,
) -> bytes:
    """A model: the rows of words and of the buckets of n-grams stand in the matrix as they are given."""
    size = len(next(iter(given.values())))
    arguments = (size, 5, 5, 1, 5, 1, 2, model, len(buckets), *grams, 100)
    entries = [(word, 0) for word in given] + [(label, 1) for label in labels]
    out = struct.pack("<ii", 793712314, version) + struct.pack("<12id", *arguments, 1e-4)
    out += struct.pack("<3i2q", len(entries), len(given), len(labels), 100, pruned)
    out += b"".join(name.encode() + b"\0" + struct.pack("<qb", 7, kind) for name, kind in entries)
    rows = np.array([*given.values(), *buckets], "<f4")
    return out + struct.pack("<?2q", quantized, *rows.shape) + rows.tobytes() + struct.pack("<?2q", False, 0, size)


def saved(folder: Path, content: bytes, name: str = "some.vec") -> Path:
    """Write a file, packed where its name says so."""
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def _header(given: Given) -> bytes:
    return f"{len(given)} {len(next(iter(given.values())))}\n".encode()
