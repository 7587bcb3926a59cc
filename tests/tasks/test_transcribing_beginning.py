"""What a transcriber begins with of another one, and what it holds out where all recordings are of one speaker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.data.transcribed.recordings import Recordings
from tidegate.errors import InputError
from tidegate.tasks import Transcriber

SMALL: dict[str, Any] = {
    "hidden_size": 6,
    "num_layers": 1,
    "epochs": 1,
    "validation_fraction": 0,
    "average": 0.0,
    "bands": 6,
}
STILL: dict[str, Any] = SMALL | {"learning_rate": 1e-12}


def noise(count: int = 6, groups: list[str] | None = None, *, reads: Any = "features") -> Recordings:
    rng, width = np.random.default_rng(0), 1 if reads == "sound" else 3
    signals = [rng.normal(0, 0.1, (900, width)).astype(np.float32) for _ in range(count)]
    texts = ["".join(rng.permutation(["a", "b", "c"])) for _ in range(count)]
    return Recordings(signals, texts, groups=groups, reads=reads, rate=800.0 if reads == "sound" else None)


def by_layer(reader: Transcriber) -> list[Any]:
    """Give the weights in the order of their nodes, without the numbers of those."""
    named = sorted((int(name.partition(".")[0]), name.partition(".")[2]) for name in reader.weights_)
    return [(rest, reader.weights_[f"{node}.{rest}"]) for node, rest in named]


@pytest.mark.parametrize(
    ("reads", "dropouts", "frames"),
    [
        ("features", (0.3, 0.0), ((1, 1), (1, 1))),
        ("features", (0.0, 0.3), ((1, 2), (1, 1))),
        ("features", (0.3, 0.0), ((1, 2), (1, 1))),
        ("features", (0.0, 0.0), ((1, 1), (1, 2))),
        ("sound", (0.3, 0.0), ((3, 3), (3, 2))),
        ("sound", (0.0, 0.3), ((1, 1), (1, 2))),
    ],
)
def test_nodes_without_weights_may_come_and_go(
    reads: Any, dropouts: tuple[float, float], frames: tuple[Any, Any], tmp_path: Path
) -> None:
    (before, after), given = frames, noise(reads=reads)
    old = Transcriber(reads=reads, window=before[0], stride=before[1], dropout=dropouts[0], **SMALL).fit(given)
    old.save(tmp_path / "model")
    begin = {"pretrained": tmp_path / "model", "window": after[0], "stride": after[1]}
    new = Transcriber(reads=reads, **begin, dropout=dropouts[1], **STILL).fit(given)
    pairs = list(zip(by_layer(old), by_layer(new), strict=True))
    assert len(pairs) >= 10
    for (name, one), (other, two) in pairs:
        assert name == other
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"hidden_size": 5}, r"has \[18, 3\] where \[15, 3\] is wanted"),
        ({"num_layers": 1}, r"has \w+_l1\w*, which has no place here"),
        ({"num_layers": 3}, r"has nothing where \[18, 12\] is wanted"),
        ({"window": 2}, r"has \[18, 3\] where \[18, 6\] is wanted"),
    ],
)
def test_other_sizes_are_refused(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    sizes = SMALL | {"num_layers": 2, "window": 1, "stride": 1, "cell": "gru"}
    Transcriber(**sizes).fit(noise()).save(tmp_path / "model")
    with pytest.raises(InputError, match=told + r".*Use its own sizes"):
        Transcriber(pretrained=tmp_path / "model", **sizes | changes).fit(noise())


@pytest.mark.parametrize(
    ("groups", "held_out"),
    [
        (["ann"] * 8, 1),
        (None, 1),
        (["ann"] * 4 + ["bob"] * 4, 4),
    ],
)
def test_recordings_of_one_speaker_are_held_out_one_by_one(groups: list[str] | None, held_out: int) -> None:
    given = noise(8, groups)
    kept, held = given.hold_out(0.05, seed=0)
    assert (len(kept), len(held)) == (8 - held_out, held_out)
    assert {*kept.names, *held.names} == set(given.names)
    assert groups is None or {*(kept.groups or ()), *(held.groups or ())} == set(groups)
    reader = Transcriber(**SMALL | {"validation_fraction": 0.05}).fit(given)
    assert "valid_cer" in reader.history_[-1]
