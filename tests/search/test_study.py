"""A search draws by its seed, goes on where it was ended, and its trials are runs that can be made again."""

from __future__ import annotations

import os
import re
import signal
import threading
from contextlib import closing
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest

import tidegate as tg
from commands import Cli
from tidegate import runs
from tidegate.errors import InputError, RunFolderError, TidegateError
from tidegate.search import Search, Space, Tried, open_search, study
from tidegate.search.report import draw_coordinates, draw_curves, draw_importances, rows_of
from tidegate.search.space import Among, Between
from tidegate.search.trials import begin_here

pytest.importorskip("optuna")

SPACE = Space(
    {"cell": Among(("lstm", "gru")), "learning_rate": Between(1e-3, 1e-1, log=True), "hidden_size": Between(2, 8)},
    {"epochs": 2, "batch_size": 16, "embedding_size": 3, "evidence": 0, "linear": False},
)


SPACE_OF_LINES = Space({"hidden_size": Among((2, 3))}, {"epochs": 1})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = (f"{'salt wave' if n % 2 else 'oak fern'} word{n % 5},{'sea' if n % 3 else 'wood'}" for n in range(60))
    file = tmp_path_factory.mktemp("data") / "small.csv"
    file.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return file


def searched(data: Path, out: Path, trials: int, workers: int = 1, **options: Any) -> list[Tried]:
    with closing(open_search(runs.Source(str(data)), SPACE, out=out, **options)) as search:
        list(search.run(trials=trials, workers=workers))
        search.write()
        return search.tried


@pytest.fixture(scope="module")
def four(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Tried]]:
    out = tmp_path_factory.mktemp("search") / "four"
    return out, searched(data, out, 4, prune=False)


def test_a_search_that_goes_on_draws_as_one_that_never_stopped(
    data: Path, four: tuple[Path, list[Tried]], tmp_path: Path
) -> None:
    assert len(searched(data, tmp_path / "parts", 2, prune=False)) == 2
    assert searched(data, tmp_path / "parts", 4, prune=False) == four[1]
    assert len({one.params["learning_rate"] for one in four[1]}) == 4
    assert all(one.ended == "complete" and list(one.values) == [1, 2] for one in four[1])


def test_a_trial_by_itself_is_the_same_run(four: tuple[Path, list[Tried]], tmp_path: Path) -> None:
    folder = four[0] / "trials" / "2"
    alone = runs.repeat(folder, out=tmp_path / "again")
    reached = [step.valid["accuracy"] for step in alone.steps if step.valid]
    alone.folder.release()
    assert reached == list(four[1][2].values.values())
    trained, again = tg.load(folder).weights_, tg.load(tmp_path / "again").weights_
    assert all(trained[name].tobytes() == again[name].tobytes() for name in trained)


def test_several_processes_end_as_many_trials(data: Path, tmp_path: Path) -> None:
    tried = searched(data, tmp_path / "two", 3, workers=2)
    assert [one.number for one in tried] == [0, 1, 2]
    assert {one.ended for one in tried} <= {"complete", "pruned"}


def test_a_trial_whose_process_is_killed_is_made_again(
    data: Path, four: tuple[Path, list[Tried]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor, killed = Search._is_poor, list[int]()

    def kill_once(self: Search, *args: Any) -> bool:
        if not killed:
            killed.append(active_children()[0].pid or 0)
            os.kill(killed[0], signal.SIGKILL)
        return poor(self, *args)

    monkeypatch.setattr(Search, "_is_poor", kill_once)
    assert searched(data, tmp_path / "killed", 1, prune=False) == four[1][:1]
    assert len(killed) == 1


def test_a_search_that_is_interrupted_begins_no_process_any_more(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, drawn, go, made = Search._draw, threading.Event(), threading.Event(), list[Any]()

    def draw_slowly(self: Search) -> Any:
        found = draw(self)
        drawn.set()
        go.wait(20)
        return found

    def interrupt(*_: Any, **__: Any) -> Any:
        drawn.wait(20)
        threading.Timer(0.3, go.set).start()  # once all processes are ended
        raise KeyboardInterrupt

    def make(*args: Any) -> Any:
        made.append(args)
        return begin_here(*args)

    monkeypatch.setattr(Search, "_draw", draw_slowly)
    monkeypatch.setattr(study, "wait", interrupt)
    monkeypatch.setattr(study, "begin_here", make)
    with closing(open_search(runs.Source(str(data)), SPACE, out=tmp_path / "ended")) as search:
        with pytest.raises(KeyboardInterrupt):
            list(search.run(trials=1))
        assert go.is_set()
        assert made == []


def test_another_search_in_the_folder_is_refused(data: Path, four: tuple[Path, list[Tried]]) -> None:
    with pytest.raises(RunFolderError, match="holds another search, and its seed differs"):
        searched(data, four[0], 5, seed=1, prune=False)


def test_what_cannot_be_searched_is_told(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wanted 1 or more"):
        searched(data, tmp_path / "none", 0)
    with pytest.raises(InputError, match=r"unknown measure 'meteor'.*Known: accuracy, .*, wer"):
        searched(data, tmp_path / "unknown", 1, measure="meteor")
    with pytest.raises(TidegateError, match=r"accuracy.* on the part held out, and no cer"):
        searched(data, tmp_path / "cer", 1, measure="cer")


def test_a_search_over_transcribers_looks_for_the_fewest_errors(tmp_path: Path) -> None:
    with closing(open_search(runs.Source("digit_lines"), SPACE_OF_LINES, out=tmp_path / "lines")) as search:
        trials = [search.study.ask(), search.study.ask()]
        for trial, errors in zip(trials, (0.2, 0.9), strict=True):
            trial.report(errors, 1)
            search.study.tell(trial, errors)
        assert search.best is not None
        assert (search.study.direction.name, search.best.value) == ("MINIMIZE", 0.2)
        assert search.study.best_value == 0.2


def test_a_trial_whose_loss_is_not_finite_counts_as_failed(data: Path, tmp_path: Path) -> None:
    space = Space({"learning_rate": Among((1e38,))}, {**SPACE.fixed, "max_grad_norm": 0})
    with closing(open_search(runs.Source(str(data)), space, out=tmp_path / "nan")) as search:
        (one,) = search.run(trials=1)
        assert search.best is None
        search.write()
    assert one.ended == "fail"
    assert "not finite" in (one.why or "") or "is nan" in (one.why or "")
    page = (tmp_path / "nan" / "search.html").read_text(encoding="utf-8")
    assert ">fail<" in page
    assert "best accuracy" not in page and "<picture" not in page


TRIED = [
    Tried(0, {"cell": "lstm", "rate": 0.001}, 0.5, "complete", {1: 0.4, 2: 0.5}),
    Tried(1, {"cell": "gru", "rate": 0.1}, 0.8, "pruned", {1: 0.8}),
    Tried(2, {"cell": "gru", "rate": 0.01}, None, "fail", {}, "the loss is nan"),
]


def test_pictures_show_what_was_tried() -> None:
    drawn = draw_coordinates(TRIED, "accuracy", TRIED[0], picture="svg").decode()
    texts = re.findall(r">([^<>\n]+)</text>", drawn)
    assert {"cell", "rate", "accuracy", "lstm", "gru", "0.001", "0.1", "0.5", "0.8"} <= set(texts)
    curves = draw_curves(TRIED, "accuracy", TRIED[0], picture="svg").decode()
    assert curves.count("stroke-width: 2.4") >= 1
    assert "rate" in draw_importances({"rate": 0.9, "cell": 0.1}, picture="svg").decode()
    with pytest.raises(InputError, match="no trial was measured"):
        draw_curves(TRIED[2:], "accuracy", None)


def test_a_row_says_what_a_trial_came_to() -> None:
    assert rows_of(TRIED, "accuracy")[2] == {
        "trial": "2", "cell": "gru", "rate": "0.01", "accuracy": "-", "epochs": "0", "ended": "fail"
    }  # fmt: skip


def test_the_command_searches_and_says_what_to_do_next(cli: Cli, data: Path, tmp_path: Path) -> None:
    space = tmp_path / "space.toml"
    space.write_text("hidden_size = [2, 3]\nepochs = 1\nevidence = 0\nlinear = false\n", encoding="utf-8")
    both = cli("search", data, "--space", space, "--set", "hidden_size=4", "--out", tmp_path / "out")
    assert both.code == 2
    assert "hidden_size would be chosen and the same in all trials: take it out of" in both.err
    answer = cli("search", data, "--space", space, "--trials", 2, "--out", tmp_path / "out")
    assert answer.code == 0
    assert "trial 1: accuracy" in answer.err
    assert re.search(r"Next: tidegate train --resume .*out/trials/[01]", answer.err)
    assert len(answer.out.strip().splitlines()) == 3
    page = (tmp_path / "out" / "search.html").read_text(encoding="utf-8")
    assert page.count("<picture>") >= 2 and "best accuracy" in page
    assert "hidden_size" in page
