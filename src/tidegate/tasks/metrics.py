"""The metrics of a run: a line of JSON for each step, written while it trains, and what they come to when it has ended.

Knows the one file and the records in it. Knows neither tasks nor run folders.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from tidegate.data.plain_text import split_lines
from tidegate.durable import atomic_write
from tidegate.errors import RunFolderError
from tidegate.health import HealthWarning

Json: TypeAlias = dict[str, Any]
VALIDATION, BEFORE_REFIT = "validation", "validation before the refit"


@dataclass(frozen=True)
class Course:
    """Hold what a run came to on its way.

    history: a record for each epoch.
    tokens_per_second: of all steps together.
    warnings: those that were given meanwhile.
    """

    history: list[Json]
    tokens_per_second: float
    warnings: list[str]


def append_record(path: Path, record: Json) -> None:
    """Append one record, as one line of JSON."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
    except OSError as error:
        raise OSError(error.errno, f"could not write: {error.strerror}", str(path)) from error


def flush_records(path: Path) -> None:
    """Bring the metrics to the disk: to be called before a state that is as far is saved."""
    if path.exists():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def rewind_records(path: Path, step: int, *, epochs: Sequence[Json] = ()) -> None:
    """Make the metrics those of the first `step` steps.

    Drops those of later steps, which will be made again, and a last line that a kill cut short. Where lines are
    missing, as after a power cut, the ends of their epochs are told from `epochs`, with a warning.

    Args:
        path: of the file.
        step: how far the state is.
        epochs: one record for each epoch up to there, with `epoch`, `step` and what shall be said of its end.
    """
    kept, last = _lines(path, step)
    if last < step:
        lost = [record for record in epochs if last < record["step"] <= step]
        kept += [json.dumps({**record, "end_of_epoch": True}).encode() + b"\n" for record in lost]
        warnings.warn(
            f"{path} ends with step {last}, but the state is that of step {step}. The epochs that ended "
            "meanwhile are taken from the state, their single steps are lost; the model is not affected.",
            stacklevel=3,
        )
    atomic_write(path, b"".join(kept))


def replace_baselines(path: Path, records: Sequence[Json]) -> None:
    """Write at the end of the metrics what simple models reached, in the place of what was said of them before."""
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if "baseline" not in json.loads(line)]
    atomic_write(path, b"".join([*kept, *(json.dumps(record).encode() + b"\n" for record in records)]))


def read_course(path: Path) -> Course:
    """Sum up the metrics of a run; raises RunFolderError where they are not there, or tell of no whole epoch."""
    try:
        records = [json.loads(line) for line in split_lines(path.read_text(encoding="utf-8"))]
        steps = [record for record in records if "baseline" not in record]
        history = [_epoch_record(step) for step in steps if step["end_of_epoch"]]
        told = [str(HealthWarning(**found)) for step in steps for found in step.get("warnings", ())]
        course = Course(history, _speed(steps), told)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{path} cannot be read as the metrics of a run: {error!r}.") from None
    if not history:
        raise RunFolderError(f"{path} holds no whole epoch.")
    return course


def measured(step: Json) -> Json:
    """Take out of the record of a step what was measured on the part held out, for the record of its epoch.

    >>> measured({"valid": {"loss": 0.5}, "classes": {"worst": "rare", "never_predicted": ()}, "tokens": 3})
    {'valid_loss': 0.5, 'worst_class': 'rare', 'never_predicted': []}
    """
    found: Json = {f"valid_{name}": value for name, value in (step["valid"] or {}).items()}
    if step.get("refit"):
        found["refit"] = True
    if classes := step.get("classes"):  # metrics of version 0.1 have none
        found |= {"worst_class": classes["worst"], "never_predicted": list(classes["never_predicted"])}
    return found | (step.get("beside") or {})


def kept_epoch(history: Sequence[Json], *, patience: int) -> Json:
    """Return the record of the epoch whose weights are kept: the best one, or the last; nothing of no epochs.

    Where there was a second training, on all rows, it is the epoch of the first one that says how long that took.

    >>> kept_epoch([{"epoch": 1, "valid_loss": 0.5}, {"epoch": 2, "valid_loss": 0.7}], patience=3)["epoch"]
    1
    """
    first = [record for record in history if not record.get("refit")]
    if not first:
        return {}
    return min(first, key=lambda record: record.get("valid_loss", 0.0)) if patience else first[-1]


def refitted(history: Sequence[Json]) -> bool:
    """Tell whether there was a second training, on all rows: then what is handed out has seen the part held out.

    >>> refitted([{"epoch": 1, "valid_loss": 0.5}, {"epoch": 2, "refit": True}])
    True
    """
    return any(record.get("refit") for record in history)


def valid_parts(history: Sequence[Json], *, patience: int) -> dict[str, dict[str, float]]:
    """Say what was reached on the part held out, and by what: `validation`, or that before the refit.

    >>> valid_parts([{"epoch": 1, "valid_loss": 0.5}, {"epoch": 2, "refit": True}], patience=3)
    {'validation before the refit': {'loss': 0.5}}
    """
    name = BEFORE_REFIT if refitted(history) else VALIDATION
    return {name: valid_measures(history, patience=patience)}


def valid_measures(history: Sequence[Json], *, patience: int) -> dict[str, float]:
    """Say what the weights of the epoch that is kept reached on the part held out.

    >>> valid_measures([{"loss": 0.9, "valid_loss": 0.5}, {"loss": 0.8, "valid_loss": 0.7}], patience=3)
    {'loss': 0.5}
    """
    kept = kept_epoch(history, patience=patience)
    return {name.removeprefix("valid_"): value for name, value in kept.items() if name.startswith("valid_")}


def told_of_epoch(record: Json, epochs: int) -> Json:
    """Say in the words of the metrics what the history says of an epoch."""
    valid = {name.removeprefix("valid_"): value for name, value in record.items() if name.startswith("valid_")}
    kept = {name: record[name] for name in ("epoch", "step", "learning_rate", "seconds", "refit") if name in record}
    return kept | {"epochs": epochs, "mean_loss": record["loss"], "valid": valid or None}


def _lines(path: Path, step: int) -> tuple[list[bytes], int]:
    """Read the lines of the first `step` steps as far as they are whole, and the number of the last of them."""
    kept, last = [], 0
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
        try:
            number = json.loads(line)["step"]
        except (ValueError, KeyError, TypeError):
            break
        if not line.endswith(b"\n") or number > step:
            break
        kept.append(line)
        last = number
    return kept, last


def _speed(steps: Sequence[Mapping[str, Any]]) -> float:
    """Divide the tokens of the steps by their seconds; what is told of lost steps (`rewind`) has no tokens."""
    tokens, seconds, before = 0, 0.0, 0.0
    for step in steps:
        if "tokens" in step:
            tokens, seconds = tokens + step["tokens"], seconds + step["seconds"] - before
        before = step["seconds"]
    return tokens / seconds if seconds else 0.0


def _epoch_record(step: Json) -> Json:
    found = measured(step)
    return {"epoch": step["epoch"], "train_loss": step["mean_loss"], **found, "seconds": step["seconds"]}
