"""What `tidegate info` tells of a model file is what was put into it, and nothing that could not be loaded is told."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

import tidegate as tg
from classifiers import PLAIN
from commands import Cli
from tidegate import runs
from tidegate.errors import ModelFileError
from tidegate.network import Decode, Dense, Network, Recurrent, Split
from tidegate.runs.description import describe_nodes
from tidegate.runtime import Executor

TEXTS, LABELS = ["good film", "bad film", "so good", "so bad"] * 4, ["pos", "neg"] * 8


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    small: dict[str, Any] = {"hidden_size": 3, "embedding_size": 2, "dropout": 0, "pooling": ("max",)}
    model = tg.TextClassifier(**small, **PLAIN, epochs=1, validation_fraction=0.1, seed=7)
    model.fit(TEXTS, LABELS).save(path, licence="CC-BY-4.0", data="films", metrics={"test": {"accuracy": 0.75}})
    return path


def test_a_description_says_what_the_file_holds(file: Path) -> None:
    found = runs.describe_model(file)
    assert found["file"] == str(file) and found["bytes"] == len(file.read_bytes())
    assert (found["task"], found["licence"], found["data"], found["dtype"]) == (
        "text-classifier", "CC-BY-4.0", "films", "float32",
    )  # fmt: skip
    assert found["metrics"]["test"] == {"accuracy": 0.75}
    measures = {"loss", "accuracy", "macro_f1", "worst_recall", "ece"}
    assert found["metrics"]["validation"].keys() == measures | {"uncalibrated_loss", "uncalibrated_ece", "temperature"}
    assert found["params"]["seed"] == 7
    temperature = found["metrics"]["validation"]["temperature"]
    learned = {"classes": ["neg", "pos"], "preparation": {"tokenizer": "5 tokens"}, "temperature": temperature}
    assert found["learned"] == learned
    # 5 words of 2 features; 4 gates of 3 units in 2 directions; 2 classes from 6 features.
    own = [5 * 2, 2 * (4 * 3 * (2 + 3) + 2 * 4 * 3), 0, 2 * 6 + 2]
    assert [node["parameters"] for node in found["network"]] == own
    assert [node["gives"] for node in found["network"]] == ["[N, 2]", "[N, 6]", "[B, 6]", "[B, 2]"]
    assert found["network"][3]["weights"] == {"3.weight": [2, 6], "3.bias": [2]}
    assert found["parameters"] == sum(own)


def test_the_hash_that_it_tells_is_the_hash_of_the_content(file: Path) -> None:
    with safe_open(file, framework="numpy") as opened:
        about: dict[str, Any] = json.loads(opened.metadata()["tidegate"])
        arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    told = about.pop("sha256")
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, separators=(",", ":")).encode())
    for name in sorted(arrays):
        described = [name, "float32", list(arrays[name].shape)]
        digest.update(json.dumps(described, separators=(",", ":")).encode() + arrays[name].tobytes())
    assert runs.describe_model(file)["sha256"] == told == digest.hexdigest()


def test_nodes_that_part_and_lengthen_sequences_say_so() -> None:
    network = Network.of(
        Split(channels=3, size=4, shared=1),
        Dense(in_features=5, out_features=6),
        Recurrent(cell="gru", input_size=6, hidden_size=2),
        Decode(steps=7, channels=3, size=6),
        Dense(in_features=2, out_features=1),
    )
    assert [node["gives"] for node in describe_nodes(network)] == [
        "[N * 3, 5]", "[N * 3, 6]", "[N * 3, 2]", "[B * 3 * 7, 2]", "[B * 3 * 7, 1]",
    ]  # fmt: skip


def test_long_lists_are_counted(tmp_path: Path) -> None:
    rng, count = np.random.default_rng(0), 25
    model = tg.SequenceClassifier(hidden_size=2, epochs=1, validation_fraction=0)
    model.fit(rng.normal(size=(count, 3, 1)), list(range(count))).save(tmp_path / "m")
    classes = runs.describe_model(tmp_path / "m")["learned"]["classes"]
    assert classes == [*range(20), "... 25 in all"]


def test_a_file_that_says_nothing_besides_is_described(file: Path, tmp_path: Path) -> None:
    from tidegate.checkpoint import load_model, save_model

    model = load_model(file)
    save_model(tmp_path / "old", model.network, weights=model.weights, task=model.task)
    found = runs.describe_model(tmp_path / "old")
    assert (found["licence"], found["data"], found["metrics"]) == (None, None, {})


def test_a_network_without_a_task_is_described(tmp_path: Path) -> None:
    network = Network.of(Dense(in_features=2, out_features=3))
    weights = {"0.weight": np.zeros((3, 2)), "0.bias": np.zeros(3)}
    Executor(network, weights).save(tmp_path / "m", licence="MIT")
    found = runs.describe_model(tmp_path / "m")
    assert (found["task"], found["licence"], found["dtype"], found["parameters"]) == ("network", "MIT", "float64", 9)
    assert (found["learned"], found["params"]) == ({}, {})


def test_what_cannot_be_loaded_is_not_described(file: Path, tmp_path: Path) -> None:
    from tidegate.checkpoint import load_model, save_model

    model = load_model(file)
    save_model(tmp_path / "m", model.network, weights=model.weights, task=model.task | {"classes": ["a"]})
    with pytest.raises(ModelFileError, match=r"/m: the model file describes no TextClassifier: it names 1 classes"):
        runs.describe_model(tmp_path / "m")


def test_the_command_prints_it(file: Path, cli: Cli) -> None:
    answer = cli("info", file)
    lines = [line.split() for line in answer.out.splitlines()]
    assert answer.code == 0
    assert ["licence", "CC-BY-4.0"] in lines
    assert ["tokenizer", "5", "tokens"] in lines and ["classes", "neg,", "pos"] in lines
    assert ["3", "dense", "[B,", "2]", "14", "in_features=6", "out_features=2"] in lines
    assert json.loads(cli("info", file, "--json").out) == runs.describe_model(file)
    refused = cli("info", file.parent / "nowhere")
    assert refused.code == 1 and "no such file" in refused.err


def measures(record: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in record.items() if name != "worst_class"}


def test_a_run_leaves_a_file_that_names_its_data_its_licence_and_what_it_reached(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    options = ("--hidden-size", 4, "--epochs", 1, "--json", "--out", folder)
    result = json.loads(cli("train", "digits", "--licence", "CC0-1.0", *options).out)
    found = json.loads(cli("info", folder, "--json").out)
    assert (found["licence"], found["data"]) == ("CC0-1.0", "digits")
    told = {"validation": result["valid"], "test": result["test"]}
    assert found["metrics"] == {part: measures(record) for part, record in told.items()}
    assert tg.load(folder).about_.metrics["test"]["accuracy"] == result["test"]["accuracy"]
    again = json.loads(cli("train", "--recipe", folder, "--out", tmp_path / "again", "--json").out)
    assert again["test"] == result["test"]
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_a_licence_belongs_to_a_new_run(cli: Cli, tmp_path: Path) -> None:
    assert "take every option from the recipe" in cli("train", "--resume", tmp_path, "--licence", "MIT").err
    answer = cli("train", "digits", "--licence", "", "--out", tmp_path / "run")
    assert answer.code == 2 and "a model file cannot say that: licence" in answer.err
    assert not (tmp_path / "run").exists()


def test_a_model_that_was_loaded_keeps_what_was_said_of_it(file: Path, tmp_path: Path) -> None:
    model = tg.load(file)
    model.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes()
    model.save(tmp_path / "other", licence="MIT", metrics={"Kaggle": {"accuracy": 0.5}})
    about = tg.load(tmp_path / "other").about_
    assert about.licence == "MIT" and about.metrics == model.about_.metrics | {"Kaggle": {"accuracy": 0.5}}
