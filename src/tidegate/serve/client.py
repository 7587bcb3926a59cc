"""Asks a server as one asks a task: `predict`, `predict_proba`, `stream`. Needs no more than the base install."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, TypeAlias
from urllib.parse import quote, urlsplit

from tidegate.errors import InputError, OptionError, ServeError
from tidegate.serve.remote import Place, RemoteStream
from tidegate.tasks.loading import card_named
from tidegate.tasks.wire import Wire

Json: TypeAlias = dict[str, Any]


class Client:
    """Ask a model on a server with the methods of its task, and get what they give, to the bit.

    One thread may use a client at a time.

    Args:
        url: of a server, such as `http://127.0.0.1:8420`; or of several with the same models and tokens, of which the
            next is asked where one does not answer.
        model: its name; not needed where there is one alone.
        token: for a server that asks for one.
        timeout: seconds to wait for an answer.

    Raises:
        InputError: no such address can be asked.
        ServeError: no server answers, or it refuses; `status` and `kind` say more.
    """

    def __init__(
        self, url: str | Sequence[str], *, model: str | None = None, token: str | None = None, timeout: float = 30.0
    ) -> None:
        self._urls = [url] if isinstance(url, str) else list(url)
        for each in self._urls:
            parts = urlsplit(each)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise InputError(f"{each!r:.80} is no address of a server; wanted one such as http://127.0.0.1:8420.")
        if not self._urls:
            raise InputError("no address of a server was given.")
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._timeout, self._name = timeout, model
        self._connection: http.client.HTTPConnection | None = None
        self._at = 0

    @cached_property
    def about(self) -> Json:
        """What the server says of the model: its name, task, labels, digest, licence and more."""
        if self._name is None:
            models = self._ask("GET", "/v1/models")["models"]
            if len(models) != 1:
                raise InputError(
                    f"name a model: Client(url, model=...). Served are {', '.join(m['name'] for m in models)}."
                )
            self._name = models[0]["name"]
        return self._ask("GET", f"/v1/models/{quote(self._name, safe='')}")

    def predict(self, X: Any) -> Any:
        """Answer B inputs, as `predict` of the task does."""
        return self._hear("predict", X)

    def predict_proba(self, X: Any) -> Any:
        """Compute probabilities, as `predict_proba` of the task does."""
        return self._hear("predict_proba", X)

    def predict_words(self, X: Any) -> Any:
        """Tag the words of texts, as `predict_words` of a tagger does."""
        return self._hear("predict_words", X)

    def stream(self, *, patience: float = 30.0, **options: Any) -> RemoteStream:
        """Begin a live stream, which goes on by itself where the wire or the server ends.

        Args:
            patience: seconds for which a server is looked for.
            options: those of `stream` of the task, such as `lookahead`.
        """
        name, live, labels = self.about["name"], self._wire.live, self.about["labels"]
        urls = [f"{url.rstrip('/').replace('http', 'ws', 1)}/v1/streams/{quote(name, safe='')}" for url in self._urls]
        return RemoteStream(Place(urls, self._headers, options, partial(live.hear, labels), patience))

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._urls[0]!r})"

    @property
    def _wire(self) -> Wire:
        wire = card_named(self.about["task"]).answers().wire
        assert wire is not None, "what is served has one"
        return wire

    def _hear(self, method: str, X: Any) -> Any:
        wire = self._wire
        if method not in wire.hear:
            raise OptionError.unknown(f"method of a {self.about['task']}", method, wire.hear)
        asked = {"model": self.about["name"], wire.given: wire.spell(X), "probabilities": method == "predict_proba"}
        answers = self._ask("POST", "/v1/predict", asked)["answers"]
        return wire.hear[method](self.about["labels"], answers)

    def _ask(self, method: str, path: str, content: Json | None = None) -> Json:
        """Send a request, on to the next server where one does not answer; raises ServeError."""
        body = None if content is None else json.dumps(content, allow_nan=False).encode()
        last: Exception | None = None
        for _ in range(len(self._urls) + 1):  # one that was closed meanwhile is opened again
            try:
                status, data = self._exchange(method, path, body)
            except (OSError, http.client.HTTPException) as error:
                last = error
                self.close()
                self._at += 1
                continue
            told: Json = _read(data)
            if status >= 400:
                kind = str(told.get("type", "")).rpartition(":")[2] or "refused"
                raise ServeError(str(told.get("detail", data[:200])), status=status, kind=kind)
            return told
        told_why = f"no server answers at {', '.join(self._urls)}: {last}"
        raise ServeError(told_why, status=503, kind="unreachable")

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        if self._connection is None:
            parts = urlsplit(self._urls[self._at % len(self._urls)])
            assert parts.hostname is not None, "checked at the beginning"
            if parts.scheme == "https":
                context = ssl.create_default_context()
                self._connection = http.client.HTTPSConnection(
                    parts.hostname, parts.port, timeout=self._timeout, context=context
                )
            else:
                self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=self._timeout)
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


def _read(data: bytes) -> Json:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
