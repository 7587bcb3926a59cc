"""The criteria of a healthy run: numbers in, warnings out, each kind once, and none where training goes well."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.health import Background, Blame, HealthWarning, Watch, entropy, padding
from tidegate.ragged import Ragged

NAME = "1 recurrent layer 0 forward"
GUESS = Background(guess=0.7)


def follow(watch: Watch, steps: int, *, background: Background = GUESS, **facts: Any) -> list[HealthWarning]:
    """Run an epoch of steps that are all alike: healthy unless the facts say otherwise."""
    usual = {"saturated": None, "reach": None, "grad_norm": 1.0, "max_grad_norm": 1.0, "mean_loss": 0.5} | facts
    found: list[HealthWarning] = []
    for step in range(1, steps + 1):
        health = watch.record(
            {},
            grad_norm=usual["grad_norm"],
            max_grad_norm=usual["max_grad_norm"],
            saturated=usual["saturated"],
            reach=usual["reach"] and {NAME: usual["reach"]},
        )
        found += watch.judge(
            health,
            grad_norm=usual["grad_norm"],
            mean_loss=usual["mean_loss"],
            end_of_epoch=step == steps,
            background=background,
        )
    return found


def kinds(found: list[HealthWarning]) -> list[str]:
    return [warning.kind for warning in found]


def test_the_share_of_clipped_steps_is_that_of_the_run_so_far() -> None:
    watch = Watch()
    shares = [watch.record({}, grad_norm=norm, max_grad_norm=2.0).clipped for norm in (2.1, 2.0, 0.1, 30.0)]
    assert shares == [1, 1 / 2, 1 / 3, 1 / 2]


def test_a_healthy_run_gives_no_warning() -> None:
    watch = Watch()
    assert [follow(watch, 100, reach=0.3, saturated={NAME: {"h": 0.4}}) for _ in range(3)] == [[], [], []]


# --- vanishing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reach", "mean_loss", "steps", "warns"),
    [
        (1e-9, 0.70, 100, True),
        (9e-4, 0.70, 100, True),
        (1.1e-3, 0.70, 100, False),  # enough gets through
        (1e-9, 0.68, 100, False),  # it learns all the same
        (1e-9, 0.69, 100, True),
        (1e-9, 0.70, 99, False),  # too early
        (None, 0.70, 100, False),  # nothing recurrent
    ],
)
def test_gradients_vanish_where_they_do_not_get_through_and_nothing_is_learned(
    reach: float | None, mean_loss: float, steps: int, warns: bool
) -> None:
    found = follow(Watch(), steps, reach=reach, mean_loss=mean_loss)
    assert kinds(found) == (["vanishing-gradients"] if warns else [])
    if warns:
        assert f"in {NAME!r} {reach:.1g} of the gradient" in str(found[0])
        assert "a guess has 0.7." in str(found[0])
        assert "LSTM or GRU" in found[0].advice


def test_the_best_reach_of_an_epoch_counts_and_that_of_the_epoch_before_does_not() -> None:
    watch = Watch()
    watch.record({}, grad_norm=1.0, reach={NAME: 0.5})
    assert follow(watch, 100, reach=1e-9, mean_loss=0.7) == []
    assert kinds(follow(watch, 60, reach=1e-9, mean_loss=0.7)) == ["vanishing-gradients"]


def test_without_a_known_guess_later_epochs_are_measured_against_the_first() -> None:
    watch, unknown = Watch(), Background()
    assert follow(watch, 100, reach=1e-9, mean_loss=3.0, background=unknown) == []
    assert follow(watch, 100, reach=1e-9, mean_loss=2.5, background=unknown) == []
    assert kinds(follow(watch, 100, reach=1e-9, mean_loss=2.99, background=unknown)) == ["vanishing-gradients"]


# --- exploding ----------------------------------------------------------------------------------------------------


def test_a_gradient_that_grows_on_its_way_back_explodes() -> None:
    found = follow(Watch(), 1, reach=2e5)
    assert kinds(found) == ["exploding-gradients"]
    assert f"in {NAME!r} the gradient is 2e+05 times as long" in str(found[0])
    assert follow(Watch(), 1, reach=900.0) == []


@pytest.mark.parametrize(("steps", "free", "warns"), [(20, 1, True), (20, 2, False), (19, 0, False)])
def test_nearly_all_steps_far_over_the_limit_means_exploding(steps: int, free: int, warns: bool) -> None:
    watch = Watch()
    for step in range(1, steps + 1):
        norm = 10.1 if step > free else 9.9
        health = watch.record({}, grad_norm=norm, max_grad_norm=1.0)
        facts = {"grad_norm": norm, "mean_loss": 0.5, "end_of_epoch": step == steps, "background": GUESS}
        found = watch.judge(health, **facts)  # type: ignore[arg-type]
    assert kinds(list(found)) == (["exploding-gradients"] if warns else [])


def test_short_epochs_are_put_together_before_they_are_judged() -> None:
    watch = Watch()
    assert follow(watch, 12, grad_norm=11.0) == []
    assert "in 100% of the steps up to step 24 they are over ten" in str(follow(watch, 12, grad_norm=11.0)[0])


def test_being_clipped_a_little_all_the_time_is_no_trouble() -> None:
    assert follow(Watch(), 100, grad_norm=9.0) == []


def test_a_sudden_long_gradient_is_told_against_the_longest_usual_one() -> None:
    watch = Watch()
    assert follow(watch, 20, grad_norm=2.0) == []
    assert follow(watch, 20, grad_norm=0.001) == []  # learned: short gradients are usual now
    assert follow(watch, 1, grad_norm=1900.0) == []
    found = follow(watch, 1, grad_norm=2100.0, max_grad_norm=np.inf)
    assert kinds(found) == ["exploding-gradients"]
    assert "at step 42 the gradient is 1,050 times as long as usual" in str(found[0])


def test_a_loss_far_above_a_guess_has_exploded_and_not_vanished() -> None:
    found = follow(Watch(), 100, reach=1e-9, mean_loss=71.0)
    assert kinds(found) == ["exploding-gradients"]
    assert "the mean loss of the epoch is 71, where a guess has 0.7" in str(found[0])


# --- saturated gates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gates", "warns"),
    [
        ({"i": 0.99, "f": 0.98, "g": 0.9, "o": 0.51}, True),
        ({"i": 0.99, "f": 0.98, "g": 0.9, "o": 0.50}, False),
        ({"i": 1.0, "f": 1.0, "g": 0.0, "o": 0.0}, False),  # biases that hold gates open or shut are a choice
        ({"h": 0.7}, True),
        ({}, False),  # relu
    ],
)
def test_gates_are_saturated_when_all_of_a_layer_are(gates: dict[str, float], warns: bool) -> None:
    found = follow(Watch(), 1, saturated={"0 recurrent layer 0 forward": {"h": 0.1}, NAME: gates})
    assert kinds(found) == (["saturated-gates"] if warns else [])
    if warns:
        assert NAME in str(found[0])
        assert f"{next(iter(gates))} {next(iter(gates.values())):.0%}" in str(found[0])


def test_gates_that_saturate_later_are_not_saturated_from_the_start() -> None:
    watch = Watch()
    follow(watch, 1)
    assert follow(watch, 1, saturated={NAME: {"h": 1.0}}) == []


# --- once, and through a file ---------------------------------------------------------------------------------------


def test_each_kind_is_given_once_and_what_the_data_said_first() -> None:
    padded = HealthWarning("padding", "There is padding.", "Leave it out.")
    watch, background = Watch(), Background(guess=0.7, warnings=(padded,))
    found = follow(watch, 25, background=background, saturated={NAME: {"h": 1.0}}, reach=1e9)
    assert kinds(found) == ["padding", "saturated-gates", "exploding-gradients"]
    assert follow(watch, 25, background=background, reach=1e9, grad_norm=1e9) == []


@given(
    st.lists(st.tuples(st.floats(1e-12, 1e12), st.floats(1e-12, 1e6), st.booleans()), max_size=60),
    st.integers(0, 60),
)
def test_a_watch_goes_through_json_at_any_step(steps: list[tuple[float, float, bool]], stop: int) -> None:
    whole, stopped = Watch(), Watch()
    for number, (norm, reach, end) in enumerate(steps):
        if number == stop:
            stopped = Watch(**json.loads(json.dumps(asdict(stopped))))
        said = []
        for watch in (whole, stopped):
            health = watch.record({}, grad_norm=norm, max_grad_norm=1.0, reach={NAME: reach})
            facts = {"grad_norm": norm, "mean_loss": norm, "end_of_epoch": end, "background": Background()}
            said.append((health, watch.judge(health, **facts)))  # type: ignore[arg-type]
        assert said[0] == said[1]


# --- padding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "side", "word"),
    [
        (["good <pad> <pad>", "so bad <pad> <pad> <pad>", "a film of five words"], "end", "<pad>"),
        (["0 0 0 7 3", "0 0 9", "5 5 1"], "begin", "0"),
        ([["good", "PAD", "PAD"], ["bad", "PAD", "PAD"]], "end", "PAD"),
        (["PAD PAD", "PAD PAD"], "end", "PAD"),
    ],
)
def test_padding_in_texts_is_named_by_its_word(texts: Any, side: str, word: str) -> None:
    (found,) = padding(texts)
    assert found.kind == "padding"
    assert f"of them {side} with {word!r} more than once" in found.message
    assert "Leave it out of the texts" in found.advice


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["", " ", "\n"],
        ["A film.", "Another film.", "The end."],
        ["good <pad> <pad>", "bad <pad> <pad>", "fine", "well"],  # half of them, no more
        ["good <eos>", "bad <eos>", "fine <eos>"],  # once is a mark
        ["no no", "yes yes", "so so"],  # no word that most share
    ],
)
def test_texts_without_padding_are_let_be(texts: list[str]) -> None:
    assert padding(texts) == ()


def padded(pad: float, *, before: bool = False, shape: tuple[int, int, int] = (10, 12, 2)) -> Ragged:
    """Draw sequences [B, T, C] whose last (or first) 3 to 5 steps are `pad`."""
    x = np.random.default_rng(0).standard_normal(shape)
    for index, steps in enumerate(x):
        count = 3 + index % 3
        steps[slice(count) if before else slice(-count, None)] = pad
    return Ragged.from_list(list(x))


@pytest.mark.parametrize(("pad", "before", "side"), [(0.0, False, "end"), (-1.0, False, "end"), (0.0, True, "begin")])
def test_padding_in_sequences_is_counted(pad: float, before: bool, side: str) -> None:
    (found,) = padding(padded(pad, before=before))
    # 3, 4, 5, 3, 4, 5, 3, 4, 5, 3 steps of 10 times 12 are 39 of 120
    assert f"all have 12 steps, and 100% of them {side} in a run of equal steps, 32% of all steps" in found.message
    assert "own length (Ragged.from_padded" in found.advice


def test_sequences_without_padding_are_let_be() -> None:
    full = padded(0.0)
    assert padding(Ragged.from_list([*full.to_list(), np.zeros((11, 2))])) == ()  # lengths differ
    assert padding(padded(0.0, shape=(10, 40, 2))) == ()  # 39 of 400 steps: a border, such as that of a picture
    assert padding(Ragged.from_list([np.ones((9, 1)) * level for level in range(8)])) == ()  # never change
    assert padding(Ragged.from_list(list(np.random.default_rng(0).standard_normal((9, 30, 1))))) == ()
    half = [*full.to_list(), *np.random.default_rng(0).standard_normal((10, 12, 2))]
    assert padding(Ragged.from_list(half)) == ()
    assert padding(Ragged.from_list([np.zeros((0, 2))] * 3)) == ()
    assert padding(Ragged(np.zeros((0, 2)), np.zeros(1, np.int64))) == ()


# --- words and numbers --------------------------------------------------------------------------------------------


def test_the_loss_of_a_guess_is_the_entropy_of_the_classes() -> None:
    assert entropy(np.array([0, 1, 2, 3])) == pytest.approx(np.log(4))
    assert entropy(np.array([0, 0, 0, 2])) == pytest.approx(0.75 * np.log(4 / 3) + 0.25 * np.log(4))
    assert entropy(np.zeros(0, np.int64)) == 0


@pytest.mark.parametrize(
    ("guilty", "words"),
    [
        (0, "No row of the batch gives it alone; row 1207 of the training data has the largest gradient."),
        (1, "Row 1207 of the training data gives it alone, the other 7 of the batch do not"),
        (3, "Row 1207 of the training data is the first of 3 among the 8 of the batch"),
        (8, "Row 1207 of the training data gives it, and so does every row of the batch: the weights have diverged"),
    ],
)
def test_blame_tells_one_bad_row_from_diverged_weights(guilty: int, words: str) -> None:
    assert words in Blame(first=2, guilty=guilty, examples=8).tell(1207)


def test_a_row_goes_by_its_index_in_the_users_data() -> None:
    assert Background().row(3) == 3
    assert Background(rows=np.array([4, 8, 15, 16])).row(3) == 16
