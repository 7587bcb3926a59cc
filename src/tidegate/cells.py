"""The cells that the compiled core has, each with its card: all that is said of a cell outside of its equations.

The cards are rows of the core's own table, `core/cells/cells.h`. Nothing is computed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import tidegate._core as _core

CellName: TypeAlias = Literal["rnn_tanh", "rnn_relu", "lstm", "gru"]
CellOption: TypeAlias = Literal["rnn", "rnn_relu", "lstm", "gru"]
"""What the parameter `cell` of a task may be: the option of every card."""

GridCellName: TypeAlias = Literal["stable", "mdlstm"]
"""A cell of grids, which follows two neighbours."""

USUAL: Final = "lstm"
"""The cell that a task takes where nobody says."""


@dataclass(frozen=True)
class Counterpart:
    """Name the same cell in another library.

    Args:
        name: what it is called there.
        order: which of our gates stands at each place of a matrix there.
    """

    name: str
    order: tuple[int, ...]


@dataclass(frozen=True)
class Cell:
    """Say what a cell is made of.

    Args:
        name: as in a `network.Recurrent`.
        option: as in the parameter `cell` of a task.
        gates: values that the input is projected to, for each hidden unit.
        letters: of the gates, in our order, which is torch's; empty for a cell that has but its state.
        tanh: letters of the gates that end in tanh; the others end in a sigmoid.
        function: what a cell without gates applies, tanh or relu; None for one with gates.
        carries_c: it has a cell state beside the hidden state.
        shared: so many gates add what the input and the state before say. The gate after them multiplies the part of
            the state first, and so has a second bias that cannot be added to the first.
        keeps: which gate says how much of the state before is kept.
        lets_in: which gate says how much of the candidate comes in; None where the gate that keeps says it, too.
        torch: its mode in `torch.nn`.
        onnx, keras: the same cell there.

    >>> lstm = CELLS["lstm"]
    >>> lstm.gates, lstm.letters, lstm.states, lstm.letters[lstm.keeps]
    (4, 'ifgo', 'hc', 'f')
    """

    name: CellName
    option: CellOption
    gates: int
    letters: str
    tanh: str
    function: str | None
    carries_c: bool
    shared: int
    keeps: int | None
    lets_in: int | None
    torch: str | None
    onnx: Counterpart | None
    keras: Counterpart | None

    @property
    def gated(self) -> bool:
        """Whether gates stand between the input and the state; only then does a run leave gates and memo."""
        return bool(self.letters)

    @property
    def states(self) -> str:
        """Letters of what a step hands to the next one."""
        return "hc" if self.carries_c else "h"

    @property
    def one_apart(self) -> bool:
        """Whether the last gate keeps its recurrent part, and its bias, apart from what the input says."""
        return self.shared < self.gates


def _card(row: dict[str, Any]) -> Cell:
    others = {key: row[key] and Counterpart(**row[key]) for key in ("onnx", "keras")}
    gates = {key: None if row[key] < 0 else row[key] for key in ("keeps", "lets_in")}
    return Cell(**row | others | gates)


CELLS: dict[str, Cell] = {row["name"]: _card(row) for row in _core.cells()}
"""The cards by name, in the order of the core."""

TORCH_CELLS: dict[str, CellName] = {card.torch: card.name for card in CELLS.values() if card.torch}
"""The cells that torch has, by what it calls them."""

GRID_CELLS: dict[str, tuple[str, ...]] = dict(_core.grid_cells())
"""The cells of grids by name, in the order of the core, each with the letters of its gates in their order."""

GRID_GATES = 5
"""How many gates every one of them has."""
