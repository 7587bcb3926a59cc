"""The choice of the next token: the right one for each random number, the same one on every instruction set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate import kernels
from tidegate.errors import ShapeError
from tidegate.kernels import Sampler

RNG = np.random.default_rng(4)
X = RNG.normal(size=(1, 7))
W = RNG.normal(size=(40, 7))
B = RNG.normal(size=40)
B[[3, 17]] = -np.inf


@pytest.fixture(autouse=True)
def _same_isa_afterwards() -> Iterator[None]:
    before = kernels.active_isa()
    yield
    kernels.use_isa(before)


def chosen(u: float, temperature: float, top_k: int, top_p: float) -> int:
    """Choose by the book, in NumPy."""
    scores = X[0] @ W.T + B
    if temperature == 0:
        return int(scores.argmax())
    shares = np.exp((scores - scores.max()) / temperature)
    shares /= shares.sum()
    order = np.argsort(-shares, kind="stable")
    order = order[: top_k or len(order)]
    if top_p < 1:
        reached = np.cumsum(shares[order]) / shares[order].sum()
        order = order[: int((reached < top_p).sum()) + 1]
    elif top_k in (0, 40, 99):  # all of them lie in the order of their ids
        order = np.arange(len(shares))
    edges = np.cumsum(shares[order])
    return int(order[int((edges <= u * edges[-1]).sum())])


@given(
    st.floats(0, 0.999), st.sampled_from([0.0, 0.3, 1.0, 5.0]), st.sampled_from([0, 1, 5, 39, 40, 99]),
    st.sampled_from([0.05, 0.5, 0.9, 1.0]),
)  # fmt: skip
def test_it_chooses_what_the_book_says(u: float, temperature: float, top_k: int, top_p: float) -> None:
    token = Sampler(W, B).choose(X, u, temperature=temperature, top_k=top_k, top_p=top_p)
    assert token == chosen(u, temperature, top_k, top_p)
    rows = np.tile(X[0] @ W.T + B, (2, 1))
    found = kernels.sample(rows, np.array([u, u]), temperature=temperature, top_k=top_k, top_p=top_p)
    assert found.tolist() == [token, token]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_temperatures_next_to_nothing_take_the_best_and_vast_ones_all_but_what_is_barred(kind: Any) -> None:
    scores, u = np.tile((X[0] @ W.T + B).astype(kind), (400, 1)), (np.arange(400) + 0.5) / 400
    sampler = Sampler(W.astype(kind), B.astype(kind))
    for temperature in (1e-50, 5e-324, 0.0):
        assert set(kernels.sample(scores, u, temperature=temperature).tolist()) == {int(scores[0].argmax())}
        assert sampler.choose(X.astype(kind), 0.999, temperature=temperature) == scores[0].argmax()
    found = kernels.sample(scores, u, temperature=1e300)
    counts = np.bincount(found, minlength=40)
    assert counts[[3, 17]].tolist() == [0, 0] and set(np.delete(counts, [3, 17]).tolist()) == {10, 11}


def test_it_chooses_as_often_as_is_probable_and_never_what_is_barred() -> None:
    sampler = Sampler(W.astype(np.float32), B.astype(np.float32))
    x = X.astype(np.float32)
    drawn = np.bincount([sampler.choose(x, u) for u in (np.arange(20_000) + 0.5) / 20_000], minlength=40) / 20_000
    shares = np.exp(X[0] @ W.T + B)
    np.testing.assert_allclose(drawn, shares / shares.sum(), atol=2e-4)
    assert drawn[3] == drawn[17] == 0
    assert {sampler.choose(x, 0.999999, top_k=40), sampler.choose(x, 0.0, top_k=40)}.isdisjoint({3, 17})


def test_of_equals_the_lower_id_comes_first() -> None:
    sampler = Sampler(np.zeros((5, 2)))
    x = np.zeros((1, 2))
    assert sampler.choose(x, 0.9, temperature=0.0) == 0
    assert [sampler.choose(x, u, top_k=2) for u in (0.1, 0.6)] == [0, 1]


@pytest.mark.parametrize("columns", [5, 1100, 3000])
def test_instruction_sets_and_threads_choose_the_same(columns: int) -> None:
    rng = np.random.default_rng(0)
    w, x = rng.normal(0, 0.05, (columns, 300)).astype(np.float32), rng.normal(size=(1, 300)).astype(np.float32)
    us = rng.random(200)
    found = set()
    for isa in kernels.available_isas():
        kernels.use_isa(isa)
        for threads in (1, 4):
            sampler = Sampler(w, num_threads=threads)
            found.add(tuple(sampler.choose(x, u, top_p=top_p) for u in us for top_p in (0.9, 1.0)))
    assert len(found) == 1
    assert len(set(found.pop())) > 3


@pytest.mark.parametrize("x", [np.zeros((1, 8)), np.zeros((2, 7)), np.zeros((1, 7), np.float32), np.zeros(8)])
def test_another_shape_or_type_is_refused(x: Any) -> None:
    with pytest.raises(ShapeError, match="x "):
        Sampler(W).choose(x, 0.5)
    with pytest.raises(ShapeError, match=r"\[V, K\]"):
        Sampler(np.zeros((0, 3)))
    with pytest.raises(ShapeError, match=r"b is \[3\]"):
        Sampler(W, np.zeros(3))


@given(st.integers(0, 30), st.integers(1, 40), st.integers(1, 70))
def test_a_product_takes_the_matrix_as_it_stands(N: int, K: int, M: int) -> None:
    rng = np.random.default_rng(N)
    x, w = rng.normal(size=(N, K)), rng.normal(size=(K, M))
    np.testing.assert_allclose(kernels.product(x, w), x @ w, rtol=1e-12, atol=1e-12)
    assert kernels.product(x, w).tobytes() == kernels.linear(x, np.ascontiguousarray(w.T)).tobytes()


def test_a_product_of_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"w is \[4, 2\] but \[3, 2\]"):
        kernels.product(np.zeros((2, 3)), np.zeros((4, 2)))
