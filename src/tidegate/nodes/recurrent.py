"""Layers of a cell, in one or two directions."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tidegate.cells import CELLS, CellName
from tidegate.nodes.glorot import glorot
from tidegate.nodes.part import Array, Name, Part, Place, Probability, Shapes, Size, Start

Merge = Literal["concat", "sum", "mul", "ave"]


class Recurrent(Part):
    """Run a cell over each sequence: `[N, input_size]` -> `[N, output_size]`.

    Between stacked layers both directions are always concatenated, as torch does; `merge` says how the last layer
    hands them out. In training alone act `dropout` (between layers), `recurrent_dropout` (one mask per sequence, where
    the state enters the recurrent matrix) and `weight_dropout` (entries of that matrix, anew at each update; Merity et
    al. 2017).

    Sequences begin with zeros, or with what the node that `starts` names gives: one row of each sequence, in which the
    states h of all layers and directions stand side by side, and then their c where the cell carries it.
    """

    kind: Literal["recurrent"] = "recurrent"
    cell: CellName
    input_size: Size
    hidden_size: Size
    num_layers: Annotated[int, Field(ge=1, le=64)] = 1
    bidirectional: bool = False
    merge: Merge = "concat"
    reverse: bool = False
    bias: bool = True
    dropout: Probability = 0.0
    recurrent_dropout: Probability = 0.0
    weight_dropout: Probability = 0.0
    starts: Name | None = None
    later: ClassVar[tuple[str, ...]] = (*Part.later, "starts")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.reverse and self.bidirectional:
            raise ValueError("reverse=True and bidirectional=True exclude each other")
        return self

    @property
    def num_directions(self) -> int:
        """Count the directions of each layer: 2 when bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Count the features of each token after the last layer."""
        return self.hidden_size * (self.num_directions if self.merge == "concat" else 1)

    @property
    def start_size(self) -> int:
        """Count the numbers of the states of one sequence: h of all layers and directions, and c where there is one."""
        return (1 + CELLS[self.cell].carries_c) * self.num_layers * self.num_directions * self.hidden_size

    @property
    def further(self) -> tuple[str, ...]:
        """Name what it reads besides its steps."""
        return () if self.starts is None else (self.starts,)

    @property
    def layers_back(self) -> int:
        """Count the layers that run from the end, whose every step depends on those that follow."""
        return self.num_layers if self.bidirectional or self.reverse else 0

    def suffixes(self, layer: int) -> tuple[str, ...]:
        """Name the directions of one layer as torch's parameters do: `_l0`, and `_l0_reverse` when bidirectional."""
        return (f"_l{layer}", f"_l{layer}_reverse")[: self.num_directions]

    @property
    def incoming(self) -> int:
        """Count the features of a step."""
        return self.input_size

    def fit(self, place: Place) -> int:
        """Return the features of each step; raises ValueError where no steps come, or other ones."""
        place.must_have_steps()
        place.must_be(self.input_size)
        for rows in place.reads[1:]:
            if not rows.pooled or rows.channels != place.read.channels:
                raise ValueError(
                    f"{place.name} cannot start with {self.starts!r}: {rows} came, not one of each sequence"
                )
            if rows.width != self.start_size:
                wants = f"starts with {self.start_size} numbers, its states side by side"
                raise ValueError(f"{place.name} {wants}, but gets {rows.width} from {self.starts!r}")
        return self.output_size

    def shapes(self) -> Shapes:
        """List the matrices and biases of each layer and direction."""
        rows = CELLS[self.cell].gates * self.hidden_size
        shapes: Shapes = {}
        for layer in range(self.num_layers):
            columns = self.input_size if layer == 0 else self.hidden_size * self.num_directions
            for suffix in self.suffixes(layer):
                shapes[f"weight_ih{suffix}"] = (rows, columns)
                shapes[f"weight_hh{suffix}"] = (rows, self.hidden_size)
                if self.bias:
                    shapes[f"bias_ih{suffix}"] = (rows,)
                    shapes[f"bias_hh{suffix}"] = (rows,)
        return shapes

    def draw(self, parameter: str, shape: tuple[int, ...], rng: np.random.Generator, start: Start) -> Array:
        """Draw orthogonal recurrent matrices, Glorot uniform others, and biases: zero but where gates keep a state."""
        if parameter.startswith("weight_hh"):
            q, r = np.linalg.qr(rng.standard_normal(shape))  # [G*H, H]
            return q * np.sign(np.diag(r))  # uniform over the orthogonal matrices (Mezzadri 2007)
        if parameter.startswith("weight_ih"):
            return glorot(shape, rng)
        bias = np.zeros(shape)
        if parameter.startswith("bias_ih"):
            self._start_gates(bias.reshape(-1, self.hidden_size), rng, start)
        return bias

    def _start_gates(self, gates: Array, rng: np.random.Generator, start: Start) -> None:
        """Set the biases [G, H] of the gates that keep and let in, in place; those of other cells stay."""
        cell = CELLS[self.cell]
        keep: float | Array = start.forget_bias if cell.carries_c else 0.0
        if start.chrono is not None:
            keep = np.log(rng.uniform(1, start.chrono - 1, self.hidden_size))
        if cell.keeps is not None:
            gates[cell.keeps] = keep
        if cell.lets_in is not None and start.chrono is not None:
            gates[cell.lets_in] = -keep
