"""What is looked at: the network, the weights and the sequences behind a task, a layer or a pair, and the classes.

Knows tasks by what they offer, and torch modules by their manners; torch need not be installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.documents import Documents
from tidegate.errors import InputError, OptionError, ShapeError
from tidegate.kernels import sigmoid, softmax, sparse_product
from tidegate.network import (
    INPUT,
    Decode,
    Dropout,
    Embed,
    Network,
    Node,
    Recurrent,
    Spectrogram,
    Spell,
    Split,
    Wide,
    Window,
)
from tidegate.offers import Inside, Inspectable
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, look_up
from tidegate.words import Words

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Subject:
    """Hold a network with its weights, and the sequences that it is shown."""

    network: Network
    weights: Mapping[str, Array]
    x: Ragged
    steps: list[str] | None  # N tokens as text
    classes: Sequence[Any] | None  # K
    max_grad_norm: float | None = None  # that training clipped the gradient to, 0 for none
    linear: Array | None = None  # [B, K], what a linear part that is no part of the network adds to the output
    several: bool = False  # of the classes may be right at once
    words: bool = False  # the features are rows of words, with what stands beside them

    @property
    def pools(self) -> bool:
        """Tell whether the output has one row per sequence."""
        return self.network.pools

    def in_float64(self) -> Subject:
        """Return the same with weights and features in float64."""
        weights = {name: array.astype(np.float64) for name, array in self.weights.items()}
        x = self.x if self.network.reads_tokens else self.x.with_values(self.x.values.astype(np.float64))
        linear = None if self.linear is None else self.linear.astype(np.float64)
        return replace(self, weights=weights, x=x, linear=linear)

    @property
    def reads_words(self) -> bool:
        """Tell whether a step is a word, which can be left out."""
        return self.network.reads_tokens or self.words

    def likely(self, output: Array) -> Array:
        """Return the probability of each class, `[B, K]`, given the output of the model."""
        return sigmoid(output) if self.several else softmax(output)

    def whole(self, rows: Array, indices: Any = slice(None)) -> Array:
        """Return the output of the model for some inputs, given that of the network."""
        return rows if self.linear is None else rows + self.linear[indices]

    def behind_embedding(self) -> tuple[Network, dict[str, Array]]:
        """Return what reads features `[N, C]`, the network or what follows its embedding, and the weights of that."""
        return _behind_first(self.network, self.weights)

    def features(self, indices: Array) -> Ragged:
        """Return some sequences as features `[N, C]`, their tokens looked up."""
        x = self.x.select(indices)
        return x.with_values(look_up(x.values, self.weights["0.weight"])) if self.network.reads_tokens else x

    def columns_of(self, target: Any, *, rows: int) -> Array:
        """Number the classes that a caller named, one for each of `rows`, or one for all.

        Raises OptionError for a class that the model does not know, ShapeError for another number of them.
        """
        named = [target] * rows if np.isscalar(target) else _flat(target)
        if len(named) != rows:
            what = "input" if self.pools else "step"
            raise ShapeError(f"{len(named)} targets came for {rows} {what}s. Pass one for each, or one for all.")
        known = list(range(self.network.output_size)) if self.classes is None else list(self.classes)
        numbers = {label: index for index, label in enumerate(known)}
        for label in named:
            if label not in numbers:
                raise OptionError.unknown("class", str(label), map(str, known))
        return np.array([numbers[label] for label in named], np.int64)

    def name_classes(self, columns: Array) -> list[Any]:
        """Return the label of each column of the output."""
        return columns.tolist() if self.classes is None else [self.classes[column] for column in columns]


def find_subject(model: Any, inputs: Any) -> Subject:
    """Find the network behind a model, and turn inputs into what it reads.

    Raises:
        InputError: the model is not fitted, is none that can be looked into, or has no recurrent layer; or there is no
            step to look at.
        ShapeError: the inputs do not fit.
    """
    subject = _find(model, inputs)
    if not any(isinstance(node, Recurrent) for node in subject.network.nodes):
        kinds = ", ".join(node.kind for node in subject.network.nodes)
        raise InputError(f"there is no recurrent layer to look into: the network consists of {kinds}.")
    if parted := [
        node.kind for node in subject.network.nodes if isinstance(node, Split | Decode | Window | Spectrogram)
    ]:
        raise InputError(f"a network with the node {parted[0]!r} cannot be looked into: its steps are not the input's.")
    if not len(subject.x.values):
        what = "no inputs" if not len(subject.x) else f"{len(subject.x)} inputs without a single step"
        raise InputError(f"{what} came, so there is nothing to look at. Pass at least one sequence that is not empty.")
    return subject


def _find(model: Any, inputs: Any) -> Subject:
    match model:
        case Inspectable():
            return _from_inside(model.inside(), inputs)
        case Executor(network=network, weights=weights) | (Network() as network, Mapping() as weights):
            if isinstance(inputs, Documents):
                return _of_documents(Subject(network, weights, inputs.tokens, None, None), inputs)
            return Subject(network, weights, _as_ragged(network, weights, inputs), None, None)
    if hasattr(model, "named_parameters"):  # a module of torch, which is loaded then
        from tidegate.nn import as_network, as_ragged

        network, weights = as_network(model)
        if isinstance(inputs, Documents):
            return _of_documents(Subject(network, weights, inputs.tokens, None, None), inputs)
        return Subject(network, weights, _as_ragged(network, weights, as_ragged(model, inputs)), None, None)
    raise InputError(
        f"{type(model).__name__} cannot be looked into. Pass a task, an executor, a layer of tidegate.nn, or a pair of "
        "a Network and its weights."
    )


def _from_inside(inside: Inside, inputs: Any) -> Subject:
    x, steps = inside.prepare(inputs)
    network, weights = inside.network, inside.weights
    if isinstance(x, Documents):
        subject = Subject(
            network, weights, x.tokens, steps, inside.classes, inside.max_grad_norm, several=inside.several
        )
        return _of_documents(subject, x)
    if isinstance(x, Words):
        x = Executor(network, weights).spell(x)
        network, weights = _behind_first(network, weights)
    return Subject(network, weights, x, steps, inside.classes, inside.max_grad_norm, several=inside.several)


def _of_documents(subject: Subject, documents: Documents) -> Subject:
    """Put rows in the place of words that have numbers beside them, and what a linear part adds beside the network."""
    network, weights = subject.network, subject.weights
    if isinstance(network.nodes[-1], Wide):
        before, rows = f"{len(network.nodes) - 1}.", documents.features
        if rows is None:
            raise ShapeError("the network reads features of each text; these documents have none.")
        matrix, bias = weights[f"{before}weight"], weights[f"{before}bias"]
        linear = sparse_product(rows.columns.values, rows.values, rows.columns.offsets, matrix, bias)
        weights = {name: array for name, array in weights.items() if not name.startswith(before)}
        network = Network.of(*network.nodes[:-1])
        subject = replace(subject, network=network, weights=weights, linear=linear)
    first = network.nodes[0]
    if isinstance(first, Embed) and first.beside:
        known = look_up(documents.tokens.values, weights["0.weight"])
        x = documents.tokens.with_values(np.concatenate([known, documents.beside], axis=1))
        network, weights = _behind_first(network, weights)
        subject = replace(subject, network=network, weights=weights, x=x, words=True)
    return subject


def _behind_first(network: Network, weights: Mapping[str, Array]) -> tuple[Network, dict[str, Array]]:
    """Return what reads features `[N, C]`, the network or what follows its first table, and the weights of that."""
    start = next(i for i, node in enumerate(network.nodes) if not isinstance(node, Embed | Spell | Dropout))
    return behind(network, weights, start)


def behind(network: Network, weights: Mapping[str, Array], start: int) -> tuple[Network, dict[str, Array]]:
    """Return the nodes of a network from one of them on, which then reads the input, and their weights."""
    nodes = network.nodes
    gone = {node.name for node in nodes[:start]}
    named = ((name.split(".", 1), array) for name, array in weights.items())
    kept = {f"{int(index) - start}.{name}": array for (index, name), array in named if int(index) >= start}
    return Network.of(*(_reading_input(node, gone) for node in nodes[start:])), kept


def _reading_input(node: Node, gone: set[str | None]) -> Node:
    """Let a node read what the network reads, where it read nodes that are gone."""
    if not gone.intersection(node.named):
        return node
    return node.model_copy(update={"reads": tuple(INPUT if name in gone else name for name in node.named)})


def _as_ragged(network: Network, weights: Mapping[str, Array], inputs: Any) -> Ragged:
    """Join sequences, and bring features to the type of the weights."""
    if network.is_encoder_decoder:
        raise InputError(
            "a network of pairs, or that attends, or begins with states that another node gives, cannot be looked "
            "into. Executor.record tells what its nodes give, and Recording.attention what they attend to."
        )
    kind = np.int64 if network.reads_tokens else np.result_type(*weights.values())
    x = inputs if isinstance(inputs, Ragged) else Ragged.from_list(list(inputs), dtype=kind)
    x = Ragged(np.asarray(x.values), np.asarray(x.offsets))
    return x if network.reads_tokens else x.with_values(x.values.astype(kind, copy=False))


def _flat(target: Any) -> list[Any]:
    items = target.tolist() if hasattr(target, "tolist") else list(target)
    nested = items and all(isinstance(item, list | tuple | np.ndarray) for item in items)
    return [label for labels in items for label in _flat(labels)] if nested else items
