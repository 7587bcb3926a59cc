"""A linear-chain conditional random field over ragged batches, under its public name: see `tidegate.kernels.crf`."""

from __future__ import annotations

from tidegate.kernels.crf import (
    FORBIDDEN,
    Gradients,
    Scores,
    Sums,
    backward,
    best_paths,
    forward,
    marginals,
    path_scores,
)

__all__ = ["FORBIDDEN", "Gradients", "Scores", "Sums", "backward", "best_paths", "forward", "marginals", "path_scores"]
