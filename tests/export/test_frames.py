"""Graphs of networks that make frames: lengths go in and come out, the proof covers rests and empty sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphs import run_onnx, run_openvino
from programs import NETWORKS, weights_of
from tidegate import ctc
from tidegate.errors import InputError
from tidegate.export import to_onnx
from tidegate.export.proof import open_session
from tidegate.export.spelling import spelled
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

NAMES = ["frames of rows that overlap", "rows that are skipped, pooled", "frames that spell", "a sound that spells"]


@pytest.mark.parametrize("name", NAMES)
def test_frames_leave_as_a_graph_that_says_how_many_there_are(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]
    executor = Executor(network, weights_of(network, np.float32))
    exported = to_onnx(executor, tmp_path / "graph.onnx")
    assert exported.worst < 1e-5
    told = {value.name: value.shape for value in exported.outputs}
    if network.pools:
        assert "output_lens" not in told
        return
    assert told["output_lens"] == ("batch",)
    assert told["output"][:2] == ("batch", "frames")
    lengths = np.array([13, 0, 6], np.int32)
    rows = np.random.default_rng(0).normal(size=(3, 13, network.input_size)).astype(np.float32)
    session = open_session((tmp_path / "graph.onnx").read_bytes())
    found, counts = session.run(["output", "output_lens"], {"features": rows, "sequence_lens": lengths})
    assert counts.tolist() == network.steps(lengths).tolist()
    wanted = executor(Ragged.from_padded(rows, lengths))
    given = np.concatenate([row[:count] for row, count in zip(found, counts, strict=True)])
    np.testing.assert_allclose(given, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("name", [name for name in NAMES if NETWORKS[name].nodes[-1].kind == "ctc"])
@pytest.mark.parametrize("run", [run_onnx, run_openvino])
def test_the_greedy_graph_spells_what_its_frames_do(name: str, run: Any, tmp_path: Path) -> None:
    network = NETWORKS[name]
    executor = Executor(network, weights_of(network, np.float32))
    exported = to_onnx(executor, tmp_path / "graph.onnx", part="greedy", states="off")
    shapes = {value.name: value.shape for value in exported.outputs}
    assert shapes["ids"] == shapes["first"] == shapes["last"] == ("batch", "symbols")
    lengths = np.array([13 * network.gives[-1].stride, 0, 6 * network.gives[-1].stride], np.int32)
    rows = np.random.default_rng(1).normal(size=(3, lengths.max(), network.input_size)).astype(np.float32)
    rows[np.arange(lengths.max()) >= lengths[:, None]] = np.nan
    told = run(tmp_path / "graph.onnx", {"features": rows, "sequence_lens": lengths})
    counts = told["symbol_lens"]
    scores = executor(Ragged.from_padded(rows, lengths))
    wanted = ctc.greedy(ctc.Frames(scores, np.cumsum([0, *network.steps(lengths)]).astype(np.int64)))
    assert counts.tolist() == np.diff(wanted.begins).tolist() and counts[1] == 0 < counts[0]
    for output, known in (("ids", wanted.symbols), ("first", wanted.first), ("last", wanted.last)):
        found = [row[:count] for row, count in zip(told[output], counts, strict=True)]
        assert np.concatenate(found).tolist() == known.tolist()


def test_what_spells_nothing_has_no_greedy_graph(tmp_path: Path) -> None:
    network = NETWORKS["frames of rows that overlap"]
    with pytest.raises(InputError, match="has no such part"):
        to_onnx(Executor(network, weights_of(network, np.float32)), tmp_path / "graph.onnx", part="greedy")


def test_repeats_count_once_and_blanks_not_at_all() -> None:
    scores = np.eye(3, dtype=np.float32)[np.array([[0, 1, 1, 0, 1, 2, 2], [2, 0, 0, 0, 0, 0, 0]])]
    told = spelled(scores, np.array([7, 0]))
    assert told["ids"].tolist() == [[1, 1, 2], [0, 0, 0]] and told["symbol_lens"].tolist() == [3, 0]
    assert told["first"].tolist() == [[1, 4, 5], [0, 0, 0]] and told["last"].tolist() == [[2, 4, 6], [0, 0, 0]]
