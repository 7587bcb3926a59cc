"""The river of probabilities: what it names, where it says that texts lie, what a page tells, what is refused."""

from __future__ import annotations

import re
from itertools import groupby, product
from typing import Any

import numpy as np
import pytest

from samples import SAMPLES, untrained
from tidegate.errors import InputError, ShapeError
from tidegate.inspect import draw_frames, examine_frames, frames_page
from tidegate.inspect.paths import best_other_path

LOGS = np.log(np.array([[0.9, 0.06, 0.04], [0.12, 0.8, 0.08], [0.7, 0.2, 0.1], [0.02, 0.02, 0.96], [0.9, 0.05, 0.05]]))


def texts_of(svg: bytes) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg.decode())


def test_the_text_that_is_read_stands_below_the_river() -> None:
    told = texts_of(draw_frames(LOGS, "xy", picture="svg"))
    # "xy" above its peaks and as the best alignment; the best of the other texts leaves out the x: 0.12 for 0.8
    assert (told.count("x"), told.count("y")) == (2, 3)
    assert told.count("best") == told.count("other text") == 1
    assert "frame" in told and "probability" in told and "The signal" not in told
    with_signal = texts_of(draw_frames(LOGS, "xy", signal=np.eye(5), picture="svg"))
    assert "The signal" in with_signal


def test_another_text_is_aligned() -> None:
    told = texts_of(draw_frames(LOGS, ["x", " "], text=[" ", "x"], picture="svg"))
    assert (told.count("x"), told.count("␣")) == (3, 3)  # of both texts, " x" and "x ", each has one; and the peaks
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


def read(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(symbol for symbol, _ in groupby(path) if symbol)


@pytest.mark.parametrize("seed", range(60))
def test_the_best_of_other_texts_is_the_best_of_all_paths_that_read_as_another(seed: int) -> None:
    rng = np.random.default_rng(seed)
    T, K = int(rng.integers(0, 6)), int(rng.integers(1, 5))
    logs = np.log(rng.dirichlet(np.full(K, 0.5), size=T)).reshape(T, K)
    drawn = rng.integers(1, max(K, 2), rng.integers(0, 4)) if K > 1 else np.zeros(0, int)
    label = drawn if seed % 2 else np.array(read(tuple(logs.argmax(axis=1).tolist())), int)
    others = [path for path in product(range(K), repeat=T) if read(path) != tuple(label.tolist())]
    found = best_other_path(logs, label)
    if not others:
        assert found is None
        return
    assert found is not None
    path, score = tuple(found[0].tolist()), found[1]
    assert path in others
    best = max(float(logs[np.arange(T), list(other)].sum()) for other in others)
    assert score == pytest.approx(best, abs=1e-12)
    assert float(logs[np.arange(T), list(path)].sum()) == pytest.approx(best, abs=1e-12)


@pytest.fixture(scope="module")
def reader() -> Any:
    return untrained("transcriber").fit(*SAMPLES["transcriber"].examples())


def test_frames_and_gates_are_those_of_the_model(reader: Any) -> None:
    signals, texts = SAMPLES["transcriber"].examples()
    (told,) = examine_frames(reader, signals[:1], text=texts[0])
    assert (told.logs == reader.frames(signals[:1])[0]).all()
    record = told.to_json()
    aligned = reader.align(signals[0], texts[0])
    assert record["text"] == texts[0]
    assert record["score"] == pytest.approx(aligned.score, abs=1e-9)
    assert record["other"]["text"] != texts[0]
    one, gate = record["symbols"][-1], told.trace.direction("layer 0 backward").read("f")
    assert one["gates"]["layer 0 backward"]["f"] == pytest.approx(float(gate[one["peak"]].mean()), abs=1e-6)
    memory = told.trace.direction("layer 0 forward")
    i, f, g, c = (memory.read(letter) for letter in "ifgc")
    np.testing.assert_allclose(c[1:], f[1:] * c[:-1] + i[1:] * g[1:], atol=1e-6)
    assert memory.dh is not None and np.abs(memory.dh).max() > 0


def test_the_page_shows_each_signal_by_its_name_and_both_texts(reader: Any) -> None:
    found = examine_frames(reader, SAMPLES["transcriber"].examples()[0][:1])
    page = frames_page("Frames", {"<one>": found[0]})
    assert "<h2>&lt;one&gt;</h2>" in page and "Next best:" in page
    assert "layer 0 backward in numbers" in page
    assert page.count("<picture>") >= 3


def test_a_page_is_of_transcribers_and_signals_with_steps(reader: Any) -> None:
    with pytest.raises(InputError, match="step"):
        examine_frames(reader, [np.zeros((0, 2), np.float32)])
    with pytest.raises(InputError, match="nothing to inspect"):
        examine_frames(reader, [])
    other: Any = object()
    with pytest.raises(InputError, match="a object names no symbols of frames"):
        examine_frames(other, ["a"])
