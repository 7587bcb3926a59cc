"""A graph is proven before it is written: one that answers wrongly never reaches the disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphs import executor, ordered_as_in_torch, recurrent
from tidegate.cells import CELLS
from tidegate.errors import ExportError
from tidegate.export import SequenceInterface, drawing, nodes, to_onnx
from tidegate.network import Dense, Pool, Recurrent


def _wrong_gates(patch: pytest.MonkeyPatch) -> None:
    for name in ("lstm", "gru"):
        patch.setitem(CELLS, name, ordered_as_in_torch(CELLS[name]))


def _wrong_reset(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(nodes, "attributes_of", lambda node: {"hidden_size": node.hidden_size, "direction": "forward"})


def _unturned(patch: pytest.MonkeyPatch) -> None:
    whole = nodes.steps_of
    patch.setattr(
        "tidegate.export.interface.steps_of", lambda *args: replace(s := whole(*args), turns=_ones(args[0], s))
    )


def _ones(graph: Any, steps: nodes.Steps) -> str:
    return str(graph.add("Div", steps.turns, steps.turns))


def _unmasked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        "tidegate.export.nodes.NodeWriter._pooled",
        lambda self, mode, flow, steps: self.graph.add("ReduceMax", flow.rows, axes=[0], keepdims=0),
    )


@pytest.mark.parametrize("harm", [_wrong_gates, _wrong_reset, _unturned, _unmasked])
def test_a_graph_that_answers_wrongly_is_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[pytest.MonkeyPatch], None]
) -> None:
    node = recurrent("gru", bidirectional=True)
    ours = executor(node, Dense(in_features=8, out_features=8), Pool(modes=("max",)))
    harm(monkeypatch)
    with pytest.raises(ExportError, match=r"the output 'output' of the graph differs .* 1e-05 is allowed"):
        to_onnx(ours, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_there_stays_when_the_new_graph_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"before")
    _wrong_gates(monkeypatch)
    with pytest.raises(ExportError):
        to_onnx(executor(recurrent("lstm")), tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == b"before"


def test_a_graph_with_outputs_of_another_shape_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SequenceInterface, "_answers", lambda self, rows, lengths, time: {"output": rows})
    with pytest.raises(ExportError, match=r"the outputs of the graph are \{'output': \[1, 1, 4\]"):
        to_onnx(executor(recurrent("gru", reverse=True)), tmp_path / "model.onnx")


def test_numbers_that_are_none_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "ACTIVATION", {"relu": "Log"})
    with pytest.raises(ExportError, match="differs from what the model answers by nan"):
        to_onnx(executor(Dense(in_features=1, out_features=4, activation="relu")), tmp_path / "model.onnx")


def test_a_model_that_makes_much_of_rounding_is_measured_by_its_own(tmp_path: Path) -> None:
    layer = Recurrent(cell="rnn_tanh", input_size=3, hidden_size=16)
    exported = to_onnx(executor(layer, size=3.0), tmp_path / "model.onnx")
    wild = [case for case in exported.cases if case.relative > 1e-3]
    assert wild
    assert all(case.rounding is not None and case.rounding > case.absolute / 8 for case in wild)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            nodes, "attributes_of", lambda node: {"hidden_size": node.hidden_size, "activations": ["Sigmoid"]}
        )
        with pytest.raises(ExportError):
            to_onnx(executor(layer, size=3.0), tmp_path / "wrong.onnx")


def test_batches_are_shorter_where_a_step_has_many_numbers() -> None:
    found = {
        name: (len(lengths), time)
        for name, lengths, time in drawing.draw_lengths(np.random.default_rng(0), width=2**20)
    }
    assert found["1 of up to 16"] == (1, 16)
    assert found["7 of up to 2"] == (7, 2)
    assert max(batch * time for batch, time in found.values() if batch != 3) == 16
