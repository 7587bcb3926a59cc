"""Traces: what is recorded is what the equations say, alone as in any batch, and refusals say what there is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import loop
import reference
import tidegate as tg
from classifiers import PLAIN as WORDS_ALONE
from tidegate import cells, kernels, nn
from tidegate.errors import InputError, MissingPackageError, OptionError, ShapeError
from tidegate.network import Dense, Dropout, Embed, Network, Pool, Recurrent, parameter_shapes
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

Array = npt.NDArray[Any]
CELLS = ["rnn_tanh", "rnn_relu", "lstm", "gru"]
GATES = {"rnn_tanh": "", "rnn_relu": "", "lstm": "ifgo", "gru": "rzn"}
LENGTHS = [4, 1, 0, 6]


def classifier(cell: Any = "lstm", *, modes: Any = ("max", "last", "mean", "first"), **layer: Any) -> Network:
    options = {"bidirectional": True, "num_layers": 2, **layer}
    recurrent = Recurrent(cell=cell, input_size=3, hidden_size=5, **options)
    return Network.of(
        Embed(vocabulary_size=9, size=3),
        Dropout(p=0.5),
        recurrent,
        Pool(modes=modes),
        Dense(in_features=recurrent.output_size * len(modes), out_features=6, activation="relu"),
        Dropout(p=0.5),
        Dense(in_features=6, out_features=4, activation="tanh"),
        Dense(in_features=4, out_features=3, activation="sigmoid"),
        Dense(in_features=3, out_features=3),
    )


def weights_of(network: Network, kind: Any = np.float64, seed: int = 3) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(-0.7, 0.7, shape).astype(kind) for name, shape in parameter_shapes(network).items()}


def tokens(lengths: list[int]) -> Ragged:
    rng = np.random.default_rng(0)
    return Ragged.from_list([rng.integers(0, 9, length) for length in lengths], dtype=np.int32)


def by_loop(network: Network, weights: dict[str, Array], x: Ragged, target: list[int]) -> list[list[loop.Walk]]:
    """Walk every sequence with torch, and back from its cross-entropy."""
    tensors, found = loop.to_torch(weights), []
    for index, label in enumerate(target):
        output, walks = loop.run(network, tensors, torch.from_numpy(x[index]))
        torch.nn.functional.cross_entropy(output, torch.tensor(label)).backward()  # type: ignore[no-untyped-call]
        found.append(walks)
    return found


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layer", [{}, {"bidirectional": False, "reverse": True, "bias": False}], ids=str)
def test_states_and_gates_are_those_of_the_reference(cell: Any, layer: dict[str, Any]) -> None:
    network = classifier(cell, **layer)
    weights, x = weights_of(network), tokens(LENGTHS)
    found = tg.inspect.trace((network, weights), x)
    for index in range(len(x)):
        rows, part = weights["0.weight"][x[index]], found.sequence(index)
        for number in range(2):
            outputs = []
            for direction in [each for each in part.directions if f"layer {number}" in each.name]:
                suffix = f"_l{number}" + ("_reverse" if direction.reverse and not layer else "")
                kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                own = [weights.get(f"2.{kind}{suffix}", np.zeros(cells.CELLS[cell].gates * 5)) for kind in kinds]
                zero = np.zeros(5)
                run = reference.forward(cell, rows, reference.Weights(*own), zero, zero, None, direction.reverse)
                np.testing.assert_allclose(direction.h, run.h, rtol=0, atol=1e-14)
                assert [*direction.gates] == [*GATES[cell]]
                for gate, (letter, values) in enumerate(direction.gates.items()):
                    want = run.gates[:, gate * 5 : (gate + 1) * 5]
                    np.testing.assert_allclose(values, want, rtol=0, atol=1e-14, err_msg=letter)
                if cell == "lstm":
                    np.testing.assert_allclose(direction.read("c"), run.memo, rtol=0, atol=1e-14)
                else:
                    assert direction.c is None
                outputs.append(run.h)
            rows = np.concatenate(outputs, axis=1)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "layer",
    [
        {},
        {"modes": ("last",)},
        {"modes": ("first", "max"), "num_layers": 1},
        {"bidirectional": False, "reverse": True},
        *({"merge": merge} for merge in ("sum", "mul", "ave")),
    ],
    ids=str,
)
def test_gradients_are_autograds_through_a_loop(cell: Any, layer: dict[str, Any]) -> None:
    network = classifier(cell, **layer)
    weights, x, target = weights_of(network), tokens(LENGTHS), [0, 2, 1, 1]
    found = tg.inspect.trace((network, weights), x, target=target)
    for index, walks in enumerate(by_loop(network, weights, x, target)):
        part = found.sequence(index)
        assert [each.name for each in part.directions] == [walk.name for walk in walks]
        for direction, walk in zip(part.directions, walks, strict=True):
            if len(x[index]):
                np.testing.assert_allclose(direction.read("dh"), walk.gradients(walk.h), rtol=1e-9, atol=1e-16)
                if cell == "lstm":
                    np.testing.assert_allclose(direction.read("dc"), walk.gradients(walk.c), rtol=1e-9, atol=1e-16)
            assert (direction.dc is None) == (cell != "lstm")


def test_nodes_between_recurrent_ones_pass_the_gradient_on() -> None:
    network = Network.of(
        Dense(in_features=2, out_features=3, activation="tanh"),
        Recurrent(cell="gru", input_size=3, hidden_size=4, bidirectional=True, merge="mul"),
        Dense(in_features=4, out_features=3, activation="sigmoid"),
        Recurrent(cell="lstm", input_size=3, hidden_size=2),
        Pool(modes=("mean", "last")),
        Dense(in_features=4, out_features=2),
    )
    weights = weights_of(network)
    x = Ragged.from_list([np.random.default_rng(n).normal(size=(n, 2)) for n in (3, 5)])
    found = tg.inspect.trace((network, weights), x, target=[1, 0])
    assert [each.name for each in found.directions] == ["layer 0 forward", "layer 0 backward", "layer 1 forward"]
    for index, walks in enumerate(by_loop(network, weights, x, [1, 0])):
        for direction, walk in zip(found.sequence(index).directions, walks, strict=True):
            np.testing.assert_allclose(direction.read("dh"), walk.gradients(walk.h), rtol=1e-10)


def test_without_a_pool_every_step_has_a_target() -> None:
    network = Network.of(Recurrent(cell="gru", input_size=2, hidden_size=3), Dense(in_features=3, out_features=4))
    weights, x = weights_of(network), Ragged.from_list([np.ones((2, 2)), np.zeros((3, 2))])
    found = tg.inspect.trace((network, weights), x, target=[[0, 3], [1, 1, 2]])
    tensors = loop.to_torch(weights)
    for index, labels in enumerate(([0, 3], [1, 1, 2])):
        output, (walk,) = loop.run(network, tensors, torch.from_numpy(x[index]))
        loss: Any = torch.nn.functional.cross_entropy(output, torch.tensor(labels), reduction="sum")
        loss.backward()
        part = found.sequence(index)
        np.testing.assert_allclose(part.direction("layer 0 forward").read("dh"), walk.gradients(walk.h), rtol=1e-10)
        np.testing.assert_allclose(part.output, output.detach().numpy(), rtol=1e-12)


def test_a_gradient_of_the_output_stands_for_any_other_loss() -> None:
    network = classifier("lstm")
    weights, x = weights_of(network), tokens(LENGTHS)
    output = tg.inspect.trace((network, weights), x).output
    soft = np.exp(output) / np.exp(output).sum(axis=1, keepdims=True) - np.eye(3)[[0, 2, 1, 1]]
    plain = tg.inspect.trace((network, weights), x, target=[0, 2, 1, 1])
    given = tg.inspect.trace((network, weights), x, target=soft)
    for one, other in zip(plain.directions, given.directions, strict=True):
        np.testing.assert_allclose(one.read("dh"), other.read("dh"), rtol=1e-12, atol=1e-18)


@settings(max_examples=15)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any), st.sampled_from(CELLS), st.integers(1, 4))
def test_a_sequence_alone_leaves_the_trace_that_it_leaves_in_any_batch(lengths: list[int], cell: Any, n: int) -> None:
    network = classifier(cell, merge="mul")
    weights, x = weights_of(network, np.float32), tokens(lengths)
    target = [length % 3 for length in lengths]
    whole = tg.inspect.trace((network, weights), x, target=target, num_threads=n)
    assert whole.output.tobytes() == Executor(network, weights)(x).tobytes()
    for index in np.flatnonzero(lengths):
        alone = tg.inspect.trace((network, weights), x.select([index]), target=target[index : index + 1])
        part = whole.sequence(int(index)).to_numpy()
        assert part.keys() == alone.to_numpy().keys()
        for name, array in alone.to_numpy().items():
            assert part[name].tobytes() == array.tobytes(), name


TEXTS = ["Good, GOOD fun!", "a dull bore", "unheardof words, and many more of them"]


@pytest.fixture(scope="module", params=[{}, {"evidence": 0}, {"linear": False}, WORDS_ALONE], ids=str)
def task(request: pytest.FixtureRequest) -> tg.TextClassifier:
    texts, labels = ["good fun", "so good", "a bore", "dull, and bad"] * 5, ["pos", "pos", "neg", "neg"] * 5
    return tg.TextClassifier(hidden_size=4, epochs=2, max_tokens=5, **request.param).fit(texts, labels)


def test_a_task_names_its_tokens_and_classes(task: tg.TextClassifier) -> None:
    found = tg.inspect.trace(task, TEXTS, target=["pos", "neg", "pos"])
    assert found.sequence(0).steps == ["good", ",", "good", "fun", "!"]
    assert found.sequence(-1).steps == ["and", "many", "more", "of", "them"], "the last five, as the task keeps them"
    assert kernels.softmax(found.output).tobytes() == task.predict_proba(TEXTS).tobytes()
    swapped = tg.inspect.trace((task.network_, task.weights_), task.prepare(TEXTS)[0], target=[1, 0, 1])
    for one, other in zip(found.directions, swapped.directions, strict=True):
        np.testing.assert_array_equal(one.read("dc"), other.read("dc"))
    np.testing.assert_array_equal(
        tg.inspect.trace(task, TEXTS, target="neg").directions[0].read("dh"),
        tg.inspect.trace(task, TEXTS, target=["neg"] * 3).directions[0].read("dh"),
    )


def test_a_task_on_features_is_traced_after_scaling() -> None:
    X = [np.full((length, 2), 5.0) + length % 2 for length in range(2, 14)]
    model = tg.SequenceClassifier(cell="gru", hidden_size=3, epochs=1).fit(X, [len(x) % 2 for x in X])
    found = tg.inspect.trace(model, X, target=[len(x) % 2 for x in X])
    assert found.steps is None
    assert kernels.softmax(found.output).tobytes() == model.predict_proba(X).tobytes()
    np.testing.assert_allclose(found.direction("layer 0 forward").h[0], _first_step_of_gru(model, X[0][0]), rtol=1e-5)


def _first_step_of_gru(model: tg.SequenceClassifier, x: Array) -> Array:
    scaled = (x - model.preparation_.mean) / model.preparation_.deviation
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    own = reference.Weights(*(model.weights_[f"0.{name}"].astype(np.float64) for name in names))
    return reference.forward("gru", scaled[None], own, np.zeros(3), np.zeros(3)).hn


@pytest.mark.parametrize("merge", ["concat", "sum", None])
def test_a_layer_is_traced_as_in_eval_mode(merge: Any) -> None:
    layer = nn.LSTM(3, 4, num_layers=2, bidirectional=True, merge=merge, dropout=0.5, recurrent_dropout=0.5).train()
    padded = torch.randn(6, 2, 3)
    found = tg.inspect.trace(layer, padded)
    output, (hn, cn) = layer.eval()(padded)
    if merge is None:
        output = torch.cat(output, dim=-1)
    np.testing.assert_array_equal(found.output.reshape(2, 6, -1), output.detach().numpy().transpose(1, 0, 2))
    backward = found.direction("layer 1 backward")
    np.testing.assert_array_equal(backward.read("h")[[0, 6]], hn[3].detach().numpy())
    np.testing.assert_array_equal(backward.read("c")[[0, 6]], cn[3].detach().numpy())


def test_a_layer_is_traced_over_whatever_it_takes() -> None:
    layer = nn.GRU(3, 4, batch_first=True)
    sequences = [torch.randn(5, 3), torch.randn(2, 3)]
    want = tg.inspect.trace(layer, [sequence.numpy() for sequence in sequences])
    packed = torch.nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False)
    for batch in (sequences, Ragged.from_list(sequences), packed):
        assert tg.inspect.trace(layer, batch).output.tobytes() == want.output.tobytes()
    padded = torch.nn.utils.rnn.pad_sequence(sequences[:1], batch_first=True)
    assert tg.inspect.trace(layer, padded).output.tobytes() == want.sequence(0).output.tobytes()
    built = nn.build(classifier("gru"))
    want = tg.inspect.trace(nn.as_network(built), tokens([4, 2]), target=0)
    assert tg.inspect.trace(built, tokens([4, 2]), target=0).to_numpy().keys() == want.to_numpy().keys()


def test_npz_and_parquet_hold_what_was_traced(tmp_path: Path, task: tg.TextClassifier) -> None:
    found = tg.inspect.trace(task, TEXTS, target="pos")
    found.write_npz(tmp_path / "trace.npz")
    with np.load(tmp_path / "trace.npz") as file:
        read = dict(file)
    assert read.keys() == found.to_numpy().keys()
    for name, array in found.to_numpy().items():
        np.testing.assert_array_equal(read[name], array)
    np.testing.assert_array_equal(read["layer 0 backward/f"], found.direction("layer 0 backward").gates["f"])
    assert read["steps"].tolist() == found.steps

    from pyarrow import parquet

    found.write_parquet(tmp_path / "trace.parquet")
    table = parquet.read_table(tmp_path / "trace.parquet")
    assert table.equals(found.to_arrow())
    assert table["sequence"].to_pylist() == [0] * 5 + [1] * 3 + [2] * 5
    assert table["step"].to_pylist() == [0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 2, 3, 4]
    assert table["token"].to_pylist() == found.steps
    assert table["layer 0 forward/dc"].to_pylist() == found.direction("layer 0 forward").read("dc").tolist()
    assert "output" not in table.column_names


def test_a_table_of_an_output_per_step_holds_it() -> None:
    layer = nn.SimpleRNN(2, 3)
    found = tg.inspect.trace(layer, [np.ones((2, 2), np.float32)])
    table = found.to_arrow()
    assert table.column_names == ["sequence", "step", "output", "layer 0 forward/h"]
    assert table["output"].to_pylist() == found.output.tolist()


def test_a_table_without_pyarrow_names_the_extra(monkeypatch: pytest.MonkeyPatch, task: tg.TextClassifier) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackageError, match=r"'tidegate\[data\]'"):
        tg.inspect.trace(task, TEXTS).to_arrow()


def test_some_units_are_read_by_number(task: tg.TextClassifier) -> None:
    direction = tg.inspect.trace(task, TEXTS).direction("layer 0 forward")
    np.testing.assert_array_equal(direction.read("f", [3, 0]), direction.gates["f"][:, [3, 0]])


@pytest.mark.parametrize(
    ("cell", "read", "error", "reason"),
    [
        ("lstm", ("q",), OptionError, r"unknown array of layer 0 forward \(lstm\) 'q'.* Known: c, f, g, h, i, o"),
        ("gru", ("c",), OptionError, "Known: h, n, r, z"),
        ("rnn_tanh", ("f",), InputError, "layer 0 forward has no gate 'f': the cell rnn_tanh has no gates"),
        ("rnn_relu", ("c",), OptionError, r"\(rnn_relu\) 'c'.* Known: h"),
        ("lstm", ("dh",), InputError, "'dh' needs a loss. Pass a target"),
        ("gru", ("h", [0, 5]), OptionError, "unknown unit 5; layer 0 forward has the units 0 to 4"),
        ("gru", ("h", [-1]), OptionError, "unknown unit -1"),
    ],
)
def test_what_was_not_recorded_is_refused(cell: Any, read: Any, error: type[Exception], reason: str) -> None:
    network = classifier(cell, num_layers=1)
    found = tg.inspect.trace((network, weights_of(network)), tokens([3]))
    with pytest.raises(error, match=reason):
        found.directions[0].read(*read)
    with pytest.raises(OptionError, match=r"'layer 1 forward'.* Known: layer 0 backward, layer 0 forward"):
        found.direction("layer 1 forward")
    for index in (1, -2):
        with pytest.raises(IndexError, match="of a trace of 1"):
            found.sequence(index)


PLAIN = Network.of(Embed(vocabulary_size=9, size=3), Pool(modes=("mean",)))


@pytest.mark.parametrize("look", [tg.inspect.trace, tg.inspect.gradient_flow, tg.inspect.attribute])
@pytest.mark.parametrize(
    ("model", "inputs", "error", "reason"),
    [
        (tg.TextClassifier(), ["good"], InputError, "not fitted; call fit first"),
        (torch.nn.LSTM(2, 3), [np.zeros((2, 2))], InputError, "LSTM is neither a recurrent layer of tidegate.nn"),
        ("model.safetensors", ["good"], InputError, "str cannot be looked into. Pass a task"),
        ((PLAIN, weights_of(PLAIN)), tokens([2]), InputError, "no recurrent layer .* embed, pool"),
        ((classifier(), weights_of(classifier())), [], InputError, "no inputs came"),
        ((classifier(), weights_of(classifier())), [[], []], InputError, "2 inputs without a single step"),
        ((classifier(), {}), [[1]], ShapeError, "weights are missing"),
        ((classifier(), weights_of(classifier())), [[1, 9]], InputError, "token id 9|id 9, but the table"),
    ],
)
def test_what_cannot_be_looked_into_is_refused(
    look: Any, model: Any, inputs: Any, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        look(model, inputs)


@pytest.mark.parametrize("look", [tg.inspect.trace, tg.inspect.attribute])
@pytest.mark.parametrize(
    ("target", "error", "reason"),
    [
        (["pos", "good", "neg"], OptionError, "unknown class 'good'.* Known: neg, pos"),
        ([1, 0, 1], OptionError, "unknown class '1'"),
        (["pos", "neg"], ShapeError, "2 targets came for 3 inputs"),
    ],
)
def test_a_target_that_is_none_is_refused(
    task: tg.TextClassifier, look: Any, target: Any, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        look(task, TEXTS, target=target)


def test_targets_of_steps_and_gradients_are_counted() -> None:
    network = Network.of(Recurrent(cell="gru", input_size=2, hidden_size=3))
    model, x = (network, weights_of(network)), [np.ones((2, 2)), np.zeros((3, 2))]
    with pytest.raises(ShapeError, match="2 targets came for 5 steps"):
        tg.inspect.trace(model, x, target=[0, 1])
    with pytest.raises(OptionError, match=r"unknown class '3'.* Known: 0, 1, 2"):
        tg.inspect.trace(model, x, target=[0, 1, 2, 3, 0])
    with pytest.raises(ShapeError, match=r"gradient of the output is \[2, 3\]; the output is \[5, 3\]"):
        tg.inspect.trace(model, x, target=np.zeros((2, 3)))


def test_an_executor_is_looked_into_like_its_network_and_weights() -> None:
    network, x = classifier(), tokens(LENGTHS)
    pair = (network, weights_of(network))
    ours, theirs = tg.inspect.trace(Executor(*pair), x), tg.inspect.trace(pair, x)
    assert [direction.name for direction in ours.directions] == [direction.name for direction in theirs.directions]
    for one, other in zip(ours.directions, theirs.directions, strict=True):
        np.testing.assert_array_equal(one.h, other.h, strict=True)
        assert one.h.any()
