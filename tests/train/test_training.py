"""Training is a function of seed and data: it can stop anywhere and go on as if it had not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate import train
from tidegate.data.streams import Chunk, Streams
from tidegate.engine import CrossEntropy, Errors
from tidegate.errors import InputError, TrainingError
from tidegate.health import Background
from tidegate.network import Dense, Dropout, Embed, Network, Pool, Recurrent, parameter_shapes
from tidegate.ragged import Ragged
from tidegate.train import Asked, Recipe, Step, initial_weights, learning_rate

LENGTHS = np.arange(1, 24)
X = np.linspace(-1, 1, 23, dtype=np.float32)[:, None] * np.array([[1.0, -2.0, 0.5]], np.float32)  # [23, 3]
Y = (X.sum(axis=1) > 0).astype(np.int64)


class Problem:
    """A small network with dropout over rows with noise, so that what the core and what NumPy draw both matter."""

    network = Network.of(
        Dense(in_features=3, out_features=8), Dropout(p=0.3), Dense(in_features=8, out_features=2), Pool(modes=("max",))
    )

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        weights = {
            name: np.linspace(-0.5, 0.6, int(np.prod(shape)), dtype=np.float32).reshape(shape)
            for name, shape in parameter_shapes(self.network).items()
        }
        self.state = train.start(self.network, weights, recipe)

    def loss(self, indices: npt.NDArray[np.int64], rng: np.random.Generator) -> Asked:
        x = X[indices] + rng.normal(0, 0.1, (len(indices), 3)).astype(np.float32)
        return Asked(singles(x), CrossEntropy(Y[indices], np.full(len(indices), 1 / len(indices))))

    def steps(self) -> Iterator[Step]:
        return train.fit(self.state, self.recipe, lengths=LENGTHS, loss=self.loss, measure=lambda: {"loss": 0.5})

    def weights(self) -> bytes:
        return self.state.program.parameters.tobytes()


def singles(rows: npt.NDArray[np.float32]) -> Ragged:
    """Make a sequence of each row."""
    return Ragged(rows, np.arange(len(rows) + 1))


def recipe(**changes: Any) -> Recipe:
    usual: dict[str, Any] = {"epochs": 3, "batch_size": 4, "learning_rate": 0.01, "schedule": "cosine", "warmup": 0.2}
    return Recipe(**usual | changes)


def test_the_same_seed_gives_the_same_bits_and_another_one_others() -> None:
    runs = [Problem(recipe(seed=seed)) for seed in (1, 1, 2)]
    records = [[(step.loss, step.grad_norm, step.tokens) for step in run.steps()] for run in runs]
    assert records[0] == records[1]
    assert runs[0].weights() == runs[1].weights()
    assert runs[0].weights() != runs[2].weights()


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize("stop", [0, 1, 5, 6, 7, 17, 18])
def test_a_run_resumed_after_any_step_equals_the_uninterrupted_one(optimizer: str, stop: int) -> None:
    whole = Problem(recipe(optimizer=optimizer, weight_decay=0.1, max_grad_norm=1.0, momentum=0.9))
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


def test_the_callers_generator_is_left_alone() -> None:
    np.random.seed(5)  # noqa: NPY002  (the caller's habit)
    drawn = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    list(Problem(recipe(epochs=1)).steps())
    assert np.random.random() == drawn  # noqa: NPY002


def test_every_step_draws_numbers_of_its_own() -> None:
    problem, drawn = Problem(recipe()), set()

    def loss(indices: npt.NDArray[np.int64], rng: np.random.Generator) -> Asked:
        drawn.add(rng.random())
        return problem.loss(indices, rng)

    list(train.fit(problem.state, problem.recipe, lengths=LENGTHS, loss=loss))
    assert len(drawn) == 18


def test_every_step_drops_other_features() -> None:
    """The same batch and weights give another loss at another step, and the same at the same one."""
    problem = Problem(recipe())
    asked = problem.loss(np.arange(23), np.random.default_rng(0))
    losses = [problem.state.program.gradient(asked.batch, asked.loss, seed=0, step=s).total for s in (0, 1, 2, 3, 0)]
    assert len(set(losses)) == 4
    assert losses[0] == losses[4]


class _Line:
    """One matrix [1, 2] and one bias, so that an update can be computed by hand."""

    network = Network.of(Dense(in_features=2, out_features=1))

    def __init__(self, recipe: Recipe) -> None:
        """Make one update with the gradients (3, 0) and 4, whose common length is 5."""
        begin = {"0.weight": np.array([[1.0, -2.0]], np.float32), "0.bias": np.array([4.0], np.float32)}
        state = train.start(self.network, begin, recipe)

        def loss(_: npt.NDArray[np.int64], rng: np.random.Generator) -> Asked:
            # The answer is 0.75 + 4, two too many; so the gradient of the answer is 4, and that of the matrix 4 * x.
            wanted = Errors(np.array([[2.75]]), np.ones(1), ("mse",))
            return Asked(singles(np.array([[0.75, 0.0]], np.float32)), wanted)

        self.step = next(train.fit(state, recipe, lengths=np.ones(1, np.int64), loss=loss))
        self.weight, self.bias = state.program.weights["0.weight"], state.program.weights["0.bias"]


def test_the_first_adamw_update_is_as_by_hand() -> None:
    line = _Line(Recipe(epochs=1, batch_size=1, learning_rate=0.1, optimizer="adamw", weight_decay=0.5))
    assert line.step.grad_norm == pytest.approx(5.0)
    # Adam's first step is the learning rate against the sign of the gradient; decay shrinks matrices, not biases.
    np.testing.assert_allclose(line.weight, [[1 * 0.95 - 0.1, -2 * 0.95]], rtol=1e-6)
    np.testing.assert_allclose(line.bias, [4 - 0.1], rtol=1e-6)


def test_the_first_update_of_a_warm_up_is_small() -> None:
    line = _Line(Recipe(epochs=4, batch_size=1, learning_rate=0.1, warmup=1.0, optimizer="adam"))
    assert line.step.learning_rate == 0.1 / 4
    np.testing.assert_allclose(line.bias, [4 - 0.1 / 4], rtol=1e-6)


def test_a_long_gradient_is_clipped_and_reported_as_it_was() -> None:
    line = _Line(Recipe(epochs=1, batch_size=1, learning_rate=1.0, max_grad_norm=1.0, optimizer="sgd"))
    assert line.step.grad_norm == pytest.approx(5.0)
    np.testing.assert_allclose(line.weight, [[1 - 0.6, -2.0]], rtol=1e-5)
    np.testing.assert_allclose(line.bias, [4 - 0.8], rtol=1e-5)


def spoiled(problem: Problem, row: int, what: str) -> train.Loss:
    """Make a loss of which one row is not finite: the loss itself, or its gradient alone."""
    factor = {"nan": np.nan, "inf": np.inf, "gradient norm": 1e30}[what]  # whose square is too large for float32 alone

    def loss(indices: npt.NDArray[np.int64], rng: np.random.Generator) -> Asked:
        batch = problem.loss(indices, rng).batch
        scale = np.ones((len(indices), 2), np.float32)
        scale[indices == row] = factor
        weight = np.full(len(indices), 1 / len(indices))
        return Asked(batch, Errors(np.zeros_like(scale), weight, ("mse", "mse"), scale=scale))

    return loss


@pytest.mark.parametrize("what", ["nan", "inf", "gradient norm"])
def test_a_number_that_is_not_finite_ends_training_with_the_last_good_weights(what: str) -> None:
    problem = Problem(recipe())
    good = [problem.weights()]
    steps = train.fit(problem.state, problem.recipe, lengths=LENGTHS, loss=spoiled(problem, 13, what))
    with pytest.raises(TrainingError) as caught:
        good.extend(problem.weights() for _ in steps)
    name = "gradient norm" if what == "gradient norm" else "loss"
    place = rf"step {len(good)} \(epoch 1, batch {len(good)} of 6, "
    assert re.match(rf"the {name} is (nan|inf) at {place}.*max_grad_norm", str(caught.value))
    assert problem.weights() == good[-1]


@pytest.mark.parametrize("what", ["nan", "gradient norm"])
def test_the_row_that_is_not_finite_is_named_as_the_user_knows_it(what: str) -> None:
    problem = Problem(recipe())
    background = Background(rows=np.arange(23) * 10)
    loss = spoiled(problem, 13, what)
    with pytest.raises(TrainingError) as caught:
        list(train.fit(problem.state, problem.recipe, lengths=LENGTHS, loss=loss, background=background))
    found = re.fullmatch(
        r"the (?:loss|gradient norm) is (?:nan|inf) at step (\d+) \(epoch 1, batch (\d+) of 6, learning rate .*\)\. "
        r"Row 130 of the training data gives it alone, the other 3 of the batch do not: look at that row\. "
        r"The last good weights are kept\. .+",
        str(caught.value),
    )
    assert found is not None, str(caught.value)
    assert found[1] == found[2] == str(problem.state.step + 1)


def test_weights_that_are_not_finite_are_put_back_to_good_ones() -> None:
    problem = Problem(recipe(learning_rate=1e38, schedule="constant", warmup=0.0, weight_decay=10.0))
    with pytest.raises(TrainingError, match="every row of the batch: the weights have diverged"):
        list(problem.steps())
    assert np.isfinite(problem.state.program.parameters).all()


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
    network = Network.of(Recurrent(cell="rnn_tanh", input_size=3, hidden_size=4))
    many = recipe(epochs=2, batch_size=1, max_grad_norm=0.2)
    state = train.start(network, initial_weights(network, seed=0), many)

    def loss(indices: npt.NDArray[np.int64], rng: np.random.Generator) -> Asked:
        rows = X[: indices[0] % 22 + 1]
        return Asked(Ragged(rows, np.array([0, len(rows)])), CrossEntropy(np.arange(len(rows)) % 4, np.full(1, 0.1)))

    steps = list(train.fit(state, many, lengths=np.ones(60, np.int64) * 9, loss=loss))
    name = "0 recurrent layer 0 forward"
    for step in steps:
        assert step.health.grad_norms == {name: pytest.approx(step.grad_norm, rel=1e-5)}
    over = [step.grad_norm > 0.2 for step in steps]
    assert 0 < sum(over) < len(over)
    assert [step.health.clipped for step in steps] == [sum(over[: n + 1]) / (n + 1) for n in range(len(over))]
    looked = [step.step for step in steps if step.health.reach is not None]
    assert looked == [step.step for step in steps if step.health.saturated is not None] == [1, 51, 60, 101, 120]
    assert all(step.health.saturated is None or step.health.saturated.keys() == {name} for step in steps)


@settings(max_examples=50)
@given(st.sampled_from(["constant", "linear", "cosine", "inverse"]), st.floats(0, 0.9), st.integers(1, 300))
def test_the_learning_rate_rises_to_its_peak_and_never_again(schedule: Any, warmup: float, total: int) -> None:
    made = recipe(schedule=schedule, warmup=warmup, learning_rate=2.0, decay=0.1)
    rates = [learning_rate(made, step, total=total) for step in range(total)]
    warm = round(warmup * total)
    assert all(0 < rate <= 2.0 for rate in rates)
    assert rates[:warm] == sorted(rates[:warm])
    assert rates[warm:] == sorted(rates[warm:], reverse=True)
    assert max(rates) == 2.0


def test_schedules_pass_the_points_computed_by_hand() -> None:
    points = {"constant": [1, 1, 1], "linear": [1, 0.5, 0.25], "cosine": [1, 0.5, 0.1464466], "inverse": [1, 0.5, 0.4]}
    for schedule, wanted in points.items():
        made = recipe(schedule=schedule, warmup=0, learning_rate=1.0, decay=0.25)
        assert [learning_rate(made, step, total=8) for step in (0, 4, 6)] == pytest.approx(wanted)


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


class Streaming:
    """A layer that sums up the numbers of a corpus in its state, which is carried from chunk to chunk."""

    lengths = np.array([7, 3, 11, 5])
    network = Network.of(
        Recurrent(cell="rnn_relu", input_size=1, hidden_size=1, bias=False), Dense(in_features=1, out_features=2)
    )

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        weights = {name: np.ones(shape, np.float32) for name, shape in parameter_shapes(self.network).items()}
        self.state = train.start(self.network, weights, recipe)
        self.seen: list[list[float]] = []  # what each chunk went on from

    def loss(self, chunk: Chunk, rng: np.random.Generator) -> Asked:
        """Foresee from the sum whether it is even."""
        carried = self.state.carried.get("0.h", np.zeros((1, len(chunk.first), 1)))
        self.seen.append(carried.ravel().tolist())
        batch = Ragged(chunk.tokens[:, None].astype(np.float32), chunk.offsets)
        return Asked(batch, CrossEntropy(chunk.tokens % 2, np.full(len(batch), 1 / len(chunk))))

    def steps(self) -> Iterator[Step]:
        return train.fit(self.state, self.recipe, streams=Streams(self.lengths, 2, 4), loss=self.loss)


@pytest.mark.parametrize("stop", [0, 1, 3, 4, 5, 11])
def test_streams_go_on_from_what_they_carried_also_after_a_resume(stop: int) -> None:
    whole = Streaming(recipe(average=0.8, learning_rate=1e-3))
    records = [step.loss for step in whole.steps()]
    first = Streaming(whole.recipe)
    begun = [step.loss for step in islice(first.steps(), stop)]
    second = Streaming(whole.recipe)
    train.unpack(second.state, *train.pack(first.state))
    assert begun + [step.loss for step in second.steps()] == records
    assert first.seen + second.seen == whole.seen
    for name, array in train.weights(second.state).items():
        assert array.tobytes() == train.weights(whole.state)[name].tobytes()


def test_streams_carry_the_sums_of_what_they_read_and_begin_each_epoch_without() -> None:
    problem = Streaming(recipe(epochs=2, learning_rate=1e-9))
    steps = list(problem.steps())
    streams = Streams(problem.lengths, 2, 4)
    assert len(steps) == 2 * streams.chunks_per_epoch == 8
    assert [sum(step.tokens for step in steps[:4]), steps[3].end_of_epoch] == [26, True]
    assert problem.seen[0] == problem.seen[4] == [0.0, 0.0]
    expected = [0.0, 0.0]
    for before, chunk in zip(problem.seen, streams.chunks(problem.recipe.seed, 0), strict=False):
        assert before == expected
        for stream, last in enumerate(chunk.last):
            piece = chunk.tokens[chunk.offsets[last] : chunk.offsets[last + 1]]
            past = expected[stream] if last == chunk.first[stream] and chunk.goes_on[stream] else 0.0
            expected[stream] = past + float(piece.sum())


def test_the_average_is_the_moving_average_of_the_weights() -> None:
    problem = Problem(recipe(average=0.75))
    expected: Any = None
    for number, _ in enumerate(problem.steps()):
        now = [array.astype(np.float64) for array in problem.state.program.weights.values()]
        past = min(0.75, (1 + number) / (10 + number))
        expected = now if expected is None else [past * e + (1 - past) * n for e, n in zip(expected, now, strict=True)]
    for found, wanted in zip(train.weights(problem.state).values(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    plain = Problem(recipe())
    list(plain.steps())
    assert b"".join(array.tobytes() for array in train.weights(plain.state).values()) == plain.weights()


def test_a_loss_that_is_not_finite_names_the_document() -> None:
    problem = Streaming(recipe())

    def loss(chunk: Chunk, rng: np.random.Generator) -> Asked:
        asked = problem.loss(chunk, rng)
        assert isinstance(asked.batch, Ragged)
        asked.batch.values[chunk.tokens == 8] = np.nan  # in the second document
        return asked

    streams = Streams(problem.lengths, 4, 100)
    with pytest.raises(TrainingError, match=r"the loss is nan at step 1 .* Row 1 of the training data gives it alone"):
        list(train.fit(problem.state, problem.recipe, streams=streams, loss=loss))


def test_either_lengths_or_streams_are_wanted() -> None:
    problem = Problem(recipe())
    with pytest.raises(InputError, match="either lengths"):
        train.fit(problem.state, problem.recipe, loss=problem.loss)
    with pytest.raises(InputError, match="either lengths"):
        train.fit(problem.state, problem.recipe, lengths=LENGTHS, streams=Streams(LENGTHS, 1, 1), loss=problem.loss)
