"""The layers that train: SimpleRNN, LSTM and GRU, with the arguments and parameters of `torch.nn`."""

from __future__ import annotations

from typing import Any, Literal, final

import torch
from torch import Tensor

from tidegate.errors import InputError, OptionError, WrongTypeError
from tidegate.nn.layout import Batch
from tidegate.nn.recurrent import Kernel, Recurrent
from tidegate.nn.stack import Merge, hx_pair, hx_single

_CELLS = {"tanh": "rnn_tanh", "relu": "rnn_relu"}


@final
class SimpleRNN(Recurrent):
    """Run ``h = tanh(W_ih x + b_ih + W_hh h + b_hh)`` over each sequence, as `torch.nn.RNN` does.

    Args and input are those of `LSTM`, but for ``nonlinearity``: "tanh" or "relu"; the state is ``h`` alone.

    >>> output, hn = SimpleRNN(3, 5)(torch.zeros(7, 2, 3))
    >>> list(output.shape), list(hn.shape)
    ([7, 2, 5], [1, 2, 5])
    """

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
        *,
        merge: Merge = "concat",
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        reverse: bool = False,
        recompute: bool = False,
        kernel: Kernel = "auto",
    ) -> None:
        if str(nonlinearity) not in _CELLS:
            raise OptionError.unknown("nonlinearity", str(nonlinearity), _CELLS)
        super().__init__(
            _CELLS[nonlinearity],
            input_size,
            hidden_size,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
            merge=merge,
            recurrent_dropout=recurrent_dropout,
            weight_dropout=weight_dropout,
            reverse=reverse,
            recompute=recompute,
            kernel=kernel,
        )
        self.nonlinearity = nonlinearity
        self.reset_parameters()

    def forward(self, x: Batch, hx: Tensor | None = None, *, table: Tensor | None = None) -> tuple[Any, Tensor]:
        """Run over a batch; see `LSTM.forward`. Takes ``h0`` as ``hx`` and returns the output and ``hn``."""
        output, (hn,) = self._run(x, hx_single(hx, "SimpleRNN"), None, table)
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
        merge: Merge = "concat",
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        forget_bias: float | None = None,
        chrono: int | None = None,
        reverse: bool = False,
        recompute: bool = False,
        kernel: Kernel = "auto",
    ) -> None:
        _check_projection(proj_size)
        if forget_bias is not None and (isinstance(forget_bias, bool) or not isinstance(forget_bias, int | float)):
            raise WrongTypeError(
                f"forget_bias={forget_bias!r}, but a number was wanted. Pass a float, or leave it out."
            )
        if forget_bias is not None and not bias:
            raise InputError("forget_bias needs a bias to start. Pass bias=True, or leave forget_bias out.")
        if forget_bias is not None and chrono is not None:
            raise InputError("forget_bias and chrono both set the forget gate. Pass one of them.")
        super().__init__(
            "lstm",
            input_size,
            hidden_size,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
            merge=merge,
            recurrent_dropout=recurrent_dropout,
            weight_dropout=weight_dropout,
            reverse=reverse,
            recompute=recompute,
            kernel=kernel,
            chrono=chrono,
        )
        self.forget_bias = forget_bias
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters as torch does, then set the biases that `forget_bias` or `chrono` asks for."""
        super().reset_parameters()
        for suffix in self._suffixes():
            if self.chrono is not None:
                keep = self._draw_chrono(self.chrono)
                self._start_gate(0, -keep, suffix)  # i f g o
                self._start_gate(1, keep, suffix)
            elif self.forget_bias is not None:
                self._start_gate(1, self.forget_bias, suffix)

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
        merge: Merge = "concat",
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        chrono: int | None = None,
        reverse: bool = False,
        recompute: bool = False,
        kernel: Kernel = "auto",
    ) -> None:
        super().__init__(
            "gru",
            input_size,
            hidden_size,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
            merge=merge,
            recurrent_dropout=recurrent_dropout,
            weight_dropout=weight_dropout,
            reverse=reverse,
            recompute=recompute,
            kernel=kernel,
            chrono=chrono,
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters as torch does, then set the biases that `chrono` asks for."""
        super().reset_parameters()
        if self.chrono is not None:
            for suffix in self._suffixes():
                self._start_gate(1, self._draw_chrono(self.chrono), suffix)  # r z n

    def forward(self, x: Batch, hx: Tensor | None = None, *, table: Tensor | None = None) -> tuple[Any, Tensor]:
        """Run over a batch; see `LSTM.forward`. Takes ``h0`` as ``hx`` and returns the output and ``hn``."""
        output, (hn,) = self._run(x, hx_single(hx, "GRU"), None, table)
        return output, hn


def _check_projection(size: object) -> None:
    if isinstance(size, bool) or not isinstance(size, int):
        raise WrongTypeError(f"proj_size={size!r} is a {type(size).__name__}, but 0 was wanted. Leave it out.")
    if size:
        raise InputError(
            f"proj_size={size}, but Tidegate's kernels do not project the state. Leave it out and put a "
            f"torch.nn.Linear(hidden_size, {size}) behind the layer, or take torch.nn.LSTM."
        )
