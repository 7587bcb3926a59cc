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


def choose_demo(task: str | None = None) -> Demo:
    """Take `imdb` where its archive is here or can be downloaded, else `digits`, which scikit-learn brings along.

    Of a task by its name take what its card says. Raises InputError for one that has no demo.
    """
    if task is not None:
        card = CARDS[task]
        if not card.demo_data:
            raise InputError(f"there is no demo of {card.many}. Leave the task out.")
        reason = loading.describe(card.demo_data).title
        return Demo(Source(card.demo_data), reason, dict(card.demo_params), f"tidegate evaluate RUN {card.demo_data}")
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
