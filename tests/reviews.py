"""Reviews in which one word decides the label, and flags for a run over them that takes no time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SMALL = ("--hidden-size", "4", "--epochs", "2")
GOOD, BAD = ("good", "fine", "lovely"), ("bad", "dull", "awful")


def write_reviews(path: Path, *, count: int = 48) -> Path:
    """Write a CSV in which one word of each text decides its label."""
    rng = np.random.default_rng(0)
    lines = ["review,stars"]
    for number in range(count):
        label, words = ("pos", GOOD) if number % 2 else ("neg", BAD)
        filler = " ".join(rng.choice(["the", "film", "was", "so"], size=3))
        lines.append(f"{filler} {rng.choice(words)},{label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
