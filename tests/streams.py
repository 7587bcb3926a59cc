"""A network to stream, with drawn weights and steps, and a stream of it fed in chunks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.network import Dense, Dropout, Network, Pool, Recurrent, parameter_shapes
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, Stream

Array = npt.NDArray[Any]
STEPS = 9
MODES = ("last", "mean", "max", "first")


def weights_of(network: Network, dtype: Any = np.float32) -> dict[str, Array]:
    rng = np.random.default_rng(3)
    return {name: rng.uniform(-0.6, 0.6, shape).astype(dtype) for name, shape in parameter_shapes(network).items()}


def features(cell: Any = "lstm", *, modes: Any = None, **layer: Any) -> Network:
    recurrent = Recurrent(cell=cell, input_size=4, hidden_size=5, **layer)
    pool = [Pool(modes=modes)] if modes else []
    return Network.of(
        Dense(in_features=3, out_features=4, activation="tanh"),
        recurrent,
        *pool,
        Dense(in_features=recurrent.output_size * len(modes or (1,)), out_features=6, activation="relu"),
        Dropout(p=0.5),
        Dense(in_features=6, out_features=2),
    )


def whole(executor: Executor, x: Array) -> Array:
    """Run one sequence: [T, K], or [K] once pooled."""
    out = executor(Ragged(x, np.array([0, len(x)])))
    return out[0] if any(isinstance(node, Pool) for node in executor.network.nodes) else out


def steps_of(kind: Any = np.float32) -> Array:
    return np.random.default_rng(1).standard_normal((STEPS, 3)).astype(kind)


def stream_all(stream: Stream, x: Array, chunks: list[int]) -> Array:
    """Push x in chunks, one step by `step`, and return all answers end to end."""
    found: list[Array] = []
    for begin, end in pairwise(np.cumsum([0, *chunks])):
        if end == begin + 1:
            row = stream.step(x[begin])
            found += [] if row is None else [row[None]]
        else:
            found.append(stream.push(x[begin:end]))
    return np.concatenate([*found, stream.finish()])
