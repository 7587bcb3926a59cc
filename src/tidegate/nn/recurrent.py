"""What SimpleRNN, LSTM and GRU share: their options, and parameters named as torch names them. `stack` has the walk."""

from __future__ import annotations

import warnings
from math import sqrt
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from tidegate.errors import InputError, OptionError, ShapeError
from tidegate.kernels import GATES
from tidegate.nn.arguments import check_count, check_flag, check_share
from tidegate.nn.stack import Merge, Stack, parameter_names
from tidegate.nn.transforms import why_no_rule

Kernel: TypeAlias = Literal["auto", "tidegate", "torch"]

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
    "weight_dropout": 0.0,
    "forget_bias": None,
    "chrono": None,
    "reverse": False,
    "recompute": False,
    "kernel": "auto",
}


def check_chrono(longest: int | None) -> None:
    """Raise InputError where the longest memory that chrono initialisation is to prepare for is below 2 steps."""
    if longest is not None:
        check_count("chrono", longest)
    if longest is not None and longest < 2:
        raise InputError(f"chrono={longest}, but the longest memory in steps, at least 2, was wanted.")


class Recurrent(Stack, torch.nn.Module):
    """Stack a cell in layers and directions. Abstract: SimpleRNN, LSTM and GRU name the cell."""

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
        weight_dropout: float,
        reverse: bool,
        recompute: bool,
        kernel: Kernel,
        chrono: int | None = None,
    ) -> None:
        super().__init__()
        shares = {"dropout": dropout, "recurrent_dropout": recurrent_dropout, "weight_dropout": weight_dropout}
        for name, value in shares.items():
            check_share(name, value)
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
        self.weight_dropout = float(weight_dropout)
        self.reverse = reverse
        self.recompute = recompute
        self.kernel = kernel
        self.chrono = chrono
        self._check_options()
        for layer in range(num_layers):
            self._add_layer(layer, device, dtype)

    def reset_parameters(self) -> None:
        """Draw all parameters from +-1 / sqrt(hidden_size), in torch's order: one seed gives torch's weights."""
        bound = 1 / sqrt(self.hidden_size)
        for parameter in self.parameters():
            torch.nn.init.uniform_(parameter, -bound, bound)

    def _start_gate(self, gate: int, bias: float | Tensor, suffix: str) -> None:
        """Let one gate of one direction start from a total bias, a number or [H]."""
        rows = slice(gate * self.hidden_size, (gate + 1) * self.hidden_size)
        self.get_parameter("bias_ih" + suffix).data[rows] = bias
        self.get_parameter("bias_hh" + suffix).data[rows] = 0.0

    def _draw_chrono(self, longest: int) -> Tensor:
        """Draw the biases [H] of a gate that keeps the state: log U(1, T - 1), for memories of 2 to T steps."""
        return torch.empty(self.hidden_size).uniform_(1, longest - 1).log()

    def _suffixes(self) -> list[str]:
        """Name every direction as the parameters do: _l0, _l0_reverse, _l1, ..."""
        return [name.removeprefix("weight_ih") for name, _ in self.named_parameters() if name.startswith("weight_ih")]

    def extra_repr(self) -> str:
        """List the sizes and what differs from the defaults."""
        options = {name: getattr(self, name, default) for name, default in _DEFAULTS.items()}
        changed = [f"{name}={value!r}" for name, value in options.items() if value != _DEFAULTS[name]]
        return ", ".join([str(self.input_size), str(self.hidden_size), *changed])

    def _why_torch(self, weight: Tensor) -> str | None:
        """Say why torch's own implementation runs, or None where our kernels do. An explicit choice holds or raises."""
        on_cpu = weight.device.type == "cpu"
        transform = None if torch.compiler.is_compiling() else why_no_rule()
        if transform and self.kernel == "tidegate":
            raise InputError(
                "kernel='tidegate' was asked for, but Tidegate's kernels have no rule for torch.func and forward-mode "
                "derivatives. Build the layer with kernel='auto', which runs torch's operators there."
            )
        if self.kernel == "torch":
            return "as kernel='torch' asks"
        if self.kernel == "auto" and not on_cpu:
            return "as Tidegate's kernels are for the CPU"
        if transform:
            return transform
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
        return None

    def _check_options(self) -> None:
        for name in ("input_size", "hidden_size", "num_layers"):
            check_count(name, getattr(self, name))
        for name in ("bias", "batch_first", "bidirectional", "reverse", "recompute"):
            check_flag(name, getattr(self, name))
        if self.merge is not None and self.merge not in _MERGES:
            raise OptionError.unknown("merge", str(self.merge), _MERGES)
        if self.kernel not in _KERNELS:
            raise OptionError.unknown("kernel", str(self.kernel), _KERNELS)
        if self.merge != "concat" and not self.bidirectional:
            raise InputError(f"merge={self.merge!r} needs two outputs. Pass bidirectional=True, or leave merge out.")
        if self.reverse and self.bidirectional:
            raise InputError("reverse=True and bidirectional=True exclude each other: both directions run already.")
        if self.chrono is not None and not self.bias:
            raise InputError("chrono needs a bias to start. Pass bias=True, or leave chrono out.")
        check_chrono(self.chrono)
        if self.dropout and self.num_layers == 1:
            warnings.warn(f"dropout={self.dropout} acts between layers, but num_layers is 1.", stacklevel=4)

    def _add_layer(self, layer: int, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        rows = GATES[self.cell] * self.hidden_size
        columns = self.input_size if layer == 0 else self.hidden_size * self.num_directions
        shapes = [(rows, columns), (rows, self.hidden_size), (rows,), (rows,)]
        for name, shape in zip(parameter_names(layer, self.bidirectional, self.bias), 2 * shapes, strict=True):
            if name:
                self.register_parameter(name, torch.nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
