"""Networks that branch in any way: all who know them agree, and nothing depends on who runs them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from programs import batch_of, weights_of
from tidegate import kernels, nn
from tidegate.cells import CELLS
from tidegate.engine import CrossEntropy, Program
from tidegate.network import Dense, Dropout, Embed, Join, Network, Node, Pool, Recurrent
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

MODES = ("last", "first", "max", "mean")


class Growing:
    """A network in the making: what its nodes hand on, by name."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.nodes: list[Node] = []
        self.widths: dict[str, int] = {}
        self.pooled: set[str] = set()
        self.layers: set[str] = set()
        self.unread: set[str] = set()

    def add(self, node: Node, width: int, *, pools: bool = False) -> None:
        """Put a node at the end; what it reads has been read."""
        assert node.name is not None
        self.nodes.append(node)
        self.widths[node.name] = width
        self.unread = self.unread - set(node.named) | {node.name}
        if isinstance(node, Recurrent):
            self.layers.add(node.name)
        if pools or any(name in self.pooled for name in node.named):
            self.pooled.add(node.name)

    def grow(self, name: str) -> None:
        """Add a node of a kind that fits some earlier one."""
        read = self.draw(st.sampled_from(sorted(self.widths)))
        width, own = self.widths[read], {"name": name, "reads": read}
        kinds = ["dense", "dropout", "join", *([] if read in self.pooled else ["recurrent", "recurrent", "pool"])]
        match self.draw(st.sampled_from(kinds)):
            case "dense":
                activation = self.draw(st.sampled_from([None, "relu", "tanh", "sigmoid"]))
                self.add(Dense(in_features=width, out_features=3, activation=activation, **own), 3)
            case "dropout":
                self.add(Dropout(p=0.3, **own), width)
            case "recurrent":
                both = self.draw(st.booleans())
                merge: Any = self.draw(st.sampled_from(["concat", "sum", "mul", "ave"])) if both else "concat"
                layer = Recurrent(
                    cell=self.draw(st.sampled_from(sorted(CELLS))), input_size=width, hidden_size=3, bidirectional=both,
                    merge=merge, num_layers=self.draw(st.integers(1, 2)), reverse=not both and self.draw(st.booleans()),
                    bias=self.draw(st.booleans()), **own,
                )  # fmt: skip
                self.add(layer, layer.output_size)
            case "pool":
                modes = MODES if read in self.layers else MODES[1:]
                chosen = tuple(self.draw(st.lists(st.sampled_from(modes), min_size=1, max_size=3, unique=True)))
                self.add(Pool(modes=chosen, **own), width * len(chosen), pools=True)
            case "join":
                self.join(name, {read, self.draw(st.sampled_from(sorted(self.like(read))))})

    def like(self, name: str) -> set[str]:
        """Find what can stand beside an output, itself included."""
        return self.pooled if name in self.pooled else self.widths.keys() - self.pooled

    def join(self, name: str, parts: set[str]) -> None:
        if len(parts) > 1:
            order = tuple(self.draw(st.permutations(sorted(parts))))
            self.add(Join(name=name, reads=order), sum(self.widths[part] for part in parts))

    def close(self) -> Network:
        """Let everything that nobody read end in one output."""
        if self.pooled:
            for index, left in enumerate(sorted(self.unread - self.pooled)):
                self.add(Pool(modes=("mean",), reads=left, name=f"pooled{index}"), self.widths[left], pools=True)
        self.join("all", self.unread - {"input"})
        last = self.nodes[-1].name
        assert last is not None
        return Network.of(*self.nodes, Dense(in_features=self.widths[last], out_features=3))


@st.composite
def networks(draw: Any) -> Network:
    """Draw a network in which any node may read any earlier one that fits."""
    growing = Growing(draw)
    if draw(st.booleans()):
        growing.add(Embed(vocabulary_size=40, size=4, name="words"), 4)
    else:
        growing.widths["input"] = 4
        growing.add(Dense(in_features=4, out_features=3, name="words", reads="input"), 3)
    for index in range(draw(st.integers(1, 8))):
        growing.grow(f"n{index}")
    return growing.close()


class Case:
    def __init__(self, network: Network, dtype: Any = np.float64) -> None:
        self.batch: Any = batch_of(network, dtype, size=17, longest=30)
        self.program = Program(network, weights_of(network, dtype))
        rng, rows = np.random.default_rng(2), len(self.batch) if network.pools else int(self.batch.offsets[-1])
        self.weight = rng.uniform(0.5, 2.0, len(self.batch)) / len(self.batch)
        self.labels = rng.integers(0, 3, rows)
        self.loss = CrossEntropy(self.labels, self.weight)

    def found(self) -> bytes:
        lost = self.program.gradient(self.batch, self.loss, seed=4, step=7)
        return self.program.gradient_array.tobytes() + lost.losses.tobytes()


def by_autograd(network: Network, case: Case) -> dict[str, Any]:
    module = nn.build(network).to(torch.float64).eval()
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in case.program.weights.items()})
    out = module(nn.to_torch(case.batch))
    rows = out if isinstance(out, Tensor) else out.values
    each = torch.nn.functional.cross_entropy(rows, torch.from_numpy(case.labels), reduction="none")
    lengths = torch.ones(len(case.batch)) if network.pools else torch.from_numpy(case.batch.lengths.astype(float))
    loss: Any = (each * torch.from_numpy(case.weight).repeat_interleave(lengths.to(torch.int64))).sum()
    loss.backward()
    return {
        name: np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
        for name, parameter in module.named_parameters()
    }


def without_dropout(network: Network) -> Network:
    """Keep the masks out of what is compared with torch, which draws its own."""
    return Network.of(*(n.model_copy(update={"p": 0.0}) if isinstance(n, Dropout) else n for n in network.nodes))


@settings(max_examples=60)
@given(networks())
def test_the_gradient_is_that_of_autograd(network: Network) -> None:
    plain = without_dropout(network)
    case = Case(plain)
    case.found()
    wanted = by_autograd(plain, case)
    largest = max(np.abs(array).max() for array in wanted.values())
    for name, array in case.program.gradients.items():
        np.testing.assert_allclose(array, wanted[name], rtol=1e-9, atol=1e-11 * max(largest, 1), err_msg=name)


@settings(max_examples=20)
@given(networks(), st.integers(0, 2**31))
def test_the_gradient_is_the_slope_where_masks_are_drawn(network: Network, seed: int) -> None:
    case = Case(network)
    case.found()
    gradient, parameters = case.program.gradient_array.copy(), case.program.parameters
    way = np.random.default_rng(seed).standard_normal(len(parameters))
    before, lost = parameters.copy(), []
    for away in (1e-8, -1e-8):  # so near that hardly any unit of a rnn_relu begins or ends meanwhile
        parameters[:] = before + away * way
        lost.append(case.program.gradient(case.batch, case.loss, seed=4, step=7).total)
    slope = float(gradient @ way)
    assert (lost[0] - lost[1]) / 2e-8 == pytest.approx(slope, rel=1e-4, abs=1e-6 * max(1.0, np.abs(gradient).sum()))


@pytest.fixture(scope="module")
def every_way() -> Iterator[Any]:
    active, before = kernels.active_isa(), kernels.explicit_num_threads()

    def ways(call: Any) -> Iterator[Any]:
        for isa in kernels.available_isas():
            kernels.use_isa(isa)
            for threads in (1, 3):
                kernels.set_num_threads(threads)
                yield call()

    yield ways
    kernels.use_isa(active)
    kernels.set_num_threads(before)


@settings(max_examples=20)
@given(networks())
def test_threads_instruction_sets_and_whoever_runs_it_change_no_bit(every_way: Any, network: Network) -> None:
    case = Case(network, np.float32)
    executor = Executor(network, dict(case.program.weights))

    def bits() -> bytes:
        answered = executor(case.batch).tobytes()
        assert answered == case.program(case.batch).tobytes() == executor.record(case.batch).output.tobytes()
        return case.found() + answered

    assert len(set(every_way(bits))) == 1


@settings(max_examples=20)
@given(networks())
def test_a_sequence_alone_gives_what_it_gives_in_the_batch(network: Network) -> None:
    executor, batch = Executor(network, weights_of(network, np.float32)), batch_of(network, np.float32, size=7)
    together = Ragged(executor(batch), np.arange(len(batch) + 1) if network.pools else batch.offsets)
    for index in range(len(batch)):
        assert executor(batch.select(np.array([index]))).tobytes() == np.asarray(together[index]).tobytes()


@settings(max_examples=40)
@given(networks())
def test_a_network_comes_back_from_its_text(network: Network) -> None:
    again = Network.from_json(network.to_json())
    assert again == network
    assert (again.sources, again.gives) == (network.sources, network.gives)
