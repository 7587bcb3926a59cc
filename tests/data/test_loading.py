"""The front door of tidegate.data: names, digits, splits, and the checks that tasks share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate import data
from tidegate.errors import DataError, InputError, MissingPackageError, OptionError, ShapeError
from tidegate.fetch import progress
from tidegate.ragged import Ragged


def test_every_data_set_states_licence_citation_and_home() -> None:
    assert data.names() == [
        "an4", "anki_deu", "asterisk_en", "digit_lines", "digits", "ett", "fraktur19", "fsdd", "household_power",
        "imdb", "mnist", "multi30k", "pydocs", "resume_ner", "timeus_hand", "ud_english_ewt", "wnut17",
    ]  # fmt: skip
    for name in data.names():
        source = data.describe(name)
        assert source.name == name
        assert all([source.title, source.licence, source.citation, source.homepage])


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(OptionError, match=r"unknown data set 'digit'. Did you mean 'digits'\?"):
        data.get("digit")


def test_digits_are_rows_of_pixels_from_zero_to_one() -> None:
    pytest.importorskip("sklearn")
    dataset = data.load("digits")
    assert dataset.test is not None
    assert isinstance(dataset.train.x, Ragged)
    assert (dataset.kind, dataset.classes) == ("sequence", tuple(range(10)))
    assert dataset.train.x.values.dtype == np.float32
    assert set(dataset.train.x.lengths.tolist()) == {8}
    # The first image of the data set is a zero; its first two rows are printed in scikit-learn's user guide.
    assert dataset.train.y[0] == 0
    first_rows = np.array([[0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0]])
    np.testing.assert_array_equal(dataset.train.x[0][:2] * 16, first_rows)
    assert (dataset.train.x.values.min(), dataset.train.x.values.max()) == (0.0, 1.0)


def test_digits_split_is_fixed_and_keeps_the_share_of_every_digit() -> None:
    pytest.importorskip("sklearn")
    dataset = data.load("digits")
    assert dataset.test is not None
    counts = [np.bincount(np.asarray(part.y)) for part in (dataset.train, dataset.test)]
    # 178, 182, 177, 183, 181, 182, 181, 179, 174 and 180 examples of 0 to 9, says UCI; a fifth of each is test
    assert counts[1].tolist() == [35, 36, 35, 36, 36, 36, 36, 35, 34, 36]
    assert (counts[0] + counts[1]).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    again = data.load("digits")
    assert again.test is not None
    assert np.array_equal(np.asarray(again.test.y), np.asarray(dataset.test.y))


def test_digits_lie_within_scikit_learn() -> None:
    pytest.importorskip("sklearn")
    path = data.path("digits")
    assert path is not None
    assert path.is_file()
    assert data.get("digits") == path
    with pytest.raises(InputError, match="no unlabelled part"):
        data.load("digits", unlabelled=True)
    with pytest.raises(InputError, match="has a test part of its own"):
        data.load("digits", split=0.5)


def test_digits_without_scikit_learn_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.data.digits.find_spec", lambda _: None)
    with pytest.raises(MissingPackageError, match=r"pip install 'tidegate\[train\]'"):
        data.load("digits")


def test_importing_data_loads_no_heavy_package() -> None:
    heavy = ["torch", "sklearn", "pyarrow", "tokenizers", "scipy", "ssl", "tarfile"]
    script = f"import sys, tidegate.data; print([name for name in {heavy} if name in sys.modules])"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"TIDEGATE_CACHE": "/a/b"}, "/a/b"),
        ("win32", {"TIDEGATE_CACHE": "/a/b"}, "/a/b"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/tidegate"),
        ("linux", {"HOME": "/home/me"}, "/home/me/.cache/tidegate"),
        ("darwin", {"HOME": "/Users/me", "XDG_CACHE_HOME": "/xdg"}, "/Users/me/Library/Caches/tidegate"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/tidegate/cache"),
    ],
)
def test_the_cache_lies_where_the_platform_wants_it(
    platform: str, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TIDEGATE_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert data.cache_folder() == Path(expected)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.floats(0.05, 0.95), st.integers(0, 9))
def test_a_stratified_split_keeps_shares_and_loses_nothing(labels: list[int], fraction: float, seed: int) -> None:
    try:
        kept, held = data.stratified_split(labels, fraction, seed=seed)
    except DataError:
        assert all(labels.count(c) < 2 or round(labels.count(c) * fraction) == 0 for c in set(labels))
        return
    assert sorted([*kept, *held]) == list(range(len(labels)))
    for label in set(labels):
        count = labels.count(label)
        assert sum(labels[i] == label for i in held) == min(round(count * fraction), count - 1)


def test_a_stratified_split_depends_on_its_seed_only() -> None:
    labels = ["a", "b"] * 50
    splits = [data.stratified_split(labels, 0.3, seed=seed)[1].tolist() for seed in (1, 1, 2)]
    assert splits[0] == splits[1] != splits[2]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_fraction_outside_zero_and_one_is_refused(fraction: float) -> None:
    with pytest.raises(InputError, match="must lie between 0 and 1"):
        data.stratified_split(["a", "b"], fraction)


def test_examples_and_labels_must_pair_up() -> None:
    with pytest.raises(ShapeError, match="2 examples came with 1 labels"):
        data.Examples(["a", "b"], ["x"])


def test_examples_are_selected_with_their_labels() -> None:
    sequences = Ragged.from_list([np.full((n, 2), n, np.float32) for n in (1, 2, 3)])
    chosen = data.Examples(sequences, np.array([10, 20, 30])).select([2, 0])
    assert isinstance(chosen.x, Ragged)
    assert [row[0, 0] for row in chosen.x] == [3.0, 1.0]
    assert np.asarray(chosen.y).tolist() == [30, 10]
    assert len(chosen) == 2


@pytest.mark.parametrize(("value", "name"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_a_feature_that_is_not_finite_is_named_by_row_step_and_feature(value: float, name: str) -> None:
    sequences = Ragged.from_list([np.zeros((2, 3)), np.zeros((0, 3)), np.zeros((4, 3))])
    data.check_features(sequences)
    for step in (3, 0):  # the second lies right behind an empty sequence
        sequences.values[2 + step, 1] = value
        with pytest.raises(DataError, match=rf"X\[2\], step {step}, feature 1 is {name}; features must be finite"):
            data.check_features(sequences)


@pytest.mark.parametrize("labels", [["a", None, "b", None], ["a", "", " ", "b"], np.array([1.0, np.nan, np.nan])])
def test_missing_labels_are_counted_and_the_first_is_named(labels: list[object]) -> None:
    with pytest.raises(DataError, match=r"y\[1\] has no label \(and 1 more\)"):
        data.check_labels(labels)


def test_zero_and_false_are_labels() -> None:
    zeros = [0, False, 0.0, np.int64(0), "0"]
    with pytest.raises(DataError, match=r"^y\[5\] has no label\. "):  # the first that has none, and the only one
        data.check_labels([*zeros, None])
    data.check_labels(zeros)


@pytest.mark.parametrize(("labels", "says"), [([], "no examples"), (["a", "a"], "all 2 labels are 'a'")])
def test_labels_of_fewer_than_two_classes_are_refused_and_two_are_enough(labels: list[str], says: str) -> None:
    for held in (labels, np.array(labels)):
        with pytest.raises(DataError, match=says):
            data.check_classes(held)
    data.check_classes([*labels, "a", "b"])
    data.check_classes(np.array([0, 1, 0]))


def test_a_label_that_training_never_saw_is_named() -> None:
    data.check_known_classes(["a", "b"], ("a", "b", "c"))
    with pytest.raises(DataError, match=r"y\[1\] has the label 'd'"):
        data.check_known_classes(["a", "d"], ("a", "b", "c"))


def test_progress_is_two_plain_lines_away_from_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for done in (0, 30_000_000, 60_000_000):
        progress.show("downloading toy", done, 60_000_000)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "downloading toy: 0 of 60 MB (0%)\ndownloading toy: 60 of 60 MB (100%)\n"


def test_progress_is_redrawn_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress.show("reading", 30_000_000, 60_000_000)
    progress.show("reading", 60_000_000, 60_000_000)
    assert capsys.readouterr().err == "\rreading: 30 of 60 MB (50%)\rreading: 60 of 60 MB (100%)\n"
