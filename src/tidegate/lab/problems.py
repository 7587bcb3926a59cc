"""Generated tasks whose answer lies many steps back: batches without end, and the level that needs no memory.

Knows sequences and answers. Knows no network, and not how it is trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError, OptionError, ShapeError
from tidegate.ragged import Ragged

Array: TypeAlias = npt.NDArray[Any]

RECALLED = 10  # symbols to be repeated in the copy task
_COPIED = 8  # symbols that they are drawn from; a blank and the sign to begin come on top
_BLANK, _BEGIN = 8, 9
_DISTRACTORS = 4  # symbols that mean nothing in the tasks of two signals


@dataclass(frozen=True, eq=False)
class Problems:
    """Hold a batch of problems and their answers.

    Args:
        x: B sequences of float32 features [N, C], or of int64 symbols [N].
        y: [B] float32 numbers, [B] int64 classes, or [N] int64 symbols, as `MemoryTask.answer` says.
    """

    x: Ragged
    y: Array


@dataclass(frozen=True)
class Grade:
    """Hold how good answers are.

    Args:
        level: the mean squared error of numbers; the mean cross-entropy, in nats, of classes and symbols.
        right: the share of classes, or of the symbols to be repeated, that were told right; None of numbers.
    """

    level: float
    right: float | None


@dataclass(frozen=True)
class MemoryTask:
    """Describe a task of any length T.

    Args:
        name: as `get` knows it.
        answer: "number" or "class", one per sequence, or "symbols", one per step.
        inputs: features of a step, where `reads_symbols` is false, else symbols of the alphabet.
        reads_symbols: the input is symbols [N] rather than features [N, C].
        outputs: numbers that a network gives for each answer.
        shortest: the least T that leaves room for the task.
        measure: what `Grade.level` is, with its unit.
        trivial_level: of T, the best level that can be reached without memory.
        goal: of T, the level from which the task counts as solved.
        draw_with: of T, the number of sequences B, and a generator.
    """

    name: str
    answer: Literal["number", "class", "symbols"]
    inputs: int
    reads_symbols: bool
    outputs: int
    shortest: int
    measure: str
    trivial_level: Callable[[int], float]
    goal: Callable[[int], float]
    draw_with: Callable[[int, int, np.random.Generator], Problems]

    def check_length(self, length: int) -> None:
        """Raise InputError where T leaves no room for the task."""
        if length < self.shortest:
            raise InputError(
                f"the task {self.name!r} of {length} steps cannot be made: it needs at least {self.shortest}. "
                "Name a greater length."
            )

    def draw(self, length: int, count: int, rng: np.random.Generator) -> Problems:
        """Draw `count` fresh problems of T = `length`, a function of the state of `rng` alone.

        Raises InputError where T leaves no room for the task.
        """
        self.check_length(length)
        return self.draw_with(length, count, rng)

    def draw_mixed(self, longest: int, count: int, rng: np.random.Generator) -> Problems:
        """Draw `count` fresh problems of lengths of their own, from the shortest there can be to `longest`.

        Their logarithms are uniform: as many problems are as long as 10 to 100 steps as are 100 to 1,000. Raises
        InputError where the longest leaves no room for the task.
        """
        self.check_length(longest)
        exponents = rng.uniform(math.log(self.shortest), math.log(longest + 1), count)
        drawn = [self.draw_with(int(length), 1, rng) for length in np.exp(exponents).clip(self.shortest, longest)]
        drawn = drawn or [self.draw_with(longest, 0, rng)]
        x = Ragged.from_list([sequence for problem in drawn for sequence in problem.x])
        return Problems(x, np.concatenate([problem.y for problem in drawn]))

    def grade(self, output: Array, problems: Problems) -> Grade:
        """Compare what a network gave, [B, outputs] or [N, outputs], with the answers; at least one problem.

        Raises ShapeError where the output is of another shape.
        """
        if output.shape != (len(problems.y), self.outputs):
            raise ShapeError(
                f"the output is {list(output.shape)}, but {self.name!r} asks for [{len(problems.y)}, {self.outputs}]."
            )
        if self.answer == "number":
            return Grade(float(np.mean((output[:, 0].astype(np.float64) - problems.y) ** 2)), None)
        asked = problems.y != _BLANK if self.answer == "symbols" else np.ones(len(problems.y), bool)
        told = output.argmax(axis=1) == problems.y
        return Grade(_cross_entropy(output, problems.y), float(told[asked].mean()))


def get(name: str) -> MemoryTask:
    """Return the task of a name; raises OptionError that lists the names there are.

    >>> task = get("adding")
    >>> problems = task.draw(6, 2, np.random.default_rng(0))
    >>> problems.x, task.trivial_level(6)
    (Ragged(2 sequences, values [12, 2] float32), 0.16666666666666666)
    """
    if name not in _TASKS:
        raise OptionError.unknown("task", name, _TASKS)
    return _TASKS[name]


def names() -> tuple[str, ...]:
    """List the names of the tasks."""
    return tuple(_TASKS)


def _adding(length: int, count: int, rng: np.random.Generator) -> Problems:
    """Draw the adding problem: a number and a mark per step; the answer is the sum of the two marked numbers.

    Numbers are uniform from 0 to 1, one mark falls into each half (Hochreiter, Schmidhuber 1997, experiment 4, in the
    form of Arjovsky, Shah, Bengio 2016).
    """
    values = np.zeros((count, length, 2), np.float32)
    values[..., 0] = rng.random((count, length), np.float32)
    half = length // 2
    rows, marked = np.arange(count)[:, None], np.empty((count, 2), np.int64)
    marked[:, 0] = rng.integers(0, half, count)
    marked[:, 1] = rng.integers(half, length, count)
    values[rows, marked, 1] = 1.0
    return Problems(Ragged.from_padded(values), values[rows, marked, 0].sum(axis=1))


def _copy(length: int, count: int, rng: np.random.Generator) -> Problems:
    """Draw the copy task: ten symbols out of eight, T - 1 blanks, the sign to begin, ten blanks to answer in.

    The answer is blank but for the last ten steps, which repeat the symbols (Hochreiter, Schmidhuber 1997, in the form
    of Arjovsky, Shah, Bengio 2016); a sequence has T + 20 steps.
    """
    symbols = rng.integers(0, _COPIED, (count, RECALLED))
    x = np.full((count, length + 2 * RECALLED), _BLANK)
    y = x.copy()
    x[:, :RECALLED] = y[:, -RECALLED:] = symbols
    x[:, -RECALLED - 1] = _BEGIN
    return Problems(Ragged.from_padded(x), y.reshape(-1))


def _temporal_order(length: int, count: int, rng: np.random.Generator) -> Problems:
    """Draw the task of temporal order: among distractors stand two signals, each 0 or 1; the class is which and when.

    The first stands in the second tenth of the sequence, the second in the fifth (Hochreiter, Schmidhuber 1997,
    experiment 6a, with the positions of Martens, Sutskever 2011).
    """
    x = rng.integers(2, 2 + _DISTRACTORS, (count, length))
    signals = rng.integers(0, 2, (count, 2))
    tenth = length // 10
    places = rng.integers([tenth, 4 * tenth], [2 * tenth, 5 * tenth], (count, 2))
    x[np.arange(count)[:, None], places] = signals
    return Problems(Ragged.from_padded(x), 2 * signals[:, 0] + signals[:, 1])


def _first_token(length: int, count: int, rng: np.random.Generator) -> Problems:
    """Draw sequences whose first symbol, 0 or 1, is the class; distractors follow.

    The latching task of Bengio, Simard, Frasconi 1994, with the symbols of Hochreiter, Schmidhuber 1997, experiment 2.
    """
    x = rng.integers(2, 2 + _DISTRACTORS, (count, length))
    x[:, 0] = rng.integers(0, 2, count)
    return Problems(Ragged.from_padded(x), x[:, 0].copy())


def _cross_entropy(output: Array, y: Array) -> float:
    logits = output.astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    right = np.take_along_axis(logits, y[:, None], axis=1)[:, 0]
    return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - right))


def _copy_level(length: int) -> float:
    return RECALLED * math.log(_COPIED) / (length + 2 * RECALLED)


_ENTROPY = "cross-entropy, nats"
_TASKS = {
    task.name: task
    for task in (
        MemoryTask(
            "adding",
            answer="number",
            inputs=2,
            reads_symbols=False,
            outputs=1,
            shortest=2,
            measure="mean squared error",
            trivial_level=lambda length: 1 / 6,  # the variance of a sum of two uniform numbers
            goal=lambda length: 0.01,
            draw_with=_adding,
        ),
        MemoryTask(
            "copy",
            answer="symbols",
            inputs=_COPIED + 2,
            reads_symbols=True,
            outputs=_COPIED + 1,
            shortest=1,
            measure=_ENTROPY,
            trivial_level=_copy_level,
            goal=lambda length: 0.05 * _copy_level(length),
            draw_with=_copy,
        ),
        MemoryTask(
            "temporal-order",
            answer="class",
            inputs=2 + _DISTRACTORS,
            reads_symbols=True,
            outputs=4,
            shortest=10,
            measure=_ENTROPY,
            trivial_level=lambda length: math.log(4),
            goal=lambda length: 0.05 * math.log(4),
            draw_with=_temporal_order,
        ),
        MemoryTask(
            "first-token",
            answer="class",
            inputs=2 + _DISTRACTORS,
            reads_symbols=True,
            outputs=2,
            shortest=1,
            measure=_ENTROPY,
            trivial_level=lambda length: math.log(2),
            goal=lambda length: 0.05 * math.log(2),
            draw_with=_first_token,
        ),
    )
}
