"""Measure live streams of a server: the CPU of a step, how many steps a core takes, and the memory of a session.

python -m benchmarks.serving_streams MODEL [--seconds 3]

MODEL is a text classifier that answers while a text comes in. Steps come from one socket or from 64, one or 64 in a
message. The server has one core, who asks another. A session that rests is counted by what the server's memory grows
with many.
"""

from __future__ import annotations

import argparse
import json
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from benchmarks.record import machine, save
from benchmarks.serving_processes import OURS, Running, beside, started

WAYS = ((1, 1), (1, 64), (64, 1), (64, 64))  # sockets, steps in a message
SESSIONS = 20_000
WORDS = ("a", "moving", "film", "that", "lasts")


def steps(server: Running, sockets: int, together: int, seconds: float) -> dict[str, float]:
    """Send steps from some sockets for some seconds, and count those that were answered."""
    url, taken, turn = f"ws://127.0.0.1:{server.port}/v1/streams/model", 0, 0
    with ExitStack() as stack:
        wires = [stack.enter_context(connect(url, compression=None, proxy=None)) for _ in range(sockets)]
        for wire in wires:
            wire.send(json.dumps({"begin": {}}))
            wire.recv(timeout=20)
        begun, before = time.perf_counter(), server.cpu()
        while time.perf_counter() < begun + seconds:
            message = json.dumps({"steps": [WORDS[(turn + at) % len(WORDS)] for at in range(together)]})
            for wire in wires:
                wire.send(message)
            for wire in wires:
                said = json.loads(wire.recv(timeout=20))
                assert "error" not in said, said
            taken, turn = taken + sockets * together, turn + 1
        spent, passed = server.cpu() - before, time.perf_counter() - begun
    return {"sockets": sockets, "together": together, "us": 1e6 * spent / taken, "per_second": taken / passed}


def session_bytes(server: Running) -> float:
    """Begin many sessions, which take one step and rest; return the bytes by which each lets the memory grow."""

    def begin(number: int) -> None:
        text = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["film"]}
        content = {"inputs": [text], "parameters": {"sequence_id": number, "sequence_start": True}}
        url = f"http://127.0.0.1:{server.port}/v2/models/model/infer"
        with urllib.request.urlopen(url, json.dumps(content).encode(), timeout=20) as answer:
            answer.read()

    for number in range(1, 1001):  # what the first need is not theirs alone
        begin(number)
    before = server.memory()
    for number in range(1001, SESSIONS + 1001):
        begin(number)
    return (server.memory() - before) / SESSIONS


def main() -> None:
    """Measure, print, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    where, found = machine(1), dict[str, Any]()
    with started(*OURS, "--name", f"model={args.model}", "--port", path="/v1/predict") as server, beside():
        found["steps"] = [steps(server, *way, args.seconds) for way in WAYS]
        found["session_bytes"] = session_bytes(server)
    found["sessions_per_gib"] = 2**30 / found["session_bytes"]
    print(json.dumps(found, indent=1))
    save("serving-streams", __doc__, where, setting={"seconds": args.seconds, "sessions": SESSIONS}, **found)


if __name__ == "__main__":
    main()
