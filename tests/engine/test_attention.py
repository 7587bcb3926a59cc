"""Attention against its equations, and what a recording tells of it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

import reference
from autograd import Case
from couples import COUPLES
from programs import weights_of
from tidegate import kernels
from tidegate.engine import CrossEntropy, Program
from tidegate.errors import InputError, ShapeError
from tidegate.network import Attend, Dense, Network
from tidegate.pairs import Pairs
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

Array = npt.NDArray[Any]
Score = Literal["dot", "general", "additive"]
SCORES: tuple[Score, ...] = ("dot", "general", "additive")
TRANSLATORS = [name for name in COUPLES if name.startswith("a translation")]


def ragged(ids: list[list[int]]) -> Ragged:
    return Ragged(np.array([i for one in ids for i in one], np.int64), np.cumsum([0, *map(len, ids)]))


def softmax(rows: Array) -> Array:
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("score", SCORES)
def test_rows_and_gradients_are_those_of_the_equations(score: Score) -> None:
    """Queries and memory are the input through two matrices, whose gradients tell those of both."""
    queries, rows = 4, 4 if score == "dot" else 3
    found = Attend(memory="m", reads="q", score=score, query_size=queries, memory_size=rows,
                   size=6 if score == "additive" else None)  # fmt: skip
    network = Network.of(
        Dense(in_features=5, out_features=queries, name="q"),
        Dense(in_features=5, out_features=rows, reads="input", name="m"),
        found,
    )
    program, rng = Program(network, weights_of(network)), np.random.default_rng(5)
    batch = Ragged(rng.standard_normal((80, 5)), np.array([0, 3, 3, 4, 80]))  # 76 rows: more than a block
    labels, weight = rng.integers(0, rows, 80), np.array([0.5, 1.0, 2.0, 0.25])
    lost = program.gradient(batch, CrossEntropy(labels, weight))
    w = {name.partition(".")[2]: array for name, array in program.weights.items() if name.startswith("2.")}
    wanted = {name: np.zeros_like(array) for name, array in program.weights.items()}
    given, total = program(batch), 0.0
    for b, x in enumerate(batch):
        own = slice(int(batch.offsets[b]), int(batch.offsets[b + 1]))
        q, m = (x @ program.weights[f"{i}.weight"].T + program.weights[f"{i}.bias"] for i in (0, 1))
        y, _ = reference.attend(q, m, score, w)
        np.testing.assert_allclose(given[own], y, rtol=1e-12, atol=1e-12)
        truth = np.eye(rows)[labels[own]]
        total -= weight[b] * float(np.log((softmax(y) * truth).sum(axis=1)).sum()) if len(y) else 0.0
        d = reference.attend_backward(q, m, score, w, weight[b] * (softmax(y) - truth) if len(y) else y)
        for index, of in ((0, d["q"]), (1, d["m"])):
            wanted[f"{index}.weight"] += of.T @ x
            wanted[f"{index}.bias"] += of.sum(axis=0)
        for name in w:
            wanted[f"2.{name}"] += d[name]
    assert lost.total == pytest.approx(total, rel=1e-12)
    for name, array in wanted.items():
        np.testing.assert_allclose(program.gradients[name], array, rtol=1e-10, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("name", TRANSLATORS)
def test_a_pair_gives_the_same_bits_alone_and_in_any_order(name: str) -> None:
    case = Case(COUPLES[name], np.float32)
    begin = np.cumsum([0, *case.batch.target.lengths])
    together, losses = case.program(case.batch), case.found().losses
    order = np.random.default_rng(3).permutation(len(case.batch))
    turned = np.concatenate([together[begin[b] : begin[b + 1]] for b in order])
    assert case.program(case.batch.select(order)).tobytes() == turned.tobytes()
    for b in range(len(case.batch)):
        alone, rows = case.batch.select([b]), slice(int(begin[b]), int(begin[b + 1]))
        assert case.program(alone).tobytes() == together[rows].tobytes()
        assert case.program.gradient(alone, case.loss.alone(b, rows)).losses.tobytes() == losses[b : b + 1].tobytes()


@pytest.mark.parametrize("name", TRANSLATORS)
def test_a_target_does_not_see_what_follows(name: str) -> None:
    case = Case(COUPLES[name], np.float32)
    pairs = case.batch.select([int(case.batch.target.lengths.argmax())])
    whole, some = case.program(pairs), slice(0, 5)
    cut = Pairs(pairs.source, Ragged(pairs.target.values[some].copy(), np.array([0, 5])))
    assert case.program(cut).tobytes() == whole[some].tobytes()


def test_a_recording_tells_who_attended_to_what() -> None:
    case = Case(COUPLES["a translation of two hops"])
    recording = Executor(case.network, dict(case.program.weights)).record(case.batch)
    runs = recording.nodes
    for index, node in enumerate(case.network.nodes):
        if not isinstance(node, Attend):
            continue
        queries, memory = runs[index].reads
        places = zip(
            recording.attention(index),
            np.split(queries, np.cumsum(case.batch.target.lengths)[:-1]),
            np.split(memory, np.cumsum(case.batch.source.lengths)[:-1]),
            np.split(runs[index].gave, np.cumsum(case.batch.target.lengths)[:-1]),
            strict=True,
        )
        for weights, q, m, gave in places:
            y, wanted = reference.attend(q, m, node.score, {"weight": case.program.weights[f"{index}.weight"]})
            np.testing.assert_allclose(weights, wanted, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(gave, y, rtol=1e-12, atol=1e-14)


def test_one_can_go_back_through_a_recording_as_often_as_one_likes() -> None:
    case = Case(COUPLES["a translation of two hops"])
    recording = Executor(case.network, dict(case.program.weights)).record(case.batch)
    d = np.random.default_rng(1).standard_normal(recording.output.shape)
    first, second = (recording.back(d, steps=True) for _ in range(2))
    for one, other in zip(first.layers, second.layers, strict=True):
        assert np.abs(one.dh).max() > 0
        assert one.dh.tobytes() == other.dh.tobytes()


def test_long_pairs_are_attended_to_alike_on_any_number_of_threads() -> None:
    """So many rows that the scores of all of them together are not kept, and are taken by several threads."""
    network = COUPLES["a translation by additive scores"]
    weights, rng = weights_of(network, np.float32), np.random.default_rng(4)
    sides = [Ragged(rng.integers(0, 40, sum(lengths)), np.cumsum([0, *lengths])) for lengths in ((500, 3), (400, 700))]
    found, before = set(), kernels.explicit_num_threads()
    for threads in (1, 2, 4):
        kernels.set_num_threads(threads)
        executor = Executor(network, weights)
        found |= {executor(Pairs(*sides)).tobytes(), executor.record(Pairs(*sides)).output.tobytes()}
    kernels.set_num_threads(before)
    assert len(found) == 1


def test_batches_of_next_to_nothing_are_attended_to() -> None:
    network = COUPLES["a translation of two hops"]
    program = Program(network, weights_of(network))
    cases: list[tuple[list[list[int]], list[list[int]]]] = [
        ([], []),
        ([[]], [[]]),
        ([[]], [[3, 4]]),
        ([[3, 4]], [[]]),
        ([[], [5]], [[6], []]),
    ]
    for source, target in cases:
        pairs = Pairs(ragged(source), ragged(target))
        rows = len(pairs.target.values)
        assert program(pairs).shape == (rows, 40)
        lost = program.gradient(pairs, CrossEntropy(np.zeros(rows, np.int64), np.ones(len(pairs))))
        assert np.isfinite(program.gradient_array).all()
        assert bool(np.any(program.gradients["13.bias"])) is (rows > 0)
        assert len(lost.losses) == len(pairs)


@pytest.mark.parametrize(
    ("batch", "error", "told"),
    [
        (Ragged.from_list([[1, 2]]), ShapeError, "reads Pairs, sources with their targets; got a Ragged"),
        (Pairs(Ragged.from_list([[1, 40]]), Ragged.from_list([[2]])), InputError, "token id 40 at position 1"),
        (Pairs(Ragged.from_list([[1]]), Ragged.from_list([[-2]])), InputError, "token id -2 at position 1"),
    ],
)
def test_batches_that_are_no_pairs_are_refused(batch: Any, error: type[Exception], told: str) -> None:
    network = COUPLES["a translation of two hops"]
    with pytest.raises(error, match=told):
        Program(network, weights_of(network))(batch)


def test_states_are_not_carried_into_a_node_that_begins_with_others() -> None:
    network = COUPLES["a translation of two hops"]
    pairs = Pairs(Ragged.from_list([[1]]), Ragged.from_list([[2]]))
    with pytest.raises(InputError, match="states cannot be carried in: node 7 begins with those of 'bridge'"):
        Executor(network, weights_of(network)).run(pairs, {})
