"""Runs and trains networks in the core, without torch."""

from __future__ import annotations

from tidegate.engine.compiled import Batch
from tidegate.engine.losses import (
    BinaryCrossEntropy,
    CrfLikelihood,
    CrossEntropy,
    CtcLikelihood,
    Errors,
    Loss,
    SoftCrossEntropy,
)
from tidegate.engine.optimiser import Optimiser, Rule
from tidegate.engine.program import Lost, Program
from tidegate.engine.runner import Runner

__all__ = [
    "Batch",
    "BinaryCrossEntropy",
    "CrfLikelihood",
    "CrossEntropy",
    "CtcLikelihood",
    "Errors",
    "Loss",
    "Lost",
    "Optimiser",
    "Program",
    "Rule",
    "Runner",
    "SoftCrossEntropy",
]
