"""The executor gives torch's numbers, and the same bits for a sequence whatever stands beside it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate as tg
from tidegate import kernels, nn
from tidegate.errors import InputError, ShapeError
from tidegate.network import (
    Decode,
    Dense,
    Dropout,
    Embed,
    Network,
    Pool,
    Recurrent,
    Spell,
    Split,
    Tied,
    parameter_shapes,
)
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, Sampling, Writer, cut, run_sorted
from tidegate.words import Words

TORCH = {"rnn_tanh": torch.nn.RNN, "rnn_relu": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
MERGES: dict[str, Callable[[Any, Any], Any]] = {
    "concat": lambda a, b: torch.cat([a, b], dim=-1),
    "sum": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "ave": lambda a, b: (a + b) / 2,
}
LENGTHS = st.lists(st.integers(0, 9), max_size=8)


def classifier(cell: Any = "lstm", *, modes: Any = ("mean", "last", "max"), **layer: Any) -> Network:
    recurrent = Recurrent(cell=cell, input_size=4, hidden_size=5, **layer)
    return Network.of(
        Embed(vocabulary_size=11, size=4),
        recurrent,
        Pool(modes=modes),
        Dense(in_features=recurrent.output_size * len(modes), out_features=6, activation="relu"),
        Dropout(p=0.5),
        Dense(in_features=6, out_features=3),
    )


def weights_of(network: Network, dtype: Any = np.float32) -> dict[str, npt.NDArray[Any]]:
    rng = np.random.default_rng(3)
    return {name: rng.uniform(-0.6, 0.6, shape).astype(dtype) for name, shape in parameter_shapes(network).items()}


def tokens(lengths: list[int], seed: int = 0) -> Ragged:
    rng = np.random.default_rng(seed)
    return Ragged.from_list([rng.integers(0, 11, length) for length in lengths], dtype=np.int32)


def by_torch(network: Network, weights: dict[str, npt.NDArray[Any]], ids: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Compute one sequence with torch's own layers, node by node."""
    layer = network.nodes[1]
    assert isinstance(layer, Recurrent)
    options = {"nonlinearity": layer.cell.removeprefix("rnn_")} if layer.cell.startswith("rnn") else {}
    rival = TORCH[layer.cell](
        4, 5, num_layers=layer.num_layers, bidirectional=layer.bidirectional, bias=layer.bias, **options
    ).double()
    state = {name: torch.from_numpy(array.astype(np.float64)) for name, array in weights.items()}
    rival.load_state_dict({name[2:]: tensor for name, tensor in state.items() if name.startswith("1.")})
    with torch.no_grad():
        x = state["0.weight"][torch.from_numpy(ids).long()]  # [T, C]
        h, final = rival(x.flip(0) if layer.reverse else x)  # [T, D*H]
        last = (final[0] if layer.cell == "lstm" else final)[-1 - layer.bidirectional :]  # [D, H] of the last layer
        if layer.bidirectional:
            h, last = MERGES[layer.merge](h[:, :5], h[:, 5:]), MERGES[layer.merge](last[0], last[1])
        else:
            last = last[0]
        pooled = torch.cat([h.mean(dim=0), last, h.max(dim=0).values])
        hidden = torch.relu(pooled @ state["3.weight"].T + state["3.bias"])
        return (hidden @ state["5.weight"].T + state["5.bias"]).numpy()


def test_words_are_spelled_with_weights_of_their_own_whatever_follows() -> None:
    letters = (Embed(vocabulary_size=11, size=4), Recurrent(cell="gru", input_size=4, hidden_size=3))
    spell = Spell(words=Embed(vocabulary_size=7, size=1), characters=(*letters, Pool(modes=("last",))))
    after = Recurrent(cell="gru", input_size=4, hidden_size=3)  # of the same place and shapes as the reader of letters
    network = Network.of(spell, after)
    weights = weights_of(network)
    words = Words(Ragged.from_list([[5, 6]]), np.array([1, 0]), tokens([3, 4]))
    inner = {name.removeprefix("0.characters."): array for name, array in weights.items() if "characters" in name}
    spelled = Executor(Network.of(*spell.characters), inner)(words.spellings)  # [2, 3]
    wanted = np.concatenate([weights["0.words.weight"][[5, 6]], spelled[[1, 0]]], axis=1)
    np.testing.assert_array_equal(Executor(network, weights).spell(words).values, wanted)


@pytest.mark.parametrize("cell", sorted(TORCH))
@pytest.mark.parametrize(
    "layer",
    [
        {},
        {"reverse": True},
        {"bias": False, "num_layers": 2},
        {"bidirectional": True, "num_layers": 2},
        *({"bidirectional": True, "merge": merge} for merge in MERGES),
    ],
    ids=str,
)
def test_numbers_are_those_of_torch(cell: str, layer: dict[str, Any]) -> None:
    network = classifier(cell, **layer)
    weights = weights_of(network)
    x = tokens([3, 1, 7])
    wanted = np.stack([by_torch(network, weights, ids) for ids in x.to_list()])
    np.testing.assert_allclose(Executor(network, weights)(x), wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("cell", sorted(TORCH))
@pytest.mark.parametrize("merge", sorted(MERGES))
def test_layers_that_train_agree_with_it(cell: str, merge: str) -> None:
    network = classifier(cell, bidirectional=True, merge=merge, num_layers=2, dropout=0.5, recurrent_dropout=0.5)
    weights = weights_of(network)
    module = nn.build(network).eval()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    x = tokens([4, 0, 1, 9])
    with torch.no_grad():
        trained = module(nn.to_torch(x)).numpy()
    np.testing.assert_allclose(Executor(network, weights)(x), trained, rtol=1e-5, atol=1e-6)


@settings(max_examples=25)
@given(LENGTHS, st.sampled_from(sorted(TORCH)), st.randoms(use_true_random=False))
def test_a_sequence_alone_equals_it_in_any_batch_and_order_to_the_bit(
    lengths: list[int], cell: str, random: Any
) -> None:
    network = classifier(cell, bidirectional=True)
    executor = Executor(network, weights_of(network))
    x = tokens(lengths)
    whole = executor(x)  # [B, 3]
    alone = [executor(x.select([index])) for index in range(len(x))]
    assert np.concatenate([*alone, whole[:0]]).tobytes() == whole.tobytes()
    order = list(range(len(x)))
    random.shuffle(order)
    assert executor(x.select(order)).tobytes() == whole[order].tobytes()


@settings(max_examples=15)
@given(LENGTHS, st.integers(1, 40))
def test_run_sorted_gives_the_rows_in_the_order_they_came(lengths: list[int], batch_tokens: int) -> None:
    network = classifier("gru")
    executor = Executor(network, weights_of(network))
    x = tokens(lengths)
    assert run_sorted(executor, x, tokens=batch_tokens).tobytes() == executor(x).tobytes()


def test_a_recording_holds_what_every_node_read_and_gave() -> None:
    network = classifier("lstm", bidirectional=True, num_layers=2)
    executor, x = Executor(network, weights_of(network, np.float64)), tokens([3, 0, 5])
    recording = executor.record(x)
    assert recording.output.tobytes() == executor(x).tobytes()
    assert [run.node for run in recording.nodes] == list(network.nodes)
    assert all(a.gave is b.reads[0] for a, b in pairwise(recording.nodes))
    lower, upper = recording.nodes[1].layers
    assert upper.x is lower.out.h and lower.table is executor.weights["0.weight"]
    for layer in (lower, upper):
        again = kernels.forward("lstm", layer.x, x.offsets, layer.directions, table=layer.table, keep=True)
        np.testing.assert_array_equal(layer.out.gates, again.gates)
        np.testing.assert_array_equal(layer.out.memo, again.memo)
    assert not any(run.layers for run in recording.nodes if not isinstance(run.node, Recurrent))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=20), st.integers(1, 40))
def test_batches_of_like_lengths_take_every_sequence_once(lengths: list[int], most: int) -> None:
    x = tokens(lengths)
    batches = [[lengths[index] for index in indices] for indices in cut(x, tokens=most)]
    assert sorted(index for indices in cut(x, tokens=most) for index in indices) == list(range(len(lengths)))
    assert [length for batch in batches for length in batch] == sorted(lengths)
    for batch in batches:
        assert len(batch) == 1 or sum(batch) + len(batch) < most + max(batch) + 1


def test_an_executor_that_is_called_by_two_threads_at_once_gives_the_bits_of_one() -> None:
    network = classifier(bidirectional=True, num_layers=2)
    executor, batches = Executor(network, weights_of(network)), [tokens([90, 3, 40], seed) for seed in range(4)]
    alone = [Executor(network, weights_of(network))(batch).tobytes() for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            assert [out.tobytes() for out in pool.map(executor, batches)] == alone


def test_a_copy_of_an_executor_packs_its_own_weights() -> None:
    network = classifier()
    executor = Executor(network, weights_of(network))
    wanted = executor(tokens([4, 2])).tobytes()
    again = copy.deepcopy(executor)
    del executor
    assert again(tokens([4, 2])).tobytes() == wanted


def test_a_call_that_is_refused_leaves_the_next_one_as_it_was() -> None:
    network = classifier()
    executor = Executor(network, weights_of(network))
    wanted = executor(tokens([4, 2])).tobytes()
    with pytest.raises(InputError, match="token id 11 at position 2"):
        executor(Ragged(np.array([3, 4, 11, 5]), np.array([0, 4])))
    assert executor(tokens([4, 2])).tobytes() == wanted


def test_states_are_carried_through_the_sequences_that_channels_become() -> None:
    network = Network.of(
        Split(channels=3, size=2, shared=1),
        Recurrent(cell="lstm", input_size=3, hidden_size=4),
        Dense(in_features=4, out_features=2),
    )
    executor = Executor(network, weights_of(network))
    rows = np.random.default_rng(0).standard_normal((9, 7)).astype(np.float32)
    whole = executor(Ragged(rows, np.array([0, 9]))).reshape(3, 9, 2)
    first, ends = executor.run(Ragged(rows[:4], np.array([0, 4])), {})
    second, _ = executor.run(Ragged(rows[4:], np.array([0, 5])), ends)
    assert ends["1.h"].shape == (1, 3, 4)
    assert np.concatenate([first.reshape(3, 4, 2), second.reshape(3, 5, 2)], axis=1).tobytes() == whole.tobytes()


def test_dropout_does_nothing() -> None:
    network = classifier(num_layers=2, dropout=0.9, recurrent_dropout=0.9)
    plain = classifier(num_layers=2)
    weights = weights_of(network)
    assert Executor(network, weights)(tokens([5])).tobytes() == Executor(plain, weights)(tokens([5])).tobytes()


def test_a_network_without_a_pool_gives_one_row_per_token() -> None:
    network = Network.of(Recurrent(cell="gru", input_size=2, hidden_size=3), Dense(in_features=3, out_features=4))
    x = Ragged.from_list([np.zeros((2, 2), np.float32), np.zeros((0, 2), np.float32), np.ones((3, 2), np.float32)])
    out = Executor(network, weights_of(network))(x)
    assert out.shape == (5, 4)
    assert out[:2].tobytes() == Executor(network, weights_of(network))(x.select([0])).tobytes()


def test_embedded_tokens_are_averaged_as_by_hand() -> None:
    network = Network.of(Embed(vocabulary_size=3, size=2), Pool(modes=("mean", "first")))
    table = np.array([[1, 2], [3, 4], [5, 9]], np.float32)
    x = Ragged(np.array([0, 1, 2], np.int64), np.array([0, 2, 2, 3]))
    wanted = [[2, 3, 1, 2], [0, 0, 0, 0], [5, 9, 5, 9]]
    np.testing.assert_array_equal(Executor(network, {"0.weight": table})(x), wanted)


def test_float64_weights_compute_in_float64() -> None:
    network = classifier("lstm", bidirectional=True)
    weights = weights_of(network, np.float64)
    out = Executor(network, weights)(tokens([6]))
    assert out.dtype == np.float64
    np.testing.assert_allclose(out[0], by_torch(network, weights, tokens([6])[0]), rtol=1e-12)


@pytest.mark.parametrize("length", [0, 1])
def test_empty_batches_and_sequences_are_no_special_case(length: int) -> None:
    network = classifier("lstm")
    executor = Executor(network, weights_of(network))
    assert executor(tokens([])).shape == (0, 3)
    assert np.isfinite(executor(tokens([length]))).all()


EMBEDDED = Network.of(Embed(vocabulary_size=4, size=2), Pool(modes=("max",)))
DENSE = Network.of(Recurrent(cell="gru", input_size=2, hidden_size=1), Pool(modes=("max",)))


@pytest.mark.parametrize(
    ("network", "values", "error", "reason"),
    [
        (
            EMBEDDED,
            np.array([1, 4], np.int64),
            InputError,
            "token id 4 at position 1 is out of range; the vocabulary has 4 ids",
        ),
        (EMBEDDED, np.array([-1, 2], np.int64), InputError, "token id -1 at position 0"),
        (EMBEDDED, np.array([1, 2], np.float32), ShapeError, r"token ids \[N\], int32 or int64; got float32 \[2\]"),
        (EMBEDDED, np.array([[1, 2]] * 2, np.int64), ShapeError, r"got int64 \[2, 2\]"),
        (DENSE, np.zeros((2, 3), np.float32), ShapeError, r"features \[N, 2\] of type float32; got float32 \[2, 3\]"),
        (DENSE, np.zeros((2, 2)), ShapeError, "got float64"),
        (DENSE, np.zeros(2, np.float32), ShapeError, r"got float32 \[2\]"),
    ],
)
def test_input_that_does_not_fit_is_refused(
    network: Network, values: npt.NDArray[Any], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        Executor(network, weights_of(network))(Ragged(values, np.array([0, 2])))


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="missing"):
        Executor(DENSE, {})


# --- splits and decoders -----------------------------------------------------------------------------------------


def segments(cell: Any = "gru", layers: int = 1) -> Network:
    return Network.of(
        Split(channels=3, size=4, shared=2),
        Dense(in_features=6, out_features=8, activation="relu"),
        Recurrent(cell=cell, input_size=8, hidden_size=5, num_layers=layers),
        Decode(steps=4, channels=3, size=8),
        Dense(in_features=5, out_features=2),
    )


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", TORCH)
def test_decoding_is_one_step_of_the_cell_for_each_step_and_channel(cell: str, layers: int) -> None:
    """Compute SegRNN with torch's own layers in float64: a loop over channels and over the steps that are decoded."""
    network = segments(cell, layers)
    weights = weights_of(network, np.float64)
    options = {"nonlinearity": cell.removeprefix("rnn_")} if cell.startswith("rnn") else {}
    rival = TORCH[cell](8, 5, num_layers=layers, **options).double()
    layer = {name[2:]: torch.from_numpy(array) for name, array in weights.items() if name.startswith("2.")}
    rival.load_state_dict(layer)
    w = {name: torch.from_numpy(array) for name, array in weights.items()}
    x = np.random.default_rng(0).normal(size=(6, 14))  # two sequences, of four and of two steps
    wanted = []
    for part in (x[:4], x[4:]):
        for channel in range(3):
            own = torch.from_numpy(np.concatenate([part[:, 4 * channel : 4 * channel + 4], part[:, 12:]], axis=1))
            embedded = torch.relu(own @ w["1.weight"].T + w["1.bias"])
            _, state = rival(embedded)
            for step in range(4):
                one = torch.cat([w["3.position"][step], w["3.channel"][channel]])
                h, _ = rival(one[None], state)
                wanted.append((h[0] @ w["4.weight"].T + w["4.bias"]).detach().numpy())
    got = Executor(network, weights)(Ragged(x, np.array([0, 4, 6])))
    np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-13)


@given(lengths=st.lists(st.integers(0, 5), min_size=1, max_size=5), cell=st.sampled_from(sorted(TORCH)))
def test_what_is_decoded_does_not_depend_on_neighbours(lengths: list[int], cell: str) -> None:
    network = segments(cell)
    executor = Executor(network, weights_of(network))
    rng = np.random.default_rng(0)
    x = Ragged.from_list([rng.normal(size=(length, 14)).astype(np.float32) for length in lengths])
    whole = executor(x)  # a sequence without a step is decoded from zeros
    alone = [executor(x.select(np.array([index]))) for index in range(len(lengths))]
    assert whole.tobytes() == np.concatenate(alone).tobytes()
    assert whole.shape == (len(lengths) * 3 * 4, 2)


@pytest.mark.parametrize("cell", sorted(TORCH))
def test_a_sequence_in_pieces_that_carry_their_state_has_the_bits_of_the_whole(cell: Any) -> None:
    network = Network.of(
        Embed(vocabulary_size=11, size=4),
        Recurrent(cell=cell, input_size=4, hidden_size=5, num_layers=2),
        Dropout(p=0.5, per_sequence=True),
        Recurrent(cell=cell, input_size=5, hidden_size=4),
        Tied(vocabulary_size=11, size=4),
    )
    executor, x = Executor(network, weights_of(network)), tokens([9, 0, 7, 1])
    whole, ends = executor.advance(x, {})
    assert executor.head(whole).tobytes() == executor(x).tobytes()
    rows: list[list[Any]] = [[] for _ in x]
    states: Any = {}
    for step in range(0, 9, 2):
        pieces = Ragged.from_list([sequence[step : step + 2] for sequence in x], dtype=np.int32)
        found, states = executor.advance(pieces, states)
        for mine, piece in zip(rows, pieces.with_values(found), strict=True):
            mine.append(piece)
    assert np.concatenate([piece for mine in rows for piece in mine]).tobytes() == whole.tobytes()
    assert {name: state.tobytes() for name, state in states.items()} == {k: v.tobytes() for k, v in ends.items()}


@pytest.mark.parametrize("cell", sorted(TORCH))
@pytest.mark.parametrize("tied", [True, False])
def test_a_writer_foresees_what_the_executor_does(cell: Any, tied: bool) -> None:
    network = Network.of(
        Embed(vocabulary_size=11, size=4),
        Recurrent(cell=cell, input_size=4, hidden_size=6),
        Dropout(p=0.5),
        Recurrent(cell=cell, input_size=6, hidden_size=4),
        Tied(vocabulary_size=11, size=4) if tied else Dense(in_features=4, out_features=11),
    )
    weights = weights_of(network)
    writer, executor = Writer(network, weights, barred=[0]), Executor(network, weights)
    writer.read([3, 5])
    text = [3, 5, *writer.write(20, Sampling(temperature=0.0))]
    scores = executor(Ragged.from_list([text], dtype=np.int32))
    scores[:, 0] = -np.inf
    assert scores[1:-1].argmax(axis=1).tolist() == text[2:]
    state = writer.state
    first = list(writer.write(9, Sampling(seed=3)))
    writer.state = state
    assert list(writer.write(9, Sampling(seed=3))) == first
    shares = np.exp(scores[-1] - scores[-1].max())
    drawn: list[int] = []
    for seed in range(400):
        writer.state = state
        drawn += writer.write(1, Sampling(seed=seed))
    counted = np.bincount(drawn, minlength=11) / 400
    np.testing.assert_allclose(counted, shares / shares.sum(), atol=0.08)


def test_a_writer_of_another_network_or_with_nothing_read_is_refused() -> None:
    network = classifier()
    with pytest.raises(InputError, match="a writer needs an embedding, recurrent nodes that read forwards"):
        Writer(network, weights_of(network))
    network = Network.of(
        Embed(vocabulary_size=3, size=2),
        Recurrent(cell="gru", input_size=2, hidden_size=2),
        Tied(vocabulary_size=3, size=2),
    )
    writer = Writer(network, weights_of(network))
    with pytest.raises(InputError, match="nothing was read yet"):
        next(writer.write(1, Sampling()))
    with pytest.raises(InputError, match="token id 3 is out of range; the vocabulary has 3 ids"):
        writer.read([1, 3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_without_a_task_is_saved_and_loaded_to_the_bit(tmp_path: Path, dtype: Any) -> None:
    network = classifier("gru", bidirectional=True, merge="mul")
    executor = Executor(network, weights_of(network, dtype))
    executor.save(tmp_path / "model.safetensors")
    loaded = tg.load(tmp_path / "model.safetensors")
    assert isinstance(loaded, Executor) and loaded.network == network
    np.testing.assert_array_equal(loaded(tokens([3, 0, 7])), executor(tokens([3, 0, 7])), strict=True)


def test_a_network_with_a_weight_that_is_not_finite_is_not_saved(tmp_path: Path) -> None:
    network = classifier()
    broken = weights_of(network)
    broken["3.bias"][1] = np.nan
    with pytest.raises(InputError, match=r"'3\.bias' holds values that are not finite"):
        Executor(network, broken).save(tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []
