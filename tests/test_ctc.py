"""Connectionist temporal classification against brute force over all paths, torch, and finite differences."""

from __future__ import annotations

from itertools import groupby, pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tidegate import ctc, kernels
from tidegate.engine import CtcLikelihood, Program
from tidegate.errors import InputError, ShapeError
from tidegate.network import Ctc, Dense, Network
from tidegate.ragged import Ragged

Array = NDArray[Any]
LENGTHS = [4, 0, 1, 5, 3, 3]
LABELS = [[1, 2], [], [2], [1, 1], [], [2, 1, 2]]


def draw(lengths: list[int], K: int, *, scale: float = 2.0, seed: int = 0) -> tuple[Array, Array]:
    """Draw scores [N, K] and their offsets."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.random.default_rng(seed).normal(size=(offsets[-1], K)) * scale, offsets


def read(path: tuple[int, ...]) -> list[int]:
    """Read a path: what is repeated once, without blanks."""
    return [symbol for symbol, _ in groupby(path) if symbol != ctc.BLANK]


def every_path(rows: Array, label: list[int]) -> dict[tuple[int, ...], float]:
    """Give the logarithm of the probability of every path of one sequence that reads as the label."""
    logs = rows - np.logaddexp.reduce(rows, axis=1, keepdims=True)
    paths = product(range(rows.shape[1]), repeat=len(rows))
    return {path: float(sum(logs[range(len(path)), path])) for path in paths if read(path) == label}


def by_torch(scores: Array, offsets: Array, labels: ctc.Labels, weight: Array) -> tuple[Array, Array]:
    """Compute losses and the gradient of their weighted sum with torch, sequence by sequence, in float64."""
    leaf, found = torch.tensor(scores, requires_grad=True), []
    for b in range(len(labels)):
        frames = leaf[offsets[b] : offsets[b + 1]].log_softmax(1)[:, None]
        label = torch.from_numpy(labels.values[labels.begins[b] : labels.begins[b + 1]].astype(np.int64))
        sizes = torch.tensor([len(frames)]), torch.tensor([len(label)])
        found.append(torch.nn.functional.ctc_loss(frames, label[None], *sizes, reduction="sum"))
    losses = torch.stack(found)
    torch.autograd.backward((losses * torch.from_numpy(weight)).sum())
    assert leaf.grad is not None
    return losses.detach().numpy(), leaf.grad.numpy()


def drawn_labels(offsets: Array, K: int, rng: np.random.Generator) -> ctc.Labels:
    """Draw labels of few symbols, so that many are repeated, as long as their frames allow at most."""
    labels = []
    for frames in np.diff(offsets).tolist():
        label = rng.integers(1, min(K, 4), rng.integers(0, frames + 1)).tolist()
        while len(label) + sum(a == b for a, b in pairwise(label)) > frames:
            label.pop()
        labels.append(label)
    return ctc.Labels.of(labels)


@pytest.mark.parametrize("scale", [0.5, 5.0, 60.0])
def test_a_loss_is_that_of_every_path_that_reads_as_the_label(scale: float) -> None:
    scores, offsets = draw(LENGTHS, 3, scale=scale)
    found = ctc.losses(ctc.Frames(scores, offsets), ctc.Labels.of(LABELS))
    for b, label in enumerate(LABELS):
        paths = every_path(scores[offsets[b] : offsets[b + 1]], label)
        assert found[b] == pytest.approx(-np.logaddexp.reduce(list(paths.values())), rel=1e-12, abs=1e-12)


def test_an_alignment_is_the_best_of_those_paths() -> None:
    scores, offsets = draw(LENGTHS, 3)
    frames = ctc.Frames(scores, offsets)
    found, logs = ctc.align(frames, ctc.Labels.of(LABELS))
    assert found.symbols.tolist() == [symbol for label in LABELS for symbol in label]
    for b, label in enumerate(LABELS):
        path, score = max(every_path(scores[offsets[b] : offsets[b + 1]], label).items(), key=lambda item: item[1])
        assert logs[b] == pytest.approx(score, rel=1e-12, abs=1e-12)
        spelled = np.zeros(LENGTHS[b], int)
        for at in range(found.begins[b], found.begins[b + 1]):
            spelled[found.first[at] : found.last[at] + 1] = found.symbols[at]
        assert spelled.tolist() == list(path)


@pytest.mark.parametrize("scale", [1.0, 30.0, 300.0])
def test_losses_and_gradients_are_those_of_torch(scale: float) -> None:
    """With a large scale the paths that are left are e^-1000 as likely as others, as in a network that is sure."""
    rng = np.random.default_rng(1)
    scores, offsets = draw([*rng.integers(1, 60, 30), 1, 1], 9, scale=scale)
    labels, weight = drawn_labels(offsets, 9, rng), rng.uniform(0.5, 2, 32)
    frames = ctc.Frames(scores, offsets)
    losses, dscores = by_torch(scores, offsets, labels, weight)
    np.testing.assert_allclose(ctc.losses(frames, labels), losses, rtol=1e-12, atol=1e-12)
    # Both take the exponential of sums as large as the loss, whose rounding is all that differs.
    np.testing.assert_allclose(
        ctc.gradient(frames, labels, weight), dscores, rtol=0, atol=1e-15 * max(10.0, losses.max())
    )


def test_the_gradient_is_the_slope() -> None:
    scores, offsets = draw(LENGTHS, 3)
    labels, weight = ctc.Labels.of(LABELS), np.array([1.0, 2.0, 0.5, -1.0, 0.0, 3.0])
    found = ctc.gradient(ctc.Frames(scores, offsets), labels, weight)
    for index in np.ndindex(*scores.shape):
        sides = []
        for away in (1e-5, -1e-5):
            moved = scores.copy()
            moved[index] += away
            sides.append(weight @ ctc.losses(ctc.Frames(moved, offsets), labels))
        assert found[index] == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-6, abs=1e-8)


def test_what_torch_gets_wrong_is_right() -> None:
    """No frames and no label, a label without a symbol, and one that fills all frames."""
    none = ctc.Frames(np.empty((0, 2)), np.array([0, 0]))
    assert ctc.losses(none, ctc.Labels.of([[]])).tolist() == [0.0]
    logits = np.log(np.array([[0.25, 0.75], [0.5, 0.5]]))
    frames = ctc.Frames(np.concatenate([logits, logits]), np.array([0, 2, 4]))
    found = np.exp(-ctc.losses(frames, ctc.Labels.of([[], [1]])))
    np.testing.assert_allclose(found, [0.125, 0.875], rtol=1e-14)


def test_labels_that_do_not_fit_are_counted_and_named() -> None:
    frames = ctc.Frames(np.zeros((5, 3)), np.array([0, 2, 4, 5]))
    labels = ctc.Labels.of([[1, 1], [1, 2], [1, 2, 1]])
    assert ctc.needed(labels).tolist() == [3, 2, 3]
    told = r"2 of 3 labels need more frames .*: 0 \(3 frames needed, 2 there\), 2 \(3 frames needed, 1 there\)"
    for ask in (ctc.losses, ctc.align):
        with pytest.raises(InputError, match=told):
            ask(frames, labels)
    with pytest.raises(InputError, match="label 1 has the symbol 3 at 0; symbols are 1 to 2, and 0 is the blank"):
        ctc.losses(frames, ctc.Labels.of([[1], [3], []]))
    with pytest.raises(ShapeError, match="1 labels came for 3 sequences"):
        ctc.losses(frames, ctc.Labels.of([[1]]))
    with pytest.raises(ShapeError, match=r"floats \[N, K\] are wanted"):
        ctc.Frames(np.zeros((5, 3), int), np.array([0, 5]))


def test_greedy_reads_the_likeliest_symbols_with_their_frames() -> None:
    likeliest = [1, 1, 0, 1, 2, 2, 0, 0, 2]
    logits = np.log(np.full((9, 3), 0.1) + 0.7 * np.eye(3)[likeliest])
    logits[5] = np.log([0.04, 0.01, 0.95])
    found = ctc.greedy(ctc.Frames(logits, np.array([0, 5, 5, 9])))
    assert found.symbols.tolist() == [1, 1, 2, 2, 2] and found.begins.tolist() == [0, 3, 3, 5]
    assert found.first.tolist() == [0, 3, 4, 0, 3] and found.last.tolist() == [1, 3, 4, 0, 3]
    np.testing.assert_allclose(found.confidence, [0.8, 0.8, 0.8, 0.95, 0.8], rtol=1e-12)
    assert found.peak.tolist() == [0, 3, 4, 0, 3]
    even = ctc.greedy(ctc.Frames(np.zeros((2, 2)), np.array([0, 2])))
    assert even.symbols.tolist() == [], "of equally likely symbols the lowest is taken, here the blank"


@given(seed=st.integers(0, 10**6), K=st.integers(2, 20))
@settings(max_examples=20, deadline=None)
def test_a_sequence_alone_gives_its_bits_in_any_batch_on_every_isa(seed: int, K: int) -> None:
    rng = np.random.default_rng(seed)
    scores, offsets = draw(rng.integers(0, 40, 9).tolist(), K, scale=5, seed=seed)
    labels = drawn_labels(offsets, K, rng)
    before, kinds = kernels.active_isa(), set()
    try:
        for isa in kernels.available_isas():
            kernels.use_isa(isa)
            for threads in (1, 3):
                frames = ctc.Frames(scores, offsets, num_threads=threads)
                found, best = ctc.align(frames, labels)
                parts = (frames.logs, ctc.losses(frames, labels), ctc.gradient(frames, labels, np.ones(9)), best)
                kinds.add(b"".join(part.tobytes() for part in (*parts, found.first, found.last, found.confidence)))
    finally:
        kernels.use_isa(before)
    assert len(kinds) == 1
    whole = ctc.losses(ctc.Frames(scores, offsets), labels)
    for b in range(9):
        rows = scores[offsets[b] : offsets[b + 1]]
        alone = ctc.losses(ctc.Frames(rows, np.array([0, len(rows)])), labels.select([b]))
        assert alone.tobytes() == whole[b : b + 1].tobytes()


def test_a_network_refuses_labels_that_do_not_fit_before_it_is_trained() -> None:
    network = Network.of(Dense(in_features=2, out_features=3), Ctc(symbols=3))
    program = Program(network, {"0.weight": np.ones((3, 2)), "0.bias": np.zeros(3)})
    batch = Ragged(np.ones((3, 2)), np.array([0, 1, 3]))
    with pytest.raises(InputError, match=r"1 of 2 labels need more frames .*: 0 \(2 frames needed, 1 there\)"):
        program.gradient(batch, CtcLikelihood(ctc.Labels.of([[1, 2], [1]]), np.ones(2)))
    lost = program.gradient(batch, CtcLikelihood(ctc.Labels.of([[1], [1, 2]]), np.array([1.0, 0.5])))
    np.testing.assert_allclose(np.exp(-lost.losses), [1 / 3, 1 / 9], rtol=1e-12)
