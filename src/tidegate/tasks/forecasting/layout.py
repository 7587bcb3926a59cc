"""How windows become the rows that a network reads, and its rows become forecasts. Knows shapes alone, no weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.network import Dense, Node, Split
from tidegate.ragged import Ragged
from tidegate.tasks.forecasting.windows import known_lags, with_known

Array = npt.NDArray[Any]

_ROWS = 2**14  # of input and output: of windows that are predicted at once


@dataclass(frozen=True)
class Layout:
    """Say what a network of a forecaster reads and gives.

    Args:
        lookback: L, steps that are read.
        horizon: H, steps that are given at once.
        targets: K, columns that are forecast.
        past: columns known up to now only.
        known: columns known in the future too, the calendar's among them.
        segment: W, steps of one row of input; 1 where the network reads step by step.
        decoded: whether the output comes in segments as well, or all at once.
        independent: whether each target is a sequence of its own.
        outputs: Q, numbers that are given for each step of each target: its mean and its quantiles.
    """

    lookback: int
    horizon: int
    targets: int
    past: int
    known: int
    segment: int
    decoded: bool
    independent: bool
    outputs: int

    @property
    def channels(self) -> int:
        """Count the sequences that one window becomes."""
        return self.targets if self.independent else 1

    @property
    def shared(self) -> int:
        """Count the columns that every channel reads besides its own."""
        return self.past + self.known * len(known_lags(self.lookback, self.horizon))

    @property
    def input_size(self) -> int:
        """Count the features of a row that one channel reads."""
        return (self.targets // self.channels + self.shared) * self.segment

    @property
    def rows_in(self) -> int:
        """Count the rows of input of one window."""
        return self.lookback // self.segment

    @property
    def rows_out(self) -> int:
        """Count the rows of output of one channel: the segments of the horizon, the last of which may reach beyond."""
        return -(-self.horizon // self.segment) if self.decoded else 1

    @property
    def steps(self) -> int:
        """Count the steps that are given for one target, the last of which may lie beyond the horizon."""
        return self.rows_out * self.segment if self.decoded else self.horizon

    @property
    def output_size(self) -> int:
        """Count the numbers of a row of output."""
        return (self.segment if self.decoded else self.horizon) * (self.targets // self.channels) * self.outputs

    def first(self) -> list[Node]:
        """Give the node that parts the channels, where there are several."""
        if self.channels == 1:
            return []
        return [Split(channels=self.channels, size=self.segment, shared=self.shared * self.segment)]

    def last(self, features: int) -> Node:
        """Give the node that makes the output."""
        return Dense(in_features=features, out_features=self.output_size)

    def inputs(self, observed: Array, known: Array) -> Ragged:
        """Lay out B windows, [B, L, K + past] and [B, L + H, known], as a sequence of rows each."""
        features = with_known(observed, known, self.horizon)  # [B, L, F]
        size, n, columns = len(features), self.rows_in, features.shape[2]
        segments = features.reshape(size, n, self.segment, columns).swapaxes(2, 3)  # [B, n, F, W]
        return Ragged.from_padded(segments.astype(np.float32).reshape(size, n, columns * self.segment))

    def answers(self, rows: Any) -> Any:
        """Lay out the output, an array or a tensor, as [B, H, K, Q]."""
        own = self.targets // self.channels
        wide = rows.reshape(-1, self.channels, self.steps, own, self.outputs)
        return wide.swapaxes(1, 2).reshape(-1, self.steps, self.targets, self.outputs)[:, : self.horizon]

    def parts(self, count: int) -> Iterator[npt.NDArray[np.int64]]:
        """Give the indices of `count` windows, as many together as are worth predicting at once."""
        size = max(_ROWS // (self.channels * (self.rows_in + self.rows_out)), 1)
        for start in range(0, count, size):
            yield np.arange(start, min(start + size, count))
