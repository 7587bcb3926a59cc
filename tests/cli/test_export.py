"""`tidegate export`: where the file lands, what is printed, and how it ends when the graph is wrong."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import tidegate as tg
from commands import Cli
from graphs import executor, features, lens, ordered_as_in_torch, padded, run_onnx
from tidegate.cells import CELLS
from tidegate.network import Pool, Recurrent

TEXTS, LABELS = ["good fun", "so good", "bad", "so bad"] * 4, ["pos", "pos", "neg", "neg"] * 4


@pytest.fixture(scope="module")
def trained() -> tg.TextClassifier:
    return tg.TextClassifier(hidden_size=4, epochs=1, validation_fraction=0).fit(TEXTS, LABELS)


@pytest.fixture
def model(trained: tg.TextClassifier, tmp_path: Path) -> Path:
    trained.save(tmp_path / "reviews.safetensors", licence="CC-BY-4.0")
    return tmp_path / "reviews.safetensors"


def test_the_file_lands_beside_the_model_and_the_report_on_stdout(
    cli: Cli, model: Path, trained: tg.TextClassifier
) -> None:
    answer = cli("export", model, "--to", "onnx")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0].split() == ["batch", "absolute", "relative", "own", "rounding"]
    assert len(lines) == 1 + 14
    assert "input: sequence_lens int32 [batch]" in answer.err
    assert f"Written: {model.with_suffix('.onnx')}" in answer.err
    inputs = tg.export.graph_inputs(trained, ["so good"])
    found = run_onnx(model.with_suffix(".onnx"), inputs)
    np.testing.assert_allclose(found["probabilities"], trained.predict_proba(["so good"]), atol=1e-5)


def test_a_run_folder_takes_the_file_in(cli: Cli, trained: tg.TextClassifier, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    trained.save(tmp_path / "run" / "model.safetensors")
    assert cli("export", tmp_path / "run", "--to", "onnx").code == 0
    assert (tmp_path / "run" / "model.onnx").exists()


def test_json_tells_inputs_outputs_and_every_batch(cli: Cli, model: Path, tmp_path: Path) -> None:
    answer = cli("export", model, "--to", "onnx", "-o", tmp_path / "other.onnx", "--json")
    found = json.loads(answer.out)
    assert found["path"] == str(tmp_path / "other.onnx")
    assert found["bytes"] == (tmp_path / "other.onnx").stat().st_size
    assert [(value["name"], value["shape"]) for value in found["outputs"]] == [
        ("logits", ["batch", 2]),
        ("probabilities", ["batch", 2]),
    ]
    assert max(case["relative"] for case in found["cases"]) < 1e-5


def test_the_licence_of_the_model_stands_in_the_file(cli: Cli, model: Path) -> None:
    import onnx

    assert cli("export", model, "--to", "onnx").code == 0
    about = {entry.key: entry.value for entry in onnx.load(model.with_suffix(".onnx")).metadata_props}
    assert about["licence"] == "CC-BY-4.0"


def test_a_wrong_graph_ends_with_1_and_leaves_no_file(cli: Cli, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CELLS, "lstm", ordered_as_in_torch(CELLS["lstm"]))
    answer = cli("export", model, "--to", "onnx")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("error: 1 of up to 1: the output '")
    assert [path.name for path in model.parent.glob("*.onnx")] == []


def test_a_format_that_is_not_known_ends_with_2(cli: Cli, model: Path) -> None:
    answer = cli("export", model, "--to", "onyx")
    assert (answer.code, answer.err) == (2, "error: unknown format 'onyx'. Did you mean 'onnx'? Known: onnx.\n")


def test_a_model_is_not_written_over_by_its_graph(cli: Cli, model: Path) -> None:
    before = model.read_bytes()
    answer = cli("export", model, "--to", "onnx", "-o", model)
    assert answer.code == 2
    assert "is the file that is read" in answer.err
    assert model.read_bytes() == before


def test_states_may_be_required_or_left_out(cli: Cli, tmp_path: Path) -> None:
    model = tg.LanguageModel(hidden_size=4, epochs=1, validation_fraction=0).fit(TEXTS)
    model.save(tmp_path / "m.safetensors")
    names = {}
    for states in ("optional", "required", "off"):
        answer = cli("export", tmp_path / "m.safetensors", "--to", "onnx", "--states", states, "--json")
        names[states] = {value["name"]: value["optional"] for value in json.loads(answer.out)["inputs"]}
    plain = {"tokens": False, "sequence_lens": False}
    assert names["off"] == plain
    assert names["optional"] == {**plain, "h0_1": True, "c0_1": True}
    assert names["required"] == {**plain, "h0_1": False, "c0_1": False}
    assert cli("export", tmp_path / "m.safetensors", "--to", "onnx", "--states", "of").code == 2


def test_a_missing_package_ends_with_1_and_names_the_extra(
    cli: Cli, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("tidegate.export.onnx.find_spec", lambda name: None if "onnx" in name else find(name))
    answer = cli("export", model, "--to", "onnx")
    assert answer.code == 1
    assert "pip install 'tidegate[onnx]'" in answer.err


def test_a_network_without_a_task_is_exported_too(cli: Cli, tmp_path: Path) -> None:
    layer = Recurrent(cell="gru", input_size=2, hidden_size=3)
    ours = executor(layer, Pool(modes=("last",)))
    ours.save(tmp_path / "network.safetensors")
    assert cli("export", tmp_path / "network.safetensors", "--to", "onnx").code == 0
    x = features(2)
    found = run_onnx(tmp_path / "network.onnx", {"features": padded(x), "sequence_lens": lens(x)})
    np.testing.assert_allclose(found["output"], ours(x), atol=1e-5)
