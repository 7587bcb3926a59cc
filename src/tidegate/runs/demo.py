"""What the demo trains and what it asks: real film reviews where they can be had, real handwritten digits elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegate.data import Examples, loading
from tidegate.errors import DownloadError, InputError
from tidegate.ragged import Ragged
from tidegate.runs.source import Source
from tidegate.tasks.cards import CARDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidegate.data import Dataset

_QUICK = {"hidden_size": 32, "embedding_size": 32, "epochs": 2}  # a training of seconds, not the best there is
_QUICK_LINES = {
    "hidden_size": 64,
    "num_layers": 1,
    "dropout": 0.1,
    "time_masks": 0,
    "epochs": 24,
    "learning_rate": 0.01,
}
_REVIEWS = {
    "What a wonderful film. The cast is superb and the ending moved me to tears.": "pos",
    "Two hours of my life that I will never get back. Dull, badly acted and far too long.": "neg",
    "The story is thin, yet the actors are so charming that I enjoyed every minute.": "pos",
}


@dataclass(frozen=True)
class Demo:
    """Say which data set is taken and why, what to train on it, and what to type next, where RUN is the run folder."""

    source: Source
    reason: str
    params: dict[str, Any]
    next_command: str


def choose_demo(kind: str = "text") -> Demo:
    """Take `imdb` where its archive is here or can be downloaded, else `digits`, which scikit-learn brings along.

    For the kind "transcribed" take lines composed of those digits. Raises InputError for another kind, which has none.
    """
    if kind == "transcribed":
        reason = "2,000 lines composed of handwritten digits to learn from, 300 of other digits to test on"
        return Demo(Source("digit_lines"), reason, _QUICK_LINES, "tidegate evaluate RUN digit_lines")
    if kind != "text":
        raise InputError(f"there is no demo for data of the kind {kind!r}. Leave the task out.")
    try:
        loading.get("imdb")
    except DownloadError as error:
        reason = f"1,797 real handwritten digits read row by row, because imdb cannot be had ({error})"
        return Demo(Source("digits"), reason, {}, "tidegate evaluate RUN digits")
    reason = "25,000 real film reviews to learn from, 25,000 others to test on"
    return Demo(Source("imdb"), reason, _QUICK, 'tidegate predict RUN "Write your own review here."')


def demo_questions(dataset: Dataset) -> tuple[Examples, list[str]]:
    """Give three examples to classify, and each as a reader should see it: reviews of our own as text, digits drawn."""
    if dataset.test is None or not isinstance(dataset.test.x, Ragged):
        return Examples(list(_REVIEWS), list(_REVIEWS.values())), list(_REVIEWS)
    three = dataset.test.select([0, 1, 2])
    assert isinstance(three.x, Ragged)
    return three, ["\n".join(map(_draw_row, digit)) for digit in three.x]


def draw_line(columns: Iterable[Iterable[float]]) -> str:
    """Draw a line of pixel columns [width, height] for a terminal, two rows of pixels as one of characters."""
    rows = [*zip(*columns, strict=True)]
    shades = " .:*#"
    return "\n".join(
        "".join(shades[round(2 * (float(upper) + float(lower)))] for upper, lower in zip(*pair, strict=True))
        for pair in zip(rows[::2], rows[1::2], strict=False)
    )


def _draw_row(row: Iterable[float]) -> str:
    return "".join(" .:*#"[round(4 * float(pixel))] * 2 for pixel in row)
