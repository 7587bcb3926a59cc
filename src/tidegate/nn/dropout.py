"""Dropout that the steps of a sequence share. Knows masks, not networks."""

from __future__ import annotations

import torch
from torch import Tensor

from tidegate.ragged import Ragged


class SequenceDropout(torch.nn.Module):
    """Zero features in training, the same ones at all steps of a sequence, others in each (Gal & Ghahramani 2016).

    >>> batch = Ragged(torch.ones(5, 4), torch.tensor([0, 3, 5]))
    >>> dropped = SequenceDropout(0.5)(batch).values
    >>> bool((dropped[0] == dropped[2]).all()), sorted({*dropped.flatten().tolist()} | {0.0, 2.0})
    (True, [0.0, 2.0])
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, batch: Ragged) -> Ragged:
        """Return a Ragged batch [N, F]; outside training the very one that came."""
        if not (self.training and self.p):
            return batch
        values: Tensor = batch.values
        mask = torch.nn.functional.dropout(values.new_ones(len(batch), values.shape[1]), self.p)  # [B, F]
        return batch.with_values(values * mask.repeat_interleave(batch.lengths, dim=0))


def drop_words(table: Tensor, p: float, *, training: bool) -> Tensor:
    """Return a table [V, C] without some of its rows in training, the others made larger to make up for it."""
    if not (training and p):
        return table
    return table * torch.nn.functional.dropout(table.new_ones(len(table), 1), p)
