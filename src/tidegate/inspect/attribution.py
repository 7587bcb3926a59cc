"""Says how much each token or step moved the prediction: integrated gradients and occlusion. Draws nothing."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError, OptionError
from tidegate.inspect.subject import Subject, find_subject
from tidegate.network import Recurrent
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, cut

Array: TypeAlias = npt.NDArray[Any]
Method: TypeAlias = Literal["integrated_gradients", "occlusion"]

_TOKENS = 2**14  # of one batch, in float64 with all gates
_PANEL = 64  # points of one Gauss-Legendre rule; NumPy's are tested up to 100
_MOST_STEPS = 1024
_COMPLETE = 0.01


@dataclass(frozen=True, eq=False)
class Attribution:
    """Hold how much each step moved the output of one class.

    Args:
        method: `integrated_gradients` or `occlusion`.
        offsets: [B+1]; the steps of sequence `b` are rows `offsets[b]` to `offsets[b + 1]`.
        steps: N labels, the tokens as text, where the model reads text.
        target: [B] the class that is explained, of each input.
        scores: [N] what each step adds to the class's output before softmax (its logit).
        output: [B] that logit.
        baseline: [B] the logit where the input tells nothing. Integrated gradients add up to `output - baseline`.
        directions: for integrated gradients through two directions, what each adds to `output - baseline`:
            `forward` and `backward`, [B] each.
        direction_scores: [N] each, the same step by step; the two add up to `scores`.
    """

    method: Method
    offsets: Array
    steps: list[str] | None
    target: list[Any]
    scores: Array
    output: Array
    baseline: Array
    directions: dict[str, Array] | None = None
    direction_scores: dict[str, Array] | None = None


def attribute(
    model: Any,
    inputs: Any,
    *,
    method: Method = "integrated_gradients",
    target: Any = None,
    steps: int = 64,
    num_threads: int | None = None,
) -> Attribution:
    """Attribute the output of a class to the steps of each input.

    Integrated gradients (Sundararajan, Taly and Yan 2017) go in a straight line from a baseline to the input and add up
    the gradient on the way, so that the scores sum to `output - baseline`. The baseline is as long as the input, with a
    zero vector in place of each embedding; features are zero, which for a task that scales them is the mean of the
    training part. Where the sum misses by more than 1 %, the points are doubled, up to 1024; a warning names what still
    misses. Through a network that reads in both directions, the scores are split by the direction of the last
    bidirectional layer that they flow through.

    Occlusion is how much the output falls without a step: a token is left out, features are set to zero. Its scores add
    up to nothing in particular, as steps can stand in for each other; its baseline is the output without any step.

    A step of a text is the row of its word and all numbers beside it. What a linear part adds to the output is the same
    with and without a step, and stands in `output` and in `baseline`; `examine` says what it is made of.

    Computed in float64, in batches that bound the memory. The scores of an input do not depend on the others.

    Args:
        model: as `trace` takes it; its network must pool.
        inputs: as `trace` takes them.
        method: `integrated_gradients` or `occlusion`.
        target: the class to explain, of each input or one for all; by default the predicted one.
        steps: points on the way from the baseline, at least.
        num_threads: for the kernels; None takes their own setting.

    Raises:
        InputError: as `trace`; or the network gives an output per step, or `steps` is below 1.
        OptionError: an unknown method or class.

    >>> from tidegate.network import Network, Pool
    >>> network = Network.of(Recurrent(cell="rnn_relu", input_size=1, hidden_size=1, bias=False), Pool(modes=("last",)))
    >>> weights = {"0.weight_ih_l0": np.array([[2.0]]), "0.weight_hh_l0": np.array([[0.5]])}
    >>> found = attribute((network, weights), [[[1.0], [3.0]]])  # 0.5 * (2 * 1) + 2 * 3
    >>> found.scores.round(6).tolist(), found.output.tolist()
    ([1.0, 6.0], [7.0])
    """
    if method not in get_args(Method):
        raise OptionError.unknown("method", method, get_args(Method))
    if steps < 1:
        raise InputError(f"steps is {steps}; at least 1 point on the way from the baseline is wanted.")
    question, outputs = _ask(model, inputs, target, num_threads)
    output = question.choose(outputs)
    parts, baseline = question.integrate(output, steps) if method != "occlusion" else question.occlude(output)
    return question.answer(method, output=output, baseline=baseline, parts=parts)


def _ask(model: Any, inputs: Any, target: Any, num_threads: int | None) -> tuple[_Question, Array]:
    """Find what is asked of a model, and what it gives for the inputs, `[B, K]`."""
    subject = find_subject(model, inputs).in_float64()
    if not subject.pools:
        raise InputError("the network gives an output for every step; only one output per sequence can be attributed.")
    executor = Executor(*subject.behind_embedding(), num_threads=num_threads)
    outputs = _outputs(subject, executor)
    columns = outputs.argmax(axis=1) if target is None else subject.columns_of(target, rows=len(outputs))
    return _Question(subject, executor, columns), outputs


@dataclass(frozen=True)
class _Question:
    """Ask about one column of the output of each input."""

    subject: Subject
    executor: Executor  # of what follows the embedding
    columns: Array  # [B]

    def choose(self, outputs: Array) -> Array:
        """Take the column of each row, `[B]`."""
        return outputs[np.arange(len(self.columns)), self.columns]

    def answer(self, method: Method, *, output: Array, baseline: Array, parts: Array) -> Attribution:
        """Put together what was found; `parts` are the scores through each direction, `[1 or 2, N]`."""
        split = dict(zip(("forward", "backward"), parts, strict=True)) if len(parts) == 2 else None
        return Attribution(
            method=method,
            offsets=np.asarray(self.subject.x.offsets),
            steps=self.subject.steps,
            target=self.subject.name_classes(self.columns),
            scores=parts.sum(axis=0),
            output=output,
            baseline=baseline,
            directions=None if split is None else {name: self.by_input(part) for name, part in split.items()},
            direction_scores=split,
        )

    def by_input(self, scores: Array) -> Array:
        """Sum scores `[N]` over the steps of each input."""
        lengths = np.asarray(self.subject.x.lengths)
        return np.bincount(np.repeat(np.arange(len(lengths)), lengths), scores, len(lengths))

    def integrate(self, output: Array, steps: int) -> tuple[Array, Array]:
        """Return the scores through each direction, `[1 or 2, N]`, and the baseline `[B]`."""
        baseline = self.choose(_outputs(self.subject, self.executor, blank=True))
        x, change = self.subject.x, output - baseline
        network = self.executor.network
        both = any(isinstance(node, Recurrent) and node.bidirectional for node in network.nodes)
        directions = 2 if both and not network.branches else 1  # beside a branch, nothing is one way or the other
        parts = np.zeros((directions, len(x.values)))
        pending = np.arange(len(x))
        while True:
            for some in cut(x.select(pending), tokens=_TOKENS):
                parts[:, _steps_of(x, pending[some])] = self._along_the_way(pending[some], steps, directions)
            scores = parts.sum(axis=0)
            gap = np.abs(self.by_input(scores) - change)
            pending = np.flatnonzero((gap > _COMPLETE * np.abs(change)) & (gap > 1e-9 * self.by_input(np.abs(scores))))
            if not len(pending) or steps >= _MOST_STEPS:
                break
            steps = min(2 * steps, _MOST_STEPS)
        if len(pending):
            _warn_of_gap(pending, gap, change, steps)
        return parts, baseline

    def _along_the_way(self, indices: Array, steps: int, directions: int) -> Array:
        """Add up gradient times input at points between baseline and input, for some inputs `[directions, n]`."""
        x = self.subject.features(indices)
        n, points = len(x.values), _points(steps)
        sums = np.zeros((directions, n))
        together = max(1, _TOKENS // n) if n else len(points)
        for first in range(0, len(points), together):
            some = points[first : first + together]
            copies = _repeat(x, [place for place, _ in some])
            gradients = self._gradients(copies, np.tile(self.columns[indices], len(some)), directions)
            for k, (_, weight) in enumerate(some):
                sums += weight * (gradients[:, k * n : (k + 1) * n] * x.values).sum(axis=2)
        return sums

    def _gradients(self, x: Ragged, columns: Array, directions: int) -> Array:
        """Return the gradient of the columns by the input, through each direction, `[directions, N, C]`."""
        recording = self.executor.record(x)
        doutput = np.zeros_like(recording.output)
        doutput[np.arange(len(columns)), columns] = 1
        ways = range(2) if directions == 2 else [None]
        passed = (recording.back(doutput, need_dx=True, through=way).dx for way in ways)
        return np.stack([dx for dx in passed if dx is not None])

    def occlude(self, output: Array) -> tuple[Array, Array]:
        """Return the fall of the output without each step, `[1, N]`, and the output without any, `[B]`."""
        outputs = _outputs(self.subject, self.executor, blank=True)
        if self.subject.reads_words:
            nothing = Ragged(np.zeros((0, self.executor.network.input_size)), np.zeros(2, np.int64))
            outputs = self.subject.whole(np.repeat(self.executor(nothing), len(outputs), axis=0))
        scores = np.zeros((1, len(self.subject.x.values)))
        for index, start in enumerate(self.subject.x.offsets[:-1]):
            values = self.subject.features(np.array([index])).values  # [T, C]
            together = max(1, _TOKENS // max(1, len(values)))
            for first in range(0, len(values), together):
                without = range(first, min(len(values), first + together))
                found = self.executor(_without(values, without, leave_out=self.subject.reads_words))
                found = self.subject.whole(found, index)
                scores[0, start + first : start + without.stop] = output[index] - found[:, self.columns[index]]
        return scores, self.choose(outputs)


def _outputs(subject: Subject, executor: Executor, *, blank: bool = False) -> Array:
    """Compute the output of all inputs, `[B, K]`, in batches; with `blank` that of zeros in their place."""
    found = np.empty((len(subject.x), executor.network.output_size))
    for indices in cut(subject.x, tokens=_TOKENS):
        x = subject.features(indices)
        found[indices] = executor(x.with_values(np.zeros_like(x.values)) if blank else x)
    return subject.whole(found)


@cache
def _points(steps: int) -> tuple[tuple[float, float], ...]:
    """Place points between 0 and 1, with their weights: Gauss-Legendre, in equal panels where there are many points.

    >>> round(sum(weight * place**3 for place, weight in _points(2)), 12)
    0.25
    """
    panels = ceil(steps / _PANEL)
    places, weights = np.polynomial.legendre.leggauss(ceil(steps / panels))
    return tuple(
        (float((panel + (place + 1) / 2) / panels), float(weight / 2 / panels))
        for panel in range(panels)
        for place, weight in zip(places, weights, strict=True)
    )


def _repeat(x: Ragged, places: list[float]) -> Ragged:
    """Put copies of a batch end to end, one scaled to each place."""
    starts = [copy * len(x.values) + np.asarray(x.offsets)[:-1] for copy in range(len(places))]
    values = np.concatenate([place * x.values for place in places])
    return Ragged(values, np.concatenate([*starts, [len(values)]]))


def _steps_of(x: Ragged, indices: Array) -> Array:
    """List the rows of some sequences."""
    return np.concatenate([np.arange(x.offsets[i], x.offsets[i + 1]) for i in indices])


def _without(values: Array, steps: range, *, leave_out: bool) -> Ragged:
    """Make one sequence for each of `steps`, without it or with zeros in its place."""
    T = len(values)
    if leave_out:
        copies = [np.delete(values, step, axis=0) for step in steps]
        return Ragged(np.concatenate(copies), np.arange(len(steps) + 1) * (T - 1))
    rows = np.tile(values, (len(steps), 1))
    rows[np.arange(len(steps)) * T + np.asarray(steps)] = 0
    return Ragged(rows, np.arange(len(steps) + 1) * T)


def _warn_of_gap(pending: Array, gap: Array, change: Array, steps: int) -> None:
    worst = int(pending[np.argmax(gap[pending] / np.maximum(np.abs(change[pending]), 1e-300))])
    more = f", and those of {len(pending) - 1} more inputs miss theirs" if len(pending) > 1 else ""
    warnings.warn(
        f"the scores of input {worst} miss the change of its output, {change[worst]:.4g}, by {gap[worst]:.2g} after "
        f"{steps} steps{more}; wanted was {_COMPLETE:.0%}. Pass a larger number of steps.",
        stacklevel=4,
    )
