"""One trial of the memory lab: what it trains, on what, for how long, and what it tells of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tidegate import runs
from tidegate.lab import LabSetup, Outcome, Trial
from tidegate.lab import problems as memory_tasks
from tidegate.lab.problems import Problems
from tidegate.network import Dense, Embed, Pool, Recurrent
from tidegate.runtime import Executor

SMALL = LabSetup(hidden_size=8, batch_size=12, updates=60, check_every=20)


def trained(name: str = "first-token", cell: str = "gru", length: int = 4, setup: LabSetup = SMALL) -> Trial:
    trial = Trial(memory_tasks.get(name), cell, length, setup)
    for _ in trial.steps():
        pass
    return trial


def lasting(outcome: Outcome) -> dict[str, Any]:
    """Give all of an outcome but the time it took."""
    return {name: value for name, value in vars(outcome).items() if name != "seconds"}


def test_training_ends_at_the_check_that_finds_the_task_solved() -> None:
    outcome = trained(setup=LabSetup(hidden_size=8, updates=2000, check_every=10)).outcome()
    assert outcome.solved
    assert outcome.updates < 1000
    assert outcome.updates % 10 == 0
    assert [check.update for check in outcome.curve] == list(range(10, outcome.updates + 10, 10))
    assert [check.level <= outcome.goal for check in outcome.curve] == [False] * (len(outcome.curve) - 1) + [True]
    assert outcome.level == outcome.curve[-1].level
    assert outcome.trouble is None


def test_training_ends_when_there_are_no_updates_left() -> None:
    outcome = trained("temporal-order", "rnn", 60).outcome()
    assert not outcome.solved
    assert outcome.updates == 60
    assert outcome.trivial_level == pytest.approx(np.log(4))
    assert outcome.level is not None
    assert outcome.level > outcome.goal == 0.05 * np.log(4)


@pytest.mark.parametrize(("updates", "made"), [(1, 1), (20, 20), (21, 40)])
def test_updates_are_rounded_up_to_the_next_check(updates: int, made: int) -> None:
    setup = LabSetup(hidden_size=4, batch_size=4, updates=updates, check_every=20)
    assert trained("temporal-order", "rnn", 30, setup).outcome().updates == made


@pytest.mark.parametrize("name", memory_tasks.names())
def test_the_level_is_measured_with_the_last_weights_on_problems_never_trained_on(name: str) -> None:
    trial = trained(name, "lstm", 10)
    problems = trial.held_out(256)
    output = Executor(trial.network, trial.weights)(problems.x).astype(np.float64)
    if name == "adding":
        level = np.mean((output[:, 0] - problems.y) ** 2)
    else:
        shares = np.exp(output) / np.exp(output).sum(axis=1, keepdims=True)
        level = -np.log(shares[np.arange(len(output)), problems.y]).mean()
    assert trial.outcome().level == pytest.approx(level, rel=1e-6)


def test_the_same_seed_gives_the_same_bits_and_another_one_others() -> None:
    first, same, other = (trained("adding", "lstm", 6, LabSetup(8, 12, 0.02, 40, 20, seed=seed)) for seed in (0, 0, 1))
    assert lasting(first.outcome()) == lasting(same.outcome())
    assert all(first.weights[name].tobytes() == same.weights[name].tobytes() for name in first.weights)
    assert first.outcome().curve != other.outcome().curve
    assert first.held_out(3).x.values.tobytes() != other.held_out(3).x.values.tobytes()


def test_training_again_begins_again() -> None:
    trial = trained(setup=LabSetup(8, 12, 0.02, 40, 20))
    before = trial.outcome()
    for _ in trial.steps():
        pass
    assert lasting(trial.outcome()) == lasting(before)


def test_no_problem_is_met_twice_and_none_of_those_held_out_is_trained_on() -> None:
    task = memory_tasks.get("adding")
    met: list[bytes] = []

    def draw(length: int, count: int, rng: np.random.Generator) -> Problems:
        problems = task.draw_with(length, count, rng)
        met.extend(sequence.tobytes() for sequence in problems.x)
        return problems

    for _ in Trial(replace(task, draw_with=draw), "rnn", 5, SMALL).steps():
        pass
    assert len(met) == len(set(met)) == 60 * 12 + 256


def test_mixed_trials_train_on_fewer_tokens_and_are_checked_on_problems_of_their_length() -> None:
    setup = LabSetup(hidden_size=4, batch_size=8, updates=10, mixed=True)
    trial = Trial(memory_tasks.get("adding"), "gru", 90, setup)
    tokens = [step.tokens for step in trial.steps()]
    assert max(tokens) < 8 * 90
    assert len(set(tokens)) > 1
    assert trial.held_out(3).x.lengths.tolist() == [90, 90, 90]


def test_numbers_that_are_not_finite_end_a_trial_and_are_told() -> None:
    trial = trained("adding", "rnn", 6, LabSetup(8, 12, 1e38, 40, 20))
    outcome = trial.outcome()
    assert outcome.trouble is not None
    assert " at step 2 (epoch 1, batch 2 of 20" in outcome.trouble
    assert not outcome.solved
    assert outcome.headline()["solved"] == "not finite"
    json.dumps(vars(outcome) | {"curve": []}, allow_nan=False)


def test_a_network_reads_each_state_or_the_last_one() -> None:
    copy = Trial(memory_tasks.get("copy"), "bilstm", 5, SMALL).network
    assert copy.nodes == (
        Embed(vocabulary_size=10, size=10),
        Recurrent(cell="lstm", input_size=10, hidden_size=8, bidirectional=True),
        Dense(in_features=16, out_features=9),
    )
    adding = Trial(memory_tasks.get("adding"), "rnn", 5, SMALL).network
    assert adding.nodes == (
        Recurrent(cell="rnn_tanh", input_size=2, hidden_size=8),
        Pool(modes=("last",)),
        Dense(in_features=8, out_features=1),
    )


def test_a_simple_rnn_takes_a_tenth_of_the_learning_rate() -> None:
    rates = {
        cell: next(Trial(memory_tasks.get("adding"), cell, 5, SMALL).steps()).learning_rate for cell in ("rnn", "gru")
    }
    assert rates == {"rnn": pytest.approx(0.002), "gru": 0.02}


@pytest.mark.parametrize(("cell", "least", "most"), [("lstm", 1, 1), ("lstm-0", 0, 0), ("lstm-chrono", 0, np.log(99))])
def test_forget_gates_start_as_the_name_of_the_cell_says(cell: str, least: float, most: float) -> None:
    setup = LabSetup(hidden_size=64, batch_size=4, learning_rate=1e-9)
    trial = Trial(memory_tasks.get("adding"), cell, 100, setup)
    next(trial.steps())
    forget = trial.weights["0.bias_ih_l0"][64:128]
    assert forget.min() >= least - 1e-6
    assert forget.max() <= most + 1e-6
    assert cell != "lstm-chrono" or forget.mean() > 3


def test_every_cell_that_is_listed_can_be_trained() -> None:
    setup = LabSetup(hidden_size=4, batch_size=4, updates=1)
    for cell in runs.lab_cells():
        assert trained("first-token", cell, 2, setup).outcome().updates == 1
