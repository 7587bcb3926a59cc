"""Columns of numbers as people write them: decimal points or commas, and what stands for nothing. Knows no series."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import Where
from tidegate.data.time_columns import looks_like_times
from tidegate.errors import Argument, DataError, OptionError

Values = npt.NDArray[np.float64]

MISSING = {"", "na", "n/a", "<na>", "nan", "nat", "null", "none", "?", "-"}
"""What stands for no value, upper or lower case."""

_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_GROUPS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:[ \u00a0\u202f'’.,]\d{3})+(?:[.,]\d+)?")


def read_numbers(
    columns: Mapping[str, Sequence[object]],
    *,
    where: Where,
    decimal: str | None = None,
    leave_out: Argument | None = None,
) -> tuple[Values, str]:
    """Read columns of numbers [T, C]; what is missing becomes NaN. Say whether decimals stand after a point or a comma.

    Args:
        columns: of one length, by their names.
        where: names a row.
        decimal: `.` or `,`; without it a comma is taken for one where all numbers of the columns agree with that.
        leave_out: by which a column can be left out, for messages.

    Raises:
        DataError: a value is no number, or may be two, as 1,234 is; row and column are named.
        OptionError: `decimal` is neither.

    >>> read_numbers({"y": ["1,5", "2"]}, where=str)
    (array([[1.5],
           [2. ]]), ',')
    """
    if decimal not in (None, ".", ","):
        raise OptionError(f"decimal={decimal!r} is neither '.' nor ','.")
    texts = [item for column in columns.values() for item in column if isinstance(item, str) and "," in item]
    sign = decimal or ("," if texts and _are_decimals(columns, texts) else ".")
    read = [_column(column, name, sign, where, leave_out) for name, column in columns.items()]
    return np.stack(read, axis=1), sign


def _are_decimals(columns: Mapping[str, Sequence[object]], texts: Sequence[str]) -> bool:
    """Say whether commas part decimals: all that have one are such numbers, one of them none else; none has a point."""
    pointed = any(isinstance(item, str) and "." in item for column in columns.values() for item in column)
    stripped = [text.strip() for text in texts]
    alike = all(map(_COMMA.fullmatch, stripped))
    return alike and not pointed and not all(map(_GROUPS.fullmatch, stripped))


def _column(column: Sequence[object], name: str, sign: str, where: Where, leave_out: Argument | None) -> Values:
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        return column.astype(np.float64)
    out = np.empty(len(column))
    for index, item in enumerate(column):
        try:
            out[index] = _number(item, sign)
        except (ValueError, TypeError, OverflowError):
            raise _no_number(item, name, where(index), sign, leave_out) from None
    return out


def _number(item: object, sign: str) -> float:
    if isinstance(item, float | int):
        return float(item)
    text = "" if item is None else str(item).strip()
    if text.lower() in MISSING:
        return np.nan
    if "_" in text or (sign == "," and "." in text):
        raise ValueError(text)
    return float(text.replace(",", ".") if sign == "," else text)


def _no_number(item: object, name: str, row: str, sign: str, leave_out: Argument | None) -> DataError:
    text = str(item).strip()
    said = f"{row} has {item!r:.40} in the column {name!r}, which is no number"
    comma = Argument("decimal", ",")
    if _GROUPS.fullmatch(text) and sign == ".":
        return DataError(f"{said} but two: if the comma parts decimals, pass ", comma, "; if thousands, take it out.")
    if _THOUSANDS.fullmatch(text):
        return DataError(f"{said} with its thousands parted. Write it without.")
    if _COMMA.fullmatch(text) and sign == ".":
        return DataError(f"{said} but with a decimal comma. Pass ", comma, " where all numbers have one.")
    if looks_like_times([item]):
        return DataError(
            f"{row} has the time {item!r:.40} in the column {name!r}, where a number is wanted. Where that "
            "is the column of the times, name it: ",
            Argument("time_column", name),
            ".",
        )
    if leave_out is None:
        return DataError(f"{said}. Mend it.")
    return DataError(f"{said}. Mend it, or leave that column out: ", leave_out)
