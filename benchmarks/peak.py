"""What can this machine do at most? Multiply-adds in registers, gate functions, the best sgemm, reading each memory.

The denominators of all shares: measured on the same cores as what they are compared with, in a process of their own.

    python -m benchmarks.peak [--threads 4]
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import race

SOURCE = Path(__file__).with_suffix(".c")
ROUNDS = 10
MEMORIES = {"L2": 2**18, "L3": 2**22, "memory": 2**27}  # bytes per thread
LANES = 64  # bytes to which an array of vectors is aligned


def measure(threads: int) -> dict[str, float]:
    """Measure in a process that is pinned as the rivals are; gigaflops and gigabytes per second by name."""
    command = [sys.executable, "-m", "benchmarks.peak", "--json", "--threads", str(threads)]
    variables = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    environment = {**os.environ, **variables, "BENCHMARK_CORES": race.cores(threads)}
    done = subprocess.run(command, cwd=race.ROOT, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def build(folder: str) -> Any:
    """Compile the loops for this machine."""
    library = Path(folder) / "peak.so"
    flags = ["-O2", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC", "-Wno-psabi"]
    subprocess.run(["cc", *flags, str(SOURCE), "-o", str(library)], check=True)
    loops = ctypes.CDLL(str(library))  # a call lets go of the interpreter, so threads run side by side
    loops.fma_loop.argtypes = [ctypes.c_long, ctypes.c_float, ctypes.c_float]
    loops.read_loop.argtypes = [ctypes.c_void_p, ctypes.c_long, ctypes.c_long]
    return loops


def best(threads: int, work: Callable[[int], object]) -> float:
    """Run the work on all threads at once, a few times; return the processor's seconds of the fastest time."""

    def timed(thread: int) -> float:
        begin = time.thread_time()
        work(thread)
        return time.thread_time() - begin

    with ThreadPoolExecutor(threads) as pool:
        return min(max(pool.map(timed, range(threads))) for _ in range(ROUNDS))


def multiply_adds(loops: Any, threads: int) -> float:
    steps = 2_000_000
    seconds = best(threads, lambda _: loops.fma_loop(steps, 0.999, 1e-3))
    return float(2 * steps * loops.fma_lanes() * threads / seconds / 1e9)


def reading(loops: Any, threads: int, size: int) -> float:
    """Return the gigabytes per second that all threads read from arrays of ``size`` bytes each."""
    raw = [np.ones(size + LANES, np.uint8) for _ in range(threads)]
    starts = [-array.ctypes.data % LANES + array.ctypes.data for array in raw]
    vectors = loops.fma_lanes() // loops.fma_chains()
    rounds = max(1, 2**28 // size)
    seconds = best(threads, lambda i: loops.read_loop(starts[i], size // 4 // vectors, rounds))
    return size * rounds * threads / seconds / 1e9


def functions(threads: int) -> float:
    """Return how many billion values of sigmoid and tanh, as many of the one as of the other, are computed a second."""
    from tidegate import kernels

    x = np.linspace(-4, 4, 2**14, dtype=np.float32)
    repeats = 200

    def work(_: int) -> None:
        for _ in range(repeats):
            for name in ("sigmoid", "tanh"):
                kernels.activate(x, name, num_threads=1)

    return 2 * repeats * len(x) * threads / best(threads, work) / 1e9


def products(threads: int, m: int, n: int, k: int) -> float:
    """Return the gigaflops of torch's matrix product ``[m, k] @ [k, n]`` in float32."""
    import torch

    torch.set_num_threads(threads)
    a, b = torch.randn(m, k), torch.randn(k, n)
    out = torch.empty(m, n)
    repeats = max(1, 2**33 // (2 * m * n * k))
    seconds = best(1, lambda _: [torch.mm(a, b, out=out) for _ in range(repeats)])
    return 2 * m * n * k * repeats / seconds / 1e9


def measure_here(threads: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        loops = build(folder)
        found = {"FMA in registers, GFLOP/s": multiply_adds(loops, threads)}
        found["gate functions, billion/s"] = functions(threads)
        for name, size in MEMORIES.items():
            found[f"reading {name}, GB/s"] = reading(loops, threads, size)
    found["sgemm 2048 x 2048 x 2048, GFLOP/s"] = products(threads, 2048, 2048, 2048)
    found["sgemm of a step, 128 x 512 x 128, GFLOP/s"] = products(threads, 128, 512, 128)
    return {name: round(value, 3) for name, value in found.items()}


def main() -> None:
    """Print what was measured, as lines or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    race.pin()
    found = measure_here(args.threads)
    print(json.dumps(found) if args.json else "\n".join(f"{name:45} {value:10,.1f}" for name, value in found.items()))


if __name__ == "__main__":
    main()
