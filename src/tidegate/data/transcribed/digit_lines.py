"""Lines of three to eight handwritten digits, composed of the digits that scikit-learn brings. Needs no download."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tidegate.data import digits
from tidegate.data.dataset import Dataset
from tidegate.data.source import Source
from tidegate.data.transcribed.reading import gather_parts
from tidegate.data.transcribed.recordings import Recordings, Signal
from tidegate.data.transcribed.scaling import Grey, scale
from tidegate.errors import InputError
from tidegate.fetch.progress import Progress
from tidegate.ragged import Ragged

HEIGHT = 24
_COUNTS = {"train": 2000, "valid": 200, "test": 300}
_LENGTHS = (3, 8)
_WIDTHS = (11, 17)  # pixels of a digit, which is 16 high
_TALL = 16
_GAPS = (-2, 5)  # pixels between two; where they overlap the darker counts
_VALID = 6  # of the digits to train with, every so many make up the lines to tune on


def load(*, unlabelled: bool, progress: Progress, seed: str = "0", **columns: str) -> Dataset:
    """Compose lines, at places and of widths that a seed decides; those to test on of digits to test on alone."""
    if unlabelled or not seed.isdecimal():
        raise InputError("digit_lines has no unlabelled part, and its seed is a whole number.")
    single = digits.load(unlabelled=False, progress=progress)
    assert single.test is not None, "every fifth digit is test"
    train, test = ((_pictures(part.x), np.asarray(part.y)) for part in (single.train, single.test))
    tuned = np.arange(len(train[1])) % _VALID == 0
    pools = {"train": (train[0][~tuned], train[1][~tuned]), "valid": (train[0][tuned], train[1][tuned]), "test": test}
    parts = {
        part: _lines(*pools[part], count, np.random.default_rng([int(seed), number]))
        for number, (part, count) in enumerate(_COUNTS.items())
    }
    return gather_parts(SOURCE.name, parts, licence=SOURCE.licence, citation=SOURCE.citation)


def _pictures(x: object) -> Grey:
    """Give digits [B, 8, 8] as ink from 0 to 255."""
    assert isinstance(x, Ragged), "eight rows of eight pixels each"
    ink: Grey = np.rint(np.asarray(x.values).reshape(-1, 8, 8) * 255).astype(np.uint8)
    return ink


def _lines(pictures: Grey, labels: npt.NDArray[np.int64], count: int, random: np.random.Generator) -> Recordings:
    signals, texts = [], []
    for _ in range(count):
        chosen = random.integers(len(labels), size=random.integers(_LENGTHS[0], _LENGTHS[1] + 1))
        signals.append(_line(pictures[chosen], random))
        texts.append("".join(str(label) for label in labels[chosen]))
    return Recordings(signals, texts, reads="line")


def _line(pictures: Grey, random: np.random.Generator) -> Signal:
    """Set digits side by side on paper [width, 24], each somewhat higher or lower, wider or narrower."""
    line = np.zeros((HEIGHT, len(pictures) * (_WIDTHS[1] + _GAPS[1]) + 4), np.uint8)
    end = 2
    for picture in pictures:
        drawn = scale(picture, _TALL, int(random.integers(_WIDTHS[0], _WIDTHS[1] + 1)))
        top = int(random.integers(HEIGHT - _TALL + 1))
        begin = max(0, end + int(random.integers(_GAPS[0], _GAPS[1] + 1)))
        end = begin + drawn.shape[1]
        place = line[top : top + _TALL, begin:end]
        np.maximum(place, drawn, out=place)
    return np.ascontiguousarray(line[:, : end + 2].T).astype(np.float32) / np.float32(255)


SOURCE = Source(
    name="digit_lines",
    title="Lines of handwritten digits: which numbers are written there?",
    kind="transcribed",
    licence=digits.SOURCE.licence,
    citation=digits.SOURCE.citation,
    homepage=digits.SOURCE.homepage,
    find=digits.find,
    fetch=digits.fetch,
    load=load,
    columns=("seed",),
)
