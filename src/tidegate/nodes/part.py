"""What every node of a network has: fields that are checked, parameters, and a place where it fits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

Array: TypeAlias = npt.NDArray[Any]
Shapes: TypeAlias = dict[str, tuple[int, ...]]
"""Of each parameter, by its name within the node, in order."""

Size = Annotated[int, Field(ge=1, le=2**16)]
Probability = Annotated[float, Field(ge=0.0, lt=1.0)]


Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
INPUT = "input"
"""What nodes call that which the network reads."""
WIDEST = 2**19
"""The most features that a row may have."""
MOST_STRIDE = 2**20
"""The most steps of the input from one row to the next: more than a minute of sound, a step a sample."""


Side = Literal["", "both", "source", "target"]


@dataclass(frozen=True)
class Rows:
    """Say what a node hands on, or the network reads: rows of features, and which rows those are.

    node: that hands them on; None for what the network reads.
    width: features of each row; None where no node has stated it.
    pooled: whether each sequence is one row by now.
    channels: how many sequences each one has become.
    steps: rows of each sequence, where that is the same for all; else 0.
    stride: steps of the input from one row to the next.
    side: of pairs, which rows those are, "both" before they are parted; "" of one row of each, and of what is no pair.
    cell: how many rows and columns of the image that the network reads stand behind each row, which is a cell of an
        image; 0 along an axis that is gone. Both are 0 where no image is left.
    came: what became of images on the way here, and what images were made of, which says how many rows there are.

    >>> steps, pooled = Rows(None, 4), Rows(None, 4, pooled=True)
    >>> steps.beside(Rows(None, 2)), steps.beside(pooled), str(pooled)
    (True, False, 'one row of each sequence')
    """

    node: Part | None
    width: int | None
    pooled: bool = False
    channels: int = 1
    steps: int = 0
    stride: int = 1
    cell: tuple[int, int] = (0, 0)
    side: Side = ""
    came: tuple[object, ...] = ()

    @property
    def without_image(self) -> dict[str, Any]:
        """Give the fields of rows that no longer stand for cells, but are as many as those make."""
        return {"cell": (0, 0), "came": self.came if self.cell == (0, 0) else (*self.came, self.cell)}

    @property
    def of_images(self) -> bool:
        """Tell whether they are the cells of images."""
        return min(self.cell) > 0 and not self.pooled

    def beside(self, other: Rows) -> bool:
        """Tell whether row for row another's stand for the same."""
        mine, theirs = ((r.pooled, r.channels, r.steps, r.stride, r.cell, r.side, r.came) for r in (self, other))
        return mine == theirs

    def __str__(self) -> str:
        """Say for errors which rows they are."""
        sequence = "sequence" if self.channels == 1 else f"of {self.channels} channels of each sequence"
        if self.pooled:
            return f"one row of each {sequence}"
        of = {"": "", "both": " of both sides of pairs"}.get(self.side, f" of the {self.side}")
        if self.steps:
            return f"{self.steps} rows of each {sequence}{of}"
        if self.of_images:
            return "a cell of {} x {} of each image".format(*self.cell)
        return f"a row of each step{of}" if self.stride == 1 else f"a row of every {self.stride} steps{of}"


@dataclass(frozen=True)
class Place:
    """Say where a node stands, and what reaches it.

    nodes: of the whole network.
    index: of the node among them.
    reads: what it reads.
    """

    nodes: Sequence[Part]
    index: int
    reads: tuple[Rows, ...]

    @property
    def name(self) -> str:
        """Name the node, for errors."""
        return told(self.nodes, self.index)

    @property
    def read(self) -> Rows:
        """Return what it reads, the first of several."""
        return self.reads[0]

    @property
    def is_last(self) -> bool:
        """Tell whether the network ends here."""
        return self.index + 1 == len(self.nodes)

    def known(self) -> int:
        """Return the width; raises ValueError where nothing has stated it."""
        if self.read.width is None:
            raise ValueError(f"{self.name} cannot come first: start with embed, recurrent or dense")
        return self.read.width

    def must_be(self, wanted: int) -> None:
        """Raise ValueError where rows come that have another width."""
        if self.read.width is not None and self.read.width != wanted:
            source = f"{self.nodes[self.index].named[0]!r}" if self.nodes[self.index].named else "the node before it"
            raise ValueError(f"{self.name} wants {wanted} features but gets {self.read.width} from {source}")

    def must_come_first(self, why: str) -> None:
        """Raise ValueError where a node stands before."""
        if self.index > 0:
            raise ValueError(f"{self.name} must come first: it {why}")

    def must_have_steps(self, after: str = "a pool") -> None:
        """Raise ValueError where each sequence is one row by now."""
        if self.read.pooled:
            raise ValueError(f"{self.name} cannot follow {after}: no steps are left")

    def must_have_images(self) -> None:
        """Raise ValueError where what reaches it are not the cells of images."""
        if not self.read.of_images:
            raise ValueError(f"{self.name} reads cells of images, but gets {self.read}")


@dataclass(frozen=True)
class Extent:
    """Say how much of each sequence there is, in one number or in an array of many.

    rows: of all it has become.
    height, width: of an image whose cells those are; 0 of others.
    source: of those rows, how many are of the source of a pair that is not parted yet; 0 of others.
    """

    rows: Any
    height: Any = 0
    width: Any = 0
    source: Any = 0


@dataclass(frozen=True)
class Start:
    """Say how weights are drawn to begin with; `train.initial_weights` tells what its fields mean."""

    embedding_scale: float
    forget_bias: float
    chrono: int | None


class Part(BaseModel):
    """Hold the fields of a node, and answer for its kind.

    `name` is what later nodes, and whoever looks into the network, call it. `reads` names what it reads, an earlier
    node or `input`, what the network reads; where it is left out, the node before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: str
    name: Name | None = None
    reads: Name | Annotated[tuple[Name, ...], Field(max_length=64, strict=False)] = ()
    live: ClassVar[bool] = True
    """Whether a sequence can be fed to it step by step, rather than as a whole."""
    reads_images: ClassVar[bool] = False
    """Whether it reads cells of images."""
    makes_images: ClassVar[bool] = False
    """Whether it hands on cells of images that it makes of sequences."""
    reads_ids: ClassVar[bool] = False
    """Whether it reads ids, which no other node can."""
    several: ClassVar[bool] = False
    """Whether it reads several nodes at once, two at least."""
    by_row: ClassVar[bool] = False
    """Whether each row that it makes is made of the same row alone, so that rows of both sides of pairs may pass."""
    later: ClassVar[tuple[str, ...]] = ("name", "reads")
    """Fields that came later, which are not written where they are as they were in effect before: the default."""

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        left_out = {name for name in self.later if getattr(self, name) == fields[name].default}
        return {name: value for name, value in write(self).items() if name not in left_out}

    @property
    def named(self) -> tuple[str, ...]:
        """List the names in `reads`; none where it reads the node before."""
        return (self.reads,) if isinstance(self.reads, str) else self.reads

    @property
    def further(self) -> tuple[str, ...]:
        """Name what it reads behind that which `reads` names, or the node before."""
        return ()

    @abstractmethod
    def fit(self, place: Place) -> int:
        """Return the features of each row that it hands on; raises ValueError where it does not fit."""

    def gives(self, read: Rows, width: int) -> Rows:
        """Say which rows it makes of those that it reads, so many features wide."""
        return replace(read, node=self, width=width)

    def count(self, rows: Any) -> Any:
        """Count the rows that it makes of so many, one number or an array, of a sequence."""
        return rows

    def extent(self, read: Extent) -> Extent:
        """Count what it makes of so much; raises ValueError where it can make nothing of it."""
        return replace(read, rows=self.count(read.rows))

    def shapes(self) -> Shapes:
        """List its parameters."""
        return {}

    def owner(self, parameter: str) -> tuple[Part, str]:
        """Find the node that a parameter belongs to, of itself and those that it holds, and its name there."""
        return self, parameter

    def draw(self, parameter: str, shape: tuple[int, ...], rng: np.random.Generator, start: Start) -> Array:
        """Draw the numbers that a parameter of its own begins with, zeros where nothing else is said."""
        return np.zeros(shape)

    @property
    def incoming(self) -> int | None:
        """Count what one step of its input may be, features or ids of a vocabulary; None where it takes any."""
        return None

    @property
    def withheld(self) -> int:
        """Count the rows that must follow one that it reads before it can be answered, but for layers that run back."""
        return 0

    @property
    def layers_back(self) -> int:
        """Count the layers that run from the end, whose every step depends on those that follow."""
        return 0


def told(nodes: Sequence[Part], index: int) -> str:
    """Name a node, for errors."""
    node = nodes[index]
    return f"node {index} ({node.kind})" if node.name is None else f"node {index} ({node.kind} {node.name!r})"


def sources_of(nodes: Sequence[Part]) -> tuple[tuple[int, ...], ...]:
    """Find what each node reads, by index; -1 is what the network reads.

    Raises ValueError for a name that is taken, unknown, or that of a later node.
    """
    known, found = {INPUT: -1}, list[tuple[int, ...]]()
    for index, node in enumerate(nodes):
        named, further = (
            tuple(_number(name, nodes, index, known) for name in names) for names in (node.named, node.further)
        )
        found.append((named or (index - 1,)) + further)
        _check_count(nodes, index)
        if node.name in known:
            by = "what the network reads" if node.name == INPUT else told(nodes, known[node.name])
            raise ValueError(f"{told(nodes, index)} cannot be called so, as {by} is. Give each node a name of its own")
        if node.name is not None:
            known[node.name] = index
    return tuple(found)


def _number(name: str, nodes: Sequence[Part], index: int, known: dict[str, int]) -> int:
    """Find the index of what a node reads by name."""
    if name in known:
        return known[name]
    if name in (node.name for node in nodes[index:]):
        raise ValueError(f"{told(nodes, index)} reads {name!r}, which does not come before it")
    raise ValueError(f"{told(nodes, index)} reads {name!r}, but those before it are called {', '.join(known)}")


def _check_count(nodes: Sequence[Part], index: int) -> None:
    node = nodes[index]
    if node.several and len(node.named) < 2:
        raise ValueError(f"{told(nodes, index)} wants the names of two nodes or more to read, as in reads=('a', 'b')")
    if not node.several and len(node.named) > 1:
        raise ValueError(f"{told(nodes, index)} reads one node, not {', '.join(node.named)}. Join them before")


def rows_of(nodes: Sequence[Part]) -> tuple[Rows, ...]:
    """Walk the nodes and say what each hands on; raises ValueError where one does not fit, or is read by no other."""
    found, reads = list[Rows](), sources_of(nodes)
    cell = (1, 1) if reads_images(nodes) else (0, 0)
    side: Side = "both" if any(node.kind == "take" for node in nodes) else ""
    entering = Rows(None, input_size(nodes), cell=cell, side=side)
    for index, sources in enumerate(reads):
        if index > 0 and -1 in sources and nodes[0].reads_ids:
            raise ValueError(f"{told(nodes, index)} reads the input, which are ids, as only {told(nodes, 0)} can")
        place = Place(nodes, index, tuple(entering if source < 0 else found[source] for source in sources))
        if not nodes[index].by_row and any(rows.side == "both" for rows in place.reads):
            raise ValueError(f"{place.name} goes beyond single rows, but reads both sides of pairs. Take one before")
        width = nodes[index].fit(place)
        given = nodes[index].gives(place.read, width)
        if given.stride > MOST_STRIDE:
            kept = f"keeps one row of every {given.stride:,} steps"
            raise ValueError(f"{place.name} {kept} of the input; at most {MOST_STRIDE:,} are allowed")
        if prod(given.cell) > MOST_STRIDE:
            kept = f"makes cells of {' x '.join(map('{:,}'.format, given.cell))}"
            raise ValueError(f"{place.name} {kept} of the input; at most {MOST_STRIDE:,} together are allowed")
        found.append(given)
    if found[-1].side == "both":
        raise ValueError(f"{told(nodes, len(nodes) - 1)} ends with both sides of pairs. Take one before")
    for index in range(len(nodes) - 1):
        if not any(index in sources for sources in reads):
            raise ValueError(f"{told(nodes, index)} is read by no node, and is not the last. Read it, or leave it out")
    return tuple(found)


def reads_images(nodes: Sequence[Part]) -> bool:
    """Tell whether what a network reads are images: a node needs some, and none before it makes them of sequences."""
    as_they_came = {-1: not (nodes and nodes[0].reads_ids)}
    for index, (node, sources) in enumerate(zip(nodes, sources_of(nodes), strict=True)):
        came = any(as_they_came[source] for source in sources)
        if came and node.reads_images:
            return True
        as_they_came[index] = came and not node.makes_images
    return False


def input_size(nodes: Sequence[Part]) -> int | None:
    """Return what one step of input may be, as the first node states it that reads it; None where none does."""
    reading = zip(nodes, sources_of(nodes), strict=True)
    return next((node.incoming for node, sources in reading if -1 in sources and node.incoming is not None), None)


def output_size(nodes: Sequence[Part]) -> int:
    """Return the features that leave the last node; raises ValueError where they do not fit together."""
    width = rows_of(nodes)[-1].width
    assert width is not None, "each node states what it hands on"
    return width


def shapes_of(nodes: Sequence[Part]) -> Shapes:
    """List the parameters of nodes: index of the node, a dot, the name within it."""
    return {f"{index}.{name}": shape for index, node in enumerate(nodes) for name, shape in node.shapes().items()}


def owner_of(nodes: Sequence[Part], name: str) -> tuple[Part, str]:
    """Find the node that a parameter belongs to, and its name there."""
    index, _, rest = name.partition(".")
    return nodes[int(index)].owner(rest)
