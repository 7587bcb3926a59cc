"""What SimpleRNN, LSTM and GRU share: parameters named as torch names them, checks, and the walk through the layers.

Knows modules and shapes; the arithmetic is in the operators, and in torch's own implementation off the CPU.
"""

from __future__ import annotations

import warnings
from math import sqrt
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from tidegate import kernels
from tidegate.errors import InputError, OptionError, ShapeError
from tidegate.nn import fallback, operators
from tidegate.nn.layout import Batch, enter

Merge: TypeAlias = Literal["concat", "sum", "mul", "ave"] | None
Kernel: TypeAlias = Literal["auto", "tidegate", "torch"]
State: TypeAlias = Tensor | None

_MERGES = ("concat", "sum", "mul", "ave")
_KERNELS = ("auto", "tidegate", "torch")
_DEFAULTS = {
    "num_layers": 1,
    "nonlinearity": "tanh",
    "bias": True,
    "batch_first": False,
    "dropout": 0.0,
    "bidirectional": False,
    "merge": "concat",
    "recurrent_dropout": 0.0,
    "forget_bias": None,
    "reverse": False,
    "recompute": False,
    "kernel": "auto",
}


class Recurrent(torch.nn.Module):
    """Stack a cell in layers and directions. Abstract: SimpleRNN, LSTM and GRU name the cell."""

    weight_ih_l0: torch.nn.Parameter

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
        merge: Merge,
        recurrent_dropout: float,
        reverse: bool,
        recompute: bool,
        kernel: Kernel,
    ) -> None:
        super().__init__()
        self.cell = cell
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.merge = merge
        self.recurrent_dropout = float(recurrent_dropout)
        self.reverse = reverse
        self.recompute = recompute
        self.kernel = kernel
        self.num_directions = 2 if bidirectional else 1
        self._check_options()
        self._names = [self._add_layer(layer, device, dtype) for layer in range(num_layers)]

    def reset_parameters(self) -> None:
        """Draw all parameters from +-1 / sqrt(hidden_size), in torch's order: one seed gives torch's weights."""
        bound = 1 / sqrt(self.hidden_size)
        for parameter in self.parameters():
            torch.nn.init.uniform_(parameter, -bound, bound)

    def explain(self) -> str:
        """Say in one sentence which kernel, ISA and how many threads run this layer, and why."""
        weight = self.weight_ih_l0
        what = f"{type(self).__name__}({self.input_size}, {self.hidden_size}) in {str(weight.dtype)[6:]} runs on"
        if not self._runs_here(weight):
            why = "as kernel='torch' asks" if self.kernel == "torch" else "as Tidegate's kernels are for the CPU"
            return f"{what} torch's own implementation on {weight.device}, {why}."
        source = "as asked of Tidegate" if kernels.explicit_num_threads() else "as torch.get_num_threads() says"
        return (
            f"{what} Tidegate's kernel {self.cell!r}, ISA {kernels.active_isa()}, "
            f"at most {operators.num_threads()} threads, {source}."
        )

    def extra_repr(self) -> str:
        """List the sizes and what differs from the defaults."""
        options = {name: getattr(self, name, default) for name, default in _DEFAULTS.items()}
        changed = [f"{name}={value!r}" for name, value in options.items() if value != _DEFAULTS[name]]
        return ", ".join([str(self.input_size), str(self.hidden_size), *changed])

    def _run(self, x: Batch, h0: State, c0: State, table: State) -> tuple[Any, list[Tensor]]:
        """Run all layers and return the output with [hn], or [hn, cn]; states are [L * D, B, H], or [L * D, H]."""
        values, offsets, batched, restore = enter(x, batch_first=self.batch_first, tokens=table is not None)
        self._check_input(values, table)
        batch_size = offsets.shape[0] - 1
        h0 = self._checked_state("h0", h0, batch_size, batched)
        c0 = self._checked_state("c0", c0, batch_size, batched)
        run = operators.recurrent if self._runs_here(self.weight_ih_l0) else fallback.recurrent
        ends = []
        for layer, names in enumerate(self._names):
            if layer and self.dropout:
                values = torch.nn.functional.dropout(values, self.dropout, self.training)
            place = slice(layer * self.num_directions, (layer + 1) * self.num_directions)
            values, *states = run(
                self.cell,
                self.reverse,
                values,
                offsets,
                table if layer == 0 else None,
                *[name and getattr(self, name) for name in names],
                h0 if h0 is None else h0[place],
                c0 if c0 is None else c0[place],
                self._draw_mask(batch_size),
                False,
                self.recompute,
            )
            ends.append(states[: 2 if self.cell == "lstm" else 1])
        final = [each[0] if len(each) == 1 else torch.cat(each) for each in zip(*ends, strict=True)]
        if not batched:
            final = [state.squeeze(1) for state in final]
        if self.merge is None:
            first, second = values.chunk(2, dim=1)
            return (restore(first), restore(second)), final
        return restore(self.merged(values)), final

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

    def _runs_here(self, weight: Tensor) -> bool:
        """Tell whether our kernels run. ``auto`` goes by the device, an explicit choice holds or raises."""
        on_cpu = weight.device.type == "cpu"
        if self.kernel == "torch" or (self.kernel == "auto" and not on_cpu):
            return False
        if not on_cpu:
            raise InputError(
                f"kernel='tidegate' was asked for, but the layer lies on {weight.device} and Tidegate's kernels are "
                "for the CPU. Move it there, or build it with kernel='auto'."
            )
        if weight.dtype not in (torch.float32, torch.float64):
            raise ShapeError(
                f"the layer is {weight.dtype}, but Tidegate's kernels take float32 or float64. "
                "Convert it with .float(), or build it with kernel='torch'."
            )
        return True

    def _check_options(self) -> None:
        for name in ("input_size", "hidden_size", "num_layers"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}, but at least 1 was wanted.")
        for name in ("dropout", "recurrent_dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}={getattr(self, name)}, but a probability from 0 to 1 was wanted.")
        if self.merge is not None and self.merge not in _MERGES:
            raise OptionError.unknown("merge", str(self.merge), _MERGES)
        if self.kernel not in _KERNELS:
            raise OptionError.unknown("kernel", str(self.kernel), _KERNELS)
        if self.merge != "concat" and not self.bidirectional:
            raise InputError(f"merge={self.merge!r} needs two outputs. Pass bidirectional=True, or leave merge out.")
        if self.reverse and self.bidirectional:
            raise InputError("reverse=True and bidirectional=True exclude each other: both directions run already.")
        if self.dropout and self.num_layers == 1:
            warnings.warn(f"dropout={self.dropout} acts between layers, but num_layers is 1.", stacklevel=4)

    def _add_layer(self, layer: int, device: torch.device | str | None, dtype: torch.dtype | None) -> list[str | None]:
        """Add the parameters of one layer; return their names in the order of the operator, None for what is not."""
        rows = kernels.GATES[self.cell] * self.hidden_size
        columns = self.input_size if layer == 0 else self.hidden_size * self.num_directions
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, columns), "weight_hh": (rows, self.hidden_size)}
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        names: list[str | None] = [None] * 8
        for direction, suffix in enumerate((f"_l{layer}", f"_l{layer}_reverse")[: self.num_directions]):
            for place, (name, shape) in enumerate(shapes.items()):
                parameter = torch.nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
                self.register_parameter(name + suffix, parameter)
                names[4 * direction + place] = name + suffix
        return names

    def _check_input(self, values: Tensor, table: Tensor | None) -> None:
        weight = self.weight_ih_l0
        if table is not None:
            if values.dtype not in (torch.int32, torch.int64):
                raise ShapeError(f"token ids are {values.dtype}, but torch.int32 or torch.int64 was wanted.")
            if table.dim() != 2 or table.shape[1] != self.input_size:
                raise ShapeError(f"table is {list(table.shape)}, but {self._wants()} wants [V, {self.input_size}].")
        elif values.shape[1] != self.input_size:
            raise ShapeError(
                f"input has {values.shape[1]} features, but {self._wants()} wants {self.input_size}. "
                f"Pass them, or build the layer with input_size={values.shape[1]}."
            )
        self._check_kind("input" if table is None else "table", values if table is None else table)
        if values.device != weight.device:
            raise ShapeError(f"input lies on {values.device}, but the layer on {weight.device}. Move one to the other.")

    def _checked_state(self, name: str, state: State, batch_size: int, batched: bool) -> State:
        """Return a state as [L * D, B, H]."""
        if state is None:
            return None
        batch = (batch_size,) if batched else ()
        shape = (self.num_layers * self.num_directions, *batch, self.hidden_size)
        if state.shape != shape:
            raise ShapeError(
                f"{name} is {list(state.shape)} but {self._wants()} wants {list(shape)}.\n"
                f"Pass {name} with that shape, or leave it out to start from zeros."
            )
        self._check_kind(name, state)
        return state if batched else state.unsqueeze(1)

    def _check_kind(self, name: str, tensor: Tensor) -> None:
        if tensor.dtype != self.weight_ih_l0.dtype:
            wanted = self.weight_ih_l0.dtype
            raise ShapeError(f"{name} is {tensor.dtype}, but the layer is {wanted}. Convert one to the other.")

    def _wants(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"
