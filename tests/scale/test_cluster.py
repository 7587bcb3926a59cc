"""Machines of a cluster that Ray runs: the bits of one process, whoever is killed; what cannot be is told."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path

import pytest

import clerks
from bulk_work import double, double_or_die
from commands import Cli
from rayed import WHY_NOT, Machines, two_machines
from samples import SAMPLES, untrained
from tidegate.errors import InputError, MissingPackageError, WorkerError
from tidegate.runs import Source
from tidegate.scale import Cluster, OnCluster, Workers
from tidegate.scale.bulk import Answered, answer_all
from tidegate.scale.cluster import Machine, spots
from tidegate.search import Space, open_search
from tidegate.search.space import Among

FAR, NEAR = Machine("1", "far", "192.0.2.77", 4), Machine("2", "near", "127.0.0.1", 8)
NAMES = ("a.csv", "out", "space.toml", "found")
LINES = [
    f"{'salt wave' if n % 2 else 'oak fern'} word{n % 5},{'sea' if n % 3 else 'wood'}"
    for n in range(400)
]  # fmt: skip
SMALL = ["--hidden-size", "4", "--set", "embedding_size=3", "--set", "batch_size=8", "--no-baselines"]


@pytest.mark.parametrize(
    ("count", "wanted"),
    [
        (1, [("far", 4)]),
        (2, [("far", 4), ("near", 4)]),  # worker 0 is near, too
        (3, [("far", 2), ("near", 4), ("far", 2)]),
    ],
)
def test_workers_are_on_other_machines_first_and_share_their_cores(count: int, wanted: list[tuple[str, int]]) -> None:
    assert [(machine.host, cpus) for machine, cpus in spots([NEAR, FAR], count)] == wanted


def test_more_workers_than_cores_are_refused() -> None:
    with pytest.raises(InputError, match=r"6 workers: 5 workers would be on far, which lends 4 cores. Take fewer"):
        spots([FAR], 5)


def test_after_a_loss_workers_share_the_cores_that_are_left_and_wait_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    there, small = [NEAR, FAR], Machine("3", "small", "192.0.2.78", 2)
    called = list[tuple[str, int]]()

    def call(_: Cluster, *__: object, cpus: int, on: str) -> Future[None]:
        called.append((on, cpus))
        return Future()

    monkeypatch.setattr(Cluster, "machines", lambda _: list(there))
    monkeypatch.setattr(Cluster, "call", call)
    monkeypatch.setattr(Cluster, "listening", lambda _: socket.create_server(("127.0.0.1", 0)))
    place = OnCluster(object.__new__(Cluster))

    def begun() -> list[tuple[str, int]]:
        called.clear()
        with place.listening(5) as (_, address, key):
            for rank in range(1, 5):
                place.start(rank, address, key)
        return called

    assert begun() == [("1", 2), ("2", 2), ("1", 2), ("2", 2)]
    there[:] = [FAR]
    assert begun() == [("1", 1)] * 4
    there[:] = [small]
    assert begun() == [("3", 1)] * 4  # two of which wait
    there[:] = [small, Machine("2", "near", "127.0.0.1", 1)]
    assert begun() == [("3", 1), ("3", 1), ("2", 1), ("3", 1)]
    fresh = OnCluster(place.cluster)
    with pytest.raises(InputError, match="Take fewer"), fresh.listening(5):
        pass


@pytest.mark.parametrize(
    "address", ["head", "head:port", "10.0.0.1:6379:1", "", "auto ", "h o:1", "local", "head:65536"]
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="wanted `auto`, or the address of the head, HOST:PORT"):
        Cluster(address)


@pytest.mark.parametrize(
    "argv",
    [
        ["train", "digits", "--workers", 0],
        ["predict", "MODEL", "a.csv", "-o", "out", "--workers", 0],
        ["search", "digits", "--space", "space.toml", "--workers", 0, "--out", "found"],
    ],
)
def test_no_workers_are_refused(cli: Cli, tmp_path: Path, argv: list[object]) -> None:
    saved = Path(__file__).parents[1] / "saved" / "0.1" / "text-classifier" / "model.safetensors"
    (tmp_path / "a.csv").write_text("text\nsalt\n", encoding="utf-8")
    (tmp_path / "space.toml").write_text("hidden_size = [2, 3]\n", encoding="utf-8")
    answer = cli(*[saved if each == "MODEL" else tmp_path / each if each in NAMES else each for each in argv])
    assert answer.code == 2
    assert "0 workers: wanted" in answer.err


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["train", "digits", "--cluster", "ray://head:10001"], "Join it with `ray start --address=HOST:PORT`"),
        (["train", "digits", "--workers", 2, "--listen", "h:1", "--key-file", "k", "--cluster", "auto"], "Leave one"),
        (["predict", "MODEL", "a.csv", "-o", "out", "--workers", 2, "--cluster", "auto"], "Leave --workers out"),
        (["predict", "MODEL", "a.csv", "--cluster", "auto"], "Name the files, and the folder: -o DIR"),
    ],
)
def test_what_cannot_be_is_told(cli: Cli, tmp_path: Path, argv: list[object], told: str) -> None:
    saved = Path(__file__).parents[1] / "saved" / "0.1" / "text-classifier" / "model.safetensors"
    (tmp_path / "a.csv").write_text("text\nsalt\n", encoding="utf-8")
    answer = cli(*[{"MODEL": saved, "a.csv": tmp_path / "a.csv", "out": tmp_path / "out"}.get(str(a), a) for a in argv])
    assert answer.code == 2
    assert told in answer.err


def test_a_missing_ray_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.scale.cluster.find_spec", lambda name: None)
    with pytest.raises(
        MissingPackageError, match=r"--cluster needs the package 'ray'.*pip install 'tidegate\[cluster\]'"
    ):
        Cluster("auto")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster without Ray, of this machine."""
    monkeypatch.setattr("tidegate.scale.cluster.find_spec", lambda name: True)
    monkeypatch.setattr("tidegate.scale.cluster.serve", clerks.call_here)
    with Cluster("auto") as found:
        yield found


def test_workers_that_a_cluster_begins_leave_the_bits_of_one_process(cluster: Cluster) -> None:
    X, y = SAMPLES["sequence-classifier"].data(40)
    alone, together = untrained("sequence-classifier").fit(X, y), untrained("sequence-classifier")
    with Workers(3, place=OnCluster(cluster)) as crew:
        steps = together.fit_steps(X, y, crew=crew)
        next(steps)
        os.kill(int(re.findall(r"process (\d+) on", crew._names[2])[0]), signal.SIGKILL)
        with pytest.warns(UserWarning, match=f"worker 2 .* on {socket.gethostname()}.* was lost; another one"):
            list(steps)
        assert crew.lost == 1
    assert all(alone.weights_[name].tobytes() == together.weights_[name].tobytes() for name in alone.weights_)


def test_a_worker_that_cannot_reach_worker_0_is_told(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.scale.cluster.address_of", lambda listener: ("127.0.0.1", 9))
    X, y = SAMPLES["sequence-classifier"].data(40)
    told = rf"worker 1 \(on {socket.gethostname()}\) ended as it began: no link to .*9.*\. Nothing was trained\."
    with Workers(2, place=OnCluster(cluster)) as crew, pytest.raises(WorkerError, match=told):
        list(untrained("sequence-classifier").fit_steps(X, y, crew=crew))


def test_files_are_answered_once_where_a_process_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.txt" for number in range(3)]
    for number, file in enumerate(files):
        file.write_text(f"row of {number}\n" * (number + 1), encoding="utf-8")
    work, out = partial(double_or_die, tmp_path / "killed", 2), tmp_path / "out"
    last = list(answer_all(files, out, work, about={}, cluster=cluster))[-1]
    assert (last.rows, last.failed) == (6, {})
    assert (tmp_path / "killed").exists()
    for number, file in enumerate(files):
        assert (out / file.name).read_text(encoding="utf-8") == f"row of {number}row of {number}\n" * (number + 1)


def test_answers_that_another_machine_has_alone_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "0.txt"
    file.write_text("row\n", encoding="utf-8")

    class Far:
        def submit(self, function: object, /, *args: object) -> Future[Answered]:
            done = Future[Answered]()
            done.set_result(Answered(str(file), "its digest", "0.txt", "that of the answers", 1))
            return done

    monkeypatch.setattr("tidegate.scale.bulk._pool", lambda workers: nullcontext(Far()))
    last = list(answer_all([file], tmp_path / "out", double, about={}))[-1]
    assert "The folder must be one that all machines share" in str(last.failed[file])
    assert len((tmp_path / "out" / "manifest.jsonl").read_bytes().splitlines()) == 1


def test_trials_train_on_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    space = Space({"hidden_size": Among((2, 3, 4))}, {"epochs": 1, "embedding_size": 3, "evidence": 0, "linear": False})
    tried = {}
    for name, machines in (("here", None), ("there", cluster)):
        with closing(open_search(Source(str(data(tmp_path))), space, out=tmp_path / name)) as search:
            tried[name] = list(search.run(trials=2, cluster=machines))
    assert len(tried["here"]) == 2
    assert tried["here"] == tried["there"]
    models = [(tmp_path / name / "trials" / "1" / "model.safetensors").read_bytes() for name in tried]
    assert models[0] == models[1]


@pytest.mark.parametrize("again", [False, True])
def test_a_cluster_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, again: bool) -> None:
    monkeypatch.setattr("tidegate.scale.cluster.find_spec", lambda name: True)
    monkeypatch.setattr("tidegate.scale.cluster.serve", clerks.go_at_once)
    file = tmp_path / "0.txt"
    file.write_text("row\n", encoding="utf-8")
    with Cluster("auto") as cluster:
        if again:
            with pytest.raises(WorkerError, match="the cluster at auto is gone"):
                cluster.machines()
        with pytest.raises(WorkerError, match="the cluster at auto is gone, or the way to it"):
            list(answer_all([file], tmp_path / "out", double, about={}, cluster=cluster))


def test_where_nobody_listens_that_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.scale.cluster.find_spec", lambda name: True)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(
            WorkerError, match=f"no cluster can be used at '{address}': nobody listens there, .*refused"
        ):
            Cluster(address)


VERSIONS = "The cluster was started with:\n    Ray: 2.60.0\n    Python: 3.12.1\nThis one with:\n    Python: 3.11.7\n"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            RuntimeError(VERSIONS + "and more " * 1000),
            r"with: Ray: 2\.60\.0 Python: 3\.12\.1 This one with: Python: 3\.11\.7",
        ),
        (
            ConnectionError("Could not find any running Ray instance."),
            "no Ray runs on this machine; `ray start` begins",
        ),
        (ConnectionError("Failed to connect to h:1."), r"Failed to connect to h:1\. See .* Python and token"),
    ],
)
def test_why_ray_refuses_is_told(monkeypatch: pytest.MonkeyPatch, error: Exception, told: str) -> None:
    monkeypatch.setattr("tidegate.scale.cluster.find_spec", lambda name: True)
    monkeypatch.setattr("tidegate.scale.cluster.serve", partial(clerks.be_refused, error))
    with pytest.raises(WorkerError, match=f"no cluster can be used at 'auto': .*{told}") as caught:
        Cluster("auto")
    assert len(str(caught.value)) < 600


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with two_machines() as found:
        yield found


def data(folder: Path) -> Path:
    file = folder / "small.csv"
    file.write_text("text,label\n" + "\n".join(LINES) + "\n", encoding="utf-8")
    return file


def model(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


def wait_for_steps(run: Path, training: subprocess.Popen[str], count: int) -> None:
    """Wait until a run has written so many steps down."""
    metrics, until = run / "metrics.jsonl", time.monotonic() + 300
    while not metrics.exists() or metrics.read_bytes().count(b"\n") < count:
        assert training.poll() is None, f"it ended before step {count}: {training.communicate()[1]}"
        assert time.monotonic() < until, f"{metrics} has fewer than {count} steps after 300 s"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
@pytest.mark.xdist_group("cluster")
class TestTwoMachines:
    def test_a_training_is_that_of_one_process(self, machines: Machines, tmp_path: Path) -> None:
        file = data(tmp_path)
        machines.call("train", file, *SMALL, "--epochs", 2, "--out", tmp_path / "alone")
        for workers in ([], ["--workers", 3]):
            run = tmp_path / f"run{len(workers)}"
            said = machines.call(
                "train", file, *SMALL, "--epochs", 2, "--out", run, "--cluster", machines.address, *workers
            )
            assert f"{3 if workers else 2} workers, this process among them, on a cluster of 2 machines" in said
            assert model(run) == model(tmp_path / "alone")

    def test_files_are_answered_as_by_one_process(self, machines: Machines, tmp_path: Path) -> None:
        file = data(tmp_path)
        machines.call("train", file, *SMALL, "--epochs", 1, "--out", tmp_path / "run")
        files = [tmp_path / f"{number}.csv" for number in range(4)]
        for number, each in enumerate(files):
            each.write_text("text\n" + "salt wave\nfern\n" * (number + 1), encoding="utf-8")
        machines.call("predict", tmp_path / "run", *files, "-o", tmp_path / "one", "--workers", 1)
        said = machines.call(
            "predict", tmp_path / "run", *files, "-o", tmp_path / "many", "--cluster", machines.address
        )
        assert "4 files answered, 20 rows" in said
        for each in files:
            assert (tmp_path / "many" / each.name).read_bytes() == (tmp_path / "one" / each.name).read_bytes()
        manifests = [(tmp_path / out / "manifest.jsonl").read_bytes().splitlines() for out in ("one", "many")]
        assert manifests[0][0] == manifests[1][0]
        assert sorted(manifests[0]) == sorted(manifests[1])

    def test_trials_of_a_search_are_runs_by_themselves(self, machines: Machines, tmp_path: Path) -> None:
        pytest.importorskip("optuna")
        file, space = data(tmp_path), tmp_path / "space.toml"
        space.write_text(
            'hidden_size = [2, 3, 4]\ncell = ["lstm", "gru"]\nepochs = 1\nlinear = false\n', encoding="utf-8"
        )
        out = tmp_path / "search"
        machines.call("search", file, "--space", space, "--trials", 3, "--cluster", machines.address, "--out", out)
        tried = json.loads((out / "results.json").read_text(encoding="utf-8"))["trials"]
        assert sorted(one["number"] for one in tried) == [0, 1, 2]
        machines.call("train", "--recipe", out / "trials" / "1", "--no-baselines", "--out", tmp_path / "again")
        last = [json.loads(line) for line in (tmp_path / "again" / "metrics.jsonl").read_text().splitlines()][-1]
        assert last["valid"]["accuracy"] == next(one["value"] for one in tried if one["number"] == 1)

    def test_the_doctor_says_what_machines_are_and_what_lies_between(self, machines: Machines) -> None:
        process = machines.tidegate("doctor", "--cluster", machines.address, "--json")
        out, said = process.communicate(timeout=900)
        assert process.returncode == 0, said
        found = json.loads(out)
        assert [one["address"] for one in found["machines"]] == ["10.80.0.1", "10.80.0.2"]
        assert [one["interface"].partition(",")[0] for one in found["machines"]] == ["eth0", "eth0"]
        assert [way["workers"] for way in found["ways"]] == [[0, 1]]
        assert 0 < found["ways"][0]["latency"] < found["ways"][0]["exchange"] < 1
        assert found["expected"]["2"] < 2

    def test_a_worker_or_a_machine_that_is_killed_costs_no_bit(self, machines: Machines, tmp_path: Path) -> None:
        file, run = data(tmp_path), tmp_path / "run"
        machines.call("train", file, *SMALL, "--epochs", 30, "--out", tmp_path / "alone")
        training = machines.tidegate("train", file, *SMALL, "--epochs", 30, "--out", run, "--cluster", machines.address)
        wait_for_steps(run, training, 30)
        (victim,) = machines.busy("b")
        os.kill(victim, signal.SIGKILL)
        wait_for_steps(run, training, 300)
        machines.kill("b")
        said = training.communicate(timeout=600)[1]
        machines.join("b")
        assert training.returncode == 0, said
        assert (
            said.count(f"on {socket.gethostname()}) was lost; another one takes its place, and no update is lost") == 2
        )
        assert model(run) == model(tmp_path / "alone")

    def test_a_cluster_that_is_lost_loses_nothing(self, machines: Machines, tmp_path: Path) -> None:
        file, run, out, cluster = data(tmp_path), tmp_path / "run", tmp_path / "out", ["--cluster", machines.address]
        machines.call("train", file, *SMALL, "--epochs", 30, "--out", tmp_path / "alone")
        training = machines.tidegate("train", file, *SMALL, "--epochs", 30, "--out", run, *cluster)
        wait_for_steps(run, training, 100)
        answering = machines.tidegate("predict", tmp_path / "alone", file, "-o", out, *cluster)
        machines.lose_cluster()
        for process in (training, answering):
            said = process.communicate(timeout=600)[1]
            assert process.returncode == 1
            assert "Traceback" not in said
            assert f"the cluster at {machines.address} is gone" in said or "no cluster can be used" in said
        machines.kill("a")
        machines.join("a")
        machines.join("b")
        machines.call("train", "--resume", run, *cluster)
        machines.call("predict", tmp_path / "alone", file, "-o", out, *cluster)
        assert model(run) == model(tmp_path / "alone")
        assert len((out / "manifest.jsonl").read_bytes().splitlines()) == 2

    def test_any_number_of_kills_leads_to_the_same_model(self, machines: Machines, tmp_path: Path) -> None:
        draw, tally, file = random.Random(3), Counter[str](), data(tmp_path)
        epochs = ["--epochs", 8]
        machines.call("train", file, *SMALL, *epochs, "--out", tmp_path / "alone")
        cluster, number = ["--cluster", machines.address, "--workers"], 0
        while tally["kills"] < int(os.environ.get("TIDEGATE_CLUSTER_KILLS", "10")):
            run, number = tmp_path / f"run{number}", number + 1
            training = machines.tidegate("train", file, *SMALL, *epochs, "--out", run, *cluster, 2)
            wait_for_steps(run, training, 1)
            time.sleep(draw.uniform(0, 2))
            what = draw.choice(["worker", "worker", "machine", "worker 0"])
            victims = machines.busy("b") if what == "worker" else [training.pid]
            if what == "machine":
                machines.kill("b")
                machines.join("b")
            elif victims:
                os.kill(victims[0], signal.SIGKILL)
            tally["kills"] += 1
            tally[what] += 1
            said = training.communicate(timeout=600)[1]
            if training.returncode:
                assert what == "worker 0", said
                machines.call("train", "--resume", run, *cluster, draw.choice([2, 3]))
            assert model(run) == model(tmp_path / "alone"), (what, said)
        print(dict(tally))
