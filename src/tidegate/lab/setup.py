"""How the lab trains: the set-up of each task, and what the names of its cells stand for. Trains nothing."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.cells import CellName

CELLS = ("rnn", "lstm", "lstm-chrono", "gru", "bilstm")  # which are tried where none are named
LENGTHS = (50, 100, 200, 400, 800)


@dataclass(frozen=True)
class LabSetup:
    """Say how every cell is trained.

    Args:
        hidden_size: units of each direction.
        batch_size: problems per update, each of them new.
        learning_rate: of Adam, for the gated cells; a SimpleRNN, which does not stand that much, takes a tenth.
        updates: the most there are, rounded up to the next check.
        check_every: updates between two looks at the held-out problems.
        max_grad_norm: longer gradients are clipped.
        mixed: train on problems of all lengths up to T, rather than of T alone. Checks are on problems of T either way.
        seed: of weights and problems.
    """

    hidden_size: int = 32
    batch_size: int = 24
    learning_rate: float = 0.02
    updates: int = 800
    check_every: int = 50
    max_grad_norm: float = 1.0
    mixed: bool = False
    seed: int = 0


SETUPS = {
    "adding": LabSetup(),
    "copy": LabSetup(hidden_size=128, learning_rate=0.003, updates=20_000, check_every=200, mixed=True),
    "temporal-order": LabSetup(),
    "first-token": LabSetup(),
}


@dataclass(frozen=True)
class LabCell:
    """Say what a name of the lab stands for.

    Args:
        cell: of the recurrent layer.
        bidirectional: read from both ends.
        forget_bias: of the forget gate, lstm.
        chrono: start the gates for memories of up to T steps (`train.initial_weights`).
        pace: the share of the learning rate that this cell takes.
    """

    cell: CellName
    bidirectional: bool = False
    forget_bias: float = 1.0
    chrono: bool = False
    pace: float = 1.0


LAB_CELLS = {
    "rnn": LabCell("rnn_tanh", pace=0.1),
    "lstm": LabCell("lstm"),
    "lstm-0": LabCell("lstm", forget_bias=0.0),
    "lstm-chrono": LabCell("lstm", chrono=True),
    "gru": LabCell("gru"),
    "gru-chrono": LabCell("gru", chrono=True),
    "birnn": LabCell("rnn_tanh", bidirectional=True, pace=0.1),
    "bilstm": LabCell("lstm", bidirectional=True),
    "bilstm-chrono": LabCell("lstm", bidirectional=True, chrono=True),
    "bigru": LabCell("gru", bidirectional=True),
}
