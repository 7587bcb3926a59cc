"""Measure what a request costs a server, by stage, beside other servers of the same model.

python -m benchmarks.serving MODEL [--seconds 3] [--peers PYTHON]

MODEL is a text classifier that answers while a text comes in. Seconds of the CPU are those of the server's processes,
as the kernel counts them; generators run in processes of their own, on loopback, and where there are two cores, servers
have one of them and generators the other. The rivals, FastAPI with ONNX Runtime and LitServe with ONNX Runtime, are
asked the same texts in turn, and their answers are compared first; a lone request also of `benchmarks.serving_direct`.
PYTHON is an interpreter that has fastapi, litserve, onnxruntime and tokenizers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import numpy as np

import tidegate as tg
from benchmarks.record import machine, save
from benchmarks.serving_processes import OURS, Running, beside, started
from tidegate.kernels import softmax
from tidegate.serve.messages import PredictRequest

SHORT = "I laughed, I cried, and I would see this film again at any time, but not the sequel that they made of it."
CONNECTIONS = 32
ROUNDS = 3


def cost(server: Running, texts: list[str], seconds: float, *, status: int = 200, **how: Any) -> Any:
    """Measure a closed loop: microseconds of the CPU for an answer, answers a second, and the times of one."""
    connections, headers = how.get("connections", CONNECTIONS), how.get("headers")
    server.load({"texts": texts}, headers, connections=connections, seconds=0.3)
    seen, _, spent = server.load({"texts": texts}, headers, connections=connections, seconds=seconds)
    assert set(seen) == {status}, {each: len(found) for each, found in seen.items()}
    times = np.array(seen[status]) * 1e3
    return {
        "us": 1e6 * spent / len(times), "per_second": len(times) / seconds,
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

    rows, decoder = executor(encoded), msgspec.json.Decoder(PredictRequest)
    body = json.dumps({"texts": texts}).encode()
    return {
        "tokenizer": each(lambda: preparation.encode(batch)),
        "network": each(lambda: executor(encoded)),
        "softmax": each(lambda: softmax(rows)),
        "predict_proba": each(lambda: model.predict_proba(batch)),
        "json": each(lambda: [decoder.decode(body) for _ in batch]),
    }


def lone(us: Running, direct: Running, texts: dict[str, list[str]], seconds: float) -> dict[str, Any]:
    """Measure one connection, in turn with a server that has no batcher: medians of requests, and their ratio."""
    found = {}
    for name, each in texts.items():
        pairs = [
            [cost(server, each, seconds / 2, connections=1)["p50_ms"] for server in (us, direct)]
            for _ in range(2 * ROUNDS)
        ]
        ours, theirs = np.median(pairs, axis=0)
        found[name] = {"batched_ms": float(ours), "direct_ms": float(theirs), "ratio": float(ours / theirs)}
    return found


def compare(servers: dict[str, Running], model: Any) -> None:
    """Check that all answer what the model does."""
    wanted = model.predict_proba([SHORT])
    for server in servers.values():
        body = json.dumps({"texts": [SHORT]}).encode()
        request = urllib.request.Request(server.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            told = json.load(answer)
        rows = told.get("probabilities") or [list(each["probabilities"].values()) for each in told["answers"]]
        np.testing.assert_allclose(rows, wanted, atol=1e-5)


def main() -> None:
    """Measure, print, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--peers", metavar="PYTHON")
    args = parser.parse_args()
    where, seconds, model = machine(1), args.seconds, tg.load(args.model)
    texts = {"short": [SHORT], "long": [SHORT * 12]}
    found: dict[str, Any] = {"stages": {name: stages(model, each) for name, each in texts.items()}}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        graph = Path(folder) / "model.onnx"
        export = [sys.executable, "-m", "tidegate", "export", args.model, "--to", "onnx", "-o", graph]
        subprocess.run(export, check=True, capture_output=True)
        servers = {
            "tidegate": stack.enter_context(
                started(*OURS, "--name", f"model={args.model}", "--port", path="/v1/predict")
            ),
        }
        for rival in ("fastapi", "litserve") if args.peers is not None else ():
            script = Path(__file__).parent / f"serving_{rival}.py"
            servers[rival] = stack.enter_context(started(script, graph, path="/predict", python=args.peers))
        servers["direct"] = stack.enter_context(
            started("-m", "benchmarks.serving_direct", args.model, path="/v1/predict")
        )
        stack.enter_context(beside())
        compare(servers, model)
        us = servers["tidegate"]
        strange = {"Origin": "http://elsewhere.example"}
        found["refused"] = cost(us, texts["short"], seconds, status=403, headers=strange)
        found["lone"] = lone(us, servers.pop("direct"), texts, seconds)
        found["cost"] = {}
        for name, each in texts.items():
            rounds = [{of: cost(server, each, seconds) for of, server in servers.items()} for _ in range(ROUNDS)]
            for of in servers:
                found["cost"][f"{of}, {name}"] = sorted((one[of] for one in rounds), key=lambda one: one["us"])[
                    ROUNDS // 2
                ]
    print(json.dumps(found, indent=1))
    save("serving", __doc__, where, setting={"connections": CONNECTIONS, "seconds": seconds, "rounds": ROUNDS}, **found)


if __name__ == "__main__":
    main()
