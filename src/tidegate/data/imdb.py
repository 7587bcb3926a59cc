"""IMDB: 50,000 labelled and 50,000 unlabelled film reviews, from upstream's archive. Knows its layout and checksum.

123 texts occur in both train and test, and 270 unlabelled texts equal a test text; they are left as upstream has
them, so that figures compare with published ones. Drop the latter before any pre-training.
"""

from __future__ import annotations

import re
from pathlib import Path

from tidegate.data.dataset import Dataset, Examples
from tidegate.data.parsed import TextGroups, cached_texts
from tidegate.data.source import Source
from tidegate.errors import DataError
from tidegate.fetch.cache import cache_folder
from tidegate.fetch.files import fetch_remote, find_remote
from tidegate.fetch.progress import Progress
from tidegate.fetch.remote import Remote

_NAME = "imdb"
_LABELS = ("neg", "pos")
_LABELLED = tuple(f"{part}/{label}" for part in ("train", "test") for label in _LABELS)
_UNLABELLED = "train/unsup"
_REVIEW = re.compile(r"aclImdb/(train/neg|train/pos|train/unsup|test/neg|test/pos)/(\d+)_\d+\.txt")

REMOTE = Remote(
    url="https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
    size=84_125_825,
    sha256="c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
)


def find() -> Path | None:
    """Find the archive on this machine. One that a user put there is judged by its content, not its checksum."""
    return find_remote(_NAME, REMOTE)


def fetch(progress: Progress) -> Path:
    """Return the archive, downloaded into the cache if it is not on this machine; its reviews are parsed and cached."""
    archive = fetch_remote(_NAME, REMOTE, progress)
    _texts(archive, ["labelled"], progress)
    return archive


def load(*, unlabelled: bool, progress: Progress, **columns: str) -> Dataset:
    """Load the reviews: neg before pos, each in the order of its upstream number."""
    archive = fetch_remote(_NAME, REMOTE, progress)
    texts = _texts(archive, ["labelled", "unlabelled"] if unlabelled else ["labelled"], progress)
    return Dataset(
        name=_NAME,
        kind="text",
        classes=_LABELS,
        train=_examples(texts, "train"),
        test=_examples(texts, "test"),
        unlabelled=texts[_UNLABELLED] if unlabelled else None,
        licence=SOURCE.licence,
        citation=SOURCE.citation,
    )


def _examples(texts: TextGroups, part: str) -> Examples:
    groups = [(label, texts[f"{part}/{label}"]) for label in _LABELS]
    return Examples([text for _, group in groups for text in group], [label for label, group in groups for _ in group])


def _texts(archive: Path, groups: list[str], progress: Progress) -> TextGroups:
    return cached_texts(cache_folder() / _NAME, archive, groups, lambda: _parse(archive, progress))


def _parse(archive: Path, progress: Progress) -> dict[str, TextGroups]:
    from tidegate.data.archive import read_members  # brings tarfile

    numbered: dict[str, list[tuple[int, str]]] = {group: [] for group in (*_LABELLED, _UNLABELLED)}
    for name, content in read_members(archive, lambda name: bool(_REVIEW.fullmatch(name)), progress=progress):
        match = _REVIEW.fullmatch(name)
        assert match is not None
        numbered[match[1]].append((int(match[2]), _decode(name, content, archive)))
    for group in _LABELLED:
        if not numbered[group]:
            raise DataError(f"{archive} holds no aclImdb/{group}/*.txt; it is not the Large Movie Review Dataset v1.")
    texts = {group: [text for _, text in sorted(reviews)] for group, reviews in numbered.items()}
    return {
        "labelled": {group: texts[group] for group in _LABELLED},
        "unlabelled": {_UNLABELLED: texts[_UNLABELLED]},
    }


def _decode(name: str, content: bytes, archive: Path) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        byte = content[error.start]
        raise DataError(f"{archive}: {name}, byte {error.start} (0x{byte:02x}) is not UTF-8.") from error


SOURCE = Source(
    name=_NAME,
    title="Large Movie Review Dataset v1: is a film review positive or negative?",
    kind="text",
    licence="none stated; the authors ask to cite their paper",
    citation=(
        "Andrew L. Maas, Raymond E. Daly, Peter T. Pham, Dan Huang, Andrew Y. Ng and Christopher Potts. "
        "Learning Word Vectors for Sentiment Analysis. ACL 2011."
    ),
    homepage="https://ai.stanford.edu/~amaas/data/sentiment/",
    find=find,
    fetch=fetch,
    load=load,
)
