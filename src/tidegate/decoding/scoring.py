"""What is known of texts beside what is heard or seen: a language model, a lexicon, words that are likely."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

import tidegate.kernels.decoding as compiled
from tidegate.decoding.counting import BEGIN, END
from tidegate.decoding.fusion import Fusion, Model
from tidegate.decoding.hypothesis import check_signs
from tidegate.decoding.ngram import NgramModel
from tidegate.errors import InputError, WrongTypeError

Array: TypeAlias = npt.NDArray[Any]
Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Scorer:
    """Score texts beside their frames: `log p + alpha * log p of the language + beta * words`, and what words add.

    All parts may be used together, whole or in streams.

    Args:
        language_model: an `NgramModel`, or a fitted `LanguageModel` that reads characters; None for none.
        alpha: weight of the language, at least 0.
        beta: added for each word; without `space`, for each symbol.
        lexicon: the words that may stand; None for any.
        unknown: added for each word that is not in the lexicon, such as -10; None lets no such word in.
        hotwords: words, or several with spaces between, that are likely, each with what is added for it, in nats. Of
            those that overlap the ones count that add the most together, so that one more never takes from a text. What
            has begun of one earns its share of its bonus, and gives it back when the word goes on otherwise.
        space: the character that parts words; None where none does: a text is then one word to the lexicon, and
            hotwords may begin and end anywhere.

    Raises:
        InputError: a number is out of range, the lexicon is empty, or a word holds a space.
        WrongTypeError: the language model is of another kind.

    >>> scorer = Scorer(hotwords={"tide": 3.0}, lexicon=["tide", "gate"], unknown=-5.0)
    >>> scorer.lexicon
    ('tide', 'gate')
    """

    language_model: NgramModel | Model | None = None
    alpha: float = 0.5
    beta: float = 0.0
    lexicon: Iterable[str] | None = None
    unknown: float | None = None
    hotwords: Mapping[str, float] = field(default_factory=dict)
    space: str | None = " "
    _cores: dict[tuple[str, ...], compiled.Scorer] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha >= 0 and math.isfinite(self.beta)):
            raise InputError(f"alpha={self.alpha} and beta={self.beta}; wanted finite numbers, alpha at least 0.")
        if self.space is not None and len(self.space) != 1:
            raise InputError(f"space={self.space!r:.40}; wanted one character, or None where none parts words.")
        if self.unknown is not None and not (math.isfinite(self.unknown) and self.unknown <= 0):
            raise InputError(f"unknown={self.unknown}; wanted a finite number of at most 0, or None to let no word in.")
        if isinstance(self.lexicon, str):
            raise InputError("the lexicon is one text; pass a list of words.")
        object.__setattr__(self, "lexicon", None if self.lexicon is None else tuple(dict.fromkeys(self.lexicon)))
        self._check_words()
        model = self.language_model
        if isinstance(model, NgramModel):
            if model.units == "words" and self.space is None:
                raise InputError("the n-grams are of words, but space=None says that nothing parts words. Pass space.")
        elif model is not None and not isinstance(model, Model):
            raise WrongTypeError(f"a {type(model).__name__} came; wanted an NgramModel or a fitted LanguageModel.")

    def _check_words(self) -> None:
        if self.lexicon is None and self.unknown is not None:
            raise InputError(
                "unknown is a weight of words that the lexicon lacks, and no lexicon came. Pass both or none."
            )
        if self.lexicon is not None:
            words: tuple[Any, ...] = tuple(self.lexicon)
            if not words:
                raise InputError("the lexicon is empty, so that no word may stand. Pass words, or None for any.")
            for word in words:
                if not isinstance(word, str) or not word or (self.space is not None and self.space in word):
                    raise InputError(f"the lexicon holds {word!r:.40}; wanted words without a space, none empty.")
            check_signs(words)
        hotwords: dict[Any, float] = dict(self.hotwords)
        for word, bonus in hotwords.items():
            if not isinstance(word, str) or not word.strip(self.space or "") or word != word.strip(self.space or ""):
                raise InputError(f"the hotword {word!r:.40} is empty, or begins or ends with a space.")
            if not (math.isfinite(bonus) and bonus >= 0):
                raise InputError(
                    f"the hotword {word!r:.40} has a bonus of {bonus}; wanted a finite number of at least 0."
                )
        check_signs(self.hotwords)

    def with_weights(self, alpha: float, beta: float) -> Self:
        """Return one with other weights; the models are shared."""
        return replace(self, alpha=alpha, beta=beta)

    @property
    def fusion(self) -> Fusion | None:
        """What runs a network beside the beam; None where none is asked."""
        model = self.language_model
        return None if model is None or isinstance(model, NgramModel) else Fusion(model)

    def core(self, symbols: tuple[str, ...]) -> compiled.Scorer:
        """Give the scorer of texts made of these symbols, put together once."""
        if symbols not in self._cores:
            self._cores[symbols] = self._put_together(symbols)
        return self._cores[symbols]

    def _put_together(self, symbols: tuple[str, ...]) -> compiled.Scorer:
        model = self.language_model
        ngrams = model if isinstance(model, NgramModel) else None
        words = ngrams is not None and ngrams.units == "words"
        tokens = vocabulary = None
        if ngrams is not None and words:
            vocabulary = (ngrams.vocabulary[3:], np.arange(3, len(ngrams.vocabulary), dtype=np.int32))
        elif ngrams is not None:
            tokens = np.array(ngrams.ids("".join(symbols)), np.int32)
        return compiled.scorer(
            compiled.Weights(
                alpha=self.alpha,
                beta=self.beta,
                unknown=-math.inf if self.unknown is None else self.unknown,
                space=-1 if self.space is None else ord(self.space),
                words=words,
                rows=model is not None and ngrams is None,
                begins=BEGIN,
                ends=END,
            ),
            symbols,
            model=None if ngrams is None else ngrams.core,
            tokens=tokens,
            vocabulary=vocabulary,
            lexicon=None if self.lexicon is None else tuple(self.lexicon),
            hotwords=tuple(self.hotwords.items()),
        )

    def arrays(self) -> dict[str, Array]:
        """List the arrays that go into a model file; what else does, `to_json` says."""
        if not isinstance(self.language_model, NgramModel):
            return {}
        found = self.language_model.arrays()
        return {name: array.astype(np.int64) if array.dtype.kind == "i" else array for name, array in found.items()}

    def to_json(self) -> Json:
        """Say what goes into the JSON of a model file. Raises InputError where a network scores: it has its own file.

        >>> scorer = Scorer(lexicon=["tide"], beta=1.0)
        >>> Scorer.restore(scorer.to_json(), scorer.arrays()).digest() == scorer.digest()
        True
        """
        model = self.language_model
        if model is not None and not isinstance(model, NgramModel):
            raise InputError("the language is scored by a network, which has a file of its own. Save that.")
        told: Json = {"alpha": self.alpha, "beta": self.beta, "unknown": self.unknown, "space": self.space}
        told |= {"lexicon": None if self.lexicon is None else list(self.lexicon), "hotwords": dict(self.hotwords)}
        return told | {"ngrams": None if model is None else model.to_json()}

    @classmethod
    def restore(cls, stored: Json, arrays: Mapping[str, Array]) -> Self:
        """Read what `to_json` and `arrays` wrote.

        Raises InputError, AttributeError, KeyError, TypeError or ValueError for all else.
        """
        ngrams = stored["ngrams"]
        names = ("alpha", "beta", "lexicon", "unknown", "hotwords", "space")
        return cls(
            language_model=None if ngrams is None else NgramModel.restore(ngrams, arrays),
            **{name: stored[name] for name in names},
        )

    def digest(self) -> str:
        """Name the scorer by 64 hexadecimal digits: other models, words or weights give another name."""
        model = self.language_model
        about: dict[str, Any] = {"alpha": self.alpha, "beta": self.beta, "unknown": self.unknown, "space": self.space}
        about |= {"lexicon": self.lexicon, "hotwords": dict(self.hotwords)}
        found = hashlib.sha256()
        if isinstance(model, NgramModel):
            about["ngrams"] = model.to_json()
            for array in model.arrays().values():
                found.update(array.tobytes())
        elif model is not None:
            about["network"] = Fusion(model).digest
        found.update(json.dumps(about, sort_keys=True).encode())
        return found.hexdigest()
