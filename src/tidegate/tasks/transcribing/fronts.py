"""What sound passes before the part that is trained, and signals as that part reads them.

The bands of sound are the same in every epoch, so that they are found once; the model that is handed out begins with
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.data.transcribed.recordings import Recordings
from tidegate.network import Network, Spectrogram
from tidegate.ragged import Ragged
from tidegate.runtime import Executor
from tidegate.runtime.executor import cut
from tidegate.tasks.transcribing.measuring import Part
from tidegate.tasks.transcribing.reading import Reading
from tidegate.tasks.transcribing.transcripts import Places

if TYPE_CHECKING:
    from tidegate.tasks.transcribing.beginning import Beginning

Array: TypeAlias = npt.NDArray[Any]

_FRAME, _HOP = 0.025, 0.01  # seconds


def hop_of(rate: float) -> int:
    """Count the samples from one frame to the next."""
    return max(round(_HOP * rate), 1)


def fitted_front(given: Recordings, rate: float, bands: int, before: Beginning | None) -> Executor:
    """Make what sound passes first: bands of frequencies, brought to the scale that they have in a training part.

    They end a little below half the rate, where recordings of telephones do. `before`: what to take the scale of.
    """
    node = Spectrogram(
        rate=round(rate),
        frame=max(round(_FRAME * rate), 1),
        hop=hop_of(rate),
        bands=bands,
        low=60.0 if rate > 2000 else 0.0,
        high=0.475 * rate,
    )
    network = Network.of(node)
    if before is not None and before.front is not None:
        return Executor(network, before.front)
    plain = {"0.mean": np.zeros(bands, np.float32), "0.scale": np.ones(bands, np.float32)}
    logs = np.concatenate([rows for _, rows in run(Executor(network, plain), given.ragged())])
    mean, deviation = logs.mean(axis=0, dtype=np.float64), logs.std(axis=0, dtype=np.float64)
    scale = 1 / np.maximum(deviation, 1e-3)
    return Executor(network, {"0.mean": mean.astype(np.float32), "0.scale": scale.astype(np.float32)})


def encoded(recordings: Recordings, reading: Reading, front: Executor | None) -> Part:
    """Bring recordings into the form that the network trains on."""
    x, texts = reading.scaled(recordings.ragged()), list(recordings.texts or [])
    if front is not None:
        rows: list[Array] = [np.empty((0, front.network.output_size), np.float32)] * len(x)
        for indices, found in run(front, x):
            begins = np.cumsum([0, *front.network.steps(np.asarray(x.lengths)[indices])])
            for row, index in enumerate(indices.tolist()):
                rows[index] = found[begins[row] : begins[row + 1]]
        x = Ragged.from_list(rows, dtype=np.float32)
    return Part(x, texts, reading.labels(texts))


def with_front(front: Executor, network: Network, weights: dict[str, Array]) -> tuple[Network, dict[str, Array]]:
    """Put what sound passes first before a network that was trained behind it."""
    moved = {f"{int(name.partition('.')[0]) + 1}.{name.partition('.')[2]}": array for name, array in weights.items()}
    return Network.of(*front.network.nodes, *network.nodes), {**front.weights, **moved}


def run(executor: Executor, x: Ragged) -> Iterator[tuple[Array, Array]]:
    """Run signals in batches of like lengths: the indices of each batch, and the rows of all its signals."""
    for indices in cut(x, tokens=2**15 * executor.network.gives[-1].stride):
        yield indices, executor(x.select(indices))


def places_of(network: Network, steps: int) -> Places:
    """Say which steps of a signal the frames of a network see."""
    width, stride = network.sees
    return Places(stride, width, steps)
