"""Graphs of networks that branch: proven in ONNX Runtime when they are written, and right in OpenVINO, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from branches import BRANCHES, BRANCHES_THAT_DROP
from graphs import run_onnx, run_openvino
from programs import weights_of
from tidegate.errors import ExportError
from tidegate.export import to_onnx
from tidegate.export.interface import SequenceInterface
from tidegate.network import Join
from tidegate.nodes.part import sources_of
from tidegate.runtime import Executor

ALL = BRANCHES | BRANCHES_THAT_DROP


@pytest.mark.parametrize("states", ["optional", "required"])
@pytest.mark.parametrize("name", ALL)
def test_a_graph_of_branches_proves_itself_from_any_states(tmp_path: Path, name: str, states: Any) -> None:
    exported = to_onnx(
        Executor(ALL[name], weights_of(ALL[name], np.float32)), tmp_path / "branches.onnx", states=states
    )
    assert exported.worst < 1e-5


@pytest.mark.parametrize("run", [run_onnx, run_openvino])
@pytest.mark.parametrize("name", ALL)
def test_runtimes_answer_as_we_do(tmp_path: Path, run: Any, name: str) -> None:
    network = ALL[name]
    model = Executor(network, weights_of(network, np.float32))
    to_onnx(model, tmp_path / "branches.onnx", states="off")
    interface = SequenceInterface(network, model.weights)
    for _, inputs in list(interface.draw(np.random.default_rng(0), "off"))[:4]:
        found = run(tmp_path / "branches.onnx", inputs)
        for output, wanted in interface.expect(inputs, "off").items():
            np.testing.assert_allclose(found[output], wanted, rtol=0, atol=1e-5)


def test_a_join_in_another_order_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = ALL["one output read by four"]

    def turned(network_nodes: Any) -> Any:
        pairs = zip(network_nodes, sources_of(network_nodes), strict=True)
        return tuple(sources[::-1] if isinstance(node, Join) else sources for node, sources in pairs)

    monkeypatch.setattr("tidegate.export.nodes.sources_of", turned)
    with pytest.raises(ExportError, match="differs from what the model answers"):
        to_onnx(Executor(network, weights_of(network, np.float32)), tmp_path / "turned.onnx")
