"""Exported graphs give the numbers of our runtime in ONNX Runtime and OpenVINO, for every node and every length."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate as tg
from graphs import (
    LENGTHS,
    TIME,
    Array,
    Arrays,
    executor,
    features,
    lens,
    padded,
    recurrent,
    run_onnx,
    run_openvino,
    tokens,
)
from tidegate.cells import CELLS
from tidegate.documents import Documents, Sparse
from tidegate.errors import InputError, MissingPackageError, OptionError
from tidegate.export import to_onnx
from tidegate.network import Crf, Decode, Dense, Dropout, Embed, Node, Pool, Recurrent, Spell, Split, Tied, Wide
from tidegate.ragged import Ragged
from tidegate.runtime import Executor
from tidegate.words import Words

LAYERS: dict[str, dict[str, Any]] = {
    "forward": {},
    "stacked": {"num_layers": 3},
    "no bias": {"bias": False},
    "reverse": {"reverse": True, "num_layers": 2},
    "concat": {"bidirectional": True},
    "sum": {"bidirectional": True, "merge": "sum"},
    "mul": {"bidirectional": True, "merge": "mul"},
    "ave": {"bidirectional": True, "merge": "ave"},
    "stacked both ways": {"bidirectional": True, "merge": "sum", "num_layers": 2},
}
Run = Callable[[Path, Arrays], Arrays]
both_runtimes = pytest.mark.parametrize("run", [run_onnx, run_openvino])


def assert_close(found: Array, wanted: Array) -> None:
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


# --- numbers


@both_runtimes
def test_a_running_sum_is_what_it_is_by_hand(tmp_path: Path, run: Run) -> None:
    layer = Recurrent(cell="rnn_relu", input_size=1, hidden_size=1, bias=False)
    one = np.ones((1, 1), np.float32)
    summing = Executor(tg.Network.of(layer), {"0.weight_ih_l0": one, "0.weight_hh_l0": one})
    to_onnx(summing, tmp_path / "sum.onnx", states="required")
    inputs = {
        "features": np.array([[[1], [2], [np.nan]], [[5], [6], [7]], [[np.nan]] * 3], np.float32),
        "sequence_lens": np.array([2, 3, 0], np.int32),
        "h0_0": np.array([[[10], [0], [4]]], np.float32),
    }
    found = run(tmp_path / "sum.onnx", inputs)
    assert found["output"].tolist() == [[[11], [13], [0]], [[5], [11], [18]], [[0], [0], [0]]]
    assert found["hn_0"].tolist() == [[[13], [18], [4]]]


@both_runtimes
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_nodes_and_pools_give_our_numbers(tmp_path: Path, run: Run, cell: str, layer: str) -> None:
    node = recurrent(cell, **LAYERS[layer])
    ours = executor(
        node, Pool(modes=("mean", "last", "max", "first")), Dense(in_features=4 * node.output_size, out_features=7)
    )
    to_onnx(ours, tmp_path / "model.onnx")
    x = features(3)
    found = run(tmp_path / "model.onnx", {"features": padded(x), "sequence_lens": lens(x)})
    assert_close(found["output"], ours(x))


@both_runtimes
@pytest.mark.parametrize("cell", CELLS)
def test_steps_past_the_end_are_zero_and_the_rest_our_numbers(tmp_path: Path, run: Run, cell: str) -> None:
    ours = executor(recurrent(cell, bidirectional=True, num_layers=2), Dense(in_features=8, out_features=2))
    to_onnx(ours, tmp_path / "model.onnx")
    x = features(3)
    found = run(tmp_path / "model.onnx", {"features": padded(x), "sequence_lens": lens(x)})["output"]
    assert found.shape == (len(LENGTHS), TIME, 2)
    assert not found[np.arange(TIME) >= LENGTHS[:, None]].any()
    assert_close(found[np.arange(TIME) < LENGTHS[:, None]], ours(x))


@both_runtimes
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", None])
def test_dense_nodes_alone_give_our_numbers(tmp_path: Path, run: Run, activation: Any) -> None:
    dense = Dense(in_features=3, out_features=5, activation=activation)
    ours = executor(dense, Dropout(p=0.5), Pool(modes=("max", "mean")))
    to_onnx(ours, tmp_path / "model.onnx")
    x = features(3)
    found = run(tmp_path / "model.onnx", {"features": padded(x), "sequence_lens": lens(x)})
    assert_close(found["output"], ours(x))


@both_runtimes
@pytest.mark.parametrize("modes", [("max", "mean"), ("last",)])
@pytest.mark.parametrize(("beside", "wide"), [(3, False), (0, True), (3, True)])
def test_numbers_beside_tokens_and_features_of_the_whole_give_our_numbers(
    tmp_path: Path, run: Run, modes: Any, beside: int, wide: bool
) -> None:
    layer = Recurrent(cell="lstm", input_size=4 + beside, hidden_size=4, bidirectional=True)
    words, head = Embed(vocabulary_size=9, size=4, beside=beside), Dense(in_features=8 * len(modes), out_features=2)
    ours = executor(words, layer, Pool(modes=modes), head, *[Wide(features=6, outputs=2)] * wide)
    to_onnx(ours, tmp_path / "model.onnx")
    x, rng = tokens(9), np.random.default_rng(1)
    rows = x.with_values(rng.standard_normal((len(x.values), beside)).astype(np.float32))
    inputs = {"tokens": padded(x, fill=-1), "sequence_lens": lens(x)}
    if beside:
        inputs["beside"] = padded(rows)
    features = None
    if wide:
        columns = Ragged.from_list([[0, 5], [], [3], [2, 2, 1]], dtype=np.int32)
        features = Sparse(columns, rng.standard_normal(6).astype(np.float32))
        inputs["feature_ids"] = padded(columns, time=5, fill=-7).astype(np.int64)
        inputs["feature_values"] = padded(columns.with_values(features.values), time=5)
        inputs["feature_lens"] = lens(columns)
    found = run(tmp_path / "model.onnx", inputs)
    assert_close(found["output"], ours(Documents(x, rows.values, features)))


@pytest.mark.parametrize("beside", [0, 2])
def test_features_of_the_whole_get_past_what_is_decoded(tmp_path: Path, beside: int) -> None:
    first, second = (Recurrent(cell="gru", input_size=size, hidden_size=5) for size in (4 + beside, 5))
    read = (Embed(vocabulary_size=9, size=4, beside=beside), first, Decode(steps=3, size=4 + beside), second)
    ours = executor(*read, Pool(modes=("last",)), Wide(features=6, outputs=5))
    assert to_onnx(ours, tmp_path / "model.onnx").worst < 1e-5


@both_runtimes
def test_what_features_add_is_what_it_is_by_hand(tmp_path: Path, run: Run) -> None:
    ours = Executor(
        tg.Network.of(Embed(vocabulary_size=2, size=1), Pool(modes=("mean",)), Wide(features=3, outputs=1)),
        {
            "0.weight": np.array([[1], [3]], np.float32),
            "2.weight": np.array([[10], [20], [40]], np.float32),
            "2.bias": np.array([0.5], np.float32),
        },
    )
    to_onnx(ours, tmp_path / "model.onnx")
    inputs = {
        "tokens": np.array([[0, 1], [1, 0], [0, 0]]),
        "sequence_lens": np.array([2, 1, 0], np.int32),
        "feature_ids": np.array([[2, 0], [1, 0], [9, -4]]),
        "feature_values": np.array([[0.5, 2], [3, np.nan], [np.nan, np.inf]], np.float32),
        "feature_lens": np.array([2, 1, 0], np.int32),
    }
    assert run(tmp_path / "model.onnx", inputs)["output"].tolist() == [[42.5], [63.5], [0.5]]


@both_runtimes
def test_a_tied_output_reads_the_table_of_the_embedding(tmp_path: Path, run: Run) -> None:
    layer = Recurrent(cell="gru", input_size=4, hidden_size=4)
    ours = executor(Embed(vocabulary_size=9, size=4), Dropout(p=0.1), layer, Tied(vocabulary_size=9, size=4))
    to_onnx(ours, tmp_path / "model.onnx")
    x = tokens(9)
    found = run(tmp_path / "model.onnx", {"tokens": padded(x, fill=-1), "sequence_lens": lens(x)})["output"]
    assert_close(found[np.arange(TIME) < LENGTHS[:, None]], ours(x))


@both_runtimes
@pytest.mark.parametrize("cell", CELLS)
def test_words_are_spelled_in_the_graph(tmp_path: Path, run: Run, cell: Any) -> None:
    letters = (Embed(vocabulary_size=6, size=3), recurrent(cell, bidirectional=True), Pool(modes=("last",)))
    spell = Spell(words=Embed(vocabulary_size=9, size=2), characters=letters)
    ours = executor(spell, Recurrent(cell=cell, input_size=10, hidden_size=3, bidirectional=True), Crf(tags=6))
    to_onnx(ours, tmp_path / "model.onnx")
    words, rng = tokens(9), np.random.default_rng(1)
    spellings = Ragged.from_list([rng.integers(0, 6, length) for length in (3, 1, 7, 2)], dtype=np.int64)
    which = words.with_values(rng.integers(0, 4, len(words.values)))
    inputs = {
        "tokens": padded(words, fill=99),
        "sequence_lens": lens(words),
        "spelling": padded(which, fill=-5),
        "characters": padded(spellings, time=8, fill=-1),
        "character_lens": lens(spellings),
    }
    found = run(tmp_path / "model.onnx", inputs)
    assert_close(found["emissions"][np.arange(TIME) < LENGTHS[:, None]], ours(Words(words, which.values, spellings)))
    for name in ("transitions", "start", "end"):
        np.testing.assert_array_equal(found[name], ours.weights[f"2.{name}"])


@both_runtimes
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("channels", [1, 3])
def test_channels_are_split_and_decoded(tmp_path: Path, run: Run, cell: Any, channels: int) -> None:
    layer = Recurrent(cell=cell, input_size=4, hidden_size=5, num_layers=2)
    first: list[Node] = [Split(channels=3, size=1, shared=2)] if channels > 1 else []
    read = Dense(in_features=3 if first else 5, out_features=4, activation="relu")
    decode, last = Decode(steps=3, channels=channels, size=4), Dense(in_features=5, out_features=2)
    ours = executor(*first, read, layer, decode, last)
    to_onnx(ours, tmp_path / "model.onnx")
    x = features(5)
    found = run(tmp_path / "model.onnx", {"features": padded(x), "sequence_lens": lens(x)})["output"]
    assert found.shape == (len(LENGTHS) * channels, 3, 2)
    assert_close(found.reshape(-1, 2), ours(x))


@both_runtimes
@pytest.mark.parametrize("cell", CELLS)
def test_what_was_decoded_is_read_and_decoded_again(tmp_path: Path, run: Run, cell: Any) -> None:
    first, second = (Recurrent(cell=cell, input_size=size, hidden_size=5) for size in (4, 5))
    ours = executor(first, Decode(steps=3, size=4), second, Decode(steps=2, size=5))
    to_onnx(ours, tmp_path / "model.onnx")
    x = features(4)
    found = run(tmp_path / "model.onnx", {"features": padded(x), "sequence_lens": lens(x)})
    assert_close(found["output"].reshape(-1, 5), ours(x))
    _, ends = ours.run(x, {})
    assert_close(found["hn_0"], ends["0.h"])
    assert_close(found["hn_2"], ends["2.h"])


def test_channels_without_a_pool_are_sequences_of_their_own(tmp_path: Path) -> None:
    ours = executor(Split(channels=2, size=1), Recurrent(cell="gru", input_size=1, hidden_size=3))
    exported = to_onnx(ours, tmp_path / "model.onnx")
    x = features(2)
    found = run_onnx(tmp_path / "model.onnx", {"features": padded(x), "sequence_lens": lens(x)})
    within = np.arange(TIME) < np.repeat(LENGTHS, 2)[:, None]
    assert_close(found["output"][within], ours(x))
    assert [value.shape[1] for value in exported.outputs if value.name == "hn_1"] == ["sequences"]


@st.composite
def networks(draw: st.DrawFn) -> list[Node]:
    """Draw an input, recurrent nodes of all kinds, dense ones between them, and perhaps a pool."""
    width = draw(st.integers(1, 4))
    made: list[Node] = [Embed(vocabulary_size=5, size=width)] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        options: dict[str, Any] = dict(draw(st.sampled_from(list(LAYERS.values()))))
        options |= {"bias": draw(st.booleans()), "cell": draw(st.sampled_from(list(CELLS)))}
        node = Recurrent(input_size=width, hidden_size=draw(st.integers(1, 4)), **options)
        made, width = [*made, node], node.output_size
        if draw(st.booleans()):
            size: int = draw(st.integers(1, 4))
            activation: Any = draw(st.sampled_from(["relu", "tanh", "sigmoid", None]))
            made, width = [*made, Dense(in_features=width, out_features=size, activation=activation)], size
    modes: list[Any] = ["first", "max", "mean", *(["last"] if isinstance(made[-1], Recurrent) else [])]
    if draw(st.booleans()):
        made.append(Pool(modes=tuple(draw(st.lists(st.sampled_from(modes), min_size=1, unique=True)))))
    return made


@settings(max_examples=15)
@given(networks(), st.sampled_from(["optional", "required", "off"]))
def test_any_network_proves_itself(made: list[Node], states: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        exported = to_onnx(executor(*made), Path(folder) / "model.onnx", states=states)
    assert exported.worst < 1e-5


# --- padding and lengths


@both_runtimes
def test_what_lies_in_the_padding_has_no_effect_to_the_bit(tmp_path: Path, run: Run) -> None:
    layer = recurrent("lstm", bidirectional=True, num_layers=2)
    to_onnx(executor(layer, Pool(modes=("max", "last"))), tmp_path / "model.onnx")
    x = features(3)
    clean, *dirty = (
        run(tmp_path / "model.onnx", {"features": padded(x, fill=fill), "sequence_lens": lens(x)})["output"]
        for fill in (0.0, np.nan, np.inf, 1e30)
    )
    for found in dirty:
        np.testing.assert_array_equal(found, clean)


@both_runtimes
@pytest.mark.parametrize("time", [0, 1, 4])
def test_a_batch_of_nothing_but_empty_sequences_is_answered(tmp_path: Path, run: Run, time: int) -> None:
    ours = executor(
        Embed(vocabulary_size=5, size=3),
        recurrent("gru"),
        Pool(modes=("max", "last")),
        Dense(in_features=8, out_features=2),
    )
    to_onnx(ours, tmp_path / "model.onnx")
    inputs: Arrays = {"tokens": np.full((2, time), -1, np.int64), "sequence_lens": np.zeros(2, np.int32)}
    found = run(tmp_path / "model.onnx", inputs)
    np.testing.assert_array_equal(found["output"], np.tile(ours.weights["3.bias"], (2, 1)))
    np.testing.assert_array_equal(found["hn_1"], np.zeros((1, 2, 4)))


# --- states


@both_runtimes
@pytest.mark.parametrize("cell", CELLS)
def test_pieces_that_pass_their_states_on_equal_the_whole(tmp_path: Path, run: Run, cell: Any) -> None:
    nodes = (recurrent(cell, num_layers=2), Dropout(p=0.1), Recurrent(cell=cell, input_size=4, hidden_size=2))
    ours = executor(*nodes, Dense(in_features=2, out_features=3))
    to_onnx(ours, tmp_path / "model.onnx", states="required")
    x, cuts = features(3), np.array([2, 0, 8, 1])
    rows = padded(x)
    ends: Arrays = {}
    for index, size, layers in ((0, 4, 2), (2, 2, 1)):
        ends |= {
            f"{kind}n_{index}": np.zeros((layers, 4, size), np.float32) for kind in ("hc" if cell == "lstm" else "h")
        }
    whole = run(tmp_path / "model.onnx", _begun(ends) | {"features": rows, "sequence_lens": lens(x)})
    parts = []
    for first, last in ((np.zeros(4, int), cuts), (cuts, LENGTHS)):
        piece = Ragged.from_list([row[a:b] for row, a, b in zip(rows, first, last, strict=True)])
        found = run(tmp_path / "model.onnx", _begun(ends) | {"features": padded(piece), "sequence_lens": lens(piece)})
        ends = {name: array for name, array in found.items() if name != "output"}
        parts.append(Ragged.from_padded(found["output"], lens(piece)))
    joined = np.concatenate([np.concatenate(pair) for pair in zip(*parts, strict=True)])
    assert_close(joined, Ragged.from_padded(whole["output"], lens(x)).values)
    assert_close(joined, ours(x))
    for name, state in ends.items():
        assert_close(state, whole[name])


def test_states_that_are_left_out_are_zero(tmp_path: Path) -> None:
    ours = executor(recurrent("lstm"))
    exported = to_onnx(ours, tmp_path / "model.onnx")
    assert {value.name: value.optional for value in exported.inputs} == {
        "features": False,
        "sequence_lens": False,
        "h0_0": True,
        "c0_0": True,
    }
    x = features(3)
    given = {"features": padded(x), "sequence_lens": lens(x)}
    zeros = np.zeros((1, len(LENGTHS), 4), np.float32)
    without, with_zeros, others = (
        run_onnx(tmp_path / "model.onnx", given | more)
        for more in ({}, {"h0_0": zeros, "c0_0": zeros}, {"h0_0": zeros + 0.5})
    )
    np.testing.assert_array_equal(without["output"], with_zeros["output"])
    assert np.abs(without["output"] - others["output"]).max() > 0.01


@pytest.mark.parametrize("layer", [{"bidirectional": True}, {"reverse": True}])
def test_layers_that_read_from_the_end_have_no_state_to_carry_on(tmp_path: Path, layer: dict[str, bool]) -> None:
    exported = to_onnx(executor(recurrent("gru", **layer)), tmp_path / "model.onnx", states="required")
    assert [value.name for value in exported.inputs] == ["features", "sequence_lens"]
    assert [value.name for value in exported.outputs] == ["output"]


def _begun(ends: Arrays) -> Arrays:
    """Take the states that one piece ended with for those that the next begins with."""
    return {name.replace("n_", "0_"): state for name, state in ends.items()}


# --- the file


def test_the_file_passes_the_checker_and_says_what_it_is(tmp_path: Path) -> None:
    ours = executor(recurrent("lstm"), Pool(modes=("last",)))
    exported = to_onnx(ours, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert (model.opset_import[0].version, model.ir_version, exported.opset) == (14, 7, 14)
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert tg.Network.from_json(about["network"]) == ours.network
    assert about["tidegate"] == model.producer_version == tg.__version__
    values = [*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output]
    assert all(value.name.isidentifier() for value in values)
    assert exported.bytes == (tmp_path / "model.onnx").stat().st_size


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    contents = set()
    for _ in range(2):
        to_onnx(executor(recurrent("gru", bidirectional=True), Pool(modes=("max",))), tmp_path / "model.onnx")
        contents.add((tmp_path / "model.onnx").read_bytes())
    assert len(contents) == 1


def test_the_report_tells_every_batch_with_and_without_states(tmp_path: Path) -> None:
    exported = to_onnx(executor(recurrent("lstm")), tmp_path / "model.onnx")
    names = [case.name for case in exported.cases]
    assert {"1 of up to 1", "7 of up to 128", "7 of up to 128, from states", "nothing but empty ones"} <= set(names)
    assert len(set(names)) == len(names) == 28
    assert all(case.relative < 1e-5 and case.rounding is None for case in exported.cases)
    assert exported.worst == max(case.relative for case in exported.cases)


# --- what cannot be exported


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("tidegate.export.onnx.find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(MissingPackageError, match=rf"'{package}', .* pip install 'tidegate\[onnx\]'"):
        to_onnx(executor(recurrent("gru")), tmp_path / "model.onnx")


def test_weights_in_float64_are_refused(tmp_path: Path) -> None:
    small = executor(recurrent("gru"))
    wide = Executor(small.network, {name: array.astype(np.float64) for name, array in small.weights.items()})
    with pytest.raises(InputError, match=r"the weights are float64; .* float32. Cast them"):
        to_onnx(wide, tmp_path / "model.onnx")


def test_more_weights_than_a_file_holds_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.export.graph.MOST_BYTES", 100)
    with pytest.raises(InputError, match="an ONNX file holds 100 at most"):
        to_onnx(executor(recurrent("gru")), tmp_path / "model.onnx")


def test_an_unknown_way_to_treat_states_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="Did you mean 'required'"):
        to_onnx(executor(recurrent("gru")), tmp_path / "model.onnx", states="require")  # type: ignore[arg-type]


def test_a_task_that_is_not_fitted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not fitted"):
        to_onnx(tg.TextClassifier(), tmp_path / "model.onnx")


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"list cannot be exported\. Pass a fitted task"):
        to_onnx([1, 2], tmp_path / "model.onnx")  # type: ignore[arg-type]


def test_a_folder_that_does_not_exist_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="could not write"):
        to_onnx(executor(recurrent("gru")), tmp_path / "nowhere" / "model.onnx")
