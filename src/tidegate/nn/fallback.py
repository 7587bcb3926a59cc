"""One recurrent layer by torch's own implementation: for devices without our kernels, and for whoever asks for it.

Takes what the operator `recurrent` takes, and returns its first three outputs, so that a layer can run on either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tidegate.cells import CELLS
from tidegate.errors import InputError
from tidegate.nn import equations
from tidegate.nn.convert import packing
from tidegate.nn.operands import Operands
from tidegate.ragged import Ragged

_RUN: dict[str, Callable[..., Any]] = {
    name: getattr(torch, card.torch.lower()) for name, card in CELLS.items() if card.torch
}


def recurrent(given: Operands) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer over a ragged batch; a cell that torch does not have runs as its equations.

    Sequences of one length run as a rectangle, others as a PackedSequence.

    Returns:
        h [N, D * H], hn [D, B, H], cn [D, B, H] or empty.

    Raises:
        InputError: a recurrent dropout mask was passed, which torch cannot apply.
    """
    card = CELLS[given.cell]
    if card.torch is None:
        return equations.recurrent(given)
    if given.mask is not None:
        raise InputError(
            "recurrent_dropout needs Tidegate's kernels, but torch's own implementation runs here. "
            "Move layer and input to the CPU, or build the layer with recurrent_dropout=0."
        )
    x, table = given.x, given.table
    batch = Ragged(x if table is None else torch.nn.functional.embedding(x, table), given.offsets)
    directions = given.directions
    params = [weight for matrices in directions for weight in matrices if weight is not None]
    layer = _Layer(given.cell, params, has_biases=given.b_ih is not None, bidirectional=len(directions) == 2)
    zeros = given.w_hh.new_zeros(given.state)
    starts = [zeros if state is None else state for state in (given.h0, given.c0)[: len(card.states)]]
    h, ends = _run(layer, _turned(batch) if given.reverse else batch, starts)
    if given.reverse:
        h = _turned(batch.with_values(h)).values
    return h, ends[0], ends[1] if card.carries_c else h.new_empty(0)


class _Layer(NamedTuple):
    """Hold one layer as torch's functions take it."""

    cell: str
    params: list[Tensor]
    has_biases: bool
    bidirectional: bool

    def __call__(self, *batch: Any, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Run over (rows [B, T, C],) or over (packed data, batch sizes)."""
        start = states if CELLS[self.cell].carries_c else states[0]
        layout = (True,) if len(batch) == 1 else ()  # batch_first
        options = (self.params, self.has_biases, 1, 0.0, False, self.bidirectional, *layout)
        h, *ends = _RUN[self.cell](*batch[:2], start, *options)
        return h, ends


def _run(layer: _Layer, batch: Ragged, starts: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    lengths = batch.lengths
    live = lengths.nonzero()[:, 0]
    if not len(live):
        return starts[0].new_zeros(0, starts[0].shape[0] * starts[0].shape[2]), starts
    if len(live) < len(lengths):  # torch takes no empty sequence: its final state is its initial one
        place = live.to(batch.values.device)
        h, ends = _run(layer, batch.select(live), [state[:, place] for state in starts])
        return h, [state.index_copy(1, place, end) for state, end in zip(starts, ends, strict=True)]
    if int(lengths.min()) == int(lengths.max()):
        rows, ends = layer(batch.values.unflatten(0, (len(batch), -1)), states=starts)  # [B, T, C]
        return rows.flatten(0, 1), ends
    tokens, batch_sizes, rows = packing(batch)
    device = batch.values.device
    back, rows_back = tokens.argsort().to(device), rows.argsort().to(device)
    tokens, rows = tokens.to(device), rows.to(device)
    data, ends = layer(batch.values[tokens], batch_sizes, states=[state[:, rows] for state in starts])
    return data[back], [state[:, rows_back] for state in ends]


def _turned(batch: Ragged) -> Ragged:
    """Turn each sequence end to start."""
    offsets = batch.offsets
    mirror = (offsets[:-1] + offsets[1:] - 1).repeat_interleave(batch.lengths)
    tokens = mirror - torch.arange(len(mirror))  # [N]
    return batch.with_values(batch.values[tokens.to(batch.values.device)])
