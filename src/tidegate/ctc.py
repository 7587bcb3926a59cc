"""Connectionist temporal classification, under its public name: see `tidegate.kernels.ctc`."""

from __future__ import annotations

from tidegate.kernels.ctc import BLANK, Found, Frames, Labels, align, gradient, greedy, losses, needed

__all__ = ["BLANK", "Found", "Frames", "Labels", "align", "gradient", "greedy", "losses", "needed"]
