"""What a caller may get wrong is refused in words, and nothing is read or written beyond an array."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from programs import NETWORKS, batch_of, weights_of
from tidegate.engine import CrfLikelihood, CrossEntropy, Errors, Program
from tidegate.errors import InputError, ShapeError
from tidegate.network import Crf, Dense, Network, Pool, Recurrent
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

Array = npt.NDArray[Any]

LAYER = Recurrent(cell="gru", input_size=3, hidden_size=4)
POOLED = Network.of(LAYER, Pool(modes=("max",)), Dense(in_features=4, out_features=2))


def executor(network: Network = POOLED) -> Executor:
    return Executor(network, weights_of(network))


def rows(*lengths: int, width: int = 3) -> Ragged:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Ragged(np.random.default_rng(0).standard_normal((offsets[-1], width)), offsets)


@pytest.mark.parametrize("lengths", [(4,), (2, 0, 3), (0,) * 2000, ()])
def test_what_enters_the_last_node_has_the_rows_that_the_nodes_before_it_give(lengths: tuple[int, ...]) -> None:
    runner = executor()
    inner, _ = runner.advance(rows(*lengths), {})
    assert inner.shape == (len(lengths), 4)
    assert runner.head(inner).tobytes() == runner(rows(*lengths)).tobytes()


@pytest.mark.parametrize("shape", [(2, 1), (2, 8), (8,)])
def test_rows_of_another_width_do_not_enter_the_last_node(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"rows is \[.*\] is wanted"):
        executor().head(np.ones(shape))


def test_a_state_that_does_not_fit_leaves_nothing_behind() -> None:
    second = LAYER.model_copy(update={"input_size": 4})
    network = Network.of(LAYER, second, Pool(modes=("last",)), Dense(in_features=4, out_features=2))
    program, loss = Program(network, weights_of(network)), CrossEntropy(np.array([0, 1]), np.ones(2))
    before = program.gradient(rows(3, 2), loss).losses
    with pytest.raises(ShapeError, match=r"state '1.h'"):
        program.gradient(rows(3, 2), loss, states={"0.h": np.ones((1, 2, 4)), "1.h": np.ones((1, 2, 5))})
    assert program.gradient(rows(3, 2), loss).losses.tobytes() == before.tobytes()


def test_two_threads_on_one_program_are_told_and_neither_answers_wrong() -> None:
    """An executor takes any number; a program that is trained, and a recording, are one thread's at a time."""
    network = NETWORKS["all ways of pooling"]
    program, batch = Program(network, weights_of(network)), batch_of(network)
    recording = Executor(network, weights_of(network)).record(batch)
    right = program(batch).tobytes()
    doutput = np.ones_like(recording.output)
    steps = recording.back(doutput, steps=True).layers[0].dh.tobytes()

    def ask(number: int) -> bytes | None:
        try:
            if number % 2:
                return program(batch).tobytes()
            return recording.back(doutput, steps=True).layers[0].dh.tobytes()
        except InputError as error:
            assert "another thread runs this program" in str(error)  # noqa: PT017  either answer is right
            return None

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(300)))
    assert {answer for answer in answers if answer is not None} <= {right, steps}
    assert program(batch).tobytes() == right


@pytest.mark.parametrize("through", [2, 7, 100_000, -1])
def test_a_direction_that_is_none_is_refused(through: int) -> None:
    both = LAYER.model_copy(update={"bidirectional": True})
    recording = executor(Network.of(both)).record(rows(3, 2))
    with pytest.raises(InputError, match="0 or 1"):
        recording.back(np.ones_like(recording.output), through=through)


def test_a_direction_of_a_network_that_has_but_one_is_refused() -> None:
    recording = executor().record(rows(3, 2))
    with pytest.raises(InputError, match="two directions"):
        recording.back(np.ones_like(recording.output), through=0)


def test_the_gradient_of_token_ids_is_refused() -> None:
    network = NETWORKS["all ways of pooling"]
    recording = executor(network).record(batch_of(network))
    with pytest.raises(InputError, match="reads token ids"):
        recording.back(np.ones_like(recording.output), need_dx=True)


def test_what_was_recorded_is_to_be_read_and_lives_as_long_as_it_is_held() -> None:
    network = Network.of(Crf(tags=3))
    output = executor(network).record(rows(2, 1)).output
    assert output.tobytes() == rows(2, 1).values.tobytes()
    recording = executor().record(rows(3, 2))
    with pytest.raises(ValueError, match="read-only"):
        recording.output[:] = 0
    with pytest.raises(ValueError, match="read-only"):
        recording.nodes[0].gave[:] = 0


@pytest.mark.parametrize("kind", [np.float16, np.int8, np.longdouble])
def test_weights_of_a_type_that_no_kernel_has_are_refused(kind: Any) -> None:
    with pytest.raises(ShapeError, match="float32, or all float64"):
        Executor(POOLED, {name: array.astype(kind) for name, array in weights_of(POOLED).items()})


def test_penalties_and_shares_of_another_shape_are_refused() -> None:
    tagger = Network.of(LAYER, Dense(in_features=4, out_features=3), Crf(tags=3))
    tags, each = np.zeros(5, np.int64), np.ones(2)
    with pytest.raises(ShapeError, match="penalty"):
        Program(tagger, weights_of(tagger)).gradient(rows(3, 2), CrfLikelihood(tags, each, (np.zeros(1),) * 3))
    wanted = Errors(np.zeros((2, 2)), each, ("mse", "mse"), share=np.ones(1))
    with pytest.raises(ShapeError, match="share"):
        Program(POOLED, weights_of(POOLED)).gradient(rows(3, 2), wanted)


def test_the_loss_of_tags_wants_a_network_that_ends_with_them() -> None:
    network = Network.of(LAYER, Dense(in_features=4, out_features=3))
    with pytest.raises(ShapeError, match="end with a crf node"):
        Program(network, weights_of(network)).gradient(rows(2), CrfLikelihood(np.zeros(2, np.int64), np.ones(1)))
