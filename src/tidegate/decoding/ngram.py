"""Models of a language that count: how probable a character or a word is after the few before it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt

import tidegate.kernels.decoding as compiled
from tidegate.decoding import arpa
from tidegate.decoding.counting import BEGIN, END, UNKNOWN, count_levels, estimate
from tidegate.decoding.hypothesis import check_signs
from tidegate.errors import DataError, InputError, OptionError
from tidegate.ragged import Ragged

Array: TypeAlias = npt.NDArray[Any]
Json: TypeAlias = dict[str, Any]
Units: TypeAlias = Literal["characters", "words"]

MARKS = ("<unk>", "<s>", "</s>")
"""The first three of every vocabulary: whatever is unknown, the start and the end of a text."""
MOST_ORDER = 10


@dataclass(frozen=True, eq=False)
class NgramModel:
    """Hold the n-grams of a language, each with its probability and its back-off weight, as logarithms to the base 10.

    Make one with `from_texts` or `from_arpa`.

    Args:
        units: what an n-gram is made of: `characters` (code points) or `words` (parted by white space).
        vocabulary: the V tokens by their ids, `MARKS` first.
        counts: [order] int64, how many n-grams there are of each length.
        tokens: [G] int32, the last id of each n-gram: length by length, those of one length in the order of the n-gram
            one shorter that they go on from, then of their last id.
        children: [G] int32, how many n-grams one longer go on from each.
        probability, backoff: [G] float32.

    Raises ValueError where the arrays are no such n-grams.

    >>> model = NgramModel.from_texts(["the sea", "the deep sea"], order=2, units="words")
    >>> known, strange = model.score(["the sea", "sea the"])
    >>> bool(known > strange)
    True
    """

    units: Units
    vocabulary: tuple[str, ...]
    counts: Array
    tokens: Array
    children: Array
    probability: Array
    backoff: Array

    def __post_init__(self) -> None:
        _check_units(self.units)
        if self.vocabulary[:3] != MARKS or len(set(self.vocabulary)) != len(self.vocabulary):
            raise ValueError("its vocabulary does not begin with <unk>, <s>, </s>, or names a token twice")
        kinds: dict[str, Any] = {
            "counts": np.int64,
            "tokens": np.int32,
            "children": np.int32,
            "probability": np.float32,
        }
        for name, kind in (kinds | {"backoff": np.float32}).items():
            array = getattr(self, name)
            if array.dtype != kind or array.ndim != 1 or not array.flags.c_contiguous:
                raise ValueError(
                    f"its {name} are {array.dtype} {list(array.shape)}; {np.dtype(kind)} in a row is wanted"
                )
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"its {name} holds numbers that are not finite")
        if not 1 <= self.order <= MOST_ORDER or self.counts[0] != len(self.vocabulary) or (self.counts < 0).any():
            raise ValueError(f"it counts {self.counts.tolist()} n-grams of {len(self.vocabulary)} tokens")
        _ = self.core

    @classmethod
    def from_texts(cls, texts: Sequence[str], *, order: int = 5, units: Units = "characters") -> Self:
        """Count n-grams of up to `order` tokens in texts, and estimate by interpolated modified Kneser-Ney.

        A corpus that is too small for the discounts to be estimated gets those of 0.5, 1 and 1.5.

        Raises InputError for an order below 1 or above 10, and DataError where there are no texts, or one holds a mark.
        """
        _check_units(units)
        if type(order) is not int or not 1 <= order <= MOST_ORDER:
            raise InputError(f"order={order!r:.40}; n-grams of 1 to {MOST_ORDER} tokens can be counted.")
        if isinstance(texts, str) or not len(texts):
            raise DataError("there are no texts to count n-grams in. Pass a list with at least one.")
        parted = [_parted(text, units) for text in texts]
        check_signs(texts)
        distinct = sorted({token for tokens in parted for token in tokens})
        if wrong := set(distinct) & set(MARKS):
            raise DataError(f"a text holds {min(wrong)!r}, which stands for a mark. Take it out.")
        vocabulary = (*MARKS, *distinct)
        number = {token: index for index, token in enumerate(vocabulary)}
        marked = [[BEGIN, *map(number.__getitem__, tokens), END] for tokens in parted]
        levels = count_levels(Ragged.from_list(marked, dtype=np.int64), len(vocabulary), order)
        probability, backoff = estimate(levels)
        following = [np.bincount(longer.parent, minlength=len(level.count)) for level, longer in pairwise(levels)]
        return cls(
            units,
            vocabulary,
            np.array([len(level.count) for level in levels], np.int64),
            np.concatenate([level.token for level in levels]).astype(np.int32),
            np.concatenate([*following, np.zeros(len(levels[-1].count))]).astype(np.int32),
            np.concatenate(probability).astype(np.float32),
            np.concatenate(backoff).astype(np.float32),
        )

    @classmethod
    def from_arpa(cls, path: str | os.PathLike[str], *, units: Units = "words") -> Self:
        """Read an ARPA file, which may be packed with gzip.

        With `units="characters"`, `<space>` stands for a space, and `<U+0009>` for the character of that code point.
        Where `<unk>` is missing, its probability is 1e-100, as in KenLM; where a back-off weight is, it is 1.

        Raises DataError, the line named, for a file that is none, is cut off, or claims what it does not hold.
        """
        _check_units(units)
        read = arpa.read(path, (lambda token: token) if units == "words" else _read_sign)
        return cls(units, *read)

    def to_arpa(self, path: str | os.PathLike[str]) -> None:
        """Write an ARPA file, of which `from_arpa` makes the same model, to the bit; packed for a name in `.gz`."""
        spelled = self.vocabulary if self.units == "words" else (*MARKS, *map(_write_sign, self.vocabulary[3:]))
        arpa.write(path, spelled, self.counts, self.tokens, self.children, self.probability, self.backoff)

    def score(self, texts: Sequence[str]) -> Array:
        """Compute the natural logarithm of the probability of each of B texts, its end included, [B] float64.

        >>> model = NgramModel.from_texts(["ab", "ab"], order=2)
        >>> bool(model.score(["ab"])[0] > model.score(["ba"])[0])
        True
        """
        ids = Ragged.from_list([[*self.ids(_parted(text, self.units)), END] for text in texts], dtype=np.int32)
        offsets = np.asarray(ids.offsets)
        scores = compiled.ngram_scores(self.core, np.ascontiguousarray(ids.values, np.int32), offsets, BEGIN)
        return np.add.reduceat(scores, offsets[:-1]) if len(texts) else np.zeros(0)

    def ids(self, tokens: Sequence[str]) -> list[int]:
        """Look tokens up; what is not known is 0."""
        return [self._number.get(token, UNKNOWN) for token in tokens]

    @property
    def order(self) -> int:
        """Tokens of the longest n-grams."""
        return len(self.counts)

    @cached_property
    def core(self) -> compiled.NGram:
        """The n-grams in the core."""
        return compiled.ngram(self.counts, self.tokens, self.children, self.probability, self.backoff)

    @cached_property
    def _number(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.vocabulary) if token not in MARKS}

    def arrays(self) -> dict[str, Array]:
        """List the arrays that go into a model file; what else does, `to_json` says."""
        return {name: getattr(self, name) for name in ("counts", "tokens", "children", "probability", "backoff")}

    def to_json(self) -> Json:
        """Say what goes into the JSON of a model file.

        >>> model = NgramModel.from_texts(["ab"], order=1)
        >>> NgramModel.restore(model.to_json(), model.arrays()).vocabulary
        ('<unk>', '<s>', '</s>', 'a', 'b')
        """
        return {"units": self.units, "vocabulary": list(self.vocabulary)}

    @classmethod
    def restore(cls, stored: Json, arrays: Mapping[str, Array]) -> Self:
        """Read what `to_json` and `arrays` wrote; raises KeyError, TypeError or ValueError for all else."""
        vocabulary = stored["vocabulary"]
        if not isinstance(vocabulary, list) or not all(isinstance(token, str) and token for token in vocabulary):
            raise ValueError("its vocabulary is no list of texts")
        kinds = {"counts": np.int64, "tokens": np.int32, "children": np.int32}
        found = [np.asarray(arrays[name]) for name in (*kinds, "probability", "backoff")]
        whole = [array.astype(kind) for array, kind in zip(found[:3], kinds.values(), strict=True)]
        if not all(map(np.array_equal, whole, found[:3])):
            raise ValueError("its numbers of tokens are too large, or no whole ones")
        return cls(stored["units"], tuple(vocabulary), *whole, *found[3:])

    def __repr__(self) -> str:
        return f"NgramModel({self.units}, order {self.order}, {len(self.tokens):,} n-grams)"


def _check_units(units: object) -> None:
    if units not in ("characters", "words"):
        raise OptionError.unknown("units", str(units), ["characters", "words"])


def _parted(text: object, units: str) -> list[str]:
    if not isinstance(text, str):
        raise DataError(f"a {type(text).__name__} came where a text was wanted.")
    return text.split() if units == "words" else list(text)


def _write_sign(sign: str) -> str:
    if sign == " ":
        return "<space>"
    return f"<U+{ord(sign):04X}>" if sign.isspace() or not sign.isprintable() else sign


def _read_sign(token: str) -> str:
    if token == "<space>":
        return " "
    if token.startswith("<U+") and token.endswith(">"):
        try:
            return chr(int(token[3:-1], 16))
        except (ValueError, OverflowError):
            raise ValueError(f"{token!r} is no character") from None
    if len(token) != 1 and token not in MARKS:
        raise ValueError(f"{token!r} is no single character; pass units='words' where n-grams are of words")
    return token
