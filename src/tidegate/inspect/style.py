"""How every picture looks: one style in two themes, and one way to bytes. Knows no data. Loads matplotlib late."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from tidegate.errors import MissingPackageError, OptionError

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

Picture: TypeAlias = Literal["png", "svg"]
Theme: TypeAlias = Literal["light", "dark"]
Size: TypeAlias = tuple[float, float]
"""Width and height of a picture, inches."""

_MARKERS = "osD^vPX"
_DASHES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Look:
    """Hold the colours of one theme.

    Args:
        paper: the background.
        ink: text and axes.
        faint: the grid, and what should not catch the eye.
        lines: colours that people with any colour vision can tell apart, after Okabe and Ito (2008), without those
            that are too faint on this paper. Lines also differ in their marks, so that they can be printed in grey.
        more, less: for what is above and below zero.
    """

    paper: str
    ink: str
    faint: str
    lines: tuple[str, ...]
    more: str
    less: str

    def pen(self, number: int, *, points: int = 0) -> dict[str, Any]:
        """Choose the line of one thing among several: its colour, its mark, and how it is broken.

        Args:
            number: of the thing, from 0.
            points: of the line. Of more than 20 only some ten get a mark.
        """
        return {
            "color": self.lines[number % len(self.lines)],
            "marker": _MARKERS[number % len(_MARKERS)],
            "markevery": (number % 3 * points // 30, points // 10) if points > 20 else 1,
            "markersize": 4.5,
            "linestyle": _DASHES[number // len(self.lines) % len(_DASHES)],
            "linewidth": 1.8,
        }


_LOOKS: dict[Theme, Look] = {
    "light": Look(
        paper="#FFFFFF",
        ink="#1B1B1B",
        faint="#E4E4E4",
        lines=("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"),
        more="#0072B2",
        less="#D55E00",
    ),
    "dark": Look(
        paper="#15181C",
        ink="#E6E6E6",
        faint="#33383F",
        lines=("#56B4E9", "#F0803C", "#20C997", "#E29CC3", "#F0C24B", "#8FA8FF", "#FFFFFF"),
        more="#56B4E9",
        less="#F0803C",
    ),
}

# Scripts that matplotlib's own font lacks; whichever of these the machine has is asked when it has no glyph.
_FALLBACK_FONTS = ("Noto Sans CJK SC", "WenQuanYi Zen Hei", "PingFang SC", "Hiragino Sans GB", "Arial Unicode MS")


def draw(size: Size, paint: Callable[[Figure, Look], None], *, picture: str, theme: str) -> bytes:
    """Make a figure, let `paint` fill it, and return it as a picture; the same figure gives the same bytes.

    Args:
        size: width and height, inches.
        paint: draws into the figure, in the colours of the theme.
        picture: `png` at 160 dots per inch, or `svg`, whose text stays text.
        theme: `light` or `dark`.

    Raises:
        OptionError: an unknown kind of picture or theme.
        MissingPackageError: matplotlib is not installed.
    """
    if picture not in get_args(Picture):
        raise OptionError.unknown("picture", picture, get_args(Picture))
    look = look_of(theme)
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackageError.of("matplotlib", "plot", "drawing a picture") from error
    with rc_context(_settings(look)):
        figure = Figure(figsize=size, layout="constrained")
        paint(figure, look)
        buffer = io.BytesIO()
        metadata = {"Date": None} if picture == "svg" else {"Software": None}
        figure.savefig(buffer, format=picture, dpi=160, metadata=metadata)
    return buffer.getvalue()


def look_of(theme: str) -> Look:
    """Return the colours of a theme; raises OptionError for one that is not known."""
    for name, look in _LOOKS.items():
        if name == theme:
            return look
    raise OptionError.unknown("theme", theme, _LOOKS)


def add_legend(figure: Figure, *, columns: int) -> None:
    """Put one legend for all panels below them, each label once."""
    labels: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            labels.setdefault(label, handle)
    figure.legend(list(labels.values()), list(labels), loc="outside lower center", ncols=columns, frameon=False)


def _settings(look: Look) -> dict[Any, object]:
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return {
        "font.family": ["DejaVu Sans", *(name for name in _FALLBACK_FONTS if name in installed)],
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.edgecolor": "#888888",
        "grid.color": look.faint,
        "figure.facecolor": look.paper,
        "axes.facecolor": look.paper,
        "hatch.color": look.paper,
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), look.ink),
        "svg.fonttype": "none",
        "svg.hashsalt": f"tidegate {look.paper}",  # two themes may stand in one page, where a name must be one's own
    }
