"""The table of measures knows which way each goes that a training takes of the part held out."""

from __future__ import annotations

from typing import Any

import pytest

from samples import SAMPLES, untrained
from tidegate.data.dataset import Examples
from tidegate.errors import OptionError
from tidegate.tasks import CARDS
from tidegate.tasks.measures import is_less_better

_BESIDE = {"temperature", "uncalibrated_loss", "uncalibrated_ece"}  # say how answers were calibrated


def measured(name: str, epochs: int) -> Any:
    X, y = SAMPLES[name].examples()
    model = untrained(name, epochs=epochs, **SAMPLES[name].live_params).fit(X, y)
    return CARDS[name].scores().measure(model, Examples(X, y)).measures()


@pytest.mark.parametrize("name", CARDS)
def test_what_training_improves_goes_the_way_that_the_table_says(name: str) -> None:
    chief = CARDS[name].chief
    before, after = (measured(name, epochs)[chief] for epochs in (1, 30))
    assert before != after
    assert (after < before) == is_less_better(chief)


@pytest.mark.parametrize("name", CARDS)
def test_the_table_knows_all_that_is_measured_while_one_trains(name: str) -> None:
    X, y = SAMPLES[name].data(40)
    task = untrained(name, epochs=1, validation_fraction=0.25)
    if "stop_on" in task.get_params():
        task.set_params(stop_on="auto")  # what the chief measure is, where the sample looks at the loss alone
    steps = task.fit_steps(X, y)
    (valid,) = [step.valid for step in steps if step.valid]
    numbers = {measure for measure, value in valid.items() if not isinstance(value, dict | str)} - _BESIDE
    assert CARDS[name].chief in numbers
    assert {measure for measure in numbers if is_less_better(measure)} == numbers - {
        "accuracy", "bleu", "f1", "macro_f1", "micro_f1", "worst_recall"
    }  # fmt: skip


def test_a_measure_that_nobody_knows_has_no_direction() -> None:
    with pytest.raises(OptionError, match=r"unknown measure 'acuracy'\. Did you mean 'accuracy'"):
        is_less_better("acuracy")
