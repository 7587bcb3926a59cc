"""What earlier versions left on a disk is still read: models answer the same, streams go on, stopped runs too."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from answers import answer
from saved.write import WHOLE, steps, tasks, told
from tidegate.network import Dropout

SAVED = Path(__file__).parents[1] / "saved"
HOMES = sorted(path for path in SAVED.glob("*/*") if path.is_dir() and path.parent.name[0].isdigit())


@pytest.fixture(params=HOMES, ids=lambda home: f"{home.parent.name}-{home.name}")
def home(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def expected(home: Path, name: str = "expected.json") -> Any:
    return json.loads((home / name).read_text())


def test_every_task_has_something_saved() -> None:
    assert {home.name for home in HOMES} >= set(tasks()) == set(tg.tasks.CARDS)


def test_a_saved_model_answers_as_it_did(home: Path) -> None:
    assert_same(answer(tg.load(home / "model.safetensors")), expected(home)["answers"], rtol=1e-6)


def test_a_stream_that_was_put_away_goes_on_as_it_would_have(home: Path) -> None:
    model, lookahead = tg.load(home / "model.safetensors"), None if home.name in WHOLE else 1
    stream = model.stream(lookahead=lookahead, state=(home / "stream.state").read_bytes())
    said = [stream.step(step) for step in steps(home.name)[2:]]
    assert_same(told(said), expected(home)["stream"][2:], rtol=1e-6)


def test_a_run_that_was_stopped_goes_on_to_what_it_would_have_learned(home: Path, tmp_path: Path) -> None:
    """To the last digits where nothing is drawn; features that are dropped are others since the core draws them."""
    run = shutil.copytree(home / "stopped", tmp_path / "run")
    task, (X, y) = tasks()[home.name]
    assert [step.step for step in task.fit_steps(X, y, resume=run)][:1] == [3]
    draws = any(isinstance(node, Dropout) for node in task.network_.nodes)
    assert_same(answer(task), expected(home, "resumed.json"), rtol=0.05 if draws else 1e-4)


def assert_same(found: Any, want: Any, *, rtol: float) -> None:
    """Require the same words and structure, and numbers within what the sums of another machine may differ by."""
    words, numbers = _parted(json.loads(json.dumps(found)))
    expected_words, expected_numbers = _parted(want)
    assert words == expected_words
    np.testing.assert_allclose(numbers, expected_numbers, rtol=rtol, atol=rtol)


def _parted(answers: Any) -> tuple[Any, list[float]]:
    """Part an answer into what is no number, in its structure, and its numbers in their order."""
    if isinstance(answers, list):
        parts = [_parted(one) for one in answers]
        return [words for words, _ in parts], [number for _, numbers in parts for number in numbers]
    if isinstance(answers, dict):
        words, numbers = _parted(list(answers.values()))
        return dict(zip(answers, words, strict=True)), numbers
    return (None, [answers]) if isinstance(answers, float) else (answers, [])
