"""Random cases for the kernel tests, and the reference run over all of their sequences. Imports nothing of torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import reference
from tidegate import kernels
from tidegate.cells import CELLS

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """Inputs of one layer in the number type of the test."""

    cell: str
    ids: Array  # [N]
    table: Array  # [V, C]
    offsets: Array  # [B+1]
    directions: tuple[kernels.Direction, ...]
    dh: Array  # [N, D*H]
    dhn: Array  # [D, B, H]
    dcn: Array | None  # [D, B, H]

    @property
    def x(self) -> Array:
        return self.table[self.ids]

    def forward(self, **options: Any) -> kernels.Forward:
        return kernels.forward(self.cell, self.x, self.offsets, self.directions, keep=True, **options)

    def backward(self, run: kernels.Forward, *, steps: bool = True, **options: Any) -> kernels.Gradients:
        return kernels.backward(
            self.cell, self.x, self.offsets, self.directions, run, self.dh,
            dhn=self.dhn, dcn=self.dcn, steps=steps, **options,
        )  # fmt: skip

    def select(self, sequences: list[int]) -> Case:
        """Take these sequences alone, in this order."""
        tokens = np.concatenate(
            [np.arange(self.offsets[b], self.offsets[b + 1]) for b in sequences] or [np.zeros(0)]
        ).astype(int)
        lengths = np.diff(self.offsets)[sequences]

        def rows(array: Array | None) -> Array | None:
            return None if array is None else array[sequences]

        directions = tuple(replace(d, h0=rows(d.h0), c0=rows(d.c0), mask=rows(d.mask)) for d in self.directions)
        return Case(
            self.cell,
            self.ids[tokens],
            self.table,
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            directions,
            self.dh[tokens],
            self.dhn[:, sequences],
            None if self.dcn is None else self.dcn[:, sequences],
        )


def make(
    cell: str,
    lengths: list[int],
    C: int,
    H: int,
    *,
    kind: Any = np.float32,
    directions: int = 2,
    bias: bool = True,
    states: bool = True,
    mask: bool = False,
    seed: int = 0,
) -> Case:
    """Draw a case; direction 1 runs from the end."""
    rng = np.random.default_rng([seed, C, H, len(lengths), directions])
    B, N, V, card = len(lengths), int(np.sum(lengths, dtype=int)), 11, CELLS[cell]
    G = card.gates

    def normal(*shape: int, scale: float = 1.0) -> Array:
        return (rng.normal(size=shape) * scale).astype(kind)

    def one(d: int) -> kernels.Direction:
        return kernels.Direction(
            normal(G * H, C, scale=C**-0.5),
            normal(G * H, H, scale=0.7 * H**-0.5),
            normal(G * H, scale=0.3) if bias else None,
            normal(G * H, scale=0.3) if bias else None,
            reverse=d == 1,
            h0=normal(B, H, scale=0.5) if states else None,
            c0=normal(B, H) if states and card.carries_c else None,
            mask=((rng.random((B, H)) < 0.75) / 0.75).astype(kind) if mask else None,
        )

    return Case(
        cell,
        rng.integers(0, V, N),
        normal(V, C),
        np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
        tuple(one(d) for d in range(directions)),
        normal(N, directions * H),
        normal(directions, B, H),
        normal(directions, B, H) if card.carries_c else None,
    )


def flat(run: kernels.Forward, gradients: kernels.Gradients) -> dict[str, Array]:
    """Name every array that a forward and a backward call gave."""
    arrays = {"h": run.h, "hn": run.hn, "cn": run.cn, "gates": run.gates, "memo": run.memo, "dx": gradients.dx}
    arrays |= {"dh_steps": gradients.dh_steps, "dc_steps": gradients.dc_steps}
    for d, g in enumerate(gradients.directions):
        arrays |= {f"{name}.{d}": getattr(g, name) for name in ("w_ih", "w_hh", "b_ih", "b_hh", "h0", "c0")}
    return {name: array for name, array in arrays.items() if array is not None}


def expected(case: Case) -> dict[str, Array]:
    """Run the reference over every sequence of a case, under the names of `flat`."""
    D, B, H = len(case.directions), len(case.offsets) - 1, case.directions[0].w_hh.shape[1]
    N, C, card = len(case.ids), case.table.shape[1], CELLS[case.cell]
    G = card.gates
    x, dh = case.x.astype(np.float64), case.dh.astype(np.float64)
    out: dict[str, Array] = {"h": np.zeros((N, D * H)), "hn": np.zeros((D, B, H)), "dx": np.zeros((N, C))}
    out["dh_steps"] = np.zeros((D, N, H))
    if card.gated:
        out |= {"gates": np.zeros((D, N, G * H)), "memo": np.zeros((D, N, H))}
    if card.carries_c:
        out |= {"cn": np.zeros((D, B, H)), "dc_steps": np.zeros((D, N, H))}
    for d, direction in enumerate(case.directions):
        w = _weights(direction, G * H)
        total = reference.Weights(*(np.zeros_like(v) for v in vars(w).values()))
        h0, c0 = np.zeros((B, H)), np.zeros((B, H))
        for b in range(B):
            tokens = slice(case.offsets[b], case.offsets[b + 1])
            run = reference.forward(
                case.cell,
                x[tokens],
                w,
                _row(direction.h0, b, H),
                _row(direction.c0, b, H),
                None if direction.mask is None else _row(direction.mask, b, H),
                direction.reverse,
            )
            columns = slice(d * H, (d + 1) * H)
            dcn = np.zeros(H) if case.dcn is None else case.dcn[d, b].astype(np.float64)
            g = reference.backward(
                case.cell, x[tokens], w, run, dh[tokens, columns], case.dhn[d, b].astype(np.float64), dcn
            )
            out["h"][tokens, columns], out["hn"][d, b] = run.h, run.hn
            out["dx"][tokens] += g.x
            out["dh_steps"][d, tokens] = g.h
            h0[b], c0[b] = g.h0, g.c0
            for name, part in vars(g.weights).items():
                vars(total)[name] += part
            if card.gated:
                out["gates"][d, tokens], out["memo"][d, tokens] = run.gates, run.memo
            if card.carries_c:
                out["cn"][d, b], out["dc_steps"][d, tokens] = run.cn, g.c
        out |= {f"{name}.{d}": value for name, value in vars(total).items()} | {f"h0.{d}": h0}
        if card.carries_c:
            out[f"c0.{d}"] = c0
    return out


def _weights(d: kernels.Direction, GH: int) -> reference.Weights:
    biases = [np.zeros(GH) if b is None else b.astype(np.float64) for b in (d.b_ih, d.b_hh)]
    return reference.Weights(d.w_ih.astype(np.float64), d.w_hh.astype(np.float64), *biases)


def _row(array: Array | None, b: int, H: int) -> Array:
    return np.zeros(H) if array is None else array[b].astype(np.float64)
