"""Finds the examples to measure a model on: those that its run held out, unless something else is asked for.

Knows recipes and data sets. Knows neither models nor measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tidegate.data import loading
from tidegate.data.dataset import Examples
from tidegate.data.kinds import KINDS
from tidegate.data.transcribed.recordings import Recordings
from tidegate.errors import DataError, InputError
from tidegate.ragged import Ragged
from tidegate.runs.source import Source, fingerprint

if TYPE_CHECKING:
    from tidegate.data import Dataset

PartName = Literal["all", "train", "valid", "test"]

_OF_THE_FILE = ("encoding", "delimiter")  # how one file is written says nothing of another


@dataclass(frozen=True)
class Part:
    """Hold the examples that are measured, what they are called, and in a line why it is they."""

    dataset: Dataset
    examples: Examples
    name: PartName
    note: str


def choose_part(source: Source, run: Mapping[str, Any], part: PartName | None = None) -> Part:
    """Load the examples to measure a model on.

    The data is read as the run read it, where it does not say otherwise itself. If it is what the run was made with, to
    the last example, the part that the run held out is taken; of data with a test part of its own that part; of
    anything else, all.

    Args:
        source: the data, with the options that were given.
        run: the section `data` of the recipe of the model's run; empty where there is none.
        part: take this part whatever the run held out.

    Raises InputError where there is no such part, and as `data.load` does.
    """
    read_alike = replace(source, options=_options(source, run) | dict(source.options))
    plain = replace(source, options={key: value for key, value in read_alike.options.items() if key != "split"})
    dataset, same = _load(read_alike, run)
    if "split" not in source.options and "split" in read_alike.options and (part == "all" or not same):
        dataset = plain.load()
    if part is not None:
        examples = _named(dataset, part)
        return Part(dataset, examples, part, f"the part {part}, as asked for: {_count(dataset, examples)}")
    if dataset.test is None:
        note = f"{_why_all(source, run, same=same)}: all {_count(dataset, dataset.train)}"
        return Part(dataset, _named(dataset, "all"), "all", note)
    by = "the test part"
    if "split" in dict(source.options):
        by = f"held out by a split of {source.options['split']}"
    elif "split" in read_alike.options:
        by = "held out by the run"
    return Part(dataset, dataset.test, "test", f"{by}: {_count(dataset, dataset.test)}")


def _load(source: Source, run: Mapping[str, Any]) -> tuple[Dataset, bool]:
    """Load data, and tell whether it is that of the run; where the split of a run cannot be made of it, it is not."""
    try:
        dataset = source.load()
    except DataError:
        if "split" not in source.options or not run:
            raise
        options = {key: value for key, value in source.options.items() if key != "split"}
        return replace(source, options=options).load(), False
    return dataset, bool(run) and fingerprint(dataset) == run.get("sha256")


def _options(source: Source, run: Mapping[str, Any]) -> dict[str, Any]:
    """Take from a run how to read data: all of it for the same data, what can be of use for another file."""
    known = {key: value for key, value in run.items() if key not in ("name", "sha256")}
    if _is_same_place(source, run):
        return known
    if not run or source.name in loading.names() or run["name"] in loading.names():
        return {}
    columns = _columns(source)
    fits = {key: value for key, value in known.items() if key not in _OF_THE_FILE}
    absent = [
        key for key in ("text", "label", "group", "from", "to") if columns is not None and fits.get(key) not in columns
    ]
    return {key: value for key, value in fits.items() if key not in absent}


def _columns(source: Source) -> list[str] | None:
    """Name the columns of a file of texts; None where it is no such table."""
    from tidegate.data.rows import KINDS, open_rows

    path = Path(source.name)
    if path.suffix.lower() not in KINDS or not path.is_file():
        return None
    rows = open_rows(path, **{key: source.options[key] for key in _OF_THE_FILE if key in source.options})
    rows.close()
    return rows.names


def _is_same_place(source: Source, run: Mapping[str, Any]) -> bool:
    if not run or source.name in loading.names():
        return source.name == run.get("name")
    return str(Path(source.name).resolve()) == str(run["name"])


def _why_all(source: Source, run: Mapping[str, Any], *, same: bool) -> str:
    if not run:
        return "no run says what was held out"
    if same:
        return "the run held nothing out, so these are what it was trained on"
    if _is_same_place(source, run):
        return f"{source.name} is not what it was when the run was made, and may hold what it was trained on"
    return f"{source.name} is not the data of the run"


def _named(dataset: Dataset, part: PartName) -> Examples:
    parts = {"train": dataset.train, "valid": dataset.valid, "test": dataset.test}
    if part == "all":
        return _joined([examples for examples in parts.values() if examples is not None])
    if (found := parts[part]) is None:
        there = ", ".join(name for name, examples in parts.items() if examples is not None)
        raise InputError(f"{dataset.name} has no part {part}, only {there}. Hold some out with a split, or take all.")
    return found


def _joined(parts: list[Examples]) -> Examples:
    if len(parts) == 1:
        return parts[0]
    if recordings := [part.x for part in parts if isinstance(part.x, Recordings)]:
        return Examples(reduce(Recordings.joined, recordings), None)
    x = [example for part in parts for example in (part.x.to_list() if isinstance(part.x, Ragged) else part.x)]
    y = None if parts[0].y is None else [label for part in parts for label in part.y]
    return Examples(type(first).from_list(x) if isinstance(first := parts[0].x, Ragged) else x, y)


def _count(dataset: Dataset, examples: Examples) -> str:
    card = KINDS[dataset.kind]
    total = sum(len(part) for part in (dataset.train, dataset.valid, dataset.test) if part is not None)
    if card.in_time or len(examples) == total:
        return f"{len(examples):,} {card.unit}"
    return f"{len(examples):,} of {total:,} {card.unit}"
