"""Draws learning curves. Knows plain records of numbers, not tasks or run folders. Loads matplotlib late."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tidegate.errors import InputError, MissingPackageError

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = Sequence[Mapping[str, float]]
"""One record per epoch, with `epoch` and any of `train_loss`, `valid_loss`, `valid_accuracy`."""

# Okabe and Ito (2008): colours that people with any colour vision can tell apart, without the yellow, too light here.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vPX"

_STYLE: dict[Any, object] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.edgecolor": "#888888",
    "grid.color": "#E4E4E4",
    "svg.fonttype": "none",
    "svg.hashsalt": "tidegate",
}


def draw_learning_curves(histories: Mapping[str, History], *, picture: Literal["png", "svg"] = "png") -> bytes:
    """Draw the accuracy and the loss of one or several runs over their epochs, side by side.

    Args:
        histories: the records of each run under its name. Validation is a full line, training a dotted one; a quantity
            that no run recorded gets no panel.
        picture: `png` at 160 dots per inch, or `svg`, whose text stays text.

    Returns:
        The bytes of the picture; the same records give the same bytes.

    Raises:
        InputError: nothing was recorded.
        MissingPackageError: matplotlib is not installed.

    >>> draw_learning_curves({"lstm": [{"epoch": 1, "valid_loss": 0.6}, {"epoch": 2, "valid_loss": 0.4}]})[1:4]
    b'PNG'
    """
    panels = [panel for panel in _PANELS if any(key in record for key in panel.keys for record in _records(histories))]
    if not panels:
        raise InputError("no learning curve can be drawn: no epoch was recorded. Train for at least one epoch.")
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackageError.of("matplotlib", "plot", "drawing a learning curve") from error
    with rc_context(_STYLE):
        figure = Figure(figsize=(4.6 * len(panels), 3.7), layout="constrained")
        for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
            panel.draw(axes, histories)
        _add_legend(figure, len(histories))
        return _write(figure, picture)


@dataclass(frozen=True)
class _Panel:
    """One pair of axes: what it shows and by how much its numbers are scaled."""

    title: str
    unit: str
    scale: float
    keys: tuple[str, ...]

    def draw(self, axes: Axes, histories: Mapping[str, History]) -> None:
        for number, (name, history) in enumerate(histories.items()):
            for key in self.keys:
                points = [(record["epoch"], record[key] * self.scale) for record in history if key in record]
                if points:
                    part = key.split("_")[0]
                    axes.plot(*zip(*points, strict=True), label=f"{name}, {_PARTS[part]}", **_pen(number, part))
        axes.set(title=self.title, xlabel="epoch", ylabel=self.unit)
        axes.locator_params(axis="x", integer=True)


_PARTS = {"train": "training", "valid": "validation"}


def _pen(number: int, part: str) -> dict[str, Any]:
    """Choose the line of one run: its colour and mark tell the run, full or dotted tells validation or training."""
    return {
        "color": _COLOURS[number % len(_COLOURS)],
        "marker": _MARKERS[number % len(_MARKERS)],
        "markersize": 2.5 if part == "train" else 4.5,
        "linestyle": ":" if part == "train" else "-",
        "linewidth": 1.8,
    }


_PANELS = (
    _Panel("Accuracy", "accuracy, % of examples", 100.0, ("valid_accuracy",)),
    _Panel("Loss", "cross-entropy, nats", 1.0, ("valid_loss", "train_loss")),
)


def _add_legend(figure: Figure, runs: int) -> None:
    """Put one legend for all panels below them, each label once."""
    labels: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            labels.setdefault(label, handle)
    figure.legend(
        list(labels.values()),
        list(labels),
        loc="outside lower center",
        ncols=2 if runs > 1 else len(labels),
        frameon=False,
    )


def _write(figure: Figure, picture: str) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Date": None} if picture == "svg" else {"Software": None}
    figure.savefig(buffer, format=picture, dpi=160, metadata=metadata)
    return buffer.getvalue()


def _records(histories: Mapping[str, History]) -> list[Mapping[str, float]]:
    return [record for history in histories.values() for record in history]
