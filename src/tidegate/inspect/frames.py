"""Draws what a network says of each frame of a signal: the probabilities of its symbols, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError, ShapeError
from tidegate.inspect.style import Look, Picture, Theme, draw
from tidegate.kernels import ctc

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array: TypeAlias = npt.NDArray[Any]

_NAMED = 0.05  # how probable a symbol must once be to have a line of its own


def draw_frames(
    frames: Array,
    symbols: Sequence[str],
    *,
    text: Sequence[str] | None = None,
    signal: Array | None = None,
    picture: Picture = "png",
    theme: Theme = "light",
) -> bytes:
    """Draw how probable each symbol is in each frame, the blank in grey, and below the best alignment of a text.

    Args:
        frames: logarithms of the probabilities [T', K], the blank first, as `Transcriber.frames` gives them.
        symbols: what the K - 1 others stand for.
        text: the symbols to align; None takes those that the likeliest path reads as.
        signal: [T, C], drawn above, its steps spread over the frames; None draws none.
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
    if frames.ndim != 2 or frames.shape[1] != len(symbols) + 1:
        raise ShapeError(f"the frames are {list(frames.shape)}, but {len(symbols)} symbols and the blank were named.")
    if not len(frames):
        raise InputError("there is no frame to draw: the signal has no step.")
    held = ctc.Frames(frames, np.array([0, len(frames)]))
    found = ctc.greedy(held) if text is None else ctc.align(held, _label(text, symbols))[0]
    shares = np.exp(held.logs)
    rows = 1 if signal is None else 2

    def paint(figure: Figure, look: Look) -> None:
        heights = [1.0, 2.0][-rows:]
        every = figure.subplots(rows, 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights})[:, 0]
        if signal is not None:
            extent = (-0.5, len(frames) - 0.5, 0.0, float(signal.shape[1]))
            every[0].imshow(signal.T, aspect="auto", origin="lower", extent=extent, cmap="Greys")
            every[0].set(title="The signal", ylabel="feature")
        _paint_river(every[-1], shares, symbols, found, look)

    return draw((9.0, 2.2 + 1.4 * rows), paint, picture=picture, theme=theme)


def _paint_river(axes: Axes, shares: Array, symbols: Sequence[str], found: ctc.Found, look: Look) -> None:
    steps = np.arange(len(shares))
    axes.fill_between(steps, shares[:, 0], color=look.faint, linewidth=0)
    named = [number for number in range(1, shares.shape[1]) if shares[:, number].max() >= _NAMED]
    for place, number in enumerate(named):
        axes.plot(steps, shares[:, number], color=look.lines[place % len(look.lines)], linewidth=1.6)
    spans = zip(found.symbols, found.first, found.last, found.peak, strict=True)
    for symbol, first, last, peak in spans:
        axes.plot([first - 0.4, last + 0.4], [-0.06, -0.06], color=look.ink, linewidth=3, solid_capstyle="butt")
        axes.text(peak, -0.11, symbols[symbol - 1].replace(" ", "␣"), color=look.ink, ha="center", va="top", fontsize=9)
    axes.set(title="How probable each symbol is, the blank in grey; below, where the text lies", xlabel="frame")
    axes.set(ylabel="probability", ylim=(-0.28, 1.04), xlim=(-0.6, len(shares) - 0.4), yticks=(0, 0.25, 0.5, 0.75, 1))
    axes.locator_params(axis="x", integer=True)


def _label(text: Sequence[str], symbols: Sequence[str]) -> ctc.Labels:
    numbers = {symbol: number for number, symbol in enumerate(symbols, 1)}
    for symbol in text:
        if symbol not in numbers:
            raise InputError(f"the symbol {symbol!r} of the text is not among those of the frames.")
    return ctc.Labels.of([[numbers[symbol] for symbol in text]])
