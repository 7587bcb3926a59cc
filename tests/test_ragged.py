"""Ragged: built from every form, cut where it says, refused when it cannot be."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import ShapeError
from tidegate.ragged import Ragged

lengths_of_batches = st.lists(st.integers(0, 5), max_size=7)


def batch_of(lengths: list[int]) -> Ragged:
    """Number the tokens 0 .. N - 1, two features each."""
    tokens = np.arange(2 * sum(lengths), dtype=np.float32).reshape(-1, 2)
    return Ragged(tokens, np.cumsum([0, *lengths], dtype=np.int64))


def test_a_sequence_is_what_lies_between_two_offsets() -> None:
    batch = Ragged(np.array([5, 6, 7]), np.array([0, 1, 1, 3]))
    assert [sequence.tolist() for sequence in batch] == [[5], [], [6, 7]]
    assert (len(batch), batch.lengths.tolist()) == (3, [1, 0, 2])
    assert batch[2].tolist() == batch[-1].tolist() == [6, 7]
    for outside in (3, -4):
        with pytest.raises(IndexError, match="of a batch of 3"):
            batch[outside]


def test_a_sequence_is_a_view() -> None:
    batch = batch_of([2, 1])
    batch[1][0, 0] = -1
    assert batch.values[2, 0] == -1


def test_from_list_takes_its_type_from_the_sequences_that_are_not_empty() -> None:
    batch = Ragged.from_list([[], [1, 2], [3]])
    assert (batch.values.dtype, batch.values.tolist(), batch.offsets.tolist()) == (np.int64, [1, 2, 3], [0, 0, 2, 3])
    assert Ragged.from_list([[1.5], [2]], dtype=np.float32).values.dtype == np.float32
    assert Ragged.from_list([np.zeros((0, 4), np.float32)]).values.shape == (0, 4)
    assert Ragged.from_list([[], np.ones((2, 4), np.float32)]).values.shape == (2, 4)
    assert len(Ragged.from_list([])) == 0


def test_from_list_joins_tensors_and_lets_gradients_through() -> None:
    parts = [torch.ones(2, 3, requires_grad=True), torch.ones(0, 3), torch.ones(1, 3)]
    batch = Ragged.from_list(parts)
    batch.values.sum().backward()
    assert batch.offsets.tolist() == [0, 2, 2, 3]
    assert parts[0].grad is not None
    assert parts[0].grad.tolist() == torch.ones(2, 3).tolist()


def test_from_padded_does_not_read_the_padding() -> None:
    padded = np.array([[1.0, 2.0, np.nan], [np.nan, np.nan, np.nan], [3.0, 4.0, 5.0]])
    batch = Ragged.from_padded(padded, [2, 0, 3])
    assert [sequence.tolist() for sequence in batch] == [[1, 2], [], [3, 4, 5]]
    turned = Ragged.from_padded(torch.from_numpy(padded.T), torch.tensor([2, 0, 3]), batch_first=False)
    assert turned.values.tolist() == [1, 2, 3, 4, 5]


@given(lengths_of_batches)
def test_padding_and_back_changes_nothing(lengths: list[int]) -> None:
    for batch in (batch_of(lengths), torch_batch(lengths)):
        padded, found = batch.to_padded(fill=-1)
        assert list(padded.shape) == [len(lengths), max(lengths, default=0), 2]
        assert (padded == -1).sum() == 2 * (padded.shape[0] * padded.shape[1] - sum(lengths))
        again = Ragged.from_padded(padded, found)
        assert again.values.tolist() == batch.values.tolist()
        assert again.offsets.tolist() == batch.offsets.tolist()


@given(st.data())
def test_select_returns_the_chosen_sequences_in_order(data: st.DataObject) -> None:
    lengths = data.draw(lengths_of_batches)
    indices = data.draw(st.lists(st.integers(-len(lengths), len(lengths) - 1), max_size=5)) if lengths else []
    for batch in (batch_of(lengths), torch_batch(lengths)):
        chosen = batch.select(indices)
        assert [s.tolist() for s in chosen] == [batch.to_list()[index].tolist() for index in indices]


def torch_batch(lengths: list[int]) -> Ragged:
    batch = batch_of(lengths)
    return Ragged(torch.from_numpy(batch.values), torch.from_numpy(batch.offsets))


@given(st.data())
def test_where_leaves_the_tokens_out_and_keeps_the_sequences(data: st.DataObject) -> None:
    lengths = data.draw(lengths_of_batches)
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=sum(lengths), max_size=sum(lengths))), bool)
    cuts = np.cumsum(lengths)[:-1]
    for batch in (batch_of(lengths), torch_batch(lengths)):
        rest = batch.where(kept)
        wanted = [
            [token for token, stays in zip(sequence.tolist(), part, strict=True) if stays]
            for sequence, part in zip(batch, np.split(kept, cuts), strict=False)
        ]
        assert [sequence.tolist() for sequence in rest] == wanted
        assert type(rest.offsets) is type(batch.offsets)


@pytest.mark.parametrize("kept", [np.ones(2, bool), np.ones(3, np.int64), np.ones((3, 1), bool)])
def test_where_wants_true_or_false_for_each_token(kept: Any) -> None:
    with pytest.raises(ShapeError, match="3 tokens want true or false each"):
        batch_of([2, 1]).where(kept)


def test_a_rectangle_without_padding_needs_no_lengths() -> None:
    rows = np.arange(12).reshape(2, 3, 2)
    assert [sequence.tolist() for sequence in Ragged.from_padded(rows)] == rows.tolist()
    turned = Ragged.from_padded(torch.from_numpy(rows.swapaxes(0, 1)), batch_first=False)
    assert [sequence.tolist() for sequence in turned] == rows.tolist()
    assert Ragged.from_padded(rows[:0]).values.shape == (0, 2)
    assert Ragged.from_padded(rows[:, :0]).lengths.tolist() == [0, 0]


def test_what_is_made_of_checked_sequences_is_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, checked = batch_of([2, 0, 1]), list[int]()
    monkeypatch.setattr("tidegate.ragged._check_offsets", lambda _offsets, tokens: checked.append(tokens))
    made = Ragged.from_list(batch.to_list()).select([2, 0]).where(np.array([True, False, True]))
    Ragged.from_padded(*made.with_values(made.values + 1).split(2).to_padded())
    assert checked == []
    Ragged(batch.values, batch.offsets)
    assert checked == [3]


def test_with_values_keeps_the_cuts_and_counts_the_tokens() -> None:
    batch = batch_of([2, 1])
    assert [s.tolist() for s in batch.with_values(np.array([7, 8, 9]))] == [[7, 8], [9]]
    with pytest.raises(ShapeError, match="values hold 2 tokens, but this batch has 3"):
        batch.with_values(np.array([7, 8]))


@pytest.mark.parametrize(
    ("values", "offsets", "message"),
    [
        (np.zeros(3), np.array([0, 2]), "run from 0 to 2, but values hold tokens 0 to 3"),
        (np.zeros(3), np.array([1, 3]), "run from 1 to 3"),
        (np.zeros(3), np.array([0, 2, 1, 3]), "fall from 2 to 1 at sequence 1"),
        (np.zeros(3), np.array([0, 3], np.int32), r"\[2\] int32, but Ragged wants \[B \+ 1\] int64"),
        (np.zeros(0), np.array([], np.int64), r"\[0\] int64"),
        (np.zeros(()), np.array([0]), "a single number"),
        (np.zeros(3), torch.tensor([0, 3]), "both as NumPy arrays or both as torch tensors"),
        ([1, 2, 3], [0, 3], "a list came"),
    ],
)
def test_offsets_that_do_not_describe_the_values_are_refused(values: Any, offsets: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Ragged(values, offsets)


def test_sequences_that_do_not_fit_together_are_refused_by_name() -> None:
    with pytest.raises(ShapeError, match=r"tokens of sequence 2 are \[3\] but those before are \[2\]"):
        Ragged.from_list([np.zeros((1, 2)), [], np.zeros((1, 3))])
    with pytest.raises(ShapeError, match="sequence 1 is a single number"):
        Ragged.from_list([[1], 2])
    with pytest.raises(ShapeError, match="sequence 1 is not an array of numbers"):
        Ragged.from_list([[[1, 2]], [[1], [1, 2]]])


def test_lengths_that_do_not_fit_the_rectangle_are_refused() -> None:
    with pytest.raises(ShapeError, match="length 4 of sequence 1 is not between 0 and 3 steps"):
        Ragged.from_padded(np.zeros((2, 3)), [3, 4])
    with pytest.raises(ShapeError, match="length -1 of sequence 0"):
        Ragged.from_padded(np.zeros((2, 3)), [-1, 3])
    with pytest.raises(ShapeError, match=r"lengths are \[1\] but padded holds 2 sequences"):
        Ragged.from_padded(np.zeros((2, 3)), [3])
    with pytest.raises(ShapeError, match="at least 2 axes"):
        Ragged.from_padded(np.zeros(3), [3])


def test_it_says_what_it_holds() -> None:
    assert repr(batch_of([2, 0, 1])) == "Ragged(3 sequences, values [3, 2] float32)"


def test_it_does_not_load_torch() -> None:
    code = "import sys, numpy as np; from tidegate.ragged import Ragged; Ragged.from_list([[1], [2]]).to_padded(); "
    code += "print({'numpy', 'torch'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "{'numpy'}\n"


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_split_makes_a_sequence_of_each_channel(library: str) -> None:
    rows = np.array([[1, 2, 11, 12, 99], [3, 4, 13, 14, 98], [5, 6, 15, 16, 97]])
    offsets = np.array([0, 2, 2, 3])
    if library == "torch":
        split = Ragged(torch.from_numpy(rows), torch.from_numpy(offsets)).split(2, shared=1)
    else:
        split = Ragged(rows, offsets).split(2, shared=1)
    assert [part.tolist() for part in split] == [
        [[1, 2, 99], [3, 4, 98]],
        [[11, 12, 99], [13, 14, 98]],
        [],
        [],
        [[5, 6, 97]],
        [[15, 16, 97]],
    ]


@pytest.mark.parametrize(("channels", "shared"), [(2, 0), (3, 1), (1, 6), (5, 1)])
def test_a_split_that_does_not_divide_the_features_is_refused(channels: int, shared: int) -> None:
    with pytest.raises(ShapeError, match=rf"wanted \[N, {channels} \* F \+ {shared}\]"):
        Ragged(np.ones((2, 5)), np.array([0, 2])).split(channels, shared=shared)


@pytest.mark.parametrize("lengths", [[1.5, 2.0], [np.nan, 2.0], [True, False]])
def test_lengths_that_are_no_whole_numbers_are_refused(lengths: list[float]) -> None:
    with pytest.raises(ShapeError, match="whole numbers are wanted"):
        Ragged.from_padded(np.zeros((2, 3)), np.array(lengths))
