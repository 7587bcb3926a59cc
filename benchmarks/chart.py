"""Draw the newest training-step results as the chart of the README: valid tokens per second, per layer and engine.

python -m benchmarks.chart
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.race import RESULTS

mpl.use("svg")
import matplotlib.pyplot as plt

CHART = Path(__file__).parent.parent / "docs" / "images" / "speed.svg"
LAYERS = (("lstm", 32, "BiLSTM 32"), ("lstm", 64, "BiLSTM 64"), ("gru", 32, "BiGRU 32"), ("rnn", 32, "BiSimpleRNN 32"))
COLOURS = {
    "tidegate": "#0b6e8f",
    "torch in buckets": "#c58b2a",
    "torch padded to longest": "#d9b26f",
    "torch packed": "#b9b4aa",
}


def newest(cell: str, hidden: int) -> dict[str, Any] | None:
    """Read the newest result of a layer."""
    found = sorted(RESULTS.glob(f"*-training-step-{cell}-{hidden}.json"))
    record: dict[str, Any] | None = json.loads(found[-1].read_text()) if found else None
    return record


def main() -> None:
    """Write the chart; a layer without a result is left out."""
    records = [(title, record) for cell, hidden, title in LAYERS if (record := newest(cell, hidden))]
    mpl.rcParams.update({"svg.hashsalt": "tidegate", "font.size": 10, "font.family": "DejaVu Sans"})
    figure, axes = plt.subplots(figsize=(8.4, 0.6 + 1.1 * len(records)), layout="constrained", facecolor="white")
    thick = 0.8 / len(COLOURS)
    for row, (_, record) in enumerate(records):
        for place, (engine, colour) in enumerate(COLOURS.items()):
            speed = record["tokens"] / statistics.median(record["seconds"][engine]) / 1000
            y = row - 0.4 + (place + 0.5) * thick
            axes.barh(y, speed, thick * 0.9, color=colour, label=engine if row == 0 else None)
            axes.text(speed, y, f" {speed:,.0f}", va="center", fontsize=8)
    axes.set_yticks(range(len(records)), [title for title, _ in records])
    axes.invert_yaxis()
    axes.margins(x=0.07)
    axes.set_xlabel("thousand tokens per second, one whole training step on IMDB reviews (more is better)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right", fontsize=8)
    machine = records[0][1]["machine"]
    figure.suptitle(f"{machine['processor']}, {machine['threads']} threads", fontsize=8, color="#666666", ha="center")
    CHART.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(CHART, metadata={"Date": None})
    print(CHART)


if __name__ == "__main__":
    main()
