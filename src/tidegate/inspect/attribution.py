"""Says how much each token or step moved the prediction: integrated gradients and occlusion. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Method: TypeAlias = Literal["integrated_gradients", "occlusion"]


@dataclass(frozen=True, eq=False)
class Attribution:
    """Hold how much each step moved the output of one class.

    Args:
        method: `integrated_gradients` or `occlusion`.
        offsets: [B+1]; the steps of sequence `b` are rows `offsets[b]` to `offsets[b + 1]`.
        steps: N labels, the tokens as text, where the model reads text.
        target: [B] the class that is explained, of each input.
        scores: [N] what each step adds to the class's output before softmax (its logit).
        output: [B] that logit.
        baseline: [B] the logit where the input tells nothing. Integrated gradients add up to `output - baseline`.
        directions: for integrated gradients through two directions, what each adds to `output - baseline`:
            `forward` and `backward`, [B] each.
        direction_scores: [N] each, the same step by step; the two add up to `scores`.
    """

    method: Method
    offsets: Array
    steps: list[str] | None
    target: list[Any]
    scores: Array
    output: Array
    baseline: Array
    directions: dict[str, Array] | None = None
    direction_scores: dict[str, Array] | None = None


def attribute(
    model: Any,
    inputs: Any,
    *,
    method: Method = "integrated_gradients",
    target: Any = None,
    steps: int = 64,
    num_threads: int | None = None,
) -> Attribution:
    """Attribute the output of a class to the steps of each input."""
    raise NotImplementedError
