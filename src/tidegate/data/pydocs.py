"""Pydocs: the English text on the Python language that every Python brings along, one document per topic.

Its release decides what stands in it, so that figures compare only between equal releases. Needs no download.
"""

from __future__ import annotations

import zlib
from importlib.util import find_spec
from pathlib import Path

from tidegate.data.dataset import Dataset, Examples
from tidegate.data.source import Source
from tidegate.errors import DataError, InputError
from tidegate.fetch.progress import Progress

_MODULE = "pydoc_data.topics"
_GROUPS = 10
_VALID, _TEST = 1, 4  # of the ten groups; about 7 % of the text each in Python 3.11 to 3.13


def find() -> Path:
    """Find the module that holds the text; raises DataError where the Python at hand was built without it."""
    try:
        module = find_spec(_MODULE)
    except ModuleNotFoundError:
        module = None
    if module is None or module.origin is None:
        raise DataError(f"this Python has no module {_MODULE}, which the data set 'pydocs' is. Install a full Python.")
    return Path(module.origin)


def fetch(progress: Progress) -> Path:
    """Return the file; there is nothing to download."""
    return find()


def load(*, unlabelled: bool, progress: Progress, **columns: str) -> Dataset:
    """Load the topics by name. Which part a topic belongs to follows from its name, in every release of Python."""
    if unlabelled:
        raise InputError("pydocs has no unlabelled part.")
    find()
    from pydoc_data.topics import topics

    groups: dict[int, list[str]] = {group: [] for group in range(_GROUPS)}
    for name in sorted(topics):
        groups[zlib.crc32(name.encode()) % _GROUPS].append(topics[name])
    train = [text for group, texts in groups.items() if group not in (_VALID, _TEST) for text in texts]
    return Dataset(
        name=SOURCE.name,
        kind="corpus",
        classes=(),
        train=Examples(train, None),
        valid=Examples(groups[_VALID], None),
        test=Examples(groups[_TEST], None),
        licence=SOURCE.licence,
        citation=SOURCE.citation,
    )


SOURCE = Source(
    name="pydocs",
    title="The Python language reference as pydoc shows it: which character, or word, comes next?",
    kind="corpus",
    licence="PSF License Version 2",
    citation="Python Software Foundation. The Python Language Reference. https://docs.python.org/3/reference/",
    homepage="https://docs.python.org/3/library/pydoc.html",
    find=find,
    fetch=fetch,
    load=load,
)
