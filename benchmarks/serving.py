"""Measure what a request costs a server, by stage, and what is answered in time when too much is asked.

python -m benchmarks.serving MODEL [--seconds 3]

MODEL is a text classifier that answers while a text comes in. Seconds of the CPU are those of the server's process, as
the kernel counts them; generators run in processes of their own, on loopback. The rival, FastAPI with ONNX Runtime, is
asked the same texts in turn, and its answers are compared first.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import tidegate as tg
from benchmarks.record import machine, save
from tidegate.kernels import softmax

SHORT = "I laughed, I cried, and I would see this film again at any time, but not the sequel that they made of it."
TICKS = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 32
DEADLINE = 0.5


@dataclass(frozen=True)
class Running:
    """Hold a server that runs."""

    process: subprocess.Popen[bytes]
    port: int
    path: str

    def cpu(self) -> float:
        """Count the seconds of the CPU that it took so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> int:
        """Count the bytes that it holds in memory."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def load(self, body: Any, headers: Any = None, **how: Any) -> tuple[dict[int, list[float]], float]:
        """Let a generator ask; return seconds by status, and those of the CPU that the server took."""
        asked = {"host": "127.0.0.1", "port": self.port, "path": self.path, "body": json.dumps(body), "how": how}
        asked["headers"] = headers or {}
        before = self.cpu()
        command = [sys.executable, "-m", "benchmarks.serving_load"]
        done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True, timeout=120)
        return {int(status): taken for status, taken in json.loads(done.stdout).items()}, self.cpu() - before


@contextmanager
def started(*command: object, path: str) -> Iterator[Running]:
    """Start a server, of which the last argument is the port, and wait until it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", *map(str, command), str(port)], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            time.sleep(0.1)
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield Running(process, port, path)
    finally:
        process.terminate()
        process.wait(30)


def cost(server: Running, texts: list[str], seconds: float, *, headers: Any = None) -> Any:
    """Measure a closed loop: microseconds of the CPU for an answer, answers a second, and the times of one."""
    seen, spent = server.load({"texts": texts}, headers, connections=CONNECTIONS, seconds=seconds)
    status, taken = max(seen.items(), key=lambda pair: len(pair[1]))
    assert len(taken) == sum(map(len, seen.values())), {each: len(found) for each, found in seen.items()}
    times = np.array(taken) * 1e3
    return {
        "status": status, "us": 1e6 * spent / len(taken), "per_second": len(taken) / seconds,
        "p50_ms": float(np.percentile(times, 50)), "p99_ms": float(np.percentile(times, 99)),
    }  # fmt: skip


def stages(model: tg.TextClassifier, texts: list[str]) -> dict[str, float]:
    """Measure the parts of an answer in one thread: microseconds of the CPU for a text, in batches of 16."""
    batch, preparation = texts * 16, model.preparation_
    encoded = preparation.encode(batch)
    executor = model._require_fitted().executor

    def each(work: Any) -> float:
        found = []
        for _ in range(30):
            begun = time.process_time()
            work()
            found.append(time.process_time() - begun)
        return 1e6 * median(found) / len(batch)

    rows = executor(encoded)
    return {
        "tokenizer": each(lambda: preparation.encode(batch)),
        "network": each(lambda: executor(encoded)),
        "softmax": each(lambda: softmax(rows)),
        "predict_proba": each(lambda: model.predict_proba(batch)),
        "json": each(lambda: [json.dumps({"texts": texts}) for _ in batch]),
    }


def overload(server: Running, texts: list[str], seconds: float) -> list[dict[str, float]]:
    """Measure open loops at shares and multiples of the rate that a sweep reaches."""
    capacity = 0.0
    for connections in (8, 32):
        seen, _ = server.load({"texts": texts}, connections=connections, seconds=seconds)
        capacity = max(capacity, len(seen.get(200, [])) / seconds)
    rows = []
    for share in (0.1, 0.5, 0.8, 1.0, 2.0, 5.0):
        seen, spent = server.load({"texts": texts}, rate=share * capacity, seconds=seconds)
        answered = seen.get(200, [])
        good = [taken for taken in answered if taken <= DEADLINE]
        times = np.array(good or [np.nan]) * 1e3
        refused = sum(len(taken) for status, taken in seen.items() if status != 200)
        p50, p99 = (float(np.percentile(times, part)) for part in (50, 99))
        late = len(answered) - len(good)
        row = {"share": share, "rate": share * capacity, "goodput": len(good) / seconds / capacity}
        rows.append(row | {"p50_ms": p50, "p99_ms": p99, "late": late, "refused": refused, "cpu_s": spent})
    return rows


def streams(server: Running, seconds: float) -> dict[str, float]:
    """Measure live streams: microseconds of the CPU for a step, one or 64 in a message; and bytes of a session."""
    found = {}
    with tg.Client(f"http://127.0.0.1:{server.port}") as client:
        for together in (1, 64):
            stream, steps, before = client.stream(), 0, server.cpu()
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                stream.push(["film"] * together)
                steps += together
            found[f"us_{together}"] = 1e6 * (server.cpu() - before) / steps
            stream.close()
    many = 2000
    before_bytes = server.memory()
    for number in range(1, many + 1):
        text = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["film"]}
        content = {"inputs": [text], "parameters": {"sequence_id": number, "sequence_start": True}}
        url = f"http://127.0.0.1:{server.port}/v2/models/model/infer"
        with urllib.request.urlopen(url, json.dumps(content).encode()) as answer:
            answer.read()
    return found | {"session_bytes": (server.memory() - before_bytes) / many}


def main() -> None:
    """Measure, print, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    where, seconds, model = machine(1), args.seconds, tg.load(args.model)
    texts = {"short": [SHORT], "long": [SHORT * 12]}
    found: dict[str, Any] = {"stages": {name: stages(model, each) for name, each in texts.items()}}
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "model.onnx"
        export = [sys.executable, "-m", "tidegate", "export", args.model, "--to", "onnx", "-o", graph]
        subprocess.run(export, check=True, capture_output=True)
        limits = ("--threads", 1, "--metrics-port", 0, "--max-connections", 4000)
        ours: tuple[object, ...] = ("tidegate", "serve", "--name", f"model={args.model}", *limits)
        with (
            started(*ours, "--port", path="/v1/predict") as us,
            started("benchmarks.serving_fastapi", graph, path="/predict") as them,
        ):
            compare(us, them, model)
            found["door"] = cost(us, texts["short"], seconds, headers={"Origin": "http://elsewhere.example"})
            found["cost"] = {}
            for name, each in texts.items():
                rounds = [(cost(us, each, seconds), cost(them, each, seconds)) for _ in range(3)]
                for side, rival in enumerate(("tidegate", "fastapi + onnxruntime")):
                    middle = sorted((pair[side] for pair in rounds), key=lambda one: one["us"])[1]
                    found["cost"][f"{rival}, {name}"] = middle
            found["streams"] = streams(us, seconds)
        with (
            started(*ours, "--deadline", DEADLINE, "--port", path="/v1/predict") as us,
            started("benchmarks.serving_fastapi", graph, path="/predict") as them,
        ):
            found["overload"] = {name: overload(us, each, seconds) for name, each in texts.items()}
            found["overload of fastapi + onnxruntime"] = overload(them, texts["long"], seconds)
    print(json.dumps(found, indent=1))
    save(
        "serving",
        __doc__,
        where,
        setting={"connections": CONNECTIONS, "deadline": DEADLINE, "seconds": seconds},
        **found,
    )


def compare(us: Running, them: Running, model: Any) -> None:
    """Check that both answer what the model does."""
    for server, read in ((us, _ours), (them, _theirs)):
        url = f"http://127.0.0.1:{server.port}{server.path}"
        request = urllib.request.Request(
            url, json.dumps({"texts": [SHORT]}).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            np.testing.assert_allclose(read(json.load(answer)), model.predict_proba([SHORT]), atol=1e-5)


def _ours(told: Any) -> Any:
    return [list(answer["probabilities"].values()) for answer in told["answers"]]


def _theirs(told: Any) -> Any:
    return told["probabilities"]


if __name__ == "__main__":
    main()
