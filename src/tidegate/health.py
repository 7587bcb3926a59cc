"""Tells whether training is in good health: the criteria, in numbers, and the words for what they find.

Knows numbers, not where they come from: `engine.gauge` measures them, and `train` asks here after each update. A run
gives each kind of warning once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.ragged import Ragged

Array: TypeAlias = npt.NDArray[Any]

EVERY = 50  # steps between two looks at gates and reach; the first step and the last of an epoch are looked at, too
SATURATED_SIGMOID = (0.05, 0.95)  # outside of it the slope is below 0.05, a fifth of the largest
SATURATED_TANH = 0.95  # beyond it, either way, the slope is below 0.1, a tenth of the largest

VANISHED, EXPLODED = 1e-3, 1e3  # reach
LEARNED, DIVERGED = 0.98, 100.0  # times the loss of a guess: an epoch between the two taught nothing
EARLY = 100  # steps before which it is too early to say so
CUT, CLIPPED, ENOUGH = 10.0, 0.9, 20  # times max_grad_norm; share of the steps that are, of so many at least
JUMP = 1000.0  # times the usual length of the gradient; on IMDB presets that learn it jump up to 86 times (2026-11-21)
CLOSED = 0.5  # share of the values of every gate that are saturated before the first update
FAR = 20.0  # deviations of what was trained on; 1 is usual, and greys to 255 instead of 1 lie above 200
PADDED, PADDED_STEPS = 0.5, 0.2  # shares of the sequences that end, or begin, in a run, and of the steps in such runs


@dataclass(frozen=True)
class HealthWarning:
    """Say what is wrong with a run, and what to do; `kind` is one word for machines."""

    kind: str
    message: str
    advice: str

    def __str__(self) -> str:
        return f"{self.message} {self.advice}"


@dataclass(frozen=True)
class Health:
    """Record the health of one step; layers go by names such as `1 recurrent layer 0 forward`.

    grad_norms: the length of the gradient of each layer's parameters, before clipping.
    clipped: the share of the steps so far whose gradient was clipped.
    saturated: for each recurrent layer and direction the share of each gate's values that are saturated: sigmoid gates
        below 0.05 or above 0.95, candidates and the state of a SimpleRNN beyond +-0.95. None where not measured.
    reach: for each recurrent layer and direction the length of the gradient that gets through to the far end of a
        sequence, in terms of the longest that the loss gives any of its steps; the median sequence. None where not
        measured.
    """

    grad_norms: dict[str, float]
    clipped: float
    saturated: dict[str, dict[str, float]] | None = None
    reach: dict[str, float] | None = None


@dataclass(frozen=True)
class Background:
    """Say what is known of the training data before the first step.

    rows: [B] the index of each training sequence in the data as the user passed it; None where that is its own.
    guess: the loss of the best answer that ignores the input; None takes the mean loss of the first epoch for it.
    warnings: what was found in the data.
    """

    rows: npt.NDArray[np.int64] | None = None
    guess: float | None = None
    warnings: tuple[HealthWarning, ...] = ()

    def row(self, index: int) -> int:
        """Give the index of a training sequence in the user's data."""
        return index if self.rows is None else int(self.rows[index])


@dataclass(frozen=True)
class ClassHealth:
    """Say which classes a model neglects, on a part of which the answers are known.

    worst: the class with the least recall; of several the first.
    never_predicted: the classes that the part has examples of, and that no answer names.
    """

    worst: str
    never_predicted: tuple[str, ...]


@dataclass(frozen=True)
class Blame:
    """Say which examples of a batch give, each alone, a number that is not finite.

    first: the place of the first of them in the batch; where there is none, of the one with the largest gradient.
    guilty, examples: how many do, of how many.
    """

    first: int
    guilty: int
    examples: int

    def tell(self, row: int) -> str:
        """Say where to look, given the index of the first one in the user's data.

        >>> print(Blame(first=3, guilty=1, examples=64).tell(1207))
        Row 1207 of the training data gives it alone, the other 63 of the batch do not: look at that row.
        """
        name = f"Row {row} of the training data"
        if not self.guilty:
            return f"No row of the batch gives it alone; {name[0].lower()}{name[1:]} has the largest gradient."
        if self.guilty == self.examples:
            return f"{name} gives it, and so does every row of the batch: the weights have diverged, not one row."
        if self.guilty == 1:
            return f"{name} gives it alone, the other {self.examples - 1} of the batch do not: look at that row."
        return f"{name} is the first of {self.guilty} among the {self.examples} of the batch that give it alone."


@dataclass
class Watch:
    """Follow a run and warn once of each kind of trouble.

    Its fields are plain, so that it goes along in a saved state.
    """

    steps: int = 0
    clipped: int = 0
    given: list[str] = field(default_factory=list)  # kinds of the warnings
    usual_norm: float = 0.0  # the largest median of so many steps
    norms: list[float] = field(default_factory=list)  # of the steps since the last median
    first_loss: float | None = None  # mean of the first epoch
    recent_steps: int = 0  # since those that were cut were last judged
    recent_cut: int = 0  # far longer than max_grad_norm
    reach: dict[str, float] = field(default_factory=dict)  # the largest of the epoch

    def record(
        self,
        grad_norms: dict[str, float],
        *,
        grad_norm: float,
        max_grad_norm: float = math.inf,
        saturated: dict[str, dict[str, float]] | None = None,
        reach: dict[str, float] | None = None,
    ) -> Health:
        """Count a step in and give the record of its health; `grad_norm` is the length of the whole gradient."""
        self.steps, self.clipped = self.steps + 1, self.clipped + (grad_norm > max_grad_norm)
        self.recent_steps, self.recent_cut = self.recent_steps + 1, self.recent_cut + (grad_norm > CUT * max_grad_norm)
        for name, value in (reach or {}).items():
            self.reach[name] = max(value, self.reach.get(name, 0.0))
        return Health(grad_norms, self.clipped / self.steps, saturated, reach)

    def judge(
        self, health: Health, *, grad_norm: float, mean_loss: float, end_of_epoch: bool, background: Background
    ) -> tuple[HealthWarning, ...]:
        """Give what there is to warn of since the last step, each kind once in a run.

        Args:
            health: of the step, from `record`.
            grad_norm: the length of the whole gradient, before clipping.
            mean_loss: of the epoch so far.
            end_of_epoch: whether the step ends an epoch.
            background: what is known of the data.
        """
        found: list[HealthWarning | None] = list(background.warnings)
        if self.steps == 1:
            found.append(_saturated(health.saturated or {}))
        found += [_grown(health.reach or {}), self._jumped(grad_norm)]
        if end_of_epoch:
            guess = self.first_loss if background.guess is None else background.guess
            found += [_diverged(mean_loss, guess), self._cut(), self._vanished(mean_loss, guess)]
            self.first_loss = mean_loss if self.first_loss is None else self.first_loss
            self.reach = {}
        new = {one.kind: one for one in reversed(found) if one is not None and one.kind not in self.given}
        self.given += new
        return tuple(reversed(new.values()))

    def _jumped(self, grad_norm: float) -> HealthWarning | None:
        """Compare a gradient with the usual ones when they were longest: they get short as a model learns."""
        usual = self.usual_norm
        self.norms.append(grad_norm)
        if len(self.norms) == ENOUGH:
            self.usual_norm, self.norms = max(usual, median(self.norms)), []
        if not usual or grad_norm <= JUMP * usual:
            return None
        return _exploding(f"at step {self.steps} the gradient is {grad_norm / usual:,.0f} times as long as usual")

    def _cut(self) -> HealthWarning | None:
        """Look for gradients far longer than the limit; to be a little longer all the time is common and no harm."""
        if self.recent_steps < ENOUGH:
            return None
        share, self.recent_steps, self.recent_cut = self.recent_cut / self.recent_steps, 0, 0
        if share <= CLIPPED:
            return None
        return _exploding(f"in {share:.0%} of the steps up to step {self.steps} they are over ten times max_grad_norm")

    def _vanished(self, mean_loss: float, guess: float | None) -> HealthWarning | None:
        """Look for a gradient that does not get to the far end while nothing is learned.

        Either alone is common in runs that go well: a task may not need the far end, or a good start may take time.
        """
        worst = min(self.reach, key=self.reach.__getitem__, default=None)
        if worst is None or self.reach[worst] >= VANISHED or self.steps < EARLY:
            return None
        if guess is None or not LEARNED * guess < mean_loss < DIVERGED * guess:
            return None
        return HealthWarning(
            "vanishing-gradients",
            f"Gradients vanish: in {worst!r} {self.reach[worst]:.1g} of the gradient gets to the far end of a "
            f"sequence, and the mean loss of the epoch is {mean_loss:.4g}, where a guess has {guess:.4g}.",
            "Take an LSTM or GRU for a SimpleRNN, pool over all steps (max, mean), read from both ends, or shorten the "
            "sequences.",
        )


def padding(x: Sequence[str] | Sequence[Sequence[str]] | Ragged) -> tuple[HealthWarning, ...]:
    """Look for padding that was passed in as if it were data; nothing here needs any.

    Texts count as padded when more than half of them end, or begin, with the same word twice; sequences of features,
    when all have the same length, more than half of them end, or begin, with the same step twice, and such runs take
    more than a fifth of all steps. A sequence that never changes has no run.

    Args:
        x: B texts, B lists of words, or features [N, C].

    >>> [warning.message for warning in padding(["so good <pad> <pad>", "bad <pad> <pad> <pad>", "a good film"])]
    ["There seems to be padding in the texts: 67% of them end with '<pad>' more than once."]
    """
    if isinstance(x, Ragged):
        found, remedy = _padded_steps(x), "Pass every sequence in its own length (Ragged.from_padded takes lengths)"
    else:
        found, remedy = _padded_words(x), "Leave it out of the texts"
    for what in found:
        return (
            HealthWarning(
                "padding",
                f"There seems to be padding in the {what}.",
                f"{remedy}: nothing here needs padding, and what is passed is learned from.",
            ),
        )
    return ()


def measure_classes(
    true: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], names: Sequence[object]
) -> tuple[dict[str, float], ClassHealth]:
    """Measure classes one by one, so that a rare one counts as much as a frequent one.

    Args:
        true: [B] the numbers of the right classes, at least one.
        predicted: [B] those of the answers.
        names: [K] of the classes.

    Returns:
        `macro_f1`, the mean F1 of the classes that occur in either, and `worst_recall`, the least recall of a class
        that has examples; and which classes are neglected.

    >>> found, classes = measure_classes(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]), ["often", "rare"])
    >>> round(found["macro_f1"], 4), found["worst_recall"], classes
    (0.4286, 0.0, ClassHealth(worst='rare', never_predicted=('rare',)))
    """
    size = len(names)
    right = np.bincount(true[true == predicted], minlength=size)
    return judge_classes(right, np.bincount(true, minlength=size), np.bincount(predicted, minlength=size), names)


def judge_classes(
    right: Array, there: Array, named: Array, names: Sequence[object]
) -> tuple[dict[str, float], ClassHealth]:
    """Do the same from how often each of K classes was right, was there, at least one of them, and was predicted."""
    occurs = there + named > 0
    recalls = np.where(there > 0, right / np.maximum(there, 1), np.inf)
    f1 = 2 * right[occurs] / (there + named)[occurs]
    never = tuple(str(names[int(k)]) for k in np.flatnonzero((there > 0) & (named == 0)))
    found = {"macro_f1": float(f1.mean()), "worst_recall": float(recalls.min())}
    return found, ClassHealth(str(names[int(recalls.argmin())]), never)


def never_predicted(classes: ClassHealth, part: str, *, what: str = "class") -> list[HealthWarning]:
    r"""Warn of classes that are never predicted on a part; of taggers, `what` is "tag" or "label".

    >>> (warning,) = never_predicted(ClassHealth("rare", ("rare",)), "219 examples")
    >>> print(warning.message, warning.advice, sep="\n")
    The class 'rare' is never predicted on 219 examples.
    Set class_weight to balanced, train for more epochs, or gather more examples of it.
    """
    missed = classes.never_predicted
    if not missed:
        return []
    listed = ", ".join(map(repr, missed[:10])) + (f" and {len(missed) - 10} more" if len(missed) > 10 else "")
    several = "classes" if what == "class" else f"{what}s"
    subject, them = (f"The {what} {listed} is", "it") if len(missed) == 1 else (f"The {several} {listed} are", "them")
    weigh = "Set class_weight to balanced, train" if what == "class" else "Train"
    advice = f"{weigh} for more epochs, or gather more examples of {them}."
    return [HealthWarning("never-predicted", f"{subject} never predicted on {part}.", advice)]


def new_symbols(counts: Mapping[str, int], what: str = "texts") -> list[HealthWarning]:
    """Warn of symbols of right answers that training never saw, with how often each comes.

    >>> new_symbols({"x": 2})[0].message
    "the right texts hold symbols that training never saw: 'x' (2)."
    """
    if not counts:
        return []
    named = ", ".join(f"{symbol!r} ({count})" for symbol, count in list(counts.items())[:5])
    more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
    told = f"the right {what} hold symbols that training never saw: {named}{more}."
    return [HealthWarning("new-symbols", told, "They count as errors. Train on texts that hold them.")]


def far_from_training(scaled: Array) -> list[HealthWarning]:
    """Warn of features [N, C] that, at mean 0 and deviation 1 in training, are of quite another size here.

    >>> [warning.kind for warning in far_from_training(np.full((9, 1), 255.0))]
    ['far-from-training']
    """
    if not scaled.size:
        return []
    squares = np.einsum("nc,nc->c", scaled, scaled, dtype=np.float64)
    away = float(np.median(np.sqrt(squares / len(scaled))))  # of most features
    if away <= FAR:
        return []
    told = f"the inputs lie {away:,.0f} times as far from the mean as those of training did."
    advice = "Bring them to the unit that was trained on: pictures from files are 0 to 1, not 0 to 255."
    return [HealthWarning("far-from-training", told, advice)]


def entropy(codes: npt.NDArray[np.int64], weights: Array | None = None) -> float:
    """Compute the mean cross-entropy, in nats, of the best answer that ignores the input: the shares of the classes.

    Where examples count differently, the shares are those of their `weights` [B].

    >>> round(entropy(np.array([0, 1, 1, 0])), 4)
    0.6931
    """
    counts = np.bincount(codes, weights)
    shares = counts / max(counts.sum(), np.finfo(np.float64).tiny)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def _saturated(saturated: dict[str, dict[str, float]]) -> HealthWarning | None:
    """Find a layer all of whose gates are saturated; a bias that holds one of them open, or shut, is a choice."""
    for name, gates in saturated.items():
        if gates and min(gates.values()) > CLOSED:
            shares = ", ".join(f"{gate} {share:.0%}" for gate, share in gates.items())
            return HealthWarning(
                "saturated-gates",
                f"Gates are saturated from the start: in {name!r} these shares of their values hardly move ({shares}).",
                "Bring the features to about -1 to 1 (scale=True does), or begin with smaller weights.",
            )
    return None


def _grown(reach: dict[str, float]) -> HealthWarning | None:
    for name, value in reach.items():
        if value > EXPLODED:
            return _exploding(f"in {name!r} the gradient is {value:.2g} times as long at the far end of a sequence")
    return None


def _diverged(mean_loss: float, guess: float | None) -> HealthWarning | None:
    if guess is None or mean_loss <= DIVERGED * guess:
        return None
    return _exploding(f"the mean loss of the epoch is {mean_loss:.2g}, where a guess has {guess:.2g}")


def _exploding(what: str) -> HealthWarning:
    return HealthWarning(
        "exploding-gradients",
        f"Gradients explode: {what}.",
        "Lower the learning rate, set max_grad_norm to 1 or so where it is not set, or bring the features to -1 to 1.",
    )


def _padded_words(texts: Sequence[Sequence[str]]) -> Iterator[str]:
    for side in ("end", "begin"):
        words = Counter(word for text in texts if (word := _repeated(text, side)) is not None)
        for word, count in words.most_common(1):
            if count > PADDED * len(texts):
                yield f"texts: {count / len(texts):.0%} of them {side} with {word!r} more than once"


def _repeated(text: Sequence[str], side: str) -> str | None:
    """Give the word that a text ends, or begins, with twice, if it does."""
    if isinstance(text, str):  # split no more of it than needed
        text = text.rsplit(None, 2) if side == "end" else text.split(None, 2)
    two = text[-2:] if side == "end" else text[:2]
    return two[0] if len(two) == 2 and two[0] == two[1] else None


def _padded_steps(sequences: Ragged) -> Iterator[str]:
    lengths = np.asarray(sequences.lengths)
    if not len(lengths) or lengths[0] < 2 or (lengths != lengths[0]).any():
        return
    steps = np.asarray(sequences.values).reshape(len(lengths), lengths[0], -1)  # [B, T, C]
    same = (steps[:, 1:] == steps[:, :-1]).all(axis=2)  # [B, T-1]
    for side, order in (("end", -1), ("begin", 1)):
        runs = np.logical_and.accumulate(same[:, ::order], axis=1).sum(axis=1)  # [B]
        runs[runs == lengths[0] - 1] = 0  # never changes
        padded, share = (runs > 0).mean(), (runs + (runs > 0)).mean() / lengths[0]
        if padded > PADDED and share > PADDED_STEPS:
            yield (
                f"sequences: all have {lengths[0]} steps, and {padded:.0%} of them {side} in a run of equal steps, "
                f"{share:.0%} of all steps"
            )
