"""What is said over HTTP and sockets, as types: read by msgspec, and written into the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

Row = list[float | list[float]]
"""A step of features, or a row of an image, whose cells are numbers or have features each."""
Step = Any
"""A row of numbers, a number, a word or a piece of a text: as the task takes it."""


class PredictRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Ask a model; of the last three the one that it reads (see `inputs` of the model).

    Among sequences a text is a file in base64: a picture (PNG), read by rows, or a sound (WAV).
    """

    model: str | None = None
    texts: list[str | list[str]] | None = None
    sequences: list[list[Row] | str] | None = None
    series: dict[str, list[Any]] | list[list[Any]] | None = None
    probabilities: bool = False


class PredictAnswer(msgspec.Struct):
    """Answer each input, in their order."""

    model: str
    digest: str
    answers: list[dict[str, Any]]


class Problem(msgspec.Struct):
    """Say what went wrong, as application/problem+json."""

    type: str
    title: str
    status: int
    detail: str


class StreamRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Begin a stream or go on from a token, take steps, and end; all of it in one message, or one after the other."""

    begin: dict[str, Any] | None = None
    resume: str | None = None
    at: Annotated[int, msgspec.Meta(ge=0)] | None = None
    steps: list[Step] = []
    token: bool = False
    end: bool = False


class StreamAnswer(msgspec.Struct, omit_defaults=True):
    """Say how many steps were taken, and what was answered, each with its step; at the end also what waited: `rest`."""

    step: int
    answers: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    model: str | None = None
    digest: str | None = None
    token: str | None = None
    error: Problem | None = None
    closing: str | None = None


class CompletionRequest(msgspec.Struct):
    """Ask a language model to write on; fields that say nothing to one are passed over, as other servers do."""

    prompt: str | list[str] = ""
    model: str | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 16
    temperature: Annotated[float, msgspec.Meta(ge=0, le=100)] = 1.0
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    top_k: Annotated[int, msgspec.Meta(ge=0)] = 0
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**62)] = 0
    n: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    stream: bool = False
    echo: bool = False


class Choice(msgspec.Struct):
    """Hold one text that was written."""

    text: str
    index: int
    finish_reason: str | None = None
    logprobs: None = None


class Completion(msgspec.Struct):
    """Hold the texts that were written, one for each prompt."""

    id: str
    created: int
    model: str
    choices: list[Choice]
    object: str = "text_completion"
