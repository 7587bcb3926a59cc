"""What surrounds the network of a forecaster in an exported graph: windows in, forecasts out, both in the unit of data.

Knows layouts and scaling. Knows neither series nor files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.export.interface import Interface, StateInputs
from tidegate.export.nodes import Flow, NodeWriter, steps_of
from tidegate.network import Network
from tidegate.runtime import Executor
from tidegate.tasks.forecasting.forecast import predict_batch
from tidegate.tasks.forecasting.layout import Layout
from tidegate.tasks.forecasting.windows import LEAST_VARIANCE, Batch, WindowScaling, known_lags, levels

if TYPE_CHECKING:
    from tidegate.export.graph import Graph

Array: TypeAlias = npt.NDArray[Any]
Json: TypeAlias = dict[str, Any]

_BATCHES: Final = (1, 2, 7, 32)


@dataclass(frozen=True, eq=False)
class WindowInterface(Interface):
    """Let a graph read windows of series, in the unit of the data, and give what comes after them.

    Inputs are `observed` [batch, L, O] float64, the targets before the past columns, and where there are any `known`
    [batch, L + H, F] float64, the columns that are known in the future, too, and after them those of the calendar. The
    mean and the deviation of the columns, `scaling_mean` and `scaling_deviation` [batch or 1, O + future columns], may
    be left out unless states are `required`. Outputs are `forecast` [batch, H, K] float64 and, where there are any,
    `quantiles` [batch, H, K, Q].

    Args:
        network: what is exported.
        weights: its arrays.
        about: what is written besides.
        layout: how windows become rows, and rows forecasts.
        window_scaling: what every window is shifted and divided by.
        scaling: mean and deviation [C] of the columns where none are passed.
    """

    network: Network
    weights: Mapping[str, Array]
    about: Json
    layout: Layout
    window_scaling: WindowScaling
    scaling: tuple[Array, Array]

    @property
    def _observed(self) -> int:
        """Count the columns that are not known in the future."""
        return self.layout.targets + self.layout.past

    def write(self, graph: Graph, states: StateInputs) -> None:
        """Write inputs, nodes and outputs; a window is read as a whole, so it begins with no state but the scaling."""
        layout, seen, K = self.layout, self._observed, self.layout.targets
        observed = graph.input("observed", np.float64, ["batch", layout.lookback, seen])
        known = ""
        if layout.known:
            known = graph.input("known", np.float64, ["batch", layout.lookback + layout.horizon, layout.known])
        mean, deviation = (
            graph.unsqueeze(graph.input(name, np.float64, ["series", part.shape[1]], default=default), 1)
            for name, part in self._own_scaling.items()
            for default in (None if states == "required" else part,)
        )
        own = (_columns(graph, part, 0, seen) for part in (mean, deviation))
        scaled = graph.cast(_scaled(graph, observed, *own), np.float32)
        shift, scale = self._write_levels(graph, scaled)
        columns = [_scaled(graph, scaled, shift, scale), *self._write_known(graph, known, mean, deviation)]
        lengths = graph.add("Expand", graph.constant([layout.rows_in], np.int32), graph.size(observed, 0))
        flow = Flow(self._write_segments(graph, columns), steps_of(graph, lengths, graph.integers(layout.rows_in)))
        flow, _ = NodeWriter(graph, self.weights).write(self.network.nodes, flow, {})
        answers = self._write_answers(graph, flow)  # [B, H, K, Q]
        answers = _unscaled(graph, answers, shift, scale, K)
        self._write_outputs(graph, answers, (mean, deviation))

    def draw(self, rng: np.random.Generator, states: StateInputs) -> Iterator[tuple[str, dict[str, Array]]]:
        """Draw batches of windows that wander, with the scaling of the model, and some with one of their own."""
        mean, deviation = self.scaling
        for batch in _BATCHES:
            steps = rng.standard_normal((batch, self.layout.lookback, self._observed)).cumsum(axis=1) * 0.3
            inputs = {"observed": steps * deviation[: self._observed] + mean[: self._observed]}
            if self.layout.known:
                inputs["known"] = self._drawn_known(rng, batch)
            yield f"{batch} windows", inputs | (self._own_scaling if states == "required" else {})
            own = {"scaling_mean": mean + rng.standard_normal((batch, len(mean))) * deviation}
            own["scaling_deviation"] = deviation * rng.uniform(0.5, 2, (batch, len(mean)))
            yield f"{batch} windows, own scaling", inputs | own

    def expect(self, inputs: Mapping[str, Array], states: StateInputs) -> dict[str, Array]:
        """Compute the outputs of the graph for these inputs with our own runtime."""
        mean, deviation = self._scaling_of(inputs)
        scaled = ((inputs["observed"] - mean[..., : self._observed]) / deviation[..., : self._observed]).astype(
            np.float32
        )
        shift, scale = levels(scaled, self.window_scaling)
        K, future = self.layout.targets, mean.shape[2] - self._observed
        known = np.zeros((len(scaled), self.layout.lookback + self.layout.horizon, 0), np.float32)
        if self.layout.known:
            known = inputs["known"].copy()
            known[..., :future] = (known[..., :future] - mean[..., self._observed :]) / deviation[..., self._observed :]
        batch = Batch((scaled - shift) / scale, known.astype(np.float32), shift[..., :K], scale[..., :K])
        answers = predict_batch(Executor(self.network, self.weights), self.layout, batch, self.layout.horizon)
        units = answers.astype(np.float64) * deviation[..., :K, None] + mean[..., :K, None]
        return {"forecast": units[..., 0]} | ({"quantiles": units[..., 1:]} if self.layout.outputs > 1 else {})

    def sizes(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Measure differences by the deviation of each target, whatever its mean."""
        deviation = self._scaling_of(inputs)[1][..., : self.layout.targets]  # [B or 1, 1, K]
        return {name: deviation if array.ndim == 3 else deviation[..., None] for name, array in outputs.items()}

    def _scaling_of(self, inputs: Mapping[str, Array]) -> tuple[Array, Array]:
        """Give mean and deviation [B or 1, 1, C]."""
        own = self._own_scaling
        mean, deviation = (inputs.get(name, own[name])[:, None] for name in own)
        return mean, deviation

    @property
    def _own_scaling(self) -> dict[str, Array]:
        """Name the scaling as the graph does, each [1, C]."""
        return {f"scaling_{name}": part[None] for name, part in zip(("mean", "deviation"), self.scaling, strict=True)}

    def _drawn_known(self, rng: np.random.Generator, batch: int) -> Array:
        mean, deviation = (part[self._observed :] for part in self.scaling)
        known = rng.uniform(-0.5, 0.5, (batch, self.layout.lookback + self.layout.horizon, self.layout.known))
        known[..., : len(mean)] = known[..., : len(mean)] * deviation + mean
        return known

    def _write_levels(self, graph: Graph, scaled: str) -> tuple[str, str]:
        """Write by what each window is shifted and divided, each [B, 1, O]; see `windows.levels`."""
        zeros, ones = (graph.constant(np.full((1, 1, self._observed), value, np.float32)) for value in (0, 1))
        if self.window_scaling == "off":
            return zeros, ones
        if self.window_scaling == "last":
            return graph.slice(scaled, 1, self.layout.lookback - 1, self.layout.lookback), ones
        wide = graph.cast(scaled, np.float64)
        mean = graph.add("ReduceMean", wide, axes=[1], keepdims=1)
        away = graph.add("Sub", wide, mean)
        variance = graph.add("ReduceMean", graph.add("Mul", away, away), axes=[1], keepdims=1)
        deviation = graph.add("Sqrt", graph.add("Add", variance, graph.constant(LEAST_VARIANCE, np.float64)))
        return graph.cast(mean, np.float32), graph.cast(deviation, np.float32)

    def _write_known(self, graph: Graph, known: str, mean: str, deviation: str) -> list[str]:
        """Write what is known of each step of the look-back and of those ahead, a part [B, L, F] for each lag."""
        if not known:
            return []
        seen, L = self._observed, self.layout.lookback
        future = len(self.scaling[0]) - seen  # columns of the data; those of the calendar come after them, in scale
        if future:
            scaling = (_columns(graph, part, seen, seen + future) for part in (mean, deviation))
            own = _scaled(graph, _columns(graph, known, 0, future), *scaling)
            known = graph.add("Concat", own, _columns(graph, known, future, self.layout.known), axis=2)
        known = graph.cast(known, np.float32)
        return [graph.slice(known, 1, lag, lag + L) for lag in known_lags(L, self.layout.horizon)]

    def _write_segments(self, graph: Graph, columns: list[str]) -> str:
        """Lay out columns [B, L, F] as rows of segments, time first; see `Layout.inputs`."""
        layout = self.layout
        features = graph.add("Concat", *columns, axis=2)
        width = layout.targets + layout.past + layout.known * len(columns[1:])
        parted = graph.reshape(features, -1, layout.rows_in, layout.segment, width)
        turned = graph.add("Transpose", parted, perm=[1, 0, 3, 2])  # [n, B, F, W]
        return graph.reshape(turned, layout.rows_in, -1, width * layout.segment)

    def _write_answers(self, graph: Graph, flow: Flow) -> str:
        """Lay out what the network gives as [B, H, K, Q]; see `Layout.answers`."""
        layout, rows = self.layout, flow.rows
        if flow.steps is not None:
            rows = graph.add("Transpose", rows, perm=[1, 0, 2])
        own = layout.targets // layout.channels
        wide = graph.reshape(rows, -1, layout.channels, layout.steps, own, layout.outputs)
        answers = graph.add("Transpose", wide, perm=[0, 2, 1, 3, 4])
        answers = graph.reshape(answers, -1, layout.steps, layout.targets, layout.outputs)
        return graph.slice(answers, 1, 0, layout.horizon)

    def _write_outputs(self, graph: Graph, answers: str, scaling: tuple[str, str]) -> None:
        """Bring answers [B, H, K, Q] into the unit of the data, the quantiles in order."""
        K, levels = self.layout.targets, self.layout.outputs - 1
        shape: list[int | str] = ["batch", self.layout.horizon, K]
        mean = graph.cast(graph.slice(answers, 3, 0, 1), np.float64)
        mean = graph.add("Squeeze", _unscaled(graph, mean, *scaling, K), graph.integers(3))
        graph.output("forecast", mean, np.float64, shape)
        if levels:
            quantiles = graph.slice(answers, 3, 1, 1 + levels)
            ordered, _ = graph.add_several("TopK", [quantiles, graph.integers(levels)], 2, axis=3, largest=0)
            quantiles = _unscaled(graph, graph.cast(ordered, np.float64), *scaling, K)
            graph.output("quantiles", quantiles, np.float64, [*shape, levels])


def _columns(graph: Graph, value: str, start: int, end: int) -> str:
    """Take columns of [B, T, C]."""
    return graph.slice(value, 2, start, end)


def _scaled(graph: Graph, value: str, mean: str, deviation: str) -> str:
    return graph.add("Div", graph.add("Sub", value, mean), deviation)


def _unscaled(graph: Graph, answers: str, mean: str, deviation: str, targets: int) -> str:
    """Undo the scaling of answers [B, H, K, Q], by what [B, 1, C] say of the first K columns."""
    factor, term = (graph.unsqueeze(_columns(graph, part, 0, targets), 3) for part in (deviation, mean))
    return graph.add("Add", graph.add("Mul", answers, factor), term)
