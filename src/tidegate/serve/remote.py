"""A live stream that is held by a server, and goes on by itself where the wire or the server ends."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tidegate.errors import InputError, MissingPackageError, ServeError, StreamEndedError

Json: TypeAlias = dict[str, Any]

TOGETHER = 64  # steps of a message
_LARGEST = 2**24  # bytes of an answer
_TEMPORARY = {"overloaded", "deadline", "no-room", "no-memory"}


@dataclass
class Place:
    """Say where a stream is held.

    Args:
        urls: of the sockets, on servers that know the model and the key.
        headers: that go with each.
        options: the stream is begun with.
        hear: turns an answer as JSON into what the session of the task gives.
        patience: seconds for which a server is looked for.
    """

    urls: Sequence[str]
    headers: dict[str, str]
    options: Json
    hear: Callable[[Json], Any]
    patience: float = 30.0
    tried: int = field(default=0)


class RemoteStream:
    """Feed one live sequence to a model on a server. Made by `Client.stream`.

    Steps and answers are those of the task's own stream. Every few steps the server hands over a token, the state of
    the stream. Where the wire is cut, or the server ends, the stream goes on from the last token, on the same server or
    another, and the steps since then are sent again: answers are the same to the bit, and each comes once.
    """

    def __init__(self, place: Place) -> None:
        self._place, self._ended = place, ""
        self._socket: Any = None
        self._open: Any = None  # what closes it
        self._token: str | None = None
        self._since: list[Any] = []  # steps since the token
        self._sealed = self._steps = self._answered = 0
        self.reconnects = 0

    def step(self, x: Any) -> Any:
        """Take one step, and return what is answered now; None where nothing is yet.

        Raises:
            InputError: the step cannot be read; the stream is as before.
            ServeError: no server went on with the stream within the patience of the client.
            StreamEndedError: the stream was finished or closed.
        """
        answers = self.push([x])
        return answers[-1] if answers else None

    def push(self, chunk: Any) -> list[Any]:
        """Take steps at once, and return all that is answered, one after the other. Raises as `step`."""
        self._require_open()
        steps = [_plain(step) for step in chunk]
        found: list[Any] = []
        for at in range(0, len(steps), TOGETHER):
            found += self._send(steps[at : at + TOGETHER])
        return found

    def finish(self) -> list[Any]:
        """End the sequence, and return the answers that waited. Raises StreamEndedError after the end."""
        self._require_open()
        found = self._send([], end=True)
        self.close()
        self._ended = "finished"
        return found

    def close(self) -> None:
        """End the stream; what waits is dropped."""
        self._ended = self._ended or "closed"
        self._hang_up()

    @property
    def steps(self) -> int:
        """Count the steps that were taken."""
        return self._steps

    @property
    def ended(self) -> bool:
        """Whether the stream was finished or closed."""
        return bool(self._ended)

    def __enter__(self) -> RemoteStream:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _send(self, steps: list[Any], *, end: bool = False) -> list[Any]:
        """Send steps until a server has answered them."""
        until, pause = time.monotonic() + self._place.patience, 0.05
        while True:
            try:
                return list(self._answers(self._ask(steps, end=end), steps))
            except _Cut as cut:
                self._hang_up()
                self._place.tried += 1
                if time.monotonic() + pause > until:
                    told = f"no server went on with the stream for {self._place.patience:g} s: {cut}"
                    raise ServeError(told, status=503, kind="unreachable") from None
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _ask(self, steps: list[Any], *, end: bool) -> Json:
        """Send one message, with all that a new socket must know before it, and return the answer."""
        message: Json = {"steps": steps, "at": self._steps, "end": end}
        if self._socket is None:
            self._socket = self._connect()
            message |= {"steps": [*self._since, *steps], "at": self._sealed}
            message |= {"begin": self._place.options} if self._token is None else {"resume": self._token}
        try:
            self._socket.send(json.dumps(message))
            said: Json = json.loads(self._socket.recv())
        except Exception as error:
            if isinstance(error, OSError | EOFError) or type(error).__module__.startswith("websockets"):
                raise _Cut(f"{error}") from None
            raise
        if said.get("closing") not in (None, "end"):
            if said.get("token") and said["step"] <= self._steps:  # a later one holds steps whose answers did not come
                self._keep(said["token"], said["step"], [])
            raise _Cut(f"the server ended the stream: {said['closing']}")
        if said.get("token"):
            self._keep(said["token"], said["step"], steps)
        if _kind(said) in _TEMPORARY:
            raise _Cut(said["error"]["detail"])
        return said

    def _answers(self, said: Json, steps: list[Any]) -> Iterator[Any]:
        """Note what was taken, and give the answers that are new."""
        taken, before = said["step"], self._steps
        if taken > before:
            self._steps = taken
            if taken > self._sealed:
                self._since = [*self._since, *steps[: taken - before]][-(taken - self._sealed) :]
        new = [answer for answer in said.get("answers", []) if answer["step"] > before]
        yield from map(self._place.hear, [*new, *said.get("rest", [])])
        if kind := _kind(said):
            error = said["error"]
            if kind == "unreadable":
                raise InputError(error["detail"])
            raise ServeError(error["detail"], status=error["status"], kind=kind)

    def _keep(self, token: str, at: int, steps: list[Any]) -> None:
        """Keep a token, and forget the steps that it holds."""
        whole = [*self._since, *steps]  # those from `sealed` on
        self._since = whole[max(at - self._sealed, 0) : self._steps - self._sealed]
        self._token, self._sealed = token, at

    def _connect(self) -> Any:
        try:
            from websockets.exceptions import InvalidStatus, WebSocketException
            from websockets.sync.client import connect
        except ModuleNotFoundError:
            raise MissingPackageError.of("websockets", "serve", "a stream of a server") from None
        place = self._place
        url = place.urls[place.tried % len(place.urls)]
        secure = ssl.create_default_context() if url.startswith("wss:") else None
        try:
            manager = connect(
                url, additional_headers=place.headers, ssl=secure, max_size=_LARGEST, compression=None, open_timeout=10,
                proxy=None,
            )  # fmt: skip
            socket = manager.__enter__()
        except InvalidStatus as error:
            if error.response.status_code in (401, 403, 404, 421):
                told = (
                    f"{url} refused the stream with {error.response.status_code}: {_detail(bytes(error.response.body))}"
                )
                raise ServeError(told, status=error.response.status_code, kind="refused") from None
            raise _Cut(str(error)) from None
        except (OSError, WebSocketException) as error:
            raise _Cut(f"{url}: {error}") from None
        self._open = manager
        self.reconnects += self._token is not None or bool(self._since)
        return socket

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket = None
            self._open.__exit__(None, None, None)

    def _require_open(self) -> None:
        if self._ended:
            raise StreamEndedError(f"this stream was {self._ended} after {self._steps} steps. Begin a new one.")


class _Cut(Exception):  # noqa: N818 - no error of anybody's, but a reason to connect again
    """The wire was cut."""


def _plain(step: Any) -> Any:
    return step.tolist() if hasattr(step, "tolist") else step


def _kind(said: Json) -> str:
    """Say in one word what went wrong; nothing where nothing did."""
    error = said.get("error")
    return "" if error is None else str(error["type"]).rpartition(":")[2]


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:200]
