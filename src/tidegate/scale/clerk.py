"""The process that speaks with Ray, and the frame in which others run there. Knows nothing of what is run.

Ray ends every process that is linked to a cluster whose head is gone. This one may die so, and nobody else does.
"""

from __future__ import annotations

import os
import pickle
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from multiprocessing.connection import Connection
from textwrap import shorten
from typing import Any

from tidegate.children import follow_parent
from tidegate.errors import RunFolderError, WorkerError
from tidegate.kernels.threads import set_num_threads

_NONE = "no Ray runs on this machine; `ray start` begins a cluster, or joins one"
_TOLD = 400  # characters of what Ray says, which may go on for pages


def serve(link: Connection, address: str) -> None:
    """Hand over what comes through a link, and send back what it comes to, until None comes."""
    follow_parent()
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # what Ray says there is said by the errors, too
        os.dup2(silence, stream)
    try:
        import ray

        ray.init(address=address, log_to_driver=False, logging_level="CRITICAL")
    except Exception as error:  # noqa: BLE001  (of many kinds; whatever it is, it is told)
        none = "Could not find any running Ray" in str(error)
        link.send(_NONE if none else shorten(f"{type(error).__name__}: {error}", _TOLD, placeholder=" ..."))
        return
    link.send(None)
    clerk = _Clerk(link)
    while (asked := link.recv()) is not None:
        clerk.do(*asked)
    ray.shutdown()


class _Clerk:
    """Keep what was handed over, by numbers, until it is answered."""

    def __init__(self, link: Connection) -> None:
        self._link, self._answering = link, threading.Lock()
        self._handed: dict[int, Any] = {}

    def do(self, what: str, number: int, *given: Any) -> None:
        """Do what the other end asks, under a number."""
        match what:
            case "nodes":
                self._answer(number, "gave", _nodes())
            case "submit":
                self._submit(number, *given)
            case "cancel":
                self._cancel(number)

    def _submit(
        self,
        number: int,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        cpus: int,
        node: str,
        folder: str,
        retries: int,
    ) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        where = NodeAffinitySchedulingStrategy(node, soft=True) if node else "SPREAD"
        task: Any = ray.remote(num_cpus=cpus, max_retries=retries, scheduling_strategy=where)(carry_out)
        handed = self._handed[number] = task.remote(folder, cpus, function, args)
        handed.future().add_done_callback(partial(self._end, number))

    def _cancel(self, number: int) -> None:
        import ray

        if number in self._handed:
            ray.cancel(self._handed[number], force=True)

    def _end(self, number: int, done: Future[Any]) -> None:
        from ray.exceptions import RayError, RayTaskError

        try:
            how, value = done.result()
        except RayTaskError as error:  # it did not even begin
            told = f"a machine of the cluster cannot begin what it is asked to do: {str(error).splitlines()[-1]}"
            how, value = "raised", WorkerError(f"{told}. Install the same Tidegate on each.")
        except (RayError, Exception) as error:  # noqa: BLE001  (its process is lost, or its machine)
            how, value = "lost", str(error).partition("\n")[0]
        self._handed.pop(number, None)
        self._answer(number, how, value)

    def _answer(self, number: int, how: str, value: Any) -> None:
        with self._answering:
            self._link.send((number, how, value))


def _nodes() -> list[tuple[str, str, str, int]]:
    """List the machines that are there and run tasks: name, host, address and cores."""
    import ray

    alive = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    return sorted(
        (node["NodeID"], node["NodeManagerHostname"], node["NodeManagerAddress"], int(node["Resources"]["CPU"]))
        for node in alive
    )


def carry_out(folder: str, cpus: int, function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[str, Any]:
    """Call a function where this is, with so many threads, in a folder, if one is named.

    Returns what it gave, or the error that it raised.
    """
    set_num_threads(cpus)
    try:
        if folder:
            _enter(folder)
        return "gave", function(*args)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is raised where it was wanted)
        return "raised", _travelling(error)


def _travelling(error: Exception) -> Exception:
    """Give an error that arrives: some cannot be made again elsewhere."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  (our own)
    except Exception:  # noqa: BLE001  (of many kinds)
        return WorkerError(f"{type(error).__name__}: {error}")
    return error


def _enter(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError:
        told = f"the machine {socket.gethostname()} has no folder {folder}"
        raise RunFolderError(f"{told}. Call this in one that all machines share.") from None
