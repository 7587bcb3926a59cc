"""Whatever is sent, the server answers as its OpenAPI document says, and goes on."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from serving import ask, serving
from tidegate.serve.described import describe
from tidegate.serve.server import Server

NAMES = ["text-classifier", "sequence-classifier", "token-tagger", "forecaster", "language-model"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "begin": JSON | st.just({"lookahead": 1}), "resume": JSON, "at": JSON,
        "steps": JSON | st.lists(JSON, max_size=5), "token": JSON | st.booleans(), "end": JSON | st.booleans(),
    },
)  # fmt: skip
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def schema() -> Any:
    return schemathesis.openapi.from_dict(describe(with_token=False), config=SchemathesisConfig())


def test_no_request_brings_the_server_down(server: Server, schema: Any) -> None:
    """Requests that schemathesis makes of the document, of every route: no answer is our own fault."""
    failed: list[Any] = []
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:

        @QUIET
        @given(case=operation.as_strategy())
        def asked(case: Any) -> None:
            answer = case.call(base_url=server.url)
            if answer.status_code >= 500:
                failed.append((case.method, case.path, case.body, answer.content))
            elif answer.status_code >= 400:
                assert answer.headers["content-type"][0] == "application/problem+json"
                assert json.loads(answer.content)["status"] == answer.status_code

        asked()
    assert (failed, len(operations) > 8) == ([], True)
    assert ask(server, "/v1/predict", {"model": NAMES[0], "texts": ["wave"]})[0] == 200


@pytest.mark.parametrize("name", NAMES)
def test_no_message_brings_a_socket_down(server: Server, name: str) -> None:
    url = f"{server.url.replace('http', 'ws')}/v1/streams/{name}"

    @QUIET
    @given(messages=st.lists(FIELDS.map(json.dumps) | JSON.map(json.dumps) | st.binary(max_size=30), max_size=5))
    def said(messages: list[Any]) -> None:
        with connect(url, proxy=None, compression=None) as ws:
            for message in messages:
                try:
                    ws.send(message)
                    told = json.loads(ws.recv(timeout=20))
                except ConnectionClosed:  # a message before ended the stream
                    return
                assert told.get("error", {}).get("status", 200) < 500, (message, told)

    said()
    assert ask(server, f"/v1/models/{name}")[0] == 200


def test_what_is_held_is_bounded_while_all_is_sent_at_once(models: dict[str, Path]) -> None:
    """The tokens that wait never go beyond the limit, nor the sessions beyond theirs, and all is given back."""
    name, peaks = "text-classifier", [0, 0]
    with serving({name: models[name]}, max_queue_tokens=20_000, session_bytes=50_000) as server:
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                peaks[0] = max(peaks[0], server.batcher.waiting)
                peaks[1] = max(peaks[1], server.sessions.used)
                done.wait(0.0005)

        statuses: list[int] = []

        def storm() -> None:
            for _ in range(12):
                statuses.append(ask(server, "/v1/predict", {"texts": ["wave " * 3000]})[0])
                content = {
                    "inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["wave"]}],
                    "parameters": {"sequence_id": threading.get_ident(), "sequence_start": True, "lookahead": 1},
                }
                statuses.append(ask(server, f"/v2/models/{name}/infer", content)[0])

        threads = [threading.Thread(target=storm) for _ in range(20)]
        watcher = threading.Thread(target=look)
        watcher.start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done.set()
        watcher.join()
        assert set(statuses) <= {200, 429, 410}
        assert statuses.count(200) > 20
        assert 3000 < peaks[0] <= 20_000
        assert 0 < peaks[1] <= 50_000
        assert server.batcher.waiting == 0
