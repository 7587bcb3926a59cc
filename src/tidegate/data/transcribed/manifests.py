"""Find signals and their texts as others lay them out: tables, LibriSpeech, Kaldi, lines with `.gt.txt`, pages in XML.

Knows names and texts only; no signal is read here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf, nan
from numbers import Real
from pathlib import Path

from tidegate.data.checks import is_missing
from tidegate.data.plain_text import read_text, split_lines
from tidegate.data.tables import READERS, Form, listing, read_table, usual
from tidegate.data.transcribed.features import FEATURES
from tidegate.data.transcribed.images import PICTURES
from tidegate.data.transcribed.pages import Polygon, find_picture, read_page
from tidegate.data.transcribed.sound import SOUND, Span
from tidegate.errors import Argument, DataError

FILE_NAMES = ("path", "file", "audio_filepath", "audio", "wav", "image", "filename")
TEXT_NAMES = ("text", "sentence", "transcript", "transcription", "transcript_text")
GROUP_NAMES = ("speaker", "speaker_id", "client_id", "book", "page", "group")
SPAN_NAMES = ("offset", "duration")  # as NeMo has them: a length alone is that of the file, and cuts nothing
TRUTH = ".gt.txt"
_TRANSCRIPTS = "*.trans.txt"
_FORMS = ("", ".bin", ".nrm")  # of the picture of a line: as it is, and black and white or evened out, as OCRopus says


@dataclass(frozen=True, eq=False)
class Entry:
    """Name a signal: its file, its text, whose it is, and where on a page or when in a sound it stands.

    What nobody says is None; a span is the seconds at which a signal begins and ends, None for the end of the file.
    """

    file: Path
    text: str | None
    group: str | None
    where: str
    polygon: Polygon | None = None
    span: Span | None = None


@dataclass(frozen=True)
class Naming:
    """Say which columns of a table hold the file, the text and the group, and how the table is written."""

    file: str | None = None
    text: str | None = None
    group: str | None = None
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, eq=False)
class Manifest:
    """Hold entries, and how many were left out, by the reason."""

    entries: list[Entry]
    dropped: Counter[str] = field(default_factory=Counter)


def find_entries(path: Path, naming: Naming) -> Manifest:
    """Find the signals of a table or a folder.

    A folder is one of Kaldi (`wav.scp`, `text`, maybe `segments`), of LibriSpeech (`*.trans.txt`), of lines (`.png`,
    `.bin.png` or `.nrm.png` with `.gt.txt`), of pages (PAGE or ALTO beside their pictures), or
    holds a table named `manifest` or `metadata`.

    Raises DataError where it is none of these, or something is missing that is named; file and line are told.
    """
    if path.is_file():
        return _from_table(path, naming)
    if (path / "wav.scp").is_file():
        return _from_kaldi(path)
    if transcripts := sorted(path.rglob(_TRANSCRIPTS)):
        return _from_librispeech(transcripts)
    if truths := sorted(path.rglob(f"*{TRUTH}")):
        return _from_lines(path, truths)
    if pages := sorted(path.rglob("*.xml")):
        return _from_pages(pages)
    tables = [path / f"{name}{suffix}" for name in ("manifest", "metadata") for suffix in READERS]
    for table in tables:
        if table.is_file():
            return _from_table(table, naming)
    raise DataError(
        f"{path} holds no transcribed signals. Wanted: pictures with {TRUTH} beside them, PAGE or ALTO files, wav.scp "
        f"and text as Kaldi has them, {_TRANSCRIPTS} as LibriSpeech has, or manifest.tsv with path, text and speaker."
    )


def _from_table(path: Path, naming: Naming) -> Manifest:
    chosen: list[str] = []

    def pick(found: Sequence[str], where: Path) -> list[str]:
        chosen.clear()
        wanted = (naming.file, FILE_NAMES, "file"), (naming.text, TEXT_NAMES, "text"), (naming.group, GROUP_NAMES, None)
        for name, usual_names, must in wanted:
            if name is not None and name not in found:
                raise DataError(f"{where} has no column {name!r}. {listing(found)}")
            if taken := name or usual(usual_names, found):
                chosen.append(taken)
            elif must:
                told = f"{where} has no column that is clearly the {must}. {listing(found)} Name it: "
                raise DataError(told, Argument(must))
        chosen.extend(name for name in SPAN_NAMES if SPAN_NAMES[0] in found and name in found)
        return chosen

    table = read_table(path, pick, naming.form)
    columns = [[_as_text(value, table.where(row), name) for row, value in enumerate(column)]
               for name, column in zip(table.names, table.columns, strict=True)]  # fmt: skip
    further = dict(zip(table.names[2:], columns[2:], strict=True))
    nothing: list[str | None] = [None] * len(table)
    begins, lengths = (further.pop(name, nothing) for name in SPAN_NAMES)
    groups: list[str | None] = [group or "" for column in further.values() for group in column] or nothing
    entries = []
    for row, (name, text, group) in enumerate(zip(columns[0], columns[1], groups, strict=True)):
        where, begin = table.where(row), begins[row]
        span = None if begin is None else _span(begin, lengths[row], where, lengths=True)
        entries.append(Entry(_existing(path.parent, name or "", where), text, group, where, span=span))
    return Manifest(entries)


def _as_text(value: object, where: str, column: str) -> str | None:
    """Read a cell as a text, None where nothing stands in it; raises DataError for a list or a table."""
    if is_missing(value):
        return None
    if isinstance(value, bool) or not isinstance(value, str | Real):
        raise DataError(f"{where} has a {type(value).__name__} in the column {column!r}, and a text is wanted.")
    return str(value)


def _from_kaldi(folder: Path) -> Manifest:
    """Read the utterances of `wav.scp`, or those that `segments` cuts out of its recordings."""
    listed = "segments" if (folder / "segments").is_file() else "wav.scp"
    texts, files, utterances = (_pairs(folder / name) for name in ("text", "wav.scp", listed))
    speakers = _pairs(folder / "utt2spk") if (folder / "utt2spk").is_file() else {}
    entries, dropped = [], Counter[str]()
    for name, told in utterances.items():
        where, place, span = f"{folder / listed}, utterance {name!r}", told, None
        if listed == "segments":
            recording, *times = told.split()
            if len(times) != 2 or recording not in files:
                wanted = "a recording of wav.scp, its first and its last second"
                raise DataError(f"{where} is {told!r:.60}; wanted are {wanted}. Write it so.")
            place, span = files[recording], _span(times[0], times[1], where)
        if place.endswith("|"):
            raise DataError(f"{where} is a command, which is not run: {place!r:.60}. Write its output to a file.")
        if name not in texts:
            dropped["without a text"] += 1
            continue
        entries.append(Entry(_existing(folder, place, where), texts[name], speakers.get(name), where, span=span))
    return Manifest(entries, dropped)


def _span(begin: str, end: str | None, where: str, *, lengths: bool = False) -> Span:
    """Read the seconds at which a signal begins and ends, or with `lengths` how many it has; -1 is the end of the file.

    Raises DataError for what is no such time.
    """
    try:
        first, last = float(begin), -1.0 if end is None else float(end)
    except ValueError:
        first = last = nan
    if lengths and last >= 0:
        last += first
    if not (0 <= first < inf and (last == -1 or first < last < inf)):
        what = "the second it begins at, and how many it has" if lengths else "the seconds it begins and ends at"
        raise DataError(f"{where} is said to lie at {begin!r:.20}, {end!r:.20}; wanted are {what}.")
    return first, None if last == -1 else last


def _from_librispeech(transcripts: Iterable[Path]) -> Manifest:
    """Read lines of a name and a text; the name begins with the number of the speaker."""
    entries = []
    for file in transcripts:
        for name, text in _pairs(file).items():
            sounds = [file.with_name(name + suffix) for suffix in SOUND]
            found = next((sound for sound in sounds if sound.is_file()), None)
            if found is None:
                raise DataError(f"{file} names {name!r}, but there is no {sounds[0].name} or the like beside it.")
            entries.append(Entry(found, text, name.partition("-")[0], str(found)))
    return Manifest(entries)


def _from_lines(folder: Path, truths: Sequence[Path]) -> Manifest:
    """Pair signals with the `.gt.txt` beside them, each with the first that there is of several forms.

    Where there are several folders, each is a group.
    """
    grouped = len({truth.parent for truth in truths}) > 1
    entries, dropped, named = [], Counter[str](), set[Path]()
    suffixes = (*(form + suffix for form in _FORMS for suffix in PICTURES), *SOUND, *FEATURES)
    for truth in truths:
        stem = truth.name.removesuffix(TRUTH)
        found = [file for suffix in suffixes if (file := truth.with_name(stem + suffix)).is_file()]
        if not found:
            dropped[f"{TRUTH} without a picture"] += 1
            continue
        group = truth.parent.relative_to(folder).as_posix() if grouped else None
        entries.append(Entry(found[0], read_text(truth).rstrip("\r\n"), group, str(truth)))
        named.update(found)
        dropped["further files of a line"] += len(found) - 1
    if alone := sum(file.suffix.lower() in PICTURES and file not in named for file in folder.rglob("*")):
        dropped[f"pictures without {TRUTH}"] += alone
    return Manifest(entries, +dropped)


def _from_pages(files: Iterable[Path]) -> Manifest:
    entries, dropped = [], Counter[str]()
    for file in files:
        page = read_page(file.read_bytes(), str(file))
        picture = find_picture(page, file) if page.lines else file
        for line in page.lines:
            if not (line.text or "").strip():
                dropped["lines without a text"] += 1
                continue
            where = f"{file}, line {line.name}"
            entries.append(Entry(picture, line.text, file.stem, where, line.polygon))
    return Manifest(entries, dropped)


def _pairs(file: Path) -> dict[str, str]:
    """Read lines of a name and the rest; raises DataError where a name comes twice or alone, naming the line."""
    found: dict[str, str] = {}
    for number, line in enumerate(split_lines(read_text(file)), 1):
        if not line.strip():
            continue
        name, *rest = line.split(maxsplit=1)
        if name in found or not rest:
            what = "names it again" if name in found else "has nothing after it"
            raise DataError(f"{file}, line {number}: {name!r:.60} {what}. Each line is a name and what belongs to it.")
        found[name] = rest[0].strip()
    return found


def _existing(folder: Path, name: str, where: str) -> Path:
    file = folder / name
    if not file.is_file():
        raise DataError(f"{where} names {name!r}, but there is no file {file}.")
    return file
