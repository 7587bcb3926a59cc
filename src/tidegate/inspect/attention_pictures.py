"""Draws what was read of a source for each word that was written, hop by hop, with what sums it up beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.errors import InputError
from tidegate.inspect.attention import Attention
from tidegate.inspect.style import Look, Picture, Theme, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 60  # words of a side that there is room for
_WORD = 0.24  # inches of a word
_BESIDE = (0.8, 1.0)  # inches of the bits, and of the gates


def draw_attention(read: Attention, *, picture: Picture = "png", theme: Theme = "light") -> bytes:
    """Draw a matrix for each hop: a row for each word that was written, a column for each of the source.

    Brightness tells how much was read. To the right are bars of the bits that each row is spread over and, where they
    are known, the gates of the layer that asked; below, how much each word was read in all.

    Args:
        read: what was read, as `Translation.words` has it.
        picture: `png` at 160 dots per inch, or `svg`, whose text stays text.
        theme: `light` or `dark`.

    Raises:
        InputError: nothing was read, or a side has more than 60 words.
        MissingPackageError: matplotlib is not installed.

    >>> read = Attention(("Hund", "(end)"), ("dog", "(end)"), (np.array([[0.9, 0.1], [0.0, 1.0]]),))
    >>> draw_attention(read)[1:4]
    b'PNG'
    """
    if not read.hops or max(len(read.source), len(read.target)) > _MOST:
        raise InputError(
            f"attention of {len(read.hops)} hops, {len(read.target)} by {len(read.source)} words, cannot be drawn; "
            f"wanted are one hop at least and {_MOST} words of a side at most. attention_page shows any number."
        )
    beside = _BESIDE if any(read.gates) else _BESIDE[:1]
    wide, high = _WORD * len(read.source), _WORD * len(read.target)
    bits, covered = read.entropy(), read.coverage()

    def paint(figure: Figure, look: Look) -> None:
        parts = [figure] if len(read.hops) == 1 else list(figure.subfigures(1, len(read.hops), squeeze=False)[0])
        for hop, part in enumerate(parts):
            ratios: dict[str, Any] = {"width_ratios": (wide, *beside), "height_ratios": (high, 0.7)}
            (matrix, *others), (below, *empty) = part.subplots(2, 1 + len(beside), gridspec_kw=ratios)
            for axes in empty:
                axes.set_axis_off()
            _paint_matrix(matrix, read, hop)
            others[0].barh(range(len(read.target)), bits[hop], color=look.lines[0])
            others[0].set(title="bits", xlim=(0, max(1.0, float(bits.max()))))
            _share_rows(others[0], matrix)
            if len(others) > 1:
                _paint_gates(others[1], read, hop)
                _share_rows(others[1], matrix)
            below.bar(range(len(read.source)), covered[hop], color=look.lines[1])
            below.set(ylabel="in all", ylim=(0, max(1.0, float(covered.max()))), xlim=(-0.5, len(read.source) - 0.5))
            below.set_xticks(range(len(read.source)), [])
            part.suptitle(f"hop {hop + 1}", fontsize=10)

    size = (len(read.hops) * (wide + sum(beside) + 1.5), high + 2.4)
    return draw(size, paint, picture=picture, theme=theme)


def _paint_matrix(axes: Axes, read: Attention, hop: int) -> None:
    axes.imshow(read.hops[hop], cmap="cividis", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.grid(visible=False)
    axes.set_xticks(range(len(read.source)), read.source, rotation=90, fontsize=8, parse_math=False)
    axes.set_yticks(range(len(read.target)), read.target, fontsize=8, parse_math=False)
    axes.xaxis.set_ticks_position("top")


def _paint_gates(axes: Axes, read: Attention, hop: int) -> None:
    gates = read.gates[hop]
    axes.imshow(np.stack(list(gates.values()), axis=1), cmap="cividis", vmin=0, vmax=1, aspect="auto")
    axes.grid(visible=False)
    axes.set(title="gates")
    axes.set_xticks(range(len(gates)), list(gates), fontsize=8)


def _share_rows(axes: Axes, matrix: Axes) -> None:
    axes.set_ylim(matrix.get_ylim())
    axes.set_yticks(matrix.get_yticks(), [])
