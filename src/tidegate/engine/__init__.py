"""Runs and trains networks in the core, without torch."""

from __future__ import annotations

from tidegate.engine.losses import CrfLikelihood, CrossEntropy, Errors, Loss
from tidegate.engine.program import Program

__all__ = ["CrfLikelihood", "CrossEntropy", "Errors", "Loss", "Program"]
