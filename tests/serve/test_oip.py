"""The Open Inference Protocol, asked by Triton's own client: the same bits, as JSON and as bytes, and sequences."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import samples
import tidegate as tg
from serving import ASKED, ask, serving
from tidegate.serve import sessions
from tidegate.serve.server import Server

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of gevent, which the client brings
    import tritonclient.http as triton

TEXTS = ["wave tide", "", "oak fern 🌊 moss"]


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    """Triton's client."""
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as client:
        yield client


def tensor(name: str, array: Any, *, binary: bool) -> Any:
    found = triton.InferInput(name, array.shape, triton.np_to_triton_dtype(array.dtype))
    found.set_data_from_numpy(array, binary_data=binary)
    return found


def texts(*, binary: bool) -> list[Any]:
    return [tensor("text", np.array([text.encode() for text in TEXTS], object), binary=binary)]


def test_the_client_finds_the_server_and_its_models(client: Any, server: Server) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata()["name"] == "tidegate"
    assert "sequence" in client.get_server_metadata()["extensions"]
    assert {each["name"] for each in client.get_model_repository_index()} == set(ASKED)
    for name in ASKED:
        assert client.is_model_ready(name)
        told = client.get_model_metadata(name)
        assert told["name"] == name
        assert client.is_model_ready(name, told["versions"][0])
        assert told["inputs"]
        assert told["outputs"]
    assert not client.is_model_ready("nobody")


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("name", ["text-classifier", "language-model"])
def test_texts_give_the_probabilities_of_the_model(
    client: Any, models: dict[str, Path], name: str, binary: bool
) -> None:
    wanted = [triton.InferRequestedOutput("probabilities", binary_data=binary)]
    found = client.infer(name, texts(binary=binary), outputs=wanted, request_id="7")
    np.testing.assert_array_equal(
        found.as_numpy("probabilities"), tg.load(models[name]).predict_proba(TEXTS), strict=True
    )
    assert found.get_response()["id"] == "7"


@pytest.mark.parametrize("binary", [False, True])
def test_words_come_end_to_end_with_their_places(client: Any, models: dict[str, Path], binary: bool) -> None:
    found, model = client.infer("token-tagger", texts(binary=binary)), tg.load(models["token-tagger"])
    words = model.predict_words(TEXTS)
    assert found.as_numpy("tag").tolist() == [word.tag.encode() for each in words for word in each]
    assert found.as_numpy("word").tolist() == [word.word.encode() for each in words for word in each]
    assert found.as_numpy("start").tolist() == [word.start for each in words for word in each]
    assert found.as_numpy("offsets").tolist() == [0, 2, 2, 2 + len(words[2])]
    np.testing.assert_array_equal(found.as_numpy("probabilities"), np.concatenate([
        rows for rows in model.predict_proba(TEXTS) if len(rows)
    ]))  # fmt: skip


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("kind", ["float32", "float64", "int16"])
def test_sequences_come_end_to_end_or_side_by_side(
    client: Any, models: dict[str, Path], binary: bool, kind: str
) -> None:
    rng, model = np.random.default_rng(0), tg.load(models["sequence-classifier"])
    ragged = [(rng.normal(0, 30, (length, 2))).astype(kind) for length in (3, 1, 5)]
    given = [tensor("values", np.concatenate(ragged), binary=binary)]
    given.append(tensor("offsets", np.array([0, 3, 4, 9]), binary=binary))
    found = client.infer("sequence-classifier", given)
    np.testing.assert_array_equal(found.as_numpy("probabilities"), model.predict_proba(ragged), strict=True)
    assert found.as_numpy("label").tolist() == [str(label).encode() for label in model.predict(ragged)]
    even = rng.normal(0, 30, (4, 6, 2)).astype(kind)
    found = client.infer("sequence-classifier", [tensor("values", even, binary=binary)])
    np.testing.assert_array_equal(found.as_numpy("probabilities"), model.predict_proba(even), strict=True)


def test_columns_give_a_forecast(client: Any, models: dict[str, Path]) -> None:
    model = tg.load(models["forecaster"])
    (X, *_), _ = samples.series(1)
    given = [tensor(name, np.ascontiguousarray(X.values[:, k]), binary=True) for k, name in enumerate(("0", "1"))]
    found = client.infer("forecaster", given)
    (wanted,) = model.predict({"0": X.values[:, 0], "1": X.values[:, 1]})
    np.testing.assert_array_equal(found.as_numpy("mean")[0], wanted.mean)
    np.testing.assert_array_equal(found.as_numpy("quantiles")[0], np.stack([*wanted.quantiles.values()], axis=-1))


def step(client: Any, name: str, given: list[Any], number: int, **edges: bool) -> Any:
    return client.infer(name, given, sequence_id=number, **edges)


def test_sequences_are_live_streams_that_know_nothing_of_each_other(client: Any, models: dict[str, Path]) -> None:
    name, model = "sequence-classifier", tg.load(models["sequence-classifier"])
    rng = np.random.default_rng(1)
    steps = {number: rng.normal(0, 30, (9, 2)) for number in (1, 2, 3)}
    live = {number: model.stream(lookahead=1) for number in steps}
    for at in range(0, 9, 3):
        for number, rows in steps.items():
            given = [tensor("values", rows[at : at + 3], binary=True)]
            parameters = {"lookahead": 1} if at == 0 else None
            found = client.infer(
                name, given, sequence_id=number, sequence_start=at == 0, sequence_end=at == 6, parameters=parameters
            )
            wanted = [live[number].step(row) for row in rows[at : at + 3]] + (
                [live[number].finish()] if at == 6 else []
            )
            np.testing.assert_array_equal(found.as_numpy("probabilities"), np.stack(wanted), strict=True)
            assert found.as_numpy("step").tolist() == [at + 1, at + 2, at + 3] + [9] * (at == 6)


@pytest.mark.parametrize("name", ASKED)
def test_every_task_steps_through_a_sequence(server: Server, models: dict[str, Path], name: str) -> None:
    sample = samples.SAMPLES[name]
    values: list[dict[str, Any]]
    if isinstance(sample.live[0], str):
        values = [{"name": "text", "datatype": "BYTES", "shape": [4], "data": sample.live[:4]}]
    elif name == "forecaster":
        values = [{"name": key, "datatype": "FP64", "shape": [9], "data": [1.0] * 9} for key in ("0", "1")]
    else:
        values = [{"name": "values", "datatype": "FP64", "shape": [4, 2], "data": [1.0] * 8}]
    options = {} if sample.lookahead is None else {"lookahead": sample.lookahead}
    parameters = {"sequence_id": "mine", "sequence_start": True, "sequence_end": True} | options
    status, told, _ = ask(server, f"/v2/models/{name}/infer", {"inputs": values, "parameters": parameters})
    found = {each["name"]: each for each in told["outputs"]}
    live = tg.load(models[name]).stream(**options)
    rows = sample.live[:4] if name != "forecaster" else [[1.0, 1.0]] * 9
    answers = [answer for row in rows if (answer := live.step(row)) is not None]
    assert status == 200
    if name == "forecaster":
        assert found["mean"]["data"] == np.stack([each.mean for each in answers]).ravel().tolist()
    elif name == "token-tagger":
        assert found["tag"]["data"] == [word.tag for word in [*answers, *live.finish()]]
    elif name == "translator":
        assert found["translation"]["data"] == [told.text for told in [*answers, live.finish()]]
    elif name == "transcriber":
        told_last = live.finish()
        assert found["text"]["data"] == [told_last.text]
        assert found["confidence"]["data"] == [told_last.confidence]
    else:
        wanted = np.stack(answers).ravel().tolist()
        assert found["probabilities"]["data"][: len(wanted)] == wanted


def test_a_sequence_that_was_never_begun_or_was_dropped_is_told(models: dict[str, Path]) -> None:
    name = "sequence-classifier"
    values = [{"name": "values", "datatype": "FP64", "shape": [1, 2], "data": [1.0, 2.0]}]

    def turn(server: Server, number: int, **edges: Any) -> tuple[int, str]:
        content = {"inputs": values, "parameters": {"sequence_id": number, **edges}}
        status, told, _ = ask(server, f"/v2/models/{name}/infer", content)
        return status, told.get("type", "")

    with serving({name: models[name]}, session_bytes=8_000) as server:
        assert turn(server, 1) == (404, "urn:tidegate:no-such-session")
        for number in range(1, 5):
            assert turn(server, number, sequence_start=True, lookahead=1)[0] == 200
        assert turn(server, 4)[0] == 200
        assert turn(server, 1) == (410, "urn:tidegate:dropped")
        assert turn(server, 1, sequence_start=True, lookahead=1)[0] == 200
        assert turn(server, 1)[0] == 200


def test_of_sequences_that_rest_the_state_alone_is_kept(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "HOT", 3)
    name = "sequence-classifier"
    values = [{"name": "values", "datatype": "FP64", "shape": [1, 2], "data": [1.0, 2.0]}]
    with serving({name: models[name]}) as server:
        for turn in range(2):
            for number in range(1, 10):
                parameters = {"sequence_id": number, "sequence_start": turn == 0} | (
                    {"lookahead": 1} if not turn else {}
                )
                content = {"inputs": values, "parameters": parameters}
                assert ask(server, f"/v2/models/{name}/infer", content)[0] == 200
            ready = [session for session, _ in server.sessions._open.values() if session.live is not None]
            assert len(ready) == 3 * turn
        assert len(server.sessions) == 9


def test_sequences_go_on_after_the_server_was_started_anew(models: dict[str, Path], tmp_path: Path) -> None:
    name, model = "sequence-classifier", tg.load(models["sequence-classifier"])
    rows = np.random.default_rng(2).normal(0, 30, (6, 2))
    live = model.stream(lookahead=1)
    wanted = np.stack([live.step(row) for row in rows])
    for at in (0, 3):
        with serving({name: models[name]}, state_dir=tmp_path) as server:
            values = [
                {"name": "values", "datatype": "FP64", "shape": [3, 2], "data": rows[at : at + 3].ravel().tolist()}
            ]
            parameters = {"sequence_id": 5, "sequence_start": at == 0} | ({"lookahead": 1} if at == 0 else {})
            _, told, _ = ask(server, f"/v2/models/{name}/infer", {"inputs": values, "parameters": parameters})
            assert told["outputs"][0]["data"] == wanted[at : at + 3].ravel().tolist()


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"shape": [3]}, "shape"),
        ({"shape": [-1]}, "shape"),
        ({"shape": []}, "shape"),
        ({"datatype": "FP32"}, "not all of the type"),
        ({"datatype": "BF16"}, "none of BYTES"),
        ({"name": "values"}, "'text' is wanted"),
        ({"data": [1, 2]}, "not all texts"),
        ({"data": [["a"], "b"]}, "mixed"),
        ({"parameters": {"binary_data_size": 99}}, "should have 99 bytes"),
        ({"parameters": {"binary_data_size": "a"}}, "should have 'a' bytes"),
    ],
    ids=str,
)
def test_arrays_that_are_not_what_they_say_are_refused(server: Server, change: dict[str, Any], detail: str) -> None:
    given = {"name": "text", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]} | change
    status, told, _ = ask(server, "/v2/models/text-classifier/infer", {"inputs": [given]})
    assert (status, detail in told["detail"]) == (422, True), told


def test_bytes_that_are_cut_short_are_refused(server: Server) -> None:
    head = b'{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":%d}}]}'
    for data in (b"\x05\0\0\0abc", b"\x05\0", b"\xff\xff\xff\xff"):
        text = head % len(data)
        headers = {"Inference-Header-Content-Length": str(len(text))}
        status, told, _ = ask(server, "/v2/models/text-classifier/infer", text + data, headers=headers)
        assert (status, "in the middle" in told["detail"]) == (422, True)
    for length in ("9999", "-1", "x", ""):
        headers = {"Inference-Header-Content-Length": length}
        assert ask(server, "/v2/models/text-classifier/infer", head % 0, headers=headers)[0] in (400, 422)
