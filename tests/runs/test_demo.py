"""What the demo takes for a task, and how lines are drawn for a terminal."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate.errors import InputError
from tidegate.runs import choose_demo, draw_line
from tidegate.tasks.cards import CARDS, by_verb


def test_a_task_shows_itself_on_data_that_needs_no_download_or_says_that_it_cannot() -> None:
    chosen = choose_demo(by_verb()["transcribe"].name)
    assert (chosen.source.name, chosen.next_command) == ("digit_lines", "tidegate evaluate RUN digit_lines")
    assert chosen.params == CARDS["transcriber"].demo_params
    with pytest.raises(InputError, match="there is no demo of forecasters"):
        choose_demo(by_verb()["forecast"].name)


def test_two_rows_of_pixels_become_one_of_characters() -> None:
    columns = np.array([[0, 0, 1, 1], [0, 1, 0.5, 0.5], [0.5, 0, 0, 0]], np.float32)  # [width, height]
    assert draw_line(columns) == " :.\n#: "
