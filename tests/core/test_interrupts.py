"""Ctrl-C ends a kernel at once and harms nothing; the interpreter ends quietly, whatever threads are in a kernel."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

BEGIN = """
import sys, threading, time
import numpy as np
from tidegate import kernels
H, T, cell = 512, 200_000, "lstm"
d = kernels.Direction(np.full((4 * H, 1), 0.01, np.float32), np.full((4 * H, H), 0.001, np.float32))
x = np.zeros((T, 1), np.float32)
def run(steps):
    return kernels.forward(cell, x[:steps], np.array([0, steps]), [d]).h
"""

INTERRUPTED = (
    BEGIN
    + """
before = run(5)
print("go", flush=True)
try:
    run(T)
except KeyboardInterrupt:
    print("interrupted", (run(5) == before).all())
"""
)

HANDLED = (
    BEGIN
    + """
import signal
short, long = run(5), run(2000)
calls = []
signal.signal(signal.SIGINT, lambda *_: calls.append((run(5) == short).all()))
print("go", flush=True)
while len(calls) < 2:
    assert (run(2000) == long).all()
    if len(calls) == 1:
        print("once", flush=True)
assert all(calls)
print("whole")
"""
)

ENDS = (
    BEGIN
    + """
def work():
    while True:
        run(20_000)
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
print("go", flush=True)
sys.exit(7)
"""
)


def started(code: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None and process.stdout.readline() == "go\n"
    return process


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_ends_a_kernel_at_once_and_the_next_call_is_right(threads: int) -> None:
    with started(INTERRUPTED.replace("before =", f"kernels.set_num_threads({threads})\nbefore =")) as process:
        time.sleep(0.3)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        said, trouble = process.communicate(timeout=60)
        assert said == "interrupted True\n", trouble
        assert time.monotonic() - begun < 5  # 0.2 s on a machine that does nothing else; whole, it takes some 15 s


def test_a_handler_that_does_not_raise_may_call_a_kernel_and_the_other_goes_on() -> None:
    with started(HANDLED) as process:
        assert process.stdout is not None
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "once\n"
        process.send_signal(signal.SIGINT)
        said, trouble = process.communicate(timeout=100)
    assert said.endswith("whole\n"), trouble


def test_the_interpreter_ends_with_its_own_exit_code_while_threads_are_in_a_kernel() -> None:
    with started(ENDS) as process:
        _, trouble = process.communicate(timeout=60)
    assert (process.returncode, trouble) == (7, "")
