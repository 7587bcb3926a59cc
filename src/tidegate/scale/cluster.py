"""A cluster that Ray runs: calls functions on its machines, and tells who was lost. Knows nothing of what is called."""

from __future__ import annotations

import re
import secrets
import socket
import threading
from collections import Counter
from collections.abc import Callable, Container, Iterator
from concurrent.futures import BrokenExecutor, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Self, TypeAlias

from tidegate.errors import InputError, MissingPackageError, WorkerError
from tidegate.kernels.lanes import MOST
from tidegate.scale.clerk import serve
from tidegate.scale.places import Ended, Waiting
from tidegate.scale.wire import Address, address_of, listen
from tidegate.scale.worker import work

Call: TypeAlias = Callable[..., Any]

_KNOCKING = 10.0  # seconds in which a port must open
_COMING = 90.0  # seconds in which a cluster must answer
_ENDING = 5.0  # seconds that what was called has to end by itself
_RETRIES = 3  # of a call whose process was lost
_ANY_PORT, _LAST_PORT = 9, 65_535
_ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")


class LostError(BrokenExecutor):
    """Tell that a process that was called something of is lost, or its machine."""


@dataclass(frozen=True)
class Machine:
    """Say what a machine of a cluster is called, by Ray and by people, where it is, and how many cores it lends."""

    name: str
    host: str
    address: str
    cpus: int

    @property
    def own(self) -> bool:
        """Tell whether it is the one on which this runs."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, suppress(OSError):
            sock.bind((self.address, 0))
            return True
        return False


class Cluster:
    """Call functions on the machines of a cluster of Ray.

    The same Tidegate, Python and Ray must be installed on each. Ray itself is loaded by a process of its own.

    Args:
        address: `auto`, or that of the head, `HOST:PORT`, of a cluster that this machine has joined.

    Raises:
        InputError: the address is none, or one for machines that have not joined, `ray://...`: none could link back.
        MissingPackageError: Ray is not installed.
        WorkerError: no cluster answers there.

    >>> with Cluster("auto") as cluster:  # doctest: +SKIP
    ...     losses = [step.loss for step in train("digits", workers=2, place=OnCluster(cluster))]
    """

    def __init__(self, address: str) -> None:
        if "://" in address:
            told = "the machines of a cluster must reach this one. Join it with `ray start --address=HOST:PORT`"
            raise InputError(f"--cluster {address}: {told}, and use --cluster auto.")
        if address != "auto" and not (_ADDRESS.fullmatch(address) and int(address.rpartition(":")[2]) <= _LAST_PORT):
            raise InputError(f"--cluster {address!r:.80}: wanted `auto`, or the address of the head, HOST:PORT.")
        if find_spec("ray") is None:
            raise MissingPackageError.of("ray", "cluster", "--cluster")
        if address != "auto":
            _knock(address)
        self.address, self._numbers = address, count()
        self._open, self._sending = dict[int, Future[Any]](), threading.Lock()
        context = get_context("spawn")
        self._link, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other, address), daemon=True)
        self._process.start()
        other.close()
        try:
            self._await()
        except BaseException:
            self._process.kill()
            self._process.join()
            raise
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    @property
    def told(self) -> str:
        """Say in a few words what it is."""
        machines = self.machines()
        count = "one machine" if len(machines) == 1 else f"{len(machines)} machines"
        return f"a cluster of {count} with {sum(each.cpus for each in machines)} cores"

    def machines(self) -> list[Machine]:
        """List the machines that are there now; raises WorkerError where there is none."""
        found = [Machine(*told) for told in self._ask("nodes").result()]
        if not found:
            raise WorkerError(f"the cluster at {self.address} has no machine that lends a core.")
        return found

    def submit(self, function: Call, /, *args: Any) -> Future[Any]:
        """Have a function called with a core, in the folder where this process is; again where its process is lost.

        What it gives or raises is that of the future, or LostError where its process is lost again and again, or
        WorkerError where the cluster is gone. It must be found by its name on all machines.
        """
        return self.call(function, *args, within=str(Path.cwd()), retries=_RETRIES)

    def call(
        self, function: Call, /, *args: Any, cpus: int = 1, on: str = "", within: str = "", retries: int = 0
    ) -> Future[Any]:
        """Have a function called as `submit` does, with so many cores, on a machine by name if that is there.

        within: a folder; by default that where Ray begins processes.
        """
        return self._ask("submit", function, args, cpus, on, within, retries)

    def share(self, count: int) -> int:
        """Say how many cores each of so many calls can have at once; raises InputError where that is none."""
        machines = self.machines()
        for cpus in range(max(each.cpus for each in machines), 0, -1):
            if sum(each.cpus // cpus for each in machines) >= count:
                return cpus
        have = sum(each.cpus for each in machines)
        raise InputError(f"{count} at the same time: the cluster at {self.address} has {have} cores. Take fewer.")

    def cancel(self, future: Future[Any]) -> None:
        """Kill the process that is busy for a future."""
        for number, one in list(self._open.items()):
            if one is future:
                with self._sending, suppress(OSError):
                    self._link.send(("cancel", number))

    @contextmanager
    def pool(self) -> Iterator[Self]:
        """Cancel, at the end of a block, what was submitted within it and is not done."""
        before = set(self._open)
        try:
            yield self
        finally:
            for number, future in list(self._open.items()):
                if number not in before:
                    self.cancel(future)

    def listening(self) -> socket.socket:
        """Wait for links at a free port of the address by which the machines of the cluster reach this one."""
        near = min(self.machines(), key=lambda machine: machine.own)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((near.address, _ANY_PORT))  # which sends nothing
            return listen((sock.getsockname()[0], 0))

    def close(self) -> None:
        """Leave the cluster; what still runs there ends."""
        with self._sending, suppress(OSError):
            self._link.send(None)
        self._process.join(_ENDING)
        self._process.kill()
        self._process.join()
        self._reading.join()
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _await(self) -> None:
        told: str | None = "it did not answer"
        with suppress(EOFError):  # Ray has ended its process
            if self._link.poll(_COMING):
                told = self._link.recv()
        if told is not None:
            raise _unusable(self.address, told)

    def _ask(self, what: str, *given: Any) -> Future[Any]:
        number, future = next(self._numbers), Future[Any]()
        self._open[number] = future
        try:
            with self._sending:
                self._link.send((what, number, *given))
        except OSError:
            self._lose()
        return future

    def _read(self) -> None:
        """Settle what is answered, until the process that speaks with Ray ends."""
        while True:
            try:
                number, how, value = self._link.recv()
            except (EOFError, OSError):
                break
            if (future := self._open.pop(number, None)) is None:
                continue  # it was told already that the cluster is gone
            if how == "gave":
                future.set_result(value)
            else:
                future.set_exception(LostError(value) if how == "lost" else value)
        self._lose()

    def _lose(self) -> None:
        """Let all know who wait that there is no cluster any more."""
        with suppress(KeyError):
            while True:
                _, future = self._open.popitem()
                told = f"the cluster at {self.address} is gone, or the way to it"
                future.set_exception(WorkerError(f"{told}. A run goes on with --resume, all else by the same command."))


def _unusable(address: str, told: str) -> WorkerError:
    advice = "See that it runs there, with the same Ray, Python and token (RAY_AUTH_MODE, RAY_AUTH_TOKEN_PATH) as here"
    return WorkerError(f"no cluster can be used at {address!r}: {told.rstrip('.')}. {advice}.")


def _knock(address: str) -> None:
    """Raise WorkerError where nobody listens: Ray itself would look for a minute and a half."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCKING).close()
    except OSError as error:
        raise _unusable(address, f"nobody listens there, {error}") from None


class OnCluster:
    """Begin workers on the machines of a cluster: one on each that is not this one, then further ones in turn.

    They share the cores of their machine, and link to this process, and to each other, by the addresses that the
    machines have in the cluster.
    """

    shared = False
    coming = 600.0  # a core may have to come free first, or a machine be begun

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self._begun = cluster, False
        self._spots: list[tuple[Machine, int]] = []
        self._calls: dict[int, Future[Any]] = {}

    @property
    def fitting(self) -> int:
        """How many workers there are with one on each machine."""
        return min(MOST, 1 + sum(not machine.own for machine in self.cluster.machines()))

    @contextmanager
    def listening(self, count: int) -> Iterator[Waiting]:
        """Wait for workers while a block lasts; after a loss they share the cores that are left, or wait for some.

        Raises InputError where there are too few cores at first.
        """
        self._spots = spots(self.cluster.machines(), count - 1, crowded=self._begun)
        self._begun = True
        with self.cluster.listening() as listener:
            yield listener, address_of(listener), secrets.token_bytes(32)

    def start(self, rank: int, address: Address, key: bytes) -> None:
        """Begin a worker; one that is lost is not begun again by Ray, for worker 0 does that."""
        machine, cpus = self._spots[rank - 1]
        self._calls[rank] = self.cluster.call(partial(work, address, key, rank=rank), cpus=cpus, on=machine.name)

    def ended(self, come: Container[int]) -> Ended | None:
        """Say which worker has ended that was begun and has not come."""
        for rank, future in self._calls.items():
            if rank not in come and future.done():
                error, name = future.exception(), f"worker {rank} (on {self._spots[rank - 1][0].host})"
                return Ended(rank, name, isinstance(error, LostError), f": {error}".rstrip(".") if error else "")
        return None

    def stop(self) -> None:
        """End all workers; those that were sent home, or see that nobody is there, end by themselves."""
        for future in wait(self._calls.values(), _ENDING).not_done:
            self.cluster.cancel(future)
        self._calls.clear()


def spots(machines: list[Machine], count: int, *, crowded: bool = False) -> list[tuple[Machine, int]]:
    """Say on which machine each of so many workers runs, this one the last, and with how many cores.

    crowded: where a machine has fewer cores than workers, all take one core each, and those for whom there is none wait
        until one comes free, as after the loss of a machine; otherwise that raises InputError.

    >>> far, near = Machine("1", "far", "192.0.2.1", 8), Machine("2", "near", "127.0.0.1", 4)
    >>> [(machine.host, cpus) for machine, cpus in spots([near, far], 3)]
    [('far', 4), ('near', 2), ('far', 4)]
    """
    order = sorted(machines, key=lambda machine: machine.own)
    chosen = [order[index % len(order)] for index in range(count)]
    many = Counter(machine.name for machine in chosen)
    for machine in order:
        if many[machine.name] > machine.cpus and crowded:
            cores = [each for each in order for _ in range(each.cpus)]
            return [(cores[index % len(cores)], 1) for index in range(count)]
        if many[machine.name] > machine.cpus:
            told = f"{many[machine.name]} workers would be on {machine.host}, which lends {machine.cpus} cores"
            raise InputError(f"{count + 1} workers: {told}. Take fewer.")
    return [(each, max(1, each.cpus // (many[each.name] + each.own))) for each in chosen]
