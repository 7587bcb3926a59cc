"""Reads the body of a request: no longer than it said, and not for ever."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from tidegate.errors import InputError, ServeError
from tidegate.serve.batcher import Place

SECONDS = 10.0  # in which a body must begin to come, and all of it with the time below
SLOWEST = 2**16  # bytes a second
PLACE = "tidegate.place"  # where a scope holds the place of a request
T = TypeVar("T")


async def read_body(request: Request) -> bytes:
    """Read the body; raises ServeError (408) where its sender is too slow, or has gone."""
    seconds = SECONDS + int(request.headers.get("content-length", 0)) / SLOWEST
    try:
        async with asyncio.timeout(seconds):
            pieces = [piece async for piece in request.stream()]
    except TimeoutError:
        told = f"the body was not whole after {seconds:.0f} s. Send it again, at once."
        raise ServeError(told, status=408, kind="too-slow") from None
    except ClientDisconnect:
        raise ServeError("the sender went away before the body was whole.", status=400, kind="cut-short") from None
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def read_json(request: Request, decoder: msgspec.json.Decoder[T]) -> T:
    """Read the body as JSON of a type; raises msgspec's errors for anything else."""
    body = await read_body(request)
    try:
        return decoder.decode(body)
    except RecursionError:
        raise InputError("the JSON is nested too deeply.") from None


def place_of(request: Request) -> Place:
    """Give the place that the door promised to a request."""
    place: Place = request.scope[PLACE]
    return place
