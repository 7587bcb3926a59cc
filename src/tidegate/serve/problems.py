"""Says as problem+json what went wrong. Knows errors and HTTP, and nothing of what was asked."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tidegate.errors import InputError, ServeError, StateError, StreamEndedError, TidegateError
from tidegate.serve.messages import Problem

_log = logging.getLogger("tidegate.serve")
TYPE = "application/problem+json"


def problem_of(error: BaseException) -> Problem:
    """Say what an error means to whoever asked; what is our own fault is told in the log alone."""
    match error:
        case ServeError():
            return _problem(error.kind, error.status, str(error))
        case StreamEndedError():
            return _problem("stream-ended", 409, str(error))
        case StateError():
            return _problem("bad-token", 422, str(error))
        case InputError():
            return _problem("unreadable", 422, str(error))
        case msgspec.ValidationError():
            return _problem("invalid", 422, f"{error}.")
        case msgspec.DecodeError():
            return _problem("no-json", 400, f"the body is no JSON: {error}.")
        case HTTPException():
            return _problem("http", error.status_code, str(error.detail))
        case MemoryError():
            return _problem("no-memory", 503, "the memory is not enough for this request. Send fewer at a time.")
        case TidegateError():
            return _problem("failed", 500, str(error))
    _log.error("a request failed", exc_info=error)
    return _problem("failed", 500, "the server failed. Its log tells more.")


def answer_problem(problem: Problem, *, retry_after: int | None = None, headers: Any = None) -> Response:
    """Make the answer of a problem."""
    named = dict(headers or {}) | ({} if retry_after is None else {"retry-after": str(retry_after)})
    return Response(msgspec.json.encode(problem), problem.status, media_type=TYPE, headers=named)


async def handle(_request: Request, error: Exception) -> Response:
    """Answer a request that failed."""
    headers = error.headers if isinstance(error, HTTPException) else None
    return answer_problem(problem_of(error), retry_after=getattr(error, "retry_after", None), headers=headers)


def _problem(kind: str, status: int, detail: str) -> Problem:
    return Problem(f"urn:tidegate:{kind}", HTTPStatus(status).phrase, status, detail)
