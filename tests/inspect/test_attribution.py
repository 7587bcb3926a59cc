"""Attributions: captum's, autograd's through a loop, complete, and split by direction; occlusion leaves out."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from captum.attr import IntegratedGradients
from hypothesis import given, settings
from hypothesis import strategies as st

import loop
import tidegate as tg
from classifiers import PLAIN
from tidegate import nn
from tidegate.documents import Documents
from tidegate.errors import InputError, OptionError
from tidegate.inspect import attribution
from tidegate.network import Dense, Dropout, Embed, Network, Pool, Recurrent, parameter_shapes
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

Array = npt.NDArray[Any]
CELLS = ["rnn_tanh", "rnn_relu", "lstm", "gru"]


def classifier(cell: Any = "lstm", *, modes: Any = ("mean", "last"), activation: Any = "tanh", **layer: Any) -> Network:
    options = {"bidirectional": True, "num_layers": 1, **layer}
    recurrent = Recurrent(cell=cell, input_size=3, hidden_size=5, **options)
    return Network.of(
        Embed(vocabulary_size=9, size=3),
        Dropout(p=0.5),
        recurrent,
        Pool(modes=modes),
        Dense(in_features=recurrent.output_size * len(modes), out_features=6, activation=activation),
        Dense(in_features=6, out_features=3),
    )


def weights_of(network: Network, seed: int = 3) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(-0.8, 0.8, shape) for name, shape in parameter_shapes(network).items()}


def tokens(lengths: list[int]) -> Ragged:
    rng = np.random.default_rng(0)
    return Ragged.from_list([rng.integers(0, 9, length) for length in lengths], dtype=np.int32)


def by_sequence(found: attribution.Attribution, scores: Array) -> Array:
    return np.array([scores[start:end].sum() for start, end in pairwise(found.offsets)])


def logits(network: Network, weights: dict[str, Array], rows: torch.Tensor, blocked: int | None = None) -> torch.Tensor:
    """Run embedded rows [T, C] through all that follows the embedding."""
    rest = Network.of(*network.nodes[2:])
    tensors = {f"{int(name[0]) - 2}{name[1:]}": torch.from_numpy(w) for name, w in weights.items() if name[0] > "1"}
    return loop.run(rest, tensors, rows, blocked=blocked)[0]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layer", [{}, {"num_layers": 2, "merge": "mul"}, {"modes": ("max",), "activation": "relu"}])
@pytest.mark.filterwarnings("ignore:the scores of input")
def test_integrated_gradients_are_captums(cell: Any, layer: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """At the same 64 points, of which captum keeps the places and weights in float32."""
    monkeypatch.setattr(attribution, "_MOST_STEPS", 64)
    network = classifier(cell, **layer)
    weights, x = weights_of(network), tokens([4, 1, 7])
    found = tg.inspect.attribute((network, weights), x, target=[0, 2, 1])

    def forward(batch: torch.Tensor) -> torch.Tensor:
        return torch.stack([logits(network, weights, rows) for rows in batch])

    for index, target in enumerate([0, 2, 1]):
        rows = torch.from_numpy(weights["0.weight"][x[index]])[None]
        theirs = IntegratedGradients(forward).attribute(rows, target=target, n_steps=64, method="gausslegendre")
        mine = found.scores[found.offsets[index] : found.offsets[index + 1]]
        np.testing.assert_allclose(mine, theirs.sum(dim=2)[0].numpy(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("cell", "merge"), [("lstm", "concat"), ("gru", "sum"), ("rnn_tanh", "mul"), ("lstm", "ave"), ("gru", "mul")]
)
def test_each_direction_gets_what_flows_through_it(cell: Any, merge: Any) -> None:
    """Beside a loop that lets the gradient through one direction of the last layer alone, and a plain sum of points."""
    assert_split(classifier(cell, merge=merge, num_layers=2, activation="sigmoid"))


def test_the_last_layer_that_has_two_directions_splits_the_scores() -> None:
    network = Network.of(
        *classifier("gru").nodes[:3],
        Recurrent(cell="gru", input_size=10, hidden_size=4, bidirectional=True),
        Recurrent(cell="lstm", input_size=8, hidden_size=3),
        Pool(modes=("mean", "last")),
        Dense(in_features=6, out_features=2),
    )
    assert_split(network)


def assert_split(network: Network) -> None:
    weights, x = weights_of(network), tokens([5])
    found = tg.inspect.attribute((network, weights), x, target=1)
    assert found.directions is not None and found.direction_scores is not None
    rows = torch.from_numpy(weights["0.weight"][x[0]])
    for blocked, name in enumerate(("backward", "forward")):
        total = torch.zeros(5)
        for place in (np.arange(30) + 0.5) / 30:
            way = (place * rows).requires_grad_()
            logits(network, weights, way, blocked)[1].backward()  # type: ignore[no-untyped-call]
            assert way.grad is not None
            total = total + (way.grad * rows).sum(dim=1) / 30
        np.testing.assert_allclose(found.direction_scores[name], total.numpy(), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(found.directions[name], total.sum().numpy(), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(found.direction_scores["forward"] + found.direction_scores["backward"], found.scores)


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=3).filter(any),
    st.sampled_from(CELLS),
    st.sampled_from([("max",), ("max", "last"), ("mean", "first")]),
    st.sampled_from(["relu", "tanh"]),
    st.booleans(),
    st.integers(0, 99),
)
def test_scores_sum_to_the_change_of_the_output_within_1_percent(
    lengths: list[int], cell: Any, modes: Any, activation: Any, both: bool, seed: int
) -> None:
    network = classifier(cell, modes=modes, activation=activation, bidirectional=both)
    weights, x = weights_of(network, seed), tokens(lengths)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = tg.inspect.attribute((network, weights), x)
    for index in range(len(x)):
        row = logits(network, weights, torch.from_numpy(weights["0.weight"][x[index]]))
        column = int(row.argmax())
        nothing = logits(network, weights, torch.zeros(len(x[index]), 3, dtype=torch.float64))
        assert found.target[index] == column
        np.testing.assert_allclose([found.output[index], found.baseline[index]], [row[column], nothing[column]], 1e-9)
    change = found.output - found.baseline
    missed = np.abs(by_sequence(found, found.scores) - change) > 0.01 * np.abs(change) + 1e-12
    assert missed.any() == bool(caught), "whoever is not complete is named"


def test_too_few_points_are_doubled_until_the_scores_are_complete() -> None:
    network = classifier("lstm", modes=("max",), activation="relu")
    model, x = (network, weights_of(network)), tokens([6, 4, 8])
    found = tg.inspect.attribute(model, x, steps=1)
    change = found.output - found.baseline
    np.testing.assert_allclose(by_sequence(found, found.scores), change, rtol=0.01)


def test_what_stays_incomplete_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    network = classifier("lstm", modes=("max",), activation="relu")
    model, x = (network, weights_of(network)), tokens([6, 0, 8])
    monkeypatch.setattr(attribution, "_MOST_STEPS", 1)
    with pytest.warns(UserWarning, match=r"scores of input \d miss .* after 1 steps.*; wanted was 1%. Pass a larger"):
        found = tg.inspect.attribute(model, x, steps=1)
    assert found.scores.any()


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_an_input_alone_gets_the_scores_that_it_gets_in_any_batch(method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    network = classifier("gru", modes=("max",), num_layers=2)
    model, x = (network, weights_of(network)), tokens([6, 0, 1, 4])
    whole = tg.inspect.attribute(model, x, method=method, num_threads=3)
    for index in (0, 2, 3):
        alone = tg.inspect.attribute(model, x.select([index]), method=method)
        np.testing.assert_array_equal(alone.scores, whole.scores[whole.offsets[index] : whole.offsets[index + 1]])
        assert (alone.output[0], alone.baseline[0]) == (whole.output[index], whole.baseline[index])
    monkeypatch.setattr(attribution, "_TOKENS", 7)
    np.testing.assert_array_equal(tg.inspect.attribute(model, x, method=method).scores, whole.scores)


@pytest.fixture(scope="module")
def task() -> tg.TextClassifier:
    texts, labels = ["good fun", "so good", "a bore", "dull, and bad"] * 5, ["pos", "pos", "neg", "neg"] * 5
    return tg.TextClassifier(hidden_size=4, epochs=6, **PLAIN).fit(texts, labels)


@pytest.fixture(scope="module")
def counting() -> tg.TextClassifier:
    """Counts n-grams, as it does by default."""
    texts, labels = ["good fun", "so good", "a bore", "dull, and bad"] * 5, ["pos", "pos", "neg", "neg"] * 5
    return tg.TextClassifier(hidden_size=4, epochs=6).fit(texts, labels)


def test_a_word_is_left_out_with_what_stands_beside_it(counting: tg.TextClassifier) -> None:
    texts = ["so good fun", "bad"]
    found = tg.inspect.attribute(counting, texts, method="occlusion", target=["pos", "neg"])
    whole, _ = counting.prepare(texts)
    assert isinstance(whole, Documents)
    run = Executor(counting.network_, counting.weights_)
    for step, (text, column) in enumerate([(0, 1), (0, 1), (0, 1), (1, 0)]):
        without = whole.where(np.arange(4) != step)
        assert found.scores[step] == pytest.approx(run(whole)[text, column] - run(without)[text, column], abs=1e-5)
    np.testing.assert_allclose(found.output, run(whole)[[0, 1], [1, 0]], rtol=1e-5)
    np.testing.assert_allclose(found.baseline, run(whole.where(np.zeros(4, bool)))[[0, 1], [1, 0]], rtol=1e-5)


def test_the_slope_of_a_word_goes_through_its_row_and_all_that_stands_beside_it(counting: tg.TextClassifier) -> None:
    """Computed by torch, along the same straight line from zeros."""
    texts = ["so good fun, and dull"]
    found = tg.inspect.attribute(counting, texts, target="pos", steps=256)
    x, _ = counting.prepare(texts)
    assert isinstance(x, Documents)
    module = nn.build(counting.network_).double().eval()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in counting.weights_.items()})
    parts = dict(module.named_children())
    known, beside = parts["0"](torch.from_numpy(x.tokens.values)).detach(), torch.from_numpy(x.beside).double()
    rows = torch.cat([known, beside], dim=1)
    total = torch.zeros(len(rows), dtype=torch.float64)
    for place in (np.arange(400) + 0.5) / 400:
        at = (rows * place).requires_grad_()
        state, _ = parts["1"](nn.to_torch(x.tokens).with_values(at))
        score = parts["4"](parts["2"](state))[0, 1]
        total += (torch.autograd.grad(score, at)[0] * rows).sum(dim=1) / 400
    np.testing.assert_allclose(found.scores, total.numpy(), atol=1e-2 * float(total.abs().max()))


def test_a_word_left_out_is_a_text_without_it(task: tg.TextClassifier) -> None:
    found = tg.inspect.attribute(task, ["so good fun", "bad"], method="occlusion", target=["pos", "neg"])

    def logit(text: str, column: int) -> float:
        return float(tg.inspect.trace(task, [text]).output[0, column])

    want = [logit("so good fun", 1) - logit(text, 1) for text in ("good fun", "so fun", "so good")]
    np.testing.assert_allclose(found.scores[:3], want, atol=1e-5)
    np.testing.assert_allclose(found.output, [logit("so good fun", 1), logit("bad", 0)], rtol=1e-5)
    pair = (task.network_, task.weights_)
    nothing = tg.inspect.trace(pair, Ragged.from_list([[], [1]], dtype=np.int32)).output[0]
    np.testing.assert_allclose(found.baseline, nothing[::-1], rtol=1e-5)
    np.testing.assert_allclose(found.scores[3], found.output[1] - found.baseline[1])
    assert found.steps == ["so", "good", "fun", "bad"]
    assert found.directions is None


def test_features_are_replaced_by_zeros() -> None:
    """One relu unit without memory, and the mean over three steps: a step is worth a third of itself."""
    network = Network.of(Recurrent(cell="rnn_relu", input_size=2, hidden_size=1, bias=False), Pool(modes=("mean",)))
    weights = {"0.weight_ih_l0": np.array([[1.0, 2.0]]), "0.weight_hh_l0": np.zeros((1, 1))}
    steps = np.array([[3.0, 0.0], [0.0, 6.0], [1.0, 1.0]])
    found = tg.inspect.attribute((network, weights), [steps], method="occlusion")
    np.testing.assert_allclose(found.scores, [1, 4, 1], rtol=1e-14)
    assert found.baseline.tolist() == [0] and found.steps is None
    assert tg.inspect.attribute((network, weights), [steps]).scores == pytest.approx([1, 4, 1])


def test_a_task_is_asked_for_what_it_predicts(task: tg.TextClassifier) -> None:
    found = tg.inspect.attribute(task, ["so good fun", "dull", "bad and dull"])
    assert found.target == task.predict(["so good fun", "dull", "bad and dull"]).tolist() == ["pos", "neg", "neg"]
    assert found.scores[1] > 0, "good speaks for pos"
    np.testing.assert_allclose(by_sequence(found, found.scores), found.output - found.baseline, rtol=0.01)
    assert tg.inspect.attribute(task, ["dull"], target="pos").scores[0] < 0


def test_a_task_on_features_begins_at_the_mean_of_the_training_part() -> None:
    X = [np.full((length, 2), 5.0) + length % 2 for length in range(2, 14)]
    model = tg.SequenceClassifier(cell="gru", hidden_size=3, epochs=1, validation_fraction=0).fit(
        X, [len(x) % 2 for x in X]
    )
    mean = np.concatenate(X).mean(axis=0)
    found = tg.inspect.attribute(model, [np.full((4, 2), 7.0)], target=1)
    np.testing.assert_allclose(found.baseline, tg.inspect.trace(model, [np.tile(mean, (4, 1))]).output[:, 1], rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        ({"method": "gradients"}, OptionError, r"unknown method 'gradients'.* Known: integrated_gradients, occlusion"),
        ({"steps": 0}, InputError, "steps is 0"),
    ],
)
def test_what_it_cannot_do_is_refused(
    task: tg.TextClassifier, options: dict[str, Any], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        tg.inspect.attribute(task, ["good"], **options)


def test_an_output_per_step_is_refused() -> None:
    network = Network.of(Recurrent(cell="gru", input_size=2, hidden_size=3))
    with pytest.raises(InputError, match="an output for every step"):
        tg.inspect.attribute((network, weights_of(network)), [np.ones((2, 2))])
