"""What programs find of different lanes of a batch, added as a tree, is to the bit the gradient that one finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from programs import DROPPING, NETWORKS, batch_of, weights_of
from tidegate.engine import Batch, CrfLikelihood, CrossEntropy, Errors, Loss, Program
from tidegate.kernels import lanes
from tidegate.network import Crf, Decode, Network

Array = npt.NDArray[Any]
EVERY = NETWORKS | DROPPING


def loss_of(program: Program, batch: Batch) -> Loss:
    """Make a loss that fits a network, with weights of many sizes."""
    network, rng = program.network, np.random.default_rng(3)
    begin = program.compiled.rows(*program.compiled.enter(batch))
    rows, size, width = int(begin[-1]), len(begin) - 1, network.output_size
    weight = rng.random(size)
    if isinstance(network.nodes[-1], Crf):
        return CrfLikelihood(rng.integers(0, width, rows), weight)
    if any(isinstance(node, Decode) for node in network.nodes):
        numbers = rows * width // size
        return Errors(rng.standard_normal((size, numbers)), weight, ("mse",) * numbers)
    return CrossEntropy(rng.integers(0, width, rows), weight)


def parts(network: Network, batch: Batch, cuts: list[range]) -> tuple[list[Program], list[Array]]:
    """Let as many programs run their own lanes, and return them and what each lost."""
    found, lost = [], []
    for some in cuts:
        program = Program(network, weights_of(network, np.float32))
        lost.append(program.run_lanes(batch, loss_of(program, batch), some, seed=1, step=3).losses)
        found.append(program)
    return found, lost


@pytest.mark.parametrize("name", EVERY)
def test_two_programs_find_the_gradient_of_one(name: str) -> None:
    network = EVERY[name]
    batch = batch_of(network, np.float32, size=150, longest=30)
    alone = Program(network, weights_of(network, np.float32))
    whole = alone.gradient(batch, loss_of(alone, batch), seed=1, step=3)
    lane_of, count = alone.deal(batch)
    assert count == 16
    assert len(np.unique(lane_of)) > 8
    halves = [range(8), range(8, 16)]
    (left, right), lost = parts(network, batch, halves)
    total = lanes.add(left.add_up(halves[0]), right.add_up(halves[1]))
    left.settle(total)
    right.settle(total)
    assert left.gradient_array.tobytes() == alone.gradient_array.tobytes() == right.gradient_array.tobytes()
    assert (np.where(lane_of < 8, lost[0], lost[1]) == whole.losses).all()
    assert not lost[0][lane_of >= 8].any()


def test_of_a_table_only_rows_that_the_batch_reads_are_added_up() -> None:
    network = NETWORKS["every step"]
    program = Program(network, weights_of(network, np.float32))
    batch = batch_of(network, np.float32)
    program.run_lanes(batch, loss_of(program, batch), range(16))
    others = sum(array.size for name, array in program.weights.items() if name != "0.weight")
    assert program.summed == others + len(np.unique(np.asarray(batch.values))) * 6  # type: ignore[union-attr]


def test_lanes_that_found_nothing_change_no_sign_of_zero() -> None:
    nothing = np.full(3, -0.0, np.float32)
    some = np.array([0.0, -0.0, 1e-42], np.float32)  # the last is too small to be kept by the core, alone or added
    assert np.signbit(lanes.add(some.copy(), nothing)).tolist() == [False, True, False]
    assert np.signbit(lanes.add(nothing.copy(), some)).tolist() == [False, True, False]
