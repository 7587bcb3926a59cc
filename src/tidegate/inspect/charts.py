"""Draws what is measured over many sequences, and the functions that gates end in: charts with axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError, ShapeError
from tidegate.inspect.style import Look, Picture, Theme, add_legend, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tidegate.inspect.flow import Flow, GradientFlow

Array: TypeAlias = npt.NDArray[Any]

_COUNTED_CLASSES = 24  # with more, there is no room for numbers in the cells of a confusion matrix


def draw_activations(*, picture: Picture = "png", theme: Theme = "light") -> bytes:
    """Draw the sigmoid and the tanh, each with its derivative: why a gate lies between 0 and 1, and when it is stuck.

    Args:
        picture: `png` at 160 dots per inch, or `svg`, whose text stays text.
        theme: `light` or `dark`.

    Raises:
        MissingPackageError: matplotlib is not installed.

    >>> draw_activations()[1:4]
    b'PNG'
    """
    x = np.linspace(-6.0, 6.0, 241)
    sigmoid, tanh = 1 / (1 + np.exp(-x)), np.tanh(x)
    curves = {
        "Sigmoid: from 0 to 1": (sigmoid, sigmoid * (1 - sigmoid), "slope at most 1/4"),
        "Tanh: from −1 to 1": (tanh, 1 - tanh**2, "slope at most 1"),
    }

    def paint(figure: Figure, look: Look) -> None:
        for axes, (title, (value, slope, most)) in zip(figure.subplots(1, 2), curves.items(), strict=True):
            axes.plot(x, value, label="value", color=look.lines[0], linewidth=2.2)
            axes.plot(x, slope, label="derivative", color=look.lines[1], linewidth=2.2, linestyle="--")
            peak = (0.0, float(slope.max()))
            arrow = {"arrowstyle": "-", "color": look.ink, "linewidth": 0.8}
            axes.annotate(most, peak, (-5.9, peak[1]), color=look.ink, fontsize=9, va="center", arrowprops=arrow)
            axes.set(title=title, xlabel="input, no unit", ylabel="value, no unit")
        add_legend(figure, columns=2)

    return draw((8.6, 3.6), paint, picture=picture, theme=theme)


def draw_gradient_flow(flows: Mapping[str, GradientFlow], *, picture: Picture = "png", theme: Theme = "light") -> bytes:
    """Draw the norm of the gradient against the distance in steps, on a logarithmic axis.

    A line that falls vanishes, one that rises explodes, a level one carries what happened long ago. The hidden state
    is a full line, the cell state a dashed one. A line ends where the gradient is exactly zero.

    Args:
        flows: the flow of each model under its name.
        picture: `png` at 160 dots per inch, or `svg`, whose text stays text.
        theme: `light` or `dark`.

    Raises:
        InputError: there is no flow to draw.
        MissingPackageError: matplotlib is not installed.

    >>> from tidegate.inspect.flow import gradient_flow
    >>> from tidegate.network import Network, Recurrent
    >>> half = {"0.weight_ih_l0": np.ones((1, 1)), "0.weight_hh_l0": np.full((1, 1), 0.5)}
    >>> network = Network.of(Recurrent(cell="rnn_relu", input_size=1, hidden_size=1, bias=False))
    >>> draw_gradient_flow({"half": gradient_flow((network, half), [np.ones((5, 1))])})[1:4]
    b'PNG'
    """
    lines = [(_name_of(name, found, flow), flow) for name, found in flows.items() for flow in found.flows]
    if not any(len(flow.distance) for _, flow in lines):
        raise InputError("no gradient flow can be drawn: no model, or none that saw a step. Pass at least one of each.")

    def paint(figure: Figure, look: Look) -> None:
        axes = figure.subplots()
        for number, (name, flow) in enumerate(lines):
            _paint_flow(axes, look, number, name, flow)
        axes.axhline(1.0, color=look.ink, linewidth=0.8)
        axes.set_yscale("log")
        axes.locator_params(axis="x", integer=True)
        axes.set(title="Gradient flow", xlabel="distance from the loss, steps", ylabel="norm of the gradient, relative")
        add_legend(figure, columns=2)

    return draw((7.2, 4.2 + 0.12 * len(lines)), paint, picture=picture, theme=theme)


def draw_confusion(
    counts: Sequence[Sequence[int]] | Array,
    classes: Sequence[object],
    *,
    picture: Picture = "png",
    theme: Theme = "light",
) -> bytes:
    """Draw a confusion matrix: a row per true class, a column per predicted one; what lies off the diagonal is wrong.

    Brightness is the share of the true class. The number of examples stands in each cell for up to 24 classes.

    Args:
        counts: [K, K] examples, as `runs.evaluate` counts them.
        classes: K names, in the order of the rows.
        picture: `png` at 160 dots per inch, or `svg`, whose text stays text.
        theme: `light` or `dark`.

    Raises:
        ShapeError: the counts are not a square with one row per class.
        InputError: there is no class.
        MissingPackageError: matplotlib is not installed.

    >>> draw_confusion([[9, 1], [2, 8]], ["neg", "pos"])[1:4]
    b'PNG'
    """
    table = np.asarray(counts)
    if not len(classes):
        raise InputError("no confusion matrix can be drawn: there is no class.")
    if table.shape != (len(classes), len(classes)):
        raise ShapeError(
            f"counts are {list(table.shape)}, but {len(classes)} classes want [{len(classes)}, {len(classes)}]."
        )
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)  # [K, K]; a class without examples has none

    def paint(figure: Figure, look: Look) -> None:
        axes = figure.subplots()
        image = axes.imshow(100 * share, cmap="cividis", vmin=0, vmax=100)
        axes.grid(visible=False)
        axes.set(title="Confusion", xlabel="predicted class", ylabel="true class")
        _name_classes(axes, [str(name) for name in classes])
        figure.colorbar(image, ax=axes, label="share of the true class, %", shrink=0.8)
        if len(classes) <= _COUNTED_CLASSES:
            for (row, column), count in np.ndenumerate(table):
                ink = "#000000" if share[row, column] > 0.5 else "#FFFFFF"
                axes.text(column, row, str(count), ha="center", va="center", color=ink, fontsize=8)

    side = min(12.0, max(4.0, 2.4 + 0.36 * len(classes)))
    return draw((side + 0.9, side), paint, picture=picture, theme=theme)


def draw_reliability(bins: Sequence[Sequence[float]], *, picture: Picture = "png", theme: Theme = "light") -> bytes:
    """Draw how often answers are right against how certain they are; on the line from corner to corner they come true.

    Args:
        bins: for answers that are about equally certain how certain that is, which share of them is right, and how many
            there are, as `runs.evaluate` tells under `reliability`. The larger a point, the more answers.
        picture: `png` at 160 dots per inch, or `svg`, whose text stays text.
        theme: `light` or `dark`.

    Raises:
        InputError: there is no bin.
        MissingPackageError: matplotlib is not installed.

    >>> draw_reliability([[0.62, 0.55, 40], [0.91, 0.88, 160]])[1:4]
    b'PNG'
    """
    if not len(bins):
        raise InputError("no reliability can be drawn: there is no answer.")
    certain, right, count = np.asarray(bins, np.float64).T

    def paint(figure: Figure, look: Look) -> None:
        axes = figure.subplots()
        axes.plot([0, 100], [0, 100], color=look.ink, linewidth=0.8, label="comes true as often as it says")
        axes.vlines(100 * certain, 100 * certain, 100 * right, color=look.less, linewidth=2.2, label="how far off")
        axes.scatter(100 * certain, 100 * right, s=12 + 160 * count / count.sum(), color=look.lines[0], zorder=3)
        axes.set(title="Reliability", xlabel="probability of the answer, %", ylabel="answers that are right, %")
        axes.set(xlim=(0, 102), ylim=(-2, 102))
        add_legend(figure, columns=2)

    return draw((4.6, 4.4), paint, picture=picture, theme=theme)


def _paint_flow(axes: Axes, look: Look, number: int, name: str, flow: Flow) -> None:
    """Draw one direction of one layer; an exact zero, which has no logarithm, ends the line."""
    for letter, norms, dash in (("h", flow.h, "-"), ("c", flow.c, "--")):
        if norms is not None:
            pen = look.pen(number, points=len(norms)) | {"linestyle": dash}
            axes.plot(flow.distance, np.where(norms > 0, norms, np.nan), label=f"{name}, {letter}", **pen)


def _name_of(model: str, found: GradientFlow, flow: Flow) -> str:
    """Name a line after its model, and after its direction where the model has several or no name."""
    return model if model and len(found.flows) == 1 else f"{model}, {flow.name}".removeprefix(", ")


def _name_classes(axes: Axes, names: list[str]) -> None:
    """Name every class, or every so manieth where there is no room; a name is never read as mathematics."""
    places = range(0, len(names), -(-len(names) // 40))
    shown = [names[place] for place in places]
    axes.set_xticks(places, shown, rotation=90 if max(map(len, shown)) > 2 else 0, parse_math=False)
    axes.set_yticks(places, shown, parse_math=False)
