"""Transcribed signals from a file or a folder of the user, as a Dataset: each signal read, each text composed.

Knows which reader reads what; what a layout looks like, `manifests` knows.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from tidegate.data.dataset import Dataset, Examples
from tidegate.data.files import find_parts
from tidegate.data.kinds import Layout
from tidegate.data.tables import FORM, Form
from tidegate.data.transcribed.features import FEATURES, SPHINX, SPHINX_WIDTH, read_features
from tidegate.data.transcribed.images import HEIGHT, PICTURES, Looking, columns, is_inverted, read_picture
from tidegate.data.transcribed.manifests import Entry, Naming, find_entries
from tidegate.data.transcribed.pages import cut
from tidegate.data.transcribed.recordings import Reads, Recordings, Signal
from tidegate.data.transcribed.scaling import Grey
from tidegate.data.transcribed.sound import SOUND, Channel, Listening, doubts, part_of, read_sound
from tidegate.data.transcribed.texts import clean_text, count_composed
from tidegate.errors import Argument, DataError, DataWarning, InputError, OptionError

_SUFFIXES: Mapping[Reads, tuple[str, ...]] = {"sound": SOUND, "line": PICTURES, "features": FEATURES}
_SPHINX_RATE = 100.0  # frames in a second, as Sphinx computes them unless told otherwise
_SAYING: Mapping[Reads, frozenset[str]] = {
    "sound": frozenset({"rate", "channel", "resample"}),
    "line": frozenset({"height", "invert"}),
    "features": frozenset({"rate", "width"}),
}
_TOLD = 3  # names in a warning


@dataclass(frozen=True)
class Reading:
    """Say how files are to be read.

    reads: what they hold; None goes by the suffix of the first.
    listening: how sound is read.
    looking: how pictures are read.
    width: numbers of a frame in a Sphinx file.
    frames: frames in a second of features; None where nobody knows, 100 of Sphinx files.
    chosen: the names of those that somebody chose, of which each must say something of what is read.
    """

    reads: Reads | None = None
    listening: Listening = field(default_factory=Listening)
    looking: Looking = field(default_factory=Looking)
    width: int = SPHINX_WIDTH
    frames: float | None = None
    chosen: frozenset[str] = frozenset()


@dataclass
class _Gathered:
    """Gather signals and what belongs to them, and what is doubtful."""

    signals: list[Signal] = field(default_factory=list)
    scales: list[tuple[float, float]] = field(default_factory=list)
    doubtful: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def load_transcribed(
    path: Path,
    *,
    unlabelled: bool = False,
    reads: str | None = None,
    rate: str | None = None,
    channel: str | None = None,
    resample: str | None = None,
    height: str | None = None,
    invert: str | None = None,
    width: str | None = None,
    file: str | None = None,
    text: str | None = None,
    group: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Dataset:
    """Load a table of files with texts, or a folder as `manifests.find_entries` knows it, or one of train, valid, test.

    Args:
        path: the table or the folder.
        unlabelled: refused, as there is no such part.
        reads: `sound`, `line` or `features`; by default what the suffix of the first file says.
        rate: samples a second of sound that are wanted; of features, frames a second.
        channel: `left`, `right` or `mean` of a file with several.
        resample: `true` brings sound of other rates to `rate`.
        height: of lines, in pixels.
        invert: `true` for lines that are white on black.
        width: numbers of a frame in Sphinx files.
        file: the column of a table that names the files.
        text: the column of the texts.
        group: the column of the speakers, books or pages.
        encoding: see `tables.Form`.
        delimiter: see there.

    Raises DataError where something cannot be read; file, row or line are named.
    """
    if unlabelled:
        raise InputError(f"{path} has no unlabelled part.")
    how = read_choices(
        reads=reads, rate=rate, channel=channel, resample=resample, height=height, invert=invert, width=width
    )
    naming = Naming(file, text, group, Form(encoding, delimiter))
    parts = find_parts(path) if path.is_dir() else {"train": path}
    loaded = {part: _load(place, naming, how) for part, place in parts.items()}
    return gather_parts(path.resolve().name, loaded)


def read_choices(
    *,
    reads: str | None = None,
    rate: str | None = None,
    channel: str | None = None,
    resample: str | None = None,
    height: str | None = None,
    invert: str | None = None,
    width: str | None = None,
) -> Reading:
    """Read the choices of `load_transcribed`, which are texts; raises InputError for one that cannot be."""
    if reads not in (None, *get_args(Reads)):
        raise OptionError.unknown("kind of signal", str(reads), get_args(Reads))
    if channel not in (None, *get_args(Channel)):
        raise OptionError.unknown("channel", str(channel), get_args(Channel))
    count = None if rate is None else _count("rate", rate)
    given = {
        "rate": rate, "channel": channel, "resample": resample, "height": height, "invert": invert, "width": width
    }  # fmt: skip
    return Reading(
        reads=reads,  # type: ignore[arg-type]
        listening=Listening(count, channel, _switch("resample", resample)),  # type: ignore[arg-type]
        looking=Looking(HEIGHT if height is None else _count("height", height), _switch("invert", invert)),
        width=SPHINX_WIDTH if width is None else _count("width", width),
        frames=None if count is None else float(count),
        chosen=frozenset(name for name, value in given.items() if value is not None),
    )


def gather_parts(
    name: str, parts: Mapping[str, Recordings], *, licence: str = "unknown", citation: str = ""
) -> Dataset:
    """Make a Dataset of recordings by part: `train`, `valid` and `test`."""
    if not len(parts["train"]):
        why = ", ".join(f"{count:,} {why}" for why, count in sorted(parts["train"].dropped.items()))
        raise DataError(f"{name} has no recording to learn from" + (f"; left out were {why}." if why else "."))
    examples = {part: as_examples(recordings) for part, recordings in parts.items()}
    return Dataset(
        name=name,
        kind="transcribed",
        classes=(),
        train=examples["train"],
        valid=examples.get("valid"),
        test=examples.get("test"),
        licence=licence,
        citation=citation,
    )


def as_examples(recordings: Recordings) -> Examples:
    """Make examples of recordings, which hold their texts themselves; their groups are numbered."""
    if recordings.groups is None:
        return Examples(recordings, None)
    _, numbers = np.unique(np.array(recordings.groups, dtype=object).astype(str), return_inverse=True)
    return Examples(recordings, None, groups=numbers.astype(np.int64))


def read_files(files: Iterable[Path], how: Reading | None = None) -> Recordings:
    """Read signals whose texts nobody knows, in their order, each named by its path as it is given.

    Raises as `load_transcribed` does.
    """
    entries = [Entry(file, None, None, str(file)) for file in files]
    return read_entries(entries, how or Reading())


def _load(place: Path, naming: Naming, how: Reading) -> Recordings:
    manifest = find_entries(place, naming)
    dropped = Counter(manifest.dropped)
    entries = [entry for entry in manifest.entries if (entry.text or "").strip()]
    dropped["without a text"] += len(manifest.entries) - len(entries)
    if changed := count_composed(entry.text or "" for entry in entries):
        warnings.warn(f"{place}: {changed:,} texts were not composed (NFC), and are now.", DataWarning, stacklevel=3)
    entries = [replace(entry, text=clean_text(entry.text or "", entry.where)) for entry in entries]
    return replace(read_entries(entries, how), dropped=dict(+dropped))


def read_entries(entries: list[Entry], how: Reading) -> Recordings:
    """Read the signals of entries, in their order; what is doubtful is told in a warning (DataWarning).

    Raises InputError for a choice that says nothing of what is read.
    """
    reads = how.reads or _reads_of(entries)
    if unused := how.chosen - _SAYING[reads]:
        raise InputError(f"{min(unused)} says nothing of how {reads} is read. Leave it out.")
    gathered, rate = _Gathered(), how.listening.rate
    if reads != "sound" and (parts := [entry for entry in entries if entry.span is not None]):
        raise DataError(f"{parts[0].where} is a part of a file by seconds, which are cut out of sound alone. Cut it.")
    if reads == "sound":
        rate = _read_sounds(entries, how, gathered)
    elif reads == "line":
        _read_lines(entries, how.looking, gathered)
    else:
        gathered.signals = [read_features(entry.file, how.width) for entry in entries]
    for doubt, names in gathered.doubtful.items():
        others = f" and {len(names) - _TOLD:,} more" if len(names) > _TOLD else ""
        told = f"{len(names):,} of {len(entries):,} {doubt}: {', '.join(names[:_TOLD])}{others}"
        warnings.warn(told, DataWarning, stacklevel=2)
    frames = how.frames
    if reads == "features" and frames is None and entries and entries[0].file.suffix.lower() in SPHINX:
        frames = _SPHINX_RATE
    grouped = entries and all(entry.group is not None for entry in entries)
    return Recordings(
        gathered.signals,
        [entry.text or "" for entry in entries] if any(entry.text is not None for entry in entries) else None,
        names=[_name(entry) for entry in entries],
        groups=[entry.group or "" for entry in entries] if grouped else None,
        scales=np.array(gathered.scales, np.float64).reshape(-1, 2),
        reads=reads,
        rate={"sound": None if rate is None else float(rate), "line": None, "features": frames}[reads],
    )


def _read_sounds(entries: list[Entry], how: Reading, gathered: _Gathered) -> int | None:
    listening = how.listening
    whole: tuple[Path, Signal, int] | None = None  # the last one, from which many parts may be cut
    for entry in entries:
        if whole is None or whole[0] != entry.file:
            whole = entry.file, *read_sound(entry.file, listening)
        _, signal, rate = whole
        listening, begin = replace(listening, rate=rate), 0.0  # that of the first, where none was named
        if entry.span is not None:
            signal, begin = part_of(signal, rate, entry.span, entry.where)
        gathered.signals.append(signal)
        gathered.scales.append((1 / rate, begin))
        for doubt in doubts(signal):
            gathered.doubtful[f"are {doubt}"].append(_name(entry))
    return listening.rate


def _read_lines(entries: list[Entry], looking: Looking, gathered: _Gathered) -> None:
    page: tuple[Path, Grey] | None = None  # the last one, from which many lines may be cut
    for entry in entries:
        if page is None or page[0] != entry.file:
            page = entry.file, read_picture(entry.file, str(entry.file))
        picture, left = page[1], 0
        if entry.polygon is not None:
            picture, left = cut(picture, entry.polygon, entry.where, paper=0 if looking.invert else 255)
        if not looking.invert and is_inverted(picture, cut=entry.polygon is not None):
            gathered.doubtful["look white on black (invert=true reads them so)"].append(_name(entry))
        signal = columns(picture, entry.where, looking)
        gathered.signals.append(signal)
        gathered.scales.append((picture.shape[1] / len(signal), float(left)))


def _name(entry: Entry) -> str:
    """Name a signal by its path, as several folders may hold a file of one name; or by its place in a file of many."""
    return str(entry.file) if entry.polygon is None and entry.span is None else entry.where


def _reads_of(entries: list[Entry]) -> Reads:
    if not entries:
        return "sound"
    first = entries[0].file
    for reads, suffixes in _SUFFIXES.items():
        if first.suffix.lower() in suffixes:
            return reads
    known = ", ".join(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes)
    raise DataError(f"{first} has a suffix that no reader knows; known are {known}. Say what it holds: ",
                    Argument("reads"))  # fmt: skip


def _count(name: str, text: str) -> int:
    if not (str(text).isdecimal() and 0 < int(text) < 1 << 31):
        raise InputError(f"{name}={text!r}: wanted a whole number above zero.")
    return int(text)


def _switch(name: str, text: str | bool | None) -> bool:
    known: dict[str, Literal[True, False]] = {"true": True, "false": False}
    if text is None or isinstance(text, bool):
        return bool(text)
    if text.lower() not in known:
        raise InputError(f"{name}={text!r}: wanted true or false.")
    return known[text.lower()]


LAYOUT = Layout(
    load_transcribed,
    ("reads", "rate", "channel", "resample", "height", "invert", "width", "file", "text", "group", *FORM),
)
