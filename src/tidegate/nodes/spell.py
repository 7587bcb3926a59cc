"""Words by what they are, and by their characters."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tidegate.nodes.dense import Dense
from tidegate.nodes.dropout import Dropout
from tidegate.nodes.embed import Embed
from tidegate.nodes.join import Join
from tidegate.nodes.part import Part, Place, Shapes, output_size, owner_of, shapes_of
from tidegate.nodes.pool import Pool
from tidegate.nodes.recurrent import Recurrent


class Spell(Part):
    """Describe each word by its own row of a table and by what its characters say: `Words` -> `[N, output_size]`.

    `characters` are the nodes of a network of its own, which reads the characters of a word as token ids and pools them
    to one row; each distinct spelling of a batch is read once.
    """

    reads_ids: ClassVar[bool] = True
    kind: Literal["spell"] = "spell"
    words: Embed
    characters: Annotated[
        tuple[Annotated[Embed | Recurrent | Pool | Dense | Dropout | Join, Field(discriminator="kind")], ...],
        Field(min_length=1, max_length=16, strict=False),
    ]

    @model_validator(mode="after")
    def _check(self) -> Self:
        output_size(self.characters)
        if not isinstance(self.characters[0], Embed) or not any(isinstance(node, Pool) for node in self.characters):
            raise ValueError("the characters of a word must be embedded first, and pooled to one row")
        if self.words.name is not None or self.words.named:
            raise ValueError("the words of a spell node have no name of their own, and read nothing by name")
        if self.words.beside or any(isinstance(node, Embed) and node.beside for node in self.characters):
            raise ValueError("nothing comes beside the words or the characters")
        return self

    @property
    def output_size(self) -> int:
        """Count the features of each word."""
        return self.words.size + output_size(self.characters)

    @property
    def incoming(self) -> int:
        """Count the words of the vocabulary."""
        return self.words.vocabulary_size

    def fit(self, place: Place) -> int:
        """Return the features of each word; raises ValueError where it does not come first."""
        place.must_come_first("reads words")
        return self.output_size

    def shapes(self) -> Shapes:
        """List the table of words, and the parameters of the characters' network."""
        words = {f"words.{name}": shape for name, shape in self.words.shapes().items()}
        return words | {f"characters.{name}": shape for name, shape in shapes_of(self.characters).items()}

    def owner(self, parameter: str) -> tuple[Part, str]:
        """Find the node of its own that a parameter belongs to, and its name there."""
        part, _, rest = parameter.partition(".")
        return (self.words, rest) if part == "words" else owner_of(self.characters, rest)
