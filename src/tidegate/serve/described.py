"""The OpenAPI document, made of the types that the routes read and write. The page `/docs` draws it."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from tidegate.serve.messages import (
    Completion,
    CompletionRequest,
    PredictAnswer,
    PredictRequest,
    Problem,
    StreamAnswer,
    StreamRequest,
)
from tidegate.serve.tensors import InferRequest
from tidegate.version import __version__

Json: TypeAlias = dict[str, Any]

_MODEL = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
_DEADLINE = {
    "name": "Tidegate-Deadline", "in": "header", "required": False,
    "description": "Seconds after which the answer is of no use.",
    "schema": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1000000},
}  # fmt: skip
_TYPES = (
    PredictRequest, PredictAnswer, Problem, StreamRequest, StreamAnswer, CompletionRequest, Completion, InferRequest,
)  # fmt: skip
_REFUSALS = (400, 401, 403, 404, 408, 409, 410, 411, 413, 421, 422, 429, 503, 504)


def describe(*, with_token: bool) -> Json:
    """Write the document.

    >>> describe(with_token=False)["paths"]["/v1/predict"]["post"]["summary"]
    'Ask a model'
    """
    schemas, components = msgspec.json.schema_components(_TYPES, ref_template="#/components/schemas/{name}")
    of = dict(zip(_TYPES, schemas, strict=True))
    problem = {"description": "A problem.", "content": {"application/problem+json": {"schema": of[Problem]}}}

    def route(
        summary: str, answer: Json, *, reads: Any = None, parameters: Any = (), kind: str = "application/json"
    ) -> Json:
        told: Json = {"summary": summary, "parameters": list(parameters), "responses": {}}
        told["responses"]["200"] = {"description": "The answer.", "content": {kind: {"schema": answer}}}
        told["responses"] |= {str(status): problem for status in _REFUSALS}
        if reads is not None:
            told["requestBody"] = {"required": True, "content": {"application/json": {"schema": of[reads]}}}
        return told

    anything: Json = {"type": "object"}
    ready = {"get": route("Whether the server takes requests", anything)}
    paths: Json = {
        "/v1/predict": {"post": route("Ask a model", of[PredictAnswer], reads=PredictRequest, parameters=[_DEADLINE])},
        "/v1/look": {"post": route("Look inside a model at one input", anything, reads=PredictRequest)},
        "/v1/load": {"get": route("How busy the server is", anything)},
        "/v1/models": {"get": route("List the models", anything)},
        "/v1/models/{model}": {"get": route("All that is known of a model", anything, parameters=[_MODEL])},
        "/v1/streams/{model}": {
            "post": route(
                "Begin a live stream, or go on with one; a WebSocket at the same place takes the same messages",
                of[StreamAnswer],
                reads=StreamRequest,
                parameters=[_MODEL, _DEADLINE],
            )
        },
        "/v1/completions": {"post": route("Write on", of[Completion], reads=CompletionRequest, parameters=[_DEADLINE])},
        "/v2": {"get": route("Open Inference Protocol: the server", anything)},
        "/v2/health/live": {"get": route("Whether the server lives", anything)},
        "/v2/health/ready": ready,
        "/v2/models/{model}": {"get": route("The arrays of a model", anything, parameters=[_MODEL])},
        "/v2/models/{model}/ready": {"get": route("Whether a model takes requests", anything, parameters=[_MODEL])},
        "/v2/models/{model}/infer": {
            "post": route("Ask a model by arrays", anything, reads=InferRequest, parameters=[_MODEL, _DEADLINE])
        },
    }
    document: Json = {
        "openapi": "3.1.0",
        "info": {"title": "Tidegate", "version": __version__, "description": "Recurrent sequence models, served."},
        "paths": paths,
        "components": {"schemas": components},
    }
    if with_token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document
