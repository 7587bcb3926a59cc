"""A classifier learns of texts without labels what its teacher says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from classifiers import PLAIN
from samples import texts
from tidegate.errors import DataError, InputError, ModelFileError, RunFolderError, ShapeError
from tidegate.tasks.classifying.labelled import Labelled
from tidegate.tasks.classifying.teaching import Teacher, Unlabelled, set_apart

SMALL: dict[str, Any] = {"hidden_size": 4, "embedding_size": 4, "epochs": 3, "batch_size": 8}
X, Y = texts(48)
OTHERS = ["zephyr " + text for text in texts(24, seed=9)[0]]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("teacher") / "model.safetensors"
    tg.TextClassifier(**SMALL).fit(X, Y).save(path)
    return path


class Sure:
    """Say of each text what it is told to, by its number."""

    classes_ = np.array(["sea", "wood"])

    def predict_proba(self, X: list[str]) -> Any:
        return np.array([[float(text), 1 - float(text)] for text in X], np.float32)


def bits(model: Any) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in model.weights_.items()}


@pytest.mark.parametrize("params", [{}, PLAIN])
def test_where_every_text_has_a_label_the_teacher_says_nothing(teacher: Path, params: dict[str, Any]) -> None:
    plain = tg.TextClassifier(**SMALL, **params).fit(X, Y)
    assert bits(tg.TextClassifier(**SMALL, **params, teacher=teacher).fit(X, Y)) == bits(plain)


@pytest.mark.parametrize("params", [{}, PLAIN])
def test_words_of_texts_without_labels_are_learned(teacher: Path, params: dict[str, Any]) -> None:
    mixed, labels = [*OTHERS[:12], *X, *OTHERS[12:]], [*[None] * 12, *Y, *[float("nan")] * 12]
    model = tg.TextClassifier(**SMALL, **params, teacher=teacher).fit(mixed, labels)
    assert "zephyr" in model.preparation_.tokenizer.vocabulary
    assert model.classes_.tolist() == ["sea", "wood"]
    assert model.score(X, Y) > 0.9


def test_what_the_teacher_says_stands_in_the_place_of_labels() -> None:
    learn, classes, others = set_apart(
        ["a", "0.75", "b", "0.001", "c"], ["wood", None, "sea", None, "wood"], [1, 2, 3, 4, 5]
    )
    assert classes.tolist() == ["sea", "wood"]
    assert (learn.x, learn.y.tolist(), others.x) == (["a", "b", "c"], [1, 0, 1], ["0.75", "0.001"])
    taught = Teacher(Sure()).teach(learn, others, classes)
    assert taught.soft is not None and taught.rows is not None and taught.weights is not None
    assert taught.soft.tolist() == [[0, 1], [1, 0], [0, 1], [0.75, 0.25], [0, 1]]
    assert taught.y.tolist() == [1, 0, 1, 0, 1]
    assert taught.rows.tolist() == [0, 2, 4, 1, 3]
    assert taught.weights.tolist() == [1, 3, 5, 2, 4]
    assert taught.select(np.array([3])).soft is not None


def test_rows_of_weight_zero_are_left_out_and_the_others_keep_their_place() -> None:
    texts, labels = ["a", "0.5", "b", "0.1", "c"], ["wood", None, "sea", None, "wood"]
    learn, _, others = set_apart(texts, labels, [0, 0, 1, 1, 1])
    assert (learn.x, others.x) == (["b", "c"], ["0.1"])
    taught = Teacher(Sure()).teach(learn, others, Sure.classes_)
    assert taught.rows is not None and taught.rows.tolist() == [2, 4, 3]


def test_a_teacher_of_many_texts_reads_them_piece_by_piece_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    others = Unlabelled([str(number / 10) for number in range(11)], np.arange(11), None)
    learn = Labelled(["a", "b"], np.array([0, 1]))
    whole = Teacher(Sure()).teach(learn, others, Sure.classes_)
    monkeypatch.setattr("tidegate.tasks.classifying.teaching._AT_ONCE", 3)
    parts = Teacher(Sure()).teach(learn, others, Sure.classes_)
    assert whole.soft is not None and parts.soft is not None
    assert whole.soft.tobytes() == parts.soft.tobytes()


def test_what_cannot_teach_is_refused(teacher: Path, tmp_path: Path) -> None:
    def refused(error: type[Exception], told: str, path: Path, labels: Any) -> None:
        with pytest.raises(error, match=told):
            tg.TextClassifier(**SMALL, teacher=path).fit([*X, *OTHERS], labels)

    some = [*Y, *[None] * 24]
    refused(InputError, "there is no model file", tmp_path / "absent", some)
    refused(
        InputError, r"the teacher tells 2 classes \('sea', 'wood'\) apart", teacher, [*["x", "y"] * 24, *[None] * 24]
    )
    refused(ShapeError, "72", teacher, [*Y, None])
    refused(InputError, "may have several", teacher, [[label] for label in Y] + [[]] * 24)
    refused(InputError, "none of the 72 texts has a label", teacher, [None] * 72)
    (tmp_path / "broken").write_bytes(teacher.read_bytes()[:-5])
    refused(ModelFileError, "broken", tmp_path / "broken", some)
    tg.LanguageModel(hidden_size=2, epochs=1, steps=4).fit(X).save(tmp_path / "words")
    refused(InputError, "holds no text-classifier", tmp_path / "words", some)
    with pytest.raises(DataError, match="has no label"):
        tg.TextClassifier(**SMALL).fit([*X, *OTHERS], some)


def test_a_run_goes_on_with_the_same_teacher_alone(teacher: Path, tmp_path: Path) -> None:
    kept = tmp_path / "teacher.safetensors"
    kept.write_bytes(teacher.read_bytes())
    teacher = kept
    data = [*X, *OTHERS], [*Y, *[None] * 24]
    model = tg.TextClassifier(**SMALL, teacher=teacher)
    whole = model.fit(*data)
    steps = tg.TextClassifier(**SMALL, teacher=teacher).fit_steps(*data, run_dir=tmp_path / "run")
    for _ in range(4):
        next(steps)
    steps.close()
    again = tg.TextClassifier(**SMALL, teacher=teacher)
    for _ in again.fit_steps(*data, resume=tmp_path / "run"):
        pass
    assert bits(again) == bits(whole)
    steps = tg.TextClassifier(**SMALL, teacher=teacher).fit_steps(*data, run_dir=tmp_path / "other")
    next(steps)
    steps.close()
    tg.TextClassifier(**SMALL, seed=3).fit(X, Y).save(teacher)
    with pytest.raises(RunFolderError, match="other data"):
        tg.TextClassifier(**SMALL, teacher=teacher).fit_steps(*data, resume=tmp_path / "other")
