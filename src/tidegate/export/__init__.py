"""Writes models for other runtimes: as ONNX graphs that are proven before they are handed over.

Knows tasks by what they say of themselves; no torch.
"""

from typing import TYPE_CHECKING

from tidegate._doors import open_door

if TYPE_CHECKING:
    from tidegate.export.images import ImageInterface as ImageInterface
    from tidegate.export.inputs import graph_inputs as graph_inputs
    from tidegate.export.interface import Interface as Interface
    from tidegate.export.interface import SequenceInterface as SequenceInterface
    from tidegate.export.interface import StateInputs as StateInputs
    from tidegate.export.onnx import Exported as Exported
    from tidegate.export.onnx import to_onnx as to_onnx
    from tidegate.export.pairs import Greedy as Greedy
    from tidegate.export.pairs import PairsInterface as PairsInterface
    from tidegate.export.pairs import PairsPart as PairsPart
    from tidegate.export.proof import Case as Case

open_door(__name__)
