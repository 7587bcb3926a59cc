"""Turn texts into ids and back: words or characters, trained on the user's texts. Knows no model.

The stored form is the `tokenizer.json` of the package `tokenizers`, whose ids these are. The core reads the texts; the
package reads those of byte pairs and of older models. There is no padding token, because a Ragged needs none. Id 0 is
`<unk>`, which stands for whatever the vocabulary does not hold.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

import tidegate.plain_json as plain_json
from tidegate.data.checks import check_texts
from tidegate.data.cutting import DIGIT, LINE_BREAK, PIECE, SIGN, SPACES, WORD, check_steps, rule_of, splitters
from tidegate.data.decoding import Decoder, Spelling
from tidegate.data.encoding import count_tokens, encode_pieces, list_tokens, read_texts, tokens_of
from tidegate.data.graphemes import CLUSTER
from tidegate.errors import DataError, InputError, OptionError
from tidegate.kernels import Lexicon, Rule
from tidegate.ragged import Ragged

if TYPE_CHECKING:
    import tokenizers

Keep = Literal["first", "last"]
Splitter = Callable[[str], list[str]]
Assemble: TypeAlias = "Callable[[tokenizers.models.Model], tokenizers.Tokenizer]"

UNKNOWN = "<unk>"
UNKNOWN_ID = 0

# What the package reads is cut at spaces where it may be: 25,000 film reviews hold 5.8 million pieces between spaces,
# of which 265,000 are distinct. Encoding only those takes half the processor time (6 s and 13 s, measured 2026-11-21).
_BLOCK = 16_384  # texts encoded at a time, which bounds memory
# A space, but for one inside of <br />.
_AT_SPACES = re.compile(r" (?![ \t\r\n/>])")
_OPTIONS = (
    "dropout", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges"
)  # fmt: skip
_LEAST_BPE = 258  # `<unk>`, the bytes, and one pair


@dataclass(frozen=True)
class Tokenizer:
    """Map texts to ids of a vocabulary. Made by `train_words`, `train_characters` or `from_json`; never changes.

    Two tokenizers with the same JSON are equal. Pickles and copies.

    Args:
        json: the ``tokenizer.json`` of the package ``tokenizers``, from which everything else follows.
    """

    json: str

    @cached_property
    def vocabulary(self) -> list[str]:
        """List the tokens in the order of their ids; the first is `<unk>`."""
        ids = self._engine.get_vocab(with_added_tokens=False)
        return sorted(ids, key=ids.__getitem__)

    @property
    def size(self) -> int:
        """Count the tokens, `<unk>` included: ids lie in [0, size)."""
        return self._engine.get_vocab_size(with_added_tokens=False)

    def encode(self, texts: Sequence[str], *, max_tokens: int | None = None, keep: Keep = "last") -> Ragged:
        """Encode texts to a Ragged of int32 ids [N].

        A text without any token, such as an empty one, gives a sequence of length zero.

        Args:
            texts: a list of B texts.
            max_tokens: longer texts are cut to so many tokens; None for no limit.
            keep: whether the "first" or the "last" tokens of a text that is cut stay.

        Raises:
            InputError: texts are a single string, or max_tokens is below 1.
            OptionError: keep is neither "first" nor "last".
            DataError: one of the texts is no text.

        >>> tokenizer = train_words(["the film is good", "the end"])
        >>> tokenizer.encode(["the end of the film", ""], max_tokens=4).to_list()[0].tolist()
        [2, 0, 1, 3]
        """
        window = _window(max_tokens, keep)
        check_texts(texts, allow_empty=True)
        if self._lexicon is not None:
            return read_texts(self._lexicon, self._engine, texts, max_tokens, last=keep == "last")  # [N]
        rows = [row[window] for block in _blocks(texts) for row in self._encode_block(block)]
        return Ragged.from_list(rows, dtype=np.int32)  # [N]

    def tokenize(self, text: str, *, max_tokens: int | None = None, keep: Keep = "last") -> list[str]:
        """List the tokens of a text as they are read, one for each id of `encode`, unknown ones spelled out.

        >>> train_words(["a film"]).tokenize("It's a FILM!<br />Great.")
        ["it's", 'a', 'film', '!', 'great', '.']
        """
        window = _window(max_tokens, keep)
        if self.spelling == "bytes":
            return [self.decode([token]) for token in self.encode([text])[0]][window]
        if self._rule is None:
            return tokens_of(self._engine, text)[window]
        return list_tokens(Lexicon(*self._rule), self._engine, text, max_tokens, last=keep == "last")[window]

    @cached_property
    def spelling(self) -> Spelling:
        """Say how the tokens spell a text: as words, characters or bytes."""
        if json.loads(self.json)["model"]["type"] == "BPE":
            return "bytes"
        return "characters" if self._engine.encode(" ").ids else "words"

    def decoder(self) -> Decoder:
        """Begin to turn ids back into text, one at a time."""
        return Decoder(self.vocabulary, self.spelling)

    def decode(self, ids: Iterable[int]) -> str:
        """Turn ids into a text.

        That of characters and of BPE is the one that was encoded, but for what a tokenizer lower-cases or does not
        know; words come with single spaces.

        >>> tokenizer = train_words(["Yes, we can."], keep_case=True)
        >>> tokenizer.decode(tokenizer.encode(["Yes ,we  can."])[0])
        'Yes, we can.'
        """
        decoder = self.decoder()
        return "".join(map(decoder.feed, ids)) + decoder.finish()

    def to_json(self) -> str:
        """Return the `tokenizer.json`, to be stored with a model."""
        return self.json

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[str]]:
        return Tokenizer, (self.json,)

    def _encode_block(self, texts: list[str]) -> Ragged:
        numbers: defaultdict[str, int] = defaultdict(count().__next__)  # of each distinct piece, by first occurrence
        codes = Ragged.from_list([[numbers[piece] for piece in self._split(text)] for text in texts], dtype=np.int64)
        tokens = encode_pieces(self._engine, list(numbers)).select(codes.values)
        return Ragged(tokens.values, tokens.offsets[codes.offsets])

    @cached_property
    def _split(self) -> Splitter:
        """Cut texts at spaces if a space never is part of a token, else not at all."""
        return _at_spaces if self.spelling == "words" else _whole

    @cached_property
    def _rule(self) -> tuple[Rule, bool] | None:
        return rule_of(json.loads(self.json))

    @cached_property
    def _lexicon(self) -> Lexicon | None:
        """What reads texts in the core, where it knows the rule."""
        return None if self._rule is None else Lexicon(*self._rule, self.vocabulary)

    @cached_property
    def _engine(self) -> tokenizers.Tokenizer:
        import tokenizers

        return tokenizers.Tokenizer.from_str(self.json)


def train_words(
    texts: Sequence[str], vocabulary_size: int = 20_000, *, min_count: int = 1, keep_case: bool = False
) -> Tokenizer:
    """Train a tokenizer of words on texts, keeping the most frequent ones.

    Punctuation marks are tokens, an apostrophe within a word belongs to it, ``<br />`` counts as white space, and
    scripts that put no spaces between words, such as Chinese, are read by characters. Ties go by spelling, so that the
    same texts always give the same vocabulary.

    Args:
        texts: at least one, none of them empty.
        vocabulary_size: the most tokens to keep, ``<unk>`` included.
        min_count: how often a word must occur to be kept.
        keep_case: tell `The` from `the`, for texts that are to be written; else all is read in lower case.

    Raises:
        DataError: there are no texts, or one is empty or no text.
        InputError: texts are a single string, or a number is too small.

    >>> train_words(["Good, good film!", "good plot"], 4).vocabulary
    ['<unk>', 'good', '!', ',']
    """
    return _train_on(
        texts, vocabulary_size, min_count, lambda model: _assemble(model, by_character=False, keep_case=keep_case)
    )


def train_characters(texts: Sequence[str], vocabulary_size: int = 20_000, *, min_count: int = 1) -> Tokenizer:
    """Train a tokenizer of lower-cased characters, spaces included; a run of white space counts as one space.

    A character is what a reader takes for one: a letter with its marks, a picture with its skin tone.

    Arguments and errors are those of `train_words`.

    >>> train_characters(["好 好"]).vocabulary
    ['<unk>', '好', ' ']
    """
    return _train_on(texts, vocabulary_size, min_count, lambda model: _assemble(model, by_character=True))


def train_whole_words(words: Sequence[str], vocabulary_size: int = 20_000, *, min_count: int = 1) -> Tokenizer:
    """Train a tokenizer of words that are cut out already: each text that it encodes is one token, spaces and all.

    Case is ignored, every digit counts as 0, and how marks are put together makes no difference (NFC). Arguments and
    errors are those of `train_words`.

    >>> train_whole_words(["In", "1999", "in", "2001"]).vocabulary
    ['<unk>', '0000', 'in']
    """
    from tokenizers import Regex, normalizers

    plain = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase(), normalizers.Replace(Regex(DIGIT), "0")])
    return _train_on(words, vocabulary_size, min_count, lambda model: _engine(model, plain, None))


def train_spelling(words: Sequence[str], vocabulary_size: int = 1000, *, min_count: int = 1) -> Tokenizer:
    """Train a tokenizer of what words are made of, upper and lower case apart: letters, and marks where NFC has any.

    Arguments and errors are those of `train_words`.

    >>> train_spelling(["An", "an"]).vocabulary
    ['<unk>', 'n', 'A', 'a']
    """
    from tokenizers import normalizers

    return _train_on(words, vocabulary_size, min_count, lambda model: _engine(model, normalizers.NFC(), SIGN))


def train_graphemes(texts: Sequence[str], vocabulary_size: int = 20_000, *, min_count: int = 1) -> Tokenizer:
    """Train a tokenizer of what a reader takes for one character, as it stands: a letter is not cut from its marks.

    Arguments and errors are those of `train_words`.

    >>> train_graphemes(["नमस्ते"]).tokenize("नमस्ते")
    ['न', 'म', 'स्ते']
    """
    return _train_on(texts, vocabulary_size, min_count, lambda model: _engine(model, None, CLUSTER))


def train_pieces(texts: Sequence[str], vocabulary_size: int = 20_000, *, min_count: int = 1) -> Tokenizer:
    """Train a tokenizer of words as they stand, each with the space before it, and of what is between them.

    Unlike the words of `train_words` they put a text together again, white space included. Arguments and errors are
    those of `train_words`.

    >>> train_pieces([" Yes, we  can."]).tokenize(" Yes, we  can.")
    [' Yes', ',', ' we', ' ', ' can', '.']
    """
    return _train_on(texts, vocabulary_size, min_count, lambda model: _engine(model, None, PIECE))


def train_bpe(texts: Sequence[str], vocabulary_size: int = 4_000, *, min_count: int = 1) -> Tokenizer:
    """Train a tokenizer of byte pairs (Sennrich et al. 2016) over the bytes of UTF-8 (Radford et al. 2019).

    Frequent words become one token, rare ones several; any text can be encoded, and comes back as it was.

    Args:
        texts: at least one, none of them empty.
        vocabulary_size: the most tokens, `<unk>` and the 256 bytes included.
        min_count: how often two pieces must stand side by side to become one.

    Raises:
        DataError: there are no texts, or one is empty or no text.
        InputError: texts are a single string, or the vocabulary cannot hold every byte.

    >>> tokenizer = train_bpe(["low lower lowest"] * 9, 262)
    >>> tokenizer.tokenize("lower é")
    ['low', 'e', 'r', ' ', '\ufffd', '\ufffd']
    >>> tokenizer.decode(tokenizer.encode(["lower é"])[0])
    'lower é'
    """
    import tokenizers
    from tokenizers import Regex, models, pre_tokenizers, trainers

    if vocabulary_size < _LEAST_BPE:
        raise InputError(f"vocabulary_size is {vocabulary_size}; for BPE at least {_LEAST_BPE} are wanted, all bytes.")
    _check_training(texts)
    engine = tokenizers.Tokenizer(models.BPE())
    engine.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECE), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=min_count,
        special_tokens=[UNKNOWN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    engine.train_from_iterator(_blocks(texts), trainer, length=len(texts))
    content = json.loads(engine.to_str()) | {"added_tokens": []}  # or a text could spell `<unk>` out
    return Tokenizer(tokenizers.Tokenizer.from_str(json.dumps(content)).to_str())


def from_json(text: str) -> Tokenizer:
    """Restore a tokenizer from `to_json`.

    Anything else raises DataError: other kinds of vocabularies, ids with gaps, steps or patterns that no tokenizer of
    this file has, since a pattern of a stranger may take forever to match.
    """
    try:
        _check_content(plain_json.read(text))
        tokenizer = Tokenizer(text)
        _ = tokenizer._engine
    except Exception as error:  # the package raises bare Exception for whatever it cannot read
        raise DataError(f"this is not a tokenizer that Tidegate wrote: {error!s:.200}.") from error
    return tokenizer


def _check_content(content: Any) -> None:
    """Raise an exception of any kind for what is no tokenizer of ours."""
    model, vocabulary = content["model"], content["model"]["vocab"]
    whole = all(type(token) is int for token in vocabulary.values())
    ids = np.sort(np.fromiter(vocabulary.values() if whole else (), np.int64))  # a list would take ten times the memory
    if vocabulary[UNKNOWN] != UNKNOWN_ID or not np.array_equal(ids, np.arange(len(vocabulary))):
        raise DataError("its ids do not run from 0 on, or '<unk>' is not id 0")
    if any(content[part] for part in ("added_tokens", "truncation", "padding", "post_processor", "decoder")):
        raise DataError("it has parts that no tokenizer of ours has")
    bytewise = model["type"] == "BPE" and splitters(content["pre_tokenizer"])[-1]["type"] == "ByteLevel"
    if not (bytewise or (model["type"] == "WordLevel" and model["unk_token"] == UNKNOWN)):
        raise DataError("it is no vocabulary of words or byte pairs")
    if any(model.get(option) for option in _OPTIONS):
        raise DataError("its byte pairs are put together in another way than ours")
    check_steps(content)


def _train_on(texts: Sequence[str], vocabulary_size: int, min_count: int, assemble: Assemble) -> Tokenizer:
    from tokenizers import models

    if vocabulary_size < 2 or min_count < 1:
        raise InputError(
            f"vocabulary_size is {vocabulary_size} and min_count {min_count}; at least 2 and 1 are wanted."
        )
    _check_training(texts)
    empty = assemble(models.WordLevel(unk_token=UNKNOWN))
    rule = rule_of(json.loads(empty.to_str()))
    if rule is None:
        counts = Counter(token for text in texts for token in tokens_of(empty, text))
    else:
        counts = count_tokens(Lexicon(*rule), empty, texts)
    often = [token for token, many in counts.items() if many >= min_count and token != UNKNOWN]
    kept = sorted(often, key=lambda token: (-counts[token], token))[: vocabulary_size - 1]
    vocabulary = {token: number for number, token in enumerate([UNKNOWN, *kept])}
    return Tokenizer(assemble(models.WordLevel(vocabulary, unk_token=UNKNOWN)).to_str())


def _check_training(texts: Sequence[str]) -> None:
    check_texts(texts)
    if not len(texts):
        raise DataError("there are no texts to train a tokenizer on.")


def _assemble(model: tokenizers.models.Model, *, by_character: bool, keep_case: bool = False) -> tokenizers.Tokenizer:
    from tokenizers import Regex, normalizers

    lower = [] if keep_case else [normalizers.Lowercase()]
    steps = [normalizers.NFC(), *lower, normalizers.Replace(Regex(LINE_BREAK), " ")]
    if by_character:
        steps.append(normalizers.Replace(Regex(SPACES), " "))
    return _engine(model, normalizers.Sequence(steps), CLUSTER if by_character else WORD)


def _engine(
    model: tokenizers.models.Model, normalizer: tokenizers.normalizers.Normalizer | None, pattern: str | None
) -> tokenizers.Tokenizer:
    """Put a tokenizer together; without a pattern each text is one token."""
    import tokenizers
    from tokenizers import Regex, pre_tokenizers

    engine = tokenizers.Tokenizer(model)
    if normalizer is not None:
        engine.normalizer = normalizer
    if pattern is not None:
        engine.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True)
    return engine


def _blocks(texts: Sequence[str]) -> Iterator[list[str]]:
    return (list(texts[start : start + _BLOCK]) for start in range(0, len(texts), _BLOCK))


def _at_spaces(text: str) -> list[str]:
    return _AT_SPACES.split(text)


def _whole(text: str) -> list[str]:
    return [text]


def _window(max_tokens: int | None, keep: str) -> slice:
    if keep not in ("first", "last"):
        raise OptionError.unknown("keep", keep, ["first", "last"])
    if max_tokens is not None and max_tokens < 1:
        raise InputError(f"max_tokens is {max_tokens}; it must be at least 1, or None for no limit.")
    if max_tokens is None:
        return slice(None)
    return slice(None, max_tokens) if keep == "first" else slice(-max_tokens, None)
