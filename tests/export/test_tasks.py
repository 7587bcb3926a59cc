"""Every task, exported and run in ONNX Runtime and OpenVINO by plain NumPy code, answers as it does here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tokenizers

import tidegate as tg
from classifiers import PLAIN
from graphs import Array, Arrays, lens, padded, run_onnx, run_openvino
from tidegate.data.times import calendar
from tidegate.errors import InputError
from tidegate.export import graph_inputs, to_onnx
from tidegate.ragged import Ragged
from tidegate.words import Words

TEXTS = ["good fun, really", "a really good film", "good", "bad", "so bad", "a bad film, so bad"] * 4
LABELS = ["pos", "pos", "pos", "neg", "neg", "neg"] * 4
SENTENCES = [["the", "tide", "rises"], ["a", "boat", "sails", "on"], ["Anna", "sails"]] * 6
TAGS = [["O", "B-X", "I-X"], ["O", "O", "B-Y", "I-Y"], ["B-X", "O"]] * 6
CHARACTERS = [["高", "勇", "男"], ["中", "国", "人"]] * 8
CHARACTER_TAGS = [["B-N", "E-N", "O"], ["B-C", "E-C", "O"]] * 8
CORPUS = ["the sea is wide", "the sea is deep", "the wood is deep and dark"] * 8


def about(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def assert_close(found: Array, wanted: Array, *, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(found, wanted, rtol=0, atol=atol)


@cache
def text_classifier() -> tg.TextClassifier:
    options: dict[str, Any] = {"hidden_size": 5, "epochs": 2, "max_tokens": 3, "num_layers": 2, "merge": "mul"}
    return tg.TextClassifier(**options, **PLAIN).fit(TEXTS, LABELS)


@cache
def taggers() -> dict[str, tg.TokenTagger]:
    options: dict[str, Any] = {"hidden_size": 8, "epochs": 3, "batch_size": 4, "min_count": 1}
    return {
        "words": tg.TokenTagger(characters=False, cell="gru", **options).fit(SENTENCES, TAGS),
        "characters": tg.TokenTagger(**options).fit(SENTENCES, TAGS),
        "no dropout": tg.TokenTagger(dropout=0.0, **options).fit(SENTENCES, TAGS),
        "pairs": tg.TokenTagger(**options).fit(CHARACTERS, CHARACTER_TAGS),
    }


@cache
def language_model(cell: Any, layers: int, tied: bool) -> tg.LanguageModel:
    options: dict[str, Any] = {"hidden_size": 12, "num_layers": layers, "tied": tied, "epochs": 4, "batch_size": 4}
    return tg.LanguageModel(cell=cell, validation_fraction=0, learning_rate=0.02, **options).fit(CORPUS)


# --- classifiers


def encode_by_metadata(said: dict[str, str], texts: Sequence[str]) -> Ragged:
    """Turn texts into ids with the tokenizers package and what the file says, as others would."""
    tokenizer = tokenizers.Tokenizer.from_str(said["tokenizer"])
    most = int(said["max_tokens"])
    ids = [tokenizer.encode(text).ids for text in texts]
    return Ragged.from_list([row[-most:] if said["keep"] == "last" else row[:most] for row in ids], dtype=np.int64)


@pytest.mark.parametrize("run", [run_onnx, run_openvino])
def test_a_text_classifier_answers_from_ids_and_names_its_labels(tmp_path: Path, run: Any) -> None:
    model, texts = text_classifier(), ["so good", "a film", "really bad fun, so good", "unheard of"]
    to_onnx(model, tmp_path / "model.onnx")
    said = about(tmp_path / "model.onnx")
    x = encode_by_metadata(said, texts)
    found = run(tmp_path / "model.onnx", {"tokens": padded(x, time=6, fill=-1), "sequence_lens": lens(x)})
    assert_close(found["probabilities"], model.predict_proba(texts))
    labels = json.loads(said["labels"])
    assert [labels[best] for best in found["logits"].argmax(axis=1)] == model.predict(texts).tolist()
    assert said["task"] == "text-classifier"


@pytest.mark.parametrize("run", [run_onnx, run_openvino])
@pytest.mark.parametrize("options", [{}, {"evidence": 0}, {"linear": False}, {"max_tokens": 2, "keep": "first"}])
def test_a_text_classifier_that_counts_n_grams_answers_from_what_is_prepared(
    tmp_path: Path, run: Any, options: dict[str, Any]
) -> None:
    model = tg.TextClassifier(hidden_size=5, epochs=2, **options).fit(TEXTS, LABELS)
    texts = ["so good", "a film", "really bad fun, so good", "", "unheard of"]
    to_onnx(model, tmp_path / "model.onnx")
    found = run(tmp_path / "model.onnx", graph_inputs(model, texts))
    assert_close(found["probabilities"], model.predict_proba(texts))
    said = about(tmp_path / "model.onnx")
    assert said["prepared_by"] == "tidegate.export.graph_inputs"
    assert json.loads(said["labels"]) == ["neg", "pos"]


def test_inputs_of_a_graph_are_prepared_of_text_alone() -> None:
    model = text_classifier()
    prepared = graph_inputs(model, ["so good", "bad"])
    wanted = model.preparation_.tokenizer.encode(["so good", "bad"])
    assert prepared["tokens"].tolist() == [wanted[0].tolist(), [*wanted[1].tolist(), 0]]
    assert prepared["sequence_lens"].tolist() == [2, 1]
    signals = tg.SequenceClassifier(hidden_size=2, epochs=1, validation_fraction=0)
    signals.fit([[[1.0]], [[2.0]]] * 4, [0, 1] * 4)
    with pytest.raises(InputError, match="reads features, which its graph takes as they are measured"):
        graph_inputs(signals, [[[1.0]]])
    with pytest.raises(InputError, match="prepares nothing"):
        graph_inputs(tg.Network, ["good"])


@pytest.mark.parametrize("options", [{"characters": True}, {"characters": False}, {"characters": False, "evidence": 2}])
def test_the_words_of_a_tagger_are_prepared_as_its_graph_reads_them(tmp_path: Path, options: dict[str, Any]) -> None:
    tagger = tg.TokenTagger(hidden_size=4, epochs=1, batch_size=4, min_count=1, **options).fit(SENTENCES, TAGS)
    to_onnx(tagger, tmp_path / "tagger.onnx")
    found = run_onnx(tmp_path / "tagger.onnx", graph_inputs(tagger, SENTENCES[:3]))
    assert [best_tags(found, row, len(words)) for row, words in enumerate(SENTENCES[:3])] == [
        [json.loads(about(tmp_path / "tagger.onnx")["labels"]).index(tag) for tag in tags]
        for tags in tagger.predict(SENTENCES[:3])
    ]


@pytest.mark.parametrize("run", [run_onnx, run_openvino])
@pytest.mark.parametrize("options", [{}, {"bidirectional": False, "cell": "gru"}, {"scale": False, "dense_size": 3}])
def test_a_sequence_classifier_reads_numbers_as_they_were_measured(
    tmp_path: Path, run: Any, options: dict[str, Any]
) -> None:
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((length, 2)) * [0.01, 50] + [4, 1e4] for length in range(1, 33)]
    y = [len(x) % 2 for x in X]
    model = tg.SequenceClassifier(hidden_size=4, epochs=3, **options).fit(X, y)
    to_onnx(model, tmp_path / "model.onnx")
    x = Ragged.from_list([*X[:7], X[0][:0]], dtype=np.float32)
    found = run(tmp_path / "model.onnx", {"features": padded(x), "sequence_lens": lens(x)})
    # OpenVINO scales in float32: of 1e4 with a deviation of 50 there are five digits left.
    assert_close(found["probabilities"], model.predict_proba(x), atol=1e-5 if run is run_onnx else 1e-4)
    assert json.loads(about(tmp_path / "model.onnx")["labels"]) == [0, 1]


# --- taggers


def best_tags(found: Arrays, row: int, length: int) -> list[int]:
    """Find the best path of one sentence (Viterbi 1967)."""
    emissions, moves = found["emissions"][row, :length].astype(float), found["transitions"].astype(float)
    score, back = found["start"] + emissions[0], []
    for emission in emissions[1:]:
        paths = score[:, None] + moves + emission
        back.append(paths.argmax(axis=0))
        score = paths.max(axis=0)
    tags = [int((score + found["end"]).argmax())]
    for came_from in reversed(back):
        tags.append(int(came_from[tags[-1]]))
    return tags[::-1]


@pytest.mark.parametrize("run", [run_onnx, run_openvino])
@pytest.mark.parametrize("kind", ["words", "characters", "no dropout", "pairs"])
def test_a_tagger_gives_scores_whose_best_path_is_what_it_predicts(tmp_path: Path, run: Any, kind: str) -> None:
    model = taggers()[kind]
    sentences = [["勇", "高", "国"], ["男"]] if kind == "pairs" else [["Tidal", "boats", "sail", "on"], ["the", "sea"]]
    to_onnx(model, tmp_path / "model.onnx")
    x, _ = model.prepare(sentences)
    words = x if isinstance(x, Ragged) else x.tokens
    inputs = {"tokens": padded(words, fill=-1).astype(np.int64), "sequence_lens": lens(words)}
    if isinstance(x, Words):
        inputs["spelling"] = padded(words.with_values(x.spelling), fill=-1)
        inputs["characters"] = padded(x.spellings, fill=-1).astype(np.int64)
        inputs["character_lens"] = lens(x.spellings)
    found = run(tmp_path / "model.onnx", inputs)
    labels = json.loads(about(tmp_path / "model.onnx")["labels"])
    assert tuple(labels) == model.tags_
    paths = [[labels[tag] for tag in best_tags(found, row, len(s))] for row, s in enumerate(sentences)]
    assert paths == model.predict(sentences)


def test_the_tokenizers_of_a_tagger_read_words_and_characters(tmp_path: Path) -> None:
    model = taggers()["characters"]
    to_onnx(model, tmp_path / "model.onnx")
    said = about(tmp_path / "model.onnx")
    x, words = model.prepare([["Anna", "Tides", "x" * 60]])
    assert isinstance(x, Words)
    vocabulary, letters = (tokenizers.Tokenizer.from_str(said[part]) for part in ("vocabulary", "spelling"))
    assert [vocabulary.encode(word).ids[0] for word in words] == x.tokens.values.tolist()
    most = int(said["max_characters"])
    spelled = [letters.encode(word).ids[:most] for word in words]
    assert spelled == [x.spellings[which].tolist() for which in x.spelling]


# --- language models


def ids_of(model: tg.LanguageModel, texts: list[str]) -> Ragged:
    x, _ = model.prepare(texts)
    return Ragged(x.values.astype(np.int64), x.offsets)


@pytest.mark.parametrize("run", [run_onnx, run_openvino])
@pytest.mark.parametrize(("cell", "layers", "tied"), [("lstm", 1, True), ("gru", 2, False), ("rnn", 1, False)])
def test_a_language_model_foresees_the_same_token(tmp_path: Path, run: Any, cell: str, layers: int, tied: bool) -> None:
    model, texts = language_model(cell, layers, tied), ["the sea", "", "the wood is deep and"]
    to_onnx(model, tmp_path / "model.onnx")
    x = ids_of(model, texts)
    found = run(tmp_path / "model.onnx", {"tokens": padded(x, fill=-1), "sequence_lens": lens(x)})
    assert_close(found["probabilities"], model.predict_proba(texts))


@pytest.mark.parametrize("run", [run_onnx, run_openvino])
def test_a_language_model_writes_token_by_token_through_its_states(tmp_path: Path, run: Any) -> None:
    model, states = language_model("lstm", 1, True), "required" if run is run_openvino else "optional"
    to_onnx(model, tmp_path / "model.onnx", states=states)  # type: ignore[arg-type]
    said = about(tmp_path / "model.onnx")
    tokenizer, start, end = tokenizers.Tokenizer.from_str(said["tokenizer"]), int(said["start"]), int(said["end"])
    state = {name: np.zeros((1, 1, 12), np.float32) for name in ("h0_1", "c0_1")} if states == "required" else {}
    tokens = np.array([[start, *tokenizer.encode("the sea").ids]])
    written: list[int] = []
    while len(written) < 12:
        inputs = {"tokens": tokens, "sequence_lens": np.array([tokens.shape[1]], np.int32), **state}
        found = run(tmp_path / "model.onnx", inputs)
        best = found["probabilities"][0]
        best[[0, start]] = 0  # what is never written: the unknown token, and the start of a text
        if (token := int(best.argmax())) == end:
            break
        written.append(token)
        tokens = np.array([[token]])
        state = {name.replace("n_", "0_"): found[name] for name in ("hn_1", "cn_1")}
    words = [tokenizer.id_to_token(token) for token in written]
    assert words == model.generate("the sea", length=12, temperature=0).split()
    assert words


@pytest.mark.parametrize(("cell", "layers", "tied"), [("lstm", 1, True), ("gru", 2, False), ("rnn", 1, False)])
def test_two_chunks_of_a_text_equal_the_whole(tmp_path: Path, cell: str, layers: int, tied: bool) -> None:
    to_onnx(language_model(cell, layers, tied), tmp_path / "model.onnx")
    tokens = ids_of(language_model(cell, layers, tied), ["the sea is deep and dark"]).values[None]  # [1, T]

    def read(piece: Array, states: Arrays) -> Arrays:
        inputs = {"tokens": piece, "sequence_lens": np.array([piece.shape[1]], np.int32)}
        return run_onnx(tmp_path / "model.onnx", inputs | states)

    whole, first = read(tokens, {}), read(tokens[:, :3], {})
    second = read(tokens[:, 3:], {name.replace("n_", "0_"): array for name, array in first.items() if "n_" in name})
    assert_close(np.concatenate([first["logits"], second["logits"]], axis=1), whole["logits"])
    for name in whole.keys() - {"logits"}:
        assert_close(second[name], whole[name])


# --- forecasters


def waves(count: int = 130) -> Array:
    """Two series of unlike size, one far from zero."""
    time = np.arange(count)
    return np.stack([np.sin(time / 24 * 2 * np.pi) * 3 + 1000, np.cos(time / 12 * np.pi) * 0.01 + time * 1e-4], axis=1)


NETWORKS: dict[str, dict[str, Any]] = {
    "segrnn": {},
    "segrnn, quantiles": {"quantiles": (0.1, 0.5, 0.9), "window_scaling": "standard", "cell": "lstm"},
    "all from all": {"independent": False, "window_scaling": "off", "num_layers": 2},
    "stepwise": {"segment": 0, "window_scaling": "standard"},
    "stepwise both ways": {"segment": 0, "independent": False, "bidirectional": True, "quantiles": (0.2, 0.8)},
    "segments that do not divide the horizon": {"segment": 6, "cell": "rnn"},
}


@pytest.mark.parametrize("run", [run_onnx, run_openvino])
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_forecaster_reads_and_gives_numbers_in_the_unit_of_the_data(tmp_path: Path, run: Any, kind: str) -> None:
    series = waves()
    model = tg.Forecaster(lookback=24, horizon=7, hidden_size=6, epochs=1, **NETWORKS[kind]).fit(series)
    to_onnx(model, tmp_path / "model.onnx")
    (wanted,) = model.predict(series)
    found = run(tmp_path / "model.onnx", {"observed": series[None, -24:]})
    # OpenVINO scales in float32: of 1000 with a deviation of 2 there are four to five digits left.
    atol = np.array([1e-5, 1e-7]) if run is run_onnx else np.array([3e-4, 1e-6])
    assert (np.abs(found["forecast"][0] - wanted.mean) < atol).all()
    levels = json.loads(about(tmp_path / "model.onnx")["quantiles"])
    assert levels == list(wanted.quantiles)
    for index, values in enumerate(wanted.quantiles.values()):
        assert (np.abs(found["quantiles"][0, :, :, index] - values) < atol).all()


@pytest.mark.parametrize("preset", ["segrnn", "lstm", "bilstm"])
def test_the_networks_of_the_presets_are_exported(tmp_path: Path, preset: str) -> None:
    series = waves(260)
    model = tg.Forecaster.from_preset(preset, epochs=1, validation_fraction=0).fit(series)
    to_onnx(model, tmp_path / "model.onnx")
    (wanted,) = model.predict(series)
    found = run_onnx(tmp_path / "model.onnx", {"observed": series[None, -96:]})
    assert (np.abs(found["forecast"][0] - wanted.mean) < [1e-5, 1e-7]).all()


def test_a_recursive_forecaster_gives_its_steps_at_once_and_the_caller_goes_on(tmp_path: Path) -> None:
    series = waves()
    options: dict[str, Any] = {"strategy": "recursive", "steps_at_once": 2, "segment": 0, "window_scaling": "off"}
    model = tg.Forecaster(lookback=24, horizon=6, hidden_size=6, epochs=1, **options).fit(series)
    to_onnx(model, tmp_path / "model.onnx")
    (wanted,) = model.predict(series)
    window, parts = series[None, -24:], []
    for _ in range(3):
        parts.append(run_onnx(tmp_path / "model.onnx", {"observed": window})["forecast"])
        window = np.concatenate([window, parts[-1]], axis=1)[:, 2:]
    assert (np.abs(np.concatenate(parts, axis=1)[0] - wanted.mean) < [3e-5, 1e-6]).all()


@pytest.mark.parametrize("horizon", [5, 30])
def test_a_forecaster_is_told_what_is_known_in_the_future(tmp_path: Path, horizon: int) -> None:
    count, begin = 200, np.datetime64("2026-01-01", "h")
    times, rng = begin + np.arange(count), np.random.default_rng(0)
    price, wind = rng.uniform(5, 9, count), rng.uniform(0, 100, count)
    load = np.roll(price, 2) * 10 + np.sin(np.arange(count) / 24 * 2 * np.pi)
    table: dict[str, Any] = {"ds": times.astype(str), "y": load, "wind": wind, "price": price}
    options: dict[str, Any] = {"lookback": 24, "horizon": horizon, "hidden_size": 6, "epochs": 1, "calendar": True}
    options["validation_fraction"] = 0
    series = tg.data.load(_csv(tmp_path / "load.csv", table), **_COLUMNS)
    model = tg.Forecaster(**options).fit(series.train.x)
    to_onnx(model, tmp_path / "model.onnx")
    assert json.loads(about(tmp_path / "model.onnx")["columns"]) == ["y", "wind", "price"]
    cut = {name: values.copy() for name, values in table.items()}
    for name in ("y", "wind"):
        cut[name][count - horizon :] = np.nan
    (wanted,) = model.predict(tg.data.load(_csv(tmp_path / "cut.csv", cut), **_COLUMNS).train.x)
    last = slice(count - horizon - 24, count - horizon)
    window = slice(count - horizon - 24, count)
    inputs = {
        "observed": np.stack([load[last], wind[last]], axis=1)[None],
        "known": np.concatenate([price[window, None], calendar(times[window].astype("datetime64[ms]"))], axis=1)[None],
    }
    found = run_onnx(tmp_path / "model.onnx", inputs)["forecast"]
    assert_close(found[0], wanted.mean, atol=1e-4)


_COLUMNS: dict[str, Any] = {"kind": "series", "target_columns": "y", "past_columns": "wind", "future_columns": "price"}


def _csv(path: Path, table: dict[str, Any]) -> Path:
    rows = zip(*table.values(), strict=True)
    lines = [",".join("" if value != value else str(value) for value in row) for row in rows]
    path.write_text("\n".join([",".join(table), *lines]) + "\n")
    return path


@pytest.mark.parametrize("run", [run_onnx, run_openvino])
def test_each_series_may_bring_the_scaling_that_it_was_trained_with(tmp_path: Path, run: Any) -> None:
    """OpenVINO takes what has a default for a constant."""
    series = [waves()[:, :1], waves()[:, 1:]]
    model = tg.Forecaster(lookback=24, horizon=4, hidden_size=6, epochs=1).fit(series)
    exported = to_onnx(model, tmp_path / "model.onnx", states="required" if run is run_openvino else "optional")
    optional = {value.name for value in exported.inputs if value.optional}
    assert optional == (set() if run is run_openvino else {"scaling_mean", "scaling_deviation"})
    scaling = json.loads(about(tmp_path / "model.onnx")["scaling"])
    wanted = model.predict(series)
    inputs = {"observed": np.stack([one[-24:] for one in series])}
    for ours, name in (("means", "scaling_mean"), ("deviations", "scaling_deviation")):
        inputs[name] = np.array([scaling[ours][forecast.name] for forecast in wanted])
    found = run(tmp_path / "model.onnx", inputs)["forecast"]
    for one, forecast, atol in zip(found, wanted, (1e-5, 1e-7) if run is run_onnx else (3e-4, 1e-6), strict=True):
        assert_close(one, forecast.mean, atol=atol)
