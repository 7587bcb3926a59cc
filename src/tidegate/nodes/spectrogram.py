"""Sounds as bands of frequencies over time."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tidegate.nodes.part import Array, Part, Place, Rows, Shapes, Start

FLOOR = 1e-6
"""What is added to the energy of a band before its logarithm is taken: far below what 16 bits resolve in a frame."""
MOST_NUMBERS = 2**25
"""The most numbers that the basis of a spectrogram may have, 256 MiB: frames of 4,096 samples with all they tell."""
_DIGITS = 12  # of the matrices: fewer than their functions differ in between two machines

Samples = Annotated[int, Field(ge=1, le=2**14)]
Hertz = Annotated[float, Field(ge=0.0, le=2e5, strict=False)]


class Spectrogram(Part):
    """Tell the energy of bands of frequencies in each frame of a sound: `[N, 1]` -> `[N', bands]`.

    Frame f of a sequence is its samples f * hop to f * hop + frame - 1, zeros where it has ended, times a Hann window;
    T samples become ceil(T / hop) frames. The power of its frequencies is added up in bands, triangles that overlap by
    half and are evenly spaced in mel (2595 log10(1 + Hz / 700), O'Shaughnessy 1987), whose logarithms, less `mean` and
    times `scale`, are what is handed on. Those two are parameters of each band: of the training part, and fixed, so
    that a sound can be read as it comes.

    rate: samples a second.
    frame, hop: samples of a frame, and from one to the next. Twice `frame` times the frequencies that it tells apart
        from `low` to `high` is 2**25 at most.
    bands: how many.
    low, high: hertz where the first begins and the last ends.
    """

    kind: Literal["spectrogram"] = "spectrogram"
    rate: Annotated[int, Field(ge=100, le=400_000)]
    frame: Samples
    hop: Samples
    bands: Annotated[int, Field(ge=1, le=512)]
    low: Hertz
    high: Hertz

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.low < self.high <= self.rate / 2:
            raise ValueError(
                f"bands from {self.low:g} to {self.high:g} Hz were asked for; {self.rate} samples a second tell of 0 "
                f"to {self.rate / 2:g} Hz, and low must be below high"
            )
        mel, bins = self._triangles()
        empty = np.flatnonzero(mel.sum(axis=0) <= 0)
        if len(empty):
            raise ValueError(
                f"band {empty[0]} of {self.bands} lies between two frequencies that a frame of {self.frame} samples "
                "tells apart. Ask for fewer bands, or longer frames"
            )
        numbers = 2 * self.frame * len(bins)
        if numbers > MOST_NUMBERS:
            raise ValueError(
                f"frames of {self.frame:,} samples tell {len(bins):,} frequencies apart between {self.low:g} and "
                f"{self.high:g} Hz, a basis of {numbers:,} numbers; at most {MOST_NUMBERS:,} are allowed. Take shorter "
                "frames, or fewer frequencies"
            )
        return self

    @property
    def incoming(self) -> int:
        """Count the numbers of a step: a sample."""
        return 1

    @property
    def withheld(self) -> int:
        """Count the samples that must follow the first of a frame before it is known."""
        return self.frame - 1

    def fit(self, place: Place) -> int:
        """Return the number of bands; raises ValueError where no samples come."""
        place.must_have_steps()
        place.must_be(1)
        return self.bands

    def gives(self, read: Rows, width: int) -> Rows:
        """Say which rows it makes: one of every so many samples."""
        steps, stride = self.count(read.steps), read.stride * self.hop
        return replace(super().gives(read, width), stride=stride, steps=steps, **read.without_image)

    def count(self, rows: Any) -> Any:
        """Count the frames of a sequence of so many samples."""
        return -(-rows // self.hop)

    def shapes(self) -> Shapes:
        """List what brings each band to a common scale."""
        return {"mean": (self.bands,), "scale": (self.bands,)}

    def draw(self, parameter: str, shape: tuple[int, ...], rng: np.random.Generator, start: Start) -> Array:
        """Begin with logarithms as they are."""
        return np.ones(shape) if parameter == "scale" else np.zeros(shape)

    def matrices(self) -> tuple[Array, Array]:
        """Make what frames are multiplied by: a windowed basis [frame, 2 * bins], cosines first, and mel [bins, bands].

        Both are float64, rounded so that they are the same on every machine; bins are those that lie in a band.
        """
        mel, bins = self._triangles()
        turns = np.outer(np.arange(self.frame), bins) % self._points * (2 * np.pi / self._points)
        hann = 0.5 - 0.5 * np.cos(np.arange(self.frame) * (2 * np.pi / self.frame))
        basis = np.round(hann[:, None] * np.concatenate([np.cos(turns), np.sin(turns)], axis=1), _DIGITS)
        return basis, mel

    @property
    def _points(self) -> int:
        """Count the points of the Fourier transform: the power of two that a frame fits into."""
        return 1 << max(1, (self.frame - 1).bit_length())

    def _triangles(self) -> tuple[Array, Array]:
        """Make mel, [bins, bands], and say which frequencies its rows are, [bins]."""
        edges = np.round(_hertz(np.linspace(_mel(self.low), _mel(self.high), self.bands + 2)), 6)
        hertz = np.arange(self._points // 2 + 1) * (self.rate / self._points)
        rise = (hertz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
        fall = (edges[2:] - hertz[:, None]) / (edges[2:] - edges[1:-1])
        mel = np.round(np.maximum(0.0, np.minimum(rise, fall)), _DIGITS)
        bins = np.flatnonzero(mel.sum(axis=1) > 0)
        return mel[bins], bins


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: Array) -> Array:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
