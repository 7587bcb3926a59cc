"""Live streams over the wire: cut, resumed elsewhere, put away and moved, they say what the whole does, to the bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

import samples
import tidegate as tg
from serving import ASKED, ask, bits, serving
from tidegate.errors import InputError, ServeError, StreamEndedError
from tidegate.serve import sessions
from tidegate.serve.oip import SequenceStepping
from tidegate.serve.server import Server
from tidegate.serve.streams import Stepping
from tidegate.tasks import CARDS

TOKEN = "a-token-for-tests-alone"


def live_of(name: str, models: dict[str, Path]) -> tuple[Any, dict[str, Any], list[Any]]:
    """Give the model of a task, the options of its streams, and 150 steps."""
    sample = samples.SAMPLES[name]
    options = {} if sample.lookahead is None else {"lookahead": sample.lookahead}
    steps = [sample.live[at * at % len(sample.live)] for at in range(150)]
    if not isinstance(steps[0], str):
        steps = [(step * (1 + at % 7)).tolist() for at, step in enumerate(steps)]
    return tg.load(models[name]), options, steps


def whole(name: str, models: dict[str, Path]) -> list[Any]:
    """Say what the task itself answers to all steps, as a client hears it."""
    model, options, steps = live_of(name, models)
    wire = CARDS[name].answers().wire
    assert wire is not None
    live = model.stream(**options)
    answers = [answer for step in steps if (answer := live.step(step)) is not None]
    answers += wire.live.last(live)
    labels = getattr(model, "classes_", None)
    heard = [wire.live.hear([] if labels is None else labels.tolist(), wire.live.tell(model, each)) for each in answers]
    return [bits(each) for each in heard]


@contextmanager
def wired(server: Server, name: str) -> Iterator[ClientConnection]:
    """Open a socket of a model."""
    with connect(f"{server.url.replace('http', 'ws')}/v1/streams/{name}", compression=None, proxy=None) as ws:
        yield ws


def say(ws: ClientConnection, **message: Any) -> dict[str, Any]:
    ws.send(json.dumps(message))
    told: dict[str, Any] = json.loads(ws.recv(timeout=20))
    return told


@pytest.mark.parametrize("name", ASKED)
def test_a_stream_says_what_the_task_says(server: Server, models: dict[str, Path], name: str) -> None:
    _, options, steps = live_of(name, models)
    with tg.Client(server.url, model=name) as client, client.stream(**options) as stream:
        found = stream.push(steps[:70])
        for step in steps[70:80]:
            answer = stream.step(step)
            found += [] if answer is None else [answer]
        found += stream.push(steps[80:])
        assert stream.steps == 150
        found += stream.finish()
    assert [bits(each) for each in found] == whole(name, models)


def socketed(server: Server, name: str, options: dict[str, Any], parts: list[list[Any]]) -> None:
    """Send the parts of a stream over one socket."""
    with wired(server, name) as ws:
        for at, part in enumerate(parts):
            assert "error" not in say(ws, steps=part, end=part is parts[-1], **({} if at else {"begin": options}))


def requested(server: Server, name: str, options: dict[str, Any], parts: list[list[Any]]) -> None:
    """Send the parts of a stream by requests, each with the token of the one before."""
    message: dict[str, Any] = {"begin": options}
    for part in parts:
        status, told, _ = ask(server, f"/v1/streams/{name}", message | {"steps": part, "end": part is parts[-1]})
        assert status == 200, told
        message = {"resume": told.get("token")}


def sequenced(server: Server, name: str, options: dict[str, Any], parts: list[list[Any]]) -> None:
    """Send the parts of a stream as those of a sequence, which is put away between any two."""
    for at, part in enumerate(parts):
        edges = {"sequence_start": at == 0, "sequence_end": part is parts[-1]} | ({} if at else options)
        if isinstance(part[0], str):
            arrays = {"text": ("BYTES", part)}
        elif name == "forecaster":
            arrays = {str(column): ("FP64", [row[column] for row in part]) for column in range(len(part[0]))}
        else:
            arrays = {"values": ("FP64", part)}
        inputs = [
            {"name": key, "datatype": kind, "shape": list(np.shape(data)), "data": np.ravel(data).tolist()}
            for key, (kind, data) in arrays.items()
        ]
        content = {"inputs": inputs, "parameters": {"sequence_id": "mine", **edges}}
        status, told, _ = ask(server, f"/v2/models/{name}/infer", content)
        assert status == 200, told
        with wired(server, name) as other:
            say(other, begin=options)
            assert f"oip:{name}:mine" not in server.sessions._open


@pytest.mark.parametrize("send", [socketed, requested, sequenced])
@pytest.mark.parametrize("name", ASKED)
def test_a_stream_is_charged_for_what_it_computes_in_whatever_parts_it_comes(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, send: Any
) -> None:
    _, options, steps = live_of(name, models)
    steps = steps[:24]
    with serving({name: models[name]}, session_bytes=4_000, state_dir=tmp_path) as server:
        charged, asked = list[int](), server.batcher.ask

        async def noted(work: Any, payload: Any, tokens: int, place: Any = None) -> Any:
            if isinstance(work, Stepping | SequenceStepping) and tokens > 1:
                charged.append(tokens - 1)  # each message has one besides its steps
            return await asked(work, payload, tokens, place)

        monkeypatch.setattr(server.batcher, "ask", noted)
        send(server, name, options, [steps])
        (whole,) = charged
        charged.clear()
        send(server, name, options, [steps[at : at + 6] for at in range(0, 24, 6)])
    assert sum(charged) == whole
    if name == "translator":  # which translates all that came so far at each piece, and at the end
        sizes = [len("".join(steps[: at + 1])) for at in range(24)]
        assert whole >= 2 * sum(size // 4 for size in [*sizes, sizes[-1]])
        assert charged[-1] > 4 * charged[0]


@pytest.mark.parametrize("name", ASKED)
def test_a_stream_that_is_cut_again_and_again_goes_on_at_either_of_two_servers(
    models: dict[str, Path], tmp_path: Path, name: str
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    _, options, steps = live_of(name, models)
    only = {name: models[name]}
    with (
        serving(only, token_file=tmp_path / "token") as one,
        serving(only, token_file=tmp_path / "token") as other,
        tg.Client([one.url, other.url], model=name, token=TOKEN) as client,
    ):
        stream, found = client.stream(**options), []
        for at in range(0, 150, 6):
            found += stream.push(steps[at : at + 6])
            stream._place.tried += 1
            stream._hang_up()  # the wire is cut, and the next server is asked
        found += stream.finish()
    assert stream.reconnects == 25
    assert [bits(each) for each in found] == whole(name, models)


def test_answers_that_are_lost_on_the_way_are_given_again(server: Server, models: dict[str, Path]) -> None:
    name = "sequence-classifier"
    _, options, steps = live_of(name, models)
    with tg.Client(server.url, model=name) as client:
        stream = client.stream(**options)
        found = stream.push(steps[:100])
        stream._socket.send(json.dumps({"steps": steps[100:130], "at": 100}))  # taken, and the answer never read
        stream._hang_up()
        found += stream.push(steps[100:])
        found += stream.finish()
    assert [bits(each) for each in found] == whole(name, models)


def test_steps_that_come_again_are_passed_over_and_a_gap_is_told(server: Server, models: dict[str, Path]) -> None:
    _, options, steps = live_of("sequence-classifier", models)
    with wired(server, "sequence-classifier") as ws:
        first = say(ws, begin=options, steps=steps[:5])
        assert (first["step"], [each["step"] for each in first["answers"]]) == (5, [1, 2, 3, 4, 5])
        again = say(ws, steps=steps[3:7], at=3)
        assert (again["step"], [each["step"] for each in again["answers"]]) == (7, [6, 7])
        gap = say(ws, steps=steps[9:], at=9)
        assert (gap["step"], gap["error"]["type"]) == (7, "urn:tidegate:gap")
        assert say(ws, steps=steps[7:8], at=7)["step"] == 8


def test_a_step_that_cannot_be_read_leaves_the_stream_as_it_was(server: Server, models: dict[str, Path]) -> None:
    for name in ASKED:
        _, options, steps = live_of(name, models)
        bad = samples.SAMPLES[name].bad
        bad = None if isinstance(bad, list) else bad
        with wired(server, name) as ws:
            say(ws, begin=options, steps=steps[:3])
            told = say(ws, steps=[steps[3], bad, steps[4]])
            assert (told["step"], told["error"]["status"]) == (4, 422), name
            assert say(ws, steps=[steps[4]], at=4)["step"] == 5


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("", "no-json"),
        ("[]", "invalid"),
        ('{"steps": 1}', "invalid"),
        ('{"at": -1}', "invalid"),
        ('{"begin": {"lookahead": -1}}', "unreadable"),
        ('{"begin": {"lookahead": "1"}}', "unreadable"),
        ('{"begin": {"hidden": 1}}', "unreadable"),
        ('{"begin": {}, "resume": "x"}', "unreadable"),
        ('{"resume": "nonsense"}', "bad-token"),
        ('{"resume": "äöü"}', "bad-token"),
        ('{"steps": [[[[1]]]], "begin": {"lookahead": 1}}', "unreadable"),
        ('{"steps": ' + "[" * 50_000, "unreadable"),
    ],
    ids=lambda value: value[:40],
)  # fmt: skip
def test_a_message_that_cannot_be_taken_is_told_and_the_socket_goes_on(server: Server, message: str, kind: str) -> None:
    with wired(server, "sequence-classifier") as ws:
        ws.send(message)
        assert json.loads(ws.recv(timeout=20))["error"]["type"] == f"urn:tidegate:{kind}"
        told = say(
            ws,
            **(
                {"steps": [[1.0, 2.0]]}
                if "[[[[1]]]]" in message
                else {"begin": {"lookahead": 1}, "steps": [[1.0, 2.0]]}
            ),
        )
        assert told["step"] == 1


def test_a_token_that_was_altered_or_is_of_another_model_or_key_is_refused(
    server: Server, models: dict[str, Path]
) -> None:
    path = "/v1/streams/sequence-classifier"
    _, told, _ = ask(server, path, {"begin": {"lookahead": 1}, "steps": [[1.0, 2.0]]})
    token = told["token"]
    assert ask(server, path, {"resume": token, "steps": [[1.0, 2.0]]})[1]["step"] == 2
    for wrong in (
        token[:-9] + ("A" if token[-9] != "A" else "B") + token[-8:],
        token[:50] + "x" + token[51:],
        token[:60],
        "",
    ):
        status, problem, _ = ask(server, path, {"resume": wrong})
        assert (status, problem["type"]) == (422, "urn:tidegate:bad-token")
    assert ask(server, "/v1/streams/text-classifier", {"resume": token})[1]["type"] == "urn:tidegate:bad-token"
    with serving(models) as stranger:
        assert ask(stranger, path, {"resume": token})[1]["type"] == "urn:tidegate:bad-token"


@pytest.mark.parametrize("name", ASKED)
def test_requests_one_after_the_other_make_a_stream(server: Server, models: dict[str, Path], name: str) -> None:
    model, options, steps = live_of(name, models)
    wire = CARDS[name].answers().wire
    assert wire is not None
    labels = getattr(model, "classes_", None)
    said: list[Any] = []
    message: dict[str, Any] = {"begin": options}
    for at in range(0, 150, 30):
        _, told, _ = ask(server, f"/v1/streams/{name}", message | {"steps": steps[at : at + 30], "end": at == 120})
        message = {"resume": told.get("token")}
        said += told.get("answers", []) + told.get("rest", [])
    heard = [wire.live.hear([] if labels is None else labels.tolist(), each) for each in said]
    assert [bits(each) for each in heard] == whole(name, models)


def test_events_say_what_one_answer_says(server: Server, models: dict[str, Path]) -> None:
    _, options, steps = live_of("sequence-classifier", models)
    message = {"begin": options, "steps": steps, "end": True}
    _, plain, _ = ask(server, "/v1/streams/sequence-classifier", message)
    _, events, headers = ask(
        server, "/v1/streams/sequence-classifier", message, headers={"Accept": "text/event-stream"}
    )
    assert headers["content-type"].startswith("text/event-stream")
    parts = [json.loads(line.removeprefix("data: ")) for line in events.decode().splitlines() if line[:5] == "data:"]
    assert [each for part in parts for each in part.get("answers", [])] == plain["answers"]
    assert parts[-2]["rest"] == plain["rest"]
    assert all("token" in part for part in parts[:-2])


def test_sessions_that_no_longer_fit_go_to_the_attic_and_come_back(models: dict[str, Path], tmp_path: Path) -> None:
    name = "sequence-classifier"
    _, options, steps = live_of(name, models)
    with (
        serving({name: models[name]}, session_bytes=8_000, state_dir=tmp_path) as server,
        tg.Client(server.url) as client,
    ):
        streams = [client.stream(**options) for _ in range(20)]
        found: list[list[Any]] = [[] for _ in streams]
        for at in range(0, 150, 50):
            for stream, answers in zip(streams, found, strict=True):
                answers.extend(stream.push(steps[at : at + 50]))
        assert server.sessions.evicted > 20
        assert server.sessions.used <= 8_000
        assert len(server.sessions) < 5
        for stream, answers in zip(streams, found, strict=True):
            answers.extend(stream.finish())
            assert stream.reconnects == 0
    wanted = whole(name, models)
    assert all([bits(each) for each in answers] == wanted for answers in found)


def test_without_an_attic_a_session_that_no_longer_fits_gets_its_token(models: dict[str, Path]) -> None:
    name = "sequence-classifier"
    _, options, steps = live_of(name, models)
    with serving({name: models[name]}, session_bytes=8_000) as server, tg.Client(server.url) as client:
        streams = [client.stream(**options) for _ in range(6)]
        found: list[list[Any]] = [stream.push(steps[:70]) for stream in streams]
        for stream, answers in zip(streams, found, strict=True):
            answers.extend(stream.push(steps[70:]))
            answers.extend(stream.finish())
        assert sum(stream.reconnects for stream in streams) >= 3
    wanted = whole(name, models)
    assert all([bits(each) for each in answers] == wanted for answers in found)


def test_a_server_that_ends_hands_out_tokens(models: dict[str, Path], tmp_path: Path) -> None:
    name = "sequence-classifier"
    _, options, steps = live_of(name, models)
    with serving({name: models[name]}, state_dir=tmp_path) as server:
        with wired(server, name) as ws:
            say(ws, begin=options, steps=steps[:10])
            server.stop()
            last = json.loads(ws.recv(timeout=20))
            with pytest.raises(ConnectionClosed) as caught:
                ws.recv(timeout=20)
        assert (last["closing"], last["step"], caught.value.rcvd.code if caught.value.rcvd else 0) == (
            "drain",
            10,
            1012,
        )
    with serving({name: models[name]}, state_dir=tmp_path) as server:
        rest = ask(server, f"/v1/streams/{name}", {"resume": last["token"], "steps": steps[10:], "end": True})[1]
        straight = ask(server, f"/v1/streams/{name}", {"begin": options, "steps": steps, "end": True})[1]
    assert rest["answers"] == straight["answers"][10:]


def test_a_stream_outlives_its_server(models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    name = "token-tagger"
    _, options, steps = live_of(name, models)
    only = {name: models[name]}
    with serving(only, token_file=tmp_path / "token") as other:
        with serving(only, token_file=tmp_path / "token") as one:
            client = tg.Client([one.url, other.url], token=TOKEN)
            stream = client.stream(**options)
            found = stream.push(steps[:40])
        found += stream.push(steps[40:])
        found += stream.finish()
        client.close()
    assert [bits(each) for each in found] == whole(name, models)


def test_a_client_tells_what_no_server_can_mend(server: Server) -> None:
    with tg.Client(server.url, model="sequence-classifier") as client:
        stream = client.stream(lookahead=1)
        with pytest.raises(InputError, match="trained on"):
            stream.step([1.0])
        assert stream.step([1.0, 2.0]) is not None
        stream.finish()
        with pytest.raises(StreamEndedError, match="finished after 1 step"):
            stream.step([1.0, 2.0])
    gone = tg.Client("http://127.0.0.1:1", model="x")
    gone.__dict__["about"] = client.about
    with pytest.raises(ServeError, match="no server went on"):
        gone.stream(patience=0.2, lookahead=1).step([1.0, 2.0])


def test_sessions_that_are_put_down_and_taken_up_say_the_same(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "HOT", 2)
    for name in ASKED:
        _, options, steps = live_of(name, models)
        with serving({name: models[name]}) as server, tg.Client(server.url) as client:
            streams = [client.stream(**options) for _ in range(4)]
            found: list[list[Any]] = [[] for _ in streams]
            for at in range(0, 150, 15):
                for stream, answers in zip(streams, found, strict=True):
                    answers.extend(stream.push(steps[at : at + 15]))
            assert (len(server.sessions), len(server.sessions._hot)) == (4, 2)
            for stream, answers in zip(streams, found, strict=True):
                answers.extend(stream.finish())
            assert server.sessions.used == 0
        assert all([bits(each) for each in answers] == whole(name, models) for answers in found)


def test_a_token_outlives_the_key_that_signed_it_while_that_is_still_in_the_file(
    models: dict[str, Path], tmp_path: Path
) -> None:
    name, file = "sequence-classifier", tmp_path / "tokens"
    path, only = f"/v1/streams/{name}", {name: models[name]}
    older, newer = {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": f"Bearer {TOKEN}-newer"}
    file.write_text(TOKEN)
    with serving(only, token_file=file) as server:
        begun = {"begin": {"lookahead": 1}, "steps": [[1.0, 2.0]]}
        token = ask(server, path, begun, headers=older)[1]["token"]
    file.write_text(f"{TOKEN}-newer\n{TOKEN}")
    with serving(only, token_file=file) as server:
        status, told, _ = ask(server, path, {"resume": token, "steps": [[1.0, 2.0]]}, headers=newer)
        assert (status, told["step"]) == (200, 2)
    file.write_text(f"{TOKEN}-newer")
    with serving(only, token_file=file) as server:
        assert ask(server, path, {"resume": told["token"]}, headers=newer)[0] == 200
        assert ask(server, path, {"resume": token}, headers=newer)[1]["type"] == "urn:tidegate:bad-token"
