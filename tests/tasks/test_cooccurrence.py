"""Words begin with what they stand near: what is counted, the same everywhere, and what a classifier does with it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import tidegate as tg
from tidegate import kernels
from tidegate.errors import DataError, InputError
from tidegate.ragged import Ragged
from tidegate.tasks import cooccurrence
from tidegate.tasks.cooccurrence import WINDOW, learn_vectors

WORDS = 9
SMALL: dict[str, Any] = {"hidden_size": 4, "embedding_size": 6, "epochs": 2, "batch_size": 4}
PLAIN: dict[str, Any] = {"evidence": 0, "linear": False}
X = [f"{'salt wave' if index % 2 else 'oak fern'} {'tide ' * (index % 3)}mud" for index in range(24)]
Y = ["sea" if index % 2 else "wood" for index in range(24)]
MORE = ["the foam and the wave and the salt", "a fern by the oak", "wave upon wave, foam upon foam"] * 5


def texts(seed: int, count: int = 40) -> Ragged:
    rng = np.random.default_rng(seed)
    return Ragged.from_list([rng.integers(0, WORDS, rng.integers(0, 12)) for _ in range(count)], dtype=np.int32)


def information(tokens: Ragged) -> npt.NDArray[np.float64]:
    """Compute the matrix as it is defined, pair by pair."""
    near, counts = np.zeros((WORDS, WORDS)), np.bincount(tokens.values, minlength=WORDS)
    kept = [min(1.0, math.sqrt(1e-4 / (max(count, 1) / len(tokens.values)))) for count in counts]
    for text in tokens.to_list():
        for i, one in enumerate(text.tolist()):
            for j, other in enumerate(text.tolist()):
                if 0 < abs(i - j) <= WINDOW and one and other:
                    near[one, other] += (1 - (abs(i - j) - 1) / WINDOW) * kept[one] * kept[other]
    each, matrix = near.sum(axis=1), np.zeros((WORDS, WORDS))
    of_context = each**0.75 / (each**0.75).sum()
    for one, other in zip(*np.nonzero(near), strict=True):
        with_other = math.log(near[one, other] / each[one] / of_context[other])
        with_one = math.log(near[one, other] / each[other] / of_context[one])
        matrix[one, other] = max((with_other + with_one) / 2, 0)
    return matrix


@pytest.mark.parametrize("seed", range(5))
def test_the_matrix_is_that_of_the_definition(seed: int) -> None:
    tokens = texts(seed)
    column, value, offsets = cooccurrence._information(
        *cooccurrence._count_pairs(tokens, WORDS), cooccurrence._thinned(tokens, WORDS), WORDS
    )
    dense = np.zeros((WORDS, WORDS))
    dense[np.repeat(np.arange(WORDS), np.diff(offsets)), column] = value
    np.testing.assert_allclose(dense, information(tokens), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_vectors_are_the_leading_directions(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cooccurrence, "_TURNS", 2000)
    matrix, size = information(tokens := texts(seed, count=8)), 3
    vectors = learn_vectors(tokens, words=WORDS, size=size, seed=seed).astype(np.float64)
    known = np.asarray(matrix.any(axis=1))
    strength, directions = np.linalg.eigh(matrix)
    order = np.argsort(-np.abs(strength))[:size]
    best = directions[:, order] * np.sqrt(np.abs(strength[order]))
    best /= np.linalg.norm(best, axis=1, keepdims=True) + ~known[:, None]
    np.testing.assert_allclose(
        (vectors @ vectors.T)[known][:, known] / size, (best @ best.T)[known][:, known], atol=1e-3
    )
    np.testing.assert_allclose(np.mean(vectors[known] ** 2, axis=1), 1, rtol=1e-5)


def test_columns_that_depend_on_others_become_zeros_and_all_else_is_orthonormal() -> None:
    x = np.random.default_rng(0).normal(size=(50, 6))
    x[:, 3] = x[:, 0] - 2 * x[:, 1]
    found, length = cooccurrence._orthonormal(x)
    others = [0, 1, 2, 4, 5]
    np.testing.assert_allclose(found[:, others].T @ found[:, others], np.eye(5), atol=1e-12)
    np.testing.assert_allclose(length[others], np.abs(np.diag(np.linalg.qr(x[:, others])[1])), rtol=1e-12)
    assert not found[:, 3].any() and length[3] == 0


def test_how_many_tokens_are_counted_together_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = learn_vectors(texts(0), words=WORDS, size=4, seed=0)
    for at_once in (1, 7, 100):
        monkeypatch.setattr(cooccurrence, "_AT_ONCE", at_once)
        np.testing.assert_allclose(learn_vectors(texts(0), words=WORDS, size=4, seed=0), whole, rtol=1e-4, atol=1e-5)


def test_neither_threads_nor_instruction_sets_change_a_bit() -> None:
    rng = np.random.default_rng(0)
    tokens = Ragged.from_list([rng.zipf(1.3, 40) % 3000 for _ in range(500)], dtype=np.int32)
    found, threads_before, isa_before = set(), kernels.explicit_num_threads(), kernels.active_isa()
    try:
        for isa in kernels.available_isas():
            kernels.use_isa(isa)
            for threads in (1, 2, 3):
                kernels.set_num_threads(threads)
                found.add(learn_vectors(tokens, words=3000, size=8, seed=0).tobytes())
    finally:
        kernels.set_num_threads(threads_before)
        kernels.use_isa(isa_before)
    assert len(found) == 1


@pytest.mark.parametrize("lists", [[], [[]], [[0, 0, 0]], [[1], [2]]], ids=["no text", "empty", "unknown", "alone"])
def test_words_that_stand_near_nothing_are_drawn(lists: list[list[int]]) -> None:
    tokens = Ragged.from_list([np.array(row, np.int32) for row in lists], dtype=np.int32)
    vectors = learn_vectors(tokens, words=4, size=3, seed=0)
    assert np.isfinite(vectors).all() and len(np.unique(vectors)) == 12
    assert not np.array_equal(vectors, learn_vectors(tokens, words=4, size=3, seed=1))


def test_words_in_the_same_places_get_vectors_alike() -> None:
    rows = [[place, 5 + index % 2, place + 2] for index in range(40) for place in (1, 2)]
    vectors = learn_vectors(Ragged.from_list(rows, dtype=np.int32), words=7, size=4, seed=0)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert unit[5] @ unit[6] > 0.99
    assert abs(unit[1] @ unit[2]) < 0.9


@pytest.mark.parametrize("params", [{}, PLAIN], ids=["default", "words alone"])
def test_a_classifier_learns_of_texts_without_labels_and_the_model_is_as_any_other(
    params: dict[str, Any], tmp_path: Path
) -> None:
    near = tg.TextClassifier(**SMALL, **params, cooccurrence=True)
    own = near.fit(X, Y).predict_proba(X).tobytes()
    more = near.fit([*MORE, *X], [*[None] * len(MORE), *Y]).predict_proba(X).tobytes()
    assert own != more
    near.save(tmp_path / "model.safetensors")
    assert tg.load(tmp_path / "model.safetensors").predict_proba(X).tobytes() == more
    assert near.classes_.tolist() == ["sea", "wood"]


def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    model = tg.TextClassifier(**SMALL, cooccurrence=True)
    data = ([*X, *MORE], [*Y, *[None] * len(MORE)])
    whole = model.fit(*data).predict_proba(X).tobytes()
    steps = tg.TextClassifier(**SMALL, cooccurrence=True).fit_steps(*data, run_dir=tmp_path / "run")
    for _ in range(7):
        next(steps)
    steps.close()
    again = tg.TextClassifier(**SMALL, cooccurrence=True)
    for _ in again.fit_steps(*data, resume=tmp_path / "run"):
        pass
    assert again.predict_proba(X).tobytes() == whole


@pytest.mark.parametrize("value", ["auto", False])
def test_a_label_that_is_missing_is_refused_unless_texts_without_labels_are_asked_for(value: Any) -> None:
    with pytest.raises(DataError, match=r"y\[24\]"):
        tg.TextClassifier(**SMALL, cooccurrence=value).fit([*X, *MORE], [*Y, *[None] * len(MORE)])


@pytest.mark.parametrize("other", [{"embeddings": "glove.txt"}, {"pretrained": "run"}], ids=["vectors", "model"])
def test_what_else_words_could_begin_with_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"cooccurrence and {next(iter(other))} both say what words begin with"):
        tg.TextClassifier(**SMALL, cooccurrence=True, **other).fit(X, Y)


def test_the_vectors_can_stay_as_they_begin() -> None:
    model = tg.TextClassifier(**SMALL, cooccurrence=True, train_embeddings=False, weight_decay=0.1)
    first, second = (model.set_params(seed=0, epochs=epochs).fit(X, Y).weights_["0.weight"].copy() for epochs in (1, 3))
    assert first.tobytes() == second.tobytes()


def test_of_texts_without_labels_no_more_is_counted_than_the_network_would_read() -> None:
    long = [f"{text} {text}" for text in MORE]
    params = SMALL | {"max_tokens": 3, "keep": "first", "cooccurrence": True}
    found = {
        tg.TextClassifier(**params).fit([*X, *more], [*Y, *[None] * len(MORE)]).predict_proba(X).tobytes()
        for more in (MORE, long)
    }
    assert len(found) == 1


@pytest.mark.parametrize("kind", ["none has a label", "several"])
def test_texts_without_labels_alone_or_beside_several_labels_are_refused_in_words(kind: str) -> None:
    y: list[Any] = [None] * len(X) if kind == "none has a label" else [*[["sea", "text"]] * (len(X) - 1), None]
    told = (
        "none of the 24 texts has a label" if kind == "none has a label" else "may have several labels all need theirs"
    )
    with pytest.raises(InputError, match=told):
        tg.TextClassifier(**SMALL, cooccurrence=True).fit(X, y)


def test_texts_with_several_labels_begin_so_too() -> None:
    lists = [[label, "text"] for label in Y]
    drawn, near = (tg.TextClassifier(**SMALL, cooccurrence=value).fit(X, lists) for value in (False, True))
    assert drawn.predict_proba(X).tobytes() != near.predict_proba(X).tobytes()
    assert near.score(X, lists) >= 0.5
