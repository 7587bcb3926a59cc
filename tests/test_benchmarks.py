"""The rules by which benchmarks are read: ratios, tables, targets, and what counts as worse. Nothing is timed here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks import compare, input_feeding, kraken, race, tables, targets
from benchmarks.torch_translators import Batch, InputFeeding, Sizes

from tidegate.data import Recordings
from tidegate.ragged import Ragged
from tidegate.tasks.translating.reading import Corpus, joined


def record(**seconds: list[float]) -> dict[str, Any]:
    return {"name": "race", "taken": "2026-01-01", "seconds": seconds}


def write(folder: Path, **seconds: list[float]) -> str:
    folder.mkdir()
    (folder / "race.json").write_text(json.dumps(record(**seconds)))
    return str(folder)


def test_ratio_is_taken_round_by_round() -> None:
    assert tables.ratio(record(tidegate=[1.0, 2.0, 4.0], torch=[3.0, 4.0, 20.0]), "torch") == (3.0, 2.0, 5.0)


def test_rival_of_fewer_rounds_is_compared_in_those() -> None:
    assert tables.ratio(record(tidegate=[1.0, 2.0], packed=[50.0]), "packed") == (50.0, 50.0, 50.0)


def test_race_table_begins_with_us_and_then_the_fastest_rival() -> None:
    found = tables.race_table(
        record(tidegate=[0.5], slow=[2.0], fast=[1.0]) | {"tokens": 1000, "absent": {"jax": "no"}}
    )
    assert found.split("\n")[2:] == [
        "| tidegate | 500 | 2,000 | 1 |",
        "| fast | 1,000 | 1,000 | 2.00 (2.00 - 2.00) |",
        "| slow | 2,000 | 500 | 4.00 (4.00 - 4.00) |",
        "| jax | not run |  | no |",
    ]


def test_a_race_of_single_steps_tells_their_percentiles() -> None:
    outcome = race.Outcome()
    for scale in (1.0, 2.0, 4.0):  # of a round of steps that take 0, 1, ... 100 microseconds, times the scale
        outcome.add("tidegate", [step * scale / 1e6 for step in range(101)])
    assert outcome.seconds == {"tidegate": pytest.approx([5050e-6, 10100e-6, 20200e-6])}
    assert outcome.latency["tidegate"]["p50"] == pytest.approx([50e-6, 100e-6, 200e-6])
    found = tables.race_table(record(**outcome.seconds) | {"latency": outcome.latency, "absent": {"jax": "no"}})
    assert found.split("\n") == [
        "| engine | ms per step | p50, µs | p99, µs | valid tokens per second | time / Tidegate's (least - most) |",
        "| --- | --- | --- | --- | --- | --- |",
        "| tidegate | 10.1 | 100 | 198 | - | 1 |",
        "| jax | not run |  |  |  | no |",
    ]


def test_best_rival_is_the_fastest_of_all_and_of_torch() -> None:
    found = targets.figures(record(**{"tidegate": [1.0], "keras": [2.0], "torch": [3.0], "torch packed": [9.0]}))
    assert (found[targets.BEST], found[targets.TORCH], found[targets.PACKED]) == (2.0, 3.0, 9.0)


@pytest.mark.parametrize(("at_most", "value", "met"), [(False, 1.9, False), (False, 2.0, True), (True, 2.1, False)])
def test_target_is_met_from_its_own_side(at_most: bool, value: float, met: bool) -> None:
    assert targets.Target("work", "record", "figure", 2.0, at_most).met(value) is met


@pytest.mark.parametrize(
    ("new", "worse"),
    [
        ((2.0, 1.9, 2.5), True),  # clear of the old spread on both sides
        ((2.0, 1.9, 4.5), False),  # one new round was as good as the old median
        ((3.6, 3.5, 3.9), False),  # within the old spread
        ((6.0, 5.0, 7.0), False),  # better
    ],
)
def test_worse_means_that_both_spreads_keep_clear(new: tuple[float, float, float], worse: bool) -> None:
    assert compare.Change("race", "torch", (4.0, 3.5, 4.4), new).worse is worse


def test_compare_exits_with_1_where_a_ratio_got_worse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = write(tmp_path / "old", tidegate=[1.0, 1.0], torch=[4.0, 4.2])
    slower_machine = write(tmp_path / "same", tidegate=[2.0, 2.0], torch=[8.0, 8.4])
    worse = write(tmp_path / "worse", tidegate=[2.0, 2.0], torch=[4.0, 4.2])
    assert compare.main([old, slower_machine]) == 0
    assert compare.main([old, worse]) == 1
    assert "| race | torch | 4.10 (4.00 - 4.20) | 2.05 (2.00 - 2.10) | **worse** |" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["one"], ["no such file", "nor this"]])
def test_compare_exits_with_2_for_a_wrong_call(arguments: list[str]) -> None:
    assert compare.main(arguments) == 2


def test_two_hops_in_torch_are_those_of_tidegate_and_steps_of_a_search_those_of_a_whole_run() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 6, 32)
    ids = [rng.integers(0, 9, length).astype(np.int32) for length in lengths]
    sides = Ragged.from_list(ids), Ragged.from_list(ids[::-1])
    corpus = Corpus(sides[0], joined(sides[1], before=9), joined(sides[1], after=10))
    sizes = Sizes(11, embedding=4, encoder=3, decoder=5)
    input_feeding.check(corpus, sizes)  # raises where they lose something else

    torch.manual_seed(0)
    model = InputFeeding(sizes).eval()
    batch = input_feeding.batch_of(corpus, np.arange(3))
    written = model.search(batch.source, batch.lengths, start=9, beam=1, steps=4, barred=[])[:, 0]
    begun = torch.cat([torch.full((3, 1), 9), written[:, :-1]], 1)
    whole = Batch.of(list(sides[0])[:3], list(begun.numpy()), np.zeros(12))
    assert model(whole).argmax(1).view(3, 4).tolist() == written.tolist()


# Stands in for kraken: `ketos` tells how it was called and leaves weights, `kraken` reads what is right, but for a g.
KETOS = """#!/bin/sh
while [ "$1" != --output ]; do shift; done
mkdir -p "$2" && touch "$2/best_0.0800.safetensors" "$2/best_0.9000.safetensors" && echo "$*" > "$2/called.txt"
"""
KRAKEN = """#!/bin/sh
while [ "$1" != -I ]; do shift; done
for picture in $2; do tr g q < "${picture%.png}.gt.txt" > "${picture%.png}.txt"; done
"""


def test_kraken_learns_and_reads_the_lines_that_were_written_for_it(tmp_path: Path) -> None:
    for name, script in {"ketos": KETOS, "kraken": KRAKEN}.items():
        (tmp_path / name).write_text(script)
        assert kraken.Kraken.find(tmp_path) is None
        (tmp_path / name).chmod(0o755)
    found = kraken.Kraken.find(tmp_path)
    assert found is not None
    texts, names = ["ſo lag", "Goͤttin  "], ["book/b.png", "book/a.png"]
    lines = Recordings([np.zeros((3, 48), np.float32)] * 2, texts, names=names, reads="line")
    pictures = {"book/a.png": b"A", "book/b.png": b"B", "other/c.png": b"C"}
    places = {part: kraken.export(lines, pictures, tmp_path / part) for part in ("train", "valid", "test")}
    assert [place.read_bytes() for place in places["test"]] == [b"B", b"A"]
    assert found.read(tmp_path / "weights", places["test"]) == ["ſo laq", "Goͤttin"]
    assert found.train(tmp_path, 3, "own").name == "best_0.9000.safetensors"
    assert (tmp_path / "train.txt").read_text().split() == [str(place) for place in places["train"]]
    called = (tmp_path / "weights" / "called.txt").read_text()
    assert f"--training-data {tmp_path / 'train.txt'} --evaluation-data {tmp_path / 'valid.txt'}" in called


def test_kraken_that_is_not_there_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["kraken", "--kraken", str(tmp_path)])
    kraken.main()
    assert "pip install kraken==7.1.1" in capsys.readouterr().err


def test_the_wrong_symbols_of_kraken_are_counted_with_and_without_plain_forms() -> None:
    found = kraken.measured(["so", "lag"], ["ſo", "lag"], ["a", "b"])
    assert [found["cer"], found["cer, plain forms"]] == pytest.approx([0.2, 0.0])
    assert [found["cer, low"], found["cer, high"]] == [0.0, 0.5]
