"""Which calls of an accelerated layer torch's own code answers sooner: few steps in training, few tokens in inference.

As measured: `benchmarks/accelerate.py` measures, and docs/accelerate.md shows the figures.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from tidegate.cells import CELLS

LEAST_STEPS, LEAST_STEPS_GATED = 10, 4
"""In training: a call costs some 0.1 ms more than torch's before its first step, and then less for each."""
LEAST_TOKENS, SMALL = 10, 128
"""In inference, with more hidden units than are small: kernels want weights packed, torch takes them as they are."""


def torch_is_sooner(layer: Any, batch: Any, hx: Any) -> bool:
    """Tell whether a call is too short for the kernels to be ahead.

    Args:
        layer: an accelerated layer.
        batch: what it is to read, as torch takes it; anything else is never handed over.
        hx: the state that it begins with, in torch's form.
    """
    cell, hidden_size = layer.cell, layer.hidden_size
    if never(cell, layer.weight_hh_l0.dtype):
        return False
    steps, tokens = _size(layer, batch)
    return tokens > 0 and is_short(cell, hidden_size, steps, tokens, training=_wants_gradient(layer, batch, hx))


def is_short(cell: str, hidden_size: int, steps: int, tokens: int, *, training: bool) -> bool:
    """Tell whether torch is sooner over so many steps and tokens, which are the steps of all sequences.

    >>> is_short("gru", 64, 3, 24, training=True), is_short("gru", 64, 3, 24, training=False)
    (True, False)
    """
    return steps < _least_steps(cell) if training else hidden_size > SMALL and tokens < LEAST_TOKENS


def never(cell: str, dtype: torch.dtype) -> bool:
    """Tell whether no call is handed over.

    That is so for the LSTM in float32, where torch packs weights, too, and has no second gradients.
    """
    return CELLS[cell].carries_c and dtype is torch.float32


def _least_steps(cell: str) -> int:
    return LEAST_STEPS_GATED if CELLS[cell].gated else LEAST_STEPS


def told(cell: str, hidden_size: int, dtype: torch.dtype) -> str:
    """Say which calls are handed over.

    >>> told("gru", 64, torch.float32)
    'Calls of fewer than 4 steps in training are handed to torch, which is sooner there.'
    >>> told("lstm", 64, torch.float32)
    ''
    """
    if never(cell, dtype):
        return ""
    inference = f" and of fewer than {LEAST_TOKENS} tokens in inference" if hidden_size > SMALL else ""
    return (
        f"Calls of fewer than {_least_steps(cell)} steps in training{inference} are handed to torch, which is sooner "
        "there."
    )


def _size(layer: Any, batch: Any) -> tuple[int, int]:
    """Count the steps and the tokens of a batch; none of what torch's layers do not take."""
    if isinstance(batch, PackedSequence):
        return len(batch.batch_sizes), len(batch.data)
    if not isinstance(batch, Tensor) or batch.dim() not in (2, 3):
        return 0, 0
    steps = batch.shape[1 if layer.batch_first and batch.dim() == 3 else 0]
    return steps, steps if batch.dim() == 2 else batch.shape[0] * batch.shape[1]


def _wants_gradient(layer: Any, batch: Any, hx: Any) -> bool:
    """Tell whether a gradient of this call will be asked for."""
    if not torch.is_grad_enabled():
        return False
    data = batch.data if isinstance(batch, PackedSequence) else batch
    given = (layer.weight_hh_l0, data, *(hx if isinstance(hx, tuple) else (hx,)))
    return any(isinstance(each, Tensor) and each.requires_grad for each in given) or any(
        weight.requires_grad for weight in layer.parameters()
    )
