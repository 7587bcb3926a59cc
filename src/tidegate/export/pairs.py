"""What surrounds a network that reads pairs in exported graphs: its source, a step of its target, a whole target.

Knows ids, not what they stand for. Does not need the package onnx: a graph is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np

from tidegate.cells import CELLS
from tidegate.errors import InputError
from tidegate.export.drawing import draw_lengths
from tidegate.export.interface import (
    Array,
    Arrays,
    Interface,
    Json,
    Run,
    StateInputs,
    Trial,
    nudged,
    padded,
    read_ids,
    with_time_first,
)
from tidegate.export.nodes import Flow, State
from tidegate.export.sides import Memory, Sides, SideWriter, States, read_alone
from tidegate.network import Attend, Network
from tidegate.nodes.part import sources_of
from tidegate.ragged import Ragged
from tidegate.runtime import Decoder, Executor

if TYPE_CHECKING:
    from tidegate.export.graph import Graph

PairsPart: TypeAlias = Literal["greedy", "encode", "step"]
"""What of a network that reads pairs a graph holds: the search of whole targets by the most probable token of each
step, the reading of sources, or one step of targets."""

_TOKENS: Final = 4  # of a target, on which a step proves itself
_NEAR: Final = 1e-3  # scores that are nearer, as a share of their size, are told apart by no two runtimes alike
_ROOM: Final = 8  # how many times as far as our answers are from those in float64 others may be


@dataclass(frozen=True)
class Greedy:
    """Say how targets begin and end.

    start, end: the ids that begin and end every target; `end` stands behind every source, too.
    barred: ids that are never written.
    times, more: a target has so many times the tokens of its source, without its end, and so many more, at most.
    """

    start: int
    end: int
    barred: tuple[int, ...] = ()
    times: int = 2
    more: int = 10


@dataclass(frozen=True, eq=False)
class PairsInterface(Interface):
    """Let a graph read sources, take targets of them on by a token, or find them.

    `encode` reads `tokens` [batch, time] int64 and `sequence_lens` [batch] int32, and gives what is attended to,
    `memory_<index>` [batch, time, F] by the index of the node that made it, and the states that targets begin with,
    `h0_<index>` and for an lstm `c0_<index>`, [layers, batch, H].

    `step` reads all that, beside `sequence_lens` and `tokens` [batch], with which the targets go on; it gives `logits`
    [batch, V] of the next tokens, the states after, `hn_<index>` and `cn_<index>`, and, by the index of each node that
    attends, how much it read of each token of its source, `attention_<index>` [batch, time].

    `greedy` reads what `encode` does, and gives `ids` [batch, steps] int64, zero past `output_lens` [batch] int32,
    without the end; whether each came to its end, `complete` [batch]; and `log_probability` [batch] float32, in nats.

    Args:
        network: what is exported.
        weights: its arrays.
        about: what is written besides.
        part: which graph.
        greedy: how targets begin and end; None where nobody knows, and none can be found.
    """

    network: Network
    weights: Mapping[str, Array]
    about: Json = field(default_factory=dict)
    part: PairsPart = "greedy"
    greedy: Greedy | None = None

    def write(self, graph: Graph, states: StateInputs) -> None:
        """Write inputs, nodes and outputs. Raises InputError where the network cannot go token by token."""
        Decoder(self.network, self.weights, 1)
        writer = SideWriter(graph, self.network, self.weights)
        if self.part == "step":
            self._write_step(graph, writer)
            return
        tokens = graph.input("tokens", np.int64, ["batch", "time"])
        lengths = graph.input("sequence_lens", np.int32, ["batch"])
        ids, steps, time = read_ids(graph, tokens, lengths)
        memories, starts = writer.encode(Flow(ids, steps), graph.size(lengths, 0))
        if self.part == "greedy":
            self._write_search(graph, writer, memories, starts, lengths)
            return
        for index, flow in memories.items():
            rows = graph.add("Where", steps.mask, flow.rows, graph.constant(0.0, np.float32))
            rows = graph.slice(graph.add("Transpose", rows, perm=[1, 0, 2]), 1, 0, time)
            graph.output(f"memory_{index}", rows, np.float32, ["batch", "time", self._width(index)])
        self._write_states(graph, starts, "0")

    def draw(self, rng: np.random.Generator, states: StateInputs) -> Iterator[tuple[str, Arrays]]:
        """Draw sources of several sizes and lengths, with garbage in the padding."""
        for name, lengths, time in draw_lengths(rng, width=self.network.output_size):
            ids = rng.integers(0, self.network.input_size, (len(lengths), time))
            ids[np.arange(time) >= lengths[:, None]] = -1
            yield name, {"tokens": ids, "sequence_lens": lengths.astype(np.int32)}

    def expect(self, inputs: Mapping[str, Array], states: StateInputs) -> Arrays:
        """Compute what `encode` gives for sources with our own runtime."""
        return self._encoded(inputs, self.weights)

    def rounding(self, inputs: Mapping[str, Array]) -> dict[str, float]:
        """Tell by how much what `encode` gives in float32 differs from that in float64 at most, by output."""
        return self._apart(partial(self._encoded, inputs))

    def trials(self, rng: np.random.Generator, states: StateInputs, run: Run) -> Iterator[Trial]:
        """Run a graph beside our own runtime."""
        match self.part:
            case "encode":
                yield from super().trials(rng, states, run)
            case "step":
                yield from (self._try_steps(name, drawn, rng, run) for name, drawn in self.draw(rng, states))
            case "greedy":
                yield from (self._try_search(name, drawn, run) for name, drawn in self.draw(rng, states))

    # --- graphs

    def _write_step(self, graph: Graph, writer: SideWriter) -> None:
        tokens = graph.input("tokens", np.int64, ["batch"])
        memories = dict[int, Flow]()
        lengths = graph.input("sequence_lens", np.int32, ["batch"])
        time = ""
        for index in Sides.of(self.network).memories:
            width = self._width(index)
            memory = graph.input(f"memory_{index}", np.float32, ["batch", "time", width])
            rows, steps, time = with_time_first(graph, memory, lengths, width=width)
            memories[index] = Flow(rows, steps)
        starts = dict[int, tuple[State, ...]]()
        for index, node in Sides.of(self.network).recurrent.items():
            shape: list[str | int] = [node.num_layers, "batch", node.hidden_size]
            given = [graph.input(f"{kind}0_{index}", np.float32, shape) for kind in CELLS[node.cell].states]
            parts = [[graph.slice(state, 0, at, at + 1) for at in range(node.num_layers)] for state in given]
            cells = parts[1] if len(parts) > 1 else [None] * node.num_layers
            starts[index] = tuple(zip(parts[0], cells, strict=True))
        scores, ends, read = writer.step(tokens, starts, writer.remember(memories))
        graph.output("logits", scores, np.float32, ["batch", self.network.output_size])
        self._write_states(graph, ends, "n")
        for index, shares in read.items():
            graph.output(f"attention_{index}", graph.slice(shares, 1, 0, time), np.float32, ["batch", "time"])

    def _write_states(self, graph: Graph, states: States, when: str) -> None:
        for index, layers in states.items():
            hidden, cells = zip(*layers, strict=True)
            for kind, parts in (("h", hidden), ("c", cells)):
                if parts[0] is not None:
                    stacked = graph.add("Concat", *parts, axis=0)
                    size = self.network.nodes[index].hidden_size  # type: ignore[union-attr]
                    graph.output(f"{kind}{when}_{index}", stacked, np.float32, [len(parts), "batch", size])

    def _write_search(
        self, graph: Graph, writer: SideWriter, flows: Mapping[int, Flow], starts: States, lengths: str
    ) -> None:
        how, memories, batch = self._how, writer.remember(flows), graph.size(lengths, 0)
        limits = graph.add("Mul", graph.cast(lengths, np.int64), graph.constant(how.times, np.int64))
        limits = graph.add("Add", limits, graph.constant(how.more - how.times, np.int64))  # [B]
        begin = graph.add("Expand", graph.integers(how.start), batch)
        given = [begin, graph.zeros(batch, np.bool_), graph.zeros(batch, np.int64), graph.zeros(batch, np.float32)]
        states = [state for layers in starts.values() for pair in layers for state in pair if state is not None]
        body = self._body(graph.inner(), starts, memories, limits)
        entering = ["", graph.constant(True, np.bool_), *given, *states]
        made = graph.add_several("Loop", entering, len(given) + len(states) + 1, body=body)
        _, complete, written, total, *_, ids = made
        longest = graph.add("ReduceMax", written, axes=[0], keepdims=1)
        ids = graph.slice(graph.add("Transpose", ids, perm=[1, 0]), 1, 0, longest)
        graph.output("ids", ids, np.int64, ["batch", "steps"])
        graph.output("output_lens", graph.cast(written, np.int32), np.int32, ["batch"])
        graph.output("complete", complete, np.bool_, ["batch"])
        graph.output("log_probability", total, np.float32, ["batch"])

    def _body(self, graph: Graph, starts: States, memories: Mapping[int, Memory], limits: str) -> Any:
        """Write what is repeated: a step, the most probable token of each target, and whether any goes on."""
        how, size = self._how, self.network.output_size
        count = graph.input("loop_count", np.int64, [])
        graph.input("loop_goes_on", np.bool_, [])
        tokens, complete, written, total = (
            graph.input(f"loop_{name}", dtype, ["batch"])
            for name, dtype in (
                ("tokens", np.int64), ("complete", np.bool_), ("written", np.int64), ("total", np.float32)
            )
        )  # fmt: skip
        before = {
            index: tuple(self._carried(graph, index, layer, pair[1] is not None) for layer, pair in enumerate(layers))
            for index, layers in starts.items()
        }
        scores, after, _ = SideWriter(graph, self.network, self.weights).step(tokens, before, memories)
        if how.barred:
            barred = np.isin(np.arange(size), how.barred)
            lowest = graph.constant(np.finfo(np.float32).min, np.float32)
            scores = graph.add("Where", graph.constant(barred, np.bool_), lowest, scores)
        best = graph.add("ArgMax", scores, axis=1, keepdims=0)
        told = graph.add("ReduceMax", graph.add("LogSoftmax", scores, axis=1), axes=[1], keepdims=0)
        going = graph.add("And", graph.add("Not", complete), graph.add("Less", count, limits))
        ends = graph.add("And", going, graph.add("Equal", best, graph.constant(how.end, np.int64)))
        writes = graph.add("And", going, graph.add("Not", ends))
        total = graph.add("Add", total, graph.add("Where", going, told, graph.constant(0.0, np.float32)))
        written = graph.add("Add", written, graph.cast(writes, np.int64))
        complete = graph.add("Or", complete, ends)
        rest = graph.add("Less", graph.add("Add", count, graph.constant(1, np.int64)), limits)
        left = graph.cast(graph.add("And", graph.add("Not", complete), rest), np.int32)
        goes_on = graph.cast(graph.add("ReduceMax", left, axes=[0], keepdims=0), np.bool_)
        graph.output("loop_goes_on_after", goes_on, np.bool_, [])
        for name, value, dtype in (
            ("tokens", best, np.int64), ("complete", complete, np.bool_), ("written", written, np.int64),
            ("total", total, np.float32),
        ):  # fmt: skip
            graph.output(f"loop_{name}_after", value, dtype, ["batch"])
        for index, layers in after.items():
            for layer, pair in enumerate(layers):
                for kind, state in zip("hc", pair, strict=True):
                    if state is not None:
                        graph.output(f"loop_{kind}_{index}_{layer}_after", state, np.float32, self._shape(index))
        ids = graph.add("Where", writes, best, graph.constant(0, np.int64))
        graph.output("loop_ids", ids, np.int64, ["batch"])
        return graph.repeated("step")

    def _carried(self, graph: Graph, index: int, layer: int, cell: bool) -> State:
        """Let a state come into the body, [1, B, H]."""
        names = [f"loop_{kind}_{index}_{layer}" for kind in ("hc" if cell else "h")]
        h, *c = (graph.input(name, np.float32, self._shape(index)) for name in names)
        return h, c[0] if c else None

    # --- our own answers

    def _encoded(self, inputs: Mapping[str, Array], weights: Mapping[str, Array]) -> Arrays:
        """Read sources with the parts of the network that lead to what `encode` gives."""
        lengths = inputs["sequence_lens"].astype(np.int64)
        sources = Ragged.from_padded(inputs["tokens"], lengths)
        out, nodes = Arrays(), self.network.nodes
        for index in Sides.of(self.network).memories:
            rows = self._alone(index, weights)(sources)
            out[f"memory_{index}"] = padded(rows, lengths, inputs["tokens"].shape[1], 0)
        for index, node in Sides.of(self.network).recurrent.items():
            kinds = CELLS[node.cell].states
            states = np.zeros((len(lengths), len(kinds), node.num_layers, node.hidden_size), np.float32)
            if node.starts is not None:
                given = self._alone(sources_of(nodes)[index][1], weights)(sources)
                states = given.reshape(states.shape)
            out |= {f"{kind}0_{index}": states[:, at].swapaxes(0, 1) for at, kind in enumerate(kinds)}
        return out

    def _alone(self, index: int, weights: Mapping[str, Array]) -> Executor:
        network, numbers = read_alone(self.network, index)
        parts = ((name, *name.split(".", 1)) for name in weights)
        named = {f"{numbers[int(at)]}.{rest}": weights[name] for name, at, rest in parts if int(at) in numbers}
        return Executor(network, named)

    def _apart(self, answer: Callable[[Mapping[str, Array]], Arrays]) -> dict[str, float]:
        """Tell how far answers with our weights, and with ones a little off, are from those in float64, by output."""
        rng, wide = np.random.default_rng(0), {name: array.astype(np.float64) for name, array in self.weights.items()}
        exact, *near = map(answer, (wide, self.weights, *(nudged(self.weights, rng) for _ in range(3))))
        return {
            name: max(float(np.abs(ours[name] - array).max(initial=0.0)) for ours in near)
            for name, array in exact.items()
        }

    # --- trials

    def _try_steps(self, name: str, drawn: Mapping[str, Array], rng: np.random.Generator, run: Run) -> Trial:
        """Take targets on by some tokens, from the states that each step gave."""
        lengths = drawn["sequence_lens"]
        tokens = rng.integers(0, self.network.input_size, (len(lengths), _TOKENS))
        inputs = self._encoded(drawn, self.weights) | {"sequence_lens": lengths}
        past = np.arange(drawn["tokens"].shape[1]) >= lengths[:, None]
        for memory in (array for given, array in inputs.items() if given.startswith("memory")):
            memory[past] = np.nan
        steps = list[Arrays]()
        for token in tokens.T:
            steps.append(run(name, inputs | {"tokens": token}))
            inputs |= {given: steps[-1][given.replace("0_", "n_", 1)] for given in inputs if "0_" in given}
        shown = [output for output in steps[0] if "n_" not in output or output.startswith("attention")]
        found = {output: np.stack([step[output] for step in steps], axis=1) for output in shown}
        answer = partial(self._stepped, drawn, tokens)
        wanted = answer(self.weights)
        return Trial(name, found, wanted, self.sizes(drawn, wanted), partial(self._apart, answer))

    def _stepped(self, drawn: Mapping[str, Array], tokens: Array, weights: Mapping[str, Array]) -> Arrays:
        """Take targets on by tokens [B, T]: the scores, and what was attended to, [B, T, .]."""
        sources = _sources(drawn)
        decoder, slots = Decoder(self.network, weights, len(sources)), np.arange(len(sources))
        decoder.start(slots, decoder.open(sources))
        hops = [at for at in Sides.of(self.network).target if isinstance(self.network.nodes[at], Attend)]
        time, steps = drawn["tokens"].shape[1], list[Arrays]()
        for token in tokens.T:
            step = {"logits": decoder.step(slots, token)}
            for at, shares in zip(hops, decoder.attention(), strict=True):
                filled = np.zeros((len(slots), time), step["logits"].dtype)
                for row, share in zip(filled, shares, strict=True):
                    row[: len(share)] = share
                step[f"attention_{at}"] = filled
            steps.append(step)
        return {name: np.stack([step[name] for step in steps], axis=1) for name in steps[0]}

    def _try_search(self, name: str, drawn: Mapping[str, Array], run: Run) -> Trial:
        """Find targets. Where two scores are too near each other to tell, a target is compared up to there alone."""
        found, (wanted, clear, rounding) = run(name, drawn), self._searched(drawn)
        whole = clear >= wanted["ids"].shape[1] + 1
        if not whole.all():
            wide = max(found["ids"].shape[1], wanted["ids"].shape[1])
            for arrays in (found, wanted):
                for output in ("output_lens", "complete", "log_probability"):
                    arrays[output] = arrays[output][whole]
                ids = np.pad(arrays["ids"], ((0, 0), (0, wide - arrays["ids"].shape[1])))
                arrays["ids"] = np.where(np.arange(wide) < clear[:, None], ids, 0)
        sizes = {output: np.ones(array.shape) for output, array in wanted.items()}
        sizes["log_probability"] = np.maximum(np.abs(wanted["log_probability"]), 1.0)
        return Trial(name, found, wanted, sizes, lambda: {"log_probability": rounding})

    def _searched(self, drawn: Mapping[str, Array]) -> tuple[Arrays, Array, float]:
        """Find targets with our own runtime.

        Returns:
            What the graph gives; for each target the step in which two scores are first too near each other to tell, or
            a number beyond all steps; and how far the logarithms of probabilities are from those in float64.
        """
        how, sources = self._how, _sources(drawn)
        count = len(sources)
        wide = {name: array.astype(np.float64) for name, array in self.weights.items()}
        decoders = [Decoder(self.network, weights, count) for weights in (self.weights, wide)]
        for decoder in decoders:
            decoder.start(np.arange(count), decoder.open(sources))
        limits = how.times * (np.asarray(sources.lengths) - 1) + how.more
        last, complete, totals = np.full(count, how.start), np.zeros(count, bool), np.zeros((2, count))
        ids, clear = np.zeros((count, int(limits.max())), np.int64), np.full(count, np.iinfo(np.int64).max)
        written = np.zeros(count, np.int64)
        for step in range(int(limits.max())):
            rows = np.flatnonzero(~complete & (step < limits))
            if not len(rows):
                break
            scores, exact = (decoder.step(rows, last[rows]).astype(np.float64) for decoder in decoders)
            off = np.abs(scores - exact).max(axis=1)
            for told, total in zip((scores, exact), totals, strict=True):
                told[:, list(how.barred)] = -np.inf
                total[rows] += _log_softmax(told)[np.arange(len(rows)), scores.argmax(axis=1)]
            second, first = np.partition(scores, -2, axis=1)[:, -2:].T
            unclear = rows[first - second <= _NEAR * np.maximum(np.abs(first), 1.0) + 2 * _ROOM * off]
            clear[unclear] = np.minimum(clear[unclear], step)
            last[rows] = scores.argmax(axis=1)
            complete[rows] = last[rows] == how.end
            goes = rows[~complete[rows]]
            ids[goes, step], written[goes] = last[goes], step + 1
        wanted: dict[str, Array] = {
            "ids": ids[:, : written.max()], "output_lens": written.astype(np.int32), "complete": complete,
        }  # fmt: skip
        return wanted | {"log_probability": totals[0]}, clear, float(np.abs(totals[0] - totals[1]).max())

    # ---

    @property
    def _how(self) -> Greedy:
        if self.greedy is None:
            raise InputError(
                "nobody knows with which ids the targets of this network begin and end. Pass part='encode' or "
                "part='step', or export a Translator."
            )
        return self.greedy

    def _width(self, index: int) -> int:
        return self.network.gives[index].width or 0

    def _shape(self, index: int) -> list[str | int]:
        return [1, "batch", Sides.of(self.network).recurrent[index].hidden_size]


def _sources(drawn: Mapping[str, Array]) -> Ragged:
    return Ragged.from_padded(drawn["tokens"], drawn["sequence_lens"].astype(np.int64))


def _log_softmax(scores: Array) -> Array:
    peaks = scores.max(axis=1, keepdims=True)
    return np.asarray(scores - peaks - np.log(np.exp(scores - peaks).sum(axis=1, keepdims=True)))
