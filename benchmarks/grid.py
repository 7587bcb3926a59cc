"""How fast are scans of images beside the same in PyTorch, and how near the peak do they come?

Images of 12 x 24 to 12 x 60 cells, as lines of handwriting folded by four, 16 in a batch and 16 features a cell, in
four directions, forward and backward, with 16 to 64 hidden units. The stable cell of grids beside a loop over
diagonals: PyTorch pads the batch and runs all rows of all images at once, as a user would write it; once more with a
compiled step, where that works. ReNet beside PyTorch's LSTM, over all rows of the padded stack and then over all its
columns. Before, all must give the same output, with packed rows there. Rounds alternate in one process; times are of
the processor.

    python -m benchmarks.grid [--rounds 5] [--threads 1] [--scans grid,renet]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from benchmarks import command
from benchmarks.ctc import timed
from benchmarks.peak import measure
from benchmarks.race import Outcome
from benchmarks.record import OURS, machine, save
from tidegate import kernels
from tidegate.grid import Grid
from tidegate.network import Network, Scan2d
from tidegate.nn import GridLSTM, build

FEATURES, DIRECTIONS, IMAGES, HEIGHT = 16, 4, 16, 12
UNITS = (16, 32, 64)
Ways: TypeAlias = dict[str, Callable[[], object]]


def images() -> Grid:
    """Draw the batch."""
    rng = np.random.default_rng(0)
    widths = rng.integers(24, 61, IMAGES)
    return Grid.from_list([torch.from_numpy(rng.standard_normal((HEIGHT, w, FEATURES)).astype("f4")) for w in widths])


def step(sums: Tensor, live: Tensor, h: Tensor, c: Tensor, w_x: Tensor, w_y: Tensor) -> tuple[Tensor, Tensor]:
    """Take all rows [B, h] of a diagonal on, from states [B, h, H]."""
    h_y, c_y = (torch.nn.functional.pad(state[:, :-1], (0, 0, 1, 0)) for state in (h, c))
    i, f, share, g, o = (sums + h @ w_x.T + h_y @ w_y.T).chunk(5, dim=-1)
    part = torch.sigmoid(share)
    c = torch.sigmoid(f) * (part * c + (1 - part) * c_y) + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c) * live, c * live


class Theirs:
    """Run all directions, each over the stack turned so that it begins at the top left."""

    def __init__(self, layer: GridLSTM, take: Callable[..., tuple[Tensor, Tensor]]) -> None:
        self.corners = [list(corner.parameters()) for corner in layer.children()]
        self.take = take

    def __call__(self, stacks: list[Tensor], inside: list[Tensor]) -> list[Tensor]:
        """Return what each direction gives, turned as the stacks are."""
        return [self.one_way(x, mask, *own) for x, mask, own in zip(stacks, inside, self.corners, strict=True)]

    def one_way(self, x: Tensor, inside: Tensor, w_ih: Tensor, w_x: Tensor, w_y: Tensor, bias: Tensor) -> Tensor:
        """Run from the top left over [B, h, w, C], of which `inside` [B, h, w, 1] is no padding."""
        B, rows, columns, _ = x.shape
        sums, live = (skewed(cells) for cells in (torch.nn.functional.linear(x, w_ih, bias) * inside, inside))
        h = c = x.new_zeros(B, rows, w_x.shape[1])
        found = []
        for d in range(rows + columns - 1):
            h, c = self.take(sums[:, :, d], live[:, :, d], h, c, w_x, w_y)
            found.append(h)
        whole = torch.stack(found, dim=2)  # [B, h, h + w - 1, H]
        return torch.stack([whole[:, y, y : y + columns] for y in range(rows)], dim=1)


def skewed(cells: Tensor) -> Tensor:
    """Move each row by one cell more than the row above, so that a diagonal becomes a column."""
    rows = cells.shape[1]
    pad = torch.nn.functional.pad
    return torch.stack([pad(cells[:, y], (0, 0, y, rows - 1 - y)) for y in range(rows)], dim=1)


def turned(grid: Grid) -> tuple[list[Tensor], list[Tensor]]:
    """Return a padded stack for each direction, and where it is not padding; padding is not turned to the front."""
    stacks, masks = [], []
    for d in range(DIRECTIONS):
        order = torch.from_numpy(grid.flipped(across=bool(d & 1), down=bool(d & 2)))
        stacks.append(grid.with_values(grid.values[order]).to_padded()[0])
        masks.append(grid.with_values(torch.ones(len(order), 1)).to_padded()[0])
    return stacks, masks


def flat(grid: Grid, outputs: list[Tensor]) -> Tensor:
    """Put what the directions gave side by side, [N, D * H]."""
    found = []
    for d, output in enumerate(outputs):
        order = torch.from_numpy(grid.flipped(across=bool(d & 1), down=bool(d & 2)))
        found.append(Grid.from_padded(output, grid.sizes).values[order])
    return torch.cat(found, dim=1)


def ours(layer: GridLSTM, grid: Grid) -> list[Tensor]:
    """Run all directions at once."""
    return [layer(grid).values]


def back_and_forth(run: Callable[[], list[Tensor]]) -> None:
    """Run forward, and back from the sum of all outputs."""
    torch.autograd.backward([output.sum() for output in run()])


def compiled(layer: GridLSTM, given: Any) -> Theirs | None:
    """Compile the step of the loop; None where that fails."""
    made = Theirs(layer, torch.compile(step))
    try:
        back_and_forth(partial(made, *given))
    except RuntimeError as error:
        print(f"torch.compile: {str(error).splitlines()[0]}")
        return None
    return made


class Rows(torch.nn.Module):
    """Run PyTorch's LSTM along all rows of a padded stack from both ends, and another along all columns."""

    def __init__(self, H: int, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.rows = torch.nn.LSTM(FEATURES, H, batch_first=True, bidirectional=True)
        self.columns = torch.nn.LSTM(2 * H, H, batch_first=True, bidirectional=True)
        self.load_state_dict(weights)

    def forward(self, stack: Tensor, sizes: Any, *, packed: bool = False) -> Tensor:
        """Return [B, h, w, 2 * H]; where rows are not packed, those that run back begin in the padding."""
        B, h, w, C = stack.shape
        lines: Any = stack.reshape(B * h, w, C)
        if packed:
            lengths = torch.as_tensor(sizes[:, 1]).repeat_interleave(h)
            lines = torch.nn.utils.rnn.pack_padded_sequence(lines, lengths, batch_first=True, enforce_sorted=False)
            lines = torch.nn.utils.rnn.pad_packed_sequence(self.rows(lines)[0], batch_first=True)[0]
        else:
            lines = self.rows(lines)[0]
        turned = lines.reshape(B, h, w, -1).transpose(1, 2).reshape(B * w, h, -1)
        found: Tensor = self.columns(turned)[0].reshape(B, w, h, -1)
        return found.transpose(1, 2)


def diagonals(H: int, grid: Grid) -> Ways:
    """Prepare the stable cell, and check that all give the same."""
    layer, given = GridLSTM(FEATURES, H), turned(grid)
    theirs = Theirs(layer, step)
    agree(layer(grid).values, flat(grid, theirs(*given)))
    ways: Ways = {
        OURS: partial(back_and_forth, partial(ours, layer, grid)),
        "torch, padded": partial(back_and_forth, partial(theirs, *given)),
    }
    if made := compiled(layer, given):
        ways["torch, compiled"] = partial(back_and_forth, partial(made, *given))
    return ways


def lines(H: int, grid: Grid) -> Ways:
    """Prepare ReNet, and check that all give the same."""
    scan: Any = build(Network.of(Scan2d(input_size=FEATURES, hidden_size=H)))
    theirs = Rows(H, {name.removeprefix("0."): value for name, value in scan.state_dict().items()})
    stack, sizes = grid.to_padded()
    agree(scan(grid).values, Grid.from_padded(theirs(stack, sizes, packed=True), grid.sizes).values)
    return {
        OURS: partial(back_and_forth, lambda: [scan(grid).values]),
        "torch, padded": partial(back_and_forth, lambda: [theirs(stack, sizes)]),
    }


SCANS = {"grid": diagonals, "renet": lines}


def agree(mine: Tensor, others: Tensor) -> None:
    """End where outputs differ by more than rounding."""
    difference = float((mine - others).detach().abs().max())
    if difference > 1e-5:
        raise SystemExit(f"the outputs differ by {difference}")


def raced(ways: Ways, rounds: int) -> Outcome:
    """Take turns, each after a while in which the threads of others fall asleep; the first round warms up."""
    outcome = Outcome()
    for number in range(rounds + 1):
        for name, work in ways.items():
            seconds = timed(work, time.process_time)
            if number:
                outcome.add(name, seconds)
    return outcome


def run(rounds: int, threads: int, scans: Sequence[str]) -> None:
    """Compare, print and keep the samples."""
    where, grid = machine(threads), images()
    peak = measure(1)["FMA in registers, GFLOP/s"] * 1e9
    kernels.set_num_threads(threads)
    torch.set_num_threads(threads)
    cells = len(grid.values)
    # of the four directions: products with the matrices of what is read and of the states before
    multiplied = {"grid": lambda H: 20 * H * (FEATURES + 2 * H), "renet": lambda H: 8 * H * (FEATURES + 4 * H)}
    for name in scans:
        for H in UNITS:
            outcome = raced(SCANS[name](H, grid), rounds)
            middle = {way: statistics.median(seconds) for way, seconds in outcome.seconds.items()}
            best = min(value for way, value in middle.items() if way != OURS)
            operations = 2 * 3 * cells * multiplied[name](H)
            figures = {
                "best of torch / tidegate": best / middle[OURS],
                "share of FMA peak": operations / middle[OURS] / peak,
            }
            setting = {"hidden": H, "features": FEATURES, "directions": DIRECTIONS, "images": IMAGES, "cells": cells}
            told = f"{name}-{H}"
            save(told, __doc__, where, setting=setting, outcome=outcome, tokens=cells, figures=figures, peak=peak)
            for way, value in (middle | figures).items():
                print(f"{told} {way}: {value:.4f}", flush=True)


def main() -> None:
    """Answer the question."""
    parser = command.parser(__doc__)
    parser.add_argument("--scans", default=",".join(SCANS))
    args = parser.parse_args()
    run(args.rounds, args.threads, args.scans.split(","))


if __name__ == "__main__":
    main()
