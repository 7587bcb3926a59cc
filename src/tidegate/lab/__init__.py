"""The memory lab: how far back can a cell learn to remember? Several cells, a generated task, several lengths."""

from typing import TYPE_CHECKING

from tidegate._doors import open_door

if TYPE_CHECKING:
    from tidegate.lab import problems as problems
    from tidegate.lab.outcome import Check as Check
    from tidegate.lab.outcome import Outcome as Outcome
    from tidegate.lab.page import memory_report as memory_report
    from tidegate.lab.pictures import draw_memory_curves as draw_memory_curves
    from tidegate.lab.pictures import draw_memory_success as draw_memory_success
    from tidegate.lab.setup import LabSetup as LabSetup
    from tidegate.lab.trial import Trial as Trial
    from tidegate.lab.visit import Lab as Lab
    from tidegate.lab.visit import lab as lab
    from tidegate.lab.visit import lab_cells as lab_cells

open_door(__name__)
