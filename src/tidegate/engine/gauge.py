"""The health of a program that trains, as the core sees it: saturated gates and how far gradients reach, by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np

from tidegate.cells import CELLS
from tidegate.engine.program import Program
from tidegate.health import SATURATED_SIGMOID, SATURATED_TANH
from tidegate.network import Network, Node, Recurrent, Spell

Seen: TypeAlias = Mapping[int, tuple[list[int], int, list[list[float]]]]
"""What a program saw of a batch, by the number of the recurrent node: of each of its directions and gates how many
values hardly move, of how many, and of each of its directions the reach of each sequence."""


def layer_names(network: Network) -> dict[str, str]:
    """Name the layer that each parameter belongs to, by the name of the parameter.

    >>> from tidegate.network import Dense
    >>> layer = Recurrent(cell="gru", input_size=3, hidden_size=4)
    >>> layer_names(Network.of(layer, Dense(in_features=4, out_features=2)))["0.weight_hh_l0"]
    '0 recurrent layer 0 forward'
    """
    return dict(_names(network.nodes, ""))


class Gauge:
    """Read the health of the recurrent layers of a program, batch after batch."""

    def __init__(self, program: Program) -> None:
        self._core = program.compiled.program
        nodes = enumerate(program.network.nodes)
        self._recurrent = [(index, node) for index, node in nodes if isinstance(node, Recurrent)]
        self.saturated: dict[str, dict[str, float]] = {}
        """The share of each gate's values that hardly move, by layer; of a tanh cell without gates, of its state."""
        self.reach: dict[str, float] = {}
        """How much of the gradient gets through to the far end of the median sequence, by layer.

        That is the length of dL/dh (and dL/dc) at the state before the first step that the direction reads, over the
        longest dL/dh that the loss gives one of the sequence's steps by itself. Zero where no gradient comes at all.
        """

    @contextmanager
    def looking(self, wanted: bool, others: Callable[[], Sequence[Seen]] = tuple) -> Iterator[None]:
        """Fill `saturated` and `reach` from the gradient that is found while the block lasts, if `wanted`.

        `others` gives what other programs saw, where each found a part of it.
        """
        self.saturated, self.reach = {}, {}
        with self.watching(wanted) as see:
            yield
            if wanted:
                parts = [see(), *others()]
                for index, node in self._recurrent:
                    self._read(index, node, [part[index] for part in parts])

    @contextmanager
    def watching(self, wanted: bool) -> Iterator[Callable[[], Seen]]:
        """Look while the block lasts, if `wanted`; gives a function that tells what was seen."""
        watched = self._recurrent if wanted else []
        for index, _ in watched:
            self._core.watch(index, (*SATURATED_SIGMOID, SATURATED_TANH))
        try:
            yield lambda: {index: self._core.health(index) for index, _ in watched}
        finally:
            for index, _ in watched:
                self._core.watch(index, None)

    def _read(self, index: int, node: Recurrent, parts: Sequence[tuple[list[int], int, list[list[float]]]]) -> None:
        counts = np.sum([part[0] for part in parts], axis=0)
        values = sum(part[1] for part in parts)
        reach = [[one for part in parts for one in part[2][place]] for place in range(len(parts[0][2]))]
        card = CELLS[node.cell]
        letters = card.letters if card.gated else "h" if card.function == "tanh" else ""
        shares = np.reshape(counts, (len(reach), -1)) / max(values, 1)  # [L * D, G]
        for place, suffix in enumerate(_directions(node)):
            name = f"{index}{'' if node.name is None else f' {node.name}'} {suffix}"
            self.saturated[name] = dict(zip(letters, shares[place].tolist(), strict=False)) if values else {}
            self.reach[name] = float(np.median(reach[place])) if reach[place] else 0.0


def _names(nodes: Sequence[Node], before: str) -> Iterator[tuple[str, str]]:
    for index, node in enumerate(nodes):
        place, called = f"{before}{index}", "" if node.name is None else f" {node.name}"
        if isinstance(node, Spell):
            yield f"{place}.words.weight", f"{place}.words {node.words.kind}"
            yield from _names(node.characters, f"{place}.characters.")
        elif isinstance(node, Recurrent):
            layers = [suffix for layer in range(node.num_layers) for suffix in node.suffixes(layer)]
            for suffix, direction in zip(layers, _directions(node), strict=True):
                for kind in ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if node.bias else ())):
                    yield f"{place}.{kind}{suffix}", f"{place}{called} {direction}"
        else:
            own = node.shapes()
            yield from ((f"{place}.{name}", f"{place}{called} {node.kind}") for name in own)


def _directions(node: Recurrent) -> list[str]:
    """Name the layers of a node, and which way each of them reads."""
    ways = ["forward", "backward"] if node.bidirectional else ["backward" if node.reverse else "forward"]
    return [f"recurrent layer {layer} {way}" for layer in range(node.num_layers) for way in ways]
