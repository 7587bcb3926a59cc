"""Long recordings with labels, from a table: one row per step, cut into sequences or sliding windows.

Knows columns and groups; `tables` knows the formats. What comes of one recording is never torn apart by a split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import LARGEST, Where, check_labels
from tidegate.data.dataset import Dataset, Examples
from tidegate.data.kinds import Layout
from tidegate.data.numbers import read_numbers
from tidegate.data.split import group_split
from tidegate.data.tables import FORM, Form, Table, listing, read_table, usual
from tidegate.errors import Argument, DataError, InputError
from tidegate.ragged import Ragged

_GROUP_NAMES = ("group", "recording", "session", "sequence", "subject", "id")
_LABEL_NAMES = ("label", "class", "activity", "state", "target")
_VALID = 0.1  # share of the recordings to tune on


@dataclass(frozen=True)
class Choice:
    """Say which columns hold what, and how long windows are; None stands for usual names, and for whole recordings.

    group: tells the recordings apart.
    label: what is to be learned; of a window, the label that most of its steps have.
    features: names with commas between them; without them every other column.
    window: steps of a window; a recording that is shorter gives one sequence of its own length.
    stride: steps from one window to the next; half a window by default.
    """

    group: str | None = None
    label: str | None = None
    features: str | None = None
    window: int | None = None
    stride: int | None = None

    def pick(self, found: Sequence[str], path: Path) -> tuple[str, ...]:
        """Choose the columns among those found: group, label, then features.

        Raises DataError where a name is missing or nothing decides; the columns are listed.

        >>> Choice(features="x,z").pick(["x", "y", "z", "Label", "recording"], Path("walk.csv"))
        ('recording', 'Label', 'x', 'z')
        """
        group, label = self.group or usual(_GROUP_NAMES, found), self.label or usual(_LABEL_NAMES, found)
        for what, name in (("group", group), ("label", label)):
            if name is None:
                unclear = f"{path} has no column that is clearly the {what}."
                raise DataError(f"{unclear} {listing(found)} Name it: ", Argument(what))
        assert group is not None and label is not None
        chosen = (group, label, *(self._wanted() or (name for name in found if name not in (group, label))))
        _check_present(chosen, found, path)
        if len(set(chosen)) < max(len(chosen), 3):
            wanted_are = "group, label and at least one feature must be different columns"
            raise DataError(f"{path}: {wanted_are}. {listing(found)}")
        return chosen

    def pick_steps(self, found: Sequence[str], path: Path) -> tuple[str | None, tuple[str, ...]]:
        """Choose the group, None where no column is clearly that, and the features of a table that needs no labels.

        Raises DataError where a name is missing, stands twice, or no feature is left; the columns are listed.

        >>> Choice().pick_steps(["x", "y", "Label", "recording"], Path("walk.csv"))
        ('recording', ('x', 'y'))
        """
        wanted = self._wanted()
        group = self.group or usual(_GROUP_NAMES, [name for name in found if name not in wanted])
        label = self.label or usual(_LABEL_NAMES, found)
        features = tuple(wanted or (name for name in found if name not in (group, label)))
        chosen = features if group is None else (group, *features)
        _check_present(chosen, found, path)
        if twice := [name for name in chosen if found.count(name) > 1 or chosen.count(name) > 1]:
            raise DataError(f"{path}: {twice[0]!r} must be one column: the group, or a feature. {listing(found)}")
        if not features:
            raise DataError(f"{path} has no column left for the features. {listing(found)}")
        return group, features

    def _wanted(self) -> list[str]:
        return [name.strip() for name in self.features.split(",")] if self.features else []


def _check_present(names: Sequence[str], found: Sequence[str], path: Path) -> None:
    for name in names:
        if name not in found:
            raise DataError(f"{path} has no column {name!r}. {listing(found)}")


def load_recordings(
    path: Path,
    *,
    unlabelled: bool = False,
    window: str | None = None,
    stride: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    **columns: str,
) -> Dataset:
    """Load a table with one row per step, sorted by time within each recording.

    A tenth of the recordings becomes `valid`, where there are at least three.

    Args:
        path: a .csv, .tsv, .jsonl or .parquet file.
        unlabelled: refused, as there is no such part.
        window: steps of a window; None for whole recordings.
        stride: steps from one window to the next.
        decimal: see `numbers.read_numbers`.
        encoding: see `tables.Form`.
        delimiter: see there.
        **columns: the other fields of `Choice`.

    Raises:
        DataError: a value is missing, or no number where one is wanted; the row is named. Or a recording that is not
            cut into windows changes its label.
        InputError: a window or stride is no whole number above zero.
    """
    if unlabelled:
        raise InputError(f"{path} has no unlabelled part.")
    choice = Choice(**columns, window=read_count("window", window), stride=read_count("stride", stride))
    if choice.stride is not None and choice.window is None:
        raise InputError("stride is the way from one window to the next. Give window, too.")
    table = read_table(path, choice.pick, Form(encoding, delimiter))
    examples, valid = _cut(table, choice, decimal), None
    if examples.groups is not None and examples.groups[-1] >= 2:
        kept, held = group_split(examples.y, examples.groups, _VALID)
        examples, valid = examples.select(kept), examples.select(held)
    classes = tuple(sorted(set(examples.y)))
    return Dataset(path.resolve().name, "sequence", classes, examples, valid, taken=_taken(table.names))


def _taken(names: Sequence[str]) -> dict[str, str]:
    """Say which columns were taken, in the words of `Choice`, which cannot name a feature with a comma."""
    group, label, *features = names
    spelled = ",".join(features)
    alike = [name.strip() for name in spelled.split(",")] == features
    return {"group": group, "label": label} | ({"features": spelled} if alike else {})


def read_count(name: str, text: str | None) -> int | None:
    """Read a number of steps; raises InputError where it is none above zero."""
    if text is None:
        return None
    if not (str(text).isdigit() and int(text) > 0):
        raise InputError(f"{name}={text!r}: wanted a whole number of steps above zero.")
    return int(text)


def _cut(table: Table, choice: Choice, decimal: str | None) -> Examples:
    """Gather the steps of each recording, cut it, and label what comes of it; recordings are numbered from 0."""
    groups, labels = [[str(value).strip() for value in column] for column in table.columns[:2]]
    check_labels(table.columns[0], where=lambda row: f"{table.where(row)}, column {table.names[0]!r},")
    check_labels(table.columns[1], where=table.where)
    features = read_features(table.names[2:], table.columns[2:], where=table.where, decimal=decimal)  # [rows, C]
    names = list(dict.fromkeys(groups))
    numbers = {name: number for number, name in enumerate(names)}
    codes = np.array([numbers[name] for name in groups])
    rows, answers, owners = [], [], []
    for number, name in enumerate(names):
        steps = np.flatnonzero(codes == number).tolist()
        for begin, end in _spans(len(steps), choice):
            found = Counter(labels[row] for row in steps[begin:end])
            if choice.window is None and len(found) > 1:
                change = next(row for row in steps if labels[row] != labels[steps[0]])
                raise DataError(
                    f"{table.where(change)}: recording {name!r} changes its label from {labels[steps[0]]!r} to "
                    f"{labels[change]!r}. Cut it into windows: ",
                    Argument("window"),
                )
            rows.append(features[steps[begin:end]])
            answers.append(min(found, key=lambda label: (-found[label], label)))
            owners.append(number)
    return Examples(Ragged.from_list(rows, dtype=np.float32), answers, groups=np.array(owners))


def _spans(steps: int, choice: Choice) -> list[tuple[int, int]]:
    """List where windows begin and end; steps after the last whole window are left out.

    >>> _spans(10, Choice(window=4)), _spans(3, Choice(window=4)), _spans(3, Choice())
    ([(0, 4), (2, 6), (4, 8), (6, 10)], [(0, 3)], [(0, 3)])
    """
    if choice.window is None or steps <= choice.window:
        return [(0, steps)]
    stride = choice.stride or max(1, choice.window // 2)
    return [(begin, begin + choice.window) for begin in range(0, steps - choice.window + 1, stride)]


def read_features(
    names: Sequence[str], columns: Sequence[Sequence[object]], *, where: Where, decimal: str | None = None
) -> npt.NDArray[np.float32]:
    """Read columns as finite numbers, `[rows, C]`; raises DataError, naming row and column."""
    found = dict(zip(names, columns, strict=True))
    values, _ = read_numbers(found, where=where, decimal=decimal, leave_out=Argument("features"))
    wrong = np.argwhere(~(np.abs(values) <= LARGEST))
    if len(wrong):
        row, column = wrong[0]
        name, value = names[column], columns[column][row]
        raise DataError(
            f"{where(int(row))}, column {name!r} is {value!r:.40}; features must be finite numbers up to "
            f"{LARGEST:g}. Fill the gap, rescale the column, or choose those to read: ", Argument("features")
        )  # fmt: skip
    return values.astype(np.float32)


LAYOUT = Layout(load_recordings, ("group", "label", "features", "window", "stride", "decimal", *FORM))
