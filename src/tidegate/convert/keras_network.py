"""The layers of a Keras model become nodes of a network, and their arrays its weights. Knows no files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.cells import Cell
from tidegate.convert.keras_layers import (
    Activate,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    Input,
    Layer,
    Masking,
    Pooling,
    Recurrent,
)
from tidegate.convert.sizes import refusing_sizes
from tidegate.errors import InputError, ModelFileError
from tidegate.network import Dense as DenseNode
from tidegate.network import Dropout as DropoutNode
from tidegate.network import Embed as EmbedNode
from tidegate.network import Network, Node
from tidegate.network import Pool as PoolNode
from tidegate.network import Recurrent as RecurrentNode

Array: TypeAlias = npt.NDArray[Any]


class NetworkOfKeras:
    """Lay the nodes of a network end to end as the layers of Keras come, with their weights.

    Attributes:
        network, weights: what `runtime.Executor` takes.
        softmax: whether the model ends in a softmax, which the network leaves out.
        masked: whether the model takes id 0, or steps of one value, for padding.

    Raises:
        InputError: layers that a network cannot say in this order.
        ModelFileError: arrays of other shapes than the layers say.
    """

    def __init__(self, layers: Sequence[Layer], weights: Sequence[list[Array]]) -> None:
        self._nodes: list[Node] = []
        self.weights: dict[str, Array] = {}
        self.softmax = self.masked = self._flipped = False
        self._width: int | None = None
        for layer, arrays in zip(layers, weights, strict=True):
            if self.softmax:
                raise InputError(f"layer {layer.name!r} stands after a softmax; a network has none inside.")
            with refusing_sizes():
                self._add(layer, arrays)
        if self._flipped and not any(isinstance(node, PoolNode) for node in self._nodes):
            raise InputError(
                "the steps that come out stand in the order of the run, from the end, as go_backwards=True with "
                "return_sequences=True leaves them. Tidegate's stand in the order of the input."
            )
        if not self._nodes:
            raise InputError("the model has no layer that computes anything.")
        self.network = Network.of(*self._nodes)

    def _add(self, layer: Layer, arrays: list[Array]) -> None:
        match layer.settings:
            case Input() as settings:
                self._width = settings.features
            case Embedding() as settings:
                self.masked |= settings.mask_zero
                shape = (settings.input_dim, settings.output_dim)
                self._put({"weight": _shaped(layer, arrays, shape)[0]})
                self._append(EmbedNode(vocabulary_size=shape[0], size=shape[1]), settings.output_dim)
            case Recurrent() as settings:
                reverse = settings.go_backwards != self._flipped
                self._recur(layer, settings, arrays, "concat", reverse=reverse)
                self._flipped = reverse and settings.return_sequences
            case Bidirectional() as settings:
                if self._flipped:
                    raise InputError(f"layer {layer.name!r} reads what a run from the end leaves in its order.")
                self._recur(layer, settings.forward, arrays, settings.merge_mode)
            case Dense() as settings:
                self._multiply(layer, settings, arrays)
            case Activate(activation=activation):
                self._activate(layer, activation)
            case Dropout(rate=rate, per_sequence=per_sequence):
                self._drop(rate, per_sequence=per_sequence)
            case Pooling(mode=mode):
                self._append(PoolNode(modes=(mode,)), self._width)
            case Masking():
                self.masked = True

    def _append(self, node: Node, width: int | None) -> None:
        self._nodes.append(node)
        self._width = width

    def _put(self, arrays: dict[str, Array]) -> None:
        self.weights |= {f"{len(self._nodes)}.{name}": np.ascontiguousarray(array) for name, array in arrays.items()}

    def _drop(self, rate: float, *, per_sequence: bool) -> None:
        """Keep what matters in training alone; a network cannot say it of its input."""
        if rate and self._nodes:
            pooled = any(isinstance(node, PoolNode) for node in self._nodes)
            self._nodes.append(DropoutNode(p=rate, per_sequence=per_sequence and not pooled))

    def _recur(
        self, layer: Layer, settings: Recurrent, arrays: list[Array], merge: Any, *, reverse: bool = False
    ) -> None:
        both = isinstance(layer.settings, Bidirectional)
        columns, units = self._known(layer, arrays), settings.units
        shapes = _recurrent_shapes(settings, columns)
        arrays = _shaped(layer, arrays, *shapes * (2 if both else 1))
        self._drop(settings.dropout, per_sequence=True)
        for suffix, part in (("_l0", arrays[: len(shapes)]), ("_l0_reverse", arrays[len(shapes) :])):
            if part:
                self._put({f"{name}{suffix}": array for name, array in _named(settings, part).items()})
        node = RecurrentNode(
            cell=settings.card.name,
            input_size=columns,
            hidden_size=units,
            bidirectional=both,
            merge=merge,
            reverse=reverse,
            bias=settings.use_bias,
            recurrent_dropout=settings.recurrent_dropout,
        )
        self._append(node, node.output_size)
        if not settings.return_sequences:
            self._append(PoolNode(modes=("last",)), node.output_size)

    def _multiply(self, layer: Layer, settings: Dense, arrays: list[Array]) -> None:
        columns = self._known(layer, arrays)
        shapes = [(columns, settings.units), (settings.units,)][: 1 + settings.use_bias]
        matrix, *bias = _shaped(layer, arrays, *shapes)
        self._put({"weight": matrix.T, "bias": bias[0] if bias else np.zeros(settings.units, matrix.dtype)})
        self._append(DenseNode(in_features=columns, out_features=settings.units), settings.units)
        self._activate(layer, settings.activation)

    def _activate(self, layer: Layer, name: str) -> None:
        if name == "softmax":
            self.softmax = True
        elif name != "linear":
            last = self._nodes[-1] if self._nodes else None
            if not isinstance(last, DenseNode) or last.activation is not None:
                raise InputError(f"layer {layer.name!r} applies {name} to what no Dense layer gives; a network cannot.")
            self._nodes[-1] = last.model_copy(update={"activation": name})

    def _known(self, layer: Layer, arrays: list[Array]) -> int:
        """Say how many features a layer reads: those of the layer before it, or as many as its first array has rows."""
        if self._width is None:
            if not arrays or arrays[0].ndim != 2:
                raise ModelFileError(f"layer {layer.name!r} has no matrix among its weights")
            return len(arrays[0])
        return self._width


def _recurrent_shapes(settings: Recurrent, columns: int) -> list[tuple[int, ...]]:
    units = settings.units
    rows = settings.card.gates * units
    bias = (2, rows) if settings.card.one_apart else (rows,)
    shapes: list[tuple[int, ...]] = [(columns, rows), (units, rows), bias]
    return shapes[: 2 + settings.use_bias]


def _shaped(layer: Layer, arrays: list[Array], *shapes: tuple[int, ...]) -> list[Array]:
    """Check the arrays of a layer against the shapes that its settings ask for."""
    found = [array.shape for array in arrays]
    if found != list(shapes):
        came, wanted = (", ".join(map(str, map(list, these))) or "none" for these in (found, shapes))
        raise ModelFileError(f"the weights of layer {layer.name!r} are {came}; its settings want {wanted}")
    return arrays


def _named(settings: Recurrent, arrays: list[Array]) -> dict[str, Array]:
    """Bring the arrays of one direction into torch's order and under its names: [C, G*H] becomes [G*H, C]."""
    kernel, recurrent, *bias = arrays
    found = {"weight_ih": kernel.T, "weight_hh": recurrent.T}
    if bias:
        both = bias[0] if settings.card.one_apart else np.stack([bias[0], np.zeros_like(bias[0])])
        found |= {"bias_ih": both[0], "bias_hh": both[1]}
    return {name: _gates_in_order(settings.card, array) for name, array in found.items()}


def _gates_in_order(card: Cell, array: Array) -> Array:
    """Let the gates, which stand here as Keras stacks them, follow each other in our order."""
    assert card.keras is not None, "the settings name a cell of Keras"
    gates = np.split(array, card.gates)
    return np.concatenate([gates[card.keras.order.index(gate)] for gate in range(card.gates)])
