"""The walk of a batch through layers and directions, with its checks, for our layers and accelerated ones of torch.

Knows options and names of parameters, not how either came to be; the arithmetic is in the operators, and in torch's own
implementation where those cannot run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from tidegate.cells import CELLS
from tidegate.errors import ShapeError
from tidegate.kernels import active_isa, explicit_num_threads
from tidegate.nn import equations, fallback, operators, transforms
from tidegate.nn.layout import Batch, enter
from tidegate.nn.operands import WEIGHTS, Operands
from tidegate.nn.options import Merge

State: TypeAlias = Tensor | None


class Stack:
    """Walk a batch through layers and directions. Abstract: a torch module adds what is declared here.

    It is no `abc.ABC`, since layers of torch and of users become its heirs when they are accelerated, and keep the
    metaclass that they have.
    """

    cell: str
    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    merge: Merge
    recurrent_dropout: float
    weight_dropout: float = 0.0
    reverse: bool
    recompute: bool
    training: bool
    weight_ih_l0: torch.nn.Parameter
    _why_torch: Callable[[Tensor], str | None]
    """Say of the weights why torch's own implementation runs, or None where our kernels do."""

    @property
    def num_directions(self) -> int:
        """Count the directions D."""
        return 2 if self.bidirectional else 1

    def explain(self) -> str:
        """Say in one sentence which kernel, ISA and how many threads run this layer, and why."""
        weight = self.weight_ih_l0
        what = f"{type(self).__name__}({self.input_size}, {self.hidden_size}) in {str(weight.dtype)[6:]} runs on"
        if why := self._why_torch(weight):
            return f"{what} torch's own implementation on {weight.device}, {why}."
        source = "as asked of Tidegate" if explicit_num_threads() else "as torch.get_num_threads() says"
        return (
            f"{what} Tidegate's kernel {self.cell!r}, ISA {active_isa()}, "
            f"at most {operators.num_threads()} threads, {source}."
        )

    def _run(self, x: Batch, h0: State, c0: State, table: State) -> tuple[Any, list[Tensor]]:
        """Run all layers and return the output with [hn], or [hn, cn]; states are [L * D, B, H], or [L * D, H]."""
        values, offsets, batched, restore = enter(x, batch_first=self.batch_first, tokens=table is not None)
        values, table = self._checked_input(values, table)
        batch_size = offsets.shape[0] - 1
        h0 = self._checked_state("h0", h0, batch_size, batched)
        c0 = self._checked_state("c0", c0, batch_size, batched)
        run = self._runner()
        ends = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                values = torch.nn.functional.dropout(values, self.dropout, self.training)
            place = slice(layer * self.num_directions, (layer + 1) * self.num_directions)
            given = Operands(
                cell=self.cell,
                reverse=self.reverse,
                x=values,
                offsets=offsets,
                table=table if layer == 0 else None,
                **self._weights(layer),
                h0=h0 if h0 is None else h0[place],
                c0=c0 if c0 is None else c0[place],
                mask=self._draw_mask(batch_size),
            )
            values, *states = run(given)
            ends.append(states[: len(CELLS[self.cell].states)])
        final = [each[0] if len(each) == 1 else torch.cat(each) for each in zip(*ends, strict=True)]
        if not batched:
            final = [state.squeeze(1) for state in final]
        if self.merge is None:
            first, second = (half.contiguous() for half in values.split_with_sizes(2 * [self.hidden_size], dim=1))
            return (restore(first), restore(second)), final  # each may be changed in place, whatever befalls the other
        return restore(self.merged(values)), final

    def _runner(self) -> Callable[[Operands], tuple[Tensor, Tensor, Tensor]]:
        """Choose what runs a layer, given what it takes."""
        by_torch = self._why_torch(self.weight_ih_l0)
        if transforms.at_work():
            return equations.recurrent
        if by_torch:
            return fallback.recurrent
        return partial(operators.run_layer, recompute=self.recompute)

    def _weights(self, layer: int) -> dict[str, Any]:
        """Return the parameters of one layer by the names of the operator; None for what it does not have."""
        names = parameter_names(layer, self.bidirectional, self.bias)
        return {operand: name and self._weight(name) for operand, name in zip(WEIGHTS, names, strict=True)}

    def _weight(self, name: str) -> Tensor:
        """Return a parameter by name, a recurrent matrix with its entries dropped."""
        weight: Tensor = getattr(self, name)
        if not (self.weight_dropout and self.training and name.startswith("weight_hh")):
            return weight
        return torch.nn.functional.dropout(weight, self.weight_dropout)

    def _draw_mask(self, batch_size: int) -> Tensor | None:
        """Draw which hidden units each sequence keeps over all its steps, [D, B, H], from torch's generator."""
        if not (self.training and self.recurrent_dropout):
            return None
        ones = self.weight_ih_l0.new_ones(self.num_directions, batch_size, self.hidden_size)
        return torch.nn.functional.dropout(ones, self.recurrent_dropout)

    def merged(self, values: Tensor) -> Tensor:
        """Merge concatenated directions [.., D * H] as ``merge`` says; None leaves them concatenated."""
        if not self.bidirectional or self.merge in ("concat", None):
            return values
        first, second = values.chunk(2, dim=-1)
        if self.merge == "mul":
            return first * second
        return first + second if self.merge == "sum" else (first + second) / 2

    def _checked_input(self, values: Tensor, table: State) -> tuple[Tensor, State]:
        weight = self.weight_ih_l0
        if table is not None:
            if values.dtype not in (torch.int32, torch.int64):
                raise ShapeError(f"token ids are {values.dtype}, but torch.int32 or torch.int64 was wanted.")
            if table.dim() != 2 or table.shape[1] != self.input_size:
                raise ShapeError(f"table is {list(table.shape)}, but {self!r} wants [V, {self.input_size}].")
        elif values.shape[1] != self.input_size:
            raise ShapeError(
                f"input has {values.shape[1]} features, but {self!r} wants {self.input_size}. "
                f"Pass them, or build the layer with input_size={values.shape[1]}."
            )
        if values.device != weight.device:
            raise ShapeError(f"input lies on {values.device}, but the layer on {weight.device}. Move one to the other.")
        if table is None:
            return self._of_kind("input", values), None
        return values, self._of_kind("table", table)

    def _checked_state(self, name: str, state: State, batch_size: int, batched: bool) -> State:
        """Return a state as [L * D, B, H]."""
        if state is None:
            return None
        batch = (batch_size,) if batched else ()
        shape = (self.num_layers * self.num_directions, *batch, self.hidden_size)
        if state.shape != shape:
            raise ShapeError(
                f"{name} is {list(state.shape)} but {self!r} wants {list(shape)}.\n"
                f"Pass {name} with that shape, or leave it out to start from zeros."
            )
        state = self._of_kind(name, state)
        return state if batched else state.unsqueeze(1)

    def _of_kind(self, name: str, tensor: Tensor) -> Tensor:
        """Return a tensor in the number type of the layer; autocast alone may ask for it to be converted."""
        wanted = self.weight_ih_l0.dtype
        if tensor.dtype == wanted:
            return tensor
        if not (torch.is_autocast_enabled(tensor.device.type) and tensor.is_floating_point()):
            raise ShapeError(f"{name} is {tensor.dtype}, but the layer is {wanted}. Convert one to the other.")
        return tensor.to(wanted)


def parameter_names(layer: int, bidirectional: bool, bias: bool) -> list[str | None]:
    """Name the parameters of one layer in the order of the operator, None for what it does not have.

    >>> parameter_names(0, bidirectional=False, bias=False)
    ['weight_ih_l0', 'weight_hh_l0', None, None, None, None, None, None]
    """
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if bias else ("weight_ih", "weight_hh", None, None)
    ends = (f"_l{layer}", f"_l{layer}_reverse" if bidirectional else None)
    return [kind + end if kind and end else None for end in ends for kind in kinds]


def hx_pair(hx: object) -> tuple[State, State]:
    """Read the start of an LSTM: (h0, c0), or None for zeros."""
    match hx:
        case None:
            return None, None
        case (Tensor() as h0, Tensor() as c0):
            return h0, c0
    raise ShapeError(f"hx is a {type(hx).__name__}, but LSTM wants a pair of tensors (h0, c0).")


def hx_single(hx: object, layer: str) -> State:
    """Read the start of another cell: h0, or None for zeros."""
    if hx is None or isinstance(hx, Tensor):
        return hx
    raise ShapeError(f"hx is a {type(hx).__name__}, but {layer} wants one tensor h0.")
