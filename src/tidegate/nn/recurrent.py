"""What SimpleRNN, LSTM and GRU share: parameters named as in torch, and how they start. `stack` has the walk."""

from __future__ import annotations

from dataclasses import MISSING, fields
from math import sqrt

import torch
from torch import Tensor

from tidegate.cells import CELLS
from tidegate.errors import InputError, ShapeError
from tidegate.nn.options import Kernel, LayerOptions
from tidegate.nn.stack import Stack, parameter_names
from tidegate.nn.transforms import why_no_rule


class Recurrent(Stack, torch.nn.Module):
    """Stack a cell in layers and directions. Abstract: SimpleRNN, LSTM and GRU name the cell."""

    forget_bias: float | None = None
    chrono: int | None = None
    kernel: Kernel

    def __init__(
        self,
        cell: str,
        options: LayerOptions,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.cell = cell
        for name, value in vars(options).items():
            setattr(self, name, value)
        for layer in range(self.num_layers):
            self._add_layer(layer, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters as torch does, then set the biases that `forget_bias` or `chrono` asks for.

        They come from +-1 / sqrt(hidden_size), in torch's order: one seed gives torch's weights.
        """
        bound = 1 / sqrt(self.hidden_size)
        for parameter in self.parameters():
            torch.nn.init.uniform_(parameter, -bound, bound)
        card = CELLS[self.cell]
        if card.keeps is None:
            return
        for suffix in self._suffixes():
            if self.chrono is not None:
                keep = self._draw_chrono(self.chrono)
                self._start_gate(card.keeps, keep, suffix)
                if card.lets_in is not None:
                    self._start_gate(card.lets_in, -keep, suffix)
            elif self.forget_bias is not None:
                self._start_gate(card.keeps, self.forget_bias, suffix)

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
        options = {field.name: field.default for field in fields(LayerOptions) if field.default is not MISSING}
        now = {name: getattr(self, name, default) for name, default in options.items()}
        changed = [f"{name}={value!r}" for name, value in now.items() if value != options[name]]
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

    def _add_layer(self, layer: int, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        rows = CELLS[self.cell].gates * self.hidden_size
        columns = self.input_size if layer == 0 else self.hidden_size * self.num_directions
        shapes = [(rows, columns), (rows, self.hidden_size), (rows,), (rows,)]
        for name, shape in zip(parameter_names(layer, self.bidirectional, self.bias), 2 * shapes, strict=True):
            if name:
                self.register_parameter(name, torch.nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
