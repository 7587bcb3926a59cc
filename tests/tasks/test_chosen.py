"""What follows from the data is written into the recipe, each value beside its rule."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import tidegate as tg
from tidegate.tasks.run import RunFolder

SMALL: dict[str, Any] = {"hidden_size": 4, "embedding_size": 4, "validation_fraction": 0}


def learn(folder: Path, count: int, **params: Any) -> tuple[tg.TextClassifier, dict[str, Any], str]:
    """Train a little; return the model, what its recipe says was chosen, and the recipe itself."""
    texts = [f"{'salt wave' if index % 2 else 'oak fern'} word{index % 7} once{index}" for index in range(count)]
    labels = ["sea" if index % 2 else "wood" for index in range(count)]
    model = tg.TextClassifier(**SMALL | params)
    for _ in model.fit_steps(texts, labels, run_dir=folder):
        pass
    run = RunFolder.open(folder)
    return model, run.recipe["chosen"], run.recipe_file.read_text(encoding="utf-8")


def test_the_recipe_says_what_followed_from_the_data_and_by_which_rule(tmp_path: Path) -> None:
    model, chosen, recipe = learn(tmp_path / "run", 40)
    assert chosen == {
        "epochs": 17,  # 40 texts are 3 updates of 16, and 50 updates are wanted at least
        "batch_size": 16,
        "word_dropout": 0.3,
        "words": 12,  # 11 come more than once, and one stands for all others
        "least_texts": 1,
        "evidence_columns": 2,
        "linear_characters": True,
        "linear_naive_bayes": False,
        "linear_C": 100.0,
        "linear_share": 0.9,
    }
    assert len(model.history_) == 17
    assert model.network_.input_size == 12
    assert "word_dropout = 0.3 # 0.3 where texts average below 16 tokens, else 0.5\n" in recipe


def test_what_was_asked_for_does_not_follow_from_the_data(tmp_path: Path) -> None:
    plain = {"evidence": 0, "linear": False, "word_dropout": 0.1, "batch_size": 8}
    _, chosen, _ = learn(tmp_path / "run", 16, **plain)
    assert chosen == {"epochs": 50}  # 100 updates of 8 of 16 texts


def test_more_texts_are_told_of_before_they_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="tidegate"):
        learn(tmp_path / "few", 40, epochs=1)
        assert not caplog.messages
        learn(tmp_path / "many", 2001, epochs=1, evidence=1)
    counting, fitting = caplog.messages
    assert counting == "2,001 texts: counting n-grams"
    assert fitting.startswith("2,001 texts: fitting the linear part: ") and fitting.endswith(" features, 2 classes")
