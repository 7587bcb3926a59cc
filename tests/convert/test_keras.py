"""Models of Keras give Keras's own numbers once they are converted, whatever file they come in; the rest is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

import tidegate as tg
from keras_models import Layers, drawn, saved, sequential
from tidegate.convert import keras_network
from tidegate.convert.keras_equations import evaluate
from tidegate.convert.keras_layers import read_layers
from tidegate.errors import ConversionError, InputError
from tidegate.network import Embed, Pool, Recurrent

pytestmark = [
    pytest.mark.xdist_group("keras"),  # its import takes seconds, so that one worker alone bears it
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),  # torch's
]

Array = npt.NDArray[Any]
MERGES = ("concat", "sum", "mul", "ave")
CELLS = ("SimpleRNN", "LSTM", "GRU")
LENGTHS = (1, 4, 9)


def inputs(model: Any, length: int, *, first: int = 0) -> Array:
    rng = np.random.default_rng(length)
    shape = model.input_shape
    return rng.integers(first, 9, length) if len(shape) == 2 else rng.normal(size=(length, shape[2])).astype(np.float32)


def assert_agrees(model: Any, executor: tg.runtime.Executor, *, softmax: bool = False, first: int = 0) -> None:
    """Compare with what Keras predicts for sequences without padding, one at a time and as one ragged batch."""
    sequences = [inputs(model, length, first=first) for length in LENGTHS]
    batch = tg.Ragged.from_list(sequences)
    ours = executor(batch)
    rows = (
        list(ours) if any(isinstance(node, Pool) for node in executor.network.nodes) else list(batch.with_values(ours))
    )
    for sequence, row in zip(sequences, rows, strict=True):
        answer = np.exp(row) / np.exp(row).sum(axis=-1, keepdims=True) if softmax else row
        np.testing.assert_allclose(answer, model.predict(sequence[None], verbose=0)[0], rtol=0, atol=1e-5)


def bidirectional(cell: str, merge: str, *, sequences: bool) -> Layers:
    return lambda L: [L.Bidirectional(getattr(L, cell)(4, return_sequences=sequences), merge_mode=merge)]


def one(cell: str, **options: Any) -> Layers:
    return lambda L: [getattr(L, cell)(4, **options)]


FEATURES: dict[str, Layers] = {
    **{f"{cell} last": one(cell) for cell in CELLS},
    **{f"{cell} sequences": one(cell, return_sequences=True) for cell in CELLS},
    **{f"{cell} without biases": one(cell, use_bias=False) for cell in CELLS},
    **{f"{cell} from the end": one(cell, go_backwards=True) for cell in CELLS},
    **{f"{cell} {merge} last": bidirectional(cell, merge, sequences=False) for cell in CELLS for merge in MERGES},
    **{f"{cell} {merge} sequences": bidirectional(cell, merge, sequences=True) for cell in CELLS for merge in MERGES},
    "relu": one("SimpleRNN", activation="relu"),
    "stacked": lambda L: [
        L.GRU(4, return_sequences=True),
        L.SimpleRNN(5, return_sequences=True),
        L.LSTM(3),
        L.Dense(2),
    ],
    "stacked in both directions": lambda L: [
        L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode="ave"),
        L.Bidirectional(L.GRU(4)),
        L.Dense(2, activation="tanh"),
    ],
    "from the end twice": lambda L: [
        L.LSTM(4, return_sequences=True, go_backwards=True),
        L.GRU(3, return_sequences=True, go_backwards=True),
    ],
    "from the end, then on": lambda L: [L.LSTM(4, return_sequences=True, go_backwards=True), L.GRU(3)],
    "time distributed": lambda L: [
        L.Bidirectional(L.LSTM(4, return_sequences=True)),
        L.TimeDistributed(L.Dense(5, activation="relu")),
        L.TimeDistributed(L.Dense(2)),
    ],
    "largest": lambda L: [L.LSTM(4, return_sequences=True), L.GlobalMaxPooling1D(), L.Dense(3, use_bias=False)],
    "mean": lambda L: [L.GRU(4, return_sequences=True), L.GlobalAveragePooling1D(), L.Dense(3, activation="sigmoid")],
    "dropout": lambda L: [
        L.Masking(9.0),
        L.SpatialDropout1D(0.2),
        L.LSTM(4, dropout=0.3, recurrent_dropout=0.1, return_sequences=True),
        L.Dropout(0.5),
        L.GRU(3, dropout=0.2),
        L.Dropout(0.5),
        L.Dense(2),
        L.Activation("relu"),
    ],
}  # fmt: skip


@pytest.mark.usefixtures("same_process")
@pytest.mark.parametrize("name", FEATURES)
def test_layers_over_features_agree_from_both_kinds_of_files(keras: Any, name: str, tmp_path: Path) -> None:
    model = sequential(keras, FEATURES[name])
    assert_agrees(model, tg.convert.from_keras(saved(model, tmp_path / "model.keras")))
    assert_agrees(model, tg.convert.from_keras(saved(model, tmp_path / "model.h5")))


def test_the_bilstm_of_the_tutorials_converts_and_predicts_the_same(keras: Any, tmp_path: Path) -> None:
    def layers(L: Any) -> list[Any]:
        head = [L.Dense(64, activation="relu"), L.Dense(1)]
        return [L.Embedding(1000, 64, mask_zero=True), L.Bidirectional(L.LSTM(64)), *head]

    model = sequential(keras, layers, ids=True)
    found = tg.convert.read_keras(saved(model, tmp_path / "model.keras"))
    kinds = ["embed", "recurrent", "pool", "dense", "dense"]
    assert [node.kind for node in found.model.network.nodes] == kinds
    assert found.proof.difference <= 1e-5 and found.proof.steps == 30
    assert found.notes == ("the model takes id 0 for padding and skips it: leave padding out of the sequences.",)
    assert_agrees(model, found.model, first=1)
    found.model.save(tmp_path / "model.safetensors")
    assert_agrees(model, tg.load(tmp_path / "model.safetensors"), first=1)


def test_padding_that_keras_masks_is_what_ragged_leaves_out(keras: Any) -> None:
    model = sequential(keras, lambda L: [L.Embedding(9, 4, mask_zero=True), L.LSTM(5)], ids=True)
    padded = np.array([[3, 1, 4, 0, 0, 0], [1, 5, 8, 2, 6, 5]])
    ours = tg.convert.from_keras(model)(tg.Ragged.from_padded(padded, [3, 6]))
    np.testing.assert_allclose(ours, model.predict(padded, verbose=0), rtol=0, atol=1e-5)


def test_a_chain_of_functional_layers_with_a_mask_agrees(keras: Any, tmp_path: Path) -> None:
    L = keras.layers
    entry = keras.Input((None,), dtype="int32")
    x = L.Embedding(9, 4, mask_zero=True)(entry)
    x = L.Bidirectional(L.GRU(3, return_sequences=True))(x)
    x = L.Bidirectional(L.GRU(5), merge_mode="mul")(x)
    model = drawn(keras.Model(entry, L.Dense(3, activation="softmax")(x)))
    for path in (tmp_path / "model.keras", tmp_path / "model.h5"):
        assert_agrees(model, tg.convert.from_keras(saved(model, path)), softmax=True, first=1)


@pytest.mark.parametrize("last", ["softmax in the layer", "softmax behind it", "softmax by name"])
def test_a_softmax_at_the_end_is_left_out_and_said(keras: Any, last: str, tmp_path: Path) -> None:
    def layers(L: Any) -> list[Any]:
        if last == "softmax in the layer":
            return [L.LSTM(4), L.Dense(3, activation="softmax")]
        return [L.LSTM(4), L.Dense(3), L.Softmax() if last == "softmax behind it" else L.Activation("softmax")]

    model = sequential(keras, layers)
    for source in (model, saved(model, tmp_path / "model.keras")):
        found = tg.convert.read_keras(source)
        assert any("logits" in note for note in found.notes)
        assert_agrees(model, found.model, softmax=True)


def test_a_model_object_proves_itself_also_where_its_steps_are_fixed(keras: Any) -> None:
    L = keras.layers
    model = drawn(keras.Sequential([keras.Input((6,), dtype="int32"), L.Embedding(9, 4), L.LSTM(5), L.Dense(2)]))
    found = tg.convert.read_keras(model)
    assert (found.proof.sequences, found.proof.steps) == (3, 18)
    ids = np.array([[3, 1, 4, 1, 5, 0]])
    np.testing.assert_allclose(
        found.model(tg.Ragged.from_list(list(ids))), model.predict(ids, verbose=0), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("form", ["object", "text", "file"])
def test_weights_alone_want_the_description_beside_them(keras: Any, form: str, tmp_path: Path) -> None:
    model = sequential(keras, lambda L: [L.Embedding(9, 4), L.Bidirectional(L.LSTM(5)), L.Dense(2)], ids=True)
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    with pytest.raises(InputError, match=r"weights alone. Pass config="):
        tg.convert.from_keras(path)
    (tmp_path / "model.json").write_text(model.to_json())
    forms = {"object": json.loads(model.to_json()), "text": model.to_json(), "file": tmp_path / "model.json"}
    assert_agrees(model, tg.convert.from_keras(path, config=forms[form]))


def test_a_file_in_the_form_of_keras_2_is_read(keras: Any, tmp_path: Path) -> None:
    model = sequential(keras, lambda L: [L.Embedding(9, 4), L.Bidirectional(L.LSTM(5)), L.Dense(2)], ids=True)
    lstm = {"units": 5, "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True, "name": "lstm"}
    lstm |= {"return_sequences": False, "go_backwards": False, "implementation": 2, "dtype": "float32"}
    wrapped: dict[str, Any] = {"name": "both", "layer": {"class_name": "LSTM", "config": lstm}, "merge_mode": "concat"}
    layers: list[tuple[str, dict[str, Any]]] = [
        ("InputLayer", {"batch_input_shape": [None, None], "dtype": "int32", "name": "in"}),
        ("Embedding", {"input_dim": 9, "output_dim": 4, "mask_zero": False, "name": "embedding"}),
        ("Bidirectional", wrapped),
        ("Dense", {"units": 2, "activation": "linear", "use_bias": True, "name": "dense"}),
    ]
    entries: list[Any] = []
    for kind, settings in layers:
        before = [[[entries[-1]["name"], 0, 0, {}]]] if entries else []
        own_name: Any = {"name": settings["name"], "inbound_nodes": before}
        entries.append({"class_name": kind, "config": settings} | own_name)
    config = {"layers": entries, "input_layers": [["in", 0, 0]], "output_layers": [["dense", 0, 0]]}
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": config}).encode()
        own = iter(model.get_weights())
        for name, count in (("embedding", 1), ("both", 6), ("dense", 2)):
            group = file.create_group(f"model_weights/{name}")
            names = [f"{name}/w_{index}:0" for index in range(count)]
            group.attrs["weight_names0"] = np.array([item.encode() for item in names[:1]])
            group.attrs["weight_names1"] = np.array([item.encode() for item in names[1:]] or [], dtype="S20")
            for item in names:
                group[item] = next(own)
        file["model_weights"].attrs["layer_names"] = np.array([b"in", b"embedding", b"both", b"dense"])
    assert_agrees(model, tg.convert.from_keras(path))


def test_dropout_is_kept_for_whoever_trains_on_but_at_the_very_beginning(keras: Any) -> None:
    model = sequential(keras, FEATURES["dropout"])
    nodes = tg.convert.from_keras(model).network.nodes
    kept = [(node.p, node.per_sequence) for node in nodes if node.kind == "dropout"]
    assert kept == [(0.5, False), (0.2, True), (0.5, False)]
    assert [node.recurrent_dropout for node in nodes if isinstance(node, Recurrent)] == [0.1, 0.0]


def test_neither_keras_nor_torch_is_imported(keras: Any, tmp_path: Path) -> None:
    path = saved(sequential(keras, FEATURES["stacked"]), tmp_path / "model.keras")
    code = (
        "import sys, tidegate as tg; tg.convert.from_keras(sys.argv[1]); print(*{'keras', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# --- the equations are a yardstick of their own ---


@pytest.mark.parametrize("name", FEATURES)
def test_the_equations_give_what_keras_computes(keras: Any, name: str) -> None:
    model = sequential(keras, FEATURES[name])
    layers = read_layers(json.loads(model.to_json()))
    weights = [model.get_layer(layer.name).get_weights() if layer.places else [] for layer in layers]
    for length in LENGTHS:
        x = inputs(model, length)
        np.testing.assert_allclose(
            evaluate(layers, weights, x), model.predict(x[None], verbose=0)[0], rtol=0, atol=1e-5
        )


@pytest.mark.usefixtures("same_process")
@pytest.mark.parametrize("as_file", [True, False])
def test_a_conversion_that_is_wrong_does_not_pass_the_proof(
    keras: Any, as_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = sequential(keras, one("GRU"))
    monkeypatch.setattr(keras_network, "_gates_in_order", lambda _card, array: array)  # z r h stay where r z n belong
    with pytest.raises(ConversionError, match=r"does not compute what the original does: on random sequence \d of"):
        tg.convert.from_keras(saved(model, tmp_path / "model.keras") if as_file else model)


# --- what has no counterpart ---

REFUSED: dict[str, tuple[Layers, str]] = {
    "merge None": (lambda L: [L.Bidirectional(L.LSTM(4), merge_mode=None)], "merge_mode is 'None'"),
    "reset before": (one("GRU", reset_after=False), "reset_after=False"),
    "linear rnn": (one("SimpleRNN", activation="linear"), "its activation is 'linear'"),
    "relu lstm": (one("LSTM", activation="relu"), "activation='relu'; wanted 'tanh'"),
    "hard gates": (one("LSTM", recurrent_activation="hard_sigmoid"), "its recurrent_activation is 'hard_sigmoid'"),
    "stateful": (one("LSTM", stateful=True, return_sequences=True), "its stateful is 'True'"),
    "convolution": (lambda L: [L.Conv1D(4, 3), L.LSTM(4)], "layer 'conv1d.*' .Conv1D. has no counterpart"),
    "flatten": (lambda L: [L.LSTM(4), L.Flatten()], "Flatten. has no counterpart"),
    "swish": (lambda L: [L.LSTM(4), L.Dense(4, activation="swish")], "its activation is 'silu'"),
    "relu alone": (lambda L: [L.LSTM(4), L.Activation("relu")], "applies relu to what no Dense layer gives"),
    "after softmax": (lambda L: [L.LSTM(4), L.Dense(4, activation="softmax"), L.Dense(2)], "stands after a softmax"),
    "left reversed": (one("LSTM", go_backwards=True, return_sequences=True), "in the order of the run, from the end"),
    "both after reversed": (
        lambda L: [L.LSTM(4, go_backwards=True, return_sequences=True), L.Bidirectional(L.LSTM(4))],
        "reads what a run from the end leaves",
    ),
    "wrapped": (lambda L: [L.TimeDistributed(L.LayerNormalization()), L.LSTM(4)], "wraps a LayerNormalization"),
    "half": (one("LSTM", dtype="mixed_bfloat16"), "computes in mixed_bfloat16"),
    "only dropout": (lambda L: [L.Dropout(0.5)], "no layer that computes anything"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_network_cannot_say_is_refused_by_name(keras: Any, name: str) -> None:
    layers, complaint = REFUSED[name]
    model = keras.Sequential([keras.Input(batch_shape=(1, 9, 3)), *layers(keras.layers)])
    with pytest.raises(InputError, match=complaint):
        tg.convert.from_keras(model)


def test_a_model_that_branches_is_refused(keras: Any) -> None:
    L = keras.layers
    entry = keras.Input((None, 3))
    joined = L.Concatenate()([L.LSTM(4)(entry), L.GRU(4)(entry)])
    with pytest.raises(InputError, match=r"'concatenate.*' reads 2 layers; wanted a chain|reads several layers"):
        tg.convert.from_keras(keras.Model(entry, L.Dense(1)(joined)))
    with pytest.raises(InputError, match="the model has 2 outputs; wanted one"):
        tg.convert.from_keras(keras.Model(entry, [L.LSTM(4)(entry), L.GRU(4)(entry)]))


@pytest.mark.usefixtures("same_process")
@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_a_state_that_another_layer_gives_is_refused(keras: Any, cell: str, tmp_path: Path) -> None:
    L = keras.layers
    entry = keras.Input((None, 3))
    mean = L.GlobalAveragePooling1D()(entry)
    states = [L.Dense(4)(mean) for _ in range(2 if cell == "LSTM" else 1)]
    model = keras.Model(entry, getattr(L, cell)(4)(entry, initial_state=states if cell == "LSTM" else states[0]))
    for source in (model, saved(model, tmp_path / "model.keras"), saved(model, tmp_path / "model.h5")):
        with pytest.raises(InputError, match=r"is given its initial_state by another layer; wanted a chain"):
            tg.convert.from_keras(source)


@pytest.mark.usefixtures("same_process")
@pytest.mark.parametrize("mask", ["greater", "not_equal"])
def test_a_mask_of_ones_own_is_refused_and_those_of_keras_are_not(keras: Any, mask: str, tmp_path: Path) -> None:
    L = keras.layers
    ids, steps = keras.Input((None,), dtype="int32"), keras.Input((None, 3))
    own = L.LSTM(3)(L.Embedding(9, 3)(ids), mask=getattr(keras.ops, mask)(ids, 5))
    of_words = L.LSTM(3)(L.GRU(3, return_sequences=True)(L.Embedding(9, 3, mask_zero=True)(ids)))
    of_steps = L.Bidirectional(L.LSTM(3))(L.Masking(0.5)(steps))
    with pytest.raises(InputError, match="is given a mask of its own; wanted none, or that of mask_zero or Masking"):
        tg.convert.from_keras(saved(keras.Model(ids, own), tmp_path / "own.keras"))
    assert tg.convert.from_keras(saved(keras.Model(ids, of_words), tmp_path / "words.keras")).network.reads_tokens
    assert tg.convert.from_keras(saved(keras.Model(steps, of_steps), tmp_path / "steps.keras")).network.input_size == 3


@pytest.mark.parametrize("foreign", [{"registered_name": "mine>LSTM"}, {"module": "mine.layers"}])
@pytest.mark.parametrize("wrapper", [None, "Bidirectional", "TimeDistributed"])
def test_a_class_that_only_has_the_name_of_one_of_keras_is_refused(foreign: Any, wrapper: str | None) -> None:
    kind = "Dense" if wrapper == "TimeDistributed" else "LSTM"
    own: Any = {
        "module": "keras.layers",
        "class_name": kind,
        "registered_name": None,
        "config": {"name": "inner", "units": 2},
    }
    layer, other = own, own | foreign
    if wrapper:
        outer = {"name": "outer", "merge_mode": "sum"}
        layer, other = ({"class_name": wrapper, "config": outer | {"layer": inner}} for inner in (own, own | foreign))
    assert read_layers({"class_name": "Sequential", "config": {"layers": [layer]}})
    with pytest.raises(InputError, match=f"holds a class '{kind}' that is not Keras's own; what it computes"):
        read_layers({"class_name": "Sequential", "config": {"layers": [other]}})


def test_a_layer_that_is_larger_than_any_node_is_refused(tmp_path: Path) -> None:
    config = {"name": "wide", "units": 70_000, "use_bias": False}
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.zeros((1, 70_000), np.float32)
    model = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": config}]}}
    with pytest.raises(InputError, match="a network has no Dense node of such out_features"):
        tg.convert.from_keras(path, config=model)


def test_code_in_a_file_is_not_run(keras: Any, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    model = keras.Sequential(
        [keras.Input((4, 3)), keras.layers.Lambda(lambda x, at=str(mark): (Path(at).write_text("ran"), x)[1])]
    )
    path = saved(model, tmp_path / "model.keras")
    mark.unlink(missing_ok=True)
    with pytest.raises(InputError, match=r"\(Lambda\) has no counterpart"):
        tg.convert.from_keras(path)
    assert not mark.exists()


def test_something_else_is_refused() -> None:
    with pytest.raises(InputError, match="a dict came; wanted a file of Keras, or a model"):
        tg.convert.from_keras({})


def test_embeddings_are_copied_as_they_are(keras: Any) -> None:
    model = sequential(keras, lambda L: [L.Embedding(9, 4), L.LSTM(5)], ids=True)
    found = tg.convert.from_keras(model)
    assert found.network.nodes[0] == Embed(vocabulary_size=9, size=4)
    np.testing.assert_array_equal(found.weights["0.weight"], model.get_weights()[0])
