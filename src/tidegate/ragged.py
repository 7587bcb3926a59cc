"""The one batch type: sequences end to end, and where each begins.

Knows NumPy and torch arrays by their manners alone; torch need not be installed.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import ShapeError

Array: TypeAlias = Any
"""A NumPy array or a torch tensor: no type can name both where torch may be missing."""


@dataclass(frozen=True, eq=False, repr=False)
class Ragged:
    """Hold sequences of different lengths end to end, without padding.

    Sequence ``i`` is ``values[offsets[i]:offsets[i + 1]]``. It may be empty, and so may the batch.

    Args:
        values: [N, ...], all tokens of all sequences; a NumPy array or a torch tensor.
        offsets: [B + 1] int64, ascending from 0 to N, of the same library as ``values``. A torch
            ``offsets`` stays on the CPU wherever ``values`` live.

    Raises:
        ShapeError: ``offsets`` do not describe ``values``.

    >>> batch = Ragged(np.array([7, 8, 9]), np.array([0, 2, 2, 3]))
    >>> batch.to_list()
    [array([7, 8]), array([], dtype=int64), array([9])]
    """

    values: Array
    offsets: Array

    def __post_init__(self) -> None:
        values, offsets = self.values, self.offsets
        if library_of(values) is not library_of(offsets):
            raise ShapeError(
                f"values are a {type(values).__name__} but offsets are a {type(offsets).__name__}. "
                "Pass both as NumPy arrays or both as torch tensors."
            )
        if values.ndim < 1:
            raise ShapeError("values are a single number, but Ragged wants [N, ...]. Pass at least one axis.")
        _check_offsets(in_numpy(offsets), len(values))

    @classmethod
    def _of(cls, values: Array, offsets: Array) -> Ragged:
        """Make one of offsets that were made for these values here, and so need no check."""
        made = object.__new__(cls)
        object.__setattr__(made, "values", values)
        object.__setattr__(made, "offsets", offsets)
        return made

    @classmethod
    def from_list(cls, sequences: Sequence[Any], *, dtype: npt.DTypeLike | None = None) -> Ragged:
        """Join a list of sequences.

        Args:
            sequences: B arrays [T, ...], torch tensors [T, ...] or lists of numbers; any may be empty.
            dtype: type of the values of lists and NumPy arrays; by default NumPy chooses it from the sequences
                that are not empty. Tensors keep theirs.

        Raises:
            ShapeError: one sequence is a single number, or its tokens have another shape than the rest.

        >>> Ragged.from_list([[1, 2, 3], [], [4]]).lengths
        array([3, 0, 1])
        """
        arrays = [
            s if hasattr(s, "ndim") else as_array(s, f"sequence {index}", dtype) for index, s in enumerate(sequences)
        ]
        _check_tokens(arrays)
        lengths = [len(array) for array in arrays]
        offsets = np.zeros(len(arrays) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        if not arrays:
            return cls._of(np.zeros(0, dtype or np.float64), offsets)
        parts = [array for array in arrays if len(array)] or arrays[:1]
        library = library_of(parts[0])
        values = library.concatenate(parts)
        if library is np:
            values = values.astype(dtype or values.dtype, copy=False)
        return cls._of(values, library.asarray(offsets))

    @classmethod
    def from_padded(cls, padded: Array, lengths: Array | None = None, *, batch_first: bool = True) -> Ragged:
        """Drop the padding of a rectangle.

        Args:
            padded: [B, T, ...], or [T, B, ...] with ``batch_first=False``. What lies past a length is not read.
            lengths: [B], each between 0 and T; None where there is no padding, and all are T long.
            batch_first: which of the two forms ``padded`` has.

        Raises:
            ShapeError: there is not one length per row, or a length is no whole number, negative or above T.

        >>> Ragged.from_padded(np.array([[1, 2, 0], [3, 0, 0]]), [2, 1]).values
        array([1, 2, 3])
        """
        if padded.ndim < 2:
            raise ShapeError(f"padded is {list(padded.shape)}, but a rectangle of sequences has at least 2 axes.")
        rows = padded if batch_first else padded.swapaxes(0, 1)
        batch_size, steps = rows.shape[:2]
        library = library_of(padded)
        if lengths is None:
            offsets = np.arange(batch_size + 1, dtype=np.int64) * steps
            return cls._of(rows.reshape(batch_size * steps, *rows.shape[2:]), library.asarray(offsets))
        counts = whole_numbers(lengths, "the lengths")
        if counts.shape != (batch_size,):
            raise ShapeError(
                f"lengths are {list(counts.shape)} but padded holds {batch_size} sequences. Pass one each."
            )
        wrong = np.flatnonzero((counts < 0) | (counts > steps))
        if wrong.size:
            raise ShapeError(f"length {counts[wrong[0]]} of sequence {wrong[0]} is not between 0 and {steps} steps.")
        valid = np.arange(steps) < counts[:, None]  # [B, T]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls._of(rows[library.asarray(valid)], library.asarray(offsets))

    def to_padded(self, fill: float = 0) -> tuple[Array, Array]:
        """Return a rectangle [B, T, ...] with ``fill`` past each end, and the lengths [B]; T is the longest length.

        >>> padded, lengths = Ragged.from_list([[1, 2], [3]]).to_padded(fill=-1)
        >>> padded
        array([[ 1,  2],
               [ 3, -1]])
        """
        offsets = in_numpy(self.offsets)
        lengths = np.diff(offsets)
        row = np.repeat(np.arange(len(self)), lengths)  # [N]
        column = np.arange(len(self.values)) - np.repeat(offsets[:-1], lengths)  # [N]
        shape = (len(self), int(lengths.max(initial=0)), *self.values.shape[1:])
        library = library_of(self.values)
        if library is not np:
            place = (library.asarray(row), library.asarray(column))
            return self.values.new_full(shape, fill).index_put(place, self.values), self.lengths
        padded = np.full(shape, fill, self.values.dtype)
        padded[row, column] = self.values
        return padded, self.lengths

    def to_list(self) -> list[Array]:
        """Return the B sequences, each a view of ``values``."""
        return list(self)

    def select(self, indices: Array) -> Ragged:
        """Return the sequences at ``indices`` [K], in that order, copied; an index may repeat or be negative.

        >>> Ragged.from_list([[1], [2, 3], []]).select([1, 0, 1]).values
        array([2, 3, 1, 2, 3])
        """
        offsets = in_numpy(self.offsets)
        chosen = np.asarray(indices, dtype=None if len(indices) else np.int64)
        lengths = np.diff(offsets)[chosen]
        joined = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        tokens = np.arange(joined[-1]) + np.repeat(offsets[:-1][chosen] - joined[:-1], lengths)  # [N]
        library = library_of(self.values)
        return Ragged._of(self.values[library.asarray(tokens)], library.asarray(joined))

    def followed_by(self, other: Ragged) -> Ragged:
        """Return these sequences and those of `other` behind them, copied; both hold NumPy arrays.

        >>> Ragged.from_list([[1], [2, 3]]).followed_by(Ragged.from_list([[4]])).to_list()
        [array([1]), array([2, 3]), array([4])]
        """
        offsets = np.concatenate([self.offsets, other.offsets[1:] + self.offsets[-1]])
        return Ragged(np.concatenate([self.values, other.values]), offsets)

    def where(self, kept: Array) -> Ragged:
        """Return the sequences without the tokens for which ``kept`` [N] is false, copied.

        Raises:
            ShapeError: ``kept`` does not say true or false of each token.

        >>> Ragged.from_list([[1, 2], [3]]).where(np.array([False, True, False])).to_list()
        [array([2]), array([], dtype=int64)]
        """
        stays, library = np.asarray(kept), library_of(self.values)
        if stays.shape != (len(self.values),) or stays.dtype != bool:
            raise ShapeError(
                f"kept is {stays.dtype} {list(stays.shape)}, but {len(self.values)} tokens want true or false each."
            )
        before = np.concatenate([[0], np.cumsum(stays)])  # [N+1]
        return Ragged._of(self.values[library.asarray(stays)], library.asarray(before[in_numpy(self.offsets)]))

    def with_values(self, values: Array) -> Ragged:
        """Return ``values`` [N, ...] cut where these are cut; the offsets are shared and not checked again.

        Raises:
            ShapeError: ``values`` have another number of tokens.
        """
        if values.shape[0] != self.values.shape[0]:
            raise ShapeError(f"values hold {values.shape[0]} tokens, but this batch has {self.values.shape[0]}.")
        return Ragged._of(values, self.offsets)

    def split(self, channels: int, *, shared: int = 0) -> Ragged:
        """Make a sequence of each channel, copied: those of sequence b are b * channels and the ones behind it.

        Args:
            channels: K; values are [N, K * F + shared], the F features of each channel in turn.
            shared: how many features, at the end, go to every channel: values become [N * K, F + shared].

        Raises:
            ShapeError: the values are not of that shape.

        >>> Ragged(np.array([[1, 2, 0], [3, 4, 9]]), np.array([0, 2])).split(2, shared=1).to_list()
        [array([[1, 0],
               [3, 9]]), array([[2, 0],
               [4, 9]])]
        """
        own, left = divmod(self.values.shape[1] - shared, channels) if self.values.ndim == 2 else (0, 1)
        if own < 0 or left:
            raise ShapeError(
                f"values are {list(self.values.shape)}; wanted [N, {channels} * F + {shared}] to split into channels."
            )
        offsets, library = in_numpy(self.offsets), library_of(self.values)
        lengths = np.repeat(np.diff(offsets), channels)
        joined = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.arange(joined[-1]) + np.repeat(np.repeat(offsets[:-1], channels) - joined[:-1], lengths)
        channel = np.repeat(np.tile(np.arange(channels), len(self)), lengths)  # [N * K]
        columns = np.concatenate(
            [
                channel[:, None] * own + np.arange(own),
                np.broadcast_to(channels * own + np.arange(shared), (len(channel), shared)),
            ],
            axis=1,
        )
        values = self.values[library.asarray(rows[:, None]), library.asarray(columns)]
        return Ragged._of(values, library.asarray(joined))

    @property
    def lengths(self) -> Array:
        """The number of tokens of each sequence, [B] int64."""
        return self.offsets[1:] - self.offsets[:-1]

    def __len__(self) -> int:
        """Return the number of sequences B."""
        return int(self.offsets.shape[0]) - 1

    def __getitem__(self, index: int) -> Array:
        """Return one sequence [T, ...], a view; a negative index counts from the end."""
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"sequence {index} of a batch of {size}")
        start = index % size
        return self.values[int(self.offsets[start]) : int(self.offsets[start + 1])]

    def __iter__(self) -> Iterator[Array]:
        ends = self.offsets.tolist()
        return (self.values[start:end] for start, end in pairwise(ends))

    def __repr__(self) -> str:
        return f"Ragged({len(self)} sequences, values {list(self.values.shape)} {self.values.dtype})"


@dataclass(frozen=True, eq=False, repr=False)
class Tokened:
    """Hold B sequences of N token ids; whoever reads more of them than the ids adds to it.

    tokens: [N] int32 or int64, in B sequences; any may be empty.
    """

    tokens: Ragged

    @property
    def offsets(self) -> npt.NDArray[Any]:
        """Where each sequence begins, [B + 1]."""
        return np.asarray(self.tokens.offsets)

    @property
    def lengths(self) -> npt.NDArray[Any]:
        """The number of tokens of each sequence, [B]."""
        return np.asarray(self.tokens.lengths)

    def __len__(self) -> int:
        """Return the number of sequences B."""
        return len(self.tokens)


def library_of(array: Array) -> ModuleType:
    """Find the array library, numpy or torch, that made an array; torch is then loaded already."""
    for kind in type(array).__mro__:
        name = kind.__module__.partition(".")[0]
        if name == "numpy":
            return np
        if name == "torch":
            return importlib.import_module(name)
    raise ShapeError(f"a {type(array).__name__} came where a NumPy array or a torch tensor was wanted.")


def in_numpy(offsets: Array) -> npt.NDArray[Any]:
    """Read what was made of whole numbers for a batch, such as offsets, also where a transform of torch holds them."""
    try:
        return np.asarray(offsets)
    except RuntimeError:  # inside the transforms of torch.func, where no tensor hands out its memory
        return np.asarray(offsets.tolist(), str(offsets.dtype).removeprefix("torch."))


def _check_offsets(offsets: npt.NDArray[np.int64], tokens: int) -> None:
    if offsets.ndim != 1 or offsets.size == 0 or offsets.dtype != np.int64:
        raise ShapeError(f"offsets are {list(offsets.shape)} {offsets.dtype}, but Ragged wants [B + 1] int64.")
    if offsets[0] != 0 or offsets[-1] != tokens:
        raise ShapeError(f"offsets run from {offsets[0]} to {offsets[-1]}, but values hold tokens 0 to {tokens}.")
    if offsets.size > 1 and (offsets[1:] < offsets[:-1]).any():
        falls = int(np.flatnonzero(offsets[1:] < offsets[:-1])[0])
        raise ShapeError(f"offsets fall from {offsets[falls]} to {offsets[falls + 1]} at sequence {falls}.")


def as_array(given: Any, name: str, dtype: npt.DTypeLike | None) -> npt.NDArray[Any]:
    """Make an array of numbers; raises ShapeError where it is none."""
    try:
        return np.asarray(given, dtype)
    except (ValueError, TypeError) as error:
        raise ShapeError(f"{name} is not an array of numbers: {error}") from error


def whole_numbers(given: Any, name: str) -> npt.NDArray[np.int64]:
    """Make an array of whole numbers, int64; raises ShapeError for others, which would be cut off.

    >>> whole_numbers([2, 1], "the lengths")
    array([2, 1])
    """
    numbers = in_numpy(given)
    if numbers.size and numbers.dtype.kind not in "iu":
        raise ShapeError(f"{name} are {numbers.dtype}; whole numbers are wanted. Round them first.")
    return numbers.astype(np.int64)


def _check_tokens(arrays: list[Array]) -> None:
    """Refuse single numbers and tokens of different shapes; an empty list has no token to differ."""
    shape: tuple[int, ...] | None = None
    for index, array in enumerate(arrays):
        if array.ndim < 1:
            raise ShapeError(f"sequence {index} is a single number, but a sequence has at least one axis.")
        token = tuple(array.shape[1:])
        if len(array) and shape is None:
            shape = token
        if len(array) and token != shape:
            raise ShapeError(f"tokens of sequence {index} are {list(token)} but those before are {list(shape or ())}.")
