"""What is written down of one signal: its transcript, its name, and how large the original is. Knows no format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

Unit: TypeAlias = Literal["seconds", "pixels", "steps"]


class Span(Protocol):
    """A symbol or a word: its text, where it begins and ends, and from 0 to 1 how sure it is."""

    @property
    def text(self) -> str:
        """The text, in logical order."""

    @property
    def start(self) -> float:
        """Where it begins, in units of the original."""

    @property
    def end(self) -> float:
        """Where it ends."""

    @property
    def confidence(self) -> float:
        """How sure it is."""


class Told(Protocol):
    """A transcript: its text, how sure it is, its symbols and words, and other readings, the next best first."""

    @property
    def text(self) -> str:
        """The whole text."""

    @property
    def confidence(self) -> float:
        """How sure it is, from 0 to 1."""

    @property
    def score(self) -> float:
        """The logarithm of how probable it is, or what a search ranked it by."""

    @property
    def symbols(self) -> Sequence[Span]:
        """The symbols and where they stand."""

    @property
    def words(self) -> Sequence[Span]:
        """The words and where they stand."""

    @property
    def alternatives(self) -> Sequence[Told]:
        """Other readings."""


@dataclass(frozen=True)
class Written:
    """Hold what is to be written of one signal.

    Args:
        name: of its file, with the path as it was given.
        told: its transcript.
        unit: of the places in it.
        size: width and height of the original in pixels; zeros of sound.
    """

    name: str
    told: Told
    unit: Unit
    size: tuple[int, int] = (0, 0)
