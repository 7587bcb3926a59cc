"""`POST /v1/predict` and `GET /v1/models`: what models say of inputs, and what is known of the models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tidegate.errors import InputError
from tidegate.serve.batcher import Batcher
from tidegate.serve.body import place_of, read_json
from tidegate.serve.messages import PredictRequest
from tidegate.serve.shelf import Served, Shelf

_DECODER = msgspec.json.Decoder(PredictRequest)
_FIELDS = ("texts", "sequences", "series")
JSON = "application/json"


@dataclass(frozen=True)
class Asking:
    """Answer requests of one model, each as the bytes of its JSON.

    full: with what takes many numbers, such as the probability of every token.
    """

    served: Served
    full: bool
    at_once: ClassVar[bool] = True

    def run(self, payloads: Sequence[Any]) -> list[Any]:
        """Answer the inputs of each request."""
        served = self.served
        found = served.ask(payloads, full=self.full)
        return [answers if isinstance(answers, Exception) else self._encode(answers) for answers in found]

    def _encode(self, answers: list[Any]) -> bytes:
        served = self.served
        told = [served.wire.tell(served.model, answer) for answer in answers]
        return msgspec.json.encode({"model": served.name, "digest": served.digest, "answers": told})


@dataclass(frozen=True)
class Predicting:
    """Serve both."""

    shelf: Shelf
    batcher: Batcher

    async def predict(self, request: Request) -> Response:
        """Answer the inputs of a request."""
        asked = await read_json(request, _DECODER)
        served = self.shelf.find(asked.model)
        given = given_to(asked, served)
        work = Asking(served, asked.probabilities)
        body = await self.batcher.ask(work, given, served.cost(given), place_of(request))
        return Response(body, media_type=JSON)

    async def models(self, _request: Request) -> Response:
        """List the models."""
        return Response(msgspec.json.encode({"models": [served.about() for served in self.shelf]}), media_type=JSON)

    async def model(self, request: Request) -> Response:
        """Say all that is known of a model."""
        served = self.shelf.find(request.path_params["model"])
        return Response(msgspec.json.encode(served.described()), media_type=JSON)


def given_to(asked: PredictRequest, served: Served) -> Any:
    """Take what the model reads; raises InputError where something else came."""
    came = [name for name in _FIELDS if getattr(asked, name) is not None]
    wanted = served.wire.given
    if came != [wanted]:
        told = " and ".join(came) or "no inputs"
        raise InputError(f"{told} came; the model {served.name} reads {wanted}. Send exactly these.")
    return getattr(asked, wanted)
