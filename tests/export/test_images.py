"""Networks of images as graphs: proven over batches and sizes, empty images and garbage in the padding among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import tidegate as tg
from programs import NETWORKS, weights_of
from tidegate import export
from tidegate.runtime import Executor

IMAGES = [name for name, network in NETWORKS.items() if any(node.reads_images for node in network.nodes)]


@pytest.mark.parametrize("name", IMAGES)
def test_a_graph_answers_as_the_core_does(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]
    exported = export.to_onnx(Executor(network, weights_of(network, np.float32)), tmp_path / "images.onnx")
    assert exported.worst < 1e-5
    assert len(exported.cases) > 10


def test_a_classifier_of_images_names_classes_in_its_graph(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X: list[Any] = [rng.uniform(0, 1, rng.integers(3, 9, 2)).astype(np.float32) for _ in range(20)]
    y = ["dark" if image.mean() < 0.5 else "light" for image in X]
    settings: dict[str, Any] = {"hidden_size": 4, "epochs": 2, "validation_fraction": 0}
    model = tg.SequenceClassifier(**settings).fit(tg.Grid.from_list(X), y)
    exported = export.to_onnx(model, tmp_path / "images.onnx")
    assert [value.name for value in exported.inputs] == ["images", "heights", "widths"]
    session = onnxruntime.InferenceSession(tmp_path / "images.onnx", providers=["CPUExecutionProvider"])
    stack, sizes = tg.Grid.from_list(X).to_padded(fill=np.nan)
    heights, widths = sizes.T.astype(np.int32)
    (likely,) = session.run(["probabilities"], {"images": stack, "heights": heights, "widths": widths})
    np.testing.assert_allclose(likely, model.predict_proba(X), atol=1e-5)
