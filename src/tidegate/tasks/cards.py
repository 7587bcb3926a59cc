"""The cards of all tasks. A new task is one line here; whoever wants to know something of tasks loops over `CARDS`."""

from __future__ import annotations

from importlib import import_module

from tidegate.tasks.card import Card, Option

ROOMS = (
    "classifying",
    "tagging",
    "forecasting",
    "language",
    "transcribing",
    "translating",
)
"""The folders of the tasks; the file `card` of each holds `CARDS`, mostly one."""

CARDS: dict[str, Card] = {
    card.name: card for room in ROOMS for card in import_module(f"tidegate.tasks.{room}.card").CARDS
}
"""The card of each task by its name; of those for one kind of data the first is taken unless another is asked for."""


def by_verb() -> dict[str, Card]:
    """Give the cards by what the option `--task` calls them.

    >>> list(by_verb())
    ['classify', 'signals', 'tag', 'forecast', 'language', 'transcribe', 'translate']
    """
    return {card.verb: card for card in CARDS.values()}


def takers(option: Option) -> str:
    """Say whose models take an option.

    >>> takers("spans")
    'taggers'
    """
    return " and ".join(card.many for card in CARDS.values() if option in card.options)
