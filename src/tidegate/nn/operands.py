"""What the operators of a recurrent layer take, by name; their schemas are made of these records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, get_type_hints

from torch import Tensor

_TORCH = {str: "str", bool: "bool", Tensor: "Tensor", Tensor | None: "Tensor?"}


class Matrices(NamedTuple):
    """The parameters of one direction, in torch's layout; None for biases that it does not have."""

    w_ih: Tensor  # [G * H, C]
    w_hh: Tensor  # [G * H, H]
    b_ih: Tensor | None  # [G * H]
    b_hh: Tensor | None  # [G * H]


class Operands(NamedTuple):
    """A layer of one or two directions, and the ragged batch that it runs over.

    cell: one of `kernels.CELLS`.
    reverse: run the only direction from the end; with weights for two directions the second always does.
    x: [N, C], or [N] token ids with `table` [V, C].
    offsets: [B + 1] int64, on the CPU.
    h0, c0, mask: [D, B, H]; `mask` multiplies the state where it enters `w_hh`.
    """

    cell: str
    reverse: bool
    x: Tensor
    offsets: Tensor
    table: Tensor | None
    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None
    b_hh: Tensor | None
    w_ih_reverse: Tensor | None
    w_hh_reverse: Tensor | None
    b_ih_reverse: Tensor | None
    b_hh_reverse: Tensor | None
    h0: Tensor | None
    c0: Tensor | None
    mask: Tensor | None

    @property
    def directions(self) -> tuple[Matrices, ...]:
        """The parameters of each direction."""
        first = Matrices(self.w_ih, self.w_hh, self.b_ih, self.b_hh)
        if self.w_ih_reverse is None or self.w_hh_reverse is None:
            return (first,)
        return first, Matrices(self.w_ih_reverse, self.w_hh_reverse, self.b_ih_reverse, self.b_hh_reverse)

    @property
    def differentiable(self) -> tuple[Tensor | None, ...]:
        """The weights, then the first states: what has a gradient, besides the input."""
        return (*(getattr(self, name) for name in WEIGHTS), self.h0, self.c0)

    @property
    def state(self) -> tuple[int, int, int]:
        """The shape [D, B, H] of a state."""
        return len(self.directions), self.offsets.shape[0] - 1, self.w_hh.shape[1]


WEIGHTS = Operands._fields[Operands._fields.index("w_ih") : Operands._fields.index("h0")]
"""The operands that are parameters, those of the first direction first."""


class Found(NamedTuple):
    """What a layer left when it ran forward, and the gradients that came to its outputs, None for zeros."""

    h: Tensor  # [N, D * H]
    gates: Tensor  # [D, N, G * H]
    memo: Tensor  # [D, N, H]
    dh: Tensor | None
    dhn: Tensor | None
    dcn: Tensor | None
    need_dx: bool
    recompute: bool


def schema(records: Iterable[type[Any]], more: str = "") -> str:
    """Write the arguments of an operator that takes the fields of records, one after the other.

    >>> schema([Matrices])
    'Tensor w_ih, Tensor w_hh, Tensor? b_ih, Tensor? b_hh'
    """
    fields = [f"{_TORCH[kind]} {name}" for record in records for name, kind in get_type_hints(record).items()]
    return ", ".join([*fields, more] if more else fields)
