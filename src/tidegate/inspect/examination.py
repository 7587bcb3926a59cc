"""Looks inside a classifier while it answers: everything about a few inputs, as plain JSON and as one HTML page.

Knows classifiers by what they offer. Draws nothing itself.
"""

from __future__ import annotations

import base64
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError, OptionError
from tidegate.inspect.attribution import Attribution, attribute
from tidegate.inspect.charts import draw_gradient_flow
from tidegate.inspect.flow import GradientFlow, gradient_flow
from tidegate.inspect.page import asset, figure, page, section
from tidegate.inspect.parts import Parts, parts_of
from tidegate.inspect.quantities import Quantity, Window, gates, gradients, most_moving, states, step_names
from tidegate.inspect.subject import find_subject
from tidegate.inspect.tracing import DirectionTrace, Trace, trace
from tidegate.network import Network, Recurrent
from tidegate.offers import Inspectable
from tidegate.runtime import Executor, run_sorted

Array: TypeAlias = npt.NDArray[Any]
Json: TypeAlias = dict[str, Any]

MAX_STEPS = 500
"""Steps of one input that a page shows."""

MAX_UNITS = 128
"""Units of one direction that a page shows."""

MAX_NGRAMS = 12
"""N-grams of the linear part that are named of one input."""

MAX_VALUES = 3_000_000
"""Values of gates, states and gradients that a page holds; each takes 2.7 bytes, so that a page stays below 9 MB."""


@dataclass(frozen=True, eq=False)
class Examination:
    """Hold what was found out about B inputs.

    Args:
        network: what was run.
        classes: K labels.
        probabilities: [B, K]
        attribution: what each step contributed to the logit of the class that is explained.
        trace: states, gates, and gradients of the cross-entropy of that class.
        flow: the gradient against the distance in steps.
        parts: what the network and the linear part contributed, and which n-grams; None where there is a network alone.
    """

    network: Network
    classes: list[Any]
    probabilities: Array
    attribution: Attribution
    trace: Trace
    flow: GradientFlow
    parts: Parts | None = None

    def to_json(self) -> list[Json]:
        """Return one plain record per input: the answer, and what every step contributed to it.

        `contributions` add up to `logit - baseline`, and so do `directions`, where the network has two. Of a classifier
        of texts that counts n-grams, `parts` says what the network and the linear part gave each class, which add up to
        its logit; `ngrams` which n-grams added the most to the explained class in the linear part, or took the most
        from it; and `evidence` which n-grams end at each step, and the logarithm of how much more often each stands in
        texts of the explained class. All three are None for others.
        """
        return [self._record(index) for index in range(len(self.probabilities))]

    def to_html(self, title: str = "Inside the network", *, begin: int = 0) -> str:
        """Return a page that needs nothing else: no network, no library, no second file.

        It shows the answer, the steps coloured by what they contributed, and gates, states and gradients of every unit,
        to be picked by direction, kind and unit. Values are rounded to a 65,534th of the largest of their kind. What
        does not fit is left out, and the page says so: of each input, steps beyond 500; of each direction, units beyond
        128; and once 3,000,000 values are in, the insides of what is left.

        Args:
            title: the heading.
            begin: the first step to show of each input; a negative one counts from the end.

        Raises:
            InputError: an input has no step `begin`.
        """
        room = _Room(MAX_VALUES)
        inputs = [self._page_record(index, begin, room) for index in range(len(self.probabilities))]
        _warn_of_what_is_left_out(inputs)
        body = [
            f'<p class="muted">{_describe(self.network)}</p>',
            asset("examination.html"),
            section("How far back the gradient reaches", self._draw_flow()),
        ]
        return page(title, body, script=asset("examination.js"), data={"inputs": inputs})

    def _record(self, index: int) -> Json:
        rows = slice(*self.attribution.offsets[index : index + 2])
        found, by, scores = self.attribution, self.attribution.directions, self.attribution.direction_scores
        return {
            "label": _plain(self.classes[int(self.probabilities[index].argmax())]),
            "probabilities": dict(zip(map(str, self.classes), self.probabilities[index].tolist(), strict=True)),
            "explained": _plain(found.target[index]),
            "logit": float(found.output[index]),
            "baseline": float(found.baseline[index]),
            "steps": None if found.steps is None else found.steps[rows],
            "contributions": found.scores[rows].tolist(),
            "directions": None if by is None else {name: float(added[index]) for name, added in by.items()},
            "direction_contributions": None
            if scores is None
            else {name: of[rows].tolist() for name, of in scores.items()},
            **_say_parts(self.parts, index, self.classes, found.target[index]),
        }

    def _page_record(self, index: int, begin: int, room: _Room) -> Json:
        record, inside = self._record(index), self.trace.sequence(index)
        window = Window.of(len(record["contributions"]), begin=begin, limit=MAX_STEPS)
        scores = {"all": record["contributions"]} | (record.pop("direction_contributions") or {})
        return record | {
            "steps": step_names(inside, window),
            "texts": inside.steps is not None,
            "begin": window.begin,
            "left_out": window.left_out("steps"),
            "contributions": {name: _rounded(values[window.rows]) for name, values in scores.items()},
            "evidence": record["evidence"] and record["evidence"][window.rows],
            "insides": [_pack(direction, window, room) for direction in inside.directions],
        }

    def _draw_flow(self) -> str:
        picture = figure(
            lambda theme: draw_gradient_flow({"": self.flow}, picture="svg", theme=theme),
            "Norm of the gradient against the distance in steps, on a logarithmic axis",
        )
        return (
            f"{picture}<p>How much the state after the last step that a direction reads depends on the state so many "
            "steps before, over all inputs; it jumps where one of them ends. A line that falls says that what is "
            "further back is hardly felt.</p>"
        )


def examine(model: Inspectable, inputs: Any, *, target: object = None, steps: int = 64) -> Examination:
    """Find out what a classifier makes of a few inputs, and why.

    Args:
        model: a fitted classifier; torch is not needed.
        inputs: what the model reads, at least one, each with at least one step.
        target: the label to explain, for all inputs; by default the one that is predicted for each.
        steps: of the integral behind the contributions; more are more exact.

    Raises:
        OptionError: the model does not know the label.
        InputError: the model is no classifier, there is no input, or one without a step.

    >>> import tidegate as tg
    >>> texts = ["good fun", "really good", "good", "bad", "so bad", "bad film"] * 4
    >>> critic = tg.TextClassifier(hidden_size=4, epochs=8, batch_size=4, learning_rate=0.05, validation_fraction=0)
    >>> found = examine(critic.fit(texts, ["pos", "pos", "pos", "neg", "neg", "neg"] * 4), ["good good"])
    >>> found.to_json()[0]["label"], found.to_html().startswith("<!doctype html>")
    ('pos', True)
    """
    network, classes = _classifier(model)
    if not len(inputs):
        raise InputError("there is nothing to inspect: pass at least one input.")
    subject = find_subject(model, inputs)
    rows = run_sorted(Executor(subject.network, subject.weights), subject.x)
    probabilities = subject.likely(subject.whole(rows))
    explained = [classes[k] for k in probabilities.argmax(axis=1)]
    if target is not None:
        explained = [known_label(target, classes)] * len(explained)
    inside = trace(model, inputs, target=explained)
    for index in np.flatnonzero(np.diff(inside.offsets) == 0)[:1]:
        raise InputError(f"input {index} has no step: there is nothing to see inside. Leave empty inputs out.")
    return Examination(
        network=network,
        classes=classes,
        probabilities=probabilities,
        attribution=attribute(model, inputs, target=explained, steps=steps),
        trace=inside,
        flow=gradient_flow(model, inputs),
        parts=None if model.inside().names is None else parts_of(model.inside(), subject, rows, inputs),
    )


def _say_parts(parts: Parts | None, index: int, classes: Sequence[Any], explained: Any) -> Json:
    """Write what each part contributed to one input, and which n-grams moved the explained class."""
    if parts is None:
        return {"parts": None, "ngrams": None, "evidence": None}
    column, names = list(classes).index(explained), [str(name) for name in classes]
    both = {"network": parts.network[index], "linear": parts.linear[index]}
    return {
        "parts": {part: dict(zip(names, row.tolist(), strict=True)) for part, row in both.items()},
        "ngrams": [
            {"of": ngram.of, "text": ngram.text, "contribution": float(ngram.adds[column])}
            for ngram in parts.largest(index, column, MAX_NGRAMS)
        ],
        "evidence": [
            [
                {"text": told.ngram, "tells": None if told.tells is None else float(told.tells[column])}
                for told in of_step
            ]
            for of_step in parts.evidence[index]
        ],
    }


def _classifier(model: Any) -> tuple[Network, list[Any]]:
    """Give the network and the classes of a model that tells whole inputs apart; raises InputError for any other."""
    inside = model.inside() if isinstance(model, Inspectable) else None
    if inside is None or inside.classes is None or not inside.network.pools:
        raise InputError(f"a {type(model).__name__} gives no class to a whole input. Pass a classifier.")
    return inside.network, list(inside.classes)


def known_label(label: object, classes: Sequence[Any]) -> Any:
    """Find a label among the classes, also where it was written as text; raises OptionError that lists them.

    >>> known_label("3", [1, 2, 3])
    3
    """
    for known in classes:
        if known == label or str(known) == str(label):
            return known
    raise OptionError.unknown("label", str(label), map(str, classes))


class _Room:
    """Count the values that a page has room for."""

    def __init__(self, values: int) -> None:
        self.left = values

    def takes(self, values: int) -> bool:
        """Take values in where there is room for all of them."""
        fits = values <= self.left
        self.left -= values if fits else 0
        return fits


def _pack(direction: DirectionTrace, window: Window, room: _Room) -> Json:
    """Write one direction for the page: its name, and what fits of what it computed."""
    units = Window.of(direction.h.shape[1], limit=MAX_UNITS)
    found = list(_quantities(direction))
    shown = (window.end - window.begin) * (units.end - units.begin) * len(found)
    fits = room.takes(shown)
    return {
        "name": direction.name,
        "cell": direction.cell,
        "units": units.end,
        "liveliest": most_moving(states(direction)[0].values[window.rows, units.rows])[0],
        "left_out": units.left_out("units") if fits else "left out: the page is full. Inspect fewer inputs at a time",
        "quantities": [_pack_quantity(quantity, window, units) for quantity in found] if fits else [],
    }


def _quantities(direction: DirectionTrace) -> Iterator[Quantity]:
    if direction.gates:
        yield from gates(direction)
    yield from states(direction)
    yield from gradients(direction)


def _warn_of_what_is_left_out(inputs: list[Json]) -> None:
    """Say in one warning what the page does not show; the page itself says it where it would stand."""
    notes = [f"input {index}: {one['left_out']}" for index, one in enumerate(inputs) if one["left_out"]]
    notes += [
        f"input {index}, {part['name']}: {part['left_out']}"
        for index, one in enumerate(inputs)
        for part in one["insides"]
        if part["left_out"]
    ]
    if notes:
        more = f"; and {len(notes) - 3} more" if len(notes) > 3 else ""
        warnings.warn(f"the page does not show all. {'; '.join(notes[:3])}{more}.", UserWarning, stacklevel=3)


def _pack_quantity(quantity: Quantity, window: Window, units: Window) -> Json:
    """Write values as whole numbers of 16 bits, [steps, units], and by what they are to be multiplied."""
    values = quantity.values[window.rows, units.rows]
    scale = (float(np.abs(values).max(initial=0.0)) or 1.0) / 32767
    whole = np.rint(values / scale).astype("<i2")
    return {
        "letter": quantity.letter,
        "name": quantity.name,
        "meaning": quantity.meaning,
        "low": quantity.low,
        "high": quantity.high,
        "scale": scale,
        "values": base64.b64encode(whole.tobytes()).decode(),
    }


def _describe(network: Network) -> str:
    """Say in a line what the recurrent layers of a network are."""
    found = [node for node in network.nodes if isinstance(node, Recurrent)]
    return "; ".join(
        f"{node.cell}, {node.num_layers} layer{'s' * (node.num_layers > 1)} of {node.hidden_size} units"
        f"{' in both directions' * node.bidirectional}"
        for node in found
    )


def _rounded(values: list[float]) -> list[float]:
    """Round to six significant digits."""
    return [float(f"{value:.6g}") for value in values]


def _plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label
