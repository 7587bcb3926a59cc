"""The kinds of node, one file each: fields, where it fits, parameters and what they begin with. Knows no arithmetic."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tidegate.nodes.attend import Attend, Score
from tidegate.nodes.crf import Crf
from tidegate.nodes.ctc import Ctc
from tidegate.nodes.decode import Decode
from tidegate.nodes.dense import Activation, Dense
from tidegate.nodes.dropout import Dropout
from tidegate.nodes.embed import Embed
from tidegate.nodes.flatten import Flatten
from tidegate.nodes.fold import Fold
from tidegate.nodes.join import Join
from tidegate.nodes.part import Extent, Part, Place, Rows, Shapes, Start
from tidegate.nodes.pool import Pool, PoolMode, PoolModes
from tidegate.nodes.recurrent import Merge, Recurrent
from tidegate.nodes.scan2d import Scan2d
from tidegate.nodes.spectrogram import Spectrogram
from tidegate.nodes.spell import Spell
from tidegate.nodes.split import Split
from tidegate.nodes.take import Take
from tidegate.nodes.tied import Tied
from tidegate.nodes.unflatten import Unflatten
from tidegate.nodes.wide import Wide
from tidegate.nodes.window import Window

Node = Annotated[
    Embed
    | Spell
    | Recurrent
    | Pool
    | Dense
    | Join
    | Split
    | Decode
    | Dropout
    | Crf
    | Ctc
    | Tied
    | Wide
    | Window
    | Spectrogram
    | Take
    | Attend
    | Fold
    | Scan2d
    | Flatten
    | Unflatten,
    Field(discriminator="kind"),
]

__all__ = [
    "Activation",
    "Attend",
    "Crf",
    "Ctc",
    "Decode",
    "Dense",
    "Dropout",
    "Embed",
    "Extent",
    "Flatten",
    "Fold",
    "Join",
    "Merge",
    "Node",
    "Part",
    "Place",
    "Pool",
    "PoolMode",
    "PoolModes",
    "Recurrent",
    "Rows",
    "Scan2d",
    "Score",
    "Shapes",
    "Spectrogram",
    "Spell",
    "Split",
    "Start",
    "Take",
    "Tied",
    "Unflatten",
    "Wide",
    "Window",
]
