"""The layers that train: SimpleRNN, LSTM and GRU, with the arguments and parameters of `torch.nn`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, Unpack, final

import torch
from torch import Tensor

from tidegate.cells import CELLS
from tidegate.errors import InputError, WrongTypeError
from tidegate.nn.layout import Batch
from tidegate.nn.options import Extras, LayerOptions, spelled_out
from tidegate.nn.recurrent import Recurrent
from tidegate.nn.stack import hx_pair, hx_single

_BY_FUNCTION: dict[Any, str] = {card.function: name for name, card in CELLS.items() if card.function}


@final
class SimpleRNN(Recurrent):
    """Run ``h = tanh(W_ih x + b_ih + W_hh h + b_hh)`` over each sequence, as `torch.nn.RNN` does.

    Args and input are those of `LSTM`, but for ``nonlinearity``: "tanh" or "relu"; the state is ``h`` alone.

    >>> output, hn = SimpleRNN(3, 5)(torch.zeros(7, 2, 3))
    >>> list(output.shape), list(hn.shape)
    ([7, 2, 5], [1, 2, 5])
    """

    @spelled_out
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **extras: Unpack[Extras],
    ) -> None:
        options = LayerOptions(
            input_size,
            hidden_size,
            num_layers=num_layers,
            nonlinearity=nonlinearity,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            **extras,
        )
        super().__init__(_BY_FUNCTION[nonlinearity], options, device, dtype)

    def forward(self, x: Batch, hx: Tensor | None = None, *, table: Tensor | None = None) -> tuple[Any, Tensor]:
        """Run over a batch; see `LSTM.forward`. Takes ``h0`` as ``hx`` and returns the output and ``hn``."""
        output, (hn,) = self._run(x, hx_single(hx, SimpleRNN.__name__), None, table)
        return output, hn


@final
class LSTM(Recurrent):
    """Run a long short-term memory over each sequence, as `torch.nn.LSTM` does (Hochreiter, Schmidhuber 1997).

    Args:
        input_size: features C of a token.
        hidden_size: hidden units H.
        num_layers: layers L, each over the concatenated directions of the one before.
        bias: add ``bias_ih`` and ``bias_hh``.
        batch_first: padded input and output are [B, T, ...] rather than [T, B, ...].
        dropout: probability of zeroing an output between layers, in training.
        bidirectional: run a second direction from the end of each sequence.
        proj_size: 0; the kernels do not project the state.
        merge: how the last layer hands out its two directions: "concat", "sum", "mul", "ave", or None for both apart.
        recurrent_dropout: probability of hiding a hidden unit from the recurrent product, for a whole sequence, in
            training (Gal, Ghahramani 2016).
        weight_dropout: probability of zeroing an entry of the recurrent matrices, anew at each call, in training
            (Merity et al. 2017). A dropped matrix enters the same kernel, so that it costs next to nothing.
        forget_bias: total bias of the forget gate at the start; None keeps torch's random one.
        chrono: the longest memory T, in steps, that the task asks for: the forget gate's total biases start at
            log U(1, T - 1), drawn per unit, and the input gate's at their negative (Tallec, Ollivier 2018, section 2).
        reverse: run the only direction from the end.
        recompute: keep no gates for the backward call, which runs the layer again for them: less memory, more time, the
            same bits.
        kernel: "auto" runs Tidegate's kernels on the CPU and torch's own implementation on other devices;
            "tidegate" or "torch" holds, or raises.

    Raises:
        InputError, OptionError: a size, probability or name that cannot be used, or options that exclude each other.

    >>> layer = LSTM(4, 8, num_layers=2, bidirectional=True, merge="sum", forget_bias=1.0)
    >>> output, (hn, cn) = layer(torch.zeros(5, 3, 4))
    >>> list(output.shape), list(hn.shape)
    ([5, 3, 8], [4, 3, 8])
    """

    @spelled_out
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        forget_bias: float | None = None,
        chrono: int | None = None,
        **extras: Unpack[Extras],
    ) -> None:
        _check_projection(proj_size)
        options = LayerOptions(
            input_size,
            hidden_size,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            forget_bias=forget_bias,
            chrono=chrono,
            **extras,
        )
        super().__init__("lstm", options, device, dtype)

    def forward(
        self, x: Batch, hx: tuple[Tensor, Tensor] | None = None, *, table: Tensor | None = None
    ) -> tuple[Any, tuple[Tensor, Tensor]]:
        """Run over a batch.

        Args:
            x: a Ragged batch or PackedSequence [N, C], a padded tensor [T, B, C] ([B, T, C] with ``batch_first``), or
                one sequence [T, C]. Every row of a padded tensor runs over its full length. Sequences may be empty.
            hx: (h0, c0), each [L * D, B, H], or [L * D, H] for one sequence; zeros when left out.
            table: [V, C]. With it ``x`` holds token ids, without the axis C, and the rows are read in the kernel.

        Returns:
            The output in the form of ``x`` with D * H features (a pair of them with ``merge=None``), and (hn, cn)
            shaped as ``hx``. The final state of an empty sequence is its initial state.

        Raises:
            ShapeError: a shape, type or device that does not fit.
            InputError: a token id outside of the table.
        """
        h0, c0 = hx_pair(hx)
        output, (hn, cn) = self._run(x, h0, c0, table)
        return output, (hn, cn)


@final
class GRU(Recurrent):
    """Run a gated recurrent unit over each sequence, as `torch.nn.GRU` does: reset after the product.

    Args and input are those of `LSTM`, without ``forget_bias``; the state is ``h`` alone (Cho et al. 2014). ``chrono``
    lets the total biases of z, which keeps the state here, start at log U(1, T - 1) (Tallec, Ollivier 2018, whose gate
    is 1 - z).

    >>> output, hn = GRU(3, 5, reverse=True)(torch.zeros(7, 3))
    >>> list(output.shape), list(hn.shape)
    ([7, 5], [1, 5])
    """

    @spelled_out
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        chrono: int | None = None,
        **extras: Unpack[Extras],
    ) -> None:
        options = LayerOptions(
            input_size,
            hidden_size,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            chrono=chrono,
            **extras,
        )
        super().__init__("gru", options, device, dtype)

    def forward(self, x: Batch, hx: Tensor | None = None, *, table: Tensor | None = None) -> tuple[Any, Tensor]:
        """Run over a batch; see `LSTM.forward`. Takes ``h0`` as ``hx`` and returns the output and ``hn``."""
        output, (hn,) = self._run(x, hx_single(hx, GRU.__name__), None, table)
        return output, hn


@final
class CellLayer(Recurrent):
    """Run a cell that has no layer of its own name over each sequence.

    Args:
        cell: one of `kernels.CELLS`.
        options: sizes and whatever else `LSTM` takes.

    >>> output, hn = CellLayer("rnn_tanh", LayerOptions(3, 5))(torch.zeros(7, 2, 3))
    >>> list(output.shape), list(hn.shape)
    ([7, 2, 5], [1, 2, 5])
    """

    def forward(self, x: Batch, hx: Any = None, *, table: Tensor | None = None) -> tuple[Any, Any]:
        """Run over a batch; see `LSTM.forward`. The states are a pair if the cell carries ``c``, else ``h`` alone."""
        carries_c = CELLS[self.cell].carries_c
        h0, c0 = hx_pair(hx) if carries_c else (hx_single(hx, self.cell), None)
        output, states = self._run(x, h0, c0, table)
        return output, tuple(states) if carries_c else states[0]


def layer_of(cell: str) -> Callable[..., Recurrent]:
    """Find what makes the layer of a cell, given sizes and options.

    >>> layer_of("lstm")(3, 4, bidirectional=True)
    LSTM(3, 4, bidirectional=True)
    """
    return _LAYERS.get(cell) or (lambda *sizes, **options: CellLayer(cell, LayerOptions(*sizes, **options)))


_LAYERS: dict[str, Callable[..., Recurrent]] = {
    "lstm": LSTM,
    "gru": GRU,
    **{name: partial(SimpleRNN, nonlinearity=function) for function, name in _BY_FUNCTION.items()},
}


def _check_projection(size: object) -> None:
    if isinstance(size, bool) or not isinstance(size, int):
        raise WrongTypeError(f"proj_size={size!r} is a {type(size).__name__}, but 0 was wanted. Leave it out.")
    if size:
        raise InputError(
            f"proj_size={size}, but Tidegate's kernels do not project the state. Leave it out and put a "
            f"torch.nn.Linear(hidden_size, {size}) behind the layer, or take torch.nn.LSTM."
        )
