"""Training is a function of seed and data: it can stop anywhere and go on as if it had not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tidegate import train
from tidegate.errors import InputError, TrainingError
from tidegate.health import Background
from tidegate.network import Dense, Embed, Network, Pool, Recurrent
from tidegate.nn import SimpleRNN
from tidegate.train import Recipe, Step, initial_weights, learning_rate

LENGTHS = np.arange(1, 24)
X = torch.linspace(-1, 1, 23)[:, None] * torch.tensor([[1.0, -2.0, 0.5]])  # [23, 3]
Y = (X.sum(dim=1) > 0).long()


class Problem:
    """A small module with dropout, so that randomness in torch and in NumPy both matter."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.module = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 2))
        with torch.no_grad():
            for parameter in self.module.parameters():
                parameter.copy_(torch.linspace(-0.5, 0.6, parameter.numel()).reshape(parameter.shape))
        self.state = train.start(self.module, recipe)

    def loss(self, indices: npt.NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, int]:
        x = X[indices] + torch.from_numpy(rng.normal(0, 0.1, (len(indices), 3))).float()
        return torch.nn.functional.cross_entropy(self.module(x), Y[indices]), len(indices)

    def steps(self) -> Iterator[Step]:
        return train.fit(self.state, self.recipe, lengths=LENGTHS, loss=self.loss, measure=lambda: {"loss": 0.5})

    def weights(self) -> bytes:
        return b"".join(parameter.detach().numpy().tobytes() for parameter in self.module.parameters())


def recipe(**changes: Any) -> Recipe:
    usual: dict[str, Any] = {"epochs": 3, "batch_size": 4, "learning_rate": 0.01, "schedule": "cosine", "warmup": 0.2}
    return Recipe(**usual | changes)


def test_the_same_seed_gives_the_same_bits_and_another_one_others() -> None:
    runs = [Problem(recipe(seed=seed)) for seed in (1, 1, 2)]
    records = [[(step.loss, step.grad_norm, step.tokens) for step in run.steps()] for run in runs]
    assert records[0] == records[1]
    assert runs[0].weights() == runs[1].weights()
    assert runs[0].weights() != runs[2].weights()


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("stop", [0, 1, 5, 6, 7, 17, 18])
def test_a_run_resumed_after_any_step_equals_the_uninterrupted_one(optimizer: str, stop: int) -> None:
    whole = Problem(recipe(optimizer=optimizer, weight_decay=0.1, max_grad_norm=0.9))
    records = list(whole.steps())
    assert 0 < records[-1].health.clipped < 1
    first = Problem(whole.recipe)
    begun = list(islice(first.steps(), stop))
    second = Problem(whole.recipe)
    train.unpack(second.state, *train.pack(first.state))
    rest = list(second.steps())
    assert second.weights() == whole.weights()
    assert [_lasting(step) for step in [*begun, *rest]] == [_lasting(step) for step in records]


def test_steps_count_epochs_and_measure_at_the_end_of_each() -> None:
    steps = list(Problem(recipe()).steps())
    assert [step.step for step in steps] == list(range(1, 19))
    assert [step.epoch for step in steps] == [1] * 6 + [2] * 6 + [3] * 6
    assert [step.step for step in steps if step.end_of_epoch] == [6, 12, 18]
    assert [step.valid for step in steps] == ([None] * 5 + [{"loss": 0.5}]) * 3
    assert {step.steps for step in steps} == {18}
    assert sum(step.tokens for step in steps) == 3 * 23
    assert all(before.seconds < after.seconds for before, after in pairwise(steps))


def test_the_mean_loss_of_an_epoch_weighs_every_sequence_the_same() -> None:
    steps = [step for step in Problem(recipe()).steps() if step.epoch == 2]
    wanted = sum(step.loss * step.tokens for step in steps) / sum(step.tokens for step in steps)
    assert steps[-1].mean_loss == pytest.approx(wanted, rel=1e-12)


def test_the_callers_generators_are_left_alone() -> None:
    problem = Problem(recipe(epochs=1))
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002  (the caller's habit)
    drawn = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    list(problem.steps())
    assert torch.equal(torch.rand(3), wanted)
    assert np.random.random() == drawn  # noqa: NPY002


def test_every_step_draws_numbers_of_its_own() -> None:
    problem = Problem(recipe())
    drawn = []

    def loss(indices: npt.NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, int]:
        drawn.append((rng.random(), torch.rand(1).item()))
        return problem.loss(indices, rng)

    list(train.fit(problem.state, problem.recipe, lengths=LENGTHS, loss=loss))
    assert len({first for first, _ in drawn}) == len({second for _, second in drawn}) == 18


def test_what_the_caller_draws_between_steps_changes_nothing() -> None:
    quiet, noisy = Problem(recipe()), Problem(recipe())
    list(quiet.steps())
    for _ in noisy.steps():
        torch.rand(7)
    assert quiet.weights() == noisy.weights()


class _Line(torch.nn.Module):
    """One matrix [1, 2] and one bias, so that an update can be computed by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([[1.0, -2.0]]))
        self.bias = torch.nn.Parameter(torch.tensor([4.0]))

    def step(self, recipe: Recipe) -> Step:
        """Make one update with the gradients (3, 0) and 4, whose common length is 5."""

        def loss(indices: npt.NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, int]:
            return (self.weight[0, 0] * 3 + self.bias[0] * 4).sum(), 1

        return next(train.fit(train.start(self, recipe), recipe, lengths=np.ones(1, np.int64), loss=loss))


def test_the_first_adamw_update_is_as_by_hand() -> None:
    line = _Line()
    step = line.step(Recipe(epochs=1, batch_size=1, learning_rate=0.1, optimizer="adamw", weight_decay=0.5))
    assert step.grad_norm == pytest.approx(5.0)
    # Adam's first step is the learning rate against the sign of the gradient; decay shrinks matrices, not biases.
    np.testing.assert_allclose(line.weight.detach(), [[1 * 0.95 - 0.1, -2 * 0.95]], rtol=1e-6)
    np.testing.assert_allclose(line.bias.detach(), [4 - 0.1], rtol=1e-6)


def test_the_first_update_of_a_warm_up_is_small() -> None:
    line = _Line()
    step = line.step(Recipe(epochs=4, batch_size=1, learning_rate=0.1, warmup=1.0, optimizer="adam"))
    assert step.learning_rate == 0.1 / 4
    np.testing.assert_allclose(line.bias.detach(), [4 - 0.1 / 4], rtol=1e-6)


def test_a_long_gradient_is_clipped_and_reported_as_it_was() -> None:
    line = _Line()
    step = line.step(Recipe(epochs=1, batch_size=1, learning_rate=0.1, max_grad_norm=1.0))
    assert step.grad_norm == pytest.approx(5.0)
    assert line.weight.grad is not None
    assert line.bias.grad is not None
    np.testing.assert_allclose(line.weight.grad.numpy(), [[0.6, 0.0]], rtol=1e-5)
    np.testing.assert_allclose(line.bias.grad.numpy(), [0.8], rtol=1e-5)


@pytest.mark.parametrize("break_at", [1, 4])
@pytest.mark.parametrize(("what", "factor"), [("loss", np.nan), ("loss", np.inf), ("gradient norm", 0.0)])
def test_a_number_that_is_not_finite_ends_training_with_the_last_good_weights(
    break_at: int, what: str, factor: float
) -> None:
    problem = Problem(recipe())
    good = [problem.weights()]

    def loss(indices: npt.NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, int]:
        value, tokens = problem.loss(indices, rng)
        if len(good) == break_at:
            # sqrt has an infinite slope at zero: a finite loss whose gradient is not.
            value = value * factor if what == "loss" else (value * factor).sqrt()
        return value, tokens

    steps = train.fit(problem.state, problem.recipe, lengths=LENGTHS, loss=loss)
    place = rf"step {break_at} \(epoch 1, batch {break_at} of 6, "
    with pytest.raises(TrainingError, match=rf"the {what} is (nan|inf) at {place}.*max_grad_norm"):
        good.extend(problem.weights() for _ in steps)
    assert len(good) == break_at
    assert problem.weights() == good[-1]


@pytest.mark.parametrize("what", ["loss", "gradient norm"])
def test_the_row_that_is_not_finite_is_named_as_the_user_knows_it(what: str) -> None:
    problem = Problem(recipe())

    def loss(indices: npt.NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, int]:
        value, tokens = problem.loss(indices, rng)
        bad = value * np.nan if what == "loss" else (value * 0).sqrt()
        return (bad if 13 in indices else value), tokens

    background = Background(rows=np.arange(23) * 10)
    with pytest.raises(TrainingError) as caught:
        list(train.fit(problem.state, problem.recipe, lengths=LENGTHS, loss=loss, background=background))
    found = re.fullmatch(
        rf"the {what} is nan at step (\d+) \(epoch 1, batch (\d+) of 6, learning rate .*\)\. Row 130 of the training "
        r"data gives it alone, the other 3 of the batch do not: look at that row\. The last good weights are kept\. .+",
        str(caught.value),
    )
    assert found is not None, str(caught.value)
    assert found[1] == found[2] == str(problem.state.step + 1)


def test_weights_that_are_not_finite_are_put_back_to_good_ones() -> None:
    problem = Problem(recipe(learning_rate=1e38, schedule="constant", warmup=0.0, weight_decay=10.0))
    with pytest.raises(TrainingError, match="every row of the batch: the weights have diverged"):
        list(problem.steps())
    assert all(parameter.isfinite().all() for parameter in problem.module.parameters())


def test_a_validation_that_is_not_finite_ends_training() -> None:
    problem = Problem(recipe())
    steps = train.fit(
        problem.state,
        problem.recipe,
        lengths=LENGTHS,
        loss=problem.loss,
        measure=lambda: {"accuracy": 1.0, "loss": np.nan},
    )
    with pytest.raises(TrainingError, match=r"the validation loss is nan at step 6 \(epoch 1, batch 6 of 6, "):
        list(steps)


def test_every_step_carries_its_health_and_some_look_into_gates() -> None:
    layer = SimpleRNN(3, 4)
    module = torch.nn.ModuleDict({"rnn": layer})
    many = recipe(epochs=2, batch_size=1, max_grad_norm=0.2)

    def loss(indices: npt.NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, int]:
        return layer(X[indices % 23])[0].square().sum(), 1

    steps = list(train.fit(train.start(module, many), many, lengths=np.ones(60, np.int64) * 9, loss=loss))
    name = "rnn recurrent layer 0 forward"
    for step in steps:
        assert step.health.grad_norms == {name: pytest.approx(step.grad_norm, rel=1e-5)}
    over = [step.grad_norm > 0.2 for step in steps]
    assert 0 < sum(over) < len(over)
    assert [step.health.clipped for step in steps] == [sum(over[: n + 1]) / (n + 1) for n in range(len(over))]
    looked = [step.step for step in steps if step.health.reach is not None]
    assert looked == [step.step for step in steps if step.health.saturated is not None] == [1, 51, 60, 101, 120]
    assert all(step.health.saturated is None or step.health.saturated.keys() == {name} for step in steps)


@settings(max_examples=50)
@given(st.sampled_from(["constant", "linear", "cosine"]), st.floats(0, 0.9), st.integers(1, 300))
def test_the_learning_rate_rises_to_its_peak_and_never_again(schedule: Any, warmup: float, total: int) -> None:
    made = recipe(schedule=schedule, warmup=warmup, learning_rate=2.0)
    rates = [learning_rate(made, step, total=total) for step in range(total)]
    warm = round(warmup * total)
    assert all(0 < rate <= 2.0 for rate in rates)
    assert rates[:warm] == sorted(rates[:warm])
    assert rates[warm:] == sorted(rates[warm:], reverse=True)
    assert max(rates) == 2.0


def test_schedules_pass_the_points_computed_by_hand() -> None:
    for schedule, wanted in (("constant", [1, 1, 1]), ("linear", [1, 0.5, 0.25]), ("cosine", [1, 0.5, 0.1464466])):
        rates = [learning_rate(recipe(schedule=schedule, warmup=0, learning_rate=1.0), s, total=8) for s in (0, 4, 6)]
        assert rates == pytest.approx(wanted)


NETWORK = Network.of(
    Embed(vocabulary_size=30, size=6),
    Recurrent(cell="lstm", input_size=6, hidden_size=4, bidirectional=True),
    Pool(modes=("max",)),
    Dense(in_features=8, out_features=3),
)


def test_initial_weights_are_a_function_of_network_and_seed() -> None:
    first, same, other = (initial_weights(NETWORK, seed=seed) for seed in (0, 0, 1))
    assert all(first[name].tobytes() == same[name].tobytes() for name in first)
    assert first["0.weight"].tobytes() != other["0.weight"].tobytes()
    assert first["1.weight_ih_l0"].tobytes() != first["1.weight_ih_l0_reverse"].tobytes()
    assert {array.dtype for array in first.values()} == {np.dtype(np.float32)}


def test_initial_weights_have_the_stated_forms() -> None:
    weights = initial_weights(NETWORK, seed=0)
    np.testing.assert_allclose(
        weights["1.weight_hh_l0"].T @ weights["1.weight_hh_l0"], np.eye(4), atol=1e-6
    )  # orthogonal columns
    np.testing.assert_array_equal(weights["1.bias_ih_l0"], [0] * 4 + [1] * 4 + [0] * 8)
    np.testing.assert_array_equal(weights["1.bias_hh_l0"], np.zeros(16))
    for name, limit in (("0.weight", 0.05), ("1.weight_ih_l0", (6 / 22) ** 0.5), ("3.weight", (6 / 11) ** 0.5)):
        assert 0.8 * limit < np.abs(weights[name]).max() <= limit


def total_biases(cell: Any, **options: Any) -> dict[str, npt.NDArray[np.float32]]:
    """Draw the biases [G, H] of 300 units, of both directions."""
    layer = Recurrent(cell=cell, input_size=1, hidden_size=300, bidirectional=True)
    weights = initial_weights(Network.of(layer), seed=0, **options)
    return {
        end: (weights[f"0.bias_ih{end}"] + weights[f"0.bias_hh{end}"]).reshape(-1, 300)
        for end in ("_l0", "_l0_reverse")
    }


@pytest.mark.parametrize(("cell", "kept"), [("lstm", 1), ("gru", 1)])
def test_chrono_biases_make_memories_of_up_to_t_steps(cell: str, kept: int) -> None:
    both = total_biases(cell, chrono=50)
    for gates in both.values():
        # Tallec and Ollivier 2018: sigmoid(b) = 1 - 1/T_unit with T_unit uniform from 2 to T; so 1/(1 - sigmoid(b)) is.
        memory = 1 / (1 - 1 / (1 + np.exp(-gates[kept].astype(np.float64))))
        assert memory.min() >= 2 - 1e-5
        assert memory.max() <= 50 + 1e-3
        assert memory.mean() == pytest.approx(26, abs=2.5)  # three standard errors of a mean of 300
        assert np.std(memory) == pytest.approx(48 / 12**0.5, rel=0.1)
    assert both["_l0"][kept].tobytes() != both["_l0_reverse"][kept].tobytes()


def test_chrono_lets_in_what_it_forgets() -> None:
    for gates in total_biases("lstm", chrono=800).values():
        np.testing.assert_array_equal(gates[0], -gates[1])
        np.testing.assert_array_equal(gates[2:], 0)
    for gates in total_biases("gru", chrono=800).values():
        np.testing.assert_array_equal(gates[[0, 2]], 0)


def test_the_forget_bias_is_that_of_the_lstm_alone() -> None:
    assert total_biases("lstm", forget_bias=-0.5)["_l0"][:, 0].tolist() == [0, -0.5, 0, 0]
    assert not np.any(total_biases("gru", forget_bias=-0.5)["_l0"])
    assert not np.any(total_biases("rnn_tanh", forget_bias=-0.5, chrono=9)["_l0"])


def test_a_memory_of_one_step_is_refused() -> None:
    assert not np.any(total_biases("lstm", chrono=2)["_l0"])  # sigmoid(0): half of the state is kept
    with pytest.raises(InputError, match="chrono=1, but the longest memory in steps, at least 2, was wanted"):
        total_biases("lstm", chrono=1)


def _lasting(step: Step) -> tuple[Any, ...]:
    """All of a record but the time it took."""
    return tuple(value for key, value in vars(step).items() if key != "seconds")
