"""Trains one cell on one memory task of one length, until it solves it or has no updates left.

Knows a task, a cell and a set-up. Prints nothing and minds no signal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.cells import CellName
from tidegate.data.memory_tasks import MemoryTask, Problems
from tidegate.errors import TrainingError
from tidegate.inspect import gradient_flow
from tidegate.inspect.memory import Check, Outcome
from tidegate.network import Dense, Embed, Network, Pool, Recurrent, parameter_shapes
from tidegate.runtime import Executor

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from tidegate.inspect import GradientFlow
    from tidegate.train import Recipe, Step

Array: TypeAlias = npt.NDArray[Any]

_HELD_OUT = 256  # problems that are never trained on
_FLOW_FROM = 16  # of these, for the gradient flow


@dataclass(frozen=True)
class LabSetup:
    """Say how every cell is trained.

    Args:
        hidden_size: units of each direction.
        batch_size: problems per update, each of them new.
        learning_rate: of Adam, for the gated cells; a SimpleRNN, which does not stand that much, takes a tenth.
        updates: the most there are, rounded up to the next check.
        check_every: updates between two looks at the held-out problems.
        max_grad_norm: longer gradients are clipped.
        mixed: train on problems of all lengths up to T, rather than of T alone. Checks are on problems of T either way.
        seed: of weights and problems.
    """

    hidden_size: int = 32
    batch_size: int = 24
    learning_rate: float = 0.02
    updates: int = 800
    check_every: int = 50
    max_grad_norm: float = 1.0
    mixed: bool = False
    seed: int = 0


SETUPS = {
    "adding": LabSetup(),
    "copy": LabSetup(hidden_size=128, learning_rate=0.003, updates=20_000, check_every=200, mixed=True),
    "temporal-order": LabSetup(),
    "first-token": LabSetup(),
}


@dataclass(frozen=True)
class LabCell:
    """Say what a name of the lab stands for.

    Args:
        cell: of the recurrent layer.
        bidirectional: read from both ends.
        forget_bias: of the forget gate, lstm.
        chrono: start the gates for memories of up to T steps (`train.initial_weights`).
        pace: the share of the learning rate that this cell takes.
    """

    cell: CellName
    bidirectional: bool = False
    forget_bias: float = 1.0
    chrono: bool = False
    pace: float = 1.0


LAB_CELLS = {
    "rnn": LabCell("rnn_tanh", pace=0.1),
    "lstm": LabCell("lstm"),
    "lstm-0": LabCell("lstm", forget_bias=0.0),
    "lstm-chrono": LabCell("lstm", chrono=True),
    "gru": LabCell("gru"),
    "gru-chrono": LabCell("gru", chrono=True),
    "birnn": LabCell("rnn_tanh", bidirectional=True, pace=0.1),
    "bilstm": LabCell("lstm", bidirectional=True),
    "bilstm-chrono": LabCell("lstm", bidirectional=True, chrono=True),
    "bigru": LabCell("gru", bidirectional=True),
}


class Trial:
    """Train one cell on a task of one length: read `steps()` to the end, then ask for the `outcome()`.

    >>> from tidegate.data import memory_tasks
    >>> trial = Trial(memory_tasks.get("first-token"), "gru", 5, LabSetup(updates=200))
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
        import torch

        from tidegate import nn, train

        self._checks, self._right, self._last, self._trouble = [], None, None, None
        module = nn.build(self.network)
        module.load_state_dict({name: torch.from_numpy(array) for name, array in self._initial_weights().items()})
        self.weights = {name: parameter.detach().numpy() for name, parameter in module.named_parameters()}
        recipe = self._recipe()
        every = min(self.setup.check_every, self.setup.updates)
        held_out = self.held_out(_HELD_OUT)
        steps = train.fit(
            train.start(module, recipe),
            recipe,
            lengths=np.full(every * recipe.batch_size, self.length),
            loss=partial(_loss, module, self.task, self._draw),
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
        last = self._checks[-1] if self._checks else None
        return Outcome(
            cell=self.cell,
            length=self.length,
            solved=self.solved,
            level=last.level if last else None,
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
        from tidegate import train

        known = LAB_CELLS[self.cell]
        return train.initial_weights(
            self.network,
            seed=self.setup.seed,
            embedding_scale=1.0,
            forget_bias=known.forget_bias,
            chrono=max(2, self.length) if known.chrono else None,
        )

    def _recipe(self) -> Recipe:
        from tidegate import train

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


def _loss(
    module: torch.nn.Module,
    task: MemoryTask,
    draw: Callable[[int, np.random.Generator], Problems],
    indices: Array,
    rng: np.random.Generator,
) -> tuple[Tensor, int]:
    """Draw new problems, whatever the indices, and measure the loss on them."""
    import torch
    from torch.nn import functional

    from tidegate.nn import to_torch

    problems = draw(len(indices), rng)
    output, y = module(to_torch(problems.x)), torch.from_numpy(problems.y)
    if task.answer == "number":
        return functional.mse_loss(output[:, 0], y), len(problems.x.values)
    logits = output.values if task.answer == "symbols" else output
    return functional.cross_entropy(logits, y), len(problems.x.values)
