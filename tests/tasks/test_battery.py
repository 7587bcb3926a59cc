"""One battery that every task passes: its card, scikit-learn's manners, saving, neighbours, resuming, live sessions."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

import tidegate as tg
from samples import SAMPLES, Sample, untrained
from saved.write import told
from tidegate import tasks
from tidegate.data.dataset import Examples
from tidegate.data.kinds import KINDS, Kind
from tidegate.errors import InputError, OptionError, StateError, StreamEndedError
from tidegate.tasks import CARDS, Card, Live, presets
from tidegate.tasks.cards import by_verb
from tidegate.tasks.loading import from_recipe
from tidegate.tasks.parameters import checked, parameter_names


@pytest.fixture(params=CARDS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def card(name: str) -> Card:
    return CARDS[name]


@pytest.fixture
def sample(name: str) -> Sample:
    return SAMPLES[name]


_MODELS: dict[str, Any] = {}


@pytest.fixture
def fitted(name: str) -> Any:
    if name not in _MODELS:
        _MODELS[name] = untrained(name).fit(*SAMPLES[name].examples())
    return _MODELS[name]


def bits(model: Any) -> bytes:
    return b"".join(array.tobytes() for array in model.weights_.values())


def plain(answers: Any) -> str:
    return json.dumps(told(answers))


# --- cards -----------------------------------------------------------------------------------------------------------


def test_the_battery_is_about_all_tasks() -> None:
    assert list(SAMPLES) == list(CARDS)


def test_a_card_says_what_the_task_says(card: Card) -> None:
    task = card.task()
    assert (task.__name__, task.name, task.kind, task.chief) == (card.owner, card.name, card.reads, card.chief)
    assert getattr(tasks, card.owner) is getattr(tg, card.owner) is task
    assert type(from_recipe({"task": card.name, "params": {}})) is task
    assert by_verb()[card.verb] is card


def test_a_task_stands_on_its_own(card: Card) -> None:
    assert card.task().__bases__ == (tasks.Task,)


def test_every_kind_of_data_has_a_task_and_every_verb_is_one_task() -> None:
    assert tuple(KINDS) == get_args(Kind)
    assert [tasks.for_kind(kind).kind for kind in KINDS] == list(KINDS)
    assert len(by_verb()) == len(CARDS)
    with pytest.raises(OptionError, match=r"unknown task 'forecastor'\. Did you mean 'forecaster'"):
        from_recipe({"task": "forecastor", "params": {}})


def test_the_cards_load_nothing_heavy() -> None:
    code = "import sys; from tidegate.tasks.cards import CARDS; print({'numpy', 'pydantic', 'torch'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_a_name_that_no_parameter_knows_is_refused_in_words(card: Card) -> None:
    task, told = card.task(), dict[str, str]()
    for name in parameter_names(task):
        try:
            checked(task, {name: "no such name"})
        except InputError as error:
            told[name] = str(error)
    assert "cell" in told
    assert [name for name, said in told.items() if name not in said] == []


def test_presets_name_every_parameter_but_the_seed(card: Card) -> None:
    for preset in presets.names(card.name):
        task = card.task().from_preset(preset, seed=3)
        assert task.get_params().keys() - presets.get(preset, task=card.name).keys() == {"seed"}
        assert task.seed == 3
    every = list(chain.from_iterable(presets.names(name) for name in CARDS))
    assert len(set(every)) == len(every)


def test_a_model_is_measured_by_its_chief_measure(card: Card, sample: Sample, fitted: Any) -> None:
    found = card.scores().measure(fitted, Examples(*sample.examples()))
    assert found.examples > 0
    assert fitted.chief_measure in found.measures()
    assert json.loads(json.dumps(found.to_json())).get("warnings", []) == list(map(str, found.warnings()))
    assert len({tuple(row) for row in found.table()}) == 1


def test_answers_are_told_to_people_programs_and_tables(card: Card, sample: Sample, fitted: Any) -> None:
    single = card.answers().single
    if single is None:
        assert card.answers().whole is not None
        return
    X = list(sample.examples()[0][:3])
    inputs = [" ".join(x) if isinstance(x, list) else x if isinstance(x, str) else json.dumps(x.tolist()) for x in X]
    found = list(single.tell(fitted, inputs))
    assert [answer.json["input"] for answer in found] == inputs
    assert all(answer.text and json.dumps(answer.json) for answer in found)
    columns = single.cells(fitted, single.read_cells(inputs, str))
    assert [len(column) for column in columns] == [3] * len(single.columns)


# --- predicting ------------------------------------------------------------------------------------------------------


def test_training_makes_it_better(name: str, sample: Sample) -> None:
    X, y = sample.examples()
    before, after = (untrained(name, epochs=epochs, **sample.live_params).fit(X, y).score(X, y) for epochs in (1, 30))
    assert before < after


def test_a_prediction_does_not_depend_on_neighbours_or_order(sample: Sample, fitted: Any) -> None:
    X = sample.examples()[0]
    whole = sample.answer(fitted, X)
    assert [answer for x in X for answer in sample.answer(fitted, [x])] == whole
    assert sample.answer(fitted, X[::-1])[::-1] == whole


def test_a_saved_model_predicts_the_same_bits(sample: Sample, fitted: Any, tmp_path: Path) -> None:
    X = sample.examples()[0]
    fitted.save(tmp_path / "model.safetensors")
    for path in (tmp_path / "model.safetensors", tmp_path):  # the file, or the folder of a run
        loaded = tg.load(path)
        assert type(loaded) is type(fitted)
        assert sample.answer(loaded, X) == sample.answer(fitted, X)
        assert loaded.network_ == fitted.network_
        assert (
            tasks.restore(tg.checkpoint.load_model(tmp_path / "model.safetensors")).get_params() == loaded.get_params()
        )
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_loading_and_predicting_import_no_torch(name: str, sample: Sample, fitted: Any, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model.safetensors")
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); import tidegate as tg; import samples;"
        f"sample = samples.SAMPLES[{name!r}]; told = sample.answer(tg.load(sys.argv[1]), sample.examples()[0]);"
        "print([told, [*{'torch', 'sklearn'} & {*sys.modules}]])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == f"{[sample.answer(fitted, sample.examples()[0]), []]}\n"


def test_an_array_of_the_weights_that_is_replaced_is_seen(sample: Sample, fitted: Any) -> None:
    model, X = copy.deepcopy(fitted), sample.examples()[0]
    before = sample.answer(model, X)
    for name, array in model.weights_.items():
        model.weights_[name] = np.zeros_like(array)
    assert sample.answer(model, X) != before


def test_weights_that_were_replaced_are_packed_once(fitted: Any) -> None:
    model = copy.deepcopy(fitted)
    for name, array in model.weights_.items():
        model.weights_[name] = np.asfortranarray(array)
    assert model._require_fitted().executor is model._require_fitted().executor


def test_it_pickles_and_copies(sample: Sample, fitted: Any) -> None:
    X = sample.examples()[0]
    for twin in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):  # noqa: S301  (our own bytes)
        assert sample.answer(twin, X) == sample.answer(fitted, X)


def test_the_same_seed_gives_the_same_bits(name: str, sample: Sample) -> None:
    models = [untrained(name, seed=seed).fit(*sample.examples()) for seed in (1, 1, 2)]
    weights = [bits(model) for model in models]
    assert weights[0] == weights[1] != weights[2]


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(name: str, sample: Sample, tmp_path: Path) -> None:
    X, y = sample.examples()
    whole, begun, resumed = (untrained(name) for _ in range(3))
    seen = list(whole.fit_steps(X, y))
    steps = begun.fit_steps(X, y, run_dir=tmp_path / "run")
    list(islice(steps, 2))
    steps.close()
    assert [step.step for step in resumed.fit_steps(X, y, resume=tmp_path / "run")] == [s.step for s in seen[2:]]
    assert bits(resumed) == bits(whole)
    assert sample.answer(tg.load(tmp_path / "run"), X) == sample.answer(whole, X)


# --- scikit-learn ----------------------------------------------------------------------------------------------------


def test_clone_takes_the_parameters_and_nothing_learned(fitted: Any) -> None:
    twin = clone(fitted)
    assert twin.get_params() == fitted.get_params()
    check_is_fitted(fitted)
    with pytest.raises(ValueError, match="not fitted"):
        check_is_fitted(twin)


def test_parameters_are_stored_untouched_and_shown_when_changed(card: Card) -> None:
    size = [3]
    task = card.task()(hidden_size=size, seed=4)
    assert task.get_params()["hidden_size"] is size
    assert task.set_params(seed=5) is task
    assert repr(task) == f"{card.owner}(seed=5, hidden_size=[3])"


def test_names_that_are_not_known_are_refused_with_the_nearest(card: Card) -> None:
    with pytest.raises(OptionError, match="Did you mean 'hidden_size'"):
        card.task()().set_params(hiden_size=3)
    for preset in presets.names(card.name)[:1]:
        with pytest.raises(OptionError, match="Did you mean 'epochs'"):
            card.task().from_preset(preset, epoch=3)
        with pytest.raises(OptionError, match=f"Did you mean '{preset}'"):
            card.task().from_preset(f"{preset}x")


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"cell": "lstn"}, "unknown cell 'lstn'. Did you mean 'lstm'"),
        ({"optimizer": "Adam"}, "unknown optimizer 'Adam'. Did you mean 'adam'"),
        ({"hidden_size": 0}, "hidden_size=0 cannot be used: input should be greater"),
        ({"epochs": 2.5}, "epochs=2.5 cannot be used"),
        ({"dropout": 1.0}, "dropout=1.0 cannot be used"),
        ({"learning_rate": float("nan")}, "learning_rate=nan cannot be used"),
        ({"patience": -1}, "patience=-1 cannot be used"),
        ({"seed": None}, "seed=None cannot be used"),
    ],
)
def test_parameters_out_of_range_are_named(name: str, sample: Sample, params: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        untrained(name, **params).fit_steps(*sample.examples())


# --- refusals --------------------------------------------------------------------------------------------------------


def test_no_examples_are_refused(name: str, sample: Sample) -> None:
    y: Any = None if sample.examples()[1] is None else []
    with pytest.raises(InputError, match=r"no examples|no sentences|no series|no texts"):
        untrained(name).fit_steps([], y)


def test_what_is_not_fitted_says_so(name: str, sample: Sample, tmp_path: Path) -> None:
    task, (X, y) = untrained(name), sample.examples()
    calls: list[Callable[[], Any]] = [
        lambda: task.predict(X),
        lambda: task.score(X, y),
        lambda: task.save(tmp_path / "model"),
        lambda: task.stream(lookahead=sample.lookahead),
        task.interface,
    ]
    for call in calls:
        with pytest.raises(InputError, match="not fitted; call fit first"):
            call()
    with pytest.raises(AttributeError, match="call fit first"):
        _ = task.network_


# --- live sessions ---------------------------------------------------------------------------------------------------


@pytest.fixture
def streamed(name: str, sample: Sample, fitted: Any) -> Any:
    """Give a task that has learned, set up as it must be to answer while a sequence comes in."""
    return untrained(name, **sample.live_params).fit(*sample.examples()) if sample.live_params else fitted


@pytest.fixture
def session(sample: Sample, streamed: Any) -> Any:
    return streamed.stream(lookahead=sample.lookahead)


def test_a_session_is_live_and_answers_alike_in_any_pieces(sample: Sample, session: Live) -> None:
    assert isinstance(session, Live)
    stepped, pushed = session.fork(), session.fork()
    for step in sample.live:
        stepped.step(step)
    pushed.push(sample.live[:1])
    pushed.push(sample.live[1:])
    assert stepped.steps == pushed.steps == session.steps + len(sample.live)
    assert plain(stepped.finish()) == plain(pushed.finish())
    assert stepped.ended
    assert not session.ended


def test_a_session_goes_on_from_its_state_and_from_a_fork(sample: Sample, streamed: Any, session: Live) -> None:
    session.push(sample.live[:2])
    twins = [session.fork(), streamed.stream(lookahead=sample.lookahead, state=session.state)]
    session.step(sample.live[2])  # which none of them is told
    assert [twin.steps + 1 for twin in twins] == [session.steps, session.steps]
    rest = sample.live[2:]
    want = plain([[session.step(step) for step in rest[1:]], session.finish()])
    for twin in twins:
        twin.step(rest[0])
        assert plain([[twin.step(step) for step in rest[1:]], twin.finish()]) == want


def test_a_step_that_cannot_be_read_leaves_a_session_as_it_was(sample: Sample, session: Live) -> None:
    session.push(sample.live)
    before = session.state
    with pytest.raises(InputError):
        session.step(sample.bad)
    with pytest.raises(InputError):
        session.push([*sample.live, sample.bad])
    assert session.state == before


def test_nothing_can_be_asked_of_a_session_that_has_ended(sample: Sample, session: Live) -> None:
    finished, closed = session.fork(), session
    finished.finish()
    closed.close()
    closed.close()
    calls: tuple[Callable[[Live], Any], ...] = (
        lambda live: live.step(sample.live[0]),
        lambda live: live.push(sample.live),
        lambda live: live.finish(),
        lambda live: live.fork(),
        lambda live: live.state,
    )
    for live in (finished, closed):
        assert live.ended
        for call in calls:
            with pytest.raises(StreamEndedError, match=r"was (finished|closed) after \d steps"):
                call(live)


def test_the_state_of_something_else_is_refused(sample: Sample, streamed: Any, session: Live) -> None:
    state = session.state
    for altered in (b"", state[:-1], state[:-1] + bytes([state[-1] ^ 1])):
        with pytest.raises(StateError):
            streamed.stream(lookahead=sample.lookahead, state=altered)
