"""Random images for the tests of cells of grids, and the reference run over them in every direction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import reference
from tidegate import kernels

Array = NDArray[Any]


@dataclass(frozen=True)
class Images:
    """Inputs of one layer in the number type of the test."""

    cell: str
    x: Array  # [N, C]
    sizes: Array  # [B, 2]
    parameters: Array  # flat
    dh: Array  # [N, D*H]
    hidden: int
    directions: int

    def run(self, **options: Any) -> dict[str, Array]:
        ran = kernels.grid_forward(
            self.cell, self.x, self.sizes, self.parameters,
            hidden_size=self.hidden, directions=self.directions, keep=True, **options,
        )  # fmt: skip
        dx, gradient = kernels.grid_backward(self.cell, self.x, self.sizes, self.parameters, ran, self.dh, **options)
        assert dx is not None
        return {"h": ran.h, "dx": dx, "gradient": gradient}

    @property
    def begins(self) -> Array:
        return np.concatenate([[0], np.cumsum(self.sizes.prod(axis=1))]).astype(int)

    def select(self, images: list[int]) -> Images:
        """Take these images alone, in this order."""
        begins = self.begins
        cells = np.concatenate([np.arange(begins[b], begins[b + 1]) for b in images] or [np.zeros(0)]).astype(int)
        return replace(self, x=self.x[cells], sizes=self.sizes[images], dh=self.dh[cells])

    def weights(self) -> list[reference.GridWeights]:
        C, H = self.x.shape[1], self.hidden
        found = []
        for flat in self.parameters.astype(np.float64).reshape(self.directions, -1):
            parts = np.split(flat, np.cumsum([5 * H * C, 5 * H * H, 5 * H * H]))
            shapes = (5 * H, C), (5 * H, H), (5 * H, H), (5 * H,)
            found.append(reference.GridWeights(*(p.reshape(s) for p, s in zip(parts, shapes, strict=True))))
        return found

    def expected(self) -> dict[str, Array]:
        """Run the reference over every image in every direction: 0 from the top left, 1 right, 2 and 3 from below."""
        h, dx = np.zeros(self.dh.shape), np.zeros(self.x.shape)
        gradients = []
        for d, w in enumerate(self.weights()):
            total = reference.GridWeights(*(np.zeros_like(v) for v in (w.w_ih, w.w_x, w.w_y, w.bias)))
            units = slice(d * self.hidden, (d + 1) * self.hidden)
            for (rows, columns), begin, end in zip(self.sizes, self.begins[:-1], self.begins[1:], strict=True):
                image = self.x[begin:end].astype(np.float64).reshape(rows, columns, self.x.shape[1])
                dh = self.dh[begin:end, units].astype(np.float64).reshape(rows, columns, self.hidden)
                run = reference.grid_forward(self.cell, image, w, bool(d & 1), bool(d & 2))
                back, own = reference.grid_backward(self.cell, image, w, run, dh, bool(d & 1), bool(d & 2))
                h[begin:end, units] = run["h"].reshape(end - begin, self.hidden)
                dx[begin:end] += back.reshape(end - begin, self.x.shape[1])
                for name, value in vars(own).items():
                    getattr(total, name)[...] += value
            gradients += [total.w_ih.ravel(), total.w_x.ravel(), total.w_y.ravel(), total.bias]
        return {"h": h, "dx": dx, "gradient": np.concatenate(gradients)}


def make(
    cell: str,
    sizes: list[tuple[int, int]],
    C: int,
    H: int,
    *,
    kind: type = np.float32,
    directions: int = 4,
    seed: int = 0,
) -> Images:
    rng = np.random.default_rng(seed)
    N = sum(rows * columns for rows, columns in sizes)

    def draw(*shape: int, scale: float = 1.0) -> Array:
        return (rng.standard_normal(shape) * scale).astype(kind)

    parameters = draw(kernels.grid_parameters(directions, C, H), scale=1.5 / np.sqrt(C + 2 * H))
    return Images(
        cell, draw(N, C), np.array(sizes, np.int64).reshape(-1, 2), parameters, draw(N, directions * H), H, directions
    )
