"""A space is read from TOML as it is meant, and what cannot be meant is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tidegate.errors import InputError
from tidegate.search import read_space


class Low:
    """Choose the first of all, and note what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.asked.append((name, *choices))
        return choices[0]

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        self.asked.append((name, low, high, step, log))
        return low

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        self.asked.append((name, low, high, step, log))
        return low


def written(folder: Path, text: str) -> Path:
    (folder / "space.toml").write_text(text, encoding="utf-8")
    return folder / "space.toml"


def test_lists_ranges_and_what_is_fixed(tmp_path: Path) -> None:
    lines = [
        'cell = ["gru", "lstm"]',
        "hidden_size = {low = 16, high = 64, step = 16}",
        "dropout = {low = 0.0, high = 0.5, step = 0.1}",
        "learning_rate = {low = 1e-4, high = 1, log = true}",
        "epochs = 3",
    ]
    ask = Low()
    drawn = read_space(written(tmp_path, "\n".join(lines))).choose(ask)
    assert drawn == {"cell": "gru", "hidden_size": 16, "dropout": 0.0, "learning_rate": 1e-4, "epochs": 3}
    assert ask.asked == [
        ("cell", "gru", "lstm"),
        ("hidden_size", 16, 64, 16, False),
        ("dropout", 0.0, 0.5, 0.1, False),
        ("learning_rate", 1e-4, 1, None, True),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cell = ", "no readable TOML"),
        ("epochs = 3", "leaves nothing to choose"),
        ("cell = []", "cell = .*one or more"),
        ("cell = [[1]]", "one or more"),
        ("hidden_size = {low = 3}", "hidden_size = .*wanted {low"),
        ("hidden_size = {low = 3, high = 2}", "wanted {low"),
        ("hidden_size = {low = true, high = 2}", "wanted {low"),
        ("hidden_size = {low = 1, high = 2, base = 2}", "wanted {low"),
        ("dropout = {low = 0.0, high = 0.5, log = true}", "more than 0"),
        ("dropout = {low = 0.1, high = 0.5, log = true, step = 0.1}", "there is no step"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_space(written(tmp_path, text))
