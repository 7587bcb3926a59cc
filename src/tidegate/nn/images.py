"""Modules over images: blocks as cells, layers along rows and columns, and images as sequences."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

import tidegate.network as nodes
from tidegate.errors import ShapeError
from tidegate.grid import Grid
from tidegate.nn.layers import layer_of
from tidegate.nn.recurrent import Recurrent
from tidegate.ragged import Ragged


class Fold(torch.nn.Module):
    """Put the cells of each block side by side; see `network.Fold`."""

    def __init__(self, node: nodes.Fold) -> None:
        super().__init__()
        self.block = node.block

    def forward(self, grid: Grid) -> Grid:
        """Return [N', rows * columns * C]."""
        rows, columns = self.block
        stack, sizes = grid.to_padded()  # [B, H, W, C]
        B, H, W, C = stack.shape
        filled = torch.nn.functional.pad(stack, (0, 0, 0, -W % columns, 0, -H % rows))
        blocks = filled.reshape(B, -(-H // rows), rows, -(-W // columns), columns, C)
        cells = blocks.permute(0, 1, 3, 2, 4, 5).flatten(3)  # [B, H', W', rows * columns * C]
        return Grid.from_padded(cells, -(-np.asarray(sizes) // np.array(self.block)))


class _Reordered(torch.autograd.Function):
    """Put rows [N, ...] in an order [N] whose inverse is known: the gradient is then no sum by index, but put back."""

    generate_vmap_rule = True

    @staticmethod
    def forward(rows: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        return rows.index_select(0, order)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[1:])
        ctx.save_for_forward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        order, inverse = ctx.saved_tensors
        return _reordered(grad, inverse, order), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        order, inverse = ctx.saved_tensors
        return _reordered(tangent, order, inverse)


def _reordered(rows: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    found: Tensor = _Reordered.apply(rows, order, inverse)  # type: ignore[no-untyped-call]
    return found


class Scan2d(torch.nn.Module):
    """Run a layer along the rows of images, then another along their columns; see `network.Scan2d`."""

    def __init__(self, node: nodes.Scan2d) -> None:
        super().__init__()
        for axis, layer in node.passes.items():
            merge = layer.merge if layer.bidirectional else "concat"
            made = layer_of(layer.cell)(
                layer.input_size, layer.hidden_size, bidirectional=layer.bidirectional, merge=merge
            )
            self.add_module(axis, made)

    def forward(self, grid: Grid) -> Grid:
        """Return [N, F]."""
        for axis, layer in self.named_children():
            run = cast(Recurrent, layer)
            if axis == "rows":  # whose cells lie in their order
                read, _ = run(Ragged(grid.values, torch.from_numpy(grid.rows().offsets)))
                grid = grid.with_values(read.values)
                continue
            columns = grid.columns()
            order = torch.from_numpy(columns.cells)
            back = torch.empty_like(order).index_copy_(0, order, torch.arange(len(order)))
            read, _ = run(Ragged(_reordered(grid.values, order, back), torch.from_numpy(columns.offsets)))
            grid = grid.with_values(_reordered(read.values, back, order))
        return grid


class Flatten(torch.nn.Module):
    """Make a sequence over one axis of images; see `network.Flatten`."""

    def __init__(self, node: nodes.Flatten) -> None:
        super().__init__()
        self.axis, self.mode, self.cells = node.axis, node.mode, node.cells

    def forward(self, grid: Grid) -> Ragged:
        """Return [N', C], or [N', cells * C]."""
        stack, sizes = grid.to_padded()  # [B, H, W, C]
        across = torch.as_tensor(sizes)[:, 0 if self.axis == "x" else 1]
        along = torch.as_tensor(sizes)[:, 1 if self.axis == "x" else 0]
        steps: Tensor = stack.transpose(1, 2) if self.axis == "x" else stack  # [B, steps, across, C]
        if self.mode == "sum":
            found = steps.sum(dim=2)
        elif self.mode == "last":
            last = (across - 1).clamp(min=0)[:, None, None, None].expand(-1, steps.shape[1], 1, steps.shape[3])
            found = steps.gather(2, last)[:, :, 0] if steps.shape[2] else steps.sum(dim=2)
        else:
            cells = self.cells or 1
            if steps.shape[2] > cells:
                raise ShapeError(
                    f"{steps.shape[2]} cells lie across a step of an image, and {cells} is the most it can hold."
                )
            found = torch.nn.functional.pad(steps, (0, 0, 0, cells - steps.shape[2])).flatten(2)
        return Ragged.from_padded(found, along)


class Unflatten(torch.nn.Module):
    """Make an image of each sequence; see `network.Unflatten`."""

    def __init__(self, node: nodes.Unflatten) -> None:
        super().__init__()
        self.axis, self.cells, self.features = node.axis, node.cells, node.features

    def forward(self, batch: Ragged) -> Grid:
        """Return [N * cells, features]."""
        steps = torch.as_tensor(batch.lengths)
        cells = torch.full_like(steps, self.cells)
        by_rows = batch.values.reshape(-1, self.features)
        if self.axis == "y":
            return Grid(by_rows, steps, cells)
        turned = Grid(by_rows, steps, cells).columns()
        return Grid(by_rows[torch.from_numpy(turned.cells)], cells, steps)
