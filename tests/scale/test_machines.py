"""Workers on other machines, as far as network namespaces are some: the same bits, also where a link is cut."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import tidegate as tg
from commands import Cli
from samples import SAMPLES, untrained
from tidegate.errors import InputError, WorkerError
from tidegate.scale import Elsewhere, Workers, worker
from tidegate.scale.messages import Hello, Meet, Trouble
from tidegate.scale.places import Waiting
from tidegate.scale.wire import Link, LinkError, address_of, connect, listen
from tidegate.scale.worker import work

KEY = b"0123456789abcdef"


def test_workers_that_come_from_elsewhere_find_the_same_bits() -> None:
    host, port = "127.0.0.1", free_port()
    home: list[bool] = []

    def come() -> None:
        while not home:
            try:
                home.append(work((host, port), KEY))
            except Exception:  # noqa: BLE001  (worker 0 does not wait yet)
                time.sleep(0.05)

    thread = threading.Thread(target=come)
    thread.start()
    X, y = SAMPLES["sequence-classifier"].data(40)
    alone, together = untrained("sequence-classifier").fit(X, y), untrained("sequence-classifier")
    with Workers(2, place=Elsewhere(host, port, KEY)) as both:
        list(together.fit_steps(X, y, crew=both))
    thread.join(10)
    assert home == [True]
    assert all(alone.weights_[name].tobytes() == together.weights_[name].tobytes() for name in alone.weights_)


def lend(port: int) -> None:
    """Be a worker that looks for the training again until it is sent home."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        with suppress(LinkError):  # worker 0 does not wait yet
            if work(("127.0.0.1", port), KEY):
                return
        time.sleep(0.05)


def greeted(port: int, rank: int | None) -> Link:
    """Say at worker 0 who has come."""
    until = time.monotonic() + 120
    while True:
        try:
            link = connect(("127.0.0.1", port), KEY, 20)
            break
        except LinkError:  # worker 0 does not wait yet
            assert time.monotonic() < until
            time.sleep(0.05)
    link.send(Hello(rank, "far", 7, tg.__version__, ("127.0.0.1", 1)))
    return link


@pytest.mark.parametrize(("met", "lost"), [(False, 0), (True, 1)])
def test_one_who_goes_as_it_comes_is_not_waited_for(met: bool, lost: int) -> None:
    port, lenders = free_port(), list[threading.Thread]()

    def come() -> None:
        gone = greeted(port, 2 if met else None)  # the first one waits for the second
        others = 1 if met else 2
        lenders.extend(threading.Thread(target=lend, args=(port,)) for _ in range(2))
        if not met:  # all others come once it has gone
            gone.close()
        for lender in lenders[:others]:
            lender.start()
        if met:  # it goes when the other one waits for it
            gone.receive(forever=True)
            gone.close()
            lenders[1].start()

    X, y = SAMPLES["sequence-classifier"].data(40)
    alone, together = untrained("sequence-classifier").fit(X, y), untrained("sequence-classifier")
    first, begun = threading.Thread(target=come), time.monotonic()
    first.start()
    with Workers(3, timeout=600, place=Elsewhere("127.0.0.1", port, KEY)) as three, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        list(together.fit_steps(X, y, crew=three))
    for thread in (first, *lenders):
        thread.join()
    assert time.monotonic() - begun < 240  # 480 until one that waits in vain for the other says so
    assert three.lost == lost
    assert all(alone.weights_[name].tobytes() == together.weights_[name].tobytes() for name in alone.weights_)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def joined_by(come: Callable[[int], object]) -> str:
    """Train with one who comes from elsewhere, and return what ends it."""
    port, problems = free_port(), list[Exception]()

    def keep_coming() -> None:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                come(port)
                return
            except LinkError:  # worker 0 does not wait yet
                time.sleep(0.05)
            except Exception as error:  # noqa: BLE001  (the test shall tell of it)
                problems.append(error)
                return

    thread = threading.Thread(target=keep_coming)
    thread.start()
    X, y = SAMPLES["sequence-classifier"].data(40)
    with Workers(2, place=Elsewhere("127.0.0.1", port, KEY)) as both, pytest.raises(WorkerError) as ended:
        list(untrained("sequence-classifier").fit_steps(X, y, crew=both))
    thread.join()
    assert problems == []
    return str(ended.value)


def test_one_from_elsewhere_that_fails_before_it_says_who_it_is_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: object) -> None:
        raise OSError("no port is free")

    monkeypatch.setattr(worker, "listen", refuse)
    told = joined_by(lambda port: work(("127.0.0.1", port), KEY))
    assert told.startswith("a worker failed as it began: OSError: no port is free.")


def test_one_from_elsewhere_that_fails_before_it_knows_its_number_is_named() -> None:
    def come(port: int) -> None:
        link = connect(("127.0.0.1", port), KEY, 20)
        link.send(Hello(None, "far", 7, tg.__version__, ("127.0.0.1", 1)))
        link.receive()
        link.send(Trouble("failed", 0, "MemoryError: "))
        link.close()

    assert joined_by(come).startswith("worker 1 (process 7 on far) failed: MemoryError: .")


def test_a_stranger_among_those_who_meet_is_nobody_who_is_late() -> None:
    with listen(("127.0.0.1", 0)) as listener:
        where, come = address_of(listener), list[Link]()

        def arrive() -> None:
            with pytest.raises(LinkError):
                connect(where, b"another key", 5)
            come.append(connect(where, KEY, 5))
            come[0].send(2)

        thread = threading.Thread(target=arrive)
        thread.start()
        near, far = socket.socketpair()
        with near, far:
            links = worker._meet(Link(near, 10.0), Meet(1, {1: where, 2: where}, None, 10.0), listener, KEY)
        thread.join()
    assert links.keys() == {0, 2}
    come[0].send("and is heard")
    assert links[2].receive() == "and is heard"
    for link in (come[0], links[2]):
        link.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("come", [False, True])
def test_a_signal_ends_the_waiting_for_others(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int, come: bool
) -> None:
    key, data, run, port = tmp_path / "key", tmp_path / "small.csv", tmp_path / "run", free_port()
    key.write_bytes(KEY)
    key.chmod(0o600)
    data.write_text("text,label\n" + "salt wave,sea\noak fern,wood\n" * 20, encoding="utf-8")
    small = ["--hidden-size", 4, "--epochs", 1, "--no-baselines", "--set", "validation_fraction=0"]
    monkeypatch.setattr(Elsewhere, "coming", 20.0)
    silent = list[Link]()

    def arrive() -> None:
        if come:  # one who knows the key, and does not say who it is
            silent.append(connect(("127.0.0.1", port), KEY, 20))
        time.sleep(0.2)
        os.kill(os.getpid(), number)

    arrival = threading.Thread(target=arrive)

    def begin_to_wait(self: Elsewhere, count: int) -> Iterator[Waiting]:
        with listening(self, count) as waiting:
            arrival.start()
            yield waiting

    listening = Elsewhere.listening
    monkeypatch.setattr(Elsewhere, "listening", contextmanager(begin_to_wait))
    far = ["--workers", 2, "--listen", f"127.0.0.1:{port}", "--key-file", key]
    answer = cli("train", data, *small, *far, "--timeout", 20, "--out", run)
    arrival.join()
    for link in silent:
        link.close()
    assert answer.code == code
    assert "1 of 2 workers had come when the waiting for them was ended" in answer.err
    assert f"stopped by {number.name}; the state is saved. To go on: tidegate train --resume {run}" in answer.err
    assert cli("train", "--resume", run).code == 0


def test_a_key_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(InputError, match="the key has 3 bytes; wanted 16"):
        Elsewhere("127.0.0.1", 0, b"abc")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["work", "nowhere", "--key-file", "key"], "no HOST:PORT"),
        (["work", "127.0.0.1:1", "--key-file", "missing"], "openssl rand"),
        (["work", "127.0.0.1:1", "--key-file", "open"], "may read or write the key in open. Run: chmod 600 open"),
        (["work", "127.0.0.1:1", "--key-file", "writable"], "Run: chmod 600 writable"),
        (["train", "digits", "--workers", 2, "--listen", "127.0.0.1:1", "--key-file", "open"], "Run: chmod 600 open"),
        (["work", "127.0.0.1:1", "--key-file", "key", "--wait", 0], "nobody waits for workers at 127.0.0.1:1"),
        (["train", "digits", "--timeout", 3], "how long one worker waits for another, but there are none: --workers N"),
        (["train", "digits", "--listen", "127.0.0.1:1"], "take --workers N, --listen HOST:PORT and --key-file FILE"),
    ],
)
def test_what_cannot_be_is_told(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argv: list[object], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("key").write_bytes(KEY)
    Path("key").chmod(0o600)
    for name, mode in {"open": 0o604, "writable": 0o602}.items():
        Path(name).write_bytes(KEY)
        Path(name).chmod(mode)
    answer = cli(*argv)
    assert answer.code == 2
    assert told in answer.err


NAMESPACES = os.geteuid() == 0 and shutil.which("ip") is not None


@pytest.fixture
def spaces() -> Iterator[tuple[str, str]]:
    """Make two namespaces with a link between them: 10.78.0.1 and 10.78.0.2."""
    names = (f"tgt{os.getpid()}a", f"tgt{os.getpid()}b")
    try:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
        link = ["eth0", "netns", names[0], "type", "veth", "peer", "name", "eth0", "netns", names[1]]
        subprocess.run(["ip", "link", "add", *link], check=True)
        for number, name in enumerate(names, 1):
            for words in (f"addr add 10.78.0.{number}/24 dev eth0", "link set eth0 up", "link set lo up"):
                subprocess.run(["ip", "-n", name, *words.split()], check=True)
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.mark.slow
@pytest.mark.skipif(not NAMESPACES, reason="network namespaces take root and iproute2")
def test_a_link_that_is_cut_ends_the_run_by_name_and_it_goes_on(spaces: tuple[str, str], tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(KEY)
    key.chmod(0o600)
    rows = (f"{'salt wave' if n % 2 else 'oak fern'} word{n % 5},{'sea' if n % 3 else 'wood'}" for n in range(2000))
    data = tmp_path / "small.csv"
    data.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    small = ["--hidden-size", "4", "--set", "batch_size=8", "--epochs", "20", "--no-baselines"]
    far = ["--workers", "2", "--listen", "10.78.0.1:7432", "--key-file", str(key), "--timeout", "3"]

    def begin(space: str, *argv: object) -> subprocess.Popen[str]:
        command = ["ip", "netns", "exec", space, sys.executable, "-m", "tidegate", *map(str, argv)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    alone, run = tmp_path / "alone", tmp_path / "run"
    first = begin(spaces[0], "train", data, *small, "--out", alone)
    assert (first.communicate(timeout=300), first.returncode)[1] == 0
    worker = begin(spaces[1], "work", "10.78.0.1:7432", "--key-file", key)
    training = begin(spaces[0], "train", data, *small, *far, "--out", run)
    metrics = run / "metrics.jsonl"
    while training.poll() is None and not (metrics.exists() and metrics.stat().st_size > 50_000):
        time.sleep(0.05)
    subprocess.run(["ip", "-n", spaces[1], "link", "set", "eth0", "down"], check=True)
    said = training.communicate(timeout=300)[1]
    assert training.returncode == 1
    assert f"on {socket.gethostname()}) was waited for longer than 3 s" in said
    subprocess.run(["ip", "-n", spaces[1], "link", "set", "eth0", "up"], check=True)
    training = begin(spaces[0], "train", "--resume", run, *far)
    said = training.communicate(timeout=300)[1]
    assert training.returncode == 0, said
    worker.communicate(timeout=60)
    models = [(folder / "model.safetensors").read_bytes() for folder in (alone, run)]
    assert models[0] == models[1]
