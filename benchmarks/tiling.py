"""Draw how a batch without padding is cut into tiles, beside the rectangle that padding makes of it.

python -m benchmarks.tiling
"""

from __future__ import annotations

from typing import Any

import matplotlib as mpl

from benchmarks.race import ROOT

mpl.use("svg")
import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

PICTURE = ROOT / "docs" / "images" / "tiling.svg"
LENGTHS = (14, 13, 11, 10, 8, 7, 6, 4, 4, 3, 2, 1)
TILE = 4  # sequences
COLOURS = ("#0b6e8f", "#c58b2a", "#8a5a83")
WASTE = "#e3e0da"


def cells(axes: Any, tiled: bool) -> None:
    """Draw a square per step of each sequence; padding in grey where there is any."""
    for row, length in enumerate(LENGTHS):
        for step in range(length if tiled else max(LENGTHS)):
            colour = WASTE if step >= length else COLOURS[row // TILE] if tiled else "#7f9aa3"
            axes.add_patch(Rectangle((step, row + 0.25 * (row // TILE) * tiled), 0.9, 0.85, color=colour))


def main() -> None:
    """Write the picture."""
    mpl.rcParams.update({"svg.hashsalt": "tidegate", "font.size": 9, "font.family": "DejaVu Sans"})
    figure, both = plt.subplots(1, 2, figsize=(8.4, 3.4), layout="constrained", facecolor="white")
    share = 1 - sum(LENGTHS) / (len(LENGTHS) * max(LENGTHS))
    titles = (f"padded: {share:.0%} of the steps are nothing", "ragged: sorted, cut into tiles, no step too many")
    for axes, title, tiled in zip(both, titles, (False, True), strict=True):
        cells(axes, tiled)
        axes.set(xlim=(-0.3, 18.8), ylim=(13.4, -0.4), title=title, xlabel="time", aspect="equal")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    both[0].set_ylabel("sequences")
    for tile, colour in enumerate(COLOURS):
        top = tile * (TILE + 0.25)
        words = f"task {tile + 1}: one core,\nall its steps"
        both[1].text(LENGTHS[tile * TILE] + 0.4, top + 1.2, words, color=colour, va="center", fontsize=8)
    figure.savefig(PICTURE, metadata={"Date": None})
    print(PICTURE)


if __name__ == "__main__":
    main()
