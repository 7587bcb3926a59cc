"""What classifiers and taggers begin with of a language model: its tokens, the table of their rows, and its layers.

Dai and Le (2015) began a classifier with the weights of a language model; what is read here is the file of such a
model. Knows neither texts nor labels: a task asks for tokens and sizes before it plans, and for the weights once its
network stands.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import PlainValidator

import tidegate.train as train
from tidegate.checkpoint import Model, load_model
from tidegate.data.decoding import Spelling
from tidegate.data.tokenizer import UNKNOWN_ID, Tokenizer, train_whole_words
from tidegate.errors import Argument, InputError, ModelFileError, RunFolderError
from tidegate.network import Dense, Dropout, Embed, Network, Recurrent, Tied, parameter_owner
from tidegate.tasks.cards import CARDS
from tidegate.tasks.fitting import Plan, begin_with
from tidegate.tasks.loading import restore
from tidegate.tasks.parameters import CELLS, parameter_names
from tidegate.tasks.run import MODEL

if TYPE_CHECKING:
    from tidegate.tasks.task import AnyTask

    T = TypeVar("T", bound=AnyTask)

Array: TypeAlias = npt.NDArray[Any]
Layer: TypeAlias = dict[str, Array]
"""The parameters of a layer by their names without its number, such as `weight_ih`."""


def _read_path(value: Any) -> str | None:
    if value is None or (isinstance(value, str | os.PathLike) and isinstance(os.fspath(value), str) and str(value)):
        return None if value is None else os.fspath(value)
    raise ValueError("wanted the name of a run folder or a model file, or None")


ModelPath = Annotated[str | os.PathLike[str] | None, PlainValidator(_read_path)]
"""Of a language model, a run folder or a model file; None for no model."""


@dataclass(frozen=True, eq=False)
class Pretrained:
    """Hold what a language model hands on.

    Args:
        file: its model file, with the whole path.
        sha256: of all that the file says.
        tokenizer: of its tokens, without the two marks.
        counts: [V] how often each token was met.
        table: [V, E] the row of each token.
        cell: of its layers.
        layers: from the first to the last; all have as many units.
        both: whether it learned to read texts from either end.
    """

    file: Path
    sha256: str
    tokenizer: Tokenizer
    counts: Array
    table: Array
    cell: str
    layers: tuple[Layer, ...]
    both: bool

    @property
    def hidden_size(self) -> int:
        """Count the units of a layer."""
        return int(self.layers[0]["weight_hh"].shape[1])

    def settle(self, task: T, **others: Any) -> T:
        """Copy a task, with the sizes of the model and `others` in place of those that are as they are by default.

        Raises InputError for one that was set to something else; it is named.
        """
        _refuse_vectors(task)
        option = next(option for option, cell in CELLS.items() if cell == self.cell)
        sizes: dict[str, Any] = {"cell": option, "hidden_size": self.hidden_size, "num_layers": len(self.layers)}
        sizes |= {"embedding_size": self.table.shape[1], **others}
        for parameter in fields(task):
            name = parameter.name
            given = getattr(task, name)
            if name in sizes and given not in (parameter.default, sizes[name]):
                raise InputError(
                    f"{name}={given!r}, but what begins with the language model in {self.file} has "
                    f"{name}={sizes[name]!r}. Leave {name} out, or train a language model of that kind."
                )
        return replace(task, **sizes)

    def begin(self, network: Network, *, seed: int, table: Array | None = None) -> dict[str, Array]:
        """Give the parameters that begin with what the model learned, by their names in another network.

        That is the table of its first node and the first recurrent node behind it, whose first features are those of
        the table. What the model knows nothing of is drawn: the columns of further features, and, unless the model
        reads from both ends, the direction from the end.

        Args:
            network: with layers of the sizes that `settle` set.
            seed: of what is drawn.
            table: [V', E] the rows of another vocabulary in place of the model's own; those of NaN are drawn.
        """
        drawn = train.initial_weights(network, seed=seed)
        rows = next(name for name in drawn if isinstance(parameter_owner(network, name)[0], Embed))
        own = self.table if table is None else table
        found = {rows: np.where(np.isnan(own), drawn[rows], own).astype(np.float32)}
        index, node = next((i, node) for i, node in enumerate(network.nodes) if isinstance(node, Recurrent))
        for number, layer in enumerate(self.layers):
            for suffix in node.suffixes(number):
                if self.both or not suffix.endswith("reverse"):
                    for name, array in layer.items():
                        whole = f"{index}.{name}{suffix}"
                        found[whole] = _placed(array, drawn[whole], inner=number > 0, second=suffix.endswith("reverse"))
        return found

    def let_begin(self, plan: Plan, *, table: Array | None = None) -> Plan:
        """Let a planned training begin with the weights of the model, and note in it whose they are."""
        begin = self.begin(plan.network, seed=plan.recipe["seed"], table=table)
        return begin_with(plan, begin, told={"model": str(self.file), "sha256": self.sha256})

    def require_words(self, *spellings: Spelling) -> None:
        """Raise InputError unless the tokens are whole words, or what else whole words may be in a corpus."""
        if self.tokenizer.spelling not in ("words", *spellings):
            raise InputError(
                f"the language model in {self.file} reads {self.tokenizer.spelling}, but a tagger whole words. Train "
                "one with tokens='words'."
            )

    def whole_words(self, words: Sequence[str], vocabulary_size: int, *, min_count: int) -> Tokenizer:
        """Make a tokenizer of the whole words of a corpus and of all that the model knows."""
        own = train_whole_words(words, vocabulary_size, min_count=min_count).vocabulary[1:]
        known = [self.tokenizer.vocabulary[index] for index in self._known]
        return train_whole_words([*own, *known], len(own) + len(known) + 1)

    def table_for(self, vocabulary: Tokenizer) -> Array:
        """Make the table [V', E] of whole words; the rows of those that the model does not know are NaN.

        A whole word is known without its case and with every digit as 0, so that several tokens may be one: its row is
        then their mean, by how often each was met.
        """
        tokens, known = self.tokenizer.vocabulary, self._known
        places = vocabulary.encode([tokens[index] for index in known]).values  # one id for each
        weight = np.maximum(self.counts[known], 1).astype(np.float64)[:, None]
        total, sums = np.zeros((vocabulary.size, 1)), np.zeros((vocabulary.size, self.table.shape[1]))
        np.add.at(total, places, weight)
        np.add.at(sums, places, weight * self.table[known])
        table = np.where(total > 0, sums / np.maximum(total, 1), np.nan)
        table[UNKNOWN_ID] = self.table[UNKNOWN_ID]
        return table.astype(np.float32)

    @property
    def _known(self) -> list[int]:
        """List the tokens that may be whole words."""
        tokens = self.tokenizer.vocabulary
        return [index for index, token in enumerate(tokens) if index != UNKNOWN_ID and token.strip()]


def read_pretrained(path: str | os.PathLike[str], *, about: Mapping[str, Any] | None = None) -> Pretrained:
    """Read what a language model hands on from its run folder or model file.

    Args:
        path: of either.
        about: what the plan of an interrupted run said, to go on with the same model.

    Raises:
        InputError: there is no such file, or it holds something else, or layers of several sizes.
        ModelFileError: the file is truncated or altered.
        RunFolderError: the interrupted run began with another model.
    """
    file = (Path(path) / MODEL if Path(path).is_dir() else Path(path)).resolve()
    if not file.is_file():
        raise InputError(f"pretrained={os.fspath(path)!r}: there is no model file {file}. {_WANTED}")
    model = load_model(file)
    name = str(model.task.get("name"))
    if name not in CARDS or CARDS[name].reads != "corpus":
        raise InputError(f"pretrained={os.fspath(path)!r} holds a {name:.40}, which has learned no language. {_WANTED}")
    try:
        language = restore(model)
    except ModelFileError as error:
        raise ModelFileError(f"{file}: {error}") from None
    tokenizer, counts = language.vocabulary_.tokenizer, language.vocabulary_.counts
    if about is not None and about.get("begin", {}).get("sha256") != model.sha256:
        raise RunFolderError(
            f"the run was begun with other weights than those that are now in {file}. Resume it with the same language "
            "model, or begin a new run."
        )
    cell, layers = _layers(model, file)
    size, both = tokenizer.size, language.direction == "both"
    table = model.weights["0.weight"][:size]
    return Pretrained(file, model.sha256, tokenizer, counts[:size], table, cell, layers, both)


def check_same_weights(said: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Raise RunFolderError where a model file is no longer the one that a recipe says."""
    if read_pretrained(path).sha256 != said.get("sha256"):
        raise RunFolderError(f"the language model in {os.fspath(path)} is no longer that of the run: begin a new one.")


def language_model_of(task: AnyTask) -> AnyTask:
    """Make an untrained language model of the sizes of a task, which can begin with it.

    Raises InputError for a task that takes no `pretrained`, or has one already.
    """
    if not {"pretrained", "embedding_size", "vocabulary_size"} <= set(parameter_names(type(task))):  # which reads words
        raise InputError(f"a {task.name} learns nothing from texts without labels. Leave them out.")
    params = task._checked().get_params()
    if params["pretrained"] is not None:
        raise InputError("pretrained and texts without labels both came: a task begins with one model. Leave one out.")
    _refuse_vectors(task)
    card = next(card for card in CARDS.values() if card.reads == "corpus")
    sizes = {name: params[name] for name in ("cell", "hidden_size", "num_layers", "embedding_size", "seed")}
    # Case tells little of a topic or an opinion, and taggers see it in the characters.
    language: AnyTask = card.task()(
        **sizes,
        vocabulary_size=min(params["vocabulary_size"], _MOST_WORDS),
        tied=params["embedding_size"] == params["hidden_size"],
        keep_case=False,
    )
    return language


def _refuse_vectors(task: AnyTask) -> None:
    """Raise InputError where words are to begin with the vectors of a file, too."""
    if getattr(task, "embeddings", None) is not None:
        raise InputError(
            "words begin with what a language model knows of them or with vectors of others, and both came. Leave ",
            Argument("embeddings"), " or the language model out.",
        )  # fmt: skip


_MOST_WORDS = 20_000  # whose scores are computed for each token: the time of a pass grows with them
_WANTED = "Wanted a run folder or model file of a language model, such as: tidegate train TEXTS --task language"


def _layers(model: Model, file: Path) -> tuple[str, tuple[Layer, ...]]:
    """Take the layers out of a language model, and name their cell."""
    first, *inner, last = model.network.nodes
    nodes = {index: node for index, node in enumerate(inner, 1) if isinstance(node, Recurrent)}
    plain = isinstance(first, Embed) and isinstance(last, Dense | Tied) and len(nodes) > 0
    plain = plain and all(isinstance(node, Recurrent | Dropout) for node in inner)
    if not plain or any(node.num_layers > 1 or node.bidirectional or node.reverse for node in nodes.values()):
        raise ModelFileError(f"{file}: its network is not that of a language model of Tidegate")
    sizes = [node.hidden_size for node in nodes.values()]
    if len(set(sizes)) > 1:
        raise InputError(
            f"the layers of the language model in {file} have {', '.join(map(str, sizes))} units, but those of a "
            "classifier are all alike. Train one with embedding_size=0, or with tied=False."
        )
    layers = [
        {name.removesuffix("_l0"): model.weights[f"{index}.{name}"] for name in node.shapes()}
        for index, node in nodes.items()
    ]
    return next(iter(nodes.values())).cell, tuple(layers)


def _placed(array: Array, drawn: Array, *, inner: bool, second: bool) -> Array:
    """Put the parameter of a layer that read in one direction into one that may read more features.

    The first layer reads the features of the table first, and what is drawn for further ones stays. Those above read
    both directions below them, of which the model knew one: a layer begins by not listening to the other.
    """
    whole = np.zeros_like(drawn) if inner else drawn.copy()
    begins = whole.shape[-1] - array.shape[-1] if inner and second else 0
    whole[..., begins : begins + array.shape[-1]] = array
    return whole
