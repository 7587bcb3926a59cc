"""Cells of grids as a layer of torch: an LSTM over images, whose every step follows two neighbours.

The kernels are operators of torch, opaque to `torch.compile`, so it meets no graph break here. For derivatives beyond
the first the equations stand here as well, wave by wave in torch's own operators.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple, cast, get_args

import numpy as np
import torch
from torch import Tensor

import tidegate.kernels as kernels
from tidegate.cells import GRID_GATES, GridCellName
from tidegate.errors import InputError, OptionError, ShapeError
from tidegate.grid import Grid
from tidegate.nn import transforms
from tidegate.nn.arguments import check_count
from tidegate.nn.operators import num_threads
from tidegate.nodes.waves import CORNERS, MOST_STATE, merged

_CALL = "str cell, int hidden, int directions, Tensor x, Tensor sizes, Tensor parameters"
torch.library.define("tidegate::grid", f"({_CALL}, bool keep) -> (Tensor h, Tensor c, Tensor gates)")
torch.library.define("tidegate::grid_backward", f"({_CALL}, Tensor h, Tensor c, Tensor gates, Tensor dh) -> Tensor[]")


class Corner(torch.nn.Module):
    """Hold the parameters of one direction: of what it reads, of its neighbours along x and y, and the bias."""

    def __init__(self, input_size: int, hidden_size: int, options: dict[str, Any]) -> None:
        super().__init__()
        rows, bound = GRID_GATES * hidden_size, 1 / sqrt(hidden_size)

        def drawn(*shape: int) -> torch.nn.Parameter:
            return torch.nn.Parameter(torch.empty(*shape, **options).uniform_(-bound, bound))

        self.weight_ih = drawn(rows, input_size)
        self.weight_x = drawn(rows, hidden_size)
        self.weight_y = drawn(rows, hidden_size)
        self.bias = drawn(rows)


class GridLSTM(torch.nn.Module):
    """Run an LSTM of two dimensions over images (Graves & Schmidhuber 2008), diagonal by diagonal.

    A cell follows the neighbours before it along x and along y; beyond the border their states are zero. Its gates
    stand as i f l g o where it is "stable" (after Leifert et al. 2016): ``c = f (l c_x + (1 - l) c_y) + i g``; and as
    i f_x f_y g o in an "mdlstm": ``c = f_x c_x + f_y c_y + i g``, held within 50. Then ``h = o tanh(c)``.

    It has every derivative, those of `torch.func` and forward mode as well; `torch.export` takes stacks without sizes.

    Args:
        input_size: C, features of a cell of the image.
        hidden_size: H, units of each direction.
        cell: "stable" or "mdlstm".
        directions: 1 from the top left; 2 from the top right, too; 4 from all corners.
        merge: "concat" puts the directions side by side; "sum", "mul" and "ave" make one of them.
        device: as in torch.
        dtype: as in torch; float32 or float64.

    Each direction has ``weight_ih`` [5 H, C], ``weight_x`` and ``weight_y`` [5 H, H] and ``bias`` [5 H], drawn as torch
    draws those of an LSTM, in a module that is called by its corner, such as ``top_left``.

    Raises:
        InputError: a size is below 1, or there are not 1, 2 or 4 directions.
        OptionError: an unknown cell or way to merge.

    >>> layer = GridLSTM(3, 8, merge="sum")
    >>> list(layer(torch.zeros(2, 5, 7, 3)).shape)
    [2, 5, 7, 8]
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        cell: GridCellName = "stable",
        directions: int = 4,
        merge: str = "concat",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_count("input_size", input_size)
        check_count("hidden_size", hidden_size)
        if cell not in get_args(GridCellName):
            raise OptionError.unknown("cell", str(cell), get_args(GridCellName))
        if merge not in ("concat", "sum", "mul", "ave"):
            raise OptionError.unknown("merge", str(merge), ("concat", "sum", "mul", "ave"))
        if directions not in (1, 2, 4):
            raise InputError(f"directions={directions!r}, but 1, 2 or 4 are wanted.")
        self.input_size, self.hidden_size, self.cell = input_size, hidden_size, cell
        self.directions, self.merge = directions, merge
        for corner in CORNERS[:directions]:
            self.add_module(corner, Corner(input_size, hidden_size, {"device": device, "dtype": dtype}))

    @property
    def output_size(self) -> int:
        """Count the features of each cell that it gives."""
        return self.hidden_size * (self.directions if self.merge == "concat" else 1)

    def forward(self, images: Any, sizes: Any = None) -> Any:
        """Return images of the same sizes, [N, F] in a Grid for a Grid, [B, H, W, F] for a stack.

        Args:
            images: a `Grid` with values [N, C], or a stack [B, H, W, C].
            sizes: of a stack, [B, 2], height and width of each image, where some are padded; what they give is zero
                past their edges.

        Raises:
            ShapeError: features or sizes are others, or the values have another type than the parameters.
            InputError: `torch.export` came by with sizes.
        """
        if sizes is not None and torch.compiler.is_exporting():
            raise InputError(
                "torch.export cannot follow images of different sizes. Export over a stack [B, H, W, C] without sizes; "
                "tidegate.export.to_onnx writes graphs that take sizes."
            )
        if isinstance(images, Grid):
            if not isinstance(images.values, Tensor):
                raise ShapeError("the Grid holds NumPy arrays; torch tensors are wanted. Pass it through nn.to_torch.")
            if sizes is not None:
                raise ShapeError("sizes came beside a Grid, which has its own. Leave them out.")
            return images.with_values(self._run(images.values, images.check()))
        if not isinstance(images, Tensor) or images.ndim != 4:
            came = list(images.shape) if isinstance(images, Tensor | np.ndarray) else ""
            raise ShapeError(f"got a {type(images).__name__} {came}; wanted a Grid, or a torch tensor [B, H, W, C].")
        B, H, W, _ = images.shape
        if sizes is None:
            found = self._run(images.flatten(0, 2), np.array([[H, W]] * B, np.int64).reshape(B, 2))
            return found.reshape(B, H, W, self.output_size)
        grid = Grid.from_padded(images, sizes)
        stack, _ = grid.with_values(self._run(grid.values, grid.sizes)).to_padded()
        padding = (0, 0, 0, W - stack.shape[2], 0, H - stack.shape[1])
        return torch.nn.functional.pad(stack, padding) if any(padding) else stack

    def _run(self, x: Any, sizes: Any) -> Tensor:
        first = next(self.parameters())
        if x.shape[1] != self.input_size or x.dtype != first.dtype:
            raise ShapeError(
                f"the cells are {x.dtype} [N, {x.shape[1]}], but GridLSTM({self.extra_repr()}) wants "
                f"{first.dtype} [N, {self.input_size}]."
            )
        flat = torch.cat([parameter.flatten() for parameter in self.parameters()])
        given = (self.cell, self.hidden_size, self.directions, x)
        if x.device.type == "cpu" and not transforms.at_work():
            if x.dtype not in (torch.float32, torch.float64):
                raise ShapeError(
                    f"the layer is {x.dtype}, but Tidegate's kernels take float32 or float64. Convert it with .float()."
                )
            h: Tensor = grid_lstm(*given, torch.from_numpy(sizes), flat, False)[0]
        else:
            (h,) = _equations(*given, sizes, flat)
        return cast(Tensor, merged(self.merge, h, self.directions))

    def extra_repr(self) -> str:
        """Name the sizes, and what differs from the defaults."""
        others = {"cell": "stable", "directions": 4, "merge": "concat"}
        told = "".join(
            f", {name}={getattr(self, name)!r}" for name, usual in others.items() if getattr(self, name) != usual
        )
        return f"{self.input_size}, {self.hidden_size}{told}"


grid_lstm = torch.ops.tidegate.grid.default
_backward_operator = torch.ops.tidegate.grid_backward.default


@torch.library.impl("tidegate::grid", "CPU")
def _forward(
    cell: str, hidden: int, directions: int, x: Tensor, sizes: Tensor, parameters: Tensor, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    found = kernels.grid_forward(
        cell, *(a.detach().numpy() for a in (x, sizes, parameters)),
        hidden_size=hidden, directions=directions, keep=keep, num_threads=num_threads(),
    )  # fmt: skip
    gates = x.new_empty(0) if found.gates is None else torch.from_numpy(found.gates)
    return torch.from_numpy(found.h), torch.from_numpy(found.c), gates


@torch.library.register_fake("tidegate::grid")  # type: ignore[untyped-decorator]
def _forward_shapes(
    cell: str, hidden: int, directions: int, x: Tensor, sizes: Tensor, parameters: Tensor, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    cells = x.shape[0]
    kept = keep and not kernels.grid_computed_again(int(cells), hidden, x.dtype.itemsize)
    gates = x.new_empty((directions, cells, GRID_GATES * hidden) if kept else 0)
    return x.new_empty(cells, directions * hidden), x.new_empty(directions, cells, hidden), gates


@torch.library.impl("tidegate::grid_backward", "CPU")
def _backward(cell: str, hidden: int, directions: int, *tensors: Tensor) -> list[Tensor]:
    x, sizes, parameters, h, c, gates, dh = (tensor.detach().contiguous().numpy() for tensor in tensors)
    forward = kernels.GridForward(h, c, gates if gates.size else None)
    found = kernels.grid_backward(cell, x, sizes, parameters, forward, dh, num_threads=num_threads())
    return [torch.from_numpy(cast(Any, gradient)) for gradient in found]


@torch.library.register_fake("tidegate::grid_backward")  # type: ignore[untyped-decorator]
def _backward_shapes(cell: str, hidden: int, directions: int, *tensors: Tensor) -> list[Tensor]:
    return [tensors[0].new_empty(tensors[0].shape), tensors[2].new_empty(tensors[2].shape)]


def _run(inputs: Any, keep: bool) -> tuple[Tensor, ...]:
    with torch._C._AutoDispatchBelowAutograd():
        return tuple(grid_lstm(*inputs, keep))


def _gradients(inputs: Any, outputs: Any, grads: Any) -> tuple[Tensor | None, ...]:
    dx, gradient = _backward_operator(*inputs, *outputs, grads[0].contiguous())
    return None, None, None, dx, None, gradient


@torch.library.impl("tidegate::grid", "Autograd")
def _with_gradient(*inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
    found = transforms.call(_KERNEL, *inputs[:-1])
    h = found[0]
    return (h, *found[1:]) if len(found) == 3 else (h, h.new_empty(0), h.new_empty(0))


class _Wave(NamedTuple):
    """Cells that are visited together, and where in the wave before, or one behind its end, their neighbours stand."""

    token: Tensor  # [n]
    along_x: Tensor  # [n]
    along_y: Tensor  # [n]


def _waves(sizes: Any, across: bool, down: bool) -> list[_Wave]:
    """Cut the cells of all images into waves, in the direction that runs against the axes named."""
    heights, widths = sizes.T
    lengths = heights * widths
    image = np.repeat(np.arange(len(sizes)), lengths)
    within = np.arange(len(image)) - (np.cumsum(lengths) - lengths)[image]
    width = widths[image]
    y, x = within // np.maximum(width, 1), within % np.maximum(width, 1)
    y, x = heights[image] - 1 - y if down else y, width - 1 - x if across else x
    order = np.argsort(y + x, kind="stable")
    ends = np.cumsum(np.bincount(y + x)) if len(image) else np.zeros(0, int)
    place = np.empty(len(image), int)
    place[order] = np.arange(len(image)) - (ends - np.bincount(y + x))[(y + x)[order]] if len(image) else 0
    waves, begin, before = list[_Wave](), 0, 0
    for end in ends.tolist():
        token = order[begin:end]
        beside = token + 1 if across else token - 1
        above = token + width[token] if down else token - width[token]
        there = [(x[token] > 0, beside), (y[token] > 0, above)]
        found = [np.where(is_there, place[np.where(is_there, at, 0)], before) for is_there, at in there]
        waves.append(_Wave(*(torch.from_numpy(array) for array in (token, *found))))
        begin, before = end, end - begin
    return waves


def _equations(cell: str, hidden: int, directions: int, x: Tensor, sizes: Any, parameters: Tensor) -> tuple[Tensor]:
    """Compute h [N, D * H] in torch's own operators; `sizes` are no tensor where a transform would wrap that."""
    H, rows = hidden, GRID_GATES * hidden
    flat, outputs = parameters.reshape(directions, -1), []
    widths = [rows * x.shape[1], rows * H, rows * H, rows]
    for d in range(directions):
        w_ih, w_x, w_y, bias = torch.split(flat[d], widths)
        projected = torch.nn.functional.linear(x, w_ih.view(rows, -1), bias)  # [N, 5H]
        h, c = x.new_zeros(1, H), x.new_zeros(1, H)  # of the wave before, and zeros behind it
        found, tokens = [x.new_zeros(0, H)], [torch.zeros(0, dtype=torch.int64)]
        for wave in _waves(np.asarray(sizes), bool(d & 1), bool(d & 2)):
            token, along_x, along_y = (index.to(x.device) for index in wave)
            sums = projected[token] + h[along_x] @ w_x.view(rows, H).T + h[along_y] @ w_y.view(rows, H).T
            c = _state(cell, sums, c[along_x], c[along_y])
            h = torch.sigmoid(sums[:, 4 * H :]) * torch.tanh(c)
            found.append(h)
            tokens.append(wave.token)
            h, c = (torch.cat([state, state.new_zeros(1, H)]) for state in (h, c))
        back = torch.argsort(torch.cat(tokens)).to(x.device)
        outputs.append(torch.cat(found)[back])
    return (torch.cat(outputs, dim=1),)


def _state(cell: str, sums: Tensor, c_x: Tensor, c_y: Tensor) -> Tensor:
    """Return the cell state after a step, [n, H], of the gates before their functions, [n, 5H]."""
    H = c_x.shape[1]
    i, a, b = (torch.sigmoid(sums[:, gate * H : (gate + 1) * H]) for gate in range(3))
    new = i * torch.tanh(sums[:, 3 * H : 4 * H])
    if cell == "stable":
        return a * (b * c_x + (1 - b) * c_y) + new
    return (a * c_x + b * c_y + new).clamp(-MOST_STATE, MOST_STATE)


_KERNEL = transforms.Kernel(_run, _gradients, _equations)
