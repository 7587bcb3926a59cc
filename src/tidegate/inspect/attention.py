"""What was read of a source for each word that was written: in numbers, and as a page. Knows words, and no model."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import ShapeError
from tidegate.inspect.page import Markup, page, section
from tidegate.inspect.quantities import gate_name

Array: TypeAlias = npt.NDArray[Any]

END = "(end)"

_CELL, _LABEL, _LETTER = 22, 6, 6.5  # pixels of a cell, between it and a word, and of a letter
_BITS = 44  # pixels of the column that tells bits
_FAINT = 0.005  # share, below which a cell is left white
_LONGEST = 24  # letters of a word that are shown


@dataclass(frozen=True, eq=False)
class Attention:
    """Hold how much of each of S words of a source was read for each of T that were written, hop by hop.

    source: the words of the source, and what stands for its end.
    target: the words that were written, and what stands for their end.
    hops: a matrix `[T, S]` for each time that the source was looked at; each row adds up to 1.
    gates: for each of these how far the gates of the layer that asked were open, the means of its units, `[T]` by
        letter: `i f o` of an LSTM, `r z` of a GRU; empty where nobody told.

    Raises ShapeError where a matrix has not a row and column for each word.

    >>> read = Attention(("Hund", "(end)"), ("dog", "(end)"), (np.array([[0.5, 0.5], [0.0, 1.0]]),))
    >>> read.entropy().tolist(), read.coverage().tolist()
    ([[1.0, 0.0]], [[0.5, 1.5]])
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    hops: tuple[Array, ...]
    gates: tuple[Mapping[str, Array], ...] = ()

    def __post_init__(self) -> None:
        wanted = (len(self.target), len(self.source))
        for hop in self.hops:
            if hop.shape != wanted:
                raise ShapeError(f"attention is {list(hop.shape)}, but there are {wanted[0]} by {wanted[1]} words.")
        for letter, values in (pair for hop in self.gates for pair in hop.items()):
            if values.shape != wanted[:1]:
                raise ShapeError(f"gate {letter} is {list(values.shape)}, but {wanted[0]} words were written.")

    @classmethod
    def of_tokens(
        cls,
        source: tuple[Sequence[str], Array],
        target: tuple[Sequence[str], Array],
        hops: Sequence[Array],
        *,
        gates: Sequence[Mapping[str, Array]] = (),
    ) -> Self:
        """Bring what was read of tokens to words: added up over those of the source, their mean over those written.

        Args:
            source: the words of the source, and the one that each token belongs to; its end comes behind them.
            target: the same of what was written.
            hops: `[T, S]` of tokens, the last column that of the end; the last row, too, unless the output was cut.
            gates: `[T]` of tokens by letter, for each hop; what comes after the rows of the hops is left out.

        >>> halves = np.array([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]])
        >>> read = Attention.of_tokens((["Hund"], np.array([0, 0])), (["dog"], np.array([0, 0])), [halves])
        >>> read.hops[0].tolist(), read.target
        ([[0.625, 0.375]], ('dog',))
        """
        columns = np.append(source[1], len(source[0])).astype(np.int64)  # [S], the end for itself
        ended = bool(hops) and len(hops[0]) > len(target[1])
        rows = np.append(target[1], [len(target[0])] * ended).astype(np.int64)  # [T]
        into = (columns[:, None] == np.arange(len(source[0]) + 1)).astype(np.float64)
        mean = (np.arange(len(target[0]) + ended)[:, None] == rows).astype(np.float64)
        mean /= np.maximum(mean.sum(axis=1, keepdims=True), 1)
        read = tuple(mean @ hop.astype(np.float64) @ into for hop in hops)
        opened = tuple({letter: mean @ values[: len(rows)] for letter, values in hop.items()} for hop in gates)
        return cls((*source[0], END), (*target[0], *[END] * ended), read, opened)

    def entropy(self) -> Array:
        """Compute over how many words each row is spread, in bits, `[hops, T]`: 0 where it reads a single one."""
        shares = np.stack(self.hops)
        logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
        return np.asarray(0.0 - (shares * logs).sum(axis=2))

    def coverage(self) -> Array:
        """Add up how much each word of the source was read in all, `[hops, S]`: near 0 it was left out."""
        return np.asarray(np.stack(self.hops).sum(axis=1))


def attention_page(title: str, found: Sequence[tuple[str, str, Attention]]) -> str:
    """Make a page of matrices, which needs nothing else.

    Args:
        title: stands at the top.
        found: the text, its translation and what was read, one after the other.

    >>> read = Attention(("Hund",), ("<dog>",), (np.array([[1.0]]),))
    >>> "&lt;dog&gt;" in attention_page("Translations", [("Hund", "<dog>", read)])
    True
    """
    body = [_ABOUT]
    for text, translation, read in found:
        told = f'<p dir="auto">{html.escape(translation)}</p>'
        matrices = "\n".join(_matrix(read, hop) for hop in range(len(read.hops)))
        body.append(section(text, f'{told}\n<div class="hops">{matrices}</div>'))
    return page(title, body)


_ABOUT = (
    "<p>Each row is a word that was written, each column a word of the source; the darker a cell, the more of that "
    "word was read. To the right stands over how many words a row is spread, in bits; below, how much each word was "
    "read in all. Beside it are the gates of the layer of the decoder that asked, each by its letter: the darker, the "
    "further its units were open.</p>"
)


def _matrix(read: Attention, hop: int) -> Markup:
    """Draw one matrix as SVG."""
    left, top = _room(read.target), _room(read.source)
    gates = read.gates[hop] if read.gates else {}
    right = left + _CELL * len(read.source) + _LABEL
    width, height = right + _BITS + _CELL * len(gates), top + _CELL * len(read.target) + 24
    marks = [_word(word, left - _LABEL, top + _CELL * (row + 0.7), "end") for row, word in enumerate(read.target)]
    marks += [
        f'<text transform="translate({left + _CELL * (column + 0.7):g} {top - _LABEL}) rotate(-90)">'
        f"{_named(word)}</text>"
        for column, word in enumerate(read.source)
    ]
    for row, shares in enumerate(read.hops[hop]):
        marks += [
            f'<rect x="{left + _CELL * column}" y="{top + _CELL * row}" width="{_CELL - 1}" height="{_CELL - 1}" '
            f'fill-opacity="{share:.3f}"><title>{_named(read.target[row])} ← {_named(read.source[column])}: '
            f"{share:.0%}</title></rect>"
            for column, share in enumerate(shares.tolist())
            if share >= _FAINT
        ]
    marks += [_word(f"{bits:.1f}", right, top + _CELL * (row + 0.7)) for row, bits in enumerate(read.entropy()[hop])]
    marks += _gates(read.target, gates, right + _BITS, top)
    low = top + _CELL * len(read.target) + 14
    marks += [
        _word(f"{share:.1f}", left + _CELL * (column + 0.5), low, "middle")
        for column, share in enumerate(read.coverage()[hop])
    ]
    picture = "\n".join(marks)
    return (
        f'<figure><svg class="attention" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="attention, hop {hop + 1}">\n{picture}\n</svg><figcaption>hop {hop + 1}</figcaption></figure>'
    )


def _gates(words: Sequence[str], gates: Mapping[str, Array], left: int, top: int) -> list[Markup]:
    """Draw a column for each gate."""
    marks = []
    for column, (letter, values) in enumerate(gates.items()):
        x = left + _CELL * column
        marks.append(_word(letter, x + _CELL / 2, top - _LABEL, "middle"))
        marks += [
            f'<rect class="gate" x="{x}" y="{top + _CELL * row}" width="{_CELL - 1}" height="{_CELL - 1}" '
            f'fill-opacity="{value:.3f}"><title>{_named(word)}: {gate_name(letter)} {value:.0%}</title></rect>'
            for row, (word, value) in enumerate(zip(words, values.tolist(), strict=True))
        ]
    return marks


def _room(words: Sequence[str]) -> int:
    """Say how many pixels the longest word takes, with what is beside it."""
    return round(_LETTER * max((len(_short(word)) for word in words), default=0)) + 2 * _LABEL


def _word(text: str, x: float, y: float, anchor: str = "start") -> Markup:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{_named(text)}</text>'


def _named(word: str) -> Markup:
    return html.escape(_short(word))


def _short(word: str) -> str:
    return word if len(word) <= _LONGEST else word[: _LONGEST - 1] + "…"
