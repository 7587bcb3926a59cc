"""What a translator says of a text: its translation, how good it thinks that is, and what it read for each token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.inspect.attention import Attention

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Translation:
    """Hold the translation of a text.

    text: the translation.
    tokens: what it is made of, as the model spells it.
    source: the tokens of the text that was translated, as the model read them; one that is not known is spelled out.
    score: by which translations of a text are ranked: higher is better, and none is above zero.
    log_probability: the logarithm of the probability of the tokens and their end, in nats.
    cut: whether it was cut off, as it did not end within the limit.
    unknown: whether the model knows no token at all of the text that was translated.
    attention: for each hop how much of each token of the source was read for each token, `[T, S]`, where it was asked
        for. The last column is the end of the source, and the last row that of the translation, unless that was cut.
    words: the same by words, where it was asked for.
    copied: of tokens that were not known, and were copied from the source instead: their places in `tokens`, and from
        where in `source`.
    alternatives: other translations of the text, the best first.
    """

    text: str
    tokens: tuple[str, ...]
    source: tuple[str, ...] = ()
    score: float = 0.0
    log_probability: float = 0.0
    cut: bool = False
    unknown: bool = False
    attention: tuple[Array, ...] = field(default=(), compare=False)
    words: Attention | None = field(default=None, compare=False)
    copied: tuple[tuple[int, int], ...] = ()
    alternatives: tuple[Translation, ...] = ()

    def __str__(self) -> str:
        return self.text

    def beside(self, others: Sequence[Translation]) -> Translation:
        """Put others next to it."""
        return replace(self, alternatives=tuple(others))

    def to_json(self) -> dict[str, Any]:
        """Give all of it as plain values, attention rounded to four digits."""
        told: dict[str, Any] = {
            "text": self.text,
            "score": self.score,
            "log_probability": self.log_probability,
            "tokens": list(self.tokens),
            "source": list(self.source),
            "cut": self.cut,
            "unknown": self.unknown,
            "copied": [list(places) for places in self.copied],
        }
        if self.attention:
            told["attention"] = [np.round(hop.astype(np.float64), 4).tolist() for hop in self.attention]
        return told | {"alternatives": [one.to_json() for one in self.alternatives]}
