"""The Open Inference Protocol, version 2, with the sequences and binary arrays of Triton: what its clients ask.

A sequence is a live session under the number that its client chose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from tidegate.errors import InputError, ServeError
from tidegate.serve.batcher import Batcher, OneByOne, Place
from tidegate.serve.body import place_of, read_body
from tidegate.serve.predict import JSON
from tidegate.serve.sessions import Sessions
from tidegate.serve.shelf import Served
from tidegate.serve.tensors import InferRequest, read_request, write_answer
from tidegate.tasks.wire import Tensors
from tidegate.version import __version__

_LENGTH = "inference-header-content-length"
_EXTENSIONS = ["binary_tensor_data", "sequence"]


@dataclass(frozen=True)
class Inferring:
    """Answer requests of one model, each as arrays by name."""

    served: Served
    full: bool
    at_once: ClassVar[bool] = True

    def run(self, payloads: Sequence[Any]) -> list[Any]:
        """Answer the inputs of each request."""
        wire, model = self.served.wire, self.served.model
        found = self.served.ask(payloads, full=self.full)
        return [told if isinstance(told, Exception) else wire.arrays(model, told) for told in found]


@dataclass(frozen=True)
class SequenceTurn:
    """Hold the steps of a sequence that came together, and whether it begins or ends with them."""

    key: str
    served: Served
    tensors: Tensors
    options: dict[str, Any]
    start: bool
    end: bool


@dataclass(frozen=True, eq=False)
class SequenceStepping(OneByOne):
    """Take the turns of sequences, on the thread of the kernels."""

    sessions: Sessions

    def answer(self, turn: SequenceTurn) -> dict[str, Any]:
        """Take the steps of a turn."""
        sessions = self.sessions
        session = sessions.begin(turn.served, turn.options) if turn.start else sessions.find(turn.key)
        wire, model = session.served.wire, session.served.model
        answers, error = session.take(wire.live.steps(model, turn.tensors), None)
        if error is not None:
            raise error
        told = [answer for _, answer in answers]
        numbers = [step for step, _ in answers]
        if turn.end:
            rest = wire.live.last(session.take_up())
            told, numbers = [*told, *rest], [*numbers, *[session.steps] * len(rest)]
            sessions.close(turn.key)
        elif turn.start:
            sessions.hold(turn.key, session)
        else:
            sessions.recount(turn.key)
        steps = {"step": np.array(numbers, np.int64)}
        return wire.arrays(model, wire.live.gather(told)) | steps


class Protocol:
    """Serve what the protocol asks for.

    Args:
        sessions: of the sequences; its shelf holds the models.
        batcher: that computes.
        is_ready: whether the server takes requests.
    """

    def __init__(self, sessions: Sessions, batcher: Batcher, is_ready: Callable[[], bool]) -> None:
        self._shelf, self._batcher, self._is_ready = sessions.shelf, batcher, is_ready
        self._stepping = SequenceStepping(sessions)

    async def server(self, _request: Request) -> Response:
        """Say what server it is."""
        return _json({"name": "tidegate", "version": __version__, "extensions": _EXTENSIONS})

    async def live(self, _request: Request) -> Response:
        """Say that it lives."""
        return _json({"live": True})

    async def ready(self, _request: Request) -> Response:
        """Say whether it takes requests."""
        return _json({"ready": self._is_ready()}, 200 if self._is_ready() else 503)

    async def index(self, _request: Request) -> Response:
        """List the models."""
        return _json([{"name": each.name, "version": each.digest[:12], "state": "READY"} for each in self._shelf])

    async def model(self, request: Request) -> Response:
        """Say what arrays a model reads and answers with."""
        served = self._find(request)
        told = {"name": served.name, "versions": [served.digest[:12]], "platform": f"tidegate_{served.card.name}"}
        return _json(
            told | {"inputs": _listed(served.wire.inputs(served.model)), "outputs": _listed(served.wire.outputs)}
        )

    async def model_ready(self, request: Request) -> Response:
        """Say whether a model takes requests."""
        served = self._find(request)
        return _json({"name": served.name, "ready": self._is_ready()}, 200 if self._is_ready() else 503)

    async def infer(self, request: Request) -> Response:
        """Answer arrays by arrays."""
        place = place_of(request)
        served = self._find(request)
        asked, arrays = read_request(await read_body(request), request.headers.get(_LENGTH))
        if asked.parameters.get("sequence_id", 0) not in (0, ""):
            found = await self._step(served, asked, arrays, place)
        else:
            given = served.wire.tensors(served.model, arrays)
            full = asked.outputs is None or any(one.name == "probabilities" for one in asked.outputs)
            found = await self._batcher.ask(Inferring(served, full), given, served.wire.cost(given), place)
        about = {"model_name": served.name, "model_version": served.digest[:12]}
        body, head = write_answer(about, found, asked)
        if head is None:
            return Response(body, media_type=JSON)
        return Response(body, media_type="application/octet-stream", headers={_LENGTH: str(head)})

    async def _step(self, served: Served, asked: InferRequest, arrays: Tensors, place: Place) -> dict[str, Any]:
        """Take the steps of a sequence."""
        said = asked.parameters
        name = said["sequence_id"]
        if not isinstance(name, int | str) or isinstance(name, bool) or len(str(name)) > 128:
            raise InputError(f"sequence_id={name!r:.60}; wanted a number, or a text of 128 characters at most.")
        options = {key: said[key] for key in served.wire.live.options if key in said}
        start, end = (bool(said.get(f"sequence_{edge}", False)) for edge in ("start", "end"))
        turn = SequenceTurn(f"oip:{served.name}:{name}", served, arrays, options, start, end)
        found: dict[str, Any] = await self._batcher.ask(self._stepping, turn, self._cost(turn), place)
        return found

    def _cost(self, turn: SequenceTurn) -> int:
        """Count the numbers of a turn, and guess the tokens of its texts, and of earlier ones that are read again."""
        arrays, kept = turn.tensors.values(), 0 if turn.start else self._stepping.sessions.kept(turn.key)
        texts = [text for array in arrays if array.dtype == object for text in array.ravel()]
        numbers = sum(int(array.size) for array in arrays if array.dtype != object)
        return numbers + turn.served.wire.live.cost(texts, turn.end, lambda: kept)

    def _find(self, request: Request) -> Served:
        served = self._shelf.find(request.path_params["model"])
        version = request.path_params.get("version", "")
        if version not in ("", served.digest[:12]):
            told = f"{served.name} has no version {version:.40}; {served.digest[:12]} is served."
            raise ServeError(told, status=404, kind="no-such-version")
        return served


def _listed(tensors: Sequence[tuple[str, str, tuple[int, ...]]]) -> list[dict[str, Any]]:
    return [{"name": name, "datatype": kind, "shape": list(shape)} for name, kind, shape in tensors]


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type=JSON)
