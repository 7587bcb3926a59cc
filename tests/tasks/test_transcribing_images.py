"""Fronts of a transcriber that see an image in the signal: down its columns, or in four directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from tidegate.data.transcribed.recordings import Recordings
from tidegate.errors import InputError
from tidegate.network import Scan2d, Spectrogram
from tidegate.tasks import Transcriber

SMALL: dict[str, Any] = {
    "speed": 0.0,
    "noise": 0.0,
    "time_masks": 0,
    "feature_masks": 0,
    "dropout": 0.0,
    "average": 0.9,
    "validation_fraction": 0.0,
    "hidden_size": 12,
    "num_layers": 1,
    "epochs": 30,
    "batch_size": 4,
    "learning_rate": 0.03,
    "front_size": 6,
}


def strokes(count: int) -> Recordings:
    """Draw lines 8 pixels high whose symbols are strokes at one of three heights, six columns wide."""
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abc"), rng.integers(2, 5))) for _ in range(count)]
    signals = []
    for text in texts:
        line = np.zeros((3 + 9 * len(text), 8), np.float32)
        for place, symbol in enumerate(text):
            line[3 + 9 * place : 9 + 9 * place, 1 + 2 * "abc".index(symbol)] = 1
        signals.append(line)
    return Recordings(signals, texts, reads="line", scales=np.tile([0.5, 10.0], (count, 1)))


@pytest.mark.parametrize(("front", "directions"), [("columns", 1), ("renet", 4)])
def test_lines_are_read_as_images(front: Any, directions: int, tmp_path: Path) -> None:
    lines = strokes(40)
    reader = Transcriber(reads="line", front=front, stride=3, **SMALL).fit(lines)
    scans = [node for node in reader.network_.nodes if isinstance(node, Scan2d)]
    assert [scan.directions for scan in scans] == [directions]
    assert reader.score(lines) > 0.95
    told = reader.transcribe(lines)
    assert reader.transcribe(lines.select([7]))[0] == told[7]
    for text, found in zip(lines.texts or [], told, strict=True):
        middles = [(symbol.start + symbol.end) / 2 for symbol in found.symbols]
        if found.text == text:  # a symbol's frames are some of the nine columns that it has
            wanted = [10 + 0.5 * (6 + 9 * place) for place in range(len(text))]
            np.testing.assert_allclose(middles, wanted, atol=3)
    reader.save(tmp_path / "lines.tide")
    assert tg.load(tmp_path / "lines.tide").transcribe(lines) == told


def test_sound_is_scanned_in_four_directions() -> None:
    rng = np.random.default_rng(0)
    tones = {"a": 300, "b": 700, "c": 1500}
    texts = ["".join(rng.choice(list("abc"), rng.integers(1, 4))) for _ in range(40)]
    times = np.arange(1600) / 4000
    signals = [
        np.concatenate([np.sin(2 * np.pi * tones[symbol] * times) * np.hanning(1600) for symbol in text])[:, None]
        for text in texts
    ]
    heard = Recordings([signal.astype(np.float32) for signal in signals], texts, reads="sound", rate=4000.0)
    reader = Transcriber(reads="sound", bands=12, front="renet", **SMALL | {"epochs": 50}).fit(heard)
    kinds = [node.kind for node in reader.network_.nodes]
    assert kinds[:5] == ["spectrogram", "unflatten", "fold", "scan2d", "flatten"]
    assert isinstance(reader.network_.nodes[0], Spectrogram)
    assert reader.score(heard) > 0.9


def test_a_reader_of_images_cannot_be_streamed() -> None:
    lines = strokes(8)
    reader = Transcriber(reads="line", front="columns", stride=3, **SMALL | {"epochs": 1}).fit(lines)
    with pytest.raises(InputError, match="whole"):
        reader.stream()
