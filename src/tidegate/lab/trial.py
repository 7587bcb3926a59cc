"""Trains one cell on one memory task of one length, until it solves it or has no updates left.

Knows a task, a cell and a set-up. Prints nothing and minds no signal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

import tidegate.train as train
from tidegate.engine import CrossEntropy, Errors
from tidegate.errors import TrainingError
from tidegate.inspect import gradient_flow
from tidegate.lab.outcome import Check, Outcome
from tidegate.lab.problems import MemoryTask, Problems
from tidegate.lab.setup import LAB_CELLS, LabSetup
from tidegate.network import Dense, Embed, Network, Pool, Recurrent, parameter_shapes
from tidegate.runtime import Executor
from tidegate.train import Asked, Recipe, Step

if TYPE_CHECKING:
    from tidegate.inspect import GradientFlow

Array: TypeAlias = npt.NDArray[Any]

_HELD_OUT = 256  # problems that are never trained on
_FLOW_FROM = 16  # of these, for the gradient flow


class Trial:
    """Train one cell on a task of one length: read `steps()` to the end, then ask for the `outcome()`.

    >>> from tidegate.lab import problems
    >>> trial = Trial(problems.get("first-token"), "gru", 5, LabSetup(updates=200))
    >>> for step in trial.steps():
    ...     pass
    >>> trial.outcome().solved
    True
    """

    def __init__(self, task: MemoryTask, cell: str, length: int, setup: LabSetup) -> None:
        self.task = task
        self.cell = cell
        self.length = length
        self.setup = setup
        self.weights: dict[str, Array] = {}
        self._checks: list[Check] = []
        self._right: float | None = None
        self._last: Step | None = None
        self._trouble: str | None = None

    @property
    def network(self) -> Network:
        """The network: the recurrent layer, and a dense one that reads its final state, or each of its states."""
        known = LAB_CELLS[self.cell]
        layer = Recurrent(
            cell=known.cell,
            input_size=self.task.inputs,
            hidden_size=self.setup.hidden_size,
            bidirectional=known.bidirectional,
        )
        table = [Embed(vocabulary_size=self.task.inputs, size=self.task.inputs)] if self.task.reads_symbols else []
        pool = [] if self.task.answer == "symbols" else [Pool(modes=("last",))]
        return Network.of(*table, layer, *pool, Dense(in_features=layer.output_size, out_features=self.task.outputs))

    def steps(self) -> Iterator[Step]:
        """Train, always from the beginning, until the task is solved, updates run out, or a number is not finite."""
        self._checks, self._right, self._last, self._trouble = [], None, None, None
        recipe = self._recipe()
        state = train.start(self.network, self._initial_weights(), recipe)
        self.weights = state.program.weights
        every = min(self.setup.check_every, self.setup.updates)
        held_out = self.held_out(_HELD_OUT)
        steps = train.fit(
            state,
            recipe,
            lengths=np.full(every * recipe.batch_size, self.length),
            loss=partial(_ask, self.task, self._draw),
            measure=lambda: self._check(held_out),
        )
        try:
            for step in steps:
                self._note(step)
                yield step
                if self.solved:
                    break
        except TrainingError as error:
            self._trouble = str(error).partition(". ")[0]  # what follows is about the rows of data sets

    @property
    def solved(self) -> bool:
        """Tell whether the level of the last check was down at the goal."""
        return bool(self._checks) and self._checks[-1].level <= self.task.goal(self.length)

    def outcome(self) -> Outcome:
        """Say what the cell has come to so far."""
        return Outcome(
            cell=self.cell,
            length=self.length,
            trivial_level=self.task.trivial_level(self.length),
            goal=self.task.goal(self.length),
            right=self._right,
            updates=self._last.step if self._last else 0,
            seconds=self._last.seconds if self._last else 0.0,
            parameters=sum(math.prod(shape) for shape in parameter_shapes(self.network).values()),
            trouble=self._trouble,
            curve=tuple(self._checks),
        )

    def flow(self) -> GradientFlow:
        """Measure the gradient flow of the trained cell on held-out problems."""
        return gradient_flow(
            (self.network, self.weights), self.held_out(_FLOW_FROM).x, max_grad_norm=self.setup.max_grad_norm
        )

    def held_out(self, count: int) -> Problems:
        """Draw problems that training does not see."""
        return self.task.draw(self.length, count, np.random.default_rng([self.setup.seed, 2]))

    def _draw(self, count: int, rng: np.random.Generator) -> Problems:
        draw = self.task.draw_mixed if self.setup.mixed else self.task.draw
        return draw(self.length, count, rng)

    def _initial_weights(self) -> dict[str, Array]:
        known = LAB_CELLS[self.cell]
        return train.initial_weights(
            self.network,
            seed=self.setup.seed,
            embedding_scale=1.0,
            forget_bias=known.forget_bias,
            chrono=max(2, self.length) if known.chrono else None,
        )

    def _recipe(self) -> Recipe:
        setup = self.setup
        return train.Recipe(
            epochs=-(-setup.updates // setup.check_every),  # an epoch is what lies between two checks
            batch_size=setup.batch_size,
            learning_rate=setup.learning_rate * LAB_CELLS[self.cell].pace,
            optimizer="adam",
            max_grad_norm=setup.max_grad_norm,
            seed=setup.seed,
        )

    def _check(self, problems: Problems) -> dict[str, float]:
        executor = Executor(self.network, self.weights)
        answers = [executor(problems.x.select(rows)) for rows in np.array_split(np.arange(_HELD_OUT), 8)]
        grade = self.task.grade(np.concatenate(answers), problems)
        self._right = grade.right
        return {"level": grade.level}

    def _note(self, step: Step) -> None:
        self._last = step
        if step.valid is not None:
            self._checks.append(Check(step.step, step.mean_loss, step.valid["level"]))


def _ask(
    task: MemoryTask, draw: Callable[[int, np.random.Generator], Problems], indices: Array, rng: np.random.Generator
) -> Asked:
    """Draw new problems, whatever the indices; what is to become small is the mean loss on them."""
    problems = draw(len(indices), rng)
    size = len(problems.x)
    if task.answer == "number":
        return Asked(problems.x, Errors(problems.y.reshape(size, 1), np.full(size, 1 / size), ("mse",)))
    return Asked(problems.x, CrossEntropy(problems.y, np.full(size, 1 / len(problems.y))))
