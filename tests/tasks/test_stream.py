"""Live streams of tasks: what they say step by step is what `predict` says of everything so far."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tidegate as tg
from classifiers import PLAIN
from tidegate import crf
from tidegate.errors import DataError, InputError, ShapeError, StateError, StreamEndedError
from tidegate.runtime import Executor, StreamPool

TEXTS = ["good fun", "really good", "good", "bad", "so bad", "bad film"] * 4
SENTIMENTS = ["pos", "pos", "pos", "neg", "neg", "neg"] * 4
SENTENCES = [["the", "tide", "rises"], ["a", "boat", "sails", "on"], ["the", "boat", "sinks"]] * 4
TAGS = [["B-x", "I-x", "O"], ["O", "B-x", "I-x", "I-x"], ["B-x", "B-x", "O"]] * 4


def readings(count: int = 12) -> tuple[list[Any], list[int]]:
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((length, 2)) * 4 + length % 2 * 3 for length in range(4, 4 + count)]
    return X, [len(x) % 2 for x in X]


def signals(**options: Any) -> tg.SequenceClassifier:
    fast = {"hidden_size": 4, "epochs": 2, "batch_size": 4, "pooling": ("max", "mean", "last")}
    return tg.SequenceClassifier(**fast | options).fit(*readings())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def forwards() -> tg.SequenceClassifier:
    return signals(bidirectional=False, num_layers=2, cell="gru")


@pytest.fixture(scope="module")
def tagger() -> tg.TokenTagger:
    options: dict[str, Any] = {"hidden_size": 5, "epochs": 4, "batch_size": 4, "validation_fraction": 0}
    return tg.TokenTagger(**options, learn_scheme="bioes", min_count=1).fit(SENTENCES, TAGS)


@pytest.fixture(scope="module")
def forecaster() -> tg.Forecaster:
    table = np.sin(np.arange(300) / 12 * np.pi)[:, None] * [1.0, 50.0]
    return tg.Forecaster(lookback=8, horizon=3, hidden_size=4, epochs=1, quantiles=(0.1, 0.9)).fit(table)


def test_a_sequence_classifier_scales_rows_and_says_its_classes_so_far(forwards: tg.SequenceClassifier) -> None:
    stream = forwards.stream()
    for x in readings()[0][:3]:
        fork = stream.fork()
        for step, row in enumerate(x, 1):
            assert fork.step(row.tolist()).tobytes() == forwards.predict_proba([x[:step]])[0].tobytes()
        assert stream.fork().push(x).tobytes() == fork.finish().tobytes()
    row, buffer = readings()[0][0][0], np.empty(len(forwards.classes_), np.float32)
    assert stream.fork().step(row, out=buffer) is buffer
    assert buffer.tobytes() == forwards.predict_proba([[row]])[0].tobytes()
    state = stream.state
    for bad, error in (
        ([1.0], ShapeError),
        ([[1.0, 2.0]] * 2, ShapeError),
        ([1.0, np.inf], InputError),
        ("ab", InputError),
    ):
        with pytest.raises(error):
            stream.step(bad)
    assert stream.state == state


def test_a_classifier_of_both_directions_says_how_to_stream_it() -> None:
    both = signals()
    with pytest.raises(InputError, match=r"also reads from the end.*Pass lookahead=K"):
        both.stream()
    x = readings()[0][-1]
    stream = both.stream(lookahead=len(x))
    for step, row in enumerate(x, 1):
        assert stream.step(row).tobytes() == both.predict_proba([x[:step]])[0].tobytes()


def test_a_text_classifier_reads_pieces_of_a_text() -> None:
    options: dict[str, Any] = {"hidden_size": 4, "epochs": 2, "batch_size": 4, "validation_fraction": 0}
    model = tg.TextClassifier(**options, **PLAIN, bidirectional=False).fit(TEXTS, SENTIMENTS)
    stream = model.stream()
    assert stream.step("So good,").tobytes() == model.predict_proba(["So good,"])[0].tobytes()
    assert stream.steps == 3
    assert stream.step(" ").tobytes() == model.predict_proba(["So good,"])[0].tobytes()
    assert stream.push(["a bad", "film"]).tobytes() == model.predict_proba(["So good, a bad film"])[0].tobytes()
    with pytest.raises(DataError, match="not a text"):
        stream.push([3])
    other = model.stream(state=stream.state)
    assert other.step("good").tobytes() == stream.step("good").tobytes()


def test_a_classifier_that_looks_at_n_grams_does_not_answer_while_a_text_comes_in() -> None:
    model = tg.TextClassifier(hidden_size=2, epochs=1).fit(TEXTS, SENTIMENTS)
    with pytest.raises(InputError, match=r"n-grams of whole texts.*evidence=0 and linear=False"):
        model.stream(lookahead=1)


def test_a_language_model_foresees_token_after_token() -> None:
    texts = ["the sea is wide", "the sea is deep", "the wood is deep"] * 8
    model = tg.LanguageModel(hidden_size=6, epochs=2, batch_size=4, validation_fraction=0).fit(texts)
    stream = model.stream()
    assert stream.step("the").tobytes() == model.predict_proba(["the"])[0].tobytes()
    ids = model.vocabulary_.tokenizer.encode(["sea is"]).values
    got = [stream.step(int(token)).tobytes() for token in ids]
    assert got == [row.tobytes() for row in model.predict_proba(["the sea", "the sea is"])]
    whole = model.stream().push("the sea is")
    assert whole[1:].tobytes() == b"".join(got)
    assert model.stream(state=stream.state).step("deep").tobytes() == stream.step("deep").tobytes()
    pool = StreamPool(model, 2)
    pool.open("a")
    pool.open("b")
    answers = pool.push({"a": "the sea", "b": "the"})
    assert answers["a"][-1].tobytes() == model.predict_proba(["the sea"])[0].tobytes()
    assert answers["b"].tobytes() == model.predict_proba(["the"]).tobytes()


def test_a_pool_of_a_task_takes_its_steps_and_gives_its_answers(forwards: tg.SequenceClassifier) -> None:
    pool, (X, _) = StreamPool(forwards, 3), readings()
    for key in "abc":
        pool.open(key)
    for step in range(4):
        answers = pool.step({key: X[index][step] for index, key in enumerate("abc")})
        want = forwards.predict_proba([x[: step + 1] for x in X[:3]])
        assert b"".join(row.tobytes() for row in answers.values() if row is not None) == want.tobytes()


@pytest.mark.parametrize("chunks", [[1, 1, 1, 1], [4], [0, 3, 1]])
def test_a_tagger_that_waits_for_the_end_says_what_predict_says(tagger: tg.TokenTagger, chunks: list[int]) -> None:
    for sentence in (*SENTENCES[:3], ["an", "unknown", "boat", "1999"]):
        stream, words = tagger.stream(lookahead=20), iter(sentence)
        early = [answer for count in chunks for answer in stream.push([w for _, w in zip(range(count), words)])]  # noqa: B905
        assert early == []
        assert stream.finish() == tagger.predict_words([sentence])[0]


@pytest.mark.parametrize("lookahead", [0, 1, 2])
def test_a_tagger_answers_a_word_by_the_best_path_over_the_window(tagger: tg.TokenTagger, lookahead: int) -> None:
    sentence = ["the", "boat", "sails", "on", "the", "tide"]
    stream, found = tagger.stream(lookahead=lookahead), list[Any]()
    for count, word in enumerate(sentence, 1):
        answer = stream.step(word)
        assert (answer is None) == (count <= lookahead)
        if answer is None:
            continue
        if not found:  # nothing was said before: what `predict` says of the sentence so far
            assert answer == tagger.predict_words([sentence[:count]])[0][0]
        found.append(answer)
    found += stream.finish()
    assert [word.word for word in found] == sentence
    assert [(word.start, word.end) for word in found[:2]] == [(0, 3), (4, 8)]
    tags = [word.tag for word in found]
    assert all(tag != "I-x" or before in ("B-x", "I-x") for before, tag in zip(["O", *tags], tags, strict=False))
    with pytest.raises(StreamEndedError):
        stream.step("the")


@pytest.mark.parametrize("lookahead", [0, 2])
def test_a_tagger_goes_on_from_the_tag_that_it_gave(lookahead: int) -> None:
    model = tg.TokenTagger(hidden_size=5, epochs=1, batch_size=4, validation_fraction=0, scheme="plain", min_count=1)
    model.fit(SENTENCES, TAGS)
    rng, last = np.random.default_rng(1), len(model.network_.nodes) - 1
    moves, start, end = rng.normal(0, 3, (3, 3)), rng.normal(0, 3, 3), rng.normal(0, 3, 3)
    for name, array in (("transitions", moves), ("start", start), ("end", end)):
        model.weights_[f"{last}.{name}"] = array.astype(np.float32)
    moves, start, end = (array.astype(np.float32).astype(np.float64) for array in (moves, start, end))
    executor, sentence = Executor(model.network_, model.weights_), SENTENCES[1] * 2 + SENTENCES[0] * 3
    stream, before, conditioned = model.stream(lookahead=lookahead), start, 0
    answers = stream.push(sentence)
    assert len(answers) == len(sentence) - lookahead
    for at, answer in enumerate(answers):
        window = executor(model.prepare([sentence[: at + lookahead + 1]])[0])[at:]
        offsets = np.array([0, len(window)])
        [path], _ = crf.best_paths(crf.Scores(window, offsets, moves, before, end))
        [free], _ = crf.best_paths(crf.Scores(window, offsets, moves, start, end))
        conditioned += int(path[0] != free[0])
        assert answer.tag == model.tags_[path[0]]
        before = moves[path[0]]
    assert conditioned > 0


def test_a_tagger_goes_on_from_its_state_and_forks(tagger: tg.TokenTagger) -> None:
    sentence = ["the", "boat", "sails", "on", "the", "tide"]
    whole = tagger.stream(lookahead=2)
    want = [*whole.push(sentence), *whole.finish()]
    for cut in range(7):
        first = tagger.stream(lookahead=2)
        found = first.push(sentence[:cut])
        second = tagger.stream(lookahead=2, state=first.state)
        fork = second.fork()
        fork.push(["other", "words"])
        assert (second.steps, second.lookahead) == (cut, 2)
        assert [*found, *second.push(sentence[cut:]), *second.finish()] == want
    with pytest.raises(StateError, match="saved with lookahead=2; this stream has 3"):
        tagger.stream(lookahead=3, state=first.state)
    with pytest.raises(DataError, match="a word must be a text that is not empty"):
        first.step(" ")
    with pytest.raises(InputError, match="wanted a number of words"):
        tagger.stream(lookahead=None)
    plain = Executor(tagger.network_, tagger.weights_).stream(lookahead=2)
    plain.about = {"words": ["a"], "before": "", "tag": 99, "at": 0, "steps": 1}
    with pytest.raises(StateError, match="of no tagger, or it was altered"):
        tagger.stream(lookahead=2, state=plain.state)
    with pytest.raises(InputError, match=r"a TokenTagger has no pool of streams.* Call stream\(\) for each"):
        StreamPool(tagger, 2)  # type: ignore[arg-type]


def test_a_tagger_of_characters_reads_each_with_the_next() -> None:
    sentences = [list("高勇在上海"), list("海上有高山"), list("在高山上")] * 4
    tags = [["B-n", "I-n", "O", "B-p", "I-p"], ["O", "O", "O", "B-p", "I-p"], ["O", "B-p", "I-p", "O"]] * 4
    model = tg.TokenTagger(hidden_size=4, epochs=3, batch_size=4, validation_fraction=0, min_count=1)
    model.fit(sentences, tags)
    for sentence in sentences[:3]:
        stream = model.stream(lookahead=9)
        assert stream.push("".join(sentence)) == []
        first = stream.fork().finish()
        assert first == stream.finish()
        assert [word.tag for word in first] == model.predict([sentence])[0]
        for lookahead in range(3):
            short = model.stream(lookahead=lookahead)
            early = [short.step(character) for character in sentence[: lookahead + 1]]
            assert early[:-1] == [None] * lookahead
            assert early[-1] == model.predict_words([sentence[: lookahead + 1]])[0][0]


def test_a_forecaster_forecasts_from_each_row(forecaster: tg.Forecaster) -> None:
    table = np.random.default_rng(5).standard_normal((14, 2)) * [1.0, 50.0]
    stream = forecaster.stream(start=100)
    for count, row in enumerate(table, 1):
        found = stream.step(row)
        if count < 8:
            assert found is None
            continue
        (want,) = forecaster.predict([table[:count]])
        assert found is not None
        assert found.mean.tobytes() == want.mean.tobytes()
        assert found.quantiles[0.9].tobytes() == want.quantiles[0.9].tobytes()
        assert found.times.tolist() == [100 + count, 101 + count, 102 + count]
        twin = forecaster.stream(start=100, state=stream.state).peek()
        assert twin is not None
        assert twin.mean.tobytes() == found.mean.tobytes()
    pushed = forecaster.stream().push(table)
    assert pushed is not None
    assert found is not None
    assert pushed.mean.tobytes() == found.mean.tobytes()
    state = stream.state
    for bad in ([1.0], [1.0, np.nan], ["a", "b"], 3.0, [1.0, 1e39]):
        with pytest.raises(InputError):
            stream.step(bad)
    assert stream.state == state
    with pytest.raises(StateError, match="of the series '' from 100 on"):
        forecaster.stream(start=99, state=state)
    stream.finish()
    with pytest.raises(StreamEndedError):
        stream.push(table)
    with pytest.raises(InputError, match="a Forecaster has no pool of streams"):
        StreamPool(forecaster, 2)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="answers each row at once"):
        forecaster.stream(lookahead=1)
    with pytest.raises(InputError, match="Pass a whole number"):
        forecaster.stream(start="monday")


def test_a_forecaster_of_times_needs_a_beginning() -> None:
    hours = np.datetime64("2026-01-01T00:00", "ms") + np.arange(60) * np.timedelta64(3_600_000, "ms")
    columns: dict[str, Any] = {"unique_id": ["a"] * 60, "ds": hours, "y": np.arange(60.0) % 7}
    model = tg.Forecaster(lookback=8, horizon=2, hidden_size=4, epochs=1, calendar=True).fit(columns)
    with pytest.raises(InputError, match="1 hour apart, need a beginning"):
        model.stream()
    for start in ("soon", "NaT", 7):
        with pytest.raises(InputError, match="is no time"):
            model.stream(start=start)
    stream = model.stream(start="2026-01-01T00:00", series="a")
    found = stream.push(columns["y"][:30, None])
    (want,) = model.predict({name: values[:30] for name, values in columns.items()})
    assert found is not None
    assert found.mean.tobytes() == want.mean.tobytes()
    assert found.times.tolist() == want.times.tolist()
    assert stream.next_time == hours[30]


def test_a_task_that_was_not_fitted_has_no_stream() -> None:
    for task in (tg.TextClassifier(), tg.SequenceClassifier(), tg.TokenTagger(), tg.Forecaster(), tg.LanguageModel()):
        with pytest.raises(InputError, match="not fitted"):
            task.stream()
