"""Looks inside a network that names a symbol in each frame: its frames, two readings, its gates at a symbol.

Knows networks that end in CTC, and what a task says of itself; knows no task by name.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError
from tidegate.inspect.frames import draw_frames, draw_gate_means, mean_gates, two_alignments
from tidegate.inspect.page import Markup, figure, page, section
from tidegate.inspect.pictures import draw_gates, draw_states
from tidegate.inspect.subject import behind
from tidegate.inspect.tracing import DirectionTrace, Trace, trace
from tidegate.kernels import ctc
from tidegate.network import Ctc, Network, Node, Recurrent, Spectrogram
from tidegate.offers import Inside, Inspectable
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

Array: TypeAlias = npt.NDArray[Any]
Json: TypeAlias = dict[str, Any]

MAX_SYMBOLS = 80
"""Symbols of one signal whose gates a page shows, unit by unit."""


@dataclass(frozen=True, eq=False)
class FrameExamination:
    """Hold what a network made of one signal.

    Args:
        symbols: what the K - 1 symbols stand for.
        logs: logarithms of the probabilities of the blank and of each symbol in each frame, [T', K].
        found: the best alignment of the text.
        other: the most probable path that reads as any other text; None where there is none.
        trace: states and gates of the recurrent layers in each frame, and gradients of the loss of the text.
        signal: [T, C] what is drawn: bands of sound, else the signal as the network reads it.
        sees: how many rows of `signal` a frame sees, and from one frame to the next.
        top_down: the first feature is the uppermost.
    """

    symbols: tuple[str, ...]
    logs: Array
    found: ctc.Found
    other: ctc.Found | None
    trace: Trace
    signal: Array
    sees: tuple[int, int]
    top_down: bool

    def to_json(self) -> Json:
        """Return a plain record: both texts, and for each symbol where it lies and what each gate did there.

        `score` is the logarithm of the probability of a path. `entropy` tells in bits how undecided each frame is.
        `gates` are means over all units at the frame `peak`; of what has a sign, such as `|g|`, the mean size; and of a
        cell without gates those of its state.
        """
        shares = np.exp(self.logs)
        entropy = -(shares * self.logs / np.log(2.0)).sum(axis=1, where=shares > 0)
        return {
            "text": self._text(self.found),
            "score": self._score(self.found),
            "other": None if self.other is None else {"text": self._text(self.other), "score": self._score(self.other)},
            "frames": len(self.logs),
            "entropy": [float(f"{value:.6g}") for value in entropy],
            "symbols": [self._symbol(number) for number in range(len(self.found.symbols))],
        }

    def to_html(self) -> Markup:
        """Return what a page shows of it."""
        frames, symbols = self.logs, self.symbols
        told = self.to_json()
        river = figure(
            lambda theme: draw_frames(
                frames, symbols, text=[*self._named(self.found)], signal=self.signal, sees=self.sees,
                top_down=self.top_down, picture="svg", theme=theme,
            ),
            f"Probabilities of symbols over the signal; it reads {told['text']}",
        )  # fmt: skip
        return "\n".join([_about(told), river, *self._inside(told)])

    def _inside(self, told: Json) -> Iterator[Markup]:
        """Show what the gates of each direction did: over all frames, and unit by unit at each symbol."""
        peaks = self.found.peak[:MAX_SYMBOLS]
        for direction in self.trace.directions:
            yield figure(
                lambda theme, of=direction: draw_gate_means(of, self.symbols, self.found, picture="svg", theme=theme),  # type: ignore[misc]
                f"{direction.name}: the mean of each gate in each frame",
            )
            if not len(peaks):
                continue
            at = replace(self._at(peaks), directions=(_rows(direction, peaks),))
            drawn = draw_gates if direction.gates else draw_states
            heat = figure(
                lambda theme, of=at, name=direction.name, by=drawn: by(of, name, picture="svg", theme=theme),  # type: ignore[misc]
                f"{direction.name}: each unit at each symbol",
            )
            name = html.escape(direction.name)
            yield f"<details><summary>{name}, unit by unit at each symbol</summary>{heat}</details>"
            yield _means(direction.name, told["symbols"])

    def _at(self, rows: Array) -> Trace:
        steps = [*self._named(self.found)][: len(rows)]
        return Trace(np.array([0, len(rows)]), steps, (), self.trace.output[rows], pooled=False)

    def _symbol(self, number: int) -> Json:
        one, row = self.found, int(self.found.peak[number])
        return {
            "text": self.symbols[one.symbols[number] - 1],
            "first": int(one.first[number]),
            "last": int(one.last[number]),
            "peak": row,
            "confidence": float(one.confidence[number]),
            "gates": {direction.name: _mean_gates(direction, row) for direction in self.trace.directions},
        }

    def _named(self, found: ctc.Found) -> Iterator[str]:
        return (self.symbols[symbol - 1] for symbol in found.symbols)

    def _text(self, found: ctc.Found) -> str:
        return "".join(self._named(found))

    def _score(self, found: ctc.Found) -> float:
        path = np.zeros(len(self.logs), np.int64)
        for symbol, first, last in zip(found.symbols, found.first, found.last, strict=True):
            path[first : last + 1] = symbol
        return float(self.logs[np.arange(len(path)), path].sum())


def examine_frames(model: object, inputs: Any, *, text: Sequence[str] | None = None) -> list[FrameExamination]:
    """Find out what a transcriber makes of each frame of a few signals, and between which texts it hesitated.

    Two alignments are told: the best of the text, and the most probable of all paths that read as something else. The
    gates are those of the recurrent layers, whose steps are frames.

    Args:
        model: a fitted transcriber, or what else says what can be looked into and ends in CTC.
        inputs: what the model reads, at least one signal, each with at least one step.
        text: the symbols to align in each of them, as they follow each other in the signal; None takes what is read.

    Raises:
        InputError: the model names no symbols of frames, there is no signal, one is empty, or the text does not fit.

    >>> import tidegate as tg
    >>> texts = ["ab", "ba", "aa", "bb"] * 6
    >>> signals = [np.repeat(np.eye(2)[["ab".index(symbol) for symbol in text]], 4, axis=0) for text in texts]
    >>> sizes = {"hidden_size": 4, "num_layers": 1, "window": 2, "stride": 1, "epochs": 2, "time_masks": 0}
    >>> reader = tg.Transcriber(validation_fraction=0, warmup=0, **sizes).fit(signals, texts)
    >>> told = examine_frames(reader, signals[:1], text="ab")[0].to_json()
    >>> told["text"], told["other"]["text"] != "ab", [*told["symbols"][0]["gates"]["layer 0 forward"]]
    ('ab', True, ['i', 'f', '|g|', 'o'])
    """
    inside = model.inside() if isinstance(model, Inspectable) else None
    if inside is None or not isinstance(inside.network.nodes[-1], Ctc) or inside.classes is None:
        raise InputError(f"a {type(model).__name__} names no symbols of frames. Pass a transcriber.")
    if not len(inputs):
        raise InputError("there is nothing to inspect: pass at least one signal.")
    x, _ = inside.prepare(inputs)
    assert isinstance(x, Ragged), "CTC reads signals"
    for index in np.flatnonzero(np.asarray(x.lengths) == 0)[:1]:
        raise InputError(f"signal {index} has no step: there is nothing to see inside. Leave empty signals out.")
    return [_examine(inside, x.select(np.array([index])), text) for index in range(len(x))]


def frames_page(title: str, found: Mapping[str, FrameExamination]) -> str:
    """Make a page of signals by their names, which needs nothing else: no network, no library, no second file.

    Each is shown as the river of its probabilities over the signal, the blank in grey, with the best alignment and the
    best of another text below, and what the gates of each direction did, over all frames and at each symbol.
    """
    return page(title, [_ABOUT, *(section(name, one.to_html()) for name, one in found.items())])


_ABOUT = (
    "<p>A line for each symbol tells how probable it is in each frame, grey how probable it is that a frame names "
    "none. Below lie the best alignment of the text, and the best of all paths that read as another text: where the "
    "two part, the model hesitated. The gates are shown in each frame, and unit by unit at each symbol.</p>"
)


def _examine(inside: Inside, x: Ragged, text: Sequence[str] | None) -> FrameExamination:
    """Look at one signal: run what makes frames of it, and then trace what reads the frames."""
    network, weights, symbols = inside.network, inside.weights, tuple(map(str, inside.classes or []))[1:]
    start = next((at for at, node in enumerate(network.nodes) if isinstance(node, Recurrent)), None)
    if start is None:
        raise InputError("there is no recurrent layer to look into.")
    signal, sees = x, network.sees
    if isinstance(network.nodes[0], Spectrogram):
        signal, sees = _run(network.nodes[:1], weights, x), Network.of(*network.nodes[1:]).sees
    frames = _run(network.nodes[:start], weights, x) if start else x
    rest = behind(network, weights, start)
    held = ctc.Frames(Executor(*rest)(frames), np.asarray(frames.offsets))
    found, other = two_alignments(held.logs, symbols, text)
    gradient = ctc.gradient(held, ctc.Labels.of([found.symbols]), np.ones(1)).astype(np.float32)
    steps = trace(rest, frames, target=gradient)
    return FrameExamination(symbols, held.logs, found, other, steps, np.asarray(signal.values), sees, inside.top_down)


def _run(nodes: Sequence[Node], weights: Mapping[str, Array], x: Ragged) -> Ragged:
    """Run the first nodes of a network over one signal."""
    own = {name: array for name, array in weights.items() if int(name.partition(".")[0]) < len(nodes)}
    rows = Executor(Network.of(*nodes), own)(x)
    return Ragged(rows, np.array([0, len(rows)]))


def _rows(direction: DirectionTrace, rows: Array) -> DirectionTrace:
    """Keep some steps of a direction, without gradients."""
    kept = {letter: values[rows] for letter, values in direction.gates.items()}
    memory = None if direction.c is None else direction.c[rows]
    return replace(direction, h=direction.h[rows], c=memory, gates=kept, dh=None, dc=None)


def _mean_gates(direction: DirectionTrace, row: int) -> dict[str, float]:
    """Tell the mean of each gate over all units in one frame, of a cell without gates that of its state."""
    return {name: float(values[row]) for name, values in mean_gates(direction).items()}


def _about(told: Json) -> Markup:
    """Say in a line what is read, and what the next best is."""
    other = told["other"]
    rest = "" if other is None else f" Next best: <b>{_quoted(other['text'])}</b> ({other['score']:.2f})."
    return f'<p dir="auto">Best: <b>{_quoted(told["text"])}</b> (logarithm of its path {told["score"]:.2f}).{rest}</p>'


def _quoted(text: str) -> Markup:
    return html.escape(text) or "(nothing)"


def _means(name: str, told: list[Json]) -> Markup:
    """Write what each gate of a direction did at each symbol, on the mean of its units."""
    heads = [*told[0]["gates"][name]]
    rows = [
        [html.escape(one["text"].replace(" ", "␣")), str(one["peak"]), f"{one['confidence']:.3f}"]
        + [f"{value:.3f}" for value in one["gates"][name].values()]
        for one in told
    ]
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in ["symbol", "frame", "confidence", *heads])
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<details><summary>{html.escape(name)} in numbers</summary><table><tr>{head}</tr>{body}</table></details>"
