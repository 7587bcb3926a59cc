"""Signals that are read while they come in are told as the whole is, to the bit: symbols, places, how sure, scores."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tidegate.data.transcribed.recordings import Reads, Recordings
from tidegate.decoding import NgramModel, Scorer
from tidegate.errors import ShapeError, StateError
from tidegate.network import Ctc, Dense, Network, Node, Recurrent, Spectrogram, Window
from tidegate.runtime.stream_state import pack_state, unpack_state
from tidegate.tasks import Transcriber
from tidegate.tasks.fitted import Fitted
from tidegate.tasks.transcribing.reading import Reading
from tidegate.tasks.transcribing.transcripts import Symbol
from tidegate.train import initial_weights

SYMBOLS = tuple(" abcd")


def drawn(reads: Reads, *first: Node, width: int, temperature: float, rate: float | None = None) -> Transcriber:
    """Make a reader of drawn weights, whose scores are far enough apart that it names symbols."""
    size = width
    for node in first:
        size = node.bands if isinstance(node, Spectrogram) else size * node.width if isinstance(node, Window) else size
    recurrent = Recurrent(cell="gru", input_size=size, hidden_size=12, num_layers=1)
    dense, ctc = Dense(in_features=12, out_features=len(SYMBOLS) + 1), Ctc(symbols=len(SYMBOLS) + 1)
    network = Network.of(*first, recurrent, dense, ctc)
    weights = {name: np.asarray(array * 4, np.float32) for name, array in initial_weights(network, seed=3).items()}
    mean = np.empty(0) if reads == "sound" else np.linspace(0, 0.2, width)
    reading = Reading(reads, rate, SYMBOLS, mean, np.ones(len(mean)), False, temperature)
    reader = Transcriber(reads=reads, rate=rate)
    reader._fitted = Fitted({}, network, weights, reading, [], None)  # type: ignore[arg-type]
    return reader


@pytest.mark.parametrize("temperature", [1.0, 0.4, 2.7])
@pytest.mark.parametrize(
    ("reads", "first", "width", "rate", "steps"),
    [
        ("line", (Window(width=8, stride=2, size=4),), 4, None, 12),
        ("line", (Window(width=3, stride=3, size=4),), 4, None, 200),
        ("features", (), 5, 62.5, 90),
        ("sound", (Spectrogram(rate=800, frame=20, hop=8, bands=6, low=0.0, high=380.0),), 1, 800.0, 900),
    ],
)
def test_a_live_transcript_is_that_of_the_whole(
    reads: Reads, first: tuple[Node, ...], width: int, rate: float | None, steps: int, temperature: float
) -> None:
    if first and isinstance(first[-1], Spectrogram):
        first = (*first, Window(width=3, stride=3, size=6))
        reader = drawn(reads, *first, width=width, temperature=temperature, rate=rate)
        reader.weights_["0.mean"][:], reader.weights_["0.scale"][:] = -6.0, 0.3
    else:
        reader = drawn(reads, *first, width=width, temperature=temperature, rate=rate)
    signal = np.random.default_rng(1).normal(size=(steps, width)).astype(np.float32)
    (whole,) = reader.transcribe(Recordings([signal], reads=reads, rate=rate))
    assert len(whole.symbols) > min(steps // 20, 5) and whole.score < 0
    for size in (1, 7, steps):
        stream = reader.stream()
        for begin in range(0, steps, size):
            stream.push(signal[begin : begin + size])
            if begin == 3 * size:
                stream = stream.resume(stream.state)
        assert stream.finish() == whole


def test_no_live_symbol_ends_behind_its_signal() -> None:
    reader = drawn("line", Window(width=8, stride=2, size=4), width=4, temperature=1.0)
    signal = np.zeros((12, 4), np.float32)
    reader.weights_["2.bias"][:] = 100 * np.eye(6)[2]  # one symbol is named from the first frame to the last
    stream = reader.stream()
    stream.push(signal)
    told = stream.finish()
    assert [(symbol.text, symbol.start, symbol.end) for symbol in told.symbols] == [("a", 3.0, 12.0)]
    assert told == reader.transcribe([signal])[0]


def test_a_symbol_is_as_sure_as_where_it_is_the_most_probable() -> None:
    """At a temperature another frame of it may be the surest; that of its peak counts."""
    network = Network.of(Dense(in_features=3, out_features=3), Ctc(symbols=3))
    weights = {"0.weight": np.eye(3, dtype=np.float32), "0.bias": np.zeros(3, np.float32)}
    peak, spread = np.log([0.2, 0.6, 0.2]), np.log([0.41, 0.585, 0.005])
    signal = np.stack([spread, peak]).astype(np.float32)
    reader = Transcriber(reads="features")
    for temperature in (0.3, 3.0):
        reading = Reading("features", None, ("a", "b"), np.zeros(3), np.ones(3), False, temperature)
        reader._fitted = Fitted({}, network, weights, reading, [], None)  # type: ignore[arg-type]
        shares = np.exp(peak / temperature) / np.exp(peak / temperature).sum()
        stream = reader.stream()
        for row in signal:
            stream.step(row)
        told = stream.finish()
        assert told.symbols == (Symbol("a", 0.0, 2.0, told.confidence),)
        assert told.confidence == pytest.approx(shares[1], abs=1e-6)
        assert told == reader.transcribe([signal])[0]


@pytest.mark.parametrize("chunk", [np.ones((5, 1)), np.ones((5, 3)), np.ones(4), np.ones((2, 5, 4))])
def test_steps_of_another_width_are_refused_and_not_taken(chunk: Any) -> None:
    reader = drawn("line", width=4, temperature=1.0)
    stream = reader.stream()
    stream.push(np.ones((2, 4)))
    with pytest.raises(ShapeError, match=r"a chunk is .* but \[steps, 4\] is wanted"):
        stream.push(chunk)
    with pytest.raises(ShapeError, match=r"a chunk is \[1, 3\] but"):
        stream.step(np.ones(3))
    assert stream.steps == 2
    stream.push(np.ones((1, 4)))
    assert stream.finish() == reader.transcribe([np.ones((3, 4))])[0]


def heard(signal: np.ndarray, stream: Any, size: int, *, move: int = -1) -> list[Any]:
    """Push a signal in chunks, once going on in a fork of the saved state; give what was heard, the whole last."""
    told = []
    for begin in range(0, len(signal), size):
        told.append(stream.push(signal[begin : begin + size]))
        if begin == move * size:
            left, stream = stream, stream.resume(stream.state).fork()
            left.push(signal[:7])  # which the fork must not hear
    return [*told, stream.finish()]


@pytest.mark.parametrize("scored", [False, True])
@pytest.mark.parametrize("reads", ["line", "features"])
def test_a_live_search_tells_what_it_tells_of_the_whole(reads: Reads, scored: bool) -> None:
    reader = drawn(reads, Window(width=3, stride=2, size=4), width=4, temperature=1.7, rate=50.0)
    signal = np.random.default_rng(5).normal(size=(90, 4)).astype(np.float32)
    spoken = NgramModel.from_texts(["ab ca", "d ab", "ca d"], order=3)
    asked: dict[str, Any] = {"beam": 6, "n_best": 3}
    asked["scorer"] = Scorer(language_model=spoken, alpha=0.4, beta=0.5, hotwords={"d": 1.0}) if scored else None
    (whole,) = reader.transcribe(Recordings([signal], reads=reads, rate=50.0), **asked)
    assert len(whole.symbols) > 5 and len(whole.alternatives) == 2
    greedy = reader.transcribe(Recordings([signal], reads=reads, rate=50.0))[0]
    assert whole.score > greedy.score if not scored else whole.text != greedy.text
    for size in (1, 7, 90):
        *partials, told = heard(signal, reader.stream(**asked), size, move=4)
        assert told == whole
        for before, after in pairwise(partials):
            assert after.stable.startswith(before.stable)
            assert before.text.startswith(before.stable)
        assert all(whole.text.startswith(partial.stable) for partial in partials)
        assert size == 90 or any(partial.stable for partial in partials)


def test_a_live_search_of_nothing_tells_what_that_of_no_step_does() -> None:
    reader = drawn("line", width=4, temperature=1.0)
    stream = reader.stream(beam=4)
    assert stream.push(np.zeros((0, 4))).text == ""
    assert stream.finish() == reader.transcribe([np.zeros((0, 4))], beam=4)[0]


def test_a_live_search_keeps_nothing_of_steps_that_give_no_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = drawn("line", Window(width=8, stride=8, size=4), width=4, temperature=1.0).stream(beam=4)
    stream.push(np.random.default_rng(7).normal(size=(40, 4)))
    assert stream._beam is not None
    text, kept = stream.push(np.zeros((0, 4))).text, len(stream._beam._rows)
    assert text
    monkeypatch.setattr(stream._beam._beam, "best", None)  # which would be a search for what is known
    assert all(stream.push(np.zeros((0, 4))).text == text for _ in range(500))
    assert len(stream._beam._rows) == kept
    assert stream.state == stream.state
    assert len(stream._beam._rows) == 1


def test_the_state_of_a_search_is_that_of_the_same_search_alone() -> None:
    reader = drawn("line", width=4, temperature=1.0)
    signal = np.random.default_rng(6).normal(size=(9, 4)).astype(np.float32)
    searched, greedy = reader.stream(beam=4), reader.stream()
    searched.push(signal)
    greedy.push(signal)
    with pytest.raises(StateError, match="of a stream without a search"):
        reader.stream(beam=4, state=greedy.state)
    with pytest.raises(StateError, match="of a stream with a search"):
        reader.stream(state=searched.state)
    with pytest.raises(StateError, match="of another model"):
        reader.stream(beam=5, state=searched.state)
    with pytest.raises(StateError, match="of another model"):
        reader.stream(beam=4, scorer=Scorer(beta=1.0), state=searched.state)
    info, numbers = unpack_state(searched.state, digest=searched._stream._prepared.digest)
    for name, value in (("rows", ""), ("rows", "?"), ("rows", "AAAA"), ("beam", 3)):
        altered = info | {"about": info["about"] | {"searched": info["about"]["searched"] | {name: value}}}
        with pytest.raises(StateError):
            reader.stream(beam=4, state=pack_state(altered, numbers))
