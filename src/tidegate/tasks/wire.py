"""How a task is asked over a network: what a message may hold, what is computed of many of them, and what goes back.

Knows neither HTTP nor a task: the folder of a task fills in a `Wire`, servers and clients go by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import check_texts
from tidegate.errors import DataError, InputError, ShapeError
from tidegate.tasks.live import Live

Array: TypeAlias = npt.NDArray[Any]
Json: TypeAlias = dict[str, Any]
Given: TypeAlias = Literal["texts", "sequences", "series"]
Tensors: TypeAlias = Mapping[str, Array]
Tensor: TypeAlias = tuple[str, str, tuple[int, ...]]
"""The name, type and shape of an array, -1 for any length."""

CHARACTERS = 4  # of a text that count as one token, before anything has read it


def step_cost(step: Any) -> int:
    """Guess the tokens of a step: a row of numbers, a number, or a piece of a text.

    >>> step_cost([0.1, 0.2]), step_cost("wave"), step_cost(3)
    (3, 2, 1)
    """
    if isinstance(step, str | bytes):
        return len(step) // CHARACTERS + 1
    return len(step) + 1 if isinstance(step, list) else 1


def steps_cost(steps: Sequence[Any], _end: bool, _kept: Callable[[], int]) -> int:
    """Guess the tokens that steps take of which each costs the same, however many came before."""
    return 1 + sum(map(step_cost, steps))


@dataclass(frozen=True)
class LiveWire:
    """Say how a live session of a task is held over a network.

    Args:
        options: what a session may be begun with, by name, and the type of each.
        tell: says the answer to a step as JSON.
        last: ends a session, and gives the answers that waited.
        steps: turns arrays by name into steps.
        hear: turns the answer to a step, as JSON, into what the session of the task gives; knows the labels.
        gather: makes of the answers to many steps what `Wire.arrays` takes.
        most: the largest value of options that cost memory and time, by name.
        kept: counts what a session keeps of all steps so far; None where its state does not grow with them.
        cost: guesses the tokens that steps take, texts also as bytes; whether the end comes with them; and what `kept`
            counted before them, which is asked only where it matters.
    """

    options: Mapping[str, Any]
    tell: Callable[[Any, Any], Json]
    last: Callable[[Live], Sequence[Any]]
    steps: Callable[[Any, Tensors], list[Any]]
    hear: Callable[[Sequence[Any], Json], Any]
    gather: Callable[[Sequence[Any]], Sequence[Any]] = list
    most: Mapping[str, int] = field(default_factory=dict)
    kept: Callable[[Any], int] | None = None
    cost: Callable[[Sequence[Any], bool, Callable[[], int]], int] = steps_cost


@dataclass(frozen=True)
class Wire:
    """Say how a task is asked over a network. A model answers each input as if it had come alone.

    Args:
        given: what inputs are called in a message.
        read: turns what came under that name into inputs. Raises InputError.
        cost: counts the tokens of what came, or guesses them, without reading it.
        ask: answers inputs; with True also what takes many numbers, such as the probability of every token.
        tell: says one answer as JSON, to the bit.
        arrays: says answers as arrays by name.
        tensors: turns arrays by name into what `read` takes; the counterpart of `arrays`.
        inputs: names, types and shapes of these arrays, as the Open Inference Protocol spells them, for a model.
        outputs: those of the answers.
        spell: turns inputs, as Python passes them to the task, into what a message holds.
        hear: turns answers as JSON into what a method of the task, such as `predict`, gives.
        live: how sessions are held.
        unfold: reads the content of a PNG or WAV file that came in the place of a sequence; None where a picture gives
            a step for each of its rows, as where it gives None.
    """

    given: Given
    read: Callable[[Any, Any], list[Any]]
    cost: Callable[[Any], int]
    ask: Callable[[Any, list[Any], bool], list[Any]]
    tell: Callable[[Any, Any], Json]
    arrays: Callable[[Any, Sequence[Any]], dict[str, Array]]
    tensors: Callable[[Any, Tensors], Any]
    inputs: Callable[[Any], list[Tensor]]
    outputs: tuple[Tensor, ...]
    spell: Callable[[Any], Any]
    hear: Mapping[str, Callable[[Sequence[Any], Sequence[Json]], Any]]
    live: LiveWire
    unfold: Callable[[Any, bytes, str], Array | None] | None = None


def read_plain_texts(_model: Any, given: Any) -> list[Any]:
    """Check that texts came; raises DataError, naming the one that is none."""
    check_texts(given, allow_empty=True)
    return list(given)


def text_cost(texts: Any) -> int:
    """Guess the tokens of texts, or of lists of words, by their characters.

    >>> text_cost(["Hello there", ["two", "words"]])
    7
    """
    letters = sum(len(text) if isinstance(text, str) else sum(len(word) + 1 for word in text) for text in texts)
    return letters // CHARACTERS + len(texts)


def text_tensors(_model: Any, arrays: Tensors) -> list[str]:
    """Read texts from an array of bytes, `[B]` or `[B, 1]`; raises DataError for what is no UTF-8."""
    found = only(arrays, "text")
    if found.dtype.kind != "O":
        raise DataError("the input 'text' holds numbers; wanted texts, of the type BYTES.")
    return [decoded(item, index) for index, item in enumerate(found.ravel().tolist())]


def text_inputs(_model: Any) -> list[Tensor]:
    """Name the array that texts come in."""
    return [("text", "BYTES", (-1,))]


def decoded(item: bytes, index: int) -> str:
    """Decode a text; raises DataError for what is no UTF-8."""
    try:
        return item.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"text {index} is no UTF-8 at its byte {error.start}.") from None


def read_features(_model: Any, given: Any) -> list[Array]:
    """Read sequences of features from lists of steps; raises DataError or ShapeError, naming the sequence."""
    found = []
    for index, steps in enumerate(given):
        try:
            array = np.asarray(steps, np.float64)
        except (ValueError, TypeError):
            raise DataError(f"sequences[{index}] is no list of steps, each a list of as many numbers.") from None
        if array.ndim != 2 and array.size:
            shape = list(array.shape)
            raise ShapeError(f"sequences[{index}] is {shape}; wanted steps of features, such as [[0.1, 0.2]].")
        found.append(array)
    return found


def read_images(given: Any) -> list[Array]:
    """Read images, [H, W] or [H, W, C], from lists of rows; raises DataError or ShapeError, naming the image."""
    found = []
    for index, rows in enumerate(given):
        try:
            array = np.asarray(rows, np.float64)
        except (ValueError, TypeError):
            raise DataError(f"sequences[{index}] is no image: a list of rows, each of as many cells.") from None
        if array.ndim not in (2, 3):
            raise ShapeError(f"sequences[{index}] is {list(array.shape)}; wanted an image, [H, W] or [H, W, C].")
        found.append(array)
    return found


def feature_cost(given: Any) -> int:
    """Count the numbers of sequences.

    >>> feature_cost([[[1.0, 2.0]] * 3, []])
    8
    """
    return sum(_numbers(steps) for steps in given) + len(given)


def _numbers(item: Any) -> int:
    """Count the numbers of a list of lists by the first of each."""
    if not hasattr(item, "__len__"):
        return 1
    return len(item) * _numbers(item[0]) if len(item) else 0


def feature_tensors(_model: Any, tensors: Tensors) -> list[Array]:
    """Read sequences from arrays: `[B, T, C]`, or `[N, C]` and beside it the `offsets` `[B + 1]`."""
    values = only(tensors, "values")
    if values.dtype.kind not in "fiub":
        raise DataError("the input 'values' holds texts; wanted numbers.")
    if "offsets" not in tensors:
        if values.ndim != 3:
            raise ShapeError(f"'values' is {list(values.shape)}; wanted [B, T, C], or [N, C] with 'offsets' [B + 1].")
        return list(values)
    offsets = tensors["offsets"].ravel()
    sound = offsets.dtype.kind in "iu" and len(offsets) and offsets[0] == 0 and (np.diff(offsets) >= 0).all()
    if values.ndim != 2 or not sound or offsets[-1] != len(values):
        raise ShapeError(f"'offsets' must ascend from 0 to {len(values)}, beside 'values' [N, C].")
    return [values[begin:end] for begin, end in pairwise(offsets.tolist())]


def feature_steps(_model: Any, tensors: Tensors) -> list[Any]:
    """Read the steps of one sequence from an array `[n, C]` or `[1, n, C]`."""
    values = only(tensors, "values")
    if values.dtype.kind not in "fiub" or values.ndim not in (2, 3) or (values.ndim == 3 and len(values) != 1):
        raise ShapeError(f"'values' is {list(values.shape)}; wanted the numbers of steps, [n, C].")
    rows: list[Any] = values.astype(np.float64).reshape(-1, values.shape[-1]).tolist()
    return rows


def feature_inputs(model: Any) -> list[Tensor]:
    """Name the arrays that sequences come in, or images, whose rows may be of any width."""
    if model.network_.reads_images:
        return [("values", "FP64", (-1, -1)), ("offsets", "INT64", (-1,))]
    return [("values", "FP64", (-1, model.network_.input_size)), ("offsets", "INT64", (-1,))]


def only(arrays: Tensors, name: str) -> Array:
    """Take an array by its name; raises InputError where another came."""
    if name not in arrays:
        came = ", ".join(arrays) or "none"
        raise InputError(f"an input {name!r} is wanted; {came} came.")
    return arrays[name]


def texts_of(X: Any) -> list[Any]:
    """Bring texts, or lists of words, into a message."""
    if isinstance(X, str):
        raise InputError("a single string came where a list of texts is wanted. Put it into a list: [text].")
    return [item if isinstance(item, str) else list(map(str, item)) for item in X]


def as_bytes(texts: Iterable[object]) -> Array:
    """Make an array of bytes of texts.

    >>> as_bytes(["pos"]).tolist()
    [b'pos']
    """
    encoded = [str(text).encode() for text in texts]
    found = np.empty(len(encoded), object)
    found[:] = encoded
    return found
