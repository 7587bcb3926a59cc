"""A model file whose network branches: a task answers with it, and everything that stands on a task works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from tidegate import train
from tidegate.checkpoint import load_model, save_model
from tidegate.export import to_onnx
from tidegate.network import Dense, Join, Network, Pool, Recurrent
from tidegate.runs import describe_model
from tidegate.runtime import Executor

BRANCHES = Network.of(
    Recurrent(cell="lstm", input_size=8, hidden_size=6, bidirectional=True, name="rows"),
    Pool(modes=("last",), name="ends"),
    Recurrent(cell="gru", input_size=8, hidden_size=5, reads="input", name="aside"),
    Pool(modes=("max",), name="most"),
    Pool(modes=("mean",), reads="input", name="ink"),
    Join(reads=("ends", "most", "ink")),
    Dense(in_features=25, out_features=10),
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Put a network that branches in the place of the one that a task has trained."""
    digits, path = tg.data.load("digits"), tmp_path_factory.mktemp("models") / "digits.safetensors"
    tg.SequenceClassifier(hidden_size=4, epochs=1).fit(digits.train.x, digits.train.y).save(path)
    model = load_model(path)
    weights = train.initial_weights(BRANCHES, seed=1)
    save_model(path, BRANCHES, weights=weights, task=model.task, arrays=model.arrays, about=model.about)
    return path


def test_it_answers_streams_exports_and_is_looked_into(file: Path, tmp_path: Path) -> None:
    model: Any = tg.load(file)
    digits: Any = tg.data.load("digits")
    x = digits.test.x
    executor = Executor(BRANCHES, load_model(file).weights)
    inside = model.inside()
    prepared, _ = inside.prepare(x)
    assert inside.network == BRANCHES
    assert model.classes_[executor(prepared).argmax(axis=1)].tolist() == model.predict(x).tolist()
    stream = model.stream(lookahead=8)
    stream.push(np.asarray(x[0][:3]))
    stream.push(np.asarray(x[0][3:]))
    np.testing.assert_array_equal(stream.finish(), model.predict_proba(x.select([0]))[0])
    assert to_onnx(model, tmp_path / "digits.onnx").worst < 1e-5
    names = [direction.name for direction in tg.inspect.trace(model, x.select([0, 1])).directions]
    assert names == ["rows layer 0 forward", "rows layer 0 backward", "aside layer 0 forward"]


def test_what_is_inside_is_told_with_its_names(file: Path) -> None:
    nodes = describe_model(file)["network"]
    assert [node["gives"] for node in nodes] == [
        "[N, 12]",
        "[B, 12]",
        "[N, 5]",
        "[B, 5]",
        "[B, 8]",
        "[B, 25]",
        "[B, 10]",
    ]
    assert nodes[2]["settings"]["name"] == "aside"
    assert nodes[5]["settings"] == {"reads": ["ends", "most", "ink"]}
