"""The transcriber: what it reads, where it says that symbols lie, what it refuses, and what it begins with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from tidegate.data.transcribed.recordings import Recordings
from tidegate.errors import DataError, InputError, OptionError
from tidegate.network import Spectrogram
from tidegate.tasks import Transcriber
from tidegate.tasks.edits import distance, error_rate, matches, paired
from tidegate.tasks.transcribing.disturbing import Disturbance, stretched
from tidegate.tasks.transcribing.measuring import Blanks, fit_temperature
from tidegate.tasks.transcribing.transcripts import Places

PLAIN: dict[str, Any] = {
    "speed": 0.0,
    "noise": 0.0,
    "time_masks": 0,
    "feature_masks": 0,
    "dropout": 0.0,
    "average": 0.9,
    "validation_fraction": 0.0,
}
SMALL = PLAIN | {"hidden_size": 12, "num_layers": 1, "epochs": 25, "batch_size": 4, "learning_rate": 0.03}
LETTERS = "abc "


def ruler(texts: list[str], *, steps: int = 6, gap: int = 3, scale: tuple[float, float] = (0.5, 10.0)) -> Recordings:
    """Draw lines whose symbols are columns of ink, each `steps` wide behind a gap of paper."""
    signals = []
    for text in texts:
        rows = [np.zeros((gap, 4))]
        for symbol in text:
            rows += [np.tile(np.eye(4)[LETTERS.index(symbol)], (steps, 1)), np.zeros((gap, 4))]
        signals.append(np.concatenate(rows).astype(np.float32))
    scales = np.tile(np.array(scale), (len(texts), 1))
    return Recordings(signals, texts, scales=scales, reads="line")


def drawn(count: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("abc"), 2)) + " " + "".join(rng.choice(list("abc"), 2)) for _ in range(count)]


@pytest.fixture(scope="module")
def reader() -> Transcriber:
    return Transcriber(reads="line", window=4, stride=3, **SMALL).fit(ruler(drawn(48)))


def test_symbols_and_words_lie_where_they_stand_in_the_original(reader: Transcriber) -> None:
    """Symbol i of a ruler begins at column 3 + 9 i, which lies at half that, plus ten, in the original."""
    texts = drawn(12, seed=1)
    for text, told in zip(texts, reader.transcribe(ruler(texts)), strict=True):
        assert told.text == text
        assert "".join(symbol.text for symbol in told.symbols) == text
        assert [word.text for word in told.words] == text.split()
        assert told.words[0].start == told.symbols[0].start
        assert told.words[0].end == told.symbols[1].end
        assert 0.9 < told.confidence <= 1
        for index, symbol in enumerate(told.symbols):
            middle, wanted = (symbol.start + symbol.end) / 2, (3 + 9 * index + 3) * 0.5 + 10
            assert abs(middle - wanted) < 4.5 * 0.5 + 1.5, "CTC names a symbol where it is sure, within a window"
        assert all(a.end <= b.start for a, b in zip(told.symbols, told.symbols[1:], strict=False))


def test_a_known_text_is_found_in_its_signal(reader: Transcriber) -> None:
    recordings = ruler(["ab ca", "cc bb"])
    found = reader.align(recordings, ["ab ca", "cc bb"])
    assert [told.text for told in found] == ["ab ca", "cc bb"]
    for told in found:
        for index, symbol in enumerate(told.symbols):
            assert abs((symbol.start + symbol.end) / 2 - (6 + 9 * index) * 0.5 - 10) < 2.25, "half way to the next"
    other = reader.align(recordings.signals[0], "ab cb")
    assert other.text == "ab cb"
    assert other.score < reader.align(recordings.signals[0], "ab ca").score - 1
    with pytest.raises(DataError, match="training never saw the symbol 'o'; 2 such"):
        reader.align(recordings.signals[0], "zoo")
    with pytest.raises(
        InputError, match=r"^0 has \d+ frames, but its text needs 40; 1 such came\. Is it the text of that signal"
    ):
        reader.align(recordings.signals[0], "ab" * 20)


def test_an_empty_signal_is_an_empty_text(reader: Transcriber) -> None:
    told = reader.transcribe([np.zeros((0, 4)), ruler(["ab"]).signals[0]])
    assert (told[0].text, told[0].confidence, told[0].symbols) == ("", 1.0, ())
    assert told[1].text == "ab"
    assert reader.transcribe([]) == []


def test_a_live_signal_gives_the_text_and_places_of_the_whole() -> None:
    reader = Transcriber(reads="line", window=4, stride=3, bidirectional=False, **SMALL).fit(ruler(drawn(32)))
    signal = ruler(["ab cb"]).signals[0]
    whole = reader.transcribe([signal])[0]
    for size in (1, 5, 100):
        stream, texts = reader.stream(), [""]
        for begin in range(0, len(signal), size):
            part = stream.push(signal[begin : begin + size])
            assert part.text.startswith(texts[-1]) and part.stable == part.text
            texts.append(part.text)
        told = stream.flush()
        assert told.text == whole.text
        assert [symbol[:1] for symbol in texts[-1:]] == [whole.text[:1]]
        assert [(one.text, one.start) for one in told.symbols] == [(one.text, one.start) for one in whole.symbols]
        np.testing.assert_allclose(
            [one.confidence for one in told.symbols], [one.confidence for one in whole.symbols], rtol=1e-12
        )


def test_sound_is_read_through_bands_that_stream() -> None:
    rng = np.random.default_rng(0)
    tones = {"a": 300, "b": 700, "c": 1500}

    def sound(text: str) -> Any:
        times = np.arange(1600) / 4000
        parts = [np.sin(2 * np.pi * tones[symbol] * times) * np.hanning(1600) for symbol in text]
        return (np.concatenate(parts) * 0.5 + rng.normal(0, 0.01, 1600 * len(text))).astype(np.float32)[:, None]

    texts = ["".join(rng.choice(list("abc"), rng.integers(1, 4))) for _ in range(40)]
    heard = Recordings([sound(text) for text in texts], texts, reads="sound", rate=4000.0)
    reader = Transcriber(reads="sound", bands=12, bidirectional=False, **SMALL | {"epochs": 30}).fit(heard)
    assert reader.score(heard) > 0.95
    assert isinstance(reader.network_.nodes[0], Spectrogram)
    told = reader.transcribe(heard.select([0]))[0]
    assert 0 <= told.symbols[0].start < told.symbols[-1].end <= 0.4 * len(texts[0]), "seconds"
    stream = reader.stream()
    for begin in range(0, len(heard.signals[0]), 333):
        stream.push(heard.signals[0][begin : begin + 333, 0])
    assert stream.flush().text == told.text
    features = reader.prepare(heard.select([0]))[0]
    assert features.values.shape == (len(heard.signals[0]), 1)


def test_an_exported_model_scores_the_same_frames(reader: Transcriber, tmp_path: Path) -> None:
    exported = tg.export.to_onnx(reader, tmp_path / "lines.onnx")
    assert exported.worst < 1e-5
    assert {value.name for value in exported.outputs} == {"output", "output_lens"}


def test_a_changed_alphabet_goes_on_from_what_is_known(reader: Transcriber, tmp_path: Path) -> None:
    reader.save(tmp_path / "model")
    texts = [text.replace("c", "d") for text in drawn(24, seed=5)]
    recordings = replace(ruler([text.replace("d", "c") for text in texts]), texts=texts)
    options = SMALL | {"epochs": 1, "learning_rate": 1e-9}
    again = Transcriber(reads="line", window=4, stride=3, pretrained=tmp_path / "model", **options).fit(recordings)
    assert again.symbols_ == (" ", "a", "b", "d")
    known, new = reader.weights_["2.weight"], again.weights_["2.weight"]
    np.testing.assert_allclose(new[:4], known[:4], atol=1e-6)  # the blank, " ", "a" and "b"
    assert np.abs(new[4] - known[4]).max() > 1e-2
    np.testing.assert_allclose(again.weights_["1.weight_hh_l0"], reader.weights_["1.weight_hh_l0"], atol=1e-6)
    with pytest.raises(InputError, match="Use its own sizes"):
        Transcriber(reads="line", window=4, stride=3, pretrained=tmp_path / "model", **SMALL | {"hidden_size": 5}).fit(
            recordings
        )


def test_texts_longer_than_their_frames_are_counted_named_and_left_out() -> None:
    texts = drawn(200)
    recordings = ruler(texts)
    recordings.signals[7] = recordings.signals[7][:5]  # type: ignore[index]
    task = Transcriber(reads="line", window=4, stride=3, **SMALL | {"epochs": 1})
    with pytest.warns(UserWarning, match=r"1 of 200 recordings have fewer frames .*: 7 \(6 needed, 2 there\)"):
        task.fit(recordings)
    with pytest.raises(DataError, match=r"200 of 200 recordings have fewer frames .* smaller stride than 40"):
        Transcriber(reads="line", window=4, stride=40, **SMALL).fit(recordings)


def test_symbols_that_only_the_held_out_part_has_are_named_however_it_is_given() -> None:
    texts = drawn(20)
    given, strange = ruler(texts), replace(ruler(texts[:3]), texts=["za", "a\u00fcz", "b"])
    told = r"texts held out hold symbols that training never saw: 'z' \(2\), '\u00fc' \(1\)\. They count as errors"
    for valid in (strange, (strange.signals, strange.texts)):
        with pytest.warns(UserWarning, match=told):
            Transcriber(reads="line", window=4, stride=3, **SMALL | {"epochs": 1}).fit(given, validation=valid)


def test_a_text_held_out_that_its_frames_cannot_hold_is_told_and_is_no_part_of_the_nats() -> None:
    given, held = ruler(drawn(20)), ruler(drawn(4, seed=1))
    signals = list(held.signals)
    cut = replace(held, signals=[signals[0], signals[1][:5], *signals[2:]])

    def nats(valid: Recordings) -> tuple[float, float]:
        steps = Transcriber(reads="line", window=4, stride=3, **SMALL | {"epochs": 1}).fit_steps(
            given, valid=(valid, None)
        )
        *_, last = steps
        assert last.valid is not None
        return last.valid["nats"], last.valid["cer"]

    with pytest.warns(UserWarning, match=r"1 of 4 recordings held out have fewer frames .*: 1\. They count as errors"):
        found, wrong = nats(cut)
    assert found == pytest.approx(nats(cut.select([0, 2, 3]))[0])
    assert wrong >= 1 / 4  # a text that no frame can hold is wrong, all of it
    with (
        pytest.raises(DataError, match=r"2 of 2 recordings held out have fewer frames .*: 0, 1\. Hold out others"),
    ):
        nats(replace(held.select([0, 1]), signals=[signal[:5] for signal in signals[:2]]))


@pytest.mark.parametrize("fraction", [0.0, 0.2])
def test_recordings_without_a_sample_are_counted_and_left_out_however_many(fraction: float) -> None:
    texts = drawn(20)
    recordings = ruler(texts)
    for row in (3, 4, 5, 17):
        recordings.signals[row] = recordings.signals[row][:0]  # type: ignore[index]
    options = SMALL | {"epochs": 1, "validation_fraction": fraction}
    with pytest.warns(UserWarning, match=r"^4 of 20 recordings have no sample: 3, 4, 5\. They are left out"):
        found = Transcriber(reads="line", window=4, stride=3, **options).fit(recordings)
    rest = recordings.select([row for row in range(20) if row not in (3, 4, 5, 17)])
    alone = Transcriber(reads="line", window=4, stride=3, **options).fit(rest)
    for name, weights in alone.weights_.items():
        np.testing.assert_array_equal(weights, found.weights_[name])
    assert found.transcribe(recordings)[3].text == ""


@pytest.mark.parametrize(
    ("changes", "X", "y", "error", "told"),
    [
        ({}, [np.ones((9, 2))], None, InputError, "have no texts"),
        ({}, [np.ones((9, 2))], [""], DataError, "all texts are empty"),
        ({}, [np.ones((9, 2))], ["a\n"], DataError, "control character"),
        ({}, [np.ones((9, 2))], [3], DataError, "text 0 is a int"),
        ({}, [np.full((9, 2), np.nan)], ["a"], DataError, "no finite number"),
        ({}, "abc", ["a"], InputError, "a list of signals"),
        ({}, [], [], DataError, "no examples"),
        ({}, [np.ones((0, 2))], ["a"], DataError, "1 of 1 recordings have no sample: 0. There is nothing"),
        ({"reads": "sound"}, [np.ones((999, 1))], ["a"], InputError, "rate of the sound is not known"),
        ({"reads": "page"}, [np.ones((9, 2))], ["a"], OptionError, "unknown reads 'page'"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    changes: dict[str, Any], X: Any, y: Any, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        Transcriber(**SMALL | {"stride": 1, "window": 1} | changes).fit(X, y)


def test_a_model_of_other_signals_says_so(reader: Transcriber) -> None:
    with pytest.raises(InputError, match="are sound, but this transcriber reads line"):
        reader.transcribe(Recordings([np.zeros((9, 1), np.float32)], reads="sound"))
    with pytest.raises(InputError, match="signals of 2 features came; this transcriber reads 4"):
        reader.transcribe([np.zeros((9, 2))])
    with pytest.raises(InputError, match="takes each signal's own mean off"):
        Transcriber(reads="line", centred=True, **SMALL | {"epochs": 1}).fit(ruler(drawn(8))).stream(lookahead=3)


def test_a_centred_model_does_not_hear_what_is_added_throughout() -> None:
    reader = Transcriber(reads="line", window=4, stride=3, centred=True, **SMALL).fit(ruler(drawn(32)))
    one = ruler(["ab ca"]).signals[0]
    plain, moved = reader.transcribe([one, one + np.float32(0.5)])
    assert plain.text == moved.text == "ab ca"
    assert plain.confidence == pytest.approx(moved.confidence, abs=1e-4)


def test_only_blanks_are_told_of_once() -> None:
    blanks, nothing = Blanks(), {"beside": {"blank": True}}
    blanks.note(nothing)
    blanks.note(nothing)
    with pytest.warns(UserWarning, match=r"only blanks so far \(epoch 3\)"):
        blanks.note(nothing)
    blanks.note(nothing)
    heard = Blanks()
    for one in (False, True, True, True, True):
        heard.note({"beside": {"blank": one}})


def test_a_temperature_makes_symbols_as_probable_as_they_are_right() -> None:
    """Frames that are sure to 0.99 of symbols that are right three times out of four."""
    logs = np.log(np.tile([0.005, 0.99, 0.005], (400, 1)))
    told = np.stack([np.ones(400, int), np.arange(400) % 4 != 0], axis=1)
    temperature = fit_temperature([(logs, told)])
    share = 0.99 ** (1 / temperature) / (0.99 ** (1 / temperature) + 2 * 0.005 ** (1 / temperature))
    assert share == pytest.approx(0.75, abs=0.02)
    assert fit_temperature([(logs[:5], told[:5])]) == 1.0
    assert fit_temperature([(logs[:100], np.ones((100, 2), int))]) == 1.0


def test_distances_are_those_of_a_table() -> None:
    assert [distance(*pair) for pair in (("", ""), ("abc", "abd"), ("ab", "b"), ("kitten", "sitting"))] == [0, 1, 1, 3]
    assert error_rate([["a", "b"], ["c"]], [["a"], ["c", "d"]]) == 2 / 3
    assert matches("abxd", "abcd") == [True, True, False, True]
    assert matches("aXbc", "abc") == [True, False, True, True]
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = ("".join(rng.choice(list("ab"), rng.integers(0, 9))) for _ in range(2))
        changes = sum(one != other for one, other in paired(a, b))
        assert distance(a, b) == distance(b, a) == changes
        assert matches(a, b).count(True) == len(paired(a, b)) - changes


def test_what_is_done_to_signals_keeps_their_kind() -> None:
    x = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    hidden = Disturbance(time_masks=1, longest=10, feature_masks=1, widest=3)
    masked = hidden(x, np.random.default_rng(4))
    assert masked.dtype == np.float32 and masked.shape == x.shape
    changed = masked != x
    assert (masked[changed] == 0).all() and changed.any(axis=1).sum() > 0
    assert Disturbance()(x, np.random.default_rng(0)) is not x
    assert (Disturbance()(x, np.random.default_rng(0)) == x).all()
    lengths = {len(Disturbance(speed=0.2)(x, np.random.default_rng(seed), least=48)) for seed in range(40)}
    assert min(lengths) >= 48 and max(lengths) > 52 and max(lengths) <= 60
    np.testing.assert_allclose(stretched(x, 99)[::2], x, atol=1e-6)
    assert len(Disturbance(speed=0.2)(x[:0], np.random.default_rng(0))) == 0
    louder = [Disturbance(gain=2.0)(x, np.random.default_rng(seed)) - x for seed in range(200)]
    assert all(np.ptp(added) < 1e-5 for added in louder), "all features of a signal become louder alike"
    assert 1.6 < np.std([added[0, 0] for added in louder]) < 2.4


def test_places_are_the_middle_of_what_a_frame_sees() -> None:
    places = Places(stride=4, width=8, steps=20, scale=(2.0, 100.0))
    assert places.span(0, 0) == (104.0, 112.0)
    assert places.span(3, 4) == (128.0, 140.0), "no place lies behind the end"
