"""Memory tasks: the answers are those of the definitions, and the trivial levels those of the best guess."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

from tidegate.errors import InputError, OptionError, ShapeError
from tidegate.lab import problems as memory_tasks
from tidegate.lab.problems import Grade, Problems
from tidegate.ragged import Ragged

BLANK, BEGIN = 8, 9


def draw(name: str, length: int, count: int, *, seed: int = 0) -> Problems:
    return memory_tasks.get(name).draw(length, count, np.random.default_rng(seed))


def rows(problems: Problems) -> npt.NDArray[np.generic]:
    """Stack the sequences, which all have one length."""
    stacked: npt.NDArray[np.generic] = np.stack(problems.x.to_list())
    return stacked


@pytest.mark.parametrize("length", [2, 3, 9, 50])
def test_adding_asks_for_the_sum_of_one_number_of_each_half(length: int) -> None:
    problems = draw("adding", length, 300)
    for sequence, answer in zip(problems.x.to_list(), problems.y, strict=True):
        values, marks = sequence[:, 0], sequence[:, 1]
        assert sequence.shape == (length, 2)
        first, second = np.flatnonzero(marks)
        assert first < length // 2 <= second
        assert marks.sum() == 2.0
        assert answer == values[first] + values[second]
        assert 0 <= values.min() <= values.max() < 1


def test_adding_marks_every_place_of_a_half() -> None:
    marked = rows(draw("adding", 7, 2000))[..., 1].mean(axis=0)  # halves of 3 and 4 steps
    np.testing.assert_allclose(marked, [1 / 3] * 3 + [1 / 4] * 4, atol=0.04)


def test_copy_is_laid_out_as_defined() -> None:
    problems = draw("copy", 4, 200)
    told = problems.y.reshape(200, 24)
    for x, y in zip(rows(problems).tolist(), told.tolist(), strict=True):
        symbols = x[:10]
        assert set(symbols) <= set(range(8))
        assert x[10:] == [BLANK] * 3 + [BEGIN] + [BLANK] * 10
        assert y == [BLANK] * 14 + symbols
    np.testing.assert_allclose(np.bincount(told[:, -10:].ravel(), minlength=8) / 2000, [1 / 8] * 8, atol=0.03)


def test_temporal_order_asks_which_signals_came_and_when() -> None:
    problems = draw("temporal-order", 40, 400)
    for sequence, answer in zip(rows(problems).tolist(), problems.y, strict=True):
        first, second = (place for place, symbol in enumerate(sequence) if symbol < 2)
        assert 4 <= first < 8
        assert 16 <= second < 20
        assert answer == {(0, 0): 0, (0, 1): 1, (1, 0): 2, (1, 1): 3}[sequence[first], sequence[second]]
    assert set(rows(problems).ravel().tolist()) == {0, 1, 2, 3, 4, 5}
    np.testing.assert_allclose(np.bincount(problems.y) / 400, [1 / 4] * 4, atol=0.08)


def test_first_token_asks_for_it() -> None:
    problems = draw("first-token", 30, 400)
    np.testing.assert_array_equal(rows(problems)[:, 0], problems.y)
    assert set(rows(problems)[:, 1:].ravel().tolist()) == {2, 3, 4, 5}
    assert 160 < problems.y.sum() < 240


@pytest.mark.parametrize("name", memory_tasks.names())
def test_problems_are_a_function_of_the_generator_and_never_end(name: str) -> None:
    rng = np.random.default_rng(3)
    first, second = (memory_tasks.get(name).draw(20, 8, rng) for _ in range(2))
    again = draw(name, 20, 8, seed=3)
    assert first.x.values.tobytes() == again.x.values.tobytes()
    assert first.y.tobytes() == again.y.tobytes()
    assert first.x.values.tobytes() != second.x.values.tobytes()
    assert first.x.lengths.tolist() == [20 + 20 * (name == "copy")] * 8


@pytest.mark.parametrize("name", memory_tasks.names())
def test_problems_have_the_sizes_and_types_that_the_task_tells(name: str) -> None:
    task = memory_tasks.get(name)
    problems = task.draw(task.shortest, 64, np.random.default_rng(0))
    if task.reads_symbols:
        assert problems.x.values.dtype == np.int64
        assert problems.x.values.max() < task.inputs
    else:
        assert problems.x.values.dtype == np.float32
        assert problems.x.values.shape[1] == task.inputs
    assert problems.y.dtype == (np.float32 if task.answer == "number" else np.int64)
    assert len(problems.y) == (len(problems.x.values) if task.answer == "symbols" else 64)
    assert task.answer == "number" or problems.y.max() == task.outputs - 1
    with pytest.raises(InputError, match=f"{name!r} of {task.shortest - 1} steps .* at least {task.shortest}"):
        task.draw(task.shortest - 1, 1, np.random.default_rng(0))


@pytest.mark.parametrize("name", memory_tasks.names())
def test_mixed_problems_have_all_lengths_up_to_the_longest(name: str) -> None:
    task, more = memory_tasks.get(name), 20 * (name == "copy")
    problems = task.draw_mixed(400, 3000, np.random.default_rng(0))
    lengths = problems.x.lengths - more
    assert lengths.min() >= task.shortest
    assert lengths.max() <= 400
    np.testing.assert_allclose(  # of a number whose logarithm is uniform, half lie below the geometric mean
        np.mean(lengths < math.sqrt(task.shortest * 401)), 0.5, atol=0.05
    )
    for index in (0, 1, 2999):  # an answer belongs to its own sequence
        sequence = problems.x[index]
        if name == "copy":
            end = int(problems.x.offsets[index + 1])
            np.testing.assert_array_equal(problems.y[end - 10 : end], sequence[:10])
        elif name == "adding":
            assert problems.y[index] == sequence[sequence[:, 1] == 1, 0].sum()
        else:
            signals = sequence[sequence < 2]
            assert problems.y[index] == (signals[0] if name == "first-token" else 2 * signals[0] + signals[1])
    assert len(task.draw_mixed(400, 0, np.random.default_rng(0)).x) == 0
    assert task.draw_mixed(task.shortest, 2, np.random.default_rng(0)).x.lengths.tolist() == [task.shortest + more] * 2
    with pytest.raises(InputError, match="it needs at least"):
        task.draw_mixed(task.shortest - 1, 2, np.random.default_rng(0))


def test_no_problems_are_an_empty_batch() -> None:
    assert len(draw("copy", 5, 0).x) == len(draw("adding", 5, 0).y) == 0


def test_an_unknown_task_is_refused_with_those_that_exist() -> None:
    with pytest.raises(OptionError, match=r"unknown task 'coppy'\. Did you mean 'copy'\? Known: adding, copy, first-"):
        memory_tasks.get("coppy")


def test_the_trivial_level_of_adding_is_the_error_of_the_best_constant() -> None:
    task, sums = memory_tasks.get("adding"), np.sum(list(product((np.arange(400) + 0.5) / 400, repeat=2)), axis=1)
    problems = Problems(Ragged(np.zeros((0, 2), np.float32), np.zeros(sums.size + 1, np.int64)), sums)
    levels = {guess: task.grade(np.full((sums.size, 1), guess), problems).level for guess in (0.9, 1.0, 1.1)}
    assert levels[1.0] == pytest.approx(task.trivial_level(100), rel=1e-4)
    assert min(levels, key=lambda guess: levels[guess]) == 1.0


@pytest.mark.parametrize("name", ["copy", "temporal-order", "first-token"])
def test_the_trivial_level_is_that_of_guessing_alike_what_must_be_remembered(name: str) -> None:
    task, problems = memory_tasks.get(name), draw(name, 30, 50)
    output = np.zeros((len(problems.y), task.outputs))
    if name == "copy":
        answering = np.tile([False] * 40 + [True] * 10, 50)
        output[:] = np.where(answering[:, None], [0.0] * 8 + [-1e9], [-1e9] * 8 + [0.0])
    assert task.grade(output, problems).level == pytest.approx(task.trivial_level(30), rel=1e-12)


def test_the_trivial_level_of_copy_is_the_published_one() -> None:
    assert round(memory_tasks.get("copy").trivial_level(1000), 4) == 0.0204  # Bai, Kolter, Koltun 2018, figure 3


def test_grades_are_as_by_hand() -> None:
    x = Ragged.from_list([[0], [1]])
    adding = memory_tasks.get("adding").grade(np.array([[1.0], [0.5]], np.float32), Problems(x, np.array([1.5, 0.25])))
    assert adding == Grade((0.25 + 0.0625) / 2, None)
    first = memory_tasks.get("first-token").grade(np.log([[0.75, 0.25], [0.5, 0.5]]), Problems(x, np.array([0, 1])))
    assert first.level == pytest.approx(-(math.log(0.75) + math.log(0.5)) / 2)
    assert first.right == 0.5


def test_the_share_of_right_symbols_counts_those_to_be_repeated_alone() -> None:
    task, problems = memory_tasks.get("copy"), draw("copy", 5, 40)
    output = np.zeros((len(problems.y), 9))
    output[:, BLANK] = 1.0
    assert task.grade(output, problems).right == 0.0
    output[np.arange(len(output)), problems.y] = 2.0
    assert task.grade(output, problems).right == 1.0


def test_an_output_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"the output is \[3, 2\], but 'adding' asks for \[3, 1\]"):
        memory_tasks.get("adding").grade(np.zeros((3, 2)), draw("adding", 5, 3))


@pytest.mark.parametrize("name", memory_tasks.names())
def test_the_goal_lies_far_below_the_trivial_level(name: str) -> None:
    task = memory_tasks.get(name)
    assert all(0 < task.goal(length) < 0.07 * task.trivial_level(length) for length in (10, 1000))
