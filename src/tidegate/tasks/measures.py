"""The one table of which way measures go: whether less of one is better, or more. Knows no task."""

from __future__ import annotations

from tidegate.errors import OptionError

_LESS = ("loss", "mse", "mae", "mean_outside", "perplexity", "bits_per_character", "cer", "wer", "ser", "nats", "ece")
_MORE = ("accuracy", "f1", "macro_f1", "micro_f1", "worst_recall", "bleu", "chrf", "exact")


def is_less_better(measure: str) -> bool:
    """Say whether less of a measure, which a training takes of the part held out, tells of a better model.

    Raises:
        OptionError: nobody knows which way it goes.

    >>> is_less_better("cer"), is_less_better("accuracy")
    (True, False)
    """
    if measure not in _LESS + _MORE:
        raise OptionError.unknown("measure", measure, _LESS + _MORE)
    return measure in _LESS
