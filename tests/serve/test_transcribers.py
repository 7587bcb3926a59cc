"""Transcribers over HTTP: files of sound and of lines, read as from a disk, and a search while samples come."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from websockets.sync.client import connect

import tidegate as tg
from serving import ask, serving
from tidegate.data.transcribed.reading import read_choices, read_files
from tidegate.errors import InputError
from tidegate.serve import sessions
from tidegate.serve.server import Server
from transcribed import put_clip, put_line

SMALL: dict[str, Any] = {"hidden_size": 4, "num_layers": 1, "epochs": 1, "validation_fraction": 0, "dropout": 0.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("files")
    put_clip(made / "clip.wav", 2400)
    put_clip(made / "fast.wav", 2400, rate=16000)
    put_line(made / "line.png", (24, 60))
    cases: tuple[tuple[Literal["sound", "line"], str, dict[str, str]], ...] = (
        ("sound", "clip.wav", {"rate": "8000"}),
        ("line", "line.png", {"height": "12"}),
    )
    for reads, file, choices in cases:
        signals = read_files([made / file] * 4, read_choices(reads=reads, **choices))
        reader = tg.Transcriber(reads=reads, bands=8, bidirectional=False, **SMALL)
        reader.fit(signals, ["ab", "b", "a", "ba"]).save(made / f"{reads}.safetensors")
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving({reads: folder / f"{reads}.safetensors" for reads in ("sound", "line")}) as served:
        yield served


def coded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


@pytest.mark.parametrize(("name", "file"), [("sound", "clip.wav"), ("line", "line.png")])
def test_a_file_is_answered_as_from_a_disk(server: Server, folder: Path, name: str, file: str) -> None:
    model: Any = tg.load(folder / f"{name}.safetensors")
    signals = read_files([folder / file], read_choices(**model.wants()))
    (whole,), (frames,) = model.transcribe([signals.signals[0]]), model.frames([signals.signals[0]])
    asked = {"model": name, "sequences": [coded(folder / file)], "probabilities": True}
    status, told, _ = ask(server, "/v1/predict", asked)
    assert status == 200, told
    (answer,) = told["answers"]
    assert answer["text"] == whole.text
    assert (answer["confidence"], answer["score"]) == (whole.confidence, whole.score)
    assert [one["start"] for one in answer["symbols"]] == [one.start for one in whole.symbols]
    assert answer["log_probabilities"] == frames.tolist()


@pytest.mark.parametrize(
    ("name", "file", "message"),
    [
        ("line", "clip.wav", "is a file of a sound; this model reads line"),
        ("sound", "line.png", "is a file of a line; this model reads sound"),
        ("sound", "fast.wav", "has 16000 samples a second, but 8000 are wanted"),
    ],
)
def test_a_file_that_the_model_does_not_read_is_refused(
    server: Server, folder: Path, name: str, file: str, message: str
) -> None:
    status, told, _ = ask(server, "/v1/predict", {"model": name, "sequences": [coded(folder / file)]})
    assert status == 422
    assert message in told["detail"]


def test_samples_that_come_in_are_searched(server: Server, folder: Path) -> None:
    model: Any = tg.load(folder / "sound.safetensors")
    samples = np.random.default_rng(0).normal(0, 0.1, (900, 1)).astype(np.float32)
    with tg.Client(server.url, model="sound") as client, client.stream(beam=4) as stream:
        stream.push(samples[:500].tolist())
        stream.push(samples[500:].tolist())
        (told,) = stream.finish()
    assert told == model.transcribe([samples], beam=4)[0]


def test_a_stream_that_has_grown_too_long_for_a_token_takes_no_more_and_ends_in_full(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_WEIGHED", 1)
    model: Any = tg.load(folder / "sound.safetensors")
    samples = np.random.default_rng(0).normal(0, 0.1, (900, 1)).astype(np.float32)
    live = model.stream(beam=4)
    live.push(samples[:500])
    most = len(live.state)
    monkeypatch.setattr(sessions, "MOST_STATE", most)
    address = f"{server.url.replace('http', 'ws')}/v1/streams/sound"
    with connect(address, compression=None, proxy=None) as ws:

        def say(**message: Any) -> Any:
            ws.send(json.dumps(message))
            return json.loads(ws.recv(timeout=30))

        assert "error" not in say(begin={"beam": 4}, steps=samples[:100].tolist())
        begun = server.sessions.used
        told = say(steps=samples[100:].tolist(), token=True)
        taken = told["step"]
        assert 500 < taken < len(samples)
        assert told["error"]["status"] == 422
        assert f"{most:,} are kept at most. End it" in told["error"]["detail"]
        assert server.sessions.used > max(begun, most)
        assert most < len(told["token"]) * 3 / 4 < 2 * most
        assert say(steps=[[0.0]])["step"] == taken
        rest = say(end=True)["rest"]
    assert rest[-1]["text"] == model.transcribe([samples[:taken]], beam=4)[0].text


def test_a_search_that_would_take_the_server_from_others_is_refused(server: Server) -> None:
    with tg.Client(server.url, model="sound") as client, pytest.raises(InputError, match="at most 64 is served"):
        client.stream(beam=65).step([0.5])
