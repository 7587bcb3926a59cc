"""Parts of torch models become networks and networks become torch modules, with the same numbers both ways."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

import tidegate as tg
from classifiers import PLAIN
from tidegate.convert import torch_network, torch_parts
from tidegate.convert.proof import sequences as draw
from tidegate.convert.torch_module import PlainNetwork
from tidegate.errors import ConversionError, InputError, OptionError
from tidegate.network import Crf, Dense, Dropout, Embed, Network, Pool, Recurrent, Tied, parameter_shapes
from tidegate.ragged import Ragged

Array = npt.NDArray[Any]
LENGTHS = (4, 1, 9)
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    (cell, options)
    for cell in ("RNN", "LSTM", "GRU")
    for options in (
        {},
        {"batch_first": True},
        {"bidirectional": True},
        {"num_layers": 2, "dropout": 0.4},
        {"num_layers": 3, "bidirectional": True, "bias": False},
    )
] + [("RNN", {"nonlinearity": "relu", "bidirectional": True})]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(1)


def features(count: int = 3, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    return [torch.randn(length, count, dtype=dtype) for length in LENGTHS]


def ids() -> list[Tensor]:
    return [torch.randint(20, (length,)) for length in LENGTHS]


def ragged(sequences: list[Tensor]) -> tg.Ragged:
    return tg.Ragged.from_list([sequence.numpy() for sequence in sequences])


class Tutorial(nn.Module):
    """What tutorials build: an embedding, an LSTM in both directions, its last states, a linear head."""

    def __init__(self, *, wrong: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 6, padding_idx=0)
        self.lstm = nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True, dropout=0.5)
        self.fc = nn.Linear(10, 1)
        self.wrong = wrong

    def forward(self, text: Tensor) -> Tensor:
        output, (hidden, _) = self.lstm(self.embedding(text))
        last = output[:, -1] if self.wrong else torch.cat([hidden[-2], hidden[-1]], dim=1)
        scores: Tensor = self.fc(last)
        return scores.squeeze(1)


# --- from torch ---


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("cell", "options"), OPTIONS)
def test_a_layer_alone_gives_its_numbers(cell: str, options: dict[str, Any], dtype: torch.dtype) -> None:
    layer = getattr(nn, cell)(3, 5, dtype=dtype, **options)
    executor = tg.convert.from_torch(layer)
    assert layer.training, "it is left as it was"
    sequences = features(dtype=dtype)
    axis = 0 if layer.batch_first else 1
    with torch.no_grad():
        wanted = torch.cat([layer.eval()(sequence.unsqueeze(axis))[0].squeeze(axis) for sequence in sequences])
    tight = 1e-5 if dtype == torch.float32 else 1e-12
    np.testing.assert_allclose(executor(ragged(sequences)), wanted.numpy(), rtol=0, atol=tight)


def test_a_model_of_a_tutorial_is_one_line_and_saved_and_loaded(tmp_path: Path) -> None:
    model = Tutorial()
    executor = tg.convert.from_torch(model.embedding, model.lstm, "last", model.fc, against=model)
    sequences = ids()
    with torch.no_grad():
        wanted = torch.cat([model.eval()(sequence[None]) for sequence in sequences])
    executor.save(tmp_path / "model.safetensors")
    for one in (executor, tg.load(tmp_path / "model.safetensors")):
        np.testing.assert_allclose(one(ragged(sequences))[:, 0], wanted.numpy(), rtol=0, atol=1e-5)


def test_a_forward_that_does_something_else_is_found_out() -> None:
    model = Tutorial(wrong=True)
    with pytest.raises(ConversionError, match=r"`last` is h_n, the final state of both directions, not output"):
        tg.convert.from_torch(model.embedding, model.lstm, "last", model.fc, against=model)
    right = Tutorial()
    with pytest.raises(ConversionError, match=r"differ by .* Are the parts all that its forward does"):
        tg.convert.from_torch(right.embedding, right.lstm, "max", right.fc, against=right)
    with pytest.raises(
        ConversionError, match=r"gives \[1, 10\] for random sequence 0 of 1 steps, the original \[1, 1\]"
    ):
        tg.convert.from_torch(right.embedding, right.lstm, against=lambda x: right(x)[:, None, None])


def test_poolings_stand_side_by_side_and_activations_belong_to_the_layer_before() -> None:
    embedding, gru, first, second = (
        nn.Embedding(20, 4),
        nn.GRU(4, 3, bidirectional=True),
        nn.Linear(18, 4),
        nn.Linear(4, 2),
    )
    head = nn.Sequential(nn.Dropout(0.5), first, nn.Tanh(), nn.Identity(), second)
    executor = tg.convert.from_torch(embedding, gru, ("mean", "last", "first"), head)
    sequences = ids()
    rows = []
    for sequence in sequences:
        out, state = gru(embedding(sequence)[:, None])
        joined = torch.cat([out[:, 0].mean(0), state[0, 0], state[1, 0], out[0, 0]])
        rows.append(second(torch.tanh(first(joined))).detach().numpy())
    np.testing.assert_allclose(executor(ragged(sequences)), np.stack(rows), rtol=0, atol=1e-5)


def test_training_on_does_not_change_the_network() -> None:
    layer = nn.LSTM(3, 5)
    executor = tg.convert.from_torch(layer)
    before = executor.weights["0.weight_hh_l0"].copy()
    with torch.no_grad():
        dict(layer.named_parameters())["weight_hh_l0"].zero_()
    np.testing.assert_array_equal(executor.weights["0.weight_hh_l0"], before)


def test_a_parametrized_weight_counts_as_it_stands() -> None:
    layer = torch.nn.utils.parametrizations.weight_norm(nn.Linear(3, 2, bias=False))
    recurrent = torch.nn.utils.parametrizations.weight_norm(nn.GRU(3, 3), "weight_hh_l0")
    executor = tg.convert.from_torch(recurrent, layer)
    np.testing.assert_array_equal(executor.weights["0.weight_hh_l0"], recurrent.weight_hh_l0.detach().numpy())


@pytest.mark.parametrize(
    ("parts", "error", "complaint"),
    [
        ([nn.LSTM(3, 5, proj_size=2)], InputError, "proj_size=2"),
        ([nn.Embedding(5, 3, max_norm=1.0)], InputError, "max_norm"),
        ([nn.Conv1d(3, 3, 1)], InputError, "Conv1d.* has no counterpart"),
        ([Tutorial()], InputError, r"Name its parts .* they are: model.embedding, model.lstm, model.fc"),
        ([nn.LSTM(3, 5), "final"], OptionError, "unknown pooling 'final'. .*Known: first, last, max, mean"),
        ([nn.LSTM(3, 5), nn.ReLU()], InputError, "does not stand behind a Linear"),
        ([nn.LSTM(3, 5), nn.Linear(4, 2)], InputError, "wants 4 features but gets 5"),
        ([nn.LSTM(3, 5), "mean", "max"], InputError, "cannot follow another pool"),
        ([nn.LSTM(3, 5).half()], InputError, "torch.float16; wanted float32"),
        ([nn.LSTM(3, 5), nn.LSTM(5, 5).double()], InputError, "float32"),
        ([tg.nn.LSTM(3, 5)], InputError, r"LSTM is a layer of Tidegate: .*as_network"),
        ([nn.Linear(2, 70_000)], InputError, "a network has no Dense node of such out_features"),
        ([3], InputError, "3 has no counterpart"),
        ([], InputError, "no network"),
    ],
)
def test_what_a_network_cannot_say_is_refused_by_name(parts: list[Any], error: type, complaint: str) -> None:
    with pytest.raises(error, match=complaint):
        tg.convert.from_torch(*parts)


def test_swapped_gates_do_not_pass_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    read = torch_parts._array
    monkeypatch.setattr(torch_parts, "_array", lambda p: np.concatenate(np.split(read(p), 4)[::-1]))
    with pytest.raises(ConversionError, match="on random sequence"):
        tg.convert.from_torch(nn.LSTM(3, 5))


# --- to torch ---


def network(cell: Any = "lstm", modes: Any = ("max", "last", "first", "mean"), **options: Any) -> Network:
    layer = Recurrent(cell=cell, input_size=4, hidden_size=3, **options)
    width = layer.output_size * len(modes)
    return Network.of(
        Embed(vocabulary_size=20, size=4),
        Dropout(p=0.5),
        layer,
        Pool(modes=modes),
        Dense(in_features=width, out_features=5, activation="relu"),
        Dense(in_features=5, out_features=2),
    )


def executor_of(network: Network, dtype: Any = np.float32) -> tg.runtime.Executor:
    rng = np.random.default_rng(3)
    shapes = parameter_shapes(network)
    return tg.runtime.Executor(network, {n: rng.uniform(-0.6, 0.6, shape).astype(dtype) for n, shape in shapes.items()})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"num_layers": 2, "bias": False}])
@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "lstm", "gru"])
def test_a_module_gives_the_numbers_of_the_network(cell: str, options: dict[str, Any], dtype: Any) -> None:
    executor = executor_of(network(cell, **options), dtype)
    module = tg.convert.to_torch(executor)
    x = ragged(ids())
    padded, lengths = x.to_padded(fill=7)
    with torch.no_grad():
        out = module(torch.from_numpy(padded), torch.from_numpy(lengths))
    tight = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(out.numpy(), executor(x), rtol=0, atol=tight)
    assert set(module.state_dict()) == set(executor.weights)


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave"])
def test_every_merge_mode_is_carried_over(merge: str) -> None:
    executor = executor_of(network("gru", num_layers=2, bidirectional=True, merge=merge))
    module = tg.convert.to_torch(executor)
    x = ragged(ids())
    padded, lengths = x.to_padded()
    with torch.no_grad():
        out = module(torch.from_numpy(padded), torch.from_numpy(lengths))
    np.testing.assert_allclose(out.numpy(), executor(x), rtol=0, atol=1e-5)


def test_steps_come_out_padded_with_zeros_and_a_tied_table_stays_one() -> None:
    layer = Recurrent(cell="lstm", input_size=4, hidden_size=4, reverse=True)
    executor = executor_of(Network.of(Embed(vocabulary_size=20, size=4), layer, Tied(vocabulary_size=20, size=4)))
    module = tg.convert.to_torch(executor)
    x = ragged(ids())
    padded, lengths = x.to_padded()
    with torch.no_grad():
        out = module(torch.from_numpy(padded), torch.from_numpy(lengths))
    np.testing.assert_allclose(
        out[torch.arange(9) < torch.from_numpy(lengths)[:, None]], executor(x), rtol=0, atol=1e-5
    )
    assert not out[1, 1:].any()
    assert module.get_submodule("2").weight is module.get_submodule("0").weight


POOLS: Any = ("first", "max", "mean")
DENSE = Dense(in_features=3, out_features=4, activation="relu")
READERS = [
    Network.of(DENSE, Pool(modes=POOLS)),
    Network.of(
        DENSE, Recurrent(cell="lstm", input_size=4, hidden_size=5, bidirectional=True), Pool(modes=("last", *POOLS))
    ),
    Network.of(DENSE, Recurrent(cell="gru", input_size=4, hidden_size=5, reverse=True), Pool(modes=("last",))),
    Network.of(Embed(vocabulary_size=20, size=4), Recurrent(cell="gru", input_size=4, hidden_size=5)),
]


@pytest.mark.parametrize("network", READERS, ids=lambda network: network.nodes[-1].kind)
@pytest.mark.parametrize("lengths", [(4, 0, 9), (0, 0)])
def test_what_lies_in_the_padding_has_no_effect_and_a_sequence_may_be_empty(
    network: Network, lengths: tuple[int, ...]
) -> None:
    executor = executor_of(network)
    x = draw(network, np.float32, lengths=lengths)
    padded = torch.full((len(lengths), 11, *x.values.shape[1:]), 999 if network.reads_tokens else torch.nan)
    padded = padded.to(torch.from_numpy(x.values).dtype)
    for row, sequence in zip(padded, x, strict=True):
        row[: len(sequence)] = torch.from_numpy(sequence)
    with torch.no_grad():
        out = tg.convert.to_torch(executor)(padded, torch.tensor(lengths)).numpy()
    if out.ndim == 3:
        out = np.concatenate([row[:length] for row, length in zip(out, lengths, strict=True)])
    np.testing.assert_allclose(out, executor(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("shape", "lengths"), [((2, 3), [3, 4]), ((2, 3), [3]), ((2, 3), [-1, 2]), ((0, 3), [])])
def test_lengths_that_do_not_fit_are_refused(shape: tuple[int, int], lengths: list[int]) -> None:
    module = tg.convert.to_torch(executor_of(READERS[-1]))
    with pytest.raises(ValueError, match=r"x is \[\d, 3\].* wanted at least one sequence .* a length from 0 to 3"):
        module(torch.zeros(shape, dtype=torch.int64), torch.tensor(lengths))


def test_dropout_of_whole_sequences_drops_the_same_features_at_all_steps() -> None:
    layer = Recurrent(cell="gru", input_size=3, hidden_size=50, dropout=0.5)  # one layer: nothing lies between
    module = tg.convert.to_torch(executor_of(Network.of(layer, Dropout(p=0.5, per_sequence=True)))).train()
    dropped = module(torch.randn(1, 6, 3), torch.tensor([6]))[0] == 0  # [T, H]
    assert 0 < dropped[0].sum() < 50
    assert (dropped == dropped[0]).all()


def test_there_and_back_is_the_same_to_the_bit() -> None:
    executor = executor_of(network("gru", ("last",), num_layers=2, bidirectional=True))
    module = tg.convert.to_torch(executor)
    parts = dict(module.named_children())
    back = tg.convert.from_torch(parts["0"], parts["1"], parts["2"], "last", parts["4"], nn.ReLU(), parts["5"])
    assert back.network == executor.network
    x = ragged(ids())
    np.testing.assert_array_equal(back(x), executor(x), strict=True)


def test_the_network_of_a_task_is_converted() -> None:
    texts, labels = ["a good film", "so bad", "bad film", "good fun"] * 4, ["pos", "neg", "neg", "pos"] * 4
    task = tg.TextClassifier(hidden_size=4, epochs=1, validation_fraction=0, **PLAIN).fit(texts, labels)
    module = tg.convert.to_torch(task)
    inputs, _ = task.prepare(texts[:4])
    assert isinstance(inputs, Ragged)
    padded, lengths = inputs.to_padded()
    with torch.no_grad():
        logits = module(torch.from_numpy(padded), torch.from_numpy(lengths))
    np.testing.assert_allclose(logits.softmax(dim=1).numpy(), task.predict_proba(texts[:4]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"evidence": 0}, {"linear": False}])
def test_a_classifier_that_counts_n_grams_is_refused_with_a_way_out(options: dict[str, Any]) -> None:
    texts, labels = ["a good film", "so bad", "bad film", "good fun"] * 4, ["pos", "neg", "neg", "pos"] * 4
    task = tg.TextClassifier(hidden_size=4, epochs=1, **options).fit(texts, labels)
    with pytest.raises(InputError, match=r"what is counted of n-grams.* train a classifier with evidence=0"):
        tg.convert.to_torch(task)


def test_the_file_of_the_module_imports_torch_alone(tmp_path: Path) -> None:
    executor = executor_of(network())
    module = tg.convert.to_torch(executor)
    torch.save({"nodes": module.nodes, "state": module.state_dict()}, tmp_path / "model.pt")
    source = Path(torch_network.__file__).with_name("torch_module.py").read_text(encoding="utf-8")
    (tmp_path / "plain.py").write_text(source, encoding="utf-8")
    code = (
        "import sys, torch, plain; saved = torch.load('model.pt', weights_only=True)\n"
        "module = plain.PlainNetwork(saved['nodes']).eval(); module.load_state_dict(saved['state'])\n"
        "with torch.no_grad(): print(*module(torch.tensor([[3, 1, 4]]), torch.tensor([3]))[0].tolist())\n"
        "assert 'tidegate' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    wanted = executor(tg.Ragged.from_list([np.array([3, 1, 4])]))[0]
    np.testing.assert_allclose(np.array(done.stdout.split(), np.float32), wanted, rtol=0, atol=1e-5)


def test_what_torch_has_no_module_for_is_refused_by_name() -> None:
    crf = executor_of(Network.of(Dense(in_features=3, out_features=2), Crf(tags=2)))
    with pytest.raises(InputError, match="node 1 of the network is a 'crf', for which torch has no module"):
        tg.convert.to_torch(crf)
    with pytest.raises(ValueError, match="no module for a 'crf' node"):
        PlainNetwork([{"kind": "crf"}])
    with pytest.raises(InputError, match="a Linear came; wanted a fitted task, or an executor"):
        tg.convert.to_torch(nn.Linear(2, 2))


def test_a_module_that_is_wrong_does_not_pass_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.convert.torch_module._merge", lambda mode, out: out)
    executor = executor_of(
        Network.of(Recurrent(cell="gru", input_size=4, hidden_size=3, bidirectional=True, merge="sum"))
    )
    with pytest.raises(
        ConversionError, match=r"gives \[1, 3\] for random sequence 0 of 1 steps, the original \[1, 6\]"
    ):
        tg.convert.to_torch(executor)
