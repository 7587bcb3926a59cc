"""The program of the core: what it gives is what the runtime gives, its gradient is autograd's, whoever runs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from autograd import Case
from programs import DROPPING, LARGE, LONG, NETWORKS, WORDS, layer, weights_of
from tidegate import kernels, nn
from tidegate.documents import Documents, Sparse
from tidegate.engine import CrossEntropy, Optimiser, Program, Rule
from tidegate.errors import InputError, ShapeError
from tidegate.network import (
    Dense,
    Network,
)  # fmt: skip
from tidegate.ragged import Ragged
from tidegate.runtime import Executor
from tidegate.words import Words

Array = npt.NDArray[Any]


# --- equal to others ------------------------------------------------------------------------------------------------


EXACT, ROUNDED = (np.float64, 1e-10), (np.float32, 2e-4)
WAYS = [(name, *kind, None) for name in NETWORKS for kind in (EXACT, ROUNDED)]
WAYS += [(name, np.float64, 1e-9, threads) for name in [*LARGE, *LONG] for threads in (1, 4)]


@pytest.mark.parametrize(("name", "dtype", "rtol", "threads"), WAYS)
def test_the_gradient_is_that_of_autograd(name: str, dtype: Any, rtol: float, threads: int | None) -> None:
    network, batch = (LARGE | LONG).get(name) or (NETWORKS[name], {})
    case = Case(network, dtype, **batch)
    case.program.num_threads = threads
    lost, (loss, gradients) = case.found(), case.by_torch()
    assert lost.total == pytest.approx(loss, rel=rtol)
    largest = max(np.abs(array).max() for array in gradients.values())
    for parameter, array in case.program.gradients.items():
        np.testing.assert_allclose(array, gradients[parameter], rtol=rtol, atol=rtol * largest, err_msg=parameter)


@pytest.mark.parametrize("name", [*NETWORKS, *DROPPING])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_it_gives_is_what_the_executor_gives_and_torch(name: str, dtype: Any) -> None:
    case = Case((NETWORKS | DROPPING)[name], dtype)
    executor = Executor(case.network, dict(case.program.weights))
    found = executor(case.batch)
    assert case.program(case.batch).tobytes() == found.tobytes()
    assert executor.record(case.batch).output.tobytes() == found.tobytes()
    _, out = case.as_module()
    rtol = 1e-10 if dtype is np.float64 else 1e-4
    rows = (out if isinstance(out, Tensor) else out.values).detach().numpy()
    np.testing.assert_allclose(found, rows, rtol=rtol, atol=rtol * np.abs(rows).max())


@pytest.mark.parametrize("name", DROPPING)
def test_the_gradient_is_the_slope_where_masks_are_drawn(name: str) -> None:
    case = Case(DROPPING[name])
    case.found(seed=3, step=9)
    gradient, parameters = case.program.gradient_array.copy(), case.program.parameters
    assert np.count_nonzero(gradient) > len(gradient) / 4
    for index in np.random.default_rng(0).choice(len(gradient), 80, replace=False):
        kept, losses = parameters[index], []
        for away in (1e-5, -1e-5):
            parameters[index] = kept + away
            losses.append(case.found(seed=3, step=9).total)
        parameters[index] = kept
        assert (losses[0] - losses[1]) / 2e-5 == pytest.approx(gradient[index], rel=1e-5, abs=1e-8)


def test_states_are_carried_in_and_out() -> None:
    """A text that is cut in two loses what the whole one loses."""
    network = Network.of(WORDS, layer(num_layers=2), Dense(in_features=5, out_features=3))
    program = Program(network, weights_of(network))
    tokens, labels, one = np.arange(20) % 40, np.arange(20) % 3, np.ones(1)
    whole = program.gradient(Ragged(tokens, np.array([0, 20])), CrossEntropy(labels, one))
    states: Any = {}
    parts = []
    for cut in (slice(0, 7), slice(7, 20)):
        batch = Ragged(tokens[cut], np.array([0, len(tokens[cut])]))
        lost = program.gradient(batch, CrossEntropy(labels[cut], one), states=states)
        parts.append(lost.total)
        states = lost.ends
    assert sum(parts) == pytest.approx(whole.total, rel=1e-12)
    assert {name: array.shape for name, array in states.items()} == {"1.h": (2, 1, 5), "1.c": (2, 1, 5)}


# --- whoever runs it --------------------------------------------------------------------------------------------------


@pytest.fixture
def every_way() -> Iterator[Any]:
    """Call something with every instruction set and with one to four threads."""
    active, before = kernels.active_isa(), kernels.explicit_num_threads()

    def ways(call: Any, threads: Sequence[int] = (1, 2, 3, 4)) -> Iterator[Any]:
        for isa in kernels.available_isas():
            kernels.use_isa(isa)
            for count in threads:
                kernels.set_num_threads(count)
                yield call()

    yield ways
    kernels.use_isa(active)
    kernels.set_num_threads(before)


@pytest.mark.parametrize("name", [*NETWORKS, *DROPPING, *LARGE])
def test_threads_and_instruction_sets_change_no_bit(name: str, every_way: Any) -> None:
    network, batch = LARGE.get(name) or ((NETWORKS | DROPPING)[name], {})
    case = Case(network, np.float32, **batch)

    def bits() -> bytes:
        lost = case.found(seed=1, step=2)
        return case.program.gradient_array.tobytes() + lost.losses.tobytes()

    assert len(set(every_way(bits))) == 1


def test_a_text_that_is_cut_in_time_has_the_same_bits_too(every_way: Any) -> None:
    network, batch = LONG["a text that is cut in time, gru"]
    case = Case(network, np.float32, **batch)

    def bits() -> bytes:
        lost = case.found()
        return case.program.gradient_array.tobytes() + lost.losses.tobytes()

    assert len(set(every_way(bits, threads=(1, 3)))) == 1


@pytest.mark.parametrize("rule", [Rule("sgd", momentum=0.9, nesterov=True), Rule("rmsprop"), Rule("adamw", 0.1)])
def test_two_hundred_updates_end_in_the_same_weights(rule: Rule, every_way: Any) -> None:
    network = DROPPING["everything that is dropped"]

    def trained() -> bytes:
        case = Case(network, np.float32)
        optimiser = Optimiser(case.program, rule)
        for step in range(200):
            case.found(seed=5, step=step)
            optimiser.apply(0.01)
        return case.program.parameters.tobytes()

    assert len(set(every_way(trained))) == 1


def test_the_loss_of_a_sequence_is_the_same_alone() -> None:
    case = Case(NETWORKS["tagger"], np.float32)
    together = case.found().losses
    for index in range(len(case.batch)):
        rows = slice(int(case.batch.offsets[index]), int(case.batch.offsets[index + 1]))
        alone = case.program.gradient(case.batch.select(np.array([index])), case.loss.alone(index, rows))
        assert alone.losses.tobytes() == together[index : index + 1].tobytes()


@pytest.mark.parametrize(
    "name", ["numbers beside the words", "words and a wide node", "numbers beside, and a wide node"]
)
def test_what_comes_with_a_text_goes_where_the_text_goes(name: str) -> None:
    """Alone and in another order, a text gives the bits that it gives in the batch."""
    case = Case(NETWORKS[name], np.float32)
    together = case.program(case.batch)
    order = np.random.default_rng(3).permutation(len(case.batch))
    assert case.program(case.batch.select(order)).tobytes() == together[order].tobytes()
    for index in range(len(case.batch)):
        assert case.program(case.batch.select([index])).tobytes() == together[index].tobytes()


DOCUMENTS = NETWORKS["numbers beside, and a wide node"]


@pytest.mark.parametrize(
    ("batch", "error", "told"),
    [
        (lambda d: d.tokens, ShapeError, "reads Documents"),
        (lambda d: Documents(d.tokens, d.beside), ShapeError, "features of each"),
        (lambda d: Documents(d.tokens, d.beside[:, :1].copy(), d.features), ShapeError, "beside"),
    ],
)
def test_documents_that_do_not_fit_are_refused_by_the_core_and_by_torch(
    batch: Any, error: type[Exception], told: str
) -> None:
    case = Case(DOCUMENTS)
    wrong = batch(case.batch)
    with pytest.raises(error, match=told):
        case.program(wrong)
    with pytest.raises(error, match=r"Documents|beside|features"):
        nn.build(DOCUMENTS).to(torch.float64)(wrong)


@pytest.mark.parametrize("outside", [-1, 25])
def test_a_feature_that_the_matrix_has_no_row_for_is_named(outside: int) -> None:
    case = Case(DOCUMENTS)
    features = case.batch.features
    columns = np.asarray(features.columns.values).copy()
    columns[3] = outside
    wrong = Documents(
        case.batch.tokens, case.batch.beside, Sparse(features.columns.with_values(columns), features.values)
    )
    for refuses in (case.program, nn.build(DOCUMENTS).to(torch.float64)):
        with pytest.raises(InputError, match=f"feature id {outside} at position 3 is out of range; .*has 25 ids"):
            refuses(wrong)


# --- optimisers -----------------------------------------------------------------------------------------------------

RULES: list[tuple[Rule, Any]] = [
    (Rule("sgd"), lambda groups: torch.optim.SGD(groups, lr=0.1)),
    (Rule("sgd", 0.01, 0.9), lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=0.01)),
    (Rule("sgd", 0.0, 0.9, True), lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)),
    (Rule("rmsprop"), lambda groups: torch.optim.RMSprop(groups, lr=0.01)),
    (Rule("adam", 0.01), lambda groups: torch.optim.Adam(groups, lr=0.01, weight_decay=0.01)),
    (Rule("adamw", 0.1), lambda groups: torch.optim.AdamW(groups, lr=0.01, weight_decay=0.1)),
]


@pytest.mark.parametrize(("rule", "theirs"), RULES, ids=lambda value: getattr(value, "name", ""))
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_an_optimiser_moves_as_that_of_torch_over_a_hundred_steps(
    rule: Rule, theirs: Any, dtype: Any, tolerance: float
) -> None:
    case = Case(NETWORKS["all ways of pooling"], dtype)
    ours, weights = Optimiser(case.program, rule), case.program.weights
    copies = {name: torch.nn.Parameter(torch.from_numpy(array.copy())) for name, array in weights.items()}
    matrices = [copy for copy in copies.values() if copy.ndim > 1]
    vectors = [copy for copy in copies.values() if copy.ndim == 1]
    other = theirs([{"params": matrices}, {"params": vectors, "weight_decay": 0.0}])
    for _ in range(100):
        case.found()
        for name, copy in copies.items():
            copy.grad = torch.from_numpy(case.program.gradients[name].copy())
        ours.apply(other.param_groups[0]["lr"])
        other.step()
    for name, copy in copies.items():
        np.testing.assert_allclose(weights[name], copy.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("rule", [rule for rule, _ in RULES], ids=lambda rule: rule.name)
def test_what_is_frozen_keeps_its_bits_and_the_rest_moves_as_if_its_gradient_were_all_there_is(rule: Rule) -> None:
    held, free = (Case(NETWORKS["tagger"], np.float32) for _ in range(2))
    first, *others = held.program.weights
    before = held.program.weights[first].tobytes()
    ours, theirs = Optimiser(held.program, rule, frozen=[first]), Optimiser(free.program, rule)
    for _ in range(3):
        held.found()
        free.found()
        assert ours.lengths() == {name: length for name, length in theirs.lengths().items() if name != first}
        ours.apply(0.01)
        theirs.apply(0.01)
        free.program.weights[first][...] = held.program.weights[first]
    assert held.program.weights[first].tobytes() == before
    for name in others:
        assert held.program.weights[name].tobytes() == free.program.weights[name].tobytes()


def test_only_the_first_parameters_can_be_frozen() -> None:
    case = Case(NETWORKS["tagger"], np.float32)
    with pytest.raises(InputError, match="only the first parameters"):
        Optimiser(case.program, Rule(), frozen=[list(case.program.weights)[1]])
    with pytest.raises(InputError, match="absent came"):
        Optimiser(case.program, Rule(), frozen=["absent"])


# --- odd batches ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [[], [0, 0, 0], [1]])
def test_batches_with_next_to_nothing_have_a_gradient(lengths: list[int]) -> None:
    network = NETWORKS["all ways of pooling"]
    program = Program(network, weights_of(network))
    batch = Ragged(np.zeros(sum(lengths), np.int64), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
    lost = program.gradient(batch, CrossEntropy(np.zeros(len(lengths), np.int64), np.ones(len(lengths))))
    assert len(lost.losses) == len(program(batch)) == len(lengths)
    assert np.isfinite(program.gradient_array).all()
    assert bool(np.any(program.gradients["3.bias"])) is bool(lengths)


def test_a_table_has_the_gradient_of_the_last_batch_alone() -> None:
    network = NETWORKS["every step"]
    program = Program(network, weights_of(network))
    for token in (3, 7):
        program.gradient(Ragged(np.array([token]), np.array([0, 1])), CrossEntropy(np.array([1]), np.ones(1)))
    assert np.flatnonzero(np.abs(program.gradients["0.weight"]).sum(axis=1)).tolist() == [7]


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (
            {"tokens": np.array([1, 40, 2])},
            InputError,
            "token id 40 at position 1 is out of range; the vocabulary has 40 ids",
        ),
        ({"tokens": np.array([1, -1, 2])}, InputError, "token id -1 at position 1"),
        ({"tokens": np.array([1, 2, 2**40])}, InputError, "token id 1099511627776 at position 2"),
        ({"tokens": np.array([-(2**40), 2, 3])}, InputError, "token id -1099511627776 at position 0"),
        ({"tokens": np.ones(3)}, ShapeError, r"token ids \[N\], int32 or int64; got float64 \[3\]"),
        ({"tokens": np.ones((3, 2), np.int64)}, ShapeError, r"got int64 \[3, 2\]"),
        ({"labels": np.array([0, 3])}, InputError, r"labels\[1\] is 3; it must be from 0 to 2"),
        ({"labels": np.array([0])}, ShapeError, r"labels are int64 \[1\]; int64 \[2\] is wanted"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Array], error: type[Exception], told: str) -> None:
    network = NETWORKS["all ways of pooling"]
    program = Program(network, weights_of(network))
    batch = Ragged(change.get("tokens", np.array([1, 2, 3])), np.array([0, 2, 3]))
    with pytest.raises(error, match=told):
        program.gradient(batch, CrossEntropy(change.get("labels", np.array([0, 1])), np.ones(2)))


def test_weights_of_two_types_are_refused() -> None:
    network = NETWORKS["every step"]
    with pytest.raises(ShapeError, match="all be float32, or all float64"):
        Program(network, weights_of(network) | {"0.weight": np.zeros((40, 6), np.float32)})


def written(array: Array, value: int) -> Array:
    array[1] = value
    return array


@pytest.mark.parametrize(
    ("harm", "error", "told"),
    [
        (lambda w: written(w.tokens.offsets, 10**9), ShapeError, "offsets must ascend"),
        (lambda w: written(w.spellings.offsets, 10**9), ShapeError, "offsets must ascend"),
        (lambda w: written(w.spelling, 10**7), ShapeError, "spelling runs from 0 to 10000000"),
        (lambda w: written(w.spelling, -1), ShapeError, "spelling runs from -1"),
        (lambda w: written(w.spellings.values, 15), InputError, "character id 15 at position . .*has 15 ids"),
        (lambda w: written(w.spellings.values, -1), InputError, "character id -1 at position ."),
    ],
)
def test_what_was_written_to_after_it_was_checked_is_refused(harm: Any, error: type[Exception], told: str) -> None:
    network = NETWORKS["tagger that spells"]
    program = Program(network, weights_of(network))
    words = Words(
        Ragged(np.array([1, 2, 3]), np.array([0, 2, 3])),
        np.array([0, 1, 1]),
        Ragged(np.array([1, 2, 3]), np.array([0, 2, 3])),
    )
    before = program(words)
    harm(words)
    with pytest.raises(error, match=told):
        program(words)
    assert before.shape == (3, 4)


@pytest.mark.parametrize(
    ("values", "told"),
    [(np.ones(3, np.float32), "spellings holds float32"), (np.ones((3, 2), np.int32), r"spellings is \[3, 2\]")],
)
def test_spellings_that_are_no_ids_are_refused(values: Array, told: str) -> None:
    network = NETWORKS["tagger that spells"]
    spellings = Ragged(values, np.array([0, 2, 3]))
    words = Words(Ragged(np.array([1, 2, 3]), np.array([0, 2, 3])), np.array([0, 1, 1]), spellings)
    with pytest.raises(ShapeError, match=told):
        Program(network, weights_of(network))(words)
