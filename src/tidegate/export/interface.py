"""What surrounds a network in an exported graph: its inputs, its outputs, and the same answers from our own runtime.

Knows no task by name. Does not need the package onnx: a graph is handed in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.cells import CELLS
from tidegate.documents import Documents, Sparse
from tidegate.export.drawing import draw_lengths, draw_sequences
from tidegate.export.nodes import Flow, NodeWriter, State, Steps, steps_of
from tidegate.export.spelling import spelled, write_spelled
from tidegate.kernels import sigmoid, softmax
from tidegate.network import Crf, Embed, Network, Recurrent, Spell
from tidegate.ragged import Ragged
from tidegate.runtime import Executor
from tidegate.words import Words

if TYPE_CHECKING:
    from tidegate.export.graph import Graph

Array: TypeAlias = npt.NDArray[Any]
Arrays: TypeAlias = dict[str, Array]
Json: TypeAlias = dict[str, Any]
StateInputs = Literal["optional", "required", "off"]
"""Whether the states that a network begins with are inputs, and whether these may be left out."""
Run: TypeAlias = Callable[[str, Mapping[str, Array]], Arrays]
"""Runs a graph on inputs that have a name, and returns its outputs."""
Ending = Literal["rows", "classes", "labels", "next"]
"""What is made of the last node: its rows as they are; probabilities of classes, or of labels of which several may be
right; those of the token that comes next."""


@dataclass(frozen=True)
class Trial:
    """Hold what a graph answered and what it should have.

    name: what was asked.
    found, wanted: the outputs.
    sizes: what differences are measured by, by output.
    rounding: tells `Interface.rounding`, where it is asked.
    """

    name: str
    found: Mapping[str, Array]
    wanted: Mapping[str, Array]
    sizes: Mapping[str, Array]
    rounding: Callable[[], Mapping[str, float]]


class Interface(ABC):
    """Write the graph of one model, and say what it must answer.

    Attributes:
        network: what is exported.
        weights: its arrays, float32.
        about: what goes into the metadata of the file besides, such as labels and a tokenizer.
    """

    network: Network
    weights: Mapping[str, Array]
    about: Json

    @abstractmethod
    def write(self, graph: Graph, states: StateInputs) -> None:
        """Write inputs, nodes and outputs."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, states: StateInputs) -> Iterator[tuple[str, Arrays]]:
        """Draw the cases that a graph must prove itself on: a name, and the inputs."""

    @abstractmethod
    def expect(self, inputs: Mapping[str, Array], states: StateInputs) -> Arrays:
        """Compute the outputs of the graph for these inputs with our own runtime."""

    def trials(self, rng: np.random.Generator, states: StateInputs, run: Run) -> Iterator[Trial]:
        """Run a graph on all that it must prove itself on."""
        for name, inputs in self.draw(rng, states):
            found, wanted = run(name, inputs), self.expect(inputs, states)
            yield Trial(name, found, wanted, self.sizes(inputs, wanted), partial(self.rounding, inputs))

    def sizes(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Give what differences are measured by: the size of a number, but 1 at least."""
        return {name: np.maximum(np.abs(array), 1.0) for name, array in outputs.items()}

    def rounding(self, inputs: Mapping[str, Array]) -> dict[str, float]:
        """Tell by how much our own answers in float32 differ from those in float64 at most, by output; {} if unknown.

        There are models that make much of little, such as a SimpleRNN with large weights: of these no two runtimes give
        the same answers.
        """
        return {}


@dataclass(frozen=True, eq=False)
class SequenceInterface(Interface):
    """Let a graph read a padded batch of sequences [batch, time] and their lengths.

    Inputs are `sequence_lens` [batch] int32 and, by what the network reads, `tokens` [batch, time] int64 or `features`
    [batch, time, C] float32; where words are spelled, also `spelling` [batch, time], which says which row of
    `characters` [spellings, letters] a word has, and `character_lens` [spellings]; where numbers stand beside the
    tokens, `beside` [batch, time, D] float32; and where features of whole sequences are read, `feature_ids` and
    `feature_values` [batch, entries], as many of each as `feature_lens` [batch] int32 says. What lies past a length
    has no effect, be it no number at all. Where several steps become one frame, `output_lens` [batch] says how many
    there are of each. Each recurrent node that reads forwards may take the state that it begins
    with, `h0_<index>` and for an lstm `c0_<index>`, [layers, batch, H], and gives the one that it ends with,
    `hn_<index>` and `cn_<index>`.

    Args:
        network: what is exported.
        weights: its arrays.
        about: what is written besides.
        ending: what is made of the last node.
        scaling: mean and deviation [C] by which features are brought to the scale of the network.
        penalties: what to add to the transitions, the starts and the ends of a Crf node.
        spells: whether the graph also tells what the most probable symbol of each frame spells, of a network that ends
            with a Ctc node; see `spelling`.
    """

    network: Network
    weights: Mapping[str, Array]
    about: Json = field(default_factory=dict)
    ending: Ending = "rows"
    scaling: tuple[Array, Array] | None = None
    penalties: tuple[Array, Array, Array] | None = None
    spells: bool = False

    def write(self, graph: Graph, states: StateInputs) -> None:
        """Write inputs, nodes and outputs."""
        writer = NodeWriter(graph, self.weights)
        flow, lengths, time = self._write_inputs(graph, writer)
        starts = {} if states == "off" else self._write_states(graph, lengths, required=states == "required")
        flow, ends = writer.write(self.network.nodes, flow, starts)
        self._write_answers(graph, flow, time)
        for index in starts:
            hidden, cells = zip(*ends[index], strict=True)
            for kind, parts in (("h", hidden), ("c", cells)):
                if parts[0] is not None:
                    stacked = graph.add("Concat", *parts, axis=0)
                    graph.output(f"{kind}n_{index}", stacked, np.float32, self._state_shape(index))

    def draw(self, rng: np.random.Generator, states: StateInputs) -> Iterator[tuple[str, Arrays]]:
        """Draw batches of several sizes and lengths, with garbage in the padding; some begin with states."""
        width = 1 if self.network.pools else self.network.output_size * self._channels
        for name, lengths, time in draw_lengths(rng, width=width):
            inputs = draw_sequences(rng, self.network, lengths, time, self.scaling)
            carries = states != "off" and bool(self._carrying())
            if states != "required" or not carries:
                yield name, inputs
            if carries:
                yield f"{name}, from states", inputs | self._drawn_states(rng, len(lengths))

    def expect(self, inputs: Mapping[str, Array], states: StateInputs) -> Arrays:
        """Compute the outputs of the graph for these inputs with our own runtime."""
        answers, ends = self._expected(inputs, self.weights)
        return answers if states == "off" else answers | ends

    def trials(self, rng: np.random.Generator, states: StateInputs, run: Run) -> Iterator[Trial]:
        """Run a graph on all that it must prove itself on; what it spells is what the scores that it gave spell."""
        for name, inputs in self.draw(rng, states):
            found, wanted = run(name, inputs), self.expect(inputs, states)
            if self.spells:
                wanted |= spelled(found["output"], self.network.steps(inputs["sequence_lens"].astype(np.int64)))
            yield Trial(name, found, wanted, self.sizes(inputs, wanted), partial(self.rounding, inputs))

    def rounding(self, inputs: Mapping[str, Array]) -> dict[str, float]:
        """Tell by how much our own answers in float32 differ from those in float64 at most, by output.

        So do those with weights that are a little off, since a model that makes much of little may have luck once.
        """
        rng = np.random.default_rng(0)
        wide = {name: array.astype(np.float64) for name, array in self.weights.items()}
        tried = (wide, self.weights, *(nudged(self.weights, rng) for _ in range(3)))
        exact, *near = (answers | ends for answers, ends in (self._expected(inputs, weights) for weights in tried))
        return {
            name: max(float(np.abs(ours[name] - array).max(initial=0.0)) for ours in near)
            for name, array in exact.items()
        }

    def _expected(self, inputs: Mapping[str, Array], weights: Mapping[str, Array]) -> tuple[Arrays, Arrays]:
        """Compute the answers, and the states that recurrent nodes end with, in the type of the weights."""
        executor = Executor(self.network, weights)
        names = {f"{index}.{kind}": f"{kind}{{}}_{index}" for index in self._carrying() for kind in "hc"}
        given = {own: inputs[name.format(0)] for own, name in names.items() if name.format(0) in inputs}
        x = self._read(inputs)
        if isinstance(x, Ragged) and x.values.dtype.kind == "f":
            x = x.with_values(x.values.astype(executor.dtype))
        if isinstance(x, Documents):
            x = x.astype(executor.dtype)
        rows, ends = executor.run(x, {name: state.astype(executor.dtype) for name, state in given.items()})
        states = {name.format("n"): ends[own] for own, name in names.items() if own in ends}
        return self._answers(rows, inputs["sequence_lens"].astype(np.int64), self._time(inputs)), states

    # --- inputs

    def _write_inputs(self, graph: Graph, writer: NodeWriter) -> tuple[Flow, str, str]:
        """Write what is read; return what enters the network, the lengths [B], and the number of steps [1]."""
        first = self.network.nodes[0]
        if not (self.network.reads_tokens or isinstance(first, Spell)):
            features = graph.input("features", np.float32, ["batch", "time", self.network.input_size])
            lengths = graph.input("sequence_lens", np.int32, ["batch"])
            rows, steps, time = with_time_first(graph, features, lengths, width=self.network.input_size)
            rows = graph.add("Where", steps.mask, rows, graph.constant(0.0, np.float32))
            return Flow(rows if self.scaling is None else scaled(graph, rows, *self.scaling), steps), lengths, time
        tokens = graph.input("tokens", np.int64, ["batch", "time"])
        lengths = graph.input("sequence_lens", np.int32, ["batch"])
        words, steps, time = read_ids(graph, tokens, lengths)
        if isinstance(first, Spell):
            spelling, _, _ = read_ids(graph, graph.input("spelling", np.int64, ["batch", "time"]), lengths)
            characters = graph.input("characters", np.int64, ["spellings", "letters"])
            letters, inner, _ = read_ids(graph, characters, graph.input("character_lens", np.int32, ["spellings"]))
            words = writer.spell(first, words, spelling, Flow(letters, inner))
        beside, whole = _write_beside(graph, self.network, steps, lengths), _write_features(graph, self.network)
        return Flow(words, steps, beside=beside, features=whole), lengths, time

    def _write_states(self, graph: Graph, lengths: str, *, required: bool) -> dict[int, tuple[State, ...]]:
        """Write the states that recurrent nodes begin with: zeros, where they may be left out."""
        starts: dict[int, tuple[State, ...]] = {}
        count = graph.add("Mul", graph.size(lengths, 0), graph.integers(self._channels))
        for index, node in self._carrying().items():
            layers, _, size = shape = self._state_shape(index)
            both: list[list[str | None]] = []
            for kind in CELLS[node.cell].states:
                zeros = np.zeros((node.num_layers, 1, node.hidden_size), np.float32)
                free = shape if required else (layers, f"{shape[1]}_or_one", size)
                state = graph.input(f"{kind}0_{index}", np.float32, free, default=None if required else zeros)
                whole = graph.add("Expand", state, graph.shape(1, count, 1))
                both.append([graph.slice(whole, 0, layer, layer + 1) for layer in range(node.num_layers)])
            cells = both[1] if len(both) > 1 else [None] * node.num_layers
            starts[index] = tuple((str(h), c) for h, c in zip(both[0], cells, strict=True))
        return starts

    def _carrying(self) -> dict[int, Recurrent]:
        """Find the nodes whose state can be carried on: those that read from the first step to the last."""
        numbered = enumerate(self.network.nodes)
        inner = {index: node for index, node in numbered if isinstance(node, Recurrent)}
        return {index: node for index, node in inner.items() if not node.bidirectional and not node.reverse}

    def _state_shape(self, index: int) -> tuple[int, str, int]:
        node = self.network.nodes[index]
        assert isinstance(node, Recurrent)
        return node.num_layers, "batch" if self._channels == 1 else "sequences", node.hidden_size

    @property
    def _channels(self) -> int:
        """Count the sequences that each one becomes."""
        return self.network.gives[-1].channels

    def _drawn_states(self, rng: np.random.Generator, batch: int) -> Arrays:
        shapes = {
            f"{kind}0_{index}": (node.num_layers, batch * self._channels, node.hidden_size)
            for index, node in self._carrying().items()
            for kind in CELLS[node.cell].states
        }
        return {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in shapes.items()}

    def _read(self, inputs: Mapping[str, Array]) -> Ragged | Words | Documents:
        lengths = inputs["sequence_lens"]
        if "features" in inputs:
            x = Ragged.from_padded(inputs["features"], lengths)
            if self.scaling is not None:
                mean, deviation = self.scaling
                x = x.with_values(((x.values - mean) / deviation).astype(np.float32))
            return x
        tokens = Ragged.from_padded(inputs["tokens"], lengths)
        if self.network.reads_documents:
            return _documents(tokens, inputs)
        if "spelling" not in inputs:
            return tokens
        spelling = Ragged.from_padded(inputs["spelling"], lengths).values
        return Words(tokens, spelling, Ragged.from_padded(inputs["characters"], inputs["character_lens"]))

    # --- outputs

    def _write_answers(self, graph: Graph, flow: Flow, time: str) -> None:
        rows, sequences = flow.rows, "batch" if self._channels == 1 else "sequences"
        shape: list[str | int] = [sequences, self.network.output_size]
        stride = self.network.gives[-1].stride
        if stride > 1 and flow.steps is not None:
            rest = graph.add("Add", time, graph.integers(stride - 1))
            time = graph.add("Div", rest, graph.integers(stride))
            graph.output("output_lens", flow.steps.lengths, np.int32, [sequences])
        if flow.steps is not None:
            rows = graph.add("Where", flow.steps.mask, rows, graph.constant(0.0, np.float32))
            rows = graph.add("Transpose", rows, perm=[1, 0, 2])
            if self.spells:
                write_spelled(graph, rows)
            rows = rows if self._decoded else graph.slice(rows, 1, 0, time)
            shape.insert(1, self._decoded or ("time" if stride == 1 else "frames"))
        graph.output(self._answer, rows, np.float32, shape)
        if self.ending == "classes":
            graph.output("probabilities", graph.add("Softmax", rows, axis=-1), np.float32, shape)
        if self.ending == "labels":
            graph.output("probabilities", graph.add("Sigmoid", rows), np.float32, shape)
        if self.ending == "next":
            assert flow.steps is not None, "a language model has rows for each step"
            last = graph.add("Softmax", graph.add("GatherND", flow.rows, flow.steps.ends), axis=-1)
            last = graph.add("Where", flow.steps.some, last, graph.constant(0.0, np.float32))
            graph.output("probabilities", last, np.float32, [shape[0], shape[2]])
        for name, scores in self._paths().items():
            graph.output(name, graph.weight(f"{name}_scores", scores), np.float32, scores.shape)

    def _answers(self, rows: Array, lengths: Array, time: int) -> Arrays:
        """Bring the rows of the last node into the form of the outputs."""
        answers = {self._answer: rows}
        if self.network.gives[-1].stride > 1:
            lengths, time = self.network.steps(lengths), self.network.steps(time)
            answers["output_lens"] = np.repeat(lengths, self._channels).astype(np.int32)
        if not self.network.pools:
            answers[self._answer] = padded(rows, np.repeat(lengths, self._channels), time, self._decoded)
        if self.ending == "classes":
            answers["probabilities"] = softmax(rows)
        if self.ending == "labels":
            answers["probabilities"] = sigmoid(rows)
        if self.ending == "next":
            last = np.zeros((len(lengths), rows.shape[1]), rows.dtype)
            last[lengths > 0] = softmax(rows[np.cumsum(lengths)[lengths > 0] - 1])
            answers["probabilities"] = last
        return answers | self._paths()

    def _paths(self) -> Arrays:
        """Give the scores of paths of a Crf node; `transitions` are from the tag of the row to that of the column."""
        index = len(self.network.nodes) - 1
        if not isinstance(self.network.nodes[index], Crf):
            return {}
        named = zip(("transitions", "start", "end"), self.penalties or (0.0, 0.0, 0.0), strict=True)
        return {name: (self.weights[f"{index}.{name}"] + added).astype(np.float32) for name, added in named}

    @property
    def _answer(self) -> str:
        """Name the output that the last node is."""
        if isinstance(self.network.nodes[-1], Crf):
            return "emissions"
        return "output" if self.ending == "rows" else "logits"

    @property
    def _decoded(self) -> int:
        """Count the rows of each sequence where a Decode node made them; 0 where there is none."""
        return self.network.gives[-1].steps

    @staticmethod
    def _time(inputs: Mapping[str, Array]) -> int:
        return int(inputs["tokens" if "tokens" in inputs else "features"].shape[1])


def _write_beside(graph: Graph, network: Network, steps: Steps, lengths: str) -> str | None:
    """Write the numbers beside the tokens, [T, B, D], zero in the padding; None where there are none."""
    first = network.nodes[0]
    if not (isinstance(first, Embed) and first.beside):
        return None
    value = graph.input("beside", np.float32, ["batch", "time", first.beside])
    rows, _, _ = with_time_first(graph, value, lengths, width=first.beside)
    return graph.add("Where", steps.mask, rows, graph.constant(0.0, np.float32))


def _write_features(graph: Graph, network: Network) -> tuple[str, str] | None:
    """Write the features of whole sequences, [B, M] ids and values, and one of value zero, as there may be none."""
    if network.wide is None:
        return None
    ids = graph.input("feature_ids", np.int64, ["batch", "entries"])
    values = graph.input("feature_values", np.float32, ["batch", "entries"])
    counts = graph.unsqueeze(graph.cast(graph.input("feature_lens", np.int32, ["batch"]), np.int64), 1)
    zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
    place = graph.add("Range", zero, graph.add("Squeeze", graph.size(ids, 1)), one)  # [M]
    within = graph.add("Less", graph.unsqueeze(place, 0), counts)  # [B, M]
    alone = graph.shape(graph.size(ids, 0), 1)
    ids = graph.add("Concat", graph.add("Where", within, ids, zero), graph.zeros(alone, np.int64), axis=1)
    kept = graph.add("Where", within, values, graph.constant(0.0, np.float32))
    return ids, graph.add("Concat", kept, graph.zeros(alone, np.float32), axis=1)


def _documents(tokens: Ragged, inputs: Mapping[str, Array]) -> Documents:
    """Put together what a graph was given beside its tokens."""
    lengths, beside = inputs["sequence_lens"], np.zeros((len(tokens.values), 0), np.float32)
    if "beside" in inputs:
        beside = Ragged.from_padded(inputs["beside"], lengths).values
    if "feature_ids" not in inputs:
        return Documents(tokens, beside)
    counts = inputs["feature_lens"]
    columns = Ragged.from_padded(inputs["feature_ids"], counts)
    columns = columns.with_values(columns.values.astype(np.int32))
    return Documents(tokens, beside, Sparse(columns, Ragged.from_padded(inputs["feature_values"], counts).values))


def read_ids(graph: Graph, value: str, lengths: str) -> tuple[str, Steps, str]:
    """Return ids [B, T] as [T, B], zero in the padding, which steps there are, and their number."""
    ids, steps, time = with_time_first(graph, value, lengths)
    return graph.add("Where", steps.within, ids, graph.constant(0, np.int64)), steps, time


def with_time_first(graph: Graph, value: str, lengths: str, *, width: int = 0) -> tuple[str, Steps, str]:
    """Turn ids [B, T], or features [B, T, width], and add a step where there is none, which no runtime is asked for.

    Found in ONNX Runtime 1.31, November 2026: recurrent nodes without a step end the process.
    """
    axes, rest, dtype = ([1, 0, 2], [width], np.float32) if width else ([1, 0], [], np.int64)
    time, one = graph.size(value, 1), graph.integers(1)
    lacking = graph.add("Max", graph.add("Sub", one, time), graph.integers(0))
    blank = graph.zeros(graph.shape(lacking, graph.size(value, 0), *rest), dtype)
    rows = graph.add("Concat", graph.add("Transpose", value, perm=axes), blank, axis=0)
    return rows, steps_of(graph, lengths, graph.add("Max", time, one)), time


def scaled(graph: Graph, rows: str, mean: Array, deviation: Array) -> str:
    """Bring features to the scale of the network, in float64, since this is where digits get lost."""
    wide = graph.add("Sub", graph.cast(rows, np.float64), graph.constant(mean, np.float64))
    return graph.cast(graph.add("Div", wide, graph.constant(deviation, np.float64)), np.float32)


def nudged(weights: Mapping[str, Array], rng: np.random.Generator) -> Arrays:
    """Move each weight by a few units in its last place."""
    around = (rng.uniform(1 - 2**-22, 1 + 2**-22, array.shape) for array in weights.values())
    return {
        name: (array * factor).astype(np.float32) for (name, array), factor in zip(weights.items(), around, strict=True)
    }


def padded(rows: Array, lengths: Array, time: int, decoded: int) -> Array:
    """Lay out rows [N, F] as [B, time, F], zeros past the lengths, or as [B, decoded, F]."""
    if decoded:
        return rows.reshape(-1, decoded, rows.shape[1])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    out = np.zeros((len(lengths), time, rows.shape[1]), rows.dtype)
    filled, _ = Ragged(rows, offsets).to_padded()
    out[:, : filled.shape[1]] = filled
    return out
