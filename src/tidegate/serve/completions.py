"""`POST /v1/completions`: a language model writes on, the text at once or token by token as events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tidegate.errors import InputError, TidegateError
from tidegate.serve.batcher import Batcher, OneByOne, Place
from tidegate.serve.body import place_of, read_json
from tidegate.serve.messages import Choice, Completion, CompletionRequest
from tidegate.serve.predict import JSON
from tidegate.serve.problems import problem_of
from tidegate.serve.shelf import Served, Shelf
from tidegate.tasks.wire import text_cost

_DECODER = msgspec.json.Decoder(CompletionRequest)
TOGETHER = 16  # tokens that are written in one go, so that others come to their turn in between


@dataclass(frozen=True)
class Writing(OneByOne):
    """Write on texts, some tokens of each at a time."""

    served: Served

    def answer(self, go_on: Callable[[], Any]) -> Any:
        """Write a piece of a text."""
        return go_on()


@dataclass(eq=False)
class Text:
    """Hold a text that is being written."""

    served: Served
    asked: CompletionRequest
    prompt: str
    pieces: Iterator[str] | None = None
    count: int = 0
    ended: bool = False

    def go_on(self) -> str:
        """Write a few tokens more, and return them as text."""
        asked = self.asked
        if self.pieces is None:
            options = {name: getattr(asked, name) for name in ("temperature", "top_p", "top_k", "seed")}
            self.pieces = self.served.model.write(self.prompt or None, length=asked.max_tokens, **options)
        written = []
        for _ in range(TOGETHER):
            piece = next(self.pieces, None)
            if piece is None:
                self.ended = True
                break
            self.count += 1
            written.append(piece)
        return "".join(written)

    @property
    def reason(self) -> str:
        """Why it ended: the model ended it, or it is as long as was asked for."""
        return "length" if self.count > self.asked.max_tokens else "stop"


@dataclass(frozen=True)
class Completing:
    """Serve completions."""

    shelf: Shelf
    batcher: Batcher

    async def complete(self, request: Request) -> Response:
        """Write on one prompt or several."""
        place = place_of(request)
        asked = await read_json(request, _DECODER)
        served = self.shelf.find(asked.model)
        if "generate" not in served.card.asked:
            raise InputError(f"{served.name} is a {served.card.name}, which writes no texts. Ask /v1/predict.")
        prompts = [asked.prompt] if isinstance(asked.prompt, str) else asked.prompt
        if asked.stream and len(prompts) != 1:
            raise InputError(f"{len(prompts)} prompts came to be streamed. Send one at a time.")
        named = Completion(f"cmpl-{uuid4().hex[:24]}", int(time.time()), served.name, [])
        texts = [Text(served, asked, prompt) for prompt in prompts]
        if asked.stream:
            first = await self._go_on(texts[0], place)  # what is wrong with the request is told as a problem
            events = self._events(texts[0], first, named, place)
            return StreamingResponse(events, media_type="text/event-stream")
        for index, text in enumerate(texts):
            pieces = [text.prompt] if asked.echo else []
            while not text.ended:
                pieces.append(await self._go_on(text, place))
            named.choices.append(Choice("".join(pieces), index, text.reason))
        return Response(msgspec.json.encode(named), media_type=JSON)

    async def _go_on(self, text: Text, place: Place) -> str:
        cost = TOGETHER + (text_cost([text.prompt]) if text.pieces is None else 0)
        piece: str = await self.batcher.ask(Writing(text.served), text.go_on, cost, place)
        return piece

    async def _events(self, text: Text, first: str, named: Completion, place: Place) -> AsyncIterator[bytes]:
        piece = text.prompt + first if text.asked.echo else first
        try:
            while True:
                reason = text.reason if text.ended else None
                yield _event(msgspec.structs.replace(named, choices=[Choice(piece, 0, reason)]))
                if text.ended:
                    break
                piece = await self._go_on(text, place)
        except TidegateError as error:
            yield _event({"error": problem_of(error)})
        yield b"data: [DONE]\n\n"


def _event(said: Any) -> bytes:
    return b"data: " + msgspec.json.encode(said) + b"\n\n"
