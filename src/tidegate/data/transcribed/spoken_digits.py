"""FSDD, the Free Spoken Digit Dataset, as strings of digits composed of its clips; a speaker may be left out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tidegate.data.archive import read_members
from tidegate.data.dataset import Dataset
from tidegate.data.source import Source
from tidegate.data.transcribed.reading import gather_parts
from tidegate.data.transcribed.recordings import Recordings, Signal
from tidegate.data.transcribed.riff import read_wav
from tidegate.data.transcribed.sound import Listening, settle
from tidegate.errors import DataError, DownloadError, InputError, OptionError
from tidegate.fetch.cache import cache_folder, find_file
from tidegate.fetch.progress import Progress

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_NAME, _FILE = "fsdd", "free-spoken-digit-dataset.tar.gz"
_CLIP = re.compile(r"(?:.*/)?recordings/(\d)_([a-z]+)_(\d+)\.wav")
_RATE = 8000
_COUNTS = {"train": 2000, "valid": 200, "test": 300}
_LENGTHS = (1, 7)  # digits of a string
_GAP = (0.02, 0.2)  # seconds of silence between two
_TEST, _VALID = 5, 10  # clips of a speaker and digit below this number are test, and below that valid

Clips = dict[str, dict[int, list[Signal]]]
"""Clips by speaker and digit."""


def find() -> Path | None:
    """Find the archive on this machine."""
    return find_file(_NAME, _FILE)


def fetch(progress: Progress) -> Path:
    """Return the archive; raises DownloadError, saying where to put it, where it is not here."""
    if (found := find()) is None:
        raise DownloadError(
            f"fsdd has no address to download it from as one file. Make {_FILE} of its repository, {SOURCE.homepage}, "
            f"with the folder recordings, and put it into {cache_folder() / _NAME} or $TIDEGATE_DATA/{_NAME}."
        )
    return found


def load(
    *, unlabelled: bool, progress: Progress, speaker: str | None = None, strings: str = "true", seed: str = "0",
    **columns: str,
) -> Dataset:  # fmt: skip
    """Load strings of one to seven digits, each of clips of one speaker; or with ``strings="false"`` the clips alone.

    The clips 0 to 4 of each speaker and digit are test, 5 to 9 valid. With a `speaker` all that this one says is test,
    and what the others say train and valid.
    """  # fmt: skip
    if unlabelled:
        raise InputError("fsdd has no unlabelled part.")
    if strings not in ("true", "false") or not seed.isdecimal():
        raise InputError(f"fsdd was asked for strings={strings}, seed={seed}; wanted true or false, a whole number.")
    parts = _read(fetch(progress), speaker, progress)
    if strings == "false":
        found = {part: _single(clips) for part, clips in parts.items()}
    else:
        found = {
            part: _composed(clips, _COUNTS[part], np.random.default_rng([int(seed), number]))
            for number, (part, clips) in enumerate(parts.items())
        }
    return gather_parts(_NAME, found, licence=SOURCE.licence, citation=SOURCE.citation)


def _read(path: Path, left_out: str | None, progress: Progress) -> dict[str, Clips]:
    parts: dict[str, Clips] = {part: defaultdict(lambda: defaultdict(list)) for part in _COUNTS}
    speakers = set()
    for name, content in sorted(read_members(path, lambda name: bool(_CLIP.fullmatch(name)), progress=progress)):
        match = _CLIP.fullmatch(name)
        assert match is not None, "only such were wanted"
        digit, speaker, number = int(match[1]), match[2], int(match[3])
        speakers.add(speaker)
        part = "test" if number < _TEST else "valid" if number < _VALID else "train"
        if left_out is not None:
            part = "test" if speaker == left_out else "valid" if number < _TEST else "train"
        signal, _ = settle(read_wav(content, name), name, Listening(rate=_RATE))
        parts[part][speaker][digit].append(signal)
    if left_out is not None and left_out not in speakers:
        raise OptionError.unknown("speaker", left_out, speakers)
    if empty := [part for part, clips in parts.items() if not clips]:
        raise DataError(f"{path} holds no clip for the part {empty[0]}. Its names are such as recordings/7_theo_0.wav.")
    return parts


def _composed(clips: Clips, count: int, random: np.random.Generator) -> Recordings:
    """Compose strings of clips of one speaker each, silence between them; speakers take turns."""
    signals, texts, groups = [], [], []
    speakers = sorted(clips)
    for number in range(count):
        speaker = speakers[number % len(speakers)]
        digits = random.choice(sorted(clips[speaker]), random.integers(_LENGTHS[0], _LENGTHS[1] + 1)).tolist()
        pieces: list[Signal] = []
        for digit in digits:
            choices = clips[speaker][digit]
            gap = np.zeros((round(random.uniform(*_GAP) * _RATE), 1), np.float32)
            pieces += [choices[random.integers(len(choices))], gap]
        signals.append(np.concatenate(pieces))
        texts.append(_spoken(digits))
        groups.append(speaker)
    return Recordings(signals, texts, groups=groups, rate=float(_RATE))


def _single(clips: Clips) -> Recordings:
    rows = [
        (signal, digit, who) for who in sorted(clips) for digit in sorted(clips[who]) for signal in clips[who][digit]
    ]
    signals, digits, groups = (list(column) for column in zip(*rows, strict=True))
    return Recordings(signals, [WORDS[digit] for digit in digits], groups=groups, rate=float(_RATE))


def _spoken(digits: Sequence[int]) -> str:
    return " ".join(WORDS[digit] for digit in digits)


SOURCE = Source(
    name=_NAME,
    title="Free Spoken Digit Dataset: which digits are said? Strings composed of its clips, 8 kHz",
    kind="transcribed",
    licence="CC BY-SA 4.0",
    citation="Zohar Jackson and others. Free Spoken Digit Dataset. doi:10.5281/zenodo.1342401",
    homepage="https://github.com/Jakobovski/free-spoken-digit-dataset",
    find=find,
    fetch=fetch,
    load=load,
    columns=("speaker", "strings", "seed"),
)
