"""A network as data: a short list of nodes that is trained by `nn`, run by `runtime` and written by `export`.

Knows sizes and names of parameters, and refuses what does not fit together. Knows no arithmetic and no weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from tidegate.cells import CELLS, CellName
from tidegate.errors import InputError, ShapeError

Merge = Literal["concat", "sum", "mul", "ave"]
PoolMode = Literal["last", "first", "max", "mean"]
Activation = Literal["relu", "tanh", "sigmoid"]

MAX_PARAMETERS = 2**31
_FIRST = {"embed": "reads token ids", "spell": "reads words", "split": "parts the features of the input"}

Size = Annotated[int, Field(ge=1, le=2**16)]
Probability = Annotated[float, Field(ge=0.0, lt=1.0)]


def _distinct(modes: tuple[PoolMode, ...]) -> tuple[PoolMode, ...]:
    if len(set(modes)) != len(modes):
        raise ValueError(f"{', '.join(modes)} name one mode twice")
    return modes


PoolModes = Annotated[tuple[PoolMode, ...], Field(min_length=1, strict=False), AfterValidator(_distinct)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    live: ClassVar[bool] = True
    """Whether a sequence can be fed to it step by step, rather than as a whole."""

    @property
    def layers_back(self) -> int:
        """Count the layers that run from the end, whose every step depends on those that follow."""
        return 0


class Embed(_Part):
    """Replace each token id by its row of a table: `[N]` -> `[N, size]`.

    `dropout` hides whole words in training, wherever they stand in the batch (Gal & Ghahramani 2016).
    """

    kind: Literal["embed"] = "embed"
    vocabulary_size: Annotated[int, Field(ge=1, le=2**24)]
    size: Size
    dropout: Probability = 0.0


class Recurrent(_Part):
    """Run a cell over each sequence: `[N, input_size]` -> `[N, output_size]`.

    Between stacked layers both directions are always concatenated, as torch does; `merge` says how the last layer
    hands them out. In training alone act `dropout` (between layers), `recurrent_dropout` (one mask per sequence, where
    the state enters the recurrent matrix) and `weight_dropout` (entries of that matrix, anew at each update; Merity et
    al. 2017).
    """

    kind: Literal["recurrent"] = "recurrent"
    cell: CellName
    input_size: Size
    hidden_size: Size
    num_layers: Annotated[int, Field(ge=1, le=64)] = 1
    bidirectional: bool = False
    merge: Merge = "concat"
    reverse: bool = False
    bias: bool = True
    dropout: Probability = 0.0
    recurrent_dropout: Probability = 0.0
    weight_dropout: Probability = 0.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.reverse and self.bidirectional:
            raise ValueError("reverse=True and bidirectional=True exclude each other")
        return self

    @property
    def num_directions(self) -> int:
        """Count the directions of each layer: 2 when bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Count the features of each token after the last layer."""
        return self.hidden_size * (self.num_directions if self.merge == "concat" else 1)

    @property
    def layers_back(self) -> int:
        """Count the layers that run from the end, whose every step depends on those that follow."""
        return self.num_layers if self.bidirectional or self.reverse else 0


class Pool(_Part):
    """Make one row of each sequence: `[N, F]` -> `[B, F * len(modes)]`, mode after mode.

    `last` is the final state of the `Recurrent` node that stands right before (of both directions, merged as its
    tokens are); a sequence of length zero gives zeros.
    """

    kind: Literal["pool"] = "pool"
    modes: PoolModes


class Dense(_Part):
    """Multiply each row by a matrix, add a bias, apply an activation: `[., in_features]` -> `[., out_features]`."""

    kind: Literal["dense"] = "dense"
    in_features: Annotated[int, Field(ge=1, le=2**19)]
    out_features: Size
    activation: Activation | None = None


class Split(_Part):
    """Make a sequence of each channel: `[N, channels * size + shared]` -> `[N * channels, size + shared]`.

    A row holds the `size` features of each channel in turn, then `shared` features that every channel is given. B
    sequences become B * channels, those of one sequence next to each other.
    """

    live: ClassVar[bool] = False
    kind: Literal["split"] = "split"
    channels: Size
    size: Size
    shared: Annotated[int, Field(ge=0, le=2**16)] = 0

    @property
    def input_size(self) -> int:
        """Count the features of a row before it is split."""
        return self.channels * self.size + self.shared


class Decode(_Part):
    """Go on from the state of the recurrent node before it, `steps` steps at once: -> `[B * steps, hidden_size]`.

    Each step is one step of that node's own cell from its final state, its input an embedding of the step and, where
    there are several channels, of the channel: the parallel multi-step forecasting of SegRNN (Lin et al. 2023,
    arXiv:2308.11200, section 3.3). Sequence b is of the channel b % channels, as `Split` leaves them.
    """

    live: ClassVar[bool] = False
    kind: Literal["decode"] = "decode"
    steps: Size
    channels: Size = 1
    size: Annotated[int, Field(ge=2, le=2**16)]

    @property
    def channel_size(self) -> int:
        """Count the features of the embedding that tell the channel: half of them, or none where there is but one."""
        return self.size // 2 if self.channels > 1 else 0


class Dropout(_Part):
    """Zero features at random in training; do nothing otherwise.

    With `per_sequence` a sequence loses the same features at all of its steps (Gal & Ghahramani 2016).
    """

    kind: Literal["dropout"] = "dropout"
    p: Probability
    per_sequence: bool = False


class Spell(_Part):
    """Describe each word by its own row of a table and by what its characters say: `Words` -> `[N, output_size]`.

    `characters` are the nodes of a network of its own, which reads the characters of a word as token ids and pools them
    to one row; each distinct spelling of a batch is read once.
    """

    kind: Literal["spell"] = "spell"
    words: Embed
    characters: Annotated[
        tuple[Annotated[Embed | Recurrent | Pool | Dense | Dropout, Field(discriminator="kind")], ...],
        Field(min_length=1, max_length=16, strict=False),
    ]

    @model_validator(mode="after")
    def _check(self) -> Self:
        _output_size(self.characters)
        if not isinstance(self.characters[0], Embed) or not any(isinstance(node, Pool) for node in self.characters):
            raise ValueError("the characters of a word must be embedded first, and pooled to one row")
        return self

    @property
    def output_size(self) -> int:
        """Count the features of each word."""
        return self.words.size + _output_size(self.characters)


class Crf(_Part):
    """Score sequences of tags as wholes: `[N, tags]` -> `[N, tags]`, the scores of each token passed on as they are.

    What it adds are parameters, for `tidegate.crf`: what it costs to begin with a tag, to go from one to the next, and
    to end with one.
    """

    kind: Literal["crf"] = "crf"
    tags: Size


class Tied(_Part):
    """Compare each row with the table of the embedding: `[., size]` -> `[., vocabulary_size]`, with a bias of its own.

    A dense node whose matrix is the table (Press & Wolf 2017; Inan et al. 2017).
    """

    kind: Literal["tied"] = "tied"
    vocabulary_size: Annotated[int, Field(ge=1, le=2**24)]
    size: Size


Node = Annotated[
    Embed | Spell | Recurrent | Pool | Dense | Split | Decode | Dropout | Crf | Tied, Field(discriminator="kind")
]


class Network(_Part):
    """Hold the nodes of a model in the order in which data passes them, checked to fit together.

    >>> layer = Recurrent(cell="gru", input_size=3, hidden_size=8)
    >>> network = Network.of(layer, Pool(modes=("last",)), Dense(in_features=8, out_features=2))
    >>> network.output_size
    2
    >>> Network.from_json(network.to_json()) == network
    True
    """

    version: Literal[1] = 1
    nodes: Annotated[tuple[Node, ...], Field(min_length=1, max_length=64, strict=False)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        _output_size(self.nodes)
        count = sum(prod(shape) for shape in parameter_shapes(self).values())
        if count > MAX_PARAMETERS:
            raise ValueError(f"the network has {count:,} parameters; at most {MAX_PARAMETERS:,} are allowed")
        return self

    @property
    def reads_tokens(self) -> bool:
        """Tell whether the input is token ids `[N]` rather than features `[N, input_size]`."""
        return isinstance(self.nodes[0], Embed)

    @property
    def reads_words(self) -> bool:
        """Tell whether the input is `Words`: ids and spellings."""
        return isinstance(self.nodes[0], Spell)

    @property
    def pools(self) -> bool:
        """Tell whether one row comes out of each sequence rather than one of each step."""
        return any(isinstance(node, Pool) for node in self.nodes)

    @property
    def input_size(self) -> int:
        """Count what one step of input may be: features of a dense step, or ids of the vocabulary."""
        match self.nodes[0]:
            case Embed(vocabulary_size=size) | Recurrent(input_size=size) | Dense(in_features=size) | Crf(tags=size):
                return size
            case Split() as split:
                return split.input_size
            case Spell(words=words):
                return words.vocabulary_size
        raise AssertionError("the first node was checked")

    @property
    def output_size(self) -> int:
        """Count the features of one row of output."""
        return _output_size(self.nodes)

    def to_json(self) -> str:
        """Write the network as JSON; equal networks give equal text."""
        return self.model_dump_json()

    @classmethod
    def of(cls, *nodes: Node) -> Network:
        """Make a network of nodes; raises InputError that says which two do not fit, or that it grows too large."""
        try:
            return cls(nodes=nodes)
        except ValidationError as error:
            raise InputError(f"these nodes make no network: {_first(error)}") from None

    @classmethod
    def from_json(cls, text: str | bytes) -> Network:
        """Read a network from JSON.

        Raises InputError that names the first wrong field when the text is not JSON or not a network.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise InputError(f"not a network that Tidegate knows: {_first(error)}") from None


def parameter_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """List the name and shape of every parameter, in order: index of the node, a dot, torch's name.

    >>> network = Network.of(Embed(vocabulary_size=9, size=4), Recurrent(cell="lstm", input_size=4, hidden_size=2))
    >>> parameter_shapes(network)["1.weight_ih_l0"]
    (8, 4)
    """
    return _shapes(network.nodes)


def check_shapes(network: Network, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ShapeError unless `shapes` names exactly the parameters of the network, each with its own shape."""
    wanted = parameter_shapes(network)
    if missing := sorted(wanted.keys() - shapes.keys()):
        raise ShapeError(f"weights are missing: {', '.join(missing)}")
    if extra := sorted(shapes.keys() - wanted.keys()):
        raise ShapeError(f"weights that the network does not have: {', '.join(extra)}")
    for name, shape in wanted.items():
        if tuple(shapes[name]) != shape:
            raise ShapeError(f"weight {name!r} is {list(shapes[name])}; the network wants {list(shape)}")


def parameter_owner(network: Network, name: str) -> tuple[Node, str]:
    """Find the node that a parameter belongs to, and the parameter's name within that node.

    >>> network = Network.of(Embed(vocabulary_size=9, size=4), Recurrent(cell="lstm", input_size=4, hidden_size=2))
    >>> parameter_owner(network, "1.weight_ih_l0")[1]
    'weight_ih_l0'
    """
    return _owner(network.nodes, name)


def direction_suffixes(node: Recurrent, layer: int) -> tuple[str, ...]:
    """Name the directions of one layer as torch's parameters do: `_l0`, and `_l0_reverse` when bidirectional."""
    return (f"_l{layer}", f"_l{layer}_reverse")[: node.num_directions]


def _shapes(nodes: Sequence[Node]) -> dict[str, tuple[int, ...]]:
    return {f"{index}.{name}": shape for index, node in enumerate(nodes) for name, shape in _own_shapes(node).items()}


def _own_shapes(node: Node) -> dict[str, tuple[int, ...]]:
    match node:
        case Embed():
            return {"weight": (node.vocabulary_size, node.size)}
        case Spell():
            words = {f"words.{name}": shape for name, shape in _own_shapes(node.words).items()}
            return words | {f"characters.{name}": shape for name, shape in _shapes(node.characters).items()}
        case Recurrent():
            return _recurrent_shapes(node)
        case Dense():
            return {"weight": (node.out_features, node.in_features), "bias": (node.out_features,)}
        case Tied():
            return {"bias": (node.vocabulary_size,)}
        case Decode():
            shapes: dict[str, tuple[int, ...]] = {"position": (node.steps, node.size - node.channel_size)}
            return shapes | ({"channel": (node.channels, node.channel_size)} if node.channel_size else {})
        case Crf():
            return {"transitions": (node.tags, node.tags), "start": (node.tags,), "end": (node.tags,)}
        case Pool() | Split() | Dropout():
            return {}


def _owner(nodes: Sequence[Node], name: str) -> tuple[Node, str]:
    index, _, rest = name.partition(".")
    node = nodes[int(index)]
    if not isinstance(node, Spell):
        return node, rest
    part, _, rest = rest.partition(".")
    return (node.words, rest) if part == "words" else _owner(node.characters, rest)


def _recurrent_shapes(node: Recurrent) -> dict[str, tuple[int, ...]]:
    rows = CELLS[node.cell].gates * node.hidden_size
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(node.num_layers):
        columns = node.input_size if layer == 0 else node.hidden_size * node.num_directions
        for suffix in direction_suffixes(node, layer):
            shapes[f"weight_ih{suffix}"] = (rows, columns)
            shapes[f"weight_hh{suffix}"] = (rows, node.hidden_size)
            if node.bias:
                shapes[f"bias_ih{suffix}"] = (rows,)
                shapes[f"bias_hh{suffix}"] = (rows,)
    return shapes


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return ": ".join([".".join(map(str, first["loc"])), first["msg"]] if first["loc"] else [first["msg"]])


def _output_size(nodes: Sequence[Node]) -> int:
    """Walk the nodes, check that each fits what stands before it, and return the features that leave the last."""
    width: int | None = None  # features per row; unknown before the first node that states it
    pooled = False
    for index, node in enumerate(nodes):
        where = f"node {index} ({node.kind})"
        match node:
            case Embed() | Spell() | Split() if index > 0:
                raise ValueError(f"{where} must come first: it {_FIRST[node.kind]}")
            case Embed():
                width = node.size
            case Spell():
                width = node.output_size
            case Recurrent():
                if pooled:
                    raise ValueError(f"{where} cannot follow a pool: no steps are left")
                width = _follow(where, width, node.input_size, node.output_size)
            case Dense():
                width = _follow(where, width, node.in_features, node.out_features)
            case Pool():
                if pooled:
                    raise ValueError(f"{where} cannot follow another pool: no steps are left")
                if "last" in node.modes and not (index > 0 and isinstance(nodes[index - 1], Recurrent)):
                    raise ValueError(f"{where} with mode 'last' must stand right after a recurrent node")
                pooled = True
                width = _known(where, width) * len(node.modes)
            case Split():
                width = node.size + node.shared
            case Decode():
                width = _decoded(where, node, nodes[index - 1] if index else None, nodes[0])
            case Dropout():
                if node.per_sequence and pooled:
                    raise ValueError(f"{where} with per_sequence cannot follow a pool: no steps are left")
                width = _known(where, width)
            case Tied():
                first = nodes[0]
                sizes = (node.vocabulary_size, node.size)
                if not (isinstance(first, Embed) and (first.vocabulary_size, first.size) == sizes):
                    raise ValueError(f"{where} needs an embed node of its own sizes, {list(sizes)}, at the beginning")
                width = _follow(where, width, node.size, node.vocabulary_size)
            case Crf():
                if pooled or index + 1 < len(nodes):
                    raise ValueError(f"{where} must come last and not follow a pool: it scores the tag of each step")
                width = _follow(where, width, node.tags, node.tags)
    return _known("network", width)


def _decoded(where: str, node: Decode, before: Node | None, first: Node) -> int:
    if not isinstance(before, Recurrent) or before.bidirectional or before.reverse:
        raise ValueError(f"{where} must stand right after a recurrent node of one direction, from first to last step")
    if before.input_size != node.size:
        raise ValueError(f"{where} embeds in {node.size} features, but the recurrent node reads {before.input_size}")
    if node.channels > 1 and not (isinstance(first, Split) and first.channels == node.channels):
        raise ValueError(f"{where} of {node.channels} channels wants a split into as many at the beginning")
    return before.hidden_size


def _follow(where: str, width: int | None, wanted: int, out: int) -> int:
    if width is not None and width != wanted:
        raise ValueError(f"{where} wants {wanted} features but gets {width} from the node before it")
    return out


def _known(where: str, width: int | None) -> int:
    if width is None:
        raise ValueError(f"{where} cannot come first: start with embed, recurrent or dense")
    return width
