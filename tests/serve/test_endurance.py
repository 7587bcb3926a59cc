"""The same laws over and over: thousands of swaps and cuts, hundreds of ends, and memory that stays bounded."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import samples
import tidegate as tg
from serving import ask, serving
from tidegate.serve.shelf import Shelf

pytestmark = pytest.mark.slow

NAME = "text-classifier"
WORDS = ["wave", "oak", "tide", "fern", "salt", "moss"]


def test_of_1000_swaps_no_answer_is_lost_or_wrong(tmp_path: Path) -> None:
    sample, known, paths = samples.SAMPLES[NAME], {}, []
    for seed in range(2):
        path = tmp_path / f"{seed}.safetensors"
        samples.untrained(NAME, seed=seed, **sample.live_params).fit(*sample.examples()).save(path)
        known[Shelf({NAME: path}).find(None).digest] = tg.load(path).predict_proba(["wave oak"])[0].tolist()
        paths.append(path)
    target, done, wrong, count = tmp_path / "served.safetensors", threading.Event(), list[Any](), [0]
    shutil.copyfile(paths[0], target)
    with serving({NAME: target}) as server:

        def storm() -> None:
            while not done.is_set():
                status, told, _ = ask(server, "/v1/predict", {"texts": ["wave oak"]})
                count[0] += 1
                if status != 200 or [*told["answers"][0]["probabilities"].values()] != known[told["digest"]]:
                    wrong.append(told)

        threads = [threading.Thread(target=storm) for _ in range(3)]
        for thread in threads:
            thread.start()
        swapped = 0
        for turn in range(1000):
            new = tmp_path / "new"
            shutil.copyfile(paths[(turn + 1) % 2], new)
            new.replace(target)
            swapped += server.shelf.renew(NAME, lambda _: None)
        done.set()
        for thread in threads:
            thread.join()
    assert (swapped, wrong) == (1000, [])
    assert count[0] > 300


def test_of_10000_cuts_no_step_is_lost_or_wrong(models: dict[str, Path]) -> None:
    draw, cuts = random.Random(0), 0
    live = tg.load(models[NAME]).stream(lookahead=1)
    words = [draw.choice(WORDS) for _ in range(20_000)]
    with serving({NAME: models[NAME]}) as server, tg.Client(server.url) as client:
        stream = client.stream(lookahead=1)
        at = 0
        while cuts < 10_000:
            count = draw.randint(1, 3)
            found = stream.push(words[at : at + count])
            wanted = [live.step(word) for word in words[at : at + count]]
            assert [row.tobytes() for row in found] == [row.tobytes() for row in wanted]
            at = (at + count) % 19_990
            stream._hang_up()
            cuts += 1
        assert stream.reconnects == 9_999
        stream.close()


def test_of_500_servers_that_end_none_loses_what_it_took(models: dict[str, Path], tmp_path: Path) -> None:
    """Each ends while requests are under way and a stream is open; the stream goes on at the next."""
    (tmp_path / "tokens").write_text("a-token-for-endurance")
    live, draw = tg.load(models[NAME]).stream(lookahead=1), random.Random(1)
    stream: Any = None
    wanted = tg.load(models[NAME]).predict_proba(["wave oak " * 50] * 20).tolist()
    token = "a-token-for-endurance"
    for turn in range(500):
        with serving({NAME: models[NAME]}, token_file=tmp_path / "tokens") as server:
            client = tg.Client(server.url, token=token)
            if stream is None:
                stream = client.stream(lookahead=1)
            place = client.stream(lookahead=1)._place
            stream._place.urls = place.urls
            words = [draw.choice(WORDS) for _ in range(5)]
            found = [row.tobytes() for row in stream.push(words)]
            assert found == [live.step(word).tobytes() for word in words], turn
            answers: list[Any] = []

            def long(client: Any = client, answers: list[Any] = answers) -> None:
                answers.append(client.predict_proba(["wave oak " * 50] * 20).tolist())

            thread = threading.Thread(target=long)
            thread.start()
            while server.batcher.waiting == 0 and thread.is_alive():
                pass
            server.stop()
            thread.join()
            client.close()
        assert answers == [wanted], turn
    assert stream.reconnects == 499
    stream.close()


def test_memory_stays_within_what_was_allowed(models: dict[str, Path]) -> None:
    """A process is sent far more than it takes; what it holds grows by its limits, and by no more."""
    session_bytes, queue, body = 8 * 2**20, 200_000, 2**20
    limits = ["--session-bytes", session_bytes, "--max-queue-tokens", queue, "--max-body", body, "--metrics-port", 0]
    command = [sys.executable, "-m", "tidegate", "serve", f"{models[NAME]}", "--port", "0", *map(str, limits)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().strip()

    def held() -> int:
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def post(path: str, content: Any) -> int:
        try:
            with urllib.request.urlopen(url + path, json.dumps(content).encode(), timeout=60) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return 0

    def storm(number: int) -> None:
        for turn in range(15):
            post("/v1/predict", {"texts": ["wave oak tide " * 14_000]})
            for each in range(60):
                values = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["wave"]}
                edges = {"sequence_id": f"{number}-{turn}-{each}", "sequence_start": True, "lookahead": 1}
                post(f"/v2/models/{NAME}/infer", {"inputs": [values], "parameters": edges})

    try:
        for _ in range(20):
            assert post("/v1/predict", {"texts": ["wave oak tide " * 14_000]}) == 200
        idle, peaks, done = held(), [0], threading.Event()

        def look() -> None:
            while not done.wait(0.02):
                peaks[0] = max(peaks[0], held())

        threads = [threading.Thread(target=storm, args=(number,)) for number in range(8)]
        watcher = threading.Thread(target=look)
        watcher.start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done.set()
        watcher.join()
        assert post("/v1/predict", {"texts": ["wave"]}) == 200
        room = session_bytes + 60 * queue  # bytes: four of the body for a token, and what is made of it
        assert np.diff([idle, peaks[0]])[0] < room, (idle, peaks)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
