"""Stand where Ray would: call what is handed over in processes of this machine, which can be killed.

Or be gone, or refuse.
"""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

from tidegate.scale.clerk import carry_out, serve


def call_here(link: Connection, address: str) -> None:
    """Be a clerk with one machine, this one, that lends four cores."""
    answering, running = threading.Lock(), dict[int, subprocess.Popen[bytes]]()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def call(number: int, function: Any, args: Any, cpus: int, on: str, folder: str, retries: int) -> None:
        for _ in range(1 + retries):
            line = [sys.executable, "-m", "clerks"]
            running[number] = subprocess.Popen(
                line, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
            if found := running[number].communicate(pickle.dumps((folder, cpus, function, args)))[0]:
                break
        with answering:
            answer = pickle.loads(found) if found else ("lost", "its process was killed")  # noqa: S301
            link.send((number, *answer))

    link.send(None)
    while (asked := link.recv()) is not None:
        what, number, *given = asked
        if what == "nodes":
            with answering:
                link.send((number, "gave", [("1", socket.gethostname(), "127.0.0.1", 4)]))
        elif what == "submit":
            threading.Thread(target=call, args=(number, *given), daemon=True).start()
        elif number in running:
            running[number].kill()
    for process in running.values():
        process.kill()


def go_at_once(link: Connection, address: str) -> None:
    """Be a clerk whose cluster goes when the first thing is handed over."""
    link.send(None)
    link.recv()


def be_refused(error: Exception, link: Connection, address: str) -> None:
    """Be the clerk itself, with a Ray that raises an error where it is to join a cluster."""

    def init(**_: Any) -> None:
        raise error

    sys.modules["ray"] = ModuleType("ray")
    sys.modules["ray"].init = init  # type: ignore[attr-defined]
    serve(link, address)


def main() -> None:
    """Call the function that stdin brings."""
    answer, given = os.dup(1), pickle.loads(sys.stdin.buffer.read())  # noqa: S301
    os.dup2(2, 1)
    with os.fdopen(answer, "wb") as file:
        file.write(pickle.dumps(carry_out(*given)))


if __name__ == "__main__":
    main()
