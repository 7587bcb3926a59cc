"""What do workers cost and bring: a training step by two of them and by threads, and their exchange over networks?

A step of a BiLSTM over reviews that are drawn as long as those of IMDB, with a table of 10,000 words. The exchange is
that of two workers: of all numbers of the network, and with only those rows of the table that the batch reads, as it is
sent in training. As root, with iproute2, the two ends stand in network namespaces with a link as slow as a network.

    python -m benchmarks.workers [--rounds 7]

`python -m benchmarks.simulation` tells from the newest result what more workers would bring, up to 1,000.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from benchmarks.record import machine, save
from benchmarks.tables import rows
from tidegate.kernels.threads import set_num_threads
from tidegate.scale import Workers
from tidegate.scale.survey import reference, repeat, step
from tidegate.scale.team import Team
from tidegate.scale.wire import Address, LinkError, accept, address_of, connect, listen
from tidegate.train import State
from tidegate.train.work import Asked

STEPS = 10
RATES = ("10gbit", "1gbit", "100mbit")
NAME, REPEATED = "workers", "what each worker repeats"


def seconds_each(state: State, asked: Asked, crew: Workers | None) -> float:
    """Time some updates, and give the seconds of one."""
    begun_at = time.perf_counter()
    for _ in range(STEPS):
        step(state, asked, crew)
    return (time.perf_counter() - begun_at) / STEPS


def seconds_repeated(state: State, asked: Asked) -> float:
    """Time what every worker does, however few lanes it has: all but the lanes and the exchange."""
    begun_at = time.perf_counter()
    for _ in range(STEPS):
        repeat(state, asked)
    return (time.perf_counter() - begun_at) / STEPS


def time_steps(rounds: int, asked: Asked) -> dict[str, list[float]]:
    """Time updates by one thread, by two, and by two workers of one thread each, in turns, once all are equal."""
    ways = {"1 thread": (1, None), "2 threads": (2, None), "2 workers": (2, Workers(2))}
    states = {name: reference()[0] for name in ways}
    times: dict[str, list[float]] = {name: [] for name in (*ways, REPEATED)}
    other, _ = reference()
    for number in range(rounds + 1):
        for name, (threads, crew) in ways.items():
            set_num_threads(threads)
            found = seconds_each(states[name], asked, crew)
            if number:  # the first round begins processes and fills caches
                times[name].append(found)
        set_num_threads(1)
        times[REPEATED].append(seconds_repeated(other, asked))
        if len({state.program.parameters.tobytes() for state in states.values()}) > 1:
            raise AssertionError("two ways of training came to other weights")
    for _, crew in ways.values():
        if crew is not None:
            crew.close()
    return times


def time_exchange(address: Address, prefix: list[str], sizes: dict[str, int], rounds: int) -> dict[str, list[float]]:
    """Time what two workers do at once: each sends so many numbers, and takes as many."""
    key, times = secrets.token_bytes(16), dict[str, list[float]]()
    with listen(address) as listener:
        where = address_of(listener)
        told = where if isinstance(where, str) else ",".join(map(str, where))
        echo = [*prefix, sys.executable, "-m", "benchmarks.workers", "--echo", told, key.hex()]
        other = subprocess.Popen(echo)
        link = accept(listener, key, 30)
        assert link is not None, "the other end comes"
        team = Team(0, {1: link})
        for name, size in sizes.items():
            array = np.ones(size, np.float32)
            times[name] = []
            for number in range(rounds + 2):
                link.send(size)
                begun_at = time.perf_counter()
                swap(team, 1, array)
                if number > 1:
                    times[name].append(time.perf_counter() - begun_at)
        team.close()
        other.wait()
    return times


def swap(team: Team, other: int, array: Any) -> None:
    """Send an array to another worker while one of the same size comes."""
    sending = team._sender.submit(team._send, [(other, array)])
    team.links[other].receive_array(array.size, array.dtype)
    sending.result()


def echo(told: str, key: str) -> None:
    """Be the other end."""
    host, _, port = told.partition(",")
    link = connect((host, int(port)) if port else told, bytes.fromhex(key), 30)
    team = Team(1, {0: link})
    with suppress(LinkError):
        while True:
            swap(team, 0, np.ones(link.receive(), np.float32))


@contextmanager
def slow_link(rate: str) -> Iterator[tuple[Address, list[str], list[str]]]:
    """Make two namespaces with a link of a rate; give the address of one end, and what runs a command at either."""
    one, two = f"tg{os.getpid()}a", f"tg{os.getpid()}b"
    shape = f"qdisc add dev eth0 root tbf rate {rate} burst 512kb latency 50ms".split()

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    try:
        for space in (one, two):
            ip("netns", "add", space)
        ip("link", "add", "eth0", "netns", one, "type", "veth", "peer", "name", "eth0", "netns", two)
        for space, host in ((one, "10.79.0.1/24"), (two, "10.79.0.2/24")):
            ip("-n", space, "addr", "add", host, "dev", "eth0")
            ip("-n", space, "link", "set", "eth0", "up")
            subprocess.run(["tc", "-n", space, *shape], check=True)
        yield ("10.79.0.1", 0), ["ip", "netns", "exec", one], ["ip", "netns", "exec", two]
    finally:
        for space in (one, two):
            subprocess.run(["ip", "netns", "del", space], check=False)


def exchanges(rounds: int, sizes: dict[str, int]) -> dict[str, dict[str, list[float]]]:
    """Time the exchange over a socket of this machine, over loopback, and over links of several rates."""
    found = {"this machine": time_exchange(f"/tmp/tidegate-{os.getpid()}", [], sizes, rounds)}
    found["loopback"] = time_exchange(("127.0.0.1", 0), [], sizes, rounds)
    if os.geteuid() or not (shutil.which("ip") and shutil.which("tc")):
        print("no links of other rates: that takes root and iproute2", file=sys.stderr)
        return found
    for rate in RATES:
        with slow_link(rate) as (address, here, there):
            host, numbers = str(address[0]), [str(size) for size in sizes.values()]
            command = [sys.executable, "-m", "benchmarks.workers", "--within", host, " ".join(there), *numbers]
            done = subprocess.run(
                [*here, *command, "--rounds", str(rounds)], check=True, capture_output=True, text=True
            )
            times = [[float(word) for word in line.split()] for line in done.stdout.splitlines()]
            found[rate] = dict(zip(sizes, times, strict=True))
    return found


def run(rounds: int) -> None:
    """Time all, print tables and keep the samples."""
    where = machine(2)
    state, asked = reference()
    state.program.run_lanes(asked.batch, asked.loss, range(16))
    sizes = {"dense": len(state.program.parameters), "rows": state.program.summed}
    steps = time_steps(rounds, asked)
    found = exchanges(3 * rounds, sizes)
    medians = {name: 1e3 * statistics.median(times) for name, times in steps.items()}
    setting = {"tokens": int(asked.batch.offsets[-1]), "numbers": sizes}
    figures = {f"ms of a step, {name}": value for name, value in medians.items()}
    save(NAME, __doc__, where, setting=setting, figures=figures, steps=steps, exchange=found)
    one = medians["1 thread"]
    print(
        rows(["", "ms of a step", "times one thread"], [[n, f"{v:.1f}", f"{one / v:.2f}"] for n, v in medians.items()])
    )
    body = [[link, *(f"{1e3 * statistics.median(t[n]):.2f}" for n in sizes)] for link, t in found.items()]
    print("\n" + rows(["ms of an exchange", *(f"{name}, {4 * n / 1e6:.2f} MB" for name, n in sizes.items())], body))


def main() -> None:
    """Answer the question."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--echo", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--within", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.echo:
        echo(*args.echo)
    elif args.within:
        host, there, *numbers = args.within
        for times in time_exchange(
            (host, 0), there.split(), dict(zip(numbers, map(int, numbers), strict=True)), args.rounds
        ).values():
            print(*times)
    else:
        run(args.rounds)


if __name__ == "__main__":
    main()
