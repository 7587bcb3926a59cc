"""How texts become ids and tokens: in the core, and by the package `tokenizers` where the core leaves a piece to it.

Knows neither what a tokenizer is trained on nor how its JSON looks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from tidegate.errors import DataError
from tidegate.kernels import Lexicon
from tidegate.ragged import Ragged

if TYPE_CHECKING:
    import tokenizers

_MOST_CHARACTERS = 1 << 24  # of one piece of text: the library needs some 65 bytes for each (2026-11-28)
_GROUP = 1024  # pieces in one call's item, which spreads them over the cores


def read_texts(
    lexicon: Lexicon, engine: tokenizers.Tokenizer, texts: Sequence[str], most: int | None, *, last: bool
) -> Ragged:
    """Encode B texts to a Ragged of int32 ids [N]: the first or the `last` of each, no more than `most`."""
    ids, offsets, left = lexicon.read(texts, most=most, last=last)
    if not left:
        return Ragged(ids, offsets)
    numbers: defaultdict[str, int] = defaultdict(count().__next__)  # of each distinct piece
    codes = [numbers[piece] for piece in left]
    tokens = encode_pieces(engine, list(numbers)).select(codes)
    sizes = np.ones(len(ids), np.int64)
    sizes[ids < 0] = tokens.lengths
    places = np.zeros(len(ids) + 1, np.int64)
    np.cumsum(sizes, out=places[1:])
    whole = np.repeat(ids, sizes)  # [N]
    whole[np.repeat(ids < 0, sizes)] = tokens.values
    return _cut(Ragged(whole, places[offsets]), most, last=last)


def encode_pieces(engine: tokenizers.Tokenizer, pieces: list[str]) -> Ragged:
    """Encode pieces of text by the library, each on its own, to a Ragged of int32 ids.

    Raises DataError where one is longer than the library can take without ending the process.
    """
    _check_longest(pieces)
    groups = [pieces[start : start + _GROUP] for start in range(0, len(pieces), _GROUP)]
    encodings = engine.encode_batch(groups, is_pretokenized=True, add_special_tokens=False)
    ids = [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]
    lengths = [
        np.bincount(np.array(encoding.word_ids, dtype=np.int64), minlength=len(group))
        for encoding, group in zip(encodings, groups, strict=True)
    ]
    offsets = np.cumsum(np.concatenate([[0], *lengths]), dtype=np.int64)
    return Ragged(np.concatenate([np.empty(0, dtype=np.int32), *ids]), offsets)


def list_tokens(
    lexicon: Lexicon, engine: tokenizers.Tokenizer, text: str, most: int | None, *, last: bool
) -> list[str]:
    """List the tokens of a text, all or about the first or `last` ones, by a lexicon that has learned none."""
    ids, _, left = lexicon.read([text], most=most, last=last)
    tokens, pieces = lexicon.tokens, iter(left)
    found = ([tokens[token]] if token >= 0 else tokens_of(engine, next(pieces)) for token in ids.tolist())
    return [token for some in found for token in some]


def count_tokens(lexicon: Lexicon, engine: tokenizers.Tokenizer, texts: Sequence[str]) -> Counter[str]:
    """Count how often each token stands in texts, by a lexicon that has learned none."""
    ids, _, left = lexicon.read(texts)
    tokens = lexicon.tokens
    counts = Counter(dict(zip(tokens, np.bincount(ids[ids >= 0], minlength=len(tokens)).tolist(), strict=True)))
    for piece, many in Counter(left).items():
        for token in tokens_of(engine, piece):
            counts[token] += many
    return +counts


def tokens_of(engine: tokenizers.Tokenizer, text: str) -> list[str]:
    """List the tokens of a text as the library cuts it; raises DataError as `encode_pieces` does."""
    _check_longest([text])
    plain = text if engine.normalizer is None else engine.normalizer.normalize_str(text)
    splitter = engine.pre_tokenizer
    return [plain] if splitter is None else [piece for piece, _ in splitter.pre_tokenize_str(plain)]


def _check_longest(pieces: list[str]) -> None:
    if (longest := max(map(len, pieces), default=0)) > _MOST_CHARACTERS:
        told = f"there is a text of {longest:,} characters in one piece; {_MOST_CHARACTERS:,} are the most."
        raise DataError(f"{told} Cut it into paragraphs or lines.")


def _cut(ids: Ragged, most: int | None, *, last: bool) -> Ragged:
    lengths = np.asarray(ids.lengths)
    if most is None or lengths.max(initial=0) <= most:
        return ids
    at = np.arange(len(ids.values)) - np.repeat(np.asarray(ids.offsets)[:-1], lengths)  # [N] in the sequence
    return ids.where(at >= np.repeat(lengths, lengths) - most if last else at < most)
