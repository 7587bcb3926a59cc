"""Files survive what disks do, come back to the bit, and are refused when they are not what they claim to be."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open

import tidegate as tg
from classifiers import PLAIN
from hostile.models.build import BOMBS, CASES, seal, sound
from tidegate.checkpoint import (
    About,
    digest,
    load_model,
    load_training,
    save_model,
    save_training,
)
from tidegate.durable import atomic_write
from tidegate.errors import InputError, ModelFileError
from tidegate.network import Dense, Embed, Network, Pool, Recurrent, parameter_shapes

REFUSE = """
import json, resource, sys
from pathlib import Path
import tokenizers
import tidegate as tg
from tidegate.checkpoint import load_model

tg.load  # imported before anything is measured

def resident(field):
    status = Path("/proc/self/status").read_text()
    return int(status.partition(field + ":")[2].split()[0]) / 1024

folder, seconds, *names = sys.argv[1:]
used = resource.getrusage(resource.RUSAGE_SELF)
spent = int(used.ru_utime + used.ru_stime) + 1
resource.setrlimit(resource.RLIMIT_CPU, (spent + int(seconds),) * 2)  # of the processor, not by the clock
risen = {}
for name in names:
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak
    before = resident("VmRSS")
    refused = False
    try:
        tg.load(Path(folder) / name)
    except tg.errors.ModelFileError as error:
        refused = len(str(error)) < 1000
    size = (Path(folder) / name).stat().st_size / 2**20
    risen[name] = resident("VmHWM") - before - size
    if not refused:
        sys.exit(f"no refusal of {name}, or a long one; MiB beyond its size: {risen[name]}")
print(json.dumps(risen))
"""

NETWORK = Network.of(
    Embed(vocabulary_size=5, size=2),
    Recurrent(cell="gru", input_size=2, hidden_size=3),
    Pool(modes=("max",)),
    Dense(in_features=3, out_features=2),
)


def weights(seed: int = 0, dtype: Any = np.float32) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in parameter_shapes(NETWORK).items()}


@pytest.fixture(scope="module")
def classifier() -> tg.TextClassifier:
    texts, labels = ["good film", "fine film", "bad film", "poor film"], ["pos", "pos", "neg", "neg"]
    return tg.TextClassifier(**PLAIN, hidden_size=2, epochs=1, dropout=0).fit(texts, labels)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_model_comes_back_to_the_bit(tmp_path: Path, dtype: Any) -> None:
    path = tmp_path / "model.safetensors"
    task = {"name": "x", "labels": ["好", "bad", "\ud800"], "numbers": [0.1, 1e-300, 2**60]}
    save_model(path, NETWORK, weights=weights(dtype=dtype), task=task)
    model = load_model(path)
    assert (model.network, model.task) == (NETWORK, task)
    for name, array in weights(dtype=dtype).items():
        assert model.weights[name].dtype == dtype
        assert model.weights[name].tobytes() == array.tobytes()


def test_the_same_model_gives_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        save_model(tmp_path / name, NETWORK, weights=weights(seed), task={"b": 1, "a": 2})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_a_model_file_is_plain_safetensors_with_its_description_as_json(tmp_path: Path) -> None:
    save_model(tmp_path / "m", NETWORK, weights=weights(), task={"name": "x"})
    with safe_open(tmp_path / "m", framework="numpy") as file:
        about = json.loads(file.metadata()["tidegate"])
        assert np.array_equal(file.get_tensor("3.bias"), weights()["3.bias"])
    assert about["kind"] == "model"
    assert about["schema"] == 1
    assert about["body"] == {"network": json.loads(NETWORK.to_json()), "task": {"name": "x"}}


def test_a_file_sealed_by_other_code_is_read(tmp_path: Path) -> None:
    """The format is what stands on users' disks: `hostile.models.build` writes it without any code of ours."""
    body = {"network": json.loads(NETWORK.to_json()), "task": {"name": "x"}}
    about = {"kind": "model", "schema": 1, "library": "0.1.0", "body": body}
    (tmp_path / "m").write_bytes(sound(weights(), about))
    model = load_model(tmp_path / "m")
    assert (model.library, model.task) == ("0.1.0", {"name": "x"})
    assert np.array_equal(model.weights["0.weight"], weights()["0.weight"])


def test_what_is_known_of_a_model_comes_back_and_changes_nothing_else(tmp_path: Path) -> None:
    about = About(licence="CC-BY-4.0", data="imdb", metrics={"test": {"accuracy": 0.886, "examples": 25_000}})
    save_model(tmp_path / "m", NETWORK, weights=weights(), task={"name": "x"}, about=about)
    assert load_model(tmp_path / "m").about == about
    assert _about(tmp_path / "m")["body"]["about"] == {
        "licence": "CC-BY-4.0",
        "data": "imdb",
        "metrics": {"test": {"accuracy": 0.886, "examples": 25_000.0}},
    }


def test_more_is_said_of_a_model_without_forgetting_what_was_said() -> None:
    known = About(licence="MIT", metrics={"validation": {"loss": 0.5}})
    more = known.also(data="imdb", metrics={"test": {"accuracy": 0.75, "ratio": float("nan")}, "other": {"x": np.inf}})
    assert more == About(licence="MIT", data="imdb", metrics={"validation": {"loss": 0.5}, "test": {"accuracy": 0.75}})
    assert more.also(licence="Apache-2.0", metrics={"test": {"accuracy": 1}}).metrics["test"] == {"accuracy": 1.0}


@pytest.mark.parametrize("licence", ["", "x" * 1001])
def test_a_licence_that_says_nothing_or_too_much_is_refused(licence: str) -> None:
    with pytest.raises(InputError, match="licence: String should have at"):
        About().also(licence=licence)


def test_a_task_that_no_model_file_could_hold_is_refused_before_training(tmp_path: Path) -> None:
    words = " ".join(f"word{number}" for number in range(210_000))
    model = tg.TextClassifier(vocabulary_size=300_000, hidden_size=1, epochs=1, validation_fraction=0)
    with pytest.raises(InputError, match=r"does not fit into a model file: .* Take a smaller vocabulary"):
        model.fit_steps([words, "bad"], ["pos", "neg"])
    task = {"name": "x", "labels": list(range(210_000))}
    with pytest.raises(InputError, match="could be read again: of its header"):
        save_model(tmp_path / "m", NETWORK, weights=weights(), task=task)
    assert list(tmp_path.iterdir()) == []


def test_a_digest_is_the_hash_of_the_network_and_of_every_array() -> None:
    network, arrays = NETWORK, weights()
    about = {"network": json.loads(network.to_json())}
    assert digest(network, arrays) == seal(arrays, about)["sha256"]
    assert digest(network, dict(reversed(arrays.items()))) == digest(network, arrays)
    other = Network.of(*network.nodes[:2], Pool(modes=("mean",)), network.nodes[3])
    changed = arrays | {"3.bias": np.nextafter(arrays["3.bias"], np.float32(9))}
    assert len({digest(network, arrays), digest(other, arrays), digest(network, changed)}) == 3


def test_strided_weights_are_written_as_they_read(tmp_path: Path) -> None:
    turned = weights()
    turned["3.weight"] = np.ascontiguousarray(turned["3.weight"].T).T
    save_model(tmp_path / "m", NETWORK, weights=turned, task={})
    assert np.array_equal(load_model(tmp_path / "m").weights["3.weight"], weights()["3.weight"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"3.bias": np.array([1, np.nan], np.float32)}, "not finite"),
        ({"3.bias": np.array([1, 2, 3], np.float32)}, "network wants"),
        ({"3.bias": np.array([1, 2])}, "wanted all float32 or all float64"),
    ],
)
def test_weights_that_could_not_be_read_again_are_not_written(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        save_model(tmp_path / "m", NETWORK, weights=weights() | change, task={})
    assert list(tmp_path.iterdir()) == []


def test_training_state_comes_back_to_the_bit(tmp_path: Path) -> None:
    arrays = {"weight.0": np.array([1.5, -0.0], np.float32), "step": np.array(3.0), "count": np.array([7])}
    info = {"best": None, "history": [{"loss": 0.1 + 0.2}]}
    save_training(tmp_path / "s", arrays, info)
    back, about = load_training(tmp_path / "s")
    assert about == info
    assert {name: array.tobytes() for name, array in back.items()} == {n: a.tobytes() for n, a in arrays.items()}
    with pytest.raises(ModelFileError, match="holds the state of a training run, wanted a model"):
        load_model(tmp_path / "s")


@pytest.mark.parametrize("case", sorted(CASES))
def test_hostile_files_are_refused(tmp_path: Path, classifier: tg.TextClassifier, case: str) -> None:
    path = tmp_path / "model.safetensors"
    classifier.save(path)
    arrays, about = dict(classifier.weights_), _about(path)
    build, reason = CASES[case]
    path.write_bytes(build(arrays, about))
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match=reason) as refusal:
            tg.load(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * path.stat().st_size + 4 * 2**20
    finally:
        tracemalloc.stop()
    assert str(path) in str(refusal.value)


def test_refusing_hostile_files_takes_no_more_memory_than_the_file_and_64_mib_and_no_second_each(
    tmp_path: Path, classifier: tg.TextClassifier
) -> None:
    """Measured in a process of its own, by the most memory that it ever had resident."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of a single call is measured on Linux alone")
    path = tmp_path / "model.safetensors"
    classifier.save(path)
    arrays, about = dict(classifier.weights_), _about(path)
    hostile = {name: build for name, (build, _) in CASES.items()} | BOMBS
    for name, build in hostile.items():
        (tmp_path / name).write_bytes(build(arrays, about))
    command = [sys.executable, "-c", REFUSE, str(tmp_path), str(len(hostile)), *hostile]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    risen = json.loads(done.stdout)
    assert risen.keys() == hostile.keys()
    assert {name: mib for name, mib in risen.items() if mib > 64} == {}


def test_loading_a_large_sound_file_takes_its_size_once(tmp_path: Path) -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of a single call is measured on Linux alone")
    network = Network.of(Embed(vocabulary_size=2**19, size=64), Pool(modes=("max",)))
    table = np.ones((2**19, 64), np.float32)  # 128 MiB
    save_model(tmp_path / "large", network, weights={"0.weight": table}, task={"name": "x"})
    done = subprocess.run(
        [sys.executable, "-c", REFUSE.replace("tg.load", "load_model"), str(tmp_path), "60", "large"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "no refusal of large" in done.stderr
    assert float(done.stderr.split()[-1]) < 16


def test_the_file_that_the_hostile_ones_are_built_from_is_sound(tmp_path: Path, classifier: tg.TextClassifier) -> None:
    path = tmp_path / "model.safetensors"
    classifier.save(path)
    path.write_bytes(sound(dict(classifier.weights_), _about(path)))
    assert tg.load(path).predict(["good"]).tolist() == classifier.predict(["good"]).tolist()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(cut=st.integers(0, 10_000), place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_file_cut_or_altered_anywhere_is_refused(
    tmp_path_factory: pytest.TempPathFactory, cut: int, place: int, bit: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "altered.safetensors"
    save_model(path, NETWORK, weights=weights(), task={"name": "x"})
    whole = path.read_bytes()
    altered = bytearray(whole)
    altered[place % len(whole)] ^= 1 << bit
    for content in (whole[: cut % len(whole)], bytes(altered)):
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=r"altered\.safetensors"):
            load_model(path)


@pytest.mark.parametrize(("name", "reason"), [("nowhere", "no such file"), (".", "not a file"), ("pipe", "not a file")])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match=reason):
        load_model(tmp_path / name)


def _full(*_: object, **__: object) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class _FullDisk:
    """Take three bytes, then run out of space, as a disk does in the middle of a write."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __enter__(self) -> _FullDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def fileno(self) -> int:
        return int(self.file.fileno())

    def write(self, data: bytes) -> None:
        self.file.write(data[:3])
        _full()


def _full_while_writing(patch: pytest.MonkeyPatch) -> None:
    real = Path.open

    def opened(self: Path, mode: str = "r", **options: Any) -> Any:
        file = real(self, mode, **options)
        return _FullDisk(file) if "x" in mode else file

    patch.setattr(Path, "open", opened)


@pytest.mark.parametrize(
    "break_disk",
    [
        _full_while_writing,
        lambda patch: patch.setattr(os, "fsync", _full),
        lambda patch: patch.setattr(Path, "replace", _full),
    ],
    ids=["write", "flush", "rename"],
)
def test_a_full_disk_leaves_the_previous_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, break_disk: Callable[[pytest.MonkeyPatch], None]
) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, NETWORK, weights=weights(0), task={"name": "old"})
    with monkeypatch.context() as patch:
        break_disk(patch)
        with pytest.raises(OSError, match="previous file is untouched") as full:
            save_model(path, NETWORK, weights=weights(1), task={"name": "new"})
    assert (full.value.errno, full.value.filename) == (errno.ENOSPC, str(path))
    assert list(tmp_path.iterdir()) == [path]
    assert load_model(path).task == {"name": "old"}


def test_writing_replaces_the_whole_content_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic_write(path, b"long content")
    atomic_write(path, b"short")
    assert path.read_bytes() == b"short"
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="could not write: No such file") as error:
        atomic_write(tmp_path / "nowhere" / "file", b"")
    assert error.value.filename == str(tmp_path / "nowhere" / "file")


def _about(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="numpy") as file:
        about: dict[str, Any] = json.loads(file.metadata()["tidegate"])
    return about


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_link_stays_a_link_and_what_is_no_file_stays_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    target = tmp_path / "disk/model"
    target.write_bytes(b"old")
    link = tmp_path / "model"
    link.symlink_to("disk/model")
    atomic_write(link, b"new")
    assert (link.is_symlink(), target.read_bytes()) == (True, b"new")
    target.unlink()
    atomic_write(link, b"again")
    assert (link.is_symlink(), target.read_bytes()) == (True, b"again")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_bytes)
        atomic_write(pipe, b"through")
        assert read.result() == b"through"
    assert pipe.is_fifo()
