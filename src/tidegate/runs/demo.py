"""What the demo trains and what it asks: real film reviews where they can be had, real handwritten digits elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegate import data
from tidegate.errors import DownloadError
from tidegate.ragged import Ragged
from tidegate.runs.training import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidegate.data import Dataset

_REVIEWS = [
    "What a wonderful film. The cast is superb and the ending moved me to tears.",
    "Two hours of my life that I will never get back. Dull, badly acted and far too long.",
    "I expected to hate it, but it is not bad at all; the second half is even rather funny.",
]


@dataclass(frozen=True)
class Demo:
    """Say which data set is taken and why, what to train on it, and what to type next, where RUN is the run folder."""

    source: Source
    reason: str
    params: dict[str, Any]
    next_command: str


def choose_demo() -> Demo:
    """Take `imdb` where its archive is here or can be downloaded, else `digits`, which scikit-learn brings along."""
    try:
        data.get("imdb")
    except DownloadError as error:
        reason = f"1,797 real handwritten digits read row by row, because imdb cannot be had: {error}"
        return Demo(Source("digits"), reason, {"epochs": 40}, "tidegate evaluate RUN digits")
    reason = "25,000 real film reviews to learn from, 25,000 others to test on"
    return Demo(Source("imdb"), reason, {"epochs": 3}, 'tidegate predict RUN "Write your own review here."')


def demo_questions(dataset: Dataset) -> tuple[list[str] | Ragged, list[str]]:
    """Give three inputs to classify, and each of them as a reader should see it: a review as text, a digit drawn."""
    if dataset.test is None or not isinstance(dataset.test.x, Ragged):
        return _REVIEWS, _REVIEWS
    three = dataset.test.x.select([0, 1, 2])
    return three, ["\n".join(map(_draw_row, digit)) for digit in three]


def _draw_row(row: Iterable[float]) -> str:
    return "".join(" .:*#"[round(4 * float(pixel))] * 2 for pixel in row)
