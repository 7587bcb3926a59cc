"""What followed from the data where nobody said otherwise: each value, beside the rule that gave it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Choice:
    """Hold a value that followed from the data, and by which rule.

    name: of the parameter, or of a part of the model that has no parameter.
    value: what was chosen.
    rule: how it follows, in a few words.
    """

    name: str
    value: bool | int | float
    rule: str

    def __str__(self) -> str:
        """Say it in short.

        >>> print(Choice("batch_size", 16, "16 up to 4,000 texts, else 64"))
        batch_size 16
        """
        return f"{self.name} {self.value}"


def as_table(choices: Iterable[Choice]) -> Any:
    """Write choices as a table of TOML, each with its rule for a comment.

    >>> print(as_table([Choice("epochs", 6, "480 updates")]).as_string().strip())
    epochs = 6 # 480 updates
    """
    import tomlkit

    table = tomlkit.table()
    for choice in choices:
        table.add(choice.name, tomlkit.item(choice.value).comment(choice.rule))
    return table
