"""How to train, as numbers and names, and the learning rate that follows of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tidegate.engine import Rule

Optimizer: TypeAlias = Literal["adam", "adamw", "sgd", "rmsprop"]
Schedule: TypeAlias = Literal["constant", "linear", "cosine", "inverse"]


@dataclass(frozen=True)
class Recipe:
    """Say how to train.

    `learning_rate` rises in a line over the first `warmup` (a share of all steps) and then follows `schedule`:
    `constant`; `linear` and `cosine`, which end at zero; `inverse`, which divides it by 1 + `decay` * steps, as the
    optimisers of Keras 1 and 2 did. `momentum` and `nesterov` are those of sgd. `weight_decay` is decoupled with adamw,
    and leaves biases alone. Gradients longer than `max_grad_norm` are clipped. `average` is the share of the past in a
    moving average of the weights (Polyak & Juditsky 1992), which `weights` returns; the past counts less in the first
    steps, (1 + step) / (10 + step) at most. With 0 there is none. In the first `short_first` epochs batches of whole
    sequences come in the order of their longest.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: Optimizer = "adamw"
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    warmup: float = 0.0
    max_grad_norm: float = math.inf
    average: float = 0.0
    seed: int = 0
    momentum: float = 0.0
    nesterov: bool = False
    decay: float = 0.0
    short_first: int = 0

    @property
    def rule(self) -> Rule:
        """What is made of a gradient."""
        return Rule(self.optimizer, self.weight_decay, self.momentum, self.nesterov)


def learning_rate(recipe: Recipe, step: int, *, total: int) -> float:
    """Compute the learning rate of a step (from 0) of `total`, from nothing else.

    >>> recipe = Recipe(epochs=1, batch_size=1, learning_rate=1.0, schedule="linear", warmup=0.5)
    >>> [learning_rate(recipe, step, total=8) for step in range(8)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    warm = round(recipe.warmup * total)
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    done = (step - warm) / (total - warm)
    match recipe.schedule:
        case "constant":
            return recipe.learning_rate
        case "linear":
            return recipe.learning_rate * (1 - done)
        case "cosine":
            return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2
        case "inverse":
            return recipe.learning_rate / (1 + recipe.decay * (step - warm))
