"""How good translations are: BLEU and chrF as sacreBLEU computes them, with what says how, and exact matches.

Knows texts, and no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.errors import InputError, MissingPackageError

TOKENIZE = ("13a", "intl", "zh", "char", "none")
"""How BLEU may cut texts into words; `13a` is what papers compare by, `zh` is for Chinese, `char` for any script."""


@dataclass(frozen=True)
class Score:
    """Hold a score from 0 to 100, and the signature that says how it was computed."""

    score: float
    signature: str


def bleu(found: Sequence[str], right: Sequence[str], *, tokenize: str = "13a", lowercase: bool = False) -> Score:
    """Compute BLEU of all texts together (Papineni et al. 2002) as sacreBLEU does (Post 2018).

    Args:
        found: B translations.
        right: B texts that they should be.
        tokenize: how texts are cut into words, of `TOKENIZE`.
        lowercase: whether upper and lower case are the same.

    Raises:
        InputError: there are no texts, not as many of both, or no such way to cut them.
        MissingPackageError: sacrebleu is not installed.

    >>> bleu(["the cat sat on the mat"], ["the cat sat on the mat"]).signature.split("|version")[0]
    'nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp'
    """
    if tokenize not in TOKENIZE:
        raise InputError(f"BLEU cuts texts by {', '.join(TOKENIZE)}, not by {tokenize!r}.")
    return _scored(_package().BLEU(tokenize=tokenize, lowercase=lowercase, force=True), found, right)


def chrf(found: Sequence[str], right: Sequence[str]) -> Score:
    """Compute chrF, the F-score of runs of up to six characters (Popović 2015), as sacreBLEU does.

    Errors are those of `bleu`.

    >>> round(chrf(["the cat"], ["the cat"]).score)
    100
    """
    return _scored(_package().CHRF(), found, right)


def exact_match(found: Sequence[str], right: Sequence[str]) -> float:
    """Compute the share of texts that are exactly what they should be; raises InputError as `bleu` does.

    >>> exact_match(["1999-01-02", "x"], ["1999-01-02", "y"])
    0.5
    """
    _check(found, right)
    return sum(one == other for one, other in zip(found, right, strict=True)) / len(right)


def _scored(metric: Any, found: Sequence[str], right: Sequence[str]) -> Score:
    _check(found, right)
    score = metric.corpus_score(list(found), [list(right)]).score
    return Score(float(score), str(metric.get_signature()))


def _check(found: Sequence[str], right: Sequence[str]) -> None:
    if len(found) != len(right) or not len(right):
        raise InputError(
            f"{len(found)} translations came with {len(right)} right ones. Pass as many, and at least one."
        )


def _package() -> Any:
    try:
        from sacrebleu import metrics
    except ImportError as error:
        raise MissingPackageError.of("sacrebleu", "translate", "measuring translations") from error
    return metrics
