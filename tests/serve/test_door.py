"""Who is let in, and what is refused before its body is read: tokens, hosts, other sites, lengths, slow clients."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

import tidegate as tg
from serving import ask, rest, serving, wired
from tidegate.errors import InputError, ServeError
from tidegate.serve import body, protocol
from tidegate.serve.server import Server
from tidegate.serve.settings import Settings

TOKENS = ["the-first-token-of-two", "the-second-token-of-two"]
NAME = "text-classifier"
ASKED = {"model": NAME, "texts": ["wave"]}
READS = ["/v1/models", f"/v1/models/{NAME}", "/v2", "/v2/health/ready", f"/v2/models/{NAME}", "/openapi.json"]
WRITES = ["/v1/predict", f"/v1/streams/{NAME}", "/v1/completions", f"/v2/models/{NAME}/infer", "/v2/repository/index"]


@pytest.fixture
def guarded(models: dict[str, Path], tmp_path: Path) -> Any:
    """A server that asks for one of two tokens."""
    (tmp_path / "tokens").write_text("\n".join(TOKENS) + "\n")
    with serving({NAME: models[NAME]}, token_file=tmp_path / "tokens") as server:
        yield server


def raw(server: Server, data: bytes) -> bytes:
    """Send bytes and read until the server hangs up."""
    with wired(server) as wire:
        wire.sendall(data)
        return rest(wire)


def test_nobody_listens_to_the_world_without_a_token(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        with pytest.raises(InputError, match="no token is asked for"):
            Settings(host=host)
    (tmp_path / "tokens").write_text(TOKENS[0])
    assert Settings(host="0.0.0.0", token_file=tmp_path / "tokens").tokens == (TOKENS[0],)


@pytest.mark.parametrize("content", ["", "\n\n", "short", "long-enough-as-it-is\nshort", "tökens-are-plain-text"])
def test_a_file_of_unsafe_tokens_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokens").write_text(content)
    with pytest.raises(InputError, match=r"token|plain text"):
        Settings(token_file=tmp_path / "tokens")


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer wrong-token-of-nobody", "Basic " + TOKENS[0], TOKENS[0]])
def test_without_the_token_nothing_is_read_or_written(guarded: Server, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    before = guarded.batcher.seen.jobs
    for path in READS:
        assert ask(guarded, path, headers=headers)[0] == 401
    for path in WRITES:
        status, told, _ = ask(guarded, path, ASKED, headers=headers)
        assert (status, told["type"]) == (401, "urn:tidegate:no-token")
    with pytest.raises(InvalidStatus) as caught:
        connect(
            f"{guarded.url.replace('http', 'ws')}/v1/streams/{NAME}", additional_headers=headers, proxy=None
        ).__enter__()
    assert caught.value.response.status_code == 401
    assert (guarded.batcher.seen.jobs, guarded.batcher.waiting) == (before, 0)
    assert ask(guarded, "/health/live")[0] == 200


@pytest.mark.parametrize("token", TOKENS)
def test_each_token_of_the_file_is_good(guarded: Server, token: str) -> None:
    with tg.Client(guarded.url, token=token) as client:
        assert client.predict(["wave", "oak"]).shape == (2,)
        with client.stream(lookahead=1) as stream:
            assert stream.step("wave") is not None


def test_a_browser_says_its_token_as_a_subprotocol(guarded: Server) -> None:
    url = f"{guarded.url.replace('http', 'ws')}/v1/streams/{NAME}"
    coded = base64.urlsafe_b64encode(TOKENS[1].encode()).decode().rstrip("=")
    subprotocols: Any = ["tidegate", f"tidegate.bearer.{coded}"]
    with connect(url, subprotocols=subprotocols, proxy=None, origin=Origin(guarded.url)) as ws:
        assert ws.subprotocol == "tidegate"
        ws.send(json.dumps({"begin": {"lookahead": 1}, "steps": ["wave"]}))
        assert json.loads(ws.recv(timeout=20))["step"] == 1


def test_other_sites_and_other_names_are_kept_out(server: Server) -> None:
    host = urlsplit(server.url).netloc
    for path in ("/v1/predict", "/v1/completions"):
        assert (
            ask(server, path, ASKED, headers={"Origin": "https://evil.example"})[1]["type"]
            == "urn:tidegate:other-origin"
        )
        assert ask(server, path, ASKED, headers={"Host": "evil.example"})[1]["type"] == "urn:tidegate:other-host"
        for origin in ("null", "", "http://[", "http://[::1", "//[x]]", f"http://x@{host}"):
            assert ask(server, path, ASKED, headers={"Origin": origin})[0] == 403, origin
    assert ask(server, "/v1/predict", ASKED, headers={"Origin": f"http://{host}"})[0] == 200
    url = f"{server.url.replace('http', 'ws')}/v1/streams/{NAME}"
    with pytest.raises(InvalidStatus) as caught:
        connect(url, origin=Origin("https://evil.example"), proxy=None).__enter__()
    assert caught.value.response.status_code == 403


def test_a_body_that_is_too_long_is_refused_unread(models: dict[str, Path]) -> None:
    with serving({NAME: models[NAME]}, max_body=100_000) as server:
        head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
        assert b" 413 " in raw(server, head).splitlines()[0]
        chunked = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert b" 411 " in raw(server, chunked).splitlines()[0]
        for length in (b"-1", b"x", b"1" * 99):
            line = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %s\r\n\r\n" % length
            assert raw(server, line).splitlines()[0].split()[1] in (b"400", b"411", b"413")
        assert ask(server, "/v1/predict", ASKED)[0] == 200
        assert server.batcher.waiting == 0


def test_a_full_queue_refuses_from_the_headers_and_says_when_to_come_again(models: dict[str, Path]) -> None:
    """The body that is refused is never sent, and one that was promised a place is answered."""
    with serving({NAME: models[NAME]}, max_queue_tokens=1000, max_body=10_000) as server:
        parts = urlsplit(server.url)
        body = json.dumps(ASKED | {"texts": ["wave " * 700]}).encode()
        head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        with socket.create_connection((parts.hostname, parts.port), timeout=20) as slow:
            slow.sendall(head % len(body) + body[:10])
            until = time.monotonic() + 20
            while server.batcher.waiting == 0 and time.monotonic() < until:
                time.sleep(0.01)
            with socket.create_connection((parts.hostname, parts.port), timeout=20) as other:
                other.sendall(head % 3000)  # and nothing of the body
                told = other.recv(65536)
            assert b" 429 " in told.splitlines()[0]
            assert b"retry-after: 1" in told
            slow.sendall(body[10:])
            assert b" 200 " in slow.recv(65536).splitlines()[0]
        until = time.monotonic() + 20
        while server.batcher.waiting and time.monotonic() < until:
            time.sleep(0.01)
        assert server.batcher.waiting == 0
        assert ask(server, "/v1/predict", ASKED | {"texts": ["x" * 5000]})[0] == 413


def test_clients_that_are_slow_or_half_open_are_cut_off(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(body, "SECONDS", 0.5)
    with serving({NAME: models[NAME]}) as server:
        assert raw(server, b"") == b""
        assert raw(server, b"GET /v1/models HTTP/1.1\r\nHost: local") == b""
        halfway = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 99\r\n\r\n{"
        assert b" 408 " in raw(server, halfway).splitlines()[0]
        endless = b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (at, b"y" * 1000) for at in range(200))
        told = raw(server, endless)
        assert told == b"" or b" 431 " in told.splitlines()[0], "or cut off while it still sends, before it reads why"
        assert ask(server, "/v1/predict", ASKED)[0] == 200
        assert server.batcher.waiting == 0


def test_no_more_connections_are_held_than_may_be(models: dict[str, Path]) -> None:
    with serving({NAME: models[NAME]}, max_connections=5) as server:
        parts = urlsplit(server.url)
        wires = [socket.create_connection((parts.hostname, parts.port), timeout=10) for _ in range(5)]
        time.sleep(0.2)
        assert raw(server, b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
        for wire in wires:
            wire.close()
        status, until = 0, time.monotonic() + 20
        while status == 0 and time.monotonic() < until:
            try:
                status = ask(server, "/v1/models")[0]
            except (OSError, http.client.HTTPException):  # it has not seen yet that they hung up
                time.sleep(0.05)
        assert status == 200


def test_a_body_that_ends_early_and_nonsense_hurt_nobody(server: Server) -> None:
    parts = urlsplit(server.url)
    for data in (
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{",
        b"\x00\xff\x00\xff\r\n\r\n",
        b"GET /v1/streams/x HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /%2e%2e/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PUT /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
    ):
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as wire:
            wire.sendall(data)
    threads = [threading.Thread(target=ask, args=(server, "/v1/predict", ASKED)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ask(server, "/v1/predict", ASKED)[0] == 200
    assert ask(server, "/v1/predict", method="GET")[0] == 405
    assert ask(server, "/nowhere")[1]["status"] == 404
    until = time.monotonic() + 20
    while server.batcher.waiting and time.monotonic() < until:
        time.sleep(0.01)
    assert server.batcher.waiting == 0


def test_answers_come_over_tls(models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    extra = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command, *extra], check=True, capture_output=True)
    with serving({NAME: models[NAME]}, certfile=cert, keyfile=key) as server:
        assert server.url.startswith("https:")
        with pytest.raises(ServeError, match="CERTIFICATE_VERIFY_FAILED"), tg.Client(server.url) as client:
            client.predict(["wave"])
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        assert ssl.get_default_verify_paths().cafile == str(cert)
        with tg.Client(server.url) as client, client.stream(lookahead=1) as stream:
            assert client.predict(["wave"]).shape == (1,)
            assert stream.step("wave") is not None
    with pytest.raises(InputError, match="both a certificate and its key"):
        Settings(certfile=cert)
