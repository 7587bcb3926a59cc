"""Puts a server together and runs it: binds, says where it is, reloads models, and ends without losing anything."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute

from tidegate.errors import Argument, InputError, TidegateError
from tidegate.kernels import set_num_threads
from tidegate.serve.attic import Attic
from tidegate.serve.batcher import Batcher
from tidegate.serve.completions import Completing
from tidegate.serve.described import describe
from tidegate.serve.door import Door
from tidegate.serve.metrics import Metrics, Side
from tidegate.serve.oip import Protocol
from tidegate.serve.page import Page
from tidegate.serve.predict import JSON, Predicting
from tidegate.serve.problems import handle
from tidegate.serve.protocol import Patient
from tidegate.serve.seal import Seal
from tidegate.serve.sessions import Sessions
from tidegate.serve.settings import Settings
from tidegate.serve.shelf import Shelf
from tidegate.serve.streams import Wires

_log = logging.getLogger("tidegate.serve")
Say = Callable[[str], None]


class Server:
    """Serve models.

    Args:
        models: their files or run folders, by name.
        settings: how.
        say: is told what happens, a line at a time.

    Raises:
        ModelFileError, InputError: a model cannot be served, the port is taken, or the settings cannot be.
    """

    def __init__(self, models: Mapping[str, Path], settings: Settings, *, say: Say = _log.info) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one batch, one thread: see the measurements in docs/serving.md
        if settings.threads is not None:
            set_num_threads(settings.threads)
        self.settings, self._say = settings, say
        self.shelf = Shelf(models)
        attic = None if settings.state_dir is None else Attic(settings.state_dir)
        self.sessions = Sessions(self.shelf, Seal(settings.signing_keys()), settings.session_bytes, attic)
        self.batcher = Batcher(settings.max_queue_tokens, settings.deadline)
        self.metrics = Metrics(self.batcher, self.sessions)
        self.batcher.observe = self.metrics.observe
        self.wires = Wires(self.sessions, self.batcher)
        self.app = Door(self._routes(), settings, self.batcher)
        self.metrics.door = self.app
        self._socket = _bound(settings.host, settings.port)
        self._side: Side | None = None
        self._runner: _Runner | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        host, port = self._socket.getsockname()[:2]
        kind = "http" if self.settings.certfile is None else "https"
        return f"{kind}://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def metrics_url(self) -> str | None:
        """Where health and metrics are; None where they are not served."""
        return None if self._side is None else f"http://127.0.0.1:{self._side.port}"

    @property
    def is_ready(self) -> bool:
        """Whether it takes requests."""
        return self._runner is not None and self._runner.started and not self.wires.draining

    def run(self, ready: Say | None = None) -> None:
        """Serve until a signal, or `stop`, ends it; `ready` is told the address once requests are taken.

        SIGHUP reads all models again.
        """
        settings = self.settings
        protocol = type("Connection", (Patient,), {"limit": settings.max_connections, "door": self.app})
        config = uvicorn.Config(
            self.app, loop="uvloop", http=protocol, ws="websockets-sansio", lifespan="off", access_log=False,
            log_config=None, server_header=False, ws_max_size=settings.max_body, ws_per_message_deflate=False,
            timeout_graceful_shutdown=max(1, round(settings.grace)), proxy_headers=False,
            ssl_certfile=settings.certfile, ssl_keyfile=settings.keyfile,
        )  # fmt: skip
        self._runner = _Runner(config, self, ready)
        if settings.metrics_port is not None:
            try:
                self._side = Side(settings.metrics_port, self.metrics, lambda: self.is_ready)
            except OSError as error:
                raise InputError(f"port {settings.metrics_port} cannot be had for metrics: {error.strerror}.") from None
        try:
            self._runner.run(sockets=[self._socket])
        finally:
            self.close()

    def stop(self) -> None:
        """Let it end as a signal does: streams get their tokens, requests that were taken are answered."""
        if self._runner is not None:
            self._runner.begin_to_end()

    def close(self) -> None:
        """Give back what it holds; after `run`, or where that was never called."""
        self._socket.close()
        self.batcher.close()
        if self._side is not None:
            self._side.close()
            self._side = None
        if self.sessions.attic is not None:
            self.sessions.attic.close()

    async def renew(self, names: list[str] | None = None) -> None:
        """Read models again, all or some, beside those that are served."""
        for name in [served.name for served in self.shelf] if names is None else names:
            await asyncio.to_thread(self.shelf.renew, name, self._say)

    async def watch(self) -> None:
        """Look every second whether a model was replaced."""
        while True:
            await asyncio.sleep(1.0)
            await self.renew(await asyncio.to_thread(self.shelf.changed))

    async def drain(self) -> None:
        """Hand out and put away all streams."""
        self._say("ending: streams get their tokens, and what was taken is answered")
        await self.wires.drain()
        await asyncio.get_running_loop().run_in_executor(self.batcher.pool, self.sessions.put_away)

    def _routes(self) -> Starlette:
        predicting = Predicting(self.shelf, self.batcher)
        protocol = Protocol(self.sessions, self.batcher, lambda: self.is_ready)
        completing = Completing(self.shelf, self.batcher)
        page = Page(self.sessions, self.batcher)
        model = "/v2/models/{model}"
        routes = [
            Route("/v1/predict", predicting.predict, methods=["POST"]),
            Route(model + "/infer", protocol.infer, methods=["POST"]),
            Route("/v1/models", predicting.models),
            Route("/v1/models/{model}", predicting.model),
            Route("/v1/streams/{model}", self.wires.request, methods=["POST"]),
            WebSocketRoute("/v1/streams/{model}", self.wires.socket),
            Route("/v1/completions", completing.complete, methods=["POST"]),
            Route("/v2", protocol.server),
            Route("/v2/health/live", protocol.live),
            Route("/v2/health/ready", protocol.ready),
            Route("/v2/repository/index", protocol.index, methods=["POST"]),
            Route(model, protocol.model),
            Route(model + "/ready", protocol.model_ready),
            Route(model + "/versions/{version}", protocol.model),
            Route(model + "/versions/{version}/ready", protocol.model_ready),
            Route(model + "/versions/{version}/infer", protocol.infer, methods=["POST"]),
            Route("/health/live", self._live),
            Route("/health/ready", self._ready),
            Route("/openapi.json", self._openapi),
            Route("/", page.show),
            Route("/docs", page.show),
            Route("/page/{file}", page.show),
            Route("/v1/look", page.look, methods=["POST"]),
            Route("/v1/load", page.load),
        ]
        handlers: Any = {TidegateError: handle, HTTPException: handle, msgspec.MsgspecError: handle, Exception: handle}
        return Starlette(routes=routes, exception_handlers=handlers)

    async def _live(self, _request: Request) -> Response:
        return PlainTextResponse("live\n")

    async def _ready(self, _request: Request) -> Response:
        return PlainTextResponse("ready\n" if self.is_ready else "no\n", 200 if self.is_ready else 503)

    async def _openapi(self, _request: Request) -> Response:
        return Response(msgspec.json.encode(describe(with_token=bool(self.settings.tokens))), media_type=JSON)


class _Runner(uvicorn.Server):
    """uvicorn, which ends in our order: streams first, then requests."""

    def __init__(self, config: uvicorn.Config, server: Server, ready: Say | None) -> None:
        super().__init__(config)
        self._ready = ready
        self._server = server
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Future[None]] = set()
        self._ending = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if hasattr(signal, "SIGHUP"):
            try:
                self._loop.add_signal_handler(signal.SIGHUP, lambda: self._begin(self._server.renew()))
            except (RuntimeError, ValueError):  # not on the main thread, as in tests
                _log.debug("no signals reach this thread")
        if self._server.settings.watch:
            self._begin(self._server.watch())
        if self._ready is not None:
            self._ready(self._server.url)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; a second signal ends at once."""
        if self._ending:
            self.should_exit = self.force_exit = True
        self.begin_to_end()

    def begin_to_end(self) -> None:
        if self._loop is None:  # before anything was served
            self.should_exit = True
        elif not self._ending:
            self._ending = True
            self._loop.call_soon_threadsafe(lambda: self._begin(self._end()))

    async def _end(self) -> None:
        try:
            await asyncio.wait_for(self._server.drain(), self._server.settings.grace)
        except TimeoutError:
            _log.warning("some streams were not handed over in time")
        self.should_exit = True

    def _begin(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a task of the server failed", exc_info=task.exception())


def _bound(host: str, port: int) -> socket.socket:
    """Take a port; raises InputError where it cannot be had."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=2048, reuse_port=False)
    except OSError as error:
        told = f"{host}, port {port}, cannot be had: {error.strerror or error}. Choose another with "
        raise InputError(told, Argument("port"), ".") from None
