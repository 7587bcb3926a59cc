"""Steps: law 3 to the bit on every instruction set, slots that know nothing of each other, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import cases
from tidegate import kernels
from tidegate.cells import CELLS
from tidegate.engine import Runner
from tidegate.errors import InputError, ShapeError
from tidegate.kernels.streams import Streams
from tidegate.network import Crf, Dense, Embed, Network, Node, Pool, Recurrent, Split, parameter_shapes
from tidegate.ragged import Ragged

STEPS = 7


@pytest.fixture
def isas() -> Iterator[tuple[str, ...]]:
    before = kernels.active_isa()
    yield kernels.available_isas()
    kernels.use_isa(before)


def steps(case: cases.Case, B: int) -> Any:
    """Cut the input of B sequences of one length into [STEPS, B, C]."""
    return np.ascontiguousarray(case.x.reshape(B, STEPS, -1).swapaxes(0, 1))


def live(cell: str, directions: Sequence[kernels.Direction], *before: Any, lookahead: int = 0, pools: Any = ()) -> Any:
    """Make a layer ready for streams, behind an embedding of the table that is passed, if one is."""
    first = directions[0]
    C, H = first.w_ih.shape[1], first.w_hh.shape[1]
    table = [Embed(vocabulary_size=len(rows), size=C) for rows in before]
    layer = Recurrent(
        cell=cell,  # type: ignore[arg-type]
        input_size=C,
        hidden_size=H,
        bidirectional=len(directions) == 2,
        reverse=len(directions) == 1 and first.reverse,
        bias=first.b_ih is not None,
    )
    network = Network.of(*table, layer, *[Pool(modes=modes) for modes in pools])
    biases = ("b_ih", "b_hh") if layer.bias else ()
    parts = [getattr(each, name) for each in directions for name in ("w_ih", "w_hh", *biases)]
    weights = dict(zip(parameter_shapes(network), [*before, *parts], strict=True))
    return Runner(network, weights).live([lookahead] * layer.layers_back)


def network_of(cell: str, case: cases.Case, **options: Any) -> Any:
    return live(cell, case.directions, **options)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize(("B", "C", "H"), [(1, 3, 5), (1, 16, 32), (3, 9, 49), (60, 4, 20)])
def test_steps_are_the_whole_sequence(cell: str, B: int, C: int, H: int, kind: type, isas: tuple[str, ...]) -> None:
    case = cases.make(cell, [STEPS] * B, C, H, kind=kind, directions=1, states=False)
    whole = case.forward()
    network = network_of(cell, case)
    for isa in isas:
        kernels.use_isa(isa)
        streams = Streams(network, B)
        slots, offsets = np.arange(B), np.arange(B + 1)
        got = [streams.run(slots, x, offsets)[0] for x in steps(case, B)]
        np.testing.assert_array_equal(np.stack(got, axis=1).reshape(B * STEPS, H), whole.h)
        states = np.stack([streams.read(slot)[0][:H] for slot in range(B)])
        np.testing.assert_array_equal(states, whole.hn[0])


@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize("lookahead", [0, 1, 3, 20])
def test_a_backward_direction_sees_the_rows_that_follow_and_no_more(
    cell: str, lookahead: int, isas: tuple[str, ...]
) -> None:
    case = cases.make(cell, [STEPS], 3, 21, kind=np.float64, states=False)
    want = np.empty((STEPS, 42))
    for step in range(STEPS):  # what the layer says of a step when the sequence ends `lookahead` later
        end = min(STEPS, step + lookahead + 1)
        run = kernels.forward(cell, case.x[:end], np.array([0, end]), case.directions)
        want[step] = run.h[step]
    network = network_of(cell, case, lookahead=lookahead)
    for isa in isas:
        kernels.use_isa(isa)
        streams = Streams(network, 1)
        got = [streams.run(np.array([0]), x, np.array([0, 1]))[0] for x in steps(case, 1)]
        assert [len(rows) for rows in got] == [int(step >= lookahead) for step in range(STEPS)]
        rest, _ = streams.run(np.array([0]), case.x[:0], np.array([0, 0]), ending=True)
        np.testing.assert_array_equal(np.concatenate([*got, rest]), want)


@pytest.mark.parametrize(("cell", "H"), [("rnn_tanh", 300), ("lstm", 200), ("gru", 210)])
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("directions", [1, 2])
def test_threads_that_share_a_step_give_the_same_bits(cell: str, H: int, threads: int, directions: int) -> None:
    case = cases.make(cell, [STEPS], 150, H, kind=np.float64, directions=directions, states=False)
    streams = Streams(network_of(cell, case, lookahead=STEPS), 1, num_threads=threads)
    got = [streams.run(np.array([0]), x, np.array([0, 1]))[0] for x in steps(case, 1)]
    rest, _ = streams.run(np.array([0]), case.x[:0], np.array([0, 0]), ending=True)
    np.testing.assert_array_equal(np.concatenate([*got, rest]), case.forward(num_threads=1).h)


@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize("threads", [1, 4])
def test_slots_step_in_any_company_as_alone(cell: str, threads: int) -> None:
    rng = np.random.default_rng(5)
    case = cases.make(cell, [2], 6, 33, states=False)
    network = network_of(cell, case, lookahead=2, pools=[("mean", "last", "max", "first")])
    together, alone = Streams(network, 40, num_threads=threads), [Streams(network, 1) for _ in range(40)]
    for _ in range(12):
        slots = rng.permutation(40)[: rng.integers(1, 41)]
        lengths = rng.integers(0, 4, len(slots))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        x = rng.normal(size=(offsets[-1], 6)).astype(np.float32)
        got, _ = together.run(slots, x, offsets)
        for i, slot in enumerate(slots):
            rows = x[offsets[i] : offsets[i + 1]]
            want, _ = alone[slot].run(np.array([0]), rows, np.array([0, len(rows)]))
            assert got[i].tobytes() == want[0].tobytes()
    assert [together.steps(slot) for slot in range(40)] == [each.steps() for each in alone]


def test_a_chunk_longer_than_what_passes_at_once_is_the_whole(isas: tuple[str, ...]) -> None:
    lengths = [200, 1, 64, 65, 0, 129]
    case = cases.make("gru", lengths, 3, 18, directions=2, states=False)
    network = network_of("gru", case, lookahead=250)
    got, offsets = Streams(network, 6).run(np.arange(6), case.x, case.offsets, ending=True)
    np.testing.assert_array_equal(offsets, case.offsets)
    np.testing.assert_array_equal(got, case.forward().h)


@pytest.mark.parametrize("cell", kernels.CELLS)
def test_a_state_goes_on_in_another_stream(cell: str) -> None:
    case = cases.make(cell, [STEPS], 3, 5, states=False)
    network = network_of(cell, case, lookahead=2)
    first, second = Streams(network, 1), Streams(network, 3)
    x = steps(case, 1)
    for row in x[:3]:
        first.step(row[0])
    second.write(*first.read(), 1)
    second.copy(1, 2)
    for row in x[3:]:
        want = first.step(row[0])
        assert want is not None
        for slot in (1, 2):
            np.testing.assert_array_equal(second.step(row[0], slot), want)
    second.clear(1)
    assert not second.read(1)[0].any()
    assert second.steps(1) == 0


def test_the_weights_may_die_and_no_bias_is_a_zero_bias() -> None:
    case = cases.make("gru", [STEPS], 3, 5, directions=1, bias=False, states=False)
    weights = case.directions[0]
    streams = Streams(live("gru", [kernels.Direction(weights.w_ih.copy(), weights.w_hh.copy())]))
    got = np.stack([streams.step(x[0]) for x in steps(case, 1)])  # type: ignore[misc]
    np.testing.assert_array_equal(got, case.forward().h)


def test_strided_rows_and_lists_give_the_bits_of_their_copy() -> None:
    case = cases.make("lstm", [STEPS], 6, 5, directions=1, states=False)
    wide = np.zeros((STEPS, 12), np.float32)
    wide[:, ::2] = case.x
    for rows in (wide[:, ::2], case.x.tolist(), case.x.astype(np.float64)):
        streams = Streams(network_of("lstm", case))
        got = np.stack([streams.step(x) for x in rows])  # type: ignore[misc]
        np.testing.assert_array_equal(got, case.forward().h)


@pytest.mark.parametrize(
    ("x", "complaint"),
    [
        (np.zeros((1, 4), np.float32), r"a step is \[1, 4\] but \[3\]"),
        (np.zeros((3, 1), np.float32), r"a step is \[3, 1\]"),
        ([0.0, float("nan"), 0.0], "the step has nan as feature 1"),
        (np.array([0, 0, -np.inf], np.float32), "the step has -inf as feature 2"),
        (np.array([0, 0, 1e39]), "the step has inf as feature 2"),
        (["a", "b", "c"], "holds <U1 where numbers"),
        ([[1.0], [1.0, 2.0]], "different lengths"),
    ],
)
def test_a_refused_step_leaves_the_state(x: Any, complaint: str) -> None:
    case = cases.make("lstm", [STEPS], 3, 5, directions=1, states=False)
    streams = Streams(network_of("lstm", case))
    streams.step(case.x[0])
    before = streams.read()[0].tobytes()
    with pytest.raises(InputError, match=complaint):
        streams.step(x)
    assert streams.read()[0].tobytes() == before
    assert streams.steps() == 1


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize(("H", "V"), [(5, 40), (210, 40), (300, 14_000)])
def test_a_step_with_a_token_gives_the_bits_of_its_row(cell: str, H: int, V: int, kind: Any) -> None:
    rng = np.random.default_rng(H)
    shapes = ((CELLS[cell].gates * H, 7), (CELLS[cell].gates * H, H), (CELLS[cell].gates * H,))
    w_ih, w_hh, b_ih = (rng.normal(0, 0.3, shape).astype(kind) for shape in shapes)
    direction = kernels.Direction(w_ih, w_hh, b_ih, b_ih * kind(0.5))
    table = rng.normal(size=(V, 7)).astype(kind)
    ids = rng.integers(0, V, 12).astype(np.int32)
    want = kernels.forward(cell, ids, np.array([0, 12]), [direction], table=table).h
    network = live(cell, [direction], table)
    for threads in (1, 4):
        streams = Streams(network, num_threads=threads)
        got = [streams.step_token(int(token)) for token in ids]
        assert b"".join(row.tobytes() for row in got if row is not None) == want.tobytes()
        streams.clear()
        assert streams.run(np.array([0]), ids, np.array([0, 12]))[0].tobytes() == want.tobytes()


def test_a_token_without_a_row_is_refused_and_the_state_stays() -> None:
    streams = Streams(live("rnn_relu", [kernels.Direction(np.ones((2, 3)), np.ones((2, 2)))], np.ones((4, 3))))
    streams.step_token(3)
    before = streams.read()[0].tobytes()
    for token in (-1, 4):
        with pytest.raises(InputError, match=f"token id {token} is out of range; the vocabulary has 4 ids"):
            streams.step_token(token)
        with pytest.raises(InputError, match=f"token id {token} is out of range"):
            streams.run(np.array([0]), np.array([0, token], np.int32), np.array([0, 2]))
    with pytest.raises(InputError, match="one token id"):
        streams.step_token("two")  # type: ignore[arg-type]
    assert streams.read()[0].tobytes() == before


def test_a_merge_of_faint_numbers_is_that_of_the_whole_sequence() -> None:
    """What is below the smallest normal number is zero, streamed as well as whole."""
    layer = Recurrent(cell="rnn_relu", input_size=1, hidden_size=1, bidirectional=True, merge="mul", bias=False)
    network = Network.of(layer, Pool(modes=("last", "max")))
    weights = {name: np.full(shape, 0.5, np.float32) for name, shape in parameter_shapes(network).items()}
    runner = Runner(network, weights)
    x = np.array([[2e-21], [1e-21], [1.0], [3e-22]], np.float32)
    for rows in (x, x[:2]):
        whole = runner(Ragged(rows, np.array([0, len(rows)])))
        got, _ = Streams(runner.live([2])).run(np.array([0]), rows, np.array([0, len(rows)]), ending=True)
        np.testing.assert_array_equal(got, whole)
    assert not whole.any()


@pytest.mark.parametrize(
    ("node", "live"),
    [
        (Split(channels=1, size=3), False),
        (Crf(tags=3), True),
        (Dense(in_features=3, out_features=2), True),
        (Recurrent(cell="gru", input_size=3, hidden_size=2), True),
    ],
)
def test_the_card_of_a_node_knows_whether_the_core_steps_it(node: Node, live: bool) -> None:
    network = Network.of(node)
    runner = Runner(network, {name: np.zeros(shape) for name, shape in parameter_shapes(network).items()})
    assert node.live == live
    with nullcontext() if live else pytest.raises(ValueError, match="reads whole sequences alone"):
        runner.live()


@pytest.mark.parametrize(("ahead", "complaint"), [([], "has no look-ahead"), ([1, 1], "fewer layers run backward")])
def test_each_layer_that_runs_from_the_end_has_one_look_ahead(ahead: list[int], complaint: str) -> None:
    network = Network.of(Recurrent(cell="gru", input_size=3, hidden_size=2, reverse=True))
    runner = Runner(network, {name: np.zeros(shape) for name, shape in parameter_shapes(network).items()})
    with pytest.raises(ValueError, match=complaint):
        runner.live(ahead)


def test_what_cannot_be_stepped() -> None:
    case = cases.make("lstm", [STEPS], 3, 5, directions=1, states=False)
    streams = Streams(network_of("lstm", case), 2)
    for slots in ([0, 0], [0, 2], [-1, 0]):
        with pytest.raises(InputError, match="slots must differ and lie between 0 and 1"):
            streams.run(np.array(slots), case.x[:2], np.array([0, 1, 2]))
    for offsets in ([0, 1, 10**9], [0, 2, 1], [1, 2, 2], [0]):
        with pytest.raises(ShapeError, match="offsets must ascend from 0 to the number of tokens, 2"):
            streams.run(np.arange(2), case.x[:2], np.array(offsets))
    for chosen in (np.arange(2, dtype=np.int32), np.arange(3), np.arange(2)[:, None]):
        with pytest.raises(ShapeError, match="slots"):
            streams.run(chosen, case.x[:2], np.array([0, 1, 2]))
    numbers, steps = streams.read()
    for slot in (-1, 2, 10**9):
        for ask in (
            streams.clear,
            streams.steps,
            streams.read,
            lambda slot: streams.copy(0, slot),
            lambda slot: streams.copy(slot, 0),
            lambda slot: streams.write(numbers, steps, slot),
        ):
            with pytest.raises(InputError, match="slots must differ and lie between 0 and 1"):
                ask(slot)
    with pytest.raises(ShapeError, match="after -5 steps"):
        streams.write(numbers, -5)
    with pytest.raises(ShapeError, match="numbers is"):
        streams.write(np.zeros(3, np.float32), 0)
    with pytest.raises(ShapeError, match="out is"):
        streams.step(case.x[0], out=np.zeros(4, np.float32))
    assert streams.steps() == 0
