"""Draws learning curves. Knows plain records of numbers, not tasks or run folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegate.errors import InputError
from tidegate.inspect.style import Look, Picture, Theme, add_legend, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = Sequence[Mapping[str, Any]]
"""One record per epoch, with `epoch` and any of `train_loss`, `valid_loss`, `valid_accuracy`."""


def draw_learning_curves(
    histories: Mapping[str, History], *, picture: Picture = "png", theme: Theme = "light"
) -> bytes:
    """Draw the accuracy and the loss of one or several runs over their epochs, side by side.

    Args:
        histories: the records of each run under its name. Validation is a full line, training a dotted one; a quantity
            that no run recorded gets no panel.
        picture: `png` at 160 dots per inch, or `svg`, whose text stays text.
        theme: `light` or `dark`.

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

    def paint(figure: Figure, look: Look) -> None:
        for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
            panel.draw(axes, histories, look)
        add_legend(figure, columns=2)

    return draw((4.6 * len(panels), 3.7), paint, picture=picture, theme=theme)


@dataclass(frozen=True)
class _Panel:
    """One pair of axes: what it shows and by how much its numbers are scaled."""

    title: str
    unit: str
    scale: float
    keys: tuple[str, ...]

    def draw(self, axes: Axes, histories: Mapping[str, History], look: Look) -> None:
        for number, (name, history) in enumerate(histories.items()):
            for key in self.keys:
                points = [(record["epoch"], record[key] * self.scale) for record in history if key in record]
                if points:
                    part = key.split("_")[0]
                    axes.plot(*zip(*points, strict=True), label=f"{name}, {_PARTS[part]}", **_pen(look, number, part))
        axes.set(title=self.title, xlabel="epoch", ylabel=self.unit)
        axes.locator_params(axis="x", integer=True)


_PARTS = {"train": "training", "valid": "validation"}


def _pen(look: Look, number: int, part: str) -> dict[str, Any]:
    """Choose the line of one run: its colour and mark tell the run, full or dotted tells validation or training."""
    training = {"markersize": 2.5, "linestyle": ":"} if part == "train" else {"linestyle": "-"}
    return look.pen(number) | training


_PANELS = (
    _Panel("Accuracy", "accuracy, % of examples", 100.0, ("valid_accuracy",)),
    _Panel("Loss", "cross-entropy, nats", 1.0, ("valid_loss", "train_loss")),
)


def _records(histories: Mapping[str, History]) -> list[Mapping[str, Any]]:
    return [record for history in histories.values() for record in history]
