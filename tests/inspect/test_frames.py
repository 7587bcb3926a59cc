"""The river of probabilities: what it names, where it says that a text lies, what it refuses."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tidegate.errors import InputError, ShapeError
from tidegate.inspect import draw_frames

LOGS = np.log(np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.02, 0.02, 0.96], [0.9, 0.05, 0.05]]))


def texts_of(svg: bytes) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg.decode())


def test_the_text_that_is_read_stands_below_the_river() -> None:
    told = texts_of(draw_frames(LOGS, "xy", picture="svg"))
    assert told.count("x") == told.count("y") == 1
    assert "frame" in told and "probability" in told and "The signal" not in told
    with_signal = texts_of(draw_frames(LOGS, "xy", signal=np.eye(5), picture="svg"))
    assert "The signal" in with_signal


def test_another_text_is_aligned() -> None:
    told = texts_of(draw_frames(LOGS, ["x", " "], text=[" ", "x"], picture="svg"))
    assert told.count("x") == told.count("␣") == 1
    assert draw_frames(LOGS, "xy", text="yx") != draw_frames(LOGS, "xy", text="xy")


def test_the_same_numbers_give_the_same_bytes() -> None:
    assert draw_frames(LOGS, "xy", picture="svg") == draw_frames(LOGS, "xy", picture="svg")


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"\[5, 3\], but 1 symbols and the blank"):
        draw_frames(LOGS, "x")
    with pytest.raises(InputError, match="no frame to draw"):
        draw_frames(LOGS[:0], "xy")
    with pytest.raises(InputError, match="the symbol 'z'"):
        draw_frames(LOGS, "xy", text="z")
    with pytest.raises(InputError, match="1 of 1 labels need more frames"):
        draw_frames(LOGS, "xy", text="xxxx")
