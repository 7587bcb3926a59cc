"""Installs the base package into an environment without torch, and does there what must work without it."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from answers import answer
from saved.write import tasks

pytestmark = pytest.mark.xdist_group("base install")  # one environment serves them all

ROOT = Path(__file__).parents[2]
TEXTS = ["a good film", "good, and well made", "what a good story", "bad", "a bad film", "so bad it hurts"]
LABELS = ["pos", "pos", "pos", "neg", "neg", "neg"]
STEPS = [np.full((length, 2), 0.1 * length) for length in (1, 5, 3, 4, 2, 6)]
WAVE = np.sin(np.arange(80) / 3)
SMALL: dict[str, Any] = {"hidden_size": 6, "epochs": 2, "validation_fraction": 0.0}
# What may be imported to load and to predict; the rest of the base install is for the command line and for training.
NEEDED = {
    "tidegate", "numpy", "safetensors", "tokenizers", "pydantic", "pydantic_core", "annotated_types",
    "typing_inspection", "typing_extensions",
}  # fmt: skip

PREDICT = """
import json, sys
import tidegate as tg
model = tg.load(sys.argv[1])
rows = model.predict_proba(json.loads(sys.argv[2])).tolist()
heavy = sorted({"torch", "sklearn"} & sys.modules.keys())
print(json.dumps({"rows": rows, "labels": model.predict(json.loads(sys.argv[2])).tolist(), "heavy": heavy}))
"""
LOOK = """
import json, sys
import tidegate as tg
model, texts = tg.load(sys.argv[1]), json.loads(sys.argv[2])
found = {
    "dc": tg.inspect.trace(model, texts, target="pos").direction("layer 0 backward").read("dc").tolist(),
    "flow": tg.inspect.gradient_flow(model, texts).flows[0].h.tolist(),
    "scores": tg.inspect.attribute(model, texts).scores.tolist(),
    "heavy": sorted({"torch", "sklearn", "pyarrow", "matplotlib"} & sys.modules.keys()),
}
print(json.dumps(found))
"""
FIT = """
import hashlib, json, sys
sys.path.insert(0, sys.argv[1])
from saved.write import tasks
digests = {}
for name, (task, (X, y)) in tasks().items():
    task.fit(X, y)
    digests[name] = hashlib.sha256(b"".join(w.tobytes() for w in task.weights_.values())).hexdigest()
print(json.dumps(digests))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with nothing but the base package and what it asks for; the wheel comes from the build at hand."""
    folder = tmp_path_factory.mktemp("base")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run(*pip, "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("tidegate-*.whl")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    run(*pip, f"--python={python}", "install", "--no-compile", wheel)
    return python


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[tg.TextClassifier, Path]:
    """A small model, trained here, where torch is, and saved."""
    classifier = tg.TextClassifier(hidden_size=8, epochs=2, validation_fraction=0.0).fit(TEXTS, LABELS)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    classifier.save(path)
    return classifier, path


def test_torch_is_not_there(python: Path) -> None:
    assert (
        run(python, "-c", "import importlib.util as u; print(u.find_spec('torch'), u.find_spec('sklearn'))")
        == "None None"
    )


def test_a_loaded_model_predicts_the_same_bits(python: Path, model: tuple[tg.TextClassifier, Path]) -> None:
    classifier, path = model
    answer = json.loads(run(python, "-c", PREDICT, path, json.dumps(TEXTS)))
    np.testing.assert_array_equal(np.float32(answer["rows"]), classifier.predict_proba(TEXTS))
    assert answer["labels"] == classifier.predict(TEXTS).tolist()
    assert answer["heavy"] == []


def test_every_task_answers_the_same_bits_as_where_it_was_trained(python: Path, tmp_path: Path) -> None:
    models: dict[str, Any] = {
        "text": tg.TextClassifier(**SMALL).fit(TEXTS, LABELS),
        "sequence": tg.SequenceClassifier(**SMALL, cell="gru", num_layers=2).fit(STEPS, [True, False] * 3),
        "tagger": tg.TokenTagger(**SMALL).fit(*tagged()),
        "forecaster": tg.Forecaster(**SMALL, lookback=12, horizon=5, quantiles=(0.1, 0.9)).fit(WAVE),
        "step-by-step": tg.Forecaster(**SMALL, lookback=12, horizon=5, segment=1, cell="lstm").fit(WAVE),
        "words": tg.LanguageModel(**SMALL, steps=4).fit(TEXTS),
        "both": tg.LanguageModel(**SMALL, steps=4, direction="both").fit(TEXTS),
        "bpe": tg.LanguageModel(**SMALL, steps=4, tokens="bpe", vocabulary_size=260).fit(TEXTS),
    }
    for name, trained in models.items():
        trained.save(tmp_path / name)
    there = json.loads(run(python, ROOT / "tests" / "answers.py", tmp_path, *models))
    assert set(there["packages"]) <= NEEDED
    assert there["answers"] == {name: json.loads(json.dumps(answer(trained))) for name, trained in models.items()}


def tagged() -> tuple[list[list[str]], list[list[str]]]:
    sentences = [text.replace(",", "").split() for text in TEXTS]
    return sentences, [["ADJ" if word in ("good", "bad") else "X" for word in words] for words in sentences]


def test_a_loaded_model_is_looked_into_gradients_included(python: Path, model: tuple[tg.TextClassifier, Path]) -> None:
    classifier, path = model
    answer = json.loads(run(python, "-c", LOOK, path, json.dumps(TEXTS)))
    found = tg.inspect.trace(classifier, TEXTS, target="pos").direction("layer 0 backward")
    np.testing.assert_array_equal(np.float32(answer["dc"]), found.read("dc"))
    np.testing.assert_array_equal(answer["flow"], tg.inspect.gradient_flow(classifier, TEXTS).flows[0].h)
    np.testing.assert_array_equal(answer["scores"], tg.inspect.attribute(classifier, TEXTS).scores)
    assert answer["heavy"] == []


def test_the_command_line_works(python: Path, model: tuple[tg.TextClassifier, Path]) -> None:
    command = python.with_name("tidegate")
    assert "Usage: tidegate" in run(command, "--help")
    answer = json.loads(run(command, "predict", model[1], "a good film", "--json"))
    assert answer["probabilities"].keys() == {"neg", "pos"}
    assert json.loads(run(command, "doctor", "--json"))["packages"]["torch"] is None


def test_the_page_of_an_examination_is_written_and_says_what_it_could_not_draw(
    python: Path, model: tuple[tg.TextClassifier, Path], tmp_path: Path
) -> None:
    out = run(python.with_name("tidegate"), "inspect", model[1], TEXTS[0], "--out", tmp_path / "page.html", "--json")
    assert json.loads(out) == json.loads(json.dumps(tg.inspect.examine(model[0], TEXTS[:1]).to_json()[0]))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Not drawn: drawing a picture needs the package &#x27;matplotlib&#x27;" in page
    assert 'id="data"' in page


def test_every_task_is_trained_to_the_same_bits(python: Path) -> None:
    tests = ROOT / "tests"
    answer = json.loads(run(python, "-c", FIT, tests))
    assert answer.keys() == tasks().keys()
    assert answer == json.loads(run(sys.executable, "-c", FIT, tests))


def test_a_command_trains_and_resumes(python: Path, tmp_path: Path) -> None:
    table = tmp_path / "films.csv"
    table.write_text("text,label\n" + "a good film,pos\na bad film,neg\n" * 12)
    command = [python.with_name("tidegate"), "train", table, "--text", "text", "--label", "label", "--epochs", 1]
    run(*command, "--hidden-size", 4, "--set", "validation_fraction=0", "--out", tmp_path / "run")
    assert run(python.with_name("tidegate"), "predict", tmp_path / "run", "a good film")


def test_layers_name_the_extra_that_brings_torch(python: Path) -> None:
    done = subprocess.run(
        [str(python), "-c", "import tidegate.nn"], capture_output=True, text=True, check=False, cwd="/"
    )
    assert "pip install 'tidegate[torch]'" in done.stderr


def test_export_names_the_extra_that_brings_onnx(python: Path, model: tuple[tg.TextClassifier, Path]) -> None:
    command = [str(python.with_name("tidegate")), "export", str(model[1]), "--to", "onnx"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'tidegate[onnx]'" in done.stderr


def run(*command: object) -> str:
    """Run a command that must succeed, away from the source tree, and return what it printed."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()
