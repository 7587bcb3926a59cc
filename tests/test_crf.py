"""The conditional random field against brute force over all paths: sums, marginals, gradients and best paths."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tidegate import crf, kernels
from tidegate.errors import InputError, ShapeError

Array = NDArray[Any]
LENGTHS = [3, 0, 1, 5, 2]


def draw(lengths: list[int], K: int, *, seed: int = 0, scale: float = 2.0) -> tuple[Array, ...]:
    """Draw emissions [N, K], offsets, transitions [K, K], start [K] and end [K]."""
    rng = np.random.default_rng([seed, K, len(lengths)])
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    shapes = [(int(offsets[-1]), K), (K, K), (K,), (K,)]
    emissions, *rest = (rng.normal(size=shape) * scale for shape in shapes)
    return emissions, offsets, *rest


def every_path(arrays: tuple[Array, ...], b: int) -> dict[tuple[int, ...], float]:
    """Score every path of one sequence by adding up what it meets."""
    emissions, offsets, transitions, start, end = arrays
    rows = emissions[offsets[b] : offsets[b + 1]]
    found = {}
    for path in product(range(emissions.shape[1]), repeat=len(rows)):
        score = sum(row[tag] for row, tag in zip(rows, path, strict=True))
        score += sum(transitions[i, j] for i, j in pairwise(path))
        found[path] = float(score + (start[path[0]] + end[path[-1]] if path else 0.0))
    return found


def log_sum(scores: Any) -> float:
    return float(np.logaddexp.reduce(list(scores)))


@pytest.mark.parametrize("K", [1, 2, 4])
def test_the_sum_is_that_over_every_path(K: int) -> None:
    arrays = draw(LENGTHS, K)
    found = crf.forward(crf.Scores(*arrays)).log_partition
    np.testing.assert_allclose(
        found, [log_sum(every_path(arrays, b).values()) for b in range(5)], rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("K", [1, 2, 4])
def test_marginals_are_the_share_of_the_paths_that_pass(K: int) -> None:
    arrays = draw(LENGTHS, K)
    found, offsets = crf.marginals(crf.Scores(*arrays)), arrays[1]
    for b, length in enumerate(LENGTHS):
        paths = every_path(arrays, b)
        whole = log_sum(paths.values())
        for t, k in product(range(length), range(K)):
            share = sum(np.exp(score - whole) for path, score in paths.items() if path[t] == k)
            assert found[offsets[b] + t, k] == pytest.approx(share, rel=1e-11, abs=1e-14)


@pytest.mark.parametrize("paths", [1, 3, 20])
def test_best_paths_are_the_best_of_all(paths: int) -> None:
    arrays = draw(LENGTHS, 3)
    tags, scores = crf.best_paths(crf.Scores(*arrays), paths)
    for b, length in enumerate(LENGTHS):
        ranked = sorted(every_path(arrays, b).items(), key=lambda item: -item[1])[:paths]
        np.testing.assert_allclose(scores[b, : len(ranked)], [score for _, score in ranked], rtol=1e-12, atol=1e-12)
        begin = arrays[1][b]
        assert [tuple(tags[p, begin : begin + length]) for p in range(len(ranked))] == [path for path, _ in ranked]
        assert (scores[b, len(ranked) :] == -np.inf).all()


def test_of_equal_paths_the_smaller_tags_come_first() -> None:
    zero = np.zeros(2)
    tags, scores = crf.best_paths(crf.Scores(np.zeros((2, 2)), np.array([0, 2]), np.zeros((2, 2)), zero, zero), 4)
    assert [row.tolist() for row in tags] == [[0, 0], [1, 0], [0, 1], [1, 1]]
    assert scores.tolist() == [[0.0] * 4]


@pytest.mark.parametrize("which", ["emissions", "transitions", "start", "end"])
def test_gradients_are_those_of_finite_differences(which: str) -> None:
    arrays = list(draw(LENGTHS, 3))
    weight = np.array([0.7, 2.0, -1.0, 0.0, 3.0])
    scores = crf.Scores(*arrays)
    found = getattr(crf.backward(scores, crf.forward(scores), weight), which)
    at = ["emissions", "offsets", "transitions", "start", "end"].index(which)
    for index in np.ndindex(*arrays[at].shape):
        sides = []
        for step in (1e-5, -1e-5):
            moved = [array.copy() for array in arrays]
            moved[at][index] += step
            sides.append(weight @ crf.forward(crf.Scores(*moved)).log_partition)
        assert found[index] == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("K", [3, 8, 13, 17, 33])
@pytest.mark.parametrize("isa", kernels.available_isas())
def test_every_isa_and_any_number_of_threads_give_the_bits_of_a_plain_loop(isa: str, K: int) -> None:
    """More numbers than a vector has lanes once gave AVX-512 a wrong mask."""
    arrays = draw([9, 4, 0, 1, *range(30)], K)
    wanted = [plain_log_sum(arrays, b) for b in range(34)]
    kinds: set[bytes] = set()
    before = kernels.active_isa()
    for threads in (1, 3):
        scores = crf.Scores(*arrays, num_threads=threads)
        try:
            kernels.use_isa(isa)
            sums = crf.forward(scores)
            gradients = crf.backward(scores, sums, np.linspace(-1, 1, 34))
            kernels.use_isa("scalar")
            base = crf.forward(scores)
            base_gradients = crf.backward(scores, base, np.linspace(-1, 1, 34))
        finally:
            kernels.use_isa(before)
        np.testing.assert_allclose(sums.log_partition, wanted, rtol=1e-12)
        for a, b in ((sums, base), (gradients, base_gradients)):
            assert [v.tobytes() for v in vars(a).values()] == [v.tobytes() for v in vars(b).values()]
        kinds.add(gradients.transitions.tobytes() + sums.log_partition.tobytes())
    assert len(kinds) == 1


def plain_log_sum(arrays: tuple[Array, ...], b: int) -> float:
    emissions, offsets, transitions, start, end = arrays
    rows = emissions[offsets[b] : offsets[b + 1]]
    if not len(rows):
        return 0.0
    reach = start + rows[0]
    for row in rows[1:]:
        reach = np.logaddexp.reduce(reach[:, None] + transitions, axis=0) + row
    return float(np.logaddexp.reduce(reach + end))


@given(st.lists(st.integers(0, 6), min_size=1, max_size=20), st.integers(1, 9), st.integers(0, 99))
def test_a_sequence_alone_is_the_same_sequence_in_any_batch(lengths: list[int], K: int, seed: int) -> None:
    emissions, offsets, *rest = draw(lengths, K, seed=seed)
    whole = crf.Scores(emissions, offsets, *rest)
    sums, marginals, (tags, best) = crf.forward(whole), crf.marginals(whole), crf.best_paths(whole, 2)
    for b in range(len(lengths)):
        words = slice(offsets[b], offsets[b + 1])
        alone = crf.Scores(emissions[words], np.array([0, lengths[b]]), *rest)
        assert crf.forward(alone).log_partition.tobytes() == sums.log_partition[b : b + 1].tobytes()
        assert crf.marginals(alone).tobytes() == marginals[words].tobytes()
        own_tags, own_best = crf.best_paths(alone, 2)
        assert own_tags.tolist() == tags[:, words].tolist()
        assert own_best.tobytes() == best[b : b + 1].tobytes()


def test_forbidden_moves_are_on_no_path() -> None:
    emissions, offsets, transitions, start, end = draw([6, 4], 3)
    transitions[0, 1] = transitions[2, 2] = start[1] = end[0] = crf.FORBIDDEN
    arrays = (emissions, offsets, transitions, start, end)
    scores = crf.Scores(*arrays)
    marginals = crf.marginals(scores)
    tags, _ = crf.best_paths(scores, 5)
    for b in range(2):
        words = slice(offsets[b], offsets[b + 1])
        assert marginals[words][0, 1] == pytest.approx(0, abs=1e-100)
        assert marginals[words][-1, 0] == pytest.approx(0, abs=1e-100)
        for path in tags[:, words].tolist():
            assert path[0] != 1 and path[-1] != 0
            assert not {(0, 1), (2, 2)} & set(pairwise(path))
        assert crf.forward(scores).log_partition[b] == pytest.approx(log_sum(every_path(arrays, b).values()), rel=1e-12)


@pytest.mark.parametrize("scale", [1e3, 1e30])
def test_huge_scores_give_finite_numbers(scale: float) -> None:
    arrays = draw([7, 3], 4, scale=scale)
    scores = crf.Scores(*arrays)
    sums = crf.forward(scores)
    assert np.isfinite(sums.log_partition).all()
    for gradient in vars(crf.backward(scores, sums, np.ones(2))).values():
        assert np.isfinite(gradient).all()
    np.testing.assert_allclose(crf.marginals(scores).sum(axis=1), 1, rtol=1e-12)


def test_where_no_path_may_go_the_sum_is_finite_and_small() -> None:
    forbidden = np.full((2, 2), crf.FORBIDDEN)
    scores = crf.Scores(np.zeros((3, 2)), np.array([0, 3]), forbidden, np.zeros(2), np.zeros(2))
    assert crf.forward(scores).log_partition[0] < -1000
    assert crf.marginals(scores).sum() == pytest.approx(3)


def test_not_a_number_is_passed_on_to_its_own_sequence_alone() -> None:
    emissions, offsets, *rest = draw([3, 3], 2)
    emissions[1, 0] = np.nan
    found = crf.forward(crf.Scores(emissions, offsets, *rest)).log_partition
    assert np.isnan(found[0]) and np.isfinite(found[1])


def test_path_scores_add_up_what_a_path_meets() -> None:
    arrays = draw(LENGTHS, 3)
    tags = np.random.default_rng(1).integers(0, 3, len(arrays[0]))
    found = crf.path_scores(crf.Scores(*arrays), tags)
    for b in range(len(LENGTHS)):
        path = tuple(tags[arrays[1][b] : arrays[1][b + 1]].tolist())
        assert found[b] == pytest.approx(every_path(arrays, b)[path], rel=1e-12)
    tags[0] = -1
    assert crf.path_scores(crf.Scores(*arrays), tags)[0] == -np.inf


def test_float32_scores_are_computed_in_float64() -> None:
    arrays = [a.astype(np.float32) if a.dtype == np.float64 else a for a in draw(LENGTHS, 3)]
    same = [a.astype(np.float64) if a.dtype == np.float32 else a for a in arrays]
    found, wanted = (crf.forward(crf.Scores(*each)).log_partition for each in (arrays, same))
    assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize(
    ("at", "array", "reason"),
    [
        (0, np.zeros((13, 0)), r"emissions are \[13, 0\] but \[N, K\]"),
        (0, np.zeros((11, 3), np.float16), "emissions are float16"),
        (1, np.array([0, 3]), "offsets must ascend from 0 to the number of tokens, 11"),
        (2, np.zeros((3, 2)), r"transitions are float64 \[3, 2\] but"),
        (3, np.zeros(2), "start are"),
        (4, np.zeros(4), "end are"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(at: int, array: Array, reason: str) -> None:
    arrays = list(draw(LENGTHS, 3))
    arrays[at] = array
    with pytest.raises(ShapeError, match=reason):
        crf.Scores(*arrays)


def test_no_path_is_not_enough() -> None:
    with pytest.raises(InputError, match="0 paths"):
        crf.best_paths(crf.Scores(*draw(LENGTHS, 3)), 0)
