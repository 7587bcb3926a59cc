"""Graphs of networks that make frames: lengths go in and come out, the proof covers rests and empty sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from programs import NETWORKS, weights_of
from tidegate.export import to_onnx
from tidegate.export.proof import open_session
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
