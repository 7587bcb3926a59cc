"""The rate of signals: given to the transcriber or with the recordings, it is learned, asked for, and told in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegate.data.transcribed.reading import read_choices
from tidegate.data.transcribed.recordings import Reads, Recordings
from tidegate.errors import InputError
from tidegate.tasks import Transcriber
from tidegate.tasks.transcribing.reading import as_recordings

QUICK: dict[str, Any] = {"hidden_size": 4, "num_layers": 1, "epochs": 1, "bands": 4, "validation_fraction": 0}


def noise(reads: Reads, rate: float | None) -> Recordings:
    rng, width = np.random.default_rng(0), 1 if reads == "sound" else 3
    signals = [rng.normal(0, 0.1, (1000, width)).astype(np.float32) for _ in range(4)]
    return Recordings(signals, ["ab", "b", "a", "ba"], reads=reads, rate=rate)


@pytest.mark.parametrize("reads", ["sound", "features"])
@pytest.mark.parametrize(("told", "known"), [(2000.0, None), (None, 2000.0), (2000.0, 2000.0)])
def test_a_rate_that_is_told_anywhere_is_learned_and_wanted(
    reads: Reads, told: float | None, known: float | None
) -> None:
    reader = Transcriber(reads=reads, rate=told, **QUICK).fit(noise(reads, known))
    wanted = reader.wants()
    assert wanted["rate"] == "2000"
    assert read_choices(**wanted).frames == 2000.0
    given = [noise(reads, rate) for rate in (None, 2000.0)]
    logs = reader.frames(given[0])
    symbols = [one.symbols for one in reader.align(given[0], given[0].texts)]
    assert len(logs) == 4
    assert symbols == [one.symbols for one in reader.align(given[1], given[1].texts)]
    assert 0 < symbols[0][-1].end <= 0.5, "seconds of 1,000 steps"
    with pytest.raises(InputError, match="have 1000 steps a second, this transcriber wants 2000"):
        reader.transcribe(noise(reads, 1000.0))


def test_no_rate_is_wanted_where_none_is_known_or_no_option_can_say_it() -> None:
    assert "rate" not in Transcriber(**QUICK).fit(noise("features", None)).wants()
    assert "rate" not in Transcriber(**QUICK).fit(noise("features", 62.5)).wants()


def test_places_that_are_known_stay() -> None:
    scales = np.tile(np.array([0.25, 3.0]), (4, 1))
    given = noise("features", None)
    placed = Recordings(given.signals, given.texts, scales=scales, reads="features")
    found = as_recordings(placed, None, reads="features", rate=2000.0)
    assert found.rate == 2000.0 and (found.scales == scales).all()
    assert as_recordings(given, None, reads="features", rate=2000.0).place(0, 500) == 0.25
    assert as_recordings(given, None, reads="features", rate=None).place(0, 500) == 500


def test_more_bands_than_a_frame_tells_apart_are_refused_in_words() -> None:
    with pytest.raises(
        InputError, match=r"no network can be made for these data: (?!.*Value error).*band 0 of 40 .*fewer bands"
    ):
        Transcriber(reads="sound", **QUICK | {"bands": 40}).fit(noise("sound", 800.0))
