"""Measure what is answered in time when more is asked than can be answered.

python -m benchmarks.serving_overload MODEL [--seconds 2] [--sizes NAME ...] [--peers PYTHON]

Requests arrive by chance at a rate, whether others are answered or not; one is good that is answered within the
deadline from when it should have been sent. MODEL is a text classifier; requests of 0.1, 1 and 10 ms of the CPU are
made of more or fewer texts. Capacity is the best goodput of a sweep of rates, and of 32 that ask in turn. The server
has one core, the generator another. With `--peers`, an interpreter with fastapi, onnxruntime and tokenizers, FastAPI
and ONNX Runtime, which refuse nothing, are asked the requests of 1 ms.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import machine, save
from benchmarks.serving import SHORT
from benchmarks.serving_processes import OURS, Running, beside, started
from tidegate.tasks.wire import CHARACTERS

DEADLINE = 0.2
PLACES = 2**20  # tokens that may wait
SIZES = {"0.1 ms": 1e-4, "1 ms": 1e-3, "10 ms": 1e-2}
SWEEP = (0.8, 1.0, 1.25, 1.6, 2.0, 2.5)
SHARES = (0.1, 0.5, 0.8, 1.0, 2.0, 5.0, 10.0)


def opened(server: Running, texts: list[str], rate: float, seconds: float) -> dict[str, Any]:
    """Ask at a rate; goodput and rates are a second, times are those of good answers."""
    seen, sent, spent = server.load(
        {"texts": texts}, rate=rate, seconds=seconds, connections=int(min(max(rate * DEADLINE, 16), 2000))
    )
    answered = np.array(seen.get(200, []))
    good = answered[answered <= DEADLINE]
    counts = {str(status): len(taken) for status, taken in seen.items()}
    p50, p99 = np.percentile(good, (50, 99)) * 1e3 if len(good) else (np.nan, np.nan)
    return {
        "rate": rate, "sent": sent / seconds, "good": len(good) / seconds, "p50_ms": float(p50), "p99_ms": float(p99),
        "late": int((answered > DEADLINE).sum()), "answers": counts, "cpu_s": spent,
    }  # fmt: skip


def served(server: Running, texts: list[str], connections: int, seconds: float) -> tuple[float, float]:
    """Measure a closed loop: seconds of the CPU for an answer, and good answers a second."""
    server.load({"texts": texts}, connections=connections, seconds=0.3)
    seen, _, spent = server.load({"texts": texts}, connections=connections, seconds=seconds)
    good = sum(taken <= DEADLINE for taken in seen[200])
    return spent / len(seen[200]), good / seconds


def refused(server: Running, texts: list[str], seconds: float) -> float:
    """Measure the CPU of a refusal, in seconds: all places are promised to one whose body does not come."""
    with holding(server):
        seen, _, spent = server.load({"texts": texts}, connections=32, seconds=seconds)
    assert set(seen) <= {0, 429}, list(seen)
    return spent / sum(map(len, seen.values()))


@contextmanager
def holding(server: Running) -> Iterator[None]:
    """Hold all places of a server."""
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (CHARACTERS * (PLACES - 1))
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", server.port), timeout=0.2) as wire:
            wire.sendall(head)
            try:
                wire.recv(1)  # another was there; again
            except TimeoutError:
                yield
                return
    raise RuntimeError("the places of the server are not free.")


def overload(server: Running, texts: list[str], seconds: float) -> dict[str, Any]:
    """Find the capacity, and measure at shares and multiples of it."""
    each, guess = served(server, texts, 4, seconds)
    peak = served(server, texts, 32, seconds)[1]
    refusal = refused(server, texts, seconds) if server.path == "/v1/predict" else float("nan")
    sweep = [opened(server, texts, share * guess, seconds) for share in SWEEP]
    capacity = max(peak, *(row["good"] for row in sweep))
    rows = [{"share": share, **opened(server, texts, share * capacity, seconds)} for share in SHARES]
    return {
        "texts": len(texts),
        "S_us": 1e6 * each,
        "d_us": 1e6 * refusal,
        "capacity": capacity,
        "sweep": sweep,
        "rows": rows,
    }


def main() -> None:
    """Measure, print, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument(
        "--sizes", nargs="+", choices=SIZES, default=[*SIZES], help="of requests; all, if none is named"
    )
    parser.add_argument("--peers", metavar="PYTHON")
    args = parser.parse_args()
    if args.peers is not None and "1 ms" not in args.sizes:
        parser.error("--peers are asked the requests of 1 ms; name that size, too")
    where, seconds, found = machine(1), args.seconds, dict[str, Any]()
    ours = (*OURS, "--deadline", DEADLINE, "--max-queue-tokens", PLACES, "--name", f"model={args.model}", "--port")
    with started(*ours, path="/v1/predict") as server, beside():
        one, many = (served(server, [SHORT] * count, 4, seconds)[0] for count in (1, 51))
        for name in args.sizes:
            wanted = SIZES[name]
            count = max(1, round(1 + 50 * (wanted - one) / (many - one)))
            found[name] = overload(server, [SHORT] * count, seconds * (1 if wanted < 5e-3 else 3))
            print_rows(name, found[name])
    if args.peers is not None:
        with tempfile.TemporaryDirectory() as folder:
            graph = Path(folder) / "model.onnx"
            export = [sys.executable, "-m", "tidegate", "export", args.model, "--to", "onnx", "-o", graph]
            subprocess.run(export, check=True, capture_output=True)
            rival = (Path(__file__).parent / "serving_fastapi.py", graph)
            with started(*rival, path="/predict", python=args.peers) as server, beside():
                found["fastapi"] = overload(server, [SHORT] * found["1 ms"]["texts"], seconds)
                print_rows("fastapi, the texts of 1 ms", found["fastapi"])
    which = "" if len(args.sizes) == len(SIZES) else "".join("-" + name.replace(" ", "-") for name in args.sizes)
    save(f"serving-overload{which}", __doc__, where, setting={"deadline": DEADLINE, "seconds": seconds}, **found)


def print_rows(name: str, found: dict[str, Any]) -> None:
    """Print one table."""
    costs = f"S {found['S_us']:.0f} us, d {found['d_us']:.0f} us"
    print(f"{name}: {found['texts']} texts, {costs}, capacity {found['capacity']:.0f}/s", flush=True)
    for row in found["rows"]:
        share = row["good"] / found["capacity"]
        print(f"  x{row['share']:<4g} sent {row['sent']:.0f}/s good {share:.3f} p50 {row['p50_ms']:.1f}", end=" ")
        print(f"p99 {row['p99_ms']:.1f} ms late {row['late']} {json.dumps(row['answers'])}", flush=True)


if __name__ == "__main__":
    main()
