"""The second half of a training step: what is made of a gradient. Each rule gives what torch's of its name gives."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.engine.program import Program
from tidegate.errors import InputError
from tidegate.kernels import programs

Array: TypeAlias = npt.NDArray[Any]
Name: TypeAlias = Literal["sgd", "rmsprop", "adam", "adamw"]


@dataclass(frozen=True)
class Rule:
    """Say how parameters move against their gradient.

    name: `sgd` (with `momentum`, and `nesterov`), `rmsprop` (Hinton 2012), `adam` (Kingma & Ba 2015) or `adamw`
        (Loshchilov & Hutter 2019).
    weight_decay: of matrices, never of biases: decoupled with adamw, added to the gradient with the others.
    momentum: of sgd: how much of the last move is kept.
    nesterov: whether sgd looks ahead along its momentum (Nesterov 1983).
    """

    name: Name = "adamw"
    weight_decay: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False

    @property
    def moments(self) -> tuple[str, ...]:
        """Name what is kept of past gradients, as torch names it."""
        match self.name:
            case "sgd":
                return ("momentum_buffer",) if self.momentum else ()
            case "rmsprop":
                return ("square_avg",)
        return ("exp_avg", "exp_avg_sq")


class Optimiser:
    """Move the parameters of a program, update after update.

    Args:
        program: whose parameters, and whose gradient.
        rule: how they move.
        frozen: the names of parameters that stay where they are, and whose gradient does not count: the first ones of
            the network, such as the table of an embedding.

    Raises:
        InputError: what is frozen are not the first parameters.

    >>> from tidegate.network import Dense, Network, parameter_shapes
    >>> network = Network.of(Dense(in_features=1, out_features=1))
    >>> program = Program(network, {name: np.ones(shape) for name, shape in parameter_shapes(network).items()})
    >>> program.gradients["0.weight"][:] = 2.0
    >>> Optimiser(program, Rule("sgd")).apply(rate=0.25)
    >>> float(program.weights["0.weight"][0, 0])
    0.5
    """

    def __init__(self, program: Program, rule: Rule, *, frozen: Collection[str] = frozenset()) -> None:
        names = list(program.weights)
        if set(names[: len(frozen)]) != set(frozen):
            told = f"only the first parameters of a network can be frozen, in the order {', '.join(names)}"
            raise InputError(f"{told}; {', '.join(sorted(frozen))} came.")
        self.program, self.rule, self.step, self.frozen = program, rule, 0, frozenset(frozen)
        self._moving = names[len(frozen) :]
        self._begins = program.begins[len(frozen) :]
        self._flat = {name: np.zeros_like(program.parameters) for name in rule.moments}
        self.moments = {name: program.by_name(flat) for name, flat in self._flat.items()}
        """What is kept of past gradients, by the name of the moment and of the parameter: views."""
        shapes = [program.weights[name].shape for name in self._moving]
        self._decay = np.array([rule.weight_decay if len(shape) > 1 else 0.0 for shape in shapes])

    def lengths(self) -> dict[str, float]:
        """Measure the length of the gradient of each parameter that moves; the sum of the squares has one order."""
        squares = programs.sums_of_squares(self.program.gradient_array, self._begins, self.program.threads)
        return dict(zip(self._moving, np.sqrt(squares).tolist(), strict=True))

    def apply(self, rate: float, *, scale: float = 1.0) -> None:
        """Move every parameter that is not frozen against its gradient times `scale`, as one that is clipped has it."""
        self.step += 1
        moments = [*self._flat.values()]
        first, second = (None, None)
        match self.rule.name:
            case "sgd":
                first, options = next(iter(moments), None), {"beta1": self.rule.momentum}
            case "rmsprop":
                second, options = moments[0], {"beta2": 0.99, "epsilon": 1e-8}
            case _:
                first, second = moments
                options = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
                options |= {"correction1": 1 - 0.9**self.step, "correction2": math.sqrt(1 - 0.999**self.step)}
        programs.update(
            "adam" if self.rule.name == "adamw" else self.rule.name,
            self.program.parameters,
            self.program.gradient_array,
            first,
            second,
            begins=self._begins,
            decay=self._decay,
            options={"rate": rate, "scale": scale} | options,
            nesterov=self.rule.nesterov,
            decoupled=self.rule.name == "adamw",
            threads=self.program.threads,
        )

    def restore(self, step: int, moments: Mapping[str, Mapping[str, Array]]) -> None:
        """Go on from what `step` and `moments` were."""
        self.step = step
        for moment, arrays in moments.items():
            for name, array in arrays.items():
                self.moments[moment][name][...] = array
