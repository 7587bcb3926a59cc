"""Executes a network in the core: NumPy in, NumPy out, the same bits alone and in any batch.

Knows nodes and weights. Knows neither torch nor tasks: what comes out are the numbers of the last node.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.checkpoint import NO_TASK, About, save_model
from tidegate.engine import Batch, Runner
from tidegate.runtime.stream import Prepared, Stream

Array: TypeAlias = npt.NDArray[Any]


class Executor(Runner):
    """Run a network with given weights over ragged batches; any number of threads may call one executor at once.

    Args:
        network: what to run.
        weights: one array for each of `network.parameter_shapes`, all float32 or all float64. They are packed once,
            when first needed; what is written into the arrays after that may not be seen.
        num_threads: for the kernels; None takes their own setting. The numbers do not depend on it.

    Raises:
        ShapeError: the weights do not fit the network.

    >>> from tidegate.network import Dense, Network, Pool
    >>> from tidegate.ragged import Ragged
    >>> network = Network.of(Dense(in_features=1, out_features=1), Pool(modes=("max",)))
    >>> double = Executor(network, {"0.weight": np.array([[2.0]], np.float32), "0.bias": np.array([0.0], np.float32)})
    >>> double(Ragged(np.array([[1.0], [3.0], [5.0]], np.float32), np.array([0, 2, 3])))
    array([[ 6.],
           [10.]], dtype=float32)
    """

    def save(self, path: str | os.PathLike[str], *, licence: str | None = None) -> None:
        """Write the model file of a network without a task, which `tidegate.load` makes an executor of again.

        Args:
            path: where to.
            licence: under which the model is given away, for `tidegate info` to show.

        Raises:
            InputError: a weight is not finite.
            OSError: it cannot be written; a file that was there before is then still there, whole.
        """
        about = About().also(licence=licence)
        save_model(path, self.network, weights=self.weights, task={"name": NO_TASK}, about=about)

    def stream(self, *, lookahead: int | None = None, state: bytes | None = None) -> Stream:
        """Feed a live sequence to the network, step by step; arguments and errors are those of `runtime.Stream`."""
        return Stream.of(self.prepare_stream(lookahead=lookahead), state=state)

    def prepare_stream(self, *, lookahead: int | None = None) -> Prepared:
        """Pack the weights for any number of streams, as `StreamPool` does."""
        return Prepared(self, lookahead)


def run_sorted(executor: Executor, x: Batch, *, tokens: int = 2**15) -> Array:
    """Run a pooled network over any number of sequences, `[B, output_size]`, in batches of like lengths.

    A batch holds about `tokens` tokens, or one sequence that is longer. Memory is bounded by that; the numbers do not
    depend on it.
    """
    out = np.empty((len(x), executor.network.output_size), executor.dtype)
    for indices in cut(x, tokens=tokens):
        out[indices] = executor(x.select(indices))
    return out


def cut(x: Batch, *, tokens: int = 2**15) -> Iterator[Array]:
    """Cut sequences into batches of like lengths, of about `tokens` tokens each; yields the indices of each batch."""
    lengths = np.asarray(x.lengths)
    order = np.argsort(lengths, kind="stable")
    cost = np.cumsum(lengths[order] + 1)  # an empty sequence costs something too
    yield from np.split(order, np.flatnonzero(np.diff(cost // tokens)) + 1)
