"""A network as data: nodes, each of which reads earlier ones; trained and run by `engine`, written by `export`.

Knows sizes and names of parameters, and refuses what does not fit together. Knows no arithmetic and no weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import prod
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tidegate.errors import InputError, ShapeError
from tidegate.nodes import (
    Activation,
    Attend,
    Crf,
    Ctc,
    Decode,
    Dense,
    Dropout,
    Embed,
    Flatten,
    Fold,
    Join,
    Merge,
    Node,
    Part,
    Pool,
    PoolMode,
    PoolModes,
    Recurrent,
    Rows,
    Scan2d,
    Score,
    Spectrogram,
    Spell,
    Split,
    Take,
    Tied,
    Unflatten,
    Wide,
    Window,
)
from tidegate.nodes.part import (
    INPUT,
    Extent,
    Size,
    input_size,
    owner_of,
    reads_images,
    rows_of,
    shapes_of,
    sources_of,
    told,
)

MAX_PARAMETERS = 2**31
MOST_ROWS = 2**31

__all__ = [
    "INPUT",
    "MAX_PARAMETERS",
    "Activation",
    "Attend",
    "Crf",
    "Ctc",
    "Decode",
    "Dense",
    "Dropout",
    "Embed",
    "Flatten",
    "Fold",
    "Join",
    "Merge",
    "Network",
    "Node",
    "Pool",
    "PoolMode",
    "PoolModes",
    "Recurrent",
    "Rows",
    "Scan2d",
    "Score",
    "Size",
    "Spectrogram",
    "Spell",
    "Split",
    "Take",
    "Tied",
    "Unflatten",
    "Wide",
    "Window",
    "check_shapes",
    "parameter_owner",
    "parameter_shapes",
]


class Network(BaseModel):
    """Hold the nodes of a model in the order in which data passes them, checked to fit together.

    A node reads the one before it, or those that its `reads` names: earlier nodes with a `name`, or `input`, which is
    what the network reads. Every output is read by a later node, but for that of the last, which is the network's.

    >>> layer = Recurrent(cell="gru", input_size=3, hidden_size=8)
    >>> network = Network.of(layer, Pool(modes=("last",)), Dense(in_features=8, out_features=2))
    >>> network.output_size
    2
    >>> Network.from_json(network.to_json()) == network
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = 1
    nodes: Annotated[tuple[Node, ...], Field(min_length=1, max_length=64, strict=False)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        rows_of(self.nodes)
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
    def reads_images(self) -> bool:
        """Tell whether the input is a `Grid`: images, whose cells have `input_size` features."""
        return reads_images(self.nodes)

    @property
    def reads_documents(self) -> bool:
        """Tell whether the input is `Documents`: ids with numbers beside them, or with features of the whole."""
        first = self.nodes[0]
        return (isinstance(first, Embed) and first.beside > 0) or self.wide is not None

    @property
    def reads_pairs(self) -> bool:
        """Tell whether the input is `Pairs`: ids of sources, and of their targets."""
        return any(isinstance(node, Take) for node in self.nodes)

    @property
    def is_encoder_decoder(self) -> bool:
        """Tell whether a node takes a side of pairs, attends, or begins with states that another node gives."""
        return self.reads_pairs or any(node.further for node in self.nodes)

    @property
    def wide(self) -> Wide | None:
        """Return the node that adds what is known of each sequence as a whole, where the network ends with one."""
        last = self.nodes[-1]
        return last if isinstance(last, Wide) else None

    @property
    def pools(self) -> bool:
        """Tell whether one row comes out of each sequence rather than one of each step."""
        return self.gives[-1].pooled

    @cached_property
    def sources(self) -> tuple[tuple[int, ...], ...]:
        """Tell of each node the indices of what it reads, -1 for what the network itself reads.

        >>> pools = (Pool(modes=("max",), name="pool"), Pool(modes=("mean",), reads="input", name="mean"))
        >>> Network.of(Dense(in_features=3, out_features=2), *pools, Join(reads=("pool", "mean"))).sources
        ((-1,), (0,), (-1,), (1, 2))
        """
        return sources_of(self.nodes)

    def steps(self, length: Any, *, source: Any = 0, height: Any = 0, width: Any = 0) -> Any:
        """Count the rows that come out of a sequence, or of each of its channels, of so many steps, or of each of many.

        Of the steps of a pair so many are of its `source`; `height` and `width` are those of images, where the network
        reads such. Raises ShapeError where a node can make nothing of that size, or images have other cells.

        >>> from tidegate.nodes import Flatten, Fold, Window
        >>> network = Network.of(Window(width=8, stride=4, size=48), Dense(in_features=384, out_features=5))
        >>> network.steps(9), network.steps(0)
        (3, 0)
        >>> network = Network.of(Fold(block=(4, 2), size=1), Flatten(mode="sum"))
        >>> network.steps(28 * 31, height=28, width=31)
        16
        """
        return self.extent(length, source=source, height=height, width=width).rows

    def extent(self, length: Any, *, source: Any = 0, height: Any = 0, width: Any = 0) -> Extent:
        """Count what comes out, as `steps` does, and where that are cells of images say how large those are."""
        if self.reads_images and not np.array_equal(length, np.asarray(height) * width):
            cells = ", ".join(map(str, np.ravel(length)[:3].tolist()))
            raise ShapeError(
                f"the network reads images, and height * width is not the {cells} cells that came: pass both."
            )
        extents = {-1: Extent(length, height, width, source)}
        for index, (node, sources) in enumerate(zip(self.nodes, self.sources, strict=True)):
            try:
                extents[index] = node.extent(extents[sources[0]])
            except ValueError as error:
                raise ShapeError(f"{told(self.nodes, index)}: {error}") from None
            if (rows := int(np.sum(extents[index].rows))) >= MOST_ROWS:
                raise ShapeError(f"{told(self.nodes, index)} makes {rows:,} rows; fewer than {MOST_ROWS:,} fit.")
        return extents[len(self.nodes) - 1]

    @property
    def branches(self) -> bool:
        """Tell whether a node reads anything else than the node before it."""
        return any(sources != (index - 1,) for index, sources in enumerate(self.sources))

    @cached_property
    def gives(self) -> tuple[Rows, ...]:
        """Tell which rows each node hands on, and how wide they are."""
        return rows_of(self.nodes)

    @property
    def sees(self) -> tuple[int, int]:
        """Count the steps that a row of the output sees, through windows alone, and from one row to the next.

        >>> from tidegate.nodes import Window
        >>> Network.of(Window(width=3, stride=2, size=1), Window(width=2, stride=2, size=3)).sees
        (5, 4)
        """
        width, stride = 1, 1
        for node in self.nodes:
            if isinstance(node, Window):
                width, stride = width + (node.width - 1) * stride, stride * node.stride
            elif isinstance(node, Spectrogram):
                width, stride = node.frame, node.hop
            elif isinstance(node, Fold):
                width, stride = width + (node.block[1] - 1) * stride, stride * node.block[1]
        return width, stride

    @property
    def input_size(self) -> int:
        """Count what one step of input may be: features of a dense step, or ids of the vocabulary."""
        found = input_size(self.nodes)
        assert found is not None, "a network of which nobody states what it reads was refused"
        return found

    @property
    def output_size(self) -> int:
        """Count the features of one row of output."""
        found = self.gives[-1].width
        assert found is not None, "each node states what it hands on"
        return found

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
    return shapes_of(network.nodes)


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


def parameter_owner(network: Network, name: str) -> tuple[Part, str]:
    """Find the node that a parameter belongs to, and the parameter's name within that node.

    >>> network = Network.of(Embed(vocabulary_size=9, size=4), Recurrent(cell="lstm", input_size=4, hidden_size=2))
    >>> parameter_owner(network, "1.weight_ih_l0")[1]
    'weight_ih_l0'
    """
    return owner_of(network.nodes, name)


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return ": ".join([".".join(map(str, first["loc"])), first["msg"]] if first["loc"] else [first["msg"]])
