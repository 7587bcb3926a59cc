"""The page to play with, and what it asks for besides the routes of all: a look inside, and how busy the server is.

The page is plain files in the folder `page`, read once; it asks for nothing from elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from tidegate.errors import InputError, ServeError
from tidegate.inspect import attribute, trace
from tidegate.offers import Inspectable
from tidegate.serve.batcher import Batcher, OneByOne
from tidegate.serve.body import place_of, read_json
from tidegate.serve.messages import PredictRequest
from tidegate.serve.predict import JSON, given_to
from tidegate.serve.sessions import Sessions
from tidegate.serve.shelf import Served

_DECODER = msgspec.json.Decoder(PredictRequest)
_PAGES = {"/": "index.html", "/docs": "api.html"}
_KINDS = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
_POLICY = "default-src 'none'; img-src data:; script-src 'self'; style-src 'self'; connect-src 'self'"
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
_POINTS = 16  # at which the gradient is taken for contributions
_DEAR = 40  # how many times the tokens of an answer a look inside costs


@dataclass(frozen=True)
class Looking(OneByOne):
    """Look inside a model, at one input."""

    served: Served

    def answer(self, given: Any) -> bytes:
        """Look at the input of a request."""
        return msgspec.json.encode(self._look(given))

    def _look(self, given: Any) -> dict[str, Any]:
        """Give the mean of every gate at each step, and what each step contributes to the answer."""
        model = self.served.model
        inputs = self.served.read(given)
        if len(inputs) != 1:
            raise InputError(f"{len(inputs)} inputs came to look at. Send one.")
        if not isinstance(model, Inspectable):
            raise InputError(f"a {self.served.card.name} cannot be looked into.")
        inside = model.inside()
        if not sum(inside.prepare(inputs)[0].lengths):
            return {"steps": [], "directions": [], "contributions": []}
        seen = trace(model, inputs)
        directions = [
            {"name": each.name, "gates": {name: _means(values) for name, values in each.gates.items()}}
            for each in seen.directions
        ]
        steps = list(seen.steps) if seen.steps is not None else [str(at) for at in range(int(seen.offsets[-1]))]
        told = {"steps": steps, "directions": directions, "contributions": None}
        if not inside.network.pools:  # an answer for each step is no one answer to contribute to
            return told
        scores = attribute(model, inputs, steps=_POINTS).scores
        return told | {"contributions": np.asarray(scores).tolist()}


@dataclass
class Page:
    """Serve the page.

    Args:
        sessions: whose shelf holds the models.
        batcher: that computes.
    """

    sessions: Sessions
    batcher: Batcher
    _files: dict[str, tuple[bytes, str]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for file in (files("tidegate.serve") / "page").iterdir():
            kind = _KINDS.get(file.name.rpartition(".")[2])
            if kind is not None:
                self._files[file.name] = (file.read_bytes(), kind)

    async def show(self, request: Request) -> Response:
        """Give a file of the page."""
        name = request.path_params.get("file") or _PAGES[request.url.path]
        if name not in self._files:
            raise ServeError(f"the page has no file {name:.60}.", status=404, kind="no-such-file")
        body, kind = self._files[name]
        return Response(body, media_type=kind, headers=_HEADERS)

    async def look(self, request: Request) -> Response:
        """Look inside a model at one input."""
        asked = await read_json(request, _DECODER)
        served = self.sessions.shelf.find(asked.model)
        given = given_to(asked, served)
        cost = _DEAR * served.cost(given)
        body = await self.batcher.ask(Looking(served), given, cost, place_of(request))
        return Response(body, media_type=JSON)

    async def load(self, _request: Request) -> Response:
        """Say how busy the server is."""
        seen, batcher = self.batcher.seen, self.batcher
        told = {
            "waiting_tokens": batcher.waiting, "wait": batcher.estimate, "batches": seen.batches, "jobs": seen.jobs,
            "tokens": seen.tokens, "busy": seen.busy, "sessions": len(self.sessions), "refused": seen.refused,
        }  # fmt: skip
        return Response(msgspec.json.encode(told), media_type=JSON)


def _means(values: Any) -> list[float]:
    """Average a gate over its units, [N]."""
    return [round(float(value), 4) for value in np.asarray(values).mean(axis=1)]
