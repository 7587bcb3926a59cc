"""`tidegate convert`, called as `main(argv)`: the file it writes, what it tells, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import tidegate as tg
from commands import Cli

LAYERS = [
    ("Embedding", {"name": "words", "input_dim": 3, "output_dim": 2, "mask_zero": True}),
    ("SimpleRNN", {"name": "rnn", "units": 1, "activation": "relu", "use_bias": False}),
    ("Dense", {"name": "head", "units": 2, "activation": "softmax"}),
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A whole model in HDF5, small enough to compute by hand: it adds up twice the ids."""
    path = tmp_path / "model.h5"
    entries = [{"class_name": kind, "config": config} for kind, config in LAYERS]
    arrays = {
        "words": [np.array([[0, 0], [1, 0], [2, 0]], np.float32)],
        "rnn": [np.array([[2], [5]], np.float32), np.array([[1]], np.float32)],
        "head": [np.array([[1, -1]], np.float32), np.array([0, 3], np.float32)],
    }
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": entries}})
        file.create_group("model_weights").attrs["layer_names"] = list(arrays)
        for name, own in arrays.items():
            group = file["model_weights"].create_group(name)
            group.attrs["weight_names"] = [f"w{index}" for index in range(len(own))]
            for index, array in enumerate(own):
                group[f"w{index}"] = array
    return path


def test_the_file_it_writes_gives_the_numbers_of_the_model(cli: Cli, model: Path, tmp_path: Path) -> None:
    answer = cli("convert", model, "-o", tmp_path / "out.safetensors", "--licence", "CC0-1.0")
    assert answer.code == 0
    assert [line.split()[1] for line in answer.out.splitlines()] == ["kind", "embed", "recurrent", "pool", "dense"]
    assert "Proof: 6 random sequences of 30 steps in all agree" in answer.err
    assert "Note: the outputs are logits" in answer.err
    assert f"Written: {tmp_path / 'out.safetensors'}" in answer.err
    logits = tg.load(tmp_path / "out.safetensors")(tg.Ragged.from_list([[1, 2, 1], [2]]))
    np.testing.assert_array_equal(
        logits, np.array([[8, -5], [4, -1]], np.float32)
    )  # 2 * (1 + 2 + 1) and 2 * 2, head below
    assert json.loads(cli("info", tmp_path / "out.safetensors", "--json").out)["licence"] == "CC0-1.0"


def test_json_tells_the_network_and_the_proof_and_the_file_stands_beside_the_source(cli: Cli, model: Path) -> None:
    answer = cli("convert", model, "--json")
    found = json.loads(answer.out)
    assert found["path"] == str(model.with_suffix(".safetensors"))
    assert Path(found["path"]).is_file()
    assert [node["kind"] for node in found["network"]] == ["embed", "recurrent", "pool", "dense"]
    assert found["proof"]["tolerance"] == 1e-5
    assert 0 <= found["proof"]["difference"] <= 1e-5
    assert answer.err == ""


def test_a_source_is_not_written_over(cli: Cli, model: Path) -> None:
    before = model.read_bytes()
    answer = cli("convert", model, "-o", model)
    assert answer.code == 2
    assert model.read_bytes() == before


def test_weights_alone_take_the_description_from_a_file(cli: Cli, model: Path, tmp_path: Path) -> None:
    with h5py.File(model, "r+") as file:
        (tmp_path / "model.json").write_text(file.attrs["model_config"])
        del file.attrs["model_config"]
    assert cli("convert", model).code == 2
    assert cli("convert", model, "--config", tmp_path / "model.json").code == 0


@pytest.mark.parametrize(
    ("content", "code", "complaint"),
    [(None, 1, "no such file"), (b"text", 1, "neither a .keras file nor HDF5")],
)
def test_what_is_no_model_is_one_line_and_nothing_is_written(
    cli: Cli, tmp_path: Path, content: bytes | None, code: int, complaint: str
) -> None:
    path = tmp_path / "model.keras"
    if content is not None:
        path.write_bytes(content)
    answer = cli("convert", path)
    assert (answer.code, answer.out, answer.err.count("\n")) == (code, "", 1)
    assert complaint in answer.err
    assert not path.with_suffix(".safetensors").exists()


@pytest.mark.parametrize(
    "command", [("predict",), ("evaluate", "digits"), ("inspect",), ("generate",), ("complete", "a ___")]
)
def test_commands_that_need_a_task_say_that_there_is_none(cli: Cli, model: Path, command: tuple[str, ...]) -> None:
    target = model.with_suffix(".safetensors")
    assert cli("convert", model).code == 0
    answer = cli(command[0], target, *command[1:], stdin=b"[1]\n")
    assert answer.code == 2
    assert "holds a network" in answer.err
    assert answer.err.count("\n") == 1
