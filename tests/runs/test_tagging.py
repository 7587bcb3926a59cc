"""Taggers from the command line, and their metrics: kept equal to seqeval's strict scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

import tidegate as tg
from commands import Cli
from posts import SMALL, posts
from tidegate import runs
from tidegate.data import Examples, schemes
from tidegate.errors import DataError, OddTagsWarning
from tidegate.tasks.tagging.scores import score_spans

TRAIN = ["--task", "tag", *(part for name, value in SMALL.items() for part in ("--set", f"{name}={value}"))]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    tg.TokenTagger(**SMALL).fit(*posts(80)).save(path)
    return path


def columns(X: list[list[str]], y: list[list[str]]) -> str:
    return "\n".join("".join(f"{w}\t{t}\n" for w, t in zip(*each, strict=True)) for each in zip(X, y, strict=True))


def sentences(lengths: list[int]) -> st.SearchStrategy[list[list[str]]]:
    """Draw valid tags for sentences of these lengths."""

    def tags(length: int) -> st.SearchStrategy[list[str]]:
        letters = st.lists(st.sampled_from(["O", "B-a", "B-b", "I-a", "I-b"]), min_size=length, max_size=length)
        return letters.map(lambda drawn: schemes.convert(drawn, "bio"))

    return st.tuples(*map(tags, lengths)).map(list)


@given(st.data())
def test_spans_are_scored_as_seqeval_does_in_strict_mode(data: Any) -> None:
    lengths = data.draw(st.lists(st.integers(1, 8), min_size=1, max_size=6))
    true, predicted = data.draw(sentences(lengths)), data.draw(sentences(lengths))
    true[0][0], predicted[0][0] = "B-a", "B-a"  # so that there is something to score
    true[0], predicted[0] = (schemes.convert(part[0], "bio") for part in (true, predicted))
    whole, each = score_spans(true, predicted)
    wanted = classification_report(true, predicted, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
    for found, row in [
        (whole, wanted["micro avg"]),
        *((each[label], wanted[label]) for label in each if label in wanted),
    ]:
        assert (found.precision, found.recall, found.f1) == pytest.approx(
            (row["precision"], row["recall"], row["f1-score"]), abs=1e-12
        )
        assert found.count == row["support"]


def test_other_schemes_are_scored_like_the_same_spans_in_bio() -> None:
    true = [["B-a", "I-a", "O", "B-b"], ["B-a"]]
    predicted = [["B-a", "I-a", "B-b", "I-b"], ["B-a"]]
    wanted = score_spans(true, predicted)
    assert wanted[0].f1 == pytest.approx(2 / 3)
    for scheme in schemes.SCHEMES:
        assert score_spans(*([schemes.convert(tags, scheme) for tags in part] for part in (true, predicted))) == wanted
    assert score_spans([["O"]], [["O"]])[0].f1 == 0.0


def test_an_evaluation_counts_words_spans_and_labels(names: Path) -> None:
    model = tg.load(names)
    X = [["Ada", "saw", "New", "York"], ["Rex", "left"]]
    predicted = model.predict(X)
    assert predicted == [["B-person", "O", "B-place", "I-place"], ["B-person", "O"]]
    found = runs.evaluate(model, Examples(X, [["B-person", "O", "B-place", "O"], ["B-place", "O"]]))
    whole = {"f1": 1 / 3, "precision": 1 / 3, "recall": 1 / 3, "accuracy": 4 / 6}
    assert found.measures() == pytest.approx(whole | {"macro_f1": (2 / 3 + 0) / 2, "worst_recall": 0.0})
    assert found.neglect is not None and found.neglect.worst == "place"
    assert found.warnings() == []
    assert [row["label"] for row in found.table()] == ["person", "place"]
    assert found.table()[0] == {
        "label": "person",
        "precision": "0.5000",
        "recall": "1.0000",
        "f1": "0.6667",
        "count": 1,
    }
    assert found.examples == 2


def test_the_measure_of_training_is_that_of_the_evaluation(names: Path) -> None:
    """The quick count behind `valid_f1` against the scores of spans."""
    X, y = posts(60, seed=9)
    y[0] = ["O"] * len(y[0])
    tagger = tg.TokenTagger(**SMALL | {"epochs": 2, "learning_rate": 5e-3})
    *_, last = tagger.fit_steps(*posts(60), valid=(X, y))
    found = runs.evaluate(tagger, Examples(X, y)).measures()
    assert last.valid is not None
    assert {name: last.valid[name] for name in ("f1", "accuracy")} == pytest.approx(
        {name: found[name] for name in ("f1", "accuracy")}, rel=1e-12
    )


def test_tags_without_spans_are_scored_one_by_one() -> None:
    X, y = [["a", "b", "c"]] * 4, [["X", "Y", "X"]] * 4
    model = tg.TokenTagger(**SMALL | {"validation_fraction": 0.0}).fit(X, y)
    found = runs.evaluate(model, Examples([["a", "b", "c"]], [["X", "Y", "Y"]]))
    assert found.measures() == pytest.approx({"accuracy": 2 / 3, "macro_f1": 2 / 3, "worst_recall": 0.5})
    assert [(row["tag"], row["precision"], row["recall"]) for row in found.table()] == [
        ("X", "0.5000", "1.0000"),
        ("Y", "1.0000", "0.5000"),
    ]


def test_a_tag_that_training_never_had_counts_as_wrong_and_is_named(names: Path) -> None:
    model = tg.load(names)
    with pytest.warns(UserWarning, match="no training sentence has the tag 'B-beast'.*1 of 2 words"):
        found = runs.evaluate(model, Examples([["Ada", "saw"]], [["B-beast", "O"]]))
    assert found.measures()["accuracy"] == 0.5
    with pytest.raises(DataError, match=r"y\[0\]\[0\] is 'I-person', which the scheme BIO"):
        runs.evaluate(model, Examples([["Ada", "saw"]], [["I-person", "O"]]))
    with pytest.raises(DataError, match="no examples"):
        runs.evaluate(model, Examples([], []))


def test_odd_tags_are_measured_as_what_was_made_of_them(names: Path) -> None:
    model = tg.load(names)
    X = [["Ada", "saw", "Bern"]] * 3
    tags = model.predict(X)[0]
    with pytest.warns(OddTagsWarning, match=r"y\[2\]\[1\] is '0', .* nor 0 others of 9"):
        odd = runs.evaluate(model, Examples(X, [tags, tags, [tags[0], "0", tags[2]]]))
    assert odd.measures() == runs.evaluate(model, Examples(X, [tags, tags, [tags[0], "O", tags[2]]])).measures()


def test_a_tagger_is_trained_evaluated_and_asked_on_the_command_line(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "names.conll"
    file.write_text(columns(*posts(80)))
    answer = cli("train", file, *TRAIN, "--split", 0.25, "--out", tmp_path / "run", "--json")
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    assert (result["task"], result["chief"]) == ("token-tagger", "f1")
    assert result["test"]["f1"] > 0.9
    assert set(result["valid"]) == {"loss", "accuracy", "f1", "macro_f1", "worst_recall", "worst_class"}
    assert (tmp_path / "run" / "report.html").stat().st_size > 1000
    measured = json.loads(cli("evaluate", tmp_path / "run", file, "--json").out)
    assert measured["each"].keys() == {"person", "place"}
    assert "precision  recall" in cli("evaluate", tmp_path / "run", file).out
    again = cli("train", "--recipe", tmp_path / "run", "--out", tmp_path / "again")
    assert again.code == 0, again.err
    assert (tmp_path / "again/model.safetensors").read_bytes() == (tmp_path / "run/model.safetensors").read_bytes()
    assert "test f1" in again.out
    assert f"tidegate predict {tmp_path / 'again'} TEXT" in again.err


def test_predict_prints_a_line_for_each_word_and_an_empty_one_for_each_text(cli: Cli, names: Path) -> None:
    answer = cli("predict", names, stdin=b"Ada saw New York\nRex left\n")
    rows = [line.split("\t") for line in answer.out.splitlines()]
    assert [row[:2] for row in rows] == [
        ["Ada", "B-person"], ["saw", "O"], ["New", "B-place"], ["York", "I-place"], [""], ["Rex", "B-person"],
        ["left", "O"], [""],
    ]  # fmt: skip
    assert all(0.5 < float(row[2]) <= 1 for row in rows if len(row) > 1)


def test_predict_prints_spans_with_their_places(cli: Cli, names: Path) -> None:
    answer = cli("predict", names, "--spans", "Ada saw  New York")
    rows = [line.split("\t") for line in answer.out.splitlines()]
    assert [[*row[:3], *row[4:]] for row in rows[:-1]] == [
        ["person", "0", "3", "Ada"],
        ["place", "9", "17", "New York"],
    ]
    [found] = map(json.loads, cli("predict", names, "--json", "Ada saw  New York").out.splitlines())
    assert [span["text"] for span in found["spans"]] == ["Ada", "New York"]
    assert [word["tag"] for word in found["words"]] == ["B-person", "O", "B-place", "I-place"]
    assert found["words"][2]["start"] == 9
    np.testing.assert_array_less(0.5, [word["probability"] for word in found["words"]])


def test_each_text_ends_with_an_empty_line_one_without_words_too(cli: Cli, names: Path) -> None:
    answer = cli("predict", names, "--json", stdin=b"Ada\n\nBern\n")
    assert [len(json.loads(line)["words"]) for line in answer.out.splitlines()] == [1, 0, 1]
    assert cli("predict", names, stdin=b"Ada\n\nBern\n").out.count("\n\n") == 2
    assert len(cli("predict", names, "--stream", stdin=b"Ada\n\nBern\n").out.splitlines()) == 5


def test_spans_are_for_taggers(cli: Cli, tmp_path: Path) -> None:
    texts, labels = ["good", "bad"] * 8, ["pos", "neg"] * 8
    tg.TextClassifier(hidden_size=4, epochs=1).fit(texts, labels).save(tmp_path / "model")
    answer = cli("predict", tmp_path / "model", "--spans", "good")
    assert (answer.code, answer.out) == (2, "")
    assert "--spans is for taggers, but" in answer.err


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (("--task", "tags"), "unknown task 'tags'. Did you mean 'tag'"),
        (("--task", "tag", "--column", "3"), "line 1 has 2 columns, so there is no tag in column 3"),
        (("--column", "3"), "column says how to read a file of the kind 'tagged', but"),
    ],
)
def test_options_that_do_not_fit_are_refused(cli: Cli, tmp_path: Path, line: tuple[str, ...], reason: str) -> None:
    (tmp_path / "names.conll").write_text("Ada\tB-person\n")
    answer = cli("train", tmp_path / "names.conll", *line)
    assert answer.code == 2
    assert reason in answer.err


def test_set_ups_are_compared(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "names.conll").write_text(columns(*posts(60)))
    sizes = [part for name in ("hidden_size=8", "embedding_size=6", "epochs=2") for part in ("--set", name)]
    presets = "tagger-words,tagger-characters"
    line = ("compare", tmp_path / "names.conll", "--task", "tag", "--presets", presets, *sizes)
    answer = cli(*line, "--out", tmp_path / "both", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert [found[name]["params"]["characters"] for name in presets.split(",")] == [False, True]
    assert (tmp_path / "both" / "compare.html").is_file()
