"""A model gives way to a newer file while it is asked: nothing is lost, every answer is of the model it names."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import samples
import tidegate as tg
from serving import ask, serving
from tidegate.errors import InputError
from tidegate.serve.server import Server
from tidegate.serve.shelf import Shelf, name_models

NAME = "text-classifier"
TEXTS = ["wave tide", "oak", "", "wave oak moss"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two models of one task that answer otherwise."""
    folder, sample = tmp_path_factory.mktemp("pair"), samples.SAMPLES[NAME]
    paths = [folder / "a.safetensors", folder / "b.safetensors"]
    for seed, path in enumerate(paths):
        samples.untrained(NAME, seed=seed, **sample.live_params).fit(*sample.examples()).save(path)
    return paths


def renew(server: Server) -> None:
    """Read all models again, as SIGHUP does."""
    assert server._runner is not None
    assert server._runner._loop is not None
    asyncio.run_coroutine_threadsafe(server.renew(), server._runner._loop).result(20)


@contextmanager
def swapping(server: Server, pair: list[Path], target: Path) -> Iterator[None]:
    """Let the two models take turns for as long as the block lasts."""
    done = threading.Event()

    def swap() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            new = target.with_name("new")
            shutil.copyfile(pair[turn % 2], new)
            new.replace(target)
            renew(server)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_no_request_is_lost_and_each_answer_is_of_the_model_that_it_names(pair: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    shutil.copyfile(pair[0], target)
    said: list[str] = []
    with serving({NAME: target}, said=said) as server:
        known = {}
        for path in pair:
            model = tg.load(path)
            digest = Shelf({NAME: path}).find(None).digest
            known[digest] = model.predict_proba(TEXTS).tolist()
        answers: list[Any] = []

        def storm() -> None:
            answers.extend(ask(server, "/v1/predict", {"texts": TEXTS}) for _ in range(150))

        with swapping(server, pair, target):
            threads = [threading.Thread(target=storm) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert [status for status, _, _ in answers] == [200] * 600
    for _, told, _ in answers:
        rows = [list(each["probabilities"].values()) for each in told["answers"]]
        assert rows == known[told["digest"]]
    assert {told["digest"] for _, told, _ in answers} == set(known)
    assert sum("gave way to" in line for line in said) > 10


def test_a_stream_ends_on_the_model_that_it_was_begun_with(pair: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    shutil.copyfile(pair[0], target)
    words = ["wave", "oak", "tide", "fern"] * 30
    live = tg.load(pair[0]).stream(lookahead=1)
    wanted = [live.step(word).tolist() for word in words]
    with serving({NAME: target}) as server, tg.Client(server.url) as client, client.stream(lookahead=1) as stream:
        found = [stream.step(word).tolist() for word in words[:50]]
        shutil.copyfile(pair[1], target)
        renew(server)
        found += [stream.step(word).tolist() for word in words[50:]]
        newer = tg.load(pair[1]).predict_proba(TEXTS)
        assert (tg.Client.predict_proba(client, TEXTS) == newer).all()
    assert found == wanted


def test_a_token_of_a_model_that_is_gone_is_refused_and_says_so(pair: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    shutil.copyfile(pair[0], target)
    with serving({NAME: target}) as server:
        token = ask(server, f"/v1/streams/{NAME}", {"begin": {"lookahead": 1}, "steps": ["wave"]})[1]["token"]
        shutil.copyfile(pair[1], target)
        renew(server)
        until = time.monotonic() + 20
        status = 200
        while status == 200 and time.monotonic() < until:  # the old one goes when its last request has
            status, told, _ = ask(server, f"/v1/streams/{NAME}", {"resume": token, "steps": ["tide"]})
    assert (status, told["type"]) == (410, "urn:tidegate:model-gone")


def broken(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def of_another_task(path: Path) -> None:
    samples.untrained("sequence-classifier").fit(*samples.SAMPLES["sequence-classifier"].examples()).save(path)


@pytest.mark.parametrize("spoil", [broken, of_another_task, Path.unlink], ids=["cut", "another task", "gone"])
def test_a_file_that_cannot_be_served_leaves_the_old_model(
    pair: list[Path], tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    target, said = tmp_path / "model.safetensors", list[str]()
    shutil.copyfile(pair[0], target)
    with serving({NAME: target}, said=said) as server:
        before = ask(server, "/v1/predict", {"texts": TEXTS})
        spoil(target)
        renew(server)
        assert ask(server, "/v1/predict", {"texts": TEXTS})[:2] == before[:2]
        shutil.copyfile(pair[1], target)
        renew(server)
        assert ask(server, "/v1/predict", {"texts": TEXTS})[1]["digest"] != before[1]["digest"]
    assert any("kept as it is" in line for line in said)


def test_a_file_that_is_watched_is_taken_up_by_itself(pair: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    shutil.copyfile(pair[0], target)
    with serving({NAME: target}, watch=True) as server:
        before = ask(server, "/v1/models")[1]["models"][0]["digest"]
        shutil.copyfile(pair[1], target)
        until = time.monotonic() + 20
        while ask(server, "/v1/models")[1]["models"][0]["digest"] == before and time.monotonic() < until:
            time.sleep(0.1)
        assert ask(server, "/v1/models")[1]["models"][0]["digest"] != before


def test_two_models_have_two_names(tmp_path: Path) -> None:
    run = tmp_path / "imdb"
    run.mkdir()
    assert name_models([run, tmp_path / "x.safetensors", run.parent / "ewt" / "model.safetensors"], {}) == {
        "imdb": run, "x": tmp_path / "x.safetensors", "ewt": tmp_path / "ewt" / "model.safetensors",
    }  # fmt: skip
    with pytest.raises(InputError, match="would be called imdb"):
        name_models([run, tmp_path / "other" / "imdb"], {})
    with pytest.raises(InputError, match="no name of a model"):
        Shelf({"../x": run})
