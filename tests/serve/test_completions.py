"""Texts that a language model writes over the wire are those that it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tidegate as tg
from serving import ask
from tidegate.serve.server import Server

NAME = "language-model"


@pytest.mark.parametrize("prompt", ["", "wave tide"])
@pytest.mark.parametrize("options", [{}, {"temperature": 0.5, "top_k": 3, "seed": 4}, {"top_p": 0.8}])
def test_the_text_is_what_the_model_writes(
    server: Server, models: dict[str, Path], prompt: str, options: dict[str, Any]
) -> None:
    wanted = tg.load(models[NAME]).generate(prompt or None, length=40, **options)
    asked = {"model": NAME, "prompt": prompt, "max_tokens": 40, **options}
    _, told, _ = ask(server, "/v1/completions", asked)
    _, events, _ = ask(server, "/v1/completions", asked | {"stream": True})
    assert told["choices"][0]["text"] == wanted
    lines = [line.removeprefix("data: ") for line in events.decode().splitlines() if line]
    parts = [json.loads(line)["choices"][0] for line in lines[:-1]]
    assert ("".join(part["text"] for part in parts), lines[-1]) == (wanted, "[DONE]")
    assert parts[-1]["finish_reason"] == told["choices"][0]["finish_reason"]


def test_why_a_text_ended_is_told(server: Server, models: dict[str, Path]) -> None:
    model, asked = tg.load(models[NAME]), {"model": NAME, "max_tokens": 400}
    (choice,) = ask(server, "/v1/completions", asked)[1]["choices"]
    assert choice["finish_reason"] == "stop", "the model ends such texts by itself"
    (choice,) = ask(server, "/v1/completions", asked | {"max_tokens": 1})[1]["choices"]
    assert choice["finish_reason"] == ("length" if model.generate(length=1) else "stop")


def test_several_prompts_are_answered_in_order(server: Server, models: dict[str, Path]) -> None:
    prompts, model = ["wave", "oak fern", "wave"], tg.load(models[NAME])
    asked = {"model": NAME, "prompt": prompts, "max_tokens": 20, "echo": True}
    _, told, _ = ask(server, "/v1/completions", asked)
    wanted = [prompt + model.generate(prompt, length=20) for prompt in prompts]
    assert [choice["text"] for choice in told["choices"]] == wanted
    assert [choice["index"] for choice in told["choices"]] == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"model": "text-classifier"}, "writes no texts"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 10**6}, "max_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"prompt": ["a", "b"], "stream": True}, "one at a time"),
        ({"prompt": 3}, "prompt"),
        ({"n": 2}, "n"),
    ],
    ids=str,
)
def test_what_cannot_be_written_is_told(server: Server, change: dict[str, Any], detail: str) -> None:
    status, told, _ = ask(server, "/v1/completions", {"model": NAME, "prompt": "wave"} | change)
    assert (status, detail in told["detail"]) == (422, True)
