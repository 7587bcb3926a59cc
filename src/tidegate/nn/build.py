"""A network as data becomes a torch module that trains, and a module a network again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

import tidegate.network as nodes
from tidegate.documents import Documents, Sparse
from tidegate.errors import InputError, ShapeError
from tidegate.grid import Grid
from tidegate.nn.attention import Attend, side_of, started
from tidegate.nn.convert import to_torch
from tidegate.nn.crf import CRF
from tidegate.nn.dropout import SequenceDropout, drop_words
from tidegate.nn.frames import Spectrogram, Window
from tidegate.nn.grids import GridLSTM
from tidegate.nn.images import Flatten, Fold, Scan2d, Unflatten
from tidegate.nn.layers import layer_of
from tidegate.nn.options import LayerOptions
from tidegate.nn.pool import Pool
from tidegate.nn.recurrent import Recurrent
from tidegate.nodes import Part
from tidegate.pairs import Pairs
from tidegate.ragged import Ragged
from tidegate.words import Words

States: TypeAlias = Mapping[str, Tensor]
"""The state of every recurrent node: `<index>.h`, and `<index>.c` of an lstm, each [L * D, B, H]."""

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}


def build(network: nodes.Network) -> Built:
    """Make a trainable module from a network, with parameters as torch draws them.

    >>> network = nodes.Network(nodes=(
    ...     nodes.Embed(vocabulary_size=9, size=4), nodes.Recurrent(cell="gru", input_size=4, hidden_size=8),
    ...     nodes.Pool(modes=("max", "last")), nodes.Dense(in_features=16, out_features=2)))
    >>> module = build(network)
    >>> list(module.state_dict())[:2]
    ['0.weight', '1.weight_ih_l0']
    >>> batch = Ragged(torch.tensor([1, 2, 8]), torch.tensor([0, 2, 2, 3]))
    >>> list(module(batch).shape)
    [3, 2]
    """
    return Built(network)


def as_network(module: torch.nn.Module) -> tuple[nodes.Network, dict[str, npt.NDArray[Any]]]:
    """Return the network and the weights of a layer, or of what `build` made, as `runtime.Executor` takes them.

    The arrays share the memory of the parameters where those lie on the CPU. A layer with ``merge=None`` becomes one
    that concatenates.

    Raises InputError for any other module.

    >>> from tidegate.nn import LSTM
    >>> network, weights = as_network(LSTM(3, 4, bidirectional=True, merge="sum"))
    >>> network.nodes[0].cell, network.output_size, weights["0.weight_hh_l0_reverse"].shape
    ('lstm', 4, (16, 4))
    """
    match module:
        case Built():
            network, before = module.network, ""
        case Recurrent():
            network, before = nodes.Network.of(_node(module)), "0."
        case _:
            raise InputError(
                f"{type(module).__name__} is neither a recurrent layer of tidegate.nn nor what tidegate.nn.build made."
            )
    parameters: dict[str, npt.NDArray[Any]] = {
        before + name: np.asarray(parameter.detach().cpu()) for name, parameter in module.named_parameters()
    }
    return network, parameters


class Built(torch.nn.Module):
    """Run the nodes of a network one after the other. Made by `build`.

    The child modules are named by the index of their node, so parameter names are those of the model file.
    """

    def __init__(self, network: nodes.Network) -> None:
        super().__init__()
        self.network, self._sources = network, network.sources
        for index, node in enumerate(network.nodes):
            self.add_module(str(index), _module(node))

    def forward(self, batch: Ragged | Words | Documents | Pairs) -> Any:
        """Return [B, K] where the network pools, else a Ragged batch [N, K].

        Args:
            batch: int32 or int64 token ids [N] where the network starts with an embedding, `Words` where it starts by
                spelling them, `Documents` where it reads numbers beside the ids, or features of each sequence; else
                features [N, C].

        Raises:
            ShapeError, InputError: input that does not fit the network.
        """
        return self._walk(batch, {}, len(self.network.nodes))[0]

    def advance(self, batch: Ragged, states: States) -> tuple[Ragged, dict[str, Tensor]]:
        """Return what enters the last node [N, F], and the states after the last step of each sequence.

        Args:
            batch: as for a call.
            states: what sequences begin with, as `advance` returned it; zeros for what is not in it. The gradient stops
                at them.
        """
        rows, ends = self._walk(batch, states, len(self.network.nodes) - 1)
        return rows, {name: state.detach() for name, state in ends.items()}

    @property
    def head(self) -> tuple[Tensor, Tensor]:
        """The matrix [K, F] and the bias [K] of the last node, which must be dense without activation, or tied."""
        last = self.get_submodule(str(len(self.network.nodes) - 1))
        if isinstance(last, Tied):
            return self._table(), last.bias
        assert isinstance(last, torch.nn.Linear), "the caller built the network"
        return last.weight, last.bias

    def _walk(
        self, batch: Ragged | Words | Documents | Pairs, states: States, stop: int
    ) -> tuple[Any, dict[str, Tensor]]:
        """Run the nodes before `stop`; return their output, and the final states of the recurrent ones."""
        documents = _checked(self.network, batch)
        entering = to_torch(batch.tokens) if isinstance(batch, Documents | Pairs) else batch
        outputs = {-1: _Output(entering)}
        ends: dict[str, Tensor] = {}
        for index, node, module in zip(range(stop), self.network.nodes, self.children(), strict=False):
            reads = [outputs[source] for source in self._sources[index]]
            read = reads[0]
            match module:
                case torch.nn.Embedding():
                    assert isinstance(node, nodes.Embed), "modules are those of their nodes"
                    outputs[index] = self._look_up(module, node, index, read.rows, documents)
                case Recurrent():
                    ids, table = (read.rows, None) if read.table is None else read.table
                    assert isinstance(node, nodes.Recurrent), "modules are those of their nodes"
                    begin = _begin(states, index) if node.starts is None else started(node, reads[1].rows)
                    rows, end = module(ids, begin, table=table)
                    outputs[index] = _Output(rows, ended=(module, end))
                    ends |= _named(end, index)
                case Decode():
                    assert read.ended is not None, "the network was checked"
                    outputs[index] = _Output(module(*read.ended))
                case Pool():
                    outputs[index] = _Output(_pooled(module, read))
                case Attend():
                    outputs[index] = _Output(module(read.rows, reads[1].rows))
                case torch.nn.Identity() if isinstance(node, nodes.Take):
                    assert isinstance(batch, Pairs), "the batch was checked"
                    outputs[index] = _Output(side_of(read.rows, batch, node.side))
                case torch.nn.Identity() if isinstance(node, nodes.Join):
                    outputs[index] = _Output(_joined([each.rows for each in reads]))
                case _:
                    outputs[index] = _Output(self._alone(node, module, read.rows, documents))
        return outputs[stop - 1].rows, ends

    def _look_up(
        self, module: torch.nn.Embedding, node: nodes.Embed, index: int, ids: Ragged, documents: Documents | None
    ) -> _Output:
        """Look up the rows of tokens, unless all who read them do so in their kernels, once per distinct token."""
        rows = drop_words(module.weight, node.dropout, training=self.training)
        readers = [self.network.nodes[at] for at, sources in enumerate(self._sources) if index in sources]
        layers = [isinstance(reader, nodes.Recurrent) and not node.beside for reader in readers]
        table = (ids, rows) if any(layers) else None
        if layers and all(layers):
            return _Output(None, table=table)
        found = torch.nn.functional.embedding(ids.values, rows)
        if node.beside and documents is not None:
            found = torch.cat([found, torch.as_tensor(documents.beside)], dim=1)
        return _Output(ids.with_values(found), table=table)

    def _alone(self, node: nodes.Node, module: torch.nn.Module, rows: Any, documents: Documents | None) -> Any:
        """Run a node that reads one output as it is."""
        match module:
            case torch.nn.Identity() if isinstance(node, nodes.Split):
                return rows.split(node.channels, shared=node.shared)
            case (
                Spelling()
                | SequenceDropout()
                | Window()
                | Spectrogram()
                | Fold()
                | Scan2d()
                | GridLSTM()
                | Flatten()
                | Unflatten()
            ):
                return module(rows)
            case Tied():
                return _each(rows, partial(torch.nn.functional.linear, weight=self._table(), bias=module.bias))
            case Wide():
                assert documents is not None and documents.features is not None, "the batch was checked"
                return rows + module(documents.features)
            case CRF():
                return rows  # it scores whole paths, which is for the loss
            case torch.nn.Identity():
                return rows  # what reads the symbols of frames is for the loss, too
        out = _each(rows, module)
        return _each(out, _ACTIVATIONS[node.activation]) if isinstance(node, nodes.Dense) and node.activation else out

    def _table(self) -> Tensor:
        weight = self.get_submodule("0").weight
        assert isinstance(weight, Tensor), "a network with a tied node begins with an embedding"
        return weight


@dataclass(frozen=True)
class _Output:
    """Hold what a node hands on.

    rows: Ragged [N, F], or [B, F] once pooled; None where all who read them look them up.
    table: token ids and the table that layers look them up in.
    ended: the layer that they come from, and the states it ended in.
    """

    rows: Any
    table: tuple[Ragged, Tensor] | None = None
    ended: tuple[Recurrent, Any] | None = None


class Tied(torch.nn.Module):
    """Hold the bias of a node that shares the table of the embedding, which `Built` hands to both."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(size))


class Wide(torch.nn.Module):
    """Multiply sparse rows by a matrix; see `network.Wide`."""

    def __init__(self, node: nodes.Wide) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(node.features, node.outputs))
        self.bias = torch.nn.Parameter(torch.zeros(node.outputs))

    def forward(self, rows: Sparse) -> Tensor:
        """Return [B, outputs]; raises InputError for a feature that the matrix has no row for."""
        ids, size = np.asarray(rows.columns.values), len(self.weight)
        if len(outside := np.flatnonzero((ids < 0) | (ids >= size))):
            at = outside[0]
            raise InputError(f"feature id {ids[at]} at position {at} is out of range; the vocabulary has {size} ids")
        columns = to_torch(rows.columns)
        summed = torch.nn.functional.embedding_bag(
            columns.values.to(torch.int64),
            self.weight,
            columns.offsets,
            mode="sum",
            per_sample_weights=torch.as_tensor(rows.values),
            include_last_offset=True,
        )
        return summed + self.bias


class Decode(torch.nn.Module):
    """Go on from the last states of a recurrent layer, all steps at once; see `network.Decode`."""

    def __init__(self, node: nodes.Decode) -> None:
        super().__init__()
        self.node = node
        self.position = torch.nn.Parameter(torch.randn(node.steps, node.size - node.channel_size))
        if node.channel_size:
            self.channel = torch.nn.Parameter(torch.randn(node.channels, node.channel_size))

    def forward(self, layer: Recurrent, states: Tensor | tuple[Tensor, Tensor]) -> Ragged:
        """Run one step of the layer for each of the steps: B sequences of `steps` rows [B * steps, H]."""
        node = self.node
        pair = (states,) if isinstance(states, Tensor) else states
        many = [state.repeat_interleave(node.steps, dim=1) for state in pair]
        count = many[0].shape[1]  # B * steps
        table: Tensor = self.position  # [channels * steps, size]
        if node.channel_size:
            position = self.position.repeat(node.channels, 1)
            table = torch.cat([position, self.channel.repeat_interleave(node.steps, dim=0)], dim=1)
        ids = torch.arange(count) % len(table)
        ones = Ragged(ids, torch.arange(count + 1))
        out, _ = layer(ones, many[0] if len(many) == 1 else tuple(many), table=table)
        return Ragged(out.values, torch.arange(0, count + 1, node.steps))


class Spelling(torch.nn.Module):
    """Put the row of each word beside what its characters say."""

    def __init__(self, node: nodes.Spell) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(node.words.vocabulary_size, node.words.size)
        self.word_dropout = node.words.dropout
        self.characters = Built(nodes.Network.of(*node.characters))

    def forward(self, batch: Words) -> Ragged:
        """Return [N, output_size]; each distinct spelling is read once."""
        tokens, read = to_torch(batch.tokens), self.characters(to_torch(batch.spellings))
        of_word = read.index_select(0, torch.as_tensor(batch.spelling))  # [N, F]
        table = drop_words(self.words.weight, self.word_dropout, training=self.training)
        known = torch.nn.functional.embedding(tokens.values, table)
        return tokens.with_values(torch.cat([known, of_word], dim=1))


def _checked(network: nodes.Network, batch: Ragged | Words | Documents | Pairs) -> Documents | None:
    """Return a batch that is documents, or None for another that fits; raises ShapeError for one that does not."""
    kinds = (
        (Documents, network.reads_documents),
        (Words, network.reads_words),
        (Grid, network.reads_images),
        (Pairs, network.reads_pairs),
    )
    wanted: Any = next((kind for kind, is_read in kinds if is_read), Ragged)
    if not isinstance(batch, wanted):
        raise ShapeError(f"a {type(batch).__name__} came where a {wanted.__name__} batch was wanted.")
    if isinstance(batch, Grid) and not isinstance(batch.values, Tensor):
        raise ShapeError("the Grid holds NumPy arrays, but layers take tensors. Pass nn.to_torch(batch).")
    if not isinstance(batch, Documents):
        return None
    first = network.nodes[0]
    beside = first.beside if isinstance(first, nodes.Embed) else 0
    if batch.beside.shape[1] != beside:
        raise ShapeError(f"{batch.beside.shape[1]} numbers stand beside each token; the network reads {beside}.")
    if network.wide is not None and batch.features is None:
        raise ShapeError("the network reads features of each sequence; these documents have none.")
    return batch


def _begin(states: States, index: int) -> Any:
    """Find the state that a node begins with: a tensor, a pair for an lstm, or None for zeros."""
    h, c = states.get(f"{index}.h"), states.get(f"{index}.c")
    return h if c is None else (h, c)


def _named(end: Tensor | tuple[Tensor, Tensor], index: int) -> dict[str, Tensor]:
    parts = end if isinstance(end, tuple) else (end,)
    return {f"{index}.{letter}": part for letter, part in zip("hc", parts, strict=False)}


def _module(node: nodes.Node) -> torch.nn.Module:
    match node:
        case nodes.Embed():
            return torch.nn.Embedding(node.vocabulary_size, node.size)
        case nodes.Spell():
            return Spelling(node)
        case nodes.Recurrent():
            return _layer(node)
        case nodes.Pool():
            return Pool(node.modes)
        case nodes.Dense():
            return torch.nn.Linear(node.in_features, node.out_features)
        case nodes.Split() | nodes.Join() | nodes.Ctc() | nodes.Take():
            return torch.nn.Identity()
        case nodes.Attend():
            return Attend(node)
        case nodes.Window():
            return Window(node.width, node.stride)
        case nodes.Spectrogram():
            return Spectrogram(node)
        case nodes.Fold():
            return Fold(node)
        case nodes.Scan2d() if waves := node.waves:
            return GridLSTM(
                waves.input_size, waves.hidden_size, cell=waves.cell, directions=waves.directions, merge=waves.merge
            )
        case nodes.Scan2d():
            return Scan2d(node)
        case nodes.Flatten():
            return Flatten(node)
        case nodes.Unflatten():
            return Unflatten(node)
        case nodes.Decode():
            return Decode(node)
        case nodes.Dropout():
            return SequenceDropout(node.p) if node.per_sequence else torch.nn.Dropout(node.p)
        case nodes.Tied():
            return Tied(node.vocabulary_size)
        case nodes.Crf():
            return CRF(node.tags)
        case nodes.Wide():
            return Wide(node)


def _layer(node: nodes.Recurrent) -> Recurrent:
    """Make the layer of a node, which has the options that both know."""
    both = nodes.Recurrent.model_fields.keys() & {option.name for option in fields(LayerOptions)}
    options: dict[str, Any] = {name: getattr(node, name) for name in both}
    if node.num_layers == 1:
        options["dropout"] = 0.0
    if not node.bidirectional:
        options["merge"] = "concat"
    return layer_of(node.cell)(**options)


def _node(layer: Recurrent) -> nodes.Recurrent:
    fields: dict[str, Any] = {
        name: getattr(layer, name)
        for name in nodes.Recurrent.model_fields.keys() - Part.model_fields.keys() - {"starts"}
    }
    return nodes.Recurrent(**fields | {"merge": layer.merge or "concat", "dropout": 0.0, "recurrent_dropout": 0.0})


def _final(layer: Recurrent, states: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """Return the final state of the last layer, its directions merged as those of the tokens are."""
    hn = states[0] if isinstance(states, tuple) else states  # [L * D, B, H]
    final: Tensor = layer.merged(torch.cat(hn[-layer.num_directions :].unbind(), dim=1))
    return final


def _pooled(pool: Pool, read: _Output) -> Tensor:
    """Pool a batch; "last" is the final state, as a second direction ends at the first token."""
    rest = tuple(mode for mode in pool.modes if mode != "last")
    found = dict(zip(rest, Pool(rest)(read.rows).chunk(len(rest), dim=1), strict=True)) if rest else {}
    if read.ended is not None:
        found["last"] = _final(*read.ended)
    return torch.cat([found[mode] for mode in pool.modes], dim=1)


def _joined(parts: list[Any]) -> Any:
    """Put rows side by side."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(parts, dim=1)
    return first.with_values(torch.cat([part.values for part in parts], dim=1))


def _each(state: Ragged | Tensor, function: Callable[[Tensor], Tensor]) -> Ragged | Tensor:
    return state.with_values(function(state.values)) if isinstance(state, Ragged) else function(state)
