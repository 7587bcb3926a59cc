"""Several labels for each input, or none: what is learned, measured, answered, kept and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss

import tidegate as tg
from classifiers import KINDS, NAMES, PLAIN, SMALL, Kind, draw_several
from graphs import lens, padded, run_onnx
from tidegate.checkpoint import load_model, save_model
from tidegate.data import Examples, load
from tidegate.errors import DataError, InputError, ModelFileError
from tidegate.export import graph_inputs, to_onnx
from tidegate.ragged import Ragged
from tidegate.runs import Labelling, Source, evaluate, start


def fitted(kind: Kind, **changes: Any) -> Any:
    return kind.task(**SMALL | {"epochs": 15, "validation_fraction": 0} | changes).fit(*draw_several(kind, 80))


def matrix(y: list[list[str]]) -> Any:
    return np.array([[name in labels for name in NAMES] for labels in y])


def test_labels_are_learned_each_by_itself(kind: Kind) -> None:
    model, (X, y) = fitted(kind), draw_several(kind, 100, seed=1)
    assert model.multilabel_
    assert model.classes_.tolist() == NAMES
    shares = model.predict_proba(X)
    said = model.predict(X)
    assert said.shape == (100,)
    assert said.tolist() == [[name for name, share in zip(NAMES, row, strict=True) if share > 0.5] for row in shares]
    assert f1_score(matrix(y), matrix(said.tolist()), average="micro") > 0.9
    assert [] in said.tolist()
    assert shares.sum(axis=1).min() < 0.5 and shares.sum(axis=1).max() > 1.5
    assert model.score(X, y) == accuracy_score(matrix(y), matrix(said.tolist()))


def test_the_probabilities_of_one_input_depend_on_that_alone(kind: Kind) -> None:
    model, (X, _) = fitted(kind, epochs=2), draw_several(kind, 30, seed=2)
    whole = model.predict_proba(X)
    assert all(model.predict_proba(X[at : at + 1]).tobytes() == row.tobytes() for at, row in enumerate(whole))


def test_scores_begin_with_how_frequent_each_label_is(kind: Kind) -> None:
    X, _ = draw_several(kind, 60)
    y = [["rare"] * (index < 3) + ["often"] * (index < 45) for index in range(60)]
    plain = PLAIN if kind is KINDS["text"] else {}
    small = SMALL | {"learning_rate": 1e-9, "epochs": 1, "validation_fraction": 0, "dropout": 0.0} | plain
    model = kind.task(**small).fit(X, y)
    last = f"{len(model.network_.nodes) - 1}.bias"
    np.testing.assert_allclose(model.weights_[last], [np.log(3 / 1), np.log(3 / 57)], rtol=1e-5)  # "often", "rare"


def test_many_classes_begin_with_how_frequent_each_is() -> None:
    y = [f"{number:02d}" for number in range(17) for _ in range(1 + (number == 0))]
    X = [f"word {label}" for label in y]
    few = tg.TextClassifier(**SMALL | PLAIN | {"learning_rate": 1e-9, "epochs": 1, "validation_fraction": 0})
    bias = few.fit(X, y).weights_[f"{len(few.network_.nodes) - 1}.bias"]
    np.testing.assert_allclose(np.exp(bias), [2 / 18] + [1 / 18] * 16, rtol=1e-5)


@pytest.mark.parametrize("form", [set, tuple, frozenset, np.array])
def test_labels_may_come_in_any_collection(kind: Kind, form: Any) -> None:
    X, y = draw_several(kind, 40)
    lists, others = (kind.task(**SMALL | {"epochs": 1}) for _ in range(2))
    lists.fit(X, y)
    others.fit(X, [form(labels) for labels in y])
    assert lists.predict_proba(X).tobytes() == others.predict_proba(X).tobytes()


def test_auto_takes_lists_for_several_labels_and_true_and_false_insist(kind: Kind) -> None:
    X, y = draw_several(kind, 40)
    one = [labels[0] if labels else NAMES[0] for labels in y]
    assert not kind.task(**SMALL | {"epochs": 1}).fit(X, one).multilabel_
    with pytest.raises(DataError, match=r"y\[0\] is 's.*'; wanted a list of labels, such as \['a', 'b'\]"):
        kind.task(**SMALL, multilabel=True).fit(X, one)
    with pytest.raises(DataError, match=r"a label must be a text, a whole number or a truth value"):
        kind.task(**SMALL, multilabel=False).fit(X, [["a"]] * 40)


def test_what_cannot_be_learned_from_is_refused(kind: Kind) -> None:
    X, y = draw_several(kind, 20)
    small = SMALL | {"epochs": 1}
    with pytest.raises(DataError, match=r"y\[3\] is 'sea'; wanted a list of labels"):
        kind.task(**small).fit(X, [*y[:3], "sea", *y[4:]])
    with pytest.raises(DataError, match=r"y\[5\] has no label"):
        kind.task(**small).fit(X, [*y[:5], ["sea", None], *y[6:]])
    with pytest.raises(DataError, match="none of the 20 examples has a label"):
        kind.task(**small).fit(X, [[]] * 20)
    with pytest.raises(InputError, match="class_weight='balanced' weighs inputs by their one class"):
        kind.task(**small, class_weight="balanced").fit(X, y)
    model = kind.task(**small).fit(X, y)
    with pytest.raises(DataError, match=r"y\[1\] has the label 'lake', which no training example has"):
        model.score(X[:2], [["sea"], ["sea", "lake"]])


def test_measures_are_those_of_scikit_learn(kind: Kind) -> None:
    model, held = fitted(kind, epochs=4, validation_fraction=0.25, patience=0), draw_several(kind, 60, seed=3)
    found = evaluate(model, Examples(*held))
    assert isinstance(found, Labelling)
    truth, said = matrix(held[1]), matrix(model.predict(held[0]).tolist())
    assert found.accuracy == pytest.approx(accuracy_score(truth, said))
    assert found.micro_f1 == pytest.approx(f1_score(truth, said, average="micro"))
    assert found.macro_f1 == pytest.approx(f1_score(truth, said, average="macro"))
    shares = model.predict_proba(held[0]).astype(float)
    losses = [log_loss(truth[:, k], shares[:, k], labels=[False, True]) for k in range(3)]
    assert found.loss == pytest.approx(sum(losses), rel=1e-5)
    assert model.chief_measure == "micro_f1"
    assert [row["label"] for row in found.table()] == NAMES


def test_training_measures_the_same_and_is_cooled(kind: Kind) -> None:
    held = draw_several(kind, 60, seed=3)
    model = kind.task(**SMALL | {"epochs": 3})
    list(model.fit_steps(*draw_several(kind, 60), valid=held))
    told, found = model.history_[-1], evaluate(model, Examples(*held)).measures()
    for name in ("accuracy", "micro_f1", "macro_f1", "loss", "uncalibrated_loss", "ece", "uncalibrated_ece"):
        rel = 5e-3 if name.startswith("un") else 1e-4  # scores that are taken back from float32 probabilities near one
        assert told[f"valid_{name}"] == pytest.approx(found[name], rel=rel, abs=1e-6), name
    assert found["loss"] < found["uncalibrated_loss"]


def test_weights_count_as_inputs_that_come_more_often(kind: Kind) -> None:
    X, y = draw_several(kind, 40)
    zero = kind.task(**SMALL | {"epochs": 2, "validation_fraction": 0})
    zero.fit([*X, X[0]], [*y, NAMES], sample_weight=[1] * 40 + [0])
    plain = kind.task(**SMALL | {"epochs": 2, "validation_fraction": 0}).fit(X, y)
    assert zero.predict_proba(X).tobytes() == plain.predict_proba(X).tobytes()


def test_a_refit_learns_from_what_was_held_out(kind: Kind) -> None:
    X, y = draw_several(kind, 60)
    params = SMALL | {"epochs": 2, "calibrate": False}
    again = kind.task(**params, refit=True).fit(X, y)
    plain = kind.task(**params | {"validation_fraction": 0}).fit(X, y)
    assert again.predict_proba(X).tobytes() == plain.predict_proba(X).tobytes()


def test_files_streams_and_graphs_say_the_same(kind: Kind, tmp_path: Path) -> None:
    words = PLAIN if kind is KINDS["text"] else {}
    model = fitted(kind, epochs=3, bidirectional=False, pooling=("last",), **words)
    X, _ = draw_several(kind, 5, seed=4)
    wanted = model.predict_proba(X)
    model.save(tmp_path / "model.safetensors")
    again = tg.load(tmp_path / "model.safetensors")
    assert again.multilabel_ and (again.predict_proba(X) == wanted).all()
    for x, row in zip(X, wanted, strict=True):
        stream = model.stream()
        told = [stream.step(step) for step in (x.split() if isinstance(x, str) else x)]
        assert (told[-1] == row).all()
    to_onnx(model, tmp_path / "model.onnx")
    if kind is KINDS["text"]:
        inputs = graph_inputs(model, X)
    else:
        x = Ragged.from_list(X, dtype=np.float32)
        inputs = {"features": padded(x), "sequence_lens": lens(x)}
    found = run_onnx(tmp_path / "model.onnx", inputs)["probabilities"]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


def test_a_file_that_does_not_say_whether_is_refused(tmp_path: Path) -> None:
    fitted(KINDS["sequence"], epochs=1).save(tmp_path / "model")
    read = load_model(tmp_path / "model")
    read.task["several"] = "yes"
    save_model(tmp_path / "bad", read.network, weights=read.weights, task=read.task)
    with pytest.raises(ModelFileError, match="whether inputs may have several labels is 'yes'"):
        tg.load(tmp_path / "bad")


def test_a_look_inside_gives_each_label_a_probability_of_its_own(kind: Kind) -> None:
    model, (X, _) = fitted(kind, epochs=3), draw_several(kind, 3, seed=5)
    found = tg.inspect.examine(model, X)
    np.testing.assert_allclose(found.probabilities, model.predict_proba(X), rtol=1e-5)
    gradient = tg.inspect.trace(model, X, target=NAMES[1])
    assert gradient.output.shape == (3, 3)


# --- files of labels -------------------------------------------------------------------------------------------------


def rows(count: int) -> list[tuple[str, list[str]]]:
    return list(zip(*draw_several(KINDS["text"], count), strict=True))


def test_lists_of_jsonl_and_parts_of_a_column_are_the_same_labels(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": t, "label": y}) + "\n" for t, y in rows(30)))
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"{t},{' | '.join(y)}\n" for t, y in rows(30)))
    lists, parted = load(tmp_path / "a.jsonl"), load(tmp_path / "a.csv", separator="|")
    assert lists.train.y == parted.train.y == [y for _, y in rows(30)]
    assert lists.classes == parted.classes == tuple(NAMES)
    held = load(tmp_path / "a.csv", separator="|", split=0.2).test
    assert held is not None and 0 < len(held) < 10


def test_a_row_without_a_list_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": ["x"]}\n{"text": "b", "label": "y"}\n')
    with pytest.raises(DataError, match=r"a\.jsonl, row 2 \(line 2\) has the label 'y', but others have lists"):
        load(tmp_path / "a.jsonl")
    (tmp_path / "b.jsonl").write_text('{"text": "a", "label": ["x", ""]}\n')
    with pytest.raises(DataError, match=r"b\.jsonl, row 1 \(line 1\) has no label"):
        load(tmp_path / "b.jsonl")


def test_a_run_reads_measures_and_answers_several_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tidegate.cli import main

    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"{t},{'|'.join(y)}\n" for t, y in rows(120)))
    source = Source(str(tmp_path / "a.csv"), {"separator": "|", "split": 0.25})
    training = start(source, params={"hidden_size": 4, "epochs": 6}, out=tmp_path / "run")
    result = training.run(baselines=True)
    assert result.chief == "micro_f1" and "test micro f1" in result.headline()
    assert [each.measure for each in result.baselines] == ["micro_f1"] * 2
    assert min(each.value or 0 for each in result.baselines) > 0.9  # one word decides
    assert main(["evaluate", str(tmp_path / "run"), str(tmp_path / "a.csv"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["micro_f1"] == result.test["micro_f1"]  # type: ignore[index]
    assert main(["predict", str(tmp_path / "run"), "wave tide oak moss", "the of"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("sea, wood\t") and lines[1].startswith("-\t")
    assert main(["predict", str(tmp_path / "run"), "wave tide oak moss", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["labels"] == ["sea", "wood"] and said["probabilities"].keys() == set(NAMES)


def test_a_label_that_every_input_has_can_be_learned() -> None:
    x, y = draw_several(KINDS["text"], 40)
    model = KINDS["text"].task(**SMALL | {"validation_fraction": 0.25}).fit(x, [[*labels, "any"] for labels in y])
    assert all("any" in labels for labels in model.predict(x))
    assert np.isfinite([record["loss"] for record in model.history_]).all()
