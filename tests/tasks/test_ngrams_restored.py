"""What a model file says of n-grams is read back as it was, or refused: no array is believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import tidegate as tg
from samples import texts
from tidegate.tasks.classifying.ngrams import NGrams

Array = npt.NDArray[Any]
Arrays = dict[str, Array]


@pytest.fixture(scope="module")
def learned() -> tuple[int, str | None, Arrays]:
    """Give the size of a vocabulary, the letters and the arrays of a classifier."""
    model = tg.TextClassifier(hidden_size=2, epochs=1).fit(*texts(40))
    ngrams = model.preparation_.ngrams
    assert ngrams is not None
    return model.preparation_.tokenizer.size, ngrams.letters, ngrams.arrays()


def test_what_was_written_is_read_back(learned: tuple[int, str | None, Arrays]) -> None:
    size, letters, arrays = learned
    again = NGrams.restore(size, letters, arrays)
    assert again.letters == letters
    assert {name: array.tobytes() for name, array in again.arrays().items()} == {
        name: array.tobytes() for name, array in arrays.items()
    }


KEYS = ["grams.1", "grams.2", "grams.4", "spellings.1", "spellings.5"]
NUMBERS = ["evidence", "rarity", "spellings.rarity"]


def written(array: Array, at: int, value: float) -> Array:
    array = array.copy()
    array.reshape(-1)[at] = value
    return array


OF_KEYS: dict[str, Callable[[Array], Array]] = {
    "turned round": lambda a: np.ascontiguousarray(a[::-1]),
    "one twice": lambda a: np.concatenate([a[:1], a]),
    "below zero": lambda a: written(a, 0, -1),
    "the unknown word": lambda a: written(a, 0, 0),
    "beyond all": lambda a: written(a, -1, 2**62),
    "of another type": lambda a: a.astype(np.int32),
    "floats": lambda a: a.astype(np.float64),
    "of two axes": lambda a: a[None],
    "of no axis": lambda a: np.array(1, np.int64),
    "one too few": lambda a: a[:-1],
}
OF_NUMBERS: dict[str, Callable[[Array], Array]] = {
    "not a number": lambda a: written(a, 3, np.nan),
    "infinite": lambda a: written(a, -1, np.inf),
    "one row too few": lambda a: a[:-1],
    "one row too many": lambda a: np.concatenate([a, a[:1]]),
    "nothing": lambda a: a[:0],
    "of another type": lambda a: a.astype(np.float64),
    "one axis more": lambda a: a[..., None],
}


@pytest.mark.parametrize("harm", OF_KEYS)
@pytest.mark.parametrize("name", KEYS)
def test_n_grams_that_are_none_are_refused(learned: tuple[int, str | None, Arrays], name: str, harm: str) -> None:
    size, letters, arrays = learned
    with pytest.raises((ValueError, KeyError)):
        NGrams.restore(size, letters, arrays | {name: OF_KEYS[harm](arrays[name])})


@pytest.mark.parametrize("harm", OF_NUMBERS)
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_n_grams_that_do_not_fit_are_refused(
    learned: tuple[int, str | None, Arrays], name: str, harm: str
) -> None:
    size, letters, arrays = learned
    with pytest.raises((ValueError, KeyError)):
        NGrams.restore(size, letters, arrays | {name: OF_NUMBERS[harm](arrays[name])})


@pytest.mark.parametrize("name", [*KEYS, "spellings.rarity"])
def test_an_array_that_is_missing_is_missed(learned: tuple[int, str | None, Arrays], name: str) -> None:
    size, letters, arrays = learned
    with pytest.raises((ValueError, KeyError)):
        NGrams.restore(size, letters, {key: array for key, array in arrays.items() if key != name})


@pytest.mark.parametrize("letters", ["", "ab", "a" * 40])
def test_letters_that_are_not_those_of_the_n_grams_are_refused(
    learned: tuple[int, str | None, Arrays], letters: str
) -> None:
    size, _, arrays = learned
    with pytest.raises((ValueError, KeyError)):
        NGrams.restore(size, letters, arrays)


def test_any_bytes_of_an_array_are_read_or_refused(learned: tuple[int, str | None, Arrays]) -> None:
    size, letters, arrays = learned
    rng = np.random.default_rng(0)
    for _ in range(400):
        name = str(rng.choice([*arrays]))
        harmed = bytearray(arrays[name].tobytes())
        harmed[rng.integers(len(harmed))] = rng.integers(256)
        changed = np.frombuffer(bytes(harmed), arrays[name].dtype).reshape(arrays[name].shape)
        try:
            found = NGrams.restore(size, letters, arrays | {name: changed})
        except ValueError:
            continue
        assert all(1 <= word < size for number in range(len(found.grams)) for word in found.grams.spell(number))


@pytest.mark.parametrize(
    "options", [{"evidence": 2}, {"linear": False}, {"evidence": 0}, {"evidence": 0, "linear": False}]
)
def test_n_grams_of_another_network_are_refused(options: dict[str, Any]) -> None:
    examples = texts(40)
    model = tg.TextClassifier(hidden_size=2, epochs=1).fit(*examples)
    other = tg.TextClassifier(hidden_size=2, epochs=1, **options).fit(*examples)
    model.preparation_.check(model.network_)
    with pytest.raises(ValueError, match=r"numbers beside each token and .* features of a text; its network reads"):
        model.preparation_.check(other.network_)


def test_the_more_classes_the_fewer_ngrams_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A linear model has a weight of each n-gram for each class: together they have a bound."""
    monkeypatch.setattr("tidegate.tasks.classifying.ngrams.MOST_WEIGHTS", 60)
    X = [f"w{number} w{number + 1} w{number + 2}" for number in range(40)]
    for classes, kept in ((2, 30), (10, 6)):
        model = tg.TextClassifier(hidden_size=2, epochs=1).fit(X, [number % classes for number in range(40)])
        ngrams = model.preparation_.ngrams
        assert ngrams is not None and ngrams.features is not None and ngrams.features.spellings is not None
        for grams in (ngrams.grams, ngrams.features.spellings.grams):
            assert max(len(keys) for keys in grams.keys) == kept
