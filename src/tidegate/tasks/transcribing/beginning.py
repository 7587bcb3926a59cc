"""What a transcriber begins with of another one, whose symbols may be others. Knows no signals."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

import tidegate.train as train
from tidegate.checkpoint import load_model
from tidegate.errors import InputError
from tidegate.network import Network, Spectrogram
from tidegate.tasks.fitting import Plan, begin_with
from tidegate.tasks.run import MODEL
from tidegate.tasks.transcribing.card import CARD
from tidegate.tasks.transcribing.reading import Reading

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Beginning:
    """Hold what another transcriber learned.

    path: of its file.
    reading: its symbols, and the scale of its features.
    weights: of the part that is trained, its nodes that have any counted from there.
    front: the scale of the bands of sound; None where features are read.
    """

    path: Path
    reading: Reading
    weights: dict[str, Array]
    front: dict[str, Array] | None

    def let_scale(self, reading: Reading) -> Reading:
        """Bring features to the scale that its weights know; raises InputError where they are others."""
        before = self.reading
        if (before.reads, before.mean.shape, before.centred) != (reading.reads, reading.mean.shape, reading.centred):
            raise InputError(
                f"{self.path} reads {before.reads} of {len(before.mean)} features, centred={before.centred}; here came "
                f"{reading.reads} of {len(reading.mean)}, centred={reading.centred}."
            )
        return replace(reading, mean=before.mean, deviation=before.deviation)

    def let_begin(self, plan: Plan, reading: Reading) -> Plan:
        """Let a plan begin with its weights; what is new of the symbols begins as drawn.

        Raises InputError where its layers have other sizes.
        """
        drawn = train.initial_weights(plan.network, seed=plan.recipe["seed"])
        counted = _counted(drawn)
        head = max(node for node, _ in counted.values())
        begin = {}
        for name, array in drawn.items():
            node, rest = counted[name]
            old, last = self.weights.get(f"{node}.{rest}"), node == head
            if old is None or old.shape[1:] != array.shape[1:] or not (last or old.shape == array.shape):
                came = "nothing" if old is None else str(list(old.shape))
                raise InputError(f"{self.path} has {came} where {list(array.shape)} is wanted. Use its own sizes.")
            begin[name] = self._known_rows(array, old, reading) if last else old
        if unused := sorted(self.weights.keys() - {f"{node}.{rest}" for node, rest in counted.values()}):
            raise InputError(
                f"{self.path} has {unused[0].partition('.')[2]}, which has no place here. Use its own sizes."
            )
        return begin_with(plan, begin, told={"pretrained": str(self.path)})

    def _known_rows(self, drawn: Array, old: Array, reading: Reading) -> Array:
        places = {symbol: number for number, symbol in enumerate(("", *self.reading.symbols))}
        known = [(row, places[symbol]) for row, symbol in enumerate(("", *reading.symbols)) if symbol in places]
        rows, olds = (np.array(side) for side in zip(*known, strict=True))
        begun = drawn.copy()
        begun[rows] = old[olds]
        return begun


def read_beginning(path: str | os.PathLike[str]) -> Beginning:
    """Read a run folder or a model file of a transcriber.

    Raises InputError where the model is another one; RunFolderError or ModelFileError where it cannot be read.
    """
    place = Path(path)
    model = load_model(place / MODEL if place.is_dir() else place)
    if model.task.get("name") != CARD.name:
        raise InputError(f"{place} is a model of the task {model.task.get('name')!r}; a {CARD.name} is wanted.")
    front = {name: array for name, array in model.weights.items() if name.startswith("0.") and _front(model.network)}
    counted = _counted(name for name in model.weights if name not in front)
    trained = {f"{node}.{rest}": model.weights[name] for name, (node, rest) in counted.items()}
    return Beginning(place, Reading.from_json(model.task), trained, front or None)


def _front(network: Network) -> bool:
    return isinstance(network.nodes[0], Spectrogram)


def _counted(names: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Part names of weights into their nodes, of which only those that have weights are counted, and what follows."""
    parted = {name: (int(name.partition(".")[0]), name.partition(".")[2]) for name in names}
    places = {node: place for place, node in enumerate(sorted({node for node, _ in parted.values()}))}
    return {name: (places[node], rest) for name, (node, rest) in parted.items()}
