"""`tidegate serve` as a process: it says where it is, answers, loses nothing as it ends, and tells what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from commands import Cli
from tidegate.network import Dense, Network, Pool
from tidegate.runtime import Executor

TEXTS = ["a good film", "good", "bad", "a bad film"] * 4


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of texts that can be streamed."""
    path = tmp_path_factory.mktemp("cli") / "films.safetensors"
    small: dict[str, Any] = {"hidden_size": 4, "epochs": 2, "evidence": 0, "linear": False, "bidirectional": False}
    tg.TextClassifier(**small).fit(TEXTS, ["pos", "pos", "neg", "neg"] * 4).save(path)
    return path


@contextmanager
def started(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the command, and give it and the address that it prints; it must end by itself or by a signal."""
    command = [sys.executable, "-m", "tidegate", "serve", *map(str, arguments), "--port", "0", "--metrics-port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ask(url: str, content: Any) -> Any:
    request = urllib.request.Request(url + "/v1/predict", json.dumps(content).encode())
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_once_all_that_was_taken_is_answered(model: Path, number: signal.Signals) -> None:
    with started(model) as (process, url):
        answers: list[Any] = []
        content = {"texts": ["a good film " * 4000] * 5}
        threads = [threading.Thread(target=lambda: answers.append(ask(url, content))) for _ in range(6)]
        for thread in threads:
            thread.start()
        taken, until = 0, time.monotonic() + 20
        while taken < 6 and time.monotonic() < until:
            with urllib.request.urlopen(url + "/v1/load", timeout=20) as answer:
                waiting = json.load(answer)["waiting_tokens"] // (len(json.dumps(content)) // 4)
            taken = waiting + len(answers)
        with tg.Client(url) as client:
            stream = client.stream(patience=0.5)
            stream.push(["a", "good", "film"])
            process.send_signal(number)
            _, told = process.communicate(timeout=30)
        for thread in threads:
            thread.join()
        stream._hang_up()
    assert (process.returncode, len(answers)) == (0, 6)
    assert all(len(answer["answers"]) == 5 for answer in answers)
    assert "Traceback" not in told
    assert "ending" in told


def test_a_process_that_is_killed_leaves_streams_that_go_on(model: Path, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("a-token-for-this-test")
    words = ["a", "good", "film", "bad"] * 60
    live = tg.load(model).stream()
    wanted = [live.step(word).tolist() for word in words]
    guarded = (model, "--token-file", tmp_path / "tokens")
    with started(*guarded) as (one, first), started(*guarded) as (_, second):
        client = tg.Client([first, second], token="a-token-for-this-test")
        stream = client.stream()
        found = [row.tolist() for row in stream.push(words[:100])]
        one.send_signal(signal.SIGKILL)
        one.wait()
        found += [row.tolist() for row in stream.push(words[100:])]
        stream.close()
        client.close()
    assert (stream.reconnects, found) == (1, wanted)


def test_a_hangup_loads_models_anew(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "films.safetensors"
    target.write_bytes(model.read_bytes())
    with started("--name", f"mine={target}") as (process, url):
        before = ask(url, {"model": "mine", "texts": ["good"]})
        small: dict[str, Any] = {"hidden_size": 5, "epochs": 1, "evidence": 0, "linear": False}
        tg.TextClassifier(**small).fit(TEXTS, ["pos", "pos", "neg", "neg"] * 4).save(target)
        process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 20
        while ask(url, {"texts": ["good"]})["digest"] == before["digest"] and time.monotonic() < until:
            time.sleep(0.05)
        assert ask(url, {"texts": ["good"]})["digest"] != before["digest"]
        process.terminate()
        assert process.wait(30) == 0


def test_what_cannot_be_served_is_told(cli: Cli, model: Path, tmp_path: Path) -> None:
    network = Network.of(Dense(in_features=1, out_features=1), Pool(modes=("max",)))
    weights: Any = {"0.weight": [[2.0]], "0.bias": [0.0]}
    bare = tmp_path / "bare.safetensors"
    Executor(network, {name: np.array(array, np.float32) for name, array in weights.items()}).save(bare)
    (tmp_path / "broken.safetensors").write_bytes(model.read_bytes()[:500])
    for arguments, code, told in (
        ((), 2, "no model was named"),
        ((tmp_path / "nothing",), 1, "nothing"),
        ((tmp_path / "broken.safetensors",), 1, "broken"),
        ((bare,), 2, "without a task"),
        ((model, "--host", "0.0.0.0"), 2, "--token-file"),
        ((model, "--token-file", tmp_path / "none"), 1, "none"),
        ((model, "--certfile", model), 2, "both a certificate and its key"),
        ((model, "--name", "x"), 2, "N=PATH"),
        ((model, model), 2, "would be called films"),
        ((model, "--deadline", "0"), 2, "deadline=0"),
        ((model, "--host", "256.0.0.1", "--token-file", model), 2, "plain text"),
    ):
        answer = cli("serve", *arguments)
        assert (answer.code, told in answer.err, answer.out) == (code, True, ""), answer.err


def test_without_the_extra_it_is_named(model: Path) -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from tidegate.cli import main\n"
        f"sys.exit(main(['serve', {str(model)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ)
    assert (done.returncode, "pip install 'tidegate[serve]'" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr
