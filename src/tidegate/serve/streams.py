"""Live streams: a socket, or one request after the other, each of which can go on from a token on any server.

A message takes steps and is answered once. Every answer has its step; steps that come again, after a wire was cut, are
passed over. A token comes every few steps, when the server ends or has no more room, and when it is asked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from tidegate.errors import InputError, ServeError, TidegateError
from tidegate.serve.batcher import Batcher, OneByOne, Place
from tidegate.serve.body import place_of, read_json
from tidegate.serve.messages import Problem, StreamAnswer, StreamRequest
from tidegate.serve.problems import problem_of
from tidegate.serve.sessions import FORWARD, Session, Sessions
from tidegate.serve.shelf import Served

_DECODER = msgspec.json.Decoder(StreamRequest)
_log = logging.getLogger("tidegate.serve")
GOING_DOWN, NO_ROOM = 1012, 1013  # codes of a socket's end
_CHUNK = 64  # steps whose answers make one event


@dataclass(frozen=True)
class Turn:
    """Hold one message of a stream.

    Args:
        key: under which the session is kept; None for one that is not kept.
        served: the model that was asked.
        asked: the message.
        holder: is handed a token when there is no more room for the session.
        first: whether the session begins with it.
    """

    key: str | None
    served: Served
    asked: StreamRequest
    holder: Callable[[str, int], None] | None = None
    first: bool = False


@dataclass(frozen=True, eq=False)
class Stepping(OneByOne):
    """Take the turns of all streams, on the thread of the kernels."""

    sessions: Sessions

    def answer(self, turn: Turn) -> StreamAnswer:
        """Take the steps of a turn."""
        sessions, asked = self.sessions, turn.asked
        session = self._session(turn)
        served = session.served
        try:
            answers, error = session.take(asked.steps, asked.at)
        except ServeError as gap:
            answers, error = [], gap
        told = [{"step": step, **served.wire.live.tell(served.model, answer)} for step, answer in answers]
        said = StreamAnswer(session.steps, told)
        if turn.first:
            said.model, said.digest = served.name, served.digest
        if error is not None:
            said.error = problem_of(error)
        if asked.end and error is None:
            rest = served.wire.live.last(session.take_up())
            said.rest = [{"step": session.steps, **served.wire.live.tell(served.model, each)} for each in rest]
            if turn.key is not None:
                sessions.close(turn.key)
            return said
        if asked.token or turn.key is None or session.steps - session.sealed >= FORWARD:
            said.token = sessions.token(session)
        if turn.key is not None and turn.first:
            sessions.hold(turn.key, session, turn.holder)
        elif turn.key is not None:
            sessions.recount(turn.key)
        return said

    def _session(self, turn: Turn) -> Session:
        asked, sessions = turn.asked, self.sessions
        if asked.begin is not None and asked.resume is not None:
            raise InputError("both begin and resume came. Begin a stream, or go on with one.")
        if not turn.first:
            if asked.begin is not None or asked.resume is not None:
                raise InputError("the stream has begun already. Open another one.")
            assert turn.key is not None, "only kept sessions have further turns"
            return sessions.find(turn.key)
        if asked.resume is not None:
            return sessions.resume(asked.resume, turn.served.name)
        return sessions.begin(turn.served, asked.begin or {})


@dataclass(frozen=True, eq=False)
class Handing(OneByOne):
    """Make the last token of a stream."""

    sessions: Sessions

    def answer(self, key: str) -> tuple[str, int]:
        """Sign where a session stands, and forget it."""
        session = self.sessions.find(key)
        signed = self.sessions.token(session), session.steps
        self.sessions.close(key)
        return signed


@dataclass(frozen=True, eq=False)
class Closing:
    """Forget streams whose client went away; it has its tokens."""

    sessions: Sessions

    def run(self, payloads: Sequence[str]) -> list[None]:
        """Forget each."""
        for key in payloads:
            self.sessions.close(key)
        return [None] * len(payloads)


@dataclass(eq=False)
class Wires:
    """Serve sockets and requests.

    Args:
        sessions: of all streams.
        batcher: that computes.
    """

    sessions: Sessions
    batcher: Batcher
    _stepping: Stepping = field(init=False)
    _handing: Handing = field(init=False)
    _closing: Closing = field(init=False)
    open: dict[str, WebSocket] = field(default_factory=dict)
    draining: bool = False

    def __post_init__(self) -> None:
        sessions = self.sessions
        self._stepping, self._handing, self._closing = Stepping(sessions), Handing(sessions), Closing(sessions)

    async def socket(self, ws: WebSocket) -> None:
        """Hold one stream over a socket."""
        offered = [name for name in ws.scope.get("subprotocols", []) if name == "tidegate"]
        await ws.accept(subprotocol=offered[0] if offered else None)
        key, first = f"ws:{uuid4().hex}", True
        self.open[key] = ws
        try:
            served = self.sessions.shelf.find(ws.path_params["model"])
            if self.draining:
                await self._part(ws, GOING_DOWN, StreamAnswer(0, closing="drain"))
            while ws.client_state is WebSocketState.CONNECTED:
                said = await self._hear(ws, key, served, first=first)
                first = first and said.model is None
                await ws.send_text(msgspec.json.encode(said).decode())
                if said.closing == "end":
                    await ws.close()
        except WebSocketDisconnect:
            pass
        except TidegateError as error:
            await self._part(ws, 1008, StreamAnswer(0, error=problem_of(error)))
        except RuntimeError as error:  # the socket was closed by another task between two messages
            _log.debug("a socket closed early: %s", error)
        finally:
            del self.open[key]
            if not first:
                await self.batcher.ask(self._closing, key, 0, Place(allowed=inf))

    async def _hear(self, ws: WebSocket, key: str, served: Served, *, first: bool) -> StreamAnswer:
        """Take one message of a socket; what is wrong with it is told, and the stream goes on."""
        message = await ws.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        text = message.get("text")
        place = Place()
        loop = asyncio.get_running_loop()
        try:
            asked = _DECODER.decode(message["bytes"] if text is None else text)
            turn = Turn(key, served, asked, lambda *left: _soon(loop, self._evicted(ws, key, *left)), first)
            cost = self._cost(turn)
            place = self.batcher.reserve(cost)
            said: StreamAnswer = await self.batcher.ask(self._stepping, turn, cost, place)
            if asked.end and said.error is None:
                said.closing = "end"
        except (TidegateError, msgspec.MsgspecError, RecursionError) as error:
            return StreamAnswer(-1, error=_problem(error))
        else:
            return said
        finally:
            self.batcher.release(place)

    async def request(self, request: Request) -> Response:
        """Take one turn of a stream that is not kept: its token is all that is left of it."""
        place = place_of(request)
        asked = await read_json(request, _DECODER)
        served = self.sessions.shelf.find(request.path_params["model"])
        events = "text/event-stream" in request.headers.get("accept", "")
        if events:
            return StreamingResponse(self._events(served, asked, place), media_type="text/event-stream")
        turn = Turn(None, served, asked, first=True)
        said: StreamAnswer = await self.batcher.ask(self._stepping, turn, self._cost(turn), place)
        status = 200 if said.error is None else said.error.status
        return Response(msgspec.json.encode(said), status, media_type="application/json")

    async def _events(self, served: Served, asked: StreamRequest, place: Place) -> AsyncIterator[bytes]:
        """Answer a few steps after the other, each few an event, the token of each beside it."""
        chunks = [asked.steps[at : at + _CHUNK] for at in range(0, len(asked.steps), _CHUNK)] or [[]]
        resume, at = asked.resume, asked.at
        for index, steps in enumerate(chunks):
            whole = StreamRequest(
                begin=asked.begin if index == 0 else None, resume=resume, at=at, steps=steps,
                end=asked.end and index == len(chunks) - 1,
            )  # fmt: skip
            try:
                turn = Turn(None, served, whole, first=True)
                said: StreamAnswer = await self.batcher.ask(self._stepping, turn, self._cost(turn), place)
            except TidegateError as error:
                said = StreamAnswer(-1, error=problem_of(error))
            yield b"event: answers\ndata: " + msgspec.json.encode(said) + b"\n\n"
            if said.error is not None:
                return
            resume, at = said.token, None if at is None else at + len(steps)
        yield b"event: end\ndata: {}\n\n"

    def _cost(self, turn: Turn) -> int:
        """Guess the tokens of a turn, those of earlier ones among them where they are computed again."""
        asked = turn.asked
        return turn.served.wire.live.cost(asked.steps, asked.end, lambda: self.sessions.kept(turn.key, asked.resume))

    async def drain(self) -> None:
        """Hand every socket a token for its stream, and close it."""
        self.draining = True
        await asyncio.gather(*(self._hand_over(key, ws) for key, ws in list(self.open.items())))

    async def _hand_over(self, key: str, ws: WebSocket) -> None:
        try:
            token, steps = await self.batcher.ask(self._handing, key, 0, Place(allowed=inf))
        except TidegateError:  # nothing was said yet
            token, steps = None, 0
        await self._part(ws, GOING_DOWN, StreamAnswer(steps, token=token, closing="drain"))

    async def _evicted(self, ws: WebSocket, key: str, token: str, steps: int) -> None:
        if key in self.open:
            await self._part(ws, NO_ROOM, StreamAnswer(steps, token=token, closing="no-room"))

    async def _part(self, ws: WebSocket, code: Literal[1008, 1012, 1013] | int, last: StreamAnswer) -> None:
        """Say one last thing over a socket, and close it."""
        try:
            await ws.send_text(msgspec.json.encode(last).decode())
            await ws.close(code, last.closing or "")
        except (RuntimeError, WebSocketDisconnect, OSError):  # its client was quicker
            _log.debug("a socket was gone before its last word")


_tasks: set[asyncio.Task[None]] = set()


def _soon(loop: asyncio.AbstractEventLoop, work: Any) -> None:
    """Begin on the loop what the thread asks for, and hold it until it is done."""

    def begin() -> None:
        task = loop.create_task(work)
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)

    loop.call_soon_threadsafe(begin)


def _problem(error: BaseException) -> Problem:
    return problem_of(InputError("the JSON is nested too deeply.") if isinstance(error, RecursionError) else error)
