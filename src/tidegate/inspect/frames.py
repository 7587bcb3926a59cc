"""Draws what a network says of each frame of a signal: the probabilities of its symbols, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError, ShapeError
from tidegate.inspect.paths import best_other_path
from tidegate.inspect.quantities import gates, states
from tidegate.inspect.style import Look, Picture, Theme, draw
from tidegate.inspect.tracing import DirectionTrace
from tidegate.kernels import ctc

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array: TypeAlias = npt.NDArray[Any]

_NAMED = 0.05  # how probable a symbol must once be to have a line of its own
_INCHES = 0.09  # of a frame
_WIDTHS = (9.0, 30.0)  # inches, at least and at most


def draw_frames(
    frames: Array,
    symbols: Sequence[str],
    *,
    text: Sequence[str] | None = None,
    signal: Array | None = None,
    sees: tuple[int, int] | None = None,
    top_down: bool = False,
    picture: Picture = "png",
    theme: Theme = "light",
) -> bytes:
    """Draw how probable each symbol is in each frame, the blank in grey, and below two alignments.

    The upper one is the best of the text: of all paths that read as it, the most probable. The lower one is the
    most probable of all paths that read as anything else, so that the two show between what the network hesitated.

    Args:
        frames: logarithms of the probabilities [T', K], the blank first, as `Transcriber.frames` gives them.
        symbols: what the K - 1 others stand for.
        text: the symbols to align, as they follow each other in the signal; None takes those that the likeliest path
            reads as.
        signal: [T, C], drawn above; None draws none.
        sees: how many steps of the signal a frame sees, and from one frame to the next, as `Network.sees` tells; None
            spreads the steps evenly.
        top_down: the first feature is the uppermost, as in a picture of a line; else the lowest, as in bands of sound.
        picture: `png` at 160 dots per inch, or `svg`, whose text stays text.
        theme: `light` or `dark`.

    Returns:
        The bytes of the picture; the same numbers give the same bytes.

    Raises:
        ShapeError: there is not one name for each symbol.
        InputError: there is no frame, or the text has another symbol, or needs more frames than there are.
        MissingPackageError: matplotlib is not installed.

    >>> draw_frames(np.log(np.array([[0.2, 0.8], [0.9, 0.1]])), "a")[1:4]
    b'PNG'
    """
    found, other = two_alignments(frames, symbols, text)
    shares = np.exp(frames)
    rows = 1 if signal is None else 2

    def paint(figure: Figure, look: Look) -> None:
        heights = [1.0, 2.0][-rows:]
        every = figure.subplots(rows, 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights})[:, 0]
        if signal is not None:
            _paint_signal(every[0], signal, len(frames), sees, top_down, look)
        _paint_river(every[-1], shares, symbols, found, look)
        _paint_alignments(every[-1], symbols, found, other, look)

    return draw((_width(len(frames)), 2.6 + 1.4 * rows), paint, picture=picture, theme=theme)


def two_alignments(
    frames: Array, symbols: Sequence[str], text: Sequence[str] | None
) -> tuple[ctc.Found, ctc.Found | None]:
    """Find the best alignment of a text, or of what the likeliest path reads as, and the best of any other text.

    The second is None where there is none. Raises ShapeError and InputError as `draw_frames` does.
    """
    if frames.ndim != 2 or frames.shape[1] != len(symbols) + 1:
        raise ShapeError(f"the frames are {list(frames.shape)}, but {len(symbols)} symbols and the blank were named.")
    if not len(frames):
        raise InputError("there is no frame to draw: the signal has no step.")
    held = ctc.Frames(frames, np.array([0, len(frames)]))
    found = ctc.greedy(held) if text is None else ctc.align(held, _label(text, symbols))[0]
    other = best_other_path(held.logs, found.symbols)
    return found, None if other is None else ctc.read_path(held, other[0])


def draw_gate_means(
    direction: DirectionTrace,
    symbols: Sequence[str],
    found: ctc.Found,
    *,
    picture: Picture = "png",
    theme: Theme = "light",
) -> bytes:
    """Draw the mean of each gate over all units in each frame, and above, where the symbols of a text lie."""
    means = mean_gates(direction)
    frames = len(direction.h)

    def paint(figure: Figure, look: Look) -> None:
        axes = figure.subplots()
        for number, (name, values) in enumerate(means.items()):
            axes.plot(values, label=name, **look.pen(number, points=frames))
        for peak in found.peak:
            axes.axvline(peak, color=look.faint, linewidth=3, zorder=0.5)
        axes.set_title(direction.name, pad=18)
        axes.set(xlabel="frame", ylabel="mean of all units", xlim=(-0.6, frames - 0.4))
        axes.set(ylim=(0, axes.get_ylim()[1]))
        for symbol, peak in zip(found.symbols, found.peak, strict=True):
            axes.annotate(
                _shown(symbols[symbol - 1]), (peak, 1), xycoords=("data", "axes fraction"),
                ha="center", va="bottom", fontsize=9, annotation_clip=False,
            )  # fmt: skip
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)

    return draw((_width(frames), 2.6), paint, picture=picture, theme=theme)


def mean_gates(direction: DirectionTrace) -> dict[str, Array]:
    """Take the mean of each gate over all units, [T'] each; of a cell without gates that of its states.

    What has a sign is counted by its size, and called `|g|`.
    """
    kinds = gates(direction) if direction.gates else states(direction)
    return {f"|{kind.letter}|" if kind.low < 0 else kind.letter: np.abs(kind.values).mean(axis=1) for kind in kinds}


def _width(frames: int) -> float:
    least, most = _WIDTHS
    return min(max(least, _INCHES * frames), most)


def _paint_signal(
    axes: Axes, signal: Array, frames: int, sees: tuple[int, int] | None, top_down: bool, look: Look
) -> None:
    begin, end = -0.5, frames - 0.5
    if sees is not None:  # frame f is the middle part of what it sees, from f * stride + (width - stride) / 2 on
        width, stride = sees
        begin, end = (((step - (width - stride) / 2) / stride) - 0.5 for step in (0, len(signal)))
    low, high = (float(signal.shape[1]), 0.0) if top_down else (0.0, float(signal.shape[1]))
    colours = "Greys" if look.paper == "#FFFFFF" else "Greys_r"
    axes.imshow(
        signal.T, aspect="auto", origin="upper" if top_down else "lower", extent=(begin, end, low, high), cmap=colours
    )
    axes.set(title="The signal", ylabel="row of pixels" if top_down else "feature")
    axes.grid(visible=False)


def _paint_river(axes: Axes, shares: Array, symbols: Sequence[str], found: ctc.Found, look: Look) -> None:
    steps = np.arange(len(shares))
    axes.fill_between(steps, shares[:, 0], color=look.faint, linewidth=0)
    named = [number for number in range(1, shares.shape[1]) if shares[:, number].max() >= _NAMED]
    for place, number in enumerate(named):
        axes.plot(steps, shares[:, number], color=look.lines[place % len(look.lines)], linewidth=1.6)
    for symbol, peak, sure in zip(found.symbols, found.peak, found.confidence, strict=True):
        axes.text(peak, sure + 0.02, _shown(symbols[symbol - 1]), color=look.ink, ha="center", va="bottom", fontsize=9)
    axes.set(title="How probable each symbol is, the blank in grey; below, where the text lies", xlabel="frame")
    axes.set(ylabel="probability", ylim=(-0.5, 1.16), xlim=(-0.6, len(shares) - 0.4), yticks=(0, 0.25, 0.5, 0.75, 1))
    axes.locator_params(axis="x", integer=True)


def _paint_alignments(
    axes: Axes, symbols: Sequence[str], found: ctc.Found, other: ctc.Found | None, look: Look
) -> None:
    rows = [("best", found, look.ink)] + ([("other text", other, look.less)] if other is not None else [])
    for row, (name, one, colour) in enumerate(rows):
        height = -0.08 - 0.21 * row
        axes.annotate(
            name, (1, height - 0.06), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
            color=colour, va="center", fontsize=8, annotation_clip=False,
        )  # fmt: skip
        spans = zip(one.symbols, one.first, one.last, one.peak, strict=True)
        for symbol, first, last, peak in spans:
            axes.plot([first - 0.4, last + 0.4], [height, height], color=colour, linewidth=3, solid_capstyle="butt")
            shown = _shown(symbols[symbol - 1])
            axes.text(peak, height - 0.03, shown, color=colour, ha="center", va="top", fontsize=9)


def _shown(symbol: str) -> str:
    return symbol.replace(" ", "␣").replace("$", r"\$")


def _label(text: Sequence[str], symbols: Sequence[str]) -> ctc.Labels:
    numbers = {symbol: number for number, symbol in enumerate(symbols, 1)}
    for symbol in text:
        if symbol not in numbers:
            raise InputError(f"the symbol {symbol!r} of the text is not among those of the frames.")
    return ctc.Labels.of([[numbers[symbol] for symbol in text]])
