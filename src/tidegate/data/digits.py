"""Digits: scikit-learn's 1,797 real handwritten digits, read as 8 steps of 8 pixels. Needs no download."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from tidegate.data.dataset import Dataset, Examples
from tidegate.data.source import Source
from tidegate.errors import InputError, MissingPackageError
from tidegate.fetch.progress import Progress
from tidegate.ragged import Ragged

_STEPS = 8
_WHITE = 16.0  # the brightest pixel of the data set


def find() -> Path:
    """Find the file, which is part of scikit-learn; without scikit-learn raise MissingPackageError."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise MissingPackageError.of("scikit-learn", "train", "the data set 'digits'")
    return Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"


def fetch(progress: Progress) -> Path:
    """Return the file; there is nothing to download."""
    return find()


def load(*, unlabelled: bool, progress: Progress, **columns: str) -> Dataset:
    """Load the digits: pixels from 0 to 1; every fifth example of each digit is test, the others are train."""
    if unlabelled:
        raise InputError("digits has no unlabelled part.")
    find()
    from sklearn.datasets import load_digits

    digits = load_digits()
    labels = np.asarray(digits.target, dtype=np.int64)
    is_test = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        is_test[np.flatnonzero(labels == digit)[4::5]] = True
    values = np.asarray(digits.data, dtype=np.float32) / np.float32(_WHITE)  # [1797, 64]
    whole = Examples(Ragged.from_padded(values.reshape(-1, _STEPS, _STEPS)), labels)
    return Dataset(
        name=SOURCE.name,
        kind="sequence",
        classes=tuple(range(10)),
        train=whole.select(np.flatnonzero(~is_test)),
        test=whole.select(np.flatnonzero(is_test)),
        licence=SOURCE.licence,
        citation=SOURCE.citation,
    )


SOURCE = Source(
    name="digits",
    title="Optical recognition of handwritten digits: which digit is it, read row by row?",
    kind="sequence",
    licence="CC BY 4.0 (UCI Machine Learning Repository, data set 80)",
    citation="E. Alpaydin and C. Kaynak. Optical Recognition of Handwritten Digits. UCI, 1998. doi:10.24432/C50P49",
    homepage="https://archive.ics.uci.edu/dataset/80",
    find=find,
    fetch=fetch,
    load=load,
)
