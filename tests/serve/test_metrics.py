"""What a server counts is what happened, and it is told on a port of its own, with its health."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

import tidegate as tg
from serving import ask, serving
from tidegate.errors import InputError

NAME = "text-classifier"


def read(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def values(text: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def test_counts_are_what_happened(models: dict[str, Path]) -> None:
    with serving({NAME: models[NAME]}, metrics_port=0) as server:
        assert server.metrics_url is not None
        assert read(server.metrics_url + "/health/live") == (200, "live\n")
        assert read(server.metrics_url + "/health/ready") == (200, "ready\n")
        assert read(server.metrics_url + "/elsewhere")[0] == 404
        for _ in range(3):
            ask(server, "/v1/predict", {"texts": ["wave"]})
        ask(server, "/v1/predict", {"nonsense": 1})
        ask(server, "/v1/predict", b"x", headers={"Host": "evil.example"})
        with tg.Client(server.url) as client, client.stream(lookahead=1) as stream:
            stream.step("wave")
            found = values(read(server.metrics_url + "/metrics")[1])
            assert found["tidegate_open_sessions"] == 1
            assert found["tidegate_session_bytes"] > 2048
        assert found['tidegate_answers_total{status="200"}'] == 5  # with the two that the client asks about the model
        assert found['tidegate_answers_total{status="422"}'] == 1
        assert found['tidegate_answers_total{status="421"}'] == 1
        assert found["tidegate_jobs_total"] == found["tidegate_wait_seconds_count"] == 4
        assert found["tidegate_waiting_tokens"] == 0
        server.wires.draining = True
        assert read(server.metrics_url + "/health/ready")[0] == 503
        assert ask(server, "/health/ready")[0] == ask(server, "/v2/health/ready")[0] == 503


def test_a_port_that_is_taken_is_told(models: dict[str, Path]) -> None:
    with serving({NAME: models[NAME]}) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(InputError, match="cannot be had"), serving({NAME: models[NAME]}, port=port):
            pass
