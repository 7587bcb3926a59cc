"""The order of texts: lines are labelled as they are shown and told as they are read, sound as it is heard."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import pytest

from tidegate.data import Examples, Recordings
from tidegate.data.transcribed.recordings import Reads
from tidegate.data.transcribed.writing import logical_order, visual_order
from tidegate.decoding import Scorer
from tidegate.errors import DataError
from tidegate.network import Ctc, Dense, Network
from tidegate.runtime import Executor
from tidegate.tasks import Transcriber
from tidegate.tasks.fitted import Fitted
from tidegate.tasks.transcribing import measuring
from tidegate.tasks.transcribing.measuring import Part
from tidegate.tasks.transcribing.ordering import reading_order
from tidegate.tasks.transcribing.reading import Reading, learn
from tidegate.tasks.transcribing.scores import measure_transcriber
from tidegate.tasks.transcribing.transcripts import Symbol, Transcript

HEBREW = "\u05d0\u05d1\u05d2 \u05d3\u05d4"  # the first five letters, as two words
POINTED = "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd \u05d1\u05bc\u05d0"  # letters with points that no letter composes
HINDI = "\u0915\u093f\u0924\u093e\u092c \u0939\u0948"  # letters with vowel signs, of which none composes either
SYMBOLS = tuple(sorted({*HEBREW, *POINTED, *HINDI, *"abc123()"}))


def perfect(reads: Reads) -> Transcriber:
    """Make a reader of features that name the blank and the symbols one by one."""
    K = len(SYMBOLS) + 1
    network = Network.of(Dense(in_features=K, out_features=K), Ctc(symbols=K))
    weights = {"0.weight": 20 * np.eye(K, dtype=np.float32), "0.bias": np.zeros(K, np.float32)}
    reading = Reading(reads, None, SYMBOLS, np.zeros(K), np.ones(K), False)
    reader = Transcriber(reads=reads)
    reader._fitted = Fitted({}, network, weights, reading, [], None)  # type: ignore[arg-type]
    return reader


def written(shown: str) -> np.ndarray:
    """Name each symbol for two steps, and the blank for one."""
    steps = [number for symbol in shown for number in (SYMBOLS.index(symbol) + 1,) * 2 + (0,)]
    return np.eye(len(SYMBOLS) + 1, dtype=np.float32)[steps]


TEXTS = [HEBREW, "abc 12", f"{HEBREW} 12", f"ab c {HEBREW}", f"{HEBREW} (ab) 3 {HEBREW}", POINTED, HINDI]


@pytest.mark.parametrize("reads", ["line", "sound", "features"])
def test_symbols_are_spelled_in_the_order_of_their_signal(reads: Reads) -> None:
    """Sound runs in time whatever its letters; a line from left to right."""
    reading = Reading(reads, None, SYMBOLS, np.empty(0), np.empty(0), False)
    for text in TEXTS:
        named = "".join(SYMBOLS[label - 1] for label in reading.labels([text]).values)
        assert named == (visual_order(text) if reads == "line" else text)
        assert reading.as_read(named) == text


def test_sound_may_say_what_no_line_could_show() -> None:
    """Mixed directions of which a line does not say in which order they are read."""
    text = "\u05d01 a"
    with pytest.raises(DataError, match="mixes directions"):
        visual_order(text)
    heard = Recordings([np.ones((40, 1), np.float32)], [text], reads="sound", rate=8.0)
    reading = learn(heard, [text], centred=False)
    assert [reading.symbols[label - 1] for label in reading.labels([text]).values] == list(text)


@pytest.mark.parametrize("reads", ["line", "features"])
def test_words_that_are_known_beside_are_brought_to_the_order_of_the_signal(reads: Reads) -> None:
    reader, text = perfect(reads), f"{HEBREW} ab"
    words = unicodedata.normalize("NFD", text).split()
    signal = written(visual_order(text) if reads == "line" else text)
    known: dict[str, Any]
    for known in ({"lexicon": reader.as_shown(words)}, {"hotwords": dict.fromkeys(reader.as_shown(words), 3.0)}):
        found = reader.transcribe([signal], beam=8, scorer=Scorer(**known))[0]
        assert found.text == text
        assert found.score >= -1 + 9 * ("hotwords" in known)
    assert reader.as_shown(["e\u0301"]) == ["\u00e9"]


@pytest.mark.parametrize("reads", ["line", "features"])
def test_a_perfect_reader_makes_no_errors(reads: Reads) -> None:
    reader = perfect(reads)
    signals = [written(visual_order(text) if reads == "line" else text) for text in TEXTS]
    given = Recordings(signals, list(TEXTS), reads=reads)
    learned = reader._require_fitted()
    part = Part(given.ragged(), TEXTS, learned.learned.labels(TEXTS))
    told = measuring.measure(Executor(learned.network, learned.weights), part, learned.learned)
    assert (told["loss"], told["cer"], told["wer"]) == (0.0, 0.0, 0.0)
    assert reader.predict(signals) == TEXTS
    assert reader.score(given) == 1.0
    scores = measure_transcriber(reader, Examples(given, TEXTS))
    assert scores.measures() == {"cer": 0.0, "wer": 0.0, "ser": 0.0}
    assert scores.confusions == [] and [row[1] for row in scores.reliability] == [1.0]


def test_what_is_wrong_on_a_line_is_found_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first letter that is read is the last one that is shown; it alone is wrong, and all others are right."""
    reader, signals = perfect("line"), [written(visual_order("\u05d2" + HEBREW[1:]))] * 5
    learned = reader._require_fitted()
    part = Part(Recordings(signals, reads="line").ragged(), [HEBREW] * 5, learned.learned.labels([HEBREW] * 5))
    seen = list[list[Any]]()
    monkeypatch.setattr(measuring, "fit_temperature", lambda kept: seen.extend(told[:, 1].tolist() for _, told in kept))
    told = measuring.measure(Executor(learned.network, learned.weights), part, learned.learned)
    assert told["cer"] == 1 / 6
    assert seen == [[1, 1, 1, 1, 1, 0]] * 5


def test_words_of_a_line_follow_each_other_as_they_are_read() -> None:
    (told,) = perfect("line").transcribe([written(visual_order(HEBREW))])
    assert "".join(symbol.text for symbol in told.symbols) == HEBREW[::-1]
    assert told.text == HEBREW
    assert [word.text for word in told.words] == HEBREW.split()
    first, second = told.words
    assert (second.start, second.end) == (told.symbols[0].start, told.symbols[1].end), "the second stands on the left"
    assert (first.start, first.end) == (told.symbols[3].start, told.symbols[5].end)


@pytest.mark.parametrize("text", [POINTED, HINDI])
def test_a_mark_that_does_not_compose_is_a_symbol_with_a_place_of_its_own(text: str) -> None:
    reader, shown = perfect("line"), visual_order(text)
    signal = written(shown)
    (told,) = reader.transcribe([signal])
    assert told.text == text and [symbol.text for symbol in told.symbols] == list(shown)
    assert [(symbol.start, symbol.end) for symbol in told.symbols] == [
        (3.0 * k, 3.0 * k + 2) for k in range(len(shown))
    ]
    assert [word.text for word in told.words] == text.split()
    assert reader.align(signal, text).symbols == told.symbols
    assert reader.transcribe([signal], beam=4)[0].text == text


def test_marks_in_another_order_are_the_same_text() -> None:
    """The point and the vowel of a letter, the other way round than the normal form C has them."""
    turned = POINTED[0] + POINTED[2] + POINTED[1] + POINTED[3:]
    signal = written(visual_order(POINTED))
    assert turned != POINTED and perfect("line").align(signal, turned).text == POINTED
    assert perfect("line").score(Recordings([signal], [turned], reads="line")) == 1.0


def test_words_of_sound_follow_each_other_in_time() -> None:
    symbols = [Symbol(symbol, at, at + 1.0, 0.5) for at, symbol in enumerate(HEBREW)]
    told = Transcript.of(symbols, reads="sound")
    assert (told.text, [word.text for word in told.words]) == (HEBREW, HEBREW.split())
    assert [(word.start, word.end) for word in told.words] == [(0, 3.0), (4, 6.0)]
    assert told.words[0].confidence == pytest.approx(0.5**3)


def test_every_word_lies_where_its_letters_do() -> None:
    """Random texts, each letter of which comes once, so that it is known where it stands."""
    rng, tried = np.random.default_rng(0), 0
    for _ in range(400):
        letters = rng.permutation([*"\u05d0\u05d1\u05d2\u05d3\u05d4\u05d5", *"abcdef", *"123456"])[:12].tolist()
        for at in sorted(rng.choice(11, 4, replace=False).tolist(), reverse=True):
            letters.insert(at + 1, str(rng.choice([" ", " ", " ", ", ", "-"])))
        text = "".join(letters)
        try:
            shown = visual_order(text)
        except DataError:
            continue
        tried += 1
        assert logical_order(shown) == text
        order = reading_order(shown, "line")
        assert sorted(order) == list(range(len(text)))
        assert all(shown[place] == symbol for place, symbol in zip(order, text, strict=True))
        told = Transcript.of([Symbol(symbol, at, at + 1, 0.5) for at, symbol in enumerate(shown)])
        assert [word.text for word in told.words] == text.split()
        for word in told.words:
            places = [shown.index(symbol) for symbol in word.text if symbol.isalnum()]
            if word.text.isalnum():
                assert (word.start, word.end) == (min(places), max(places) + 1)
            elif places:
                assert word.start <= min(places) and word.end > max(places)
    assert tried > 100


def test_equal_numbers_among_letters_from_right_to_left_are_two_words() -> None:
    """Blanks part numbers there: the first that is read stands on the right (rule N1 of UAX 9)."""
    shown = visual_order("12 12 \u05d0")
    told = Transcript.of([Symbol(symbol, at, at + 1, 1.0) for at, symbol in enumerate(shown)])
    assert [(word.text, word.start) for word in told.words] == [("12", 5), ("12", 2), ("\u05d0", 0)]
    shown = visual_order("\u05d0 a 1 a 1")
    told = Transcript.of([Symbol(symbol, at, at + 1, 1.0) for at, symbol in enumerate(shown)])
    assert [(word.text, word.start) for word in told.words[1:]] == [("a", 0), ("1", 2), ("a", 4), ("1", 6)]


def test_what_is_read_live_is_told_as_the_whole_is() -> None:
    """Of a line whose letters to come are read before those that were shown, nothing is sure to stay."""
    reader, signal = perfect("line"), written(visual_order(HEBREW))
    stream = reader.stream()
    parts = [stream.push(signal[at : at + 3]) for at in range(0, len(signal), 3)]
    assert [part.text for part in parts] == [HEBREW[-count:] for count in range(1, 7)]
    assert {part.stable for part in parts} == {""}
    assert stream.finish() == reader.transcribe([signal])[0]
    heard = perfect("features").stream().push(written(HEBREW))
    assert (heard.text, heard.stable) == (HEBREW, HEBREW)


def test_symbols_that_training_never_saw_are_counted_named_and_wrong() -> None:
    reader = perfect("features")
    texts = ["abz", "az\u00fc"]
    found = measure_transcriber(reader, Examples(Recordings([written("ab")] * 2, texts, reads="features"), None))
    assert found.new == found.to_json()["new_symbols"] == {"z": 2, "\u00fc": 1}
    assert "the right texts hold symbols that training never saw: 'z' (2), '\u00fc' (1)." in str(found.warnings()[0])
    assert found.measures()["cer"] == 3 / 6
