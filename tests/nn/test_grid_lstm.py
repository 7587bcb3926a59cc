"""GridLSTM: as its equations in torch's own operators, with every derivative, over a Grid or a padded stack."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, func

import reference
from tidegate.cells import GRID_CELLS
from tidegate.errors import InputError, OptionError, ShapeError
from tidegate.grid import Grid
from tidegate.nn import GridLSTM, grids
from tidegate.ragged import Ragged

SIZES = [(3, 4), (0, 2), (1, 1), (5, 2), (2, 0), (1, 6)]


def images(features: int, *, seed: int = 0) -> Grid:
    torch.manual_seed(seed)
    return Grid.from_list([torch.randn(*size, features, dtype=torch.float64) for size in SIZES])


def layer(cell: str, directions: int = 4, merge: str = "concat") -> GridLSTM:
    torch.manual_seed(1)
    return GridLSTM(3, 5, cell=cell, directions=directions, merge=merge, dtype=torch.float64)  # type: ignore[arg-type]


def gradients(own: GridLSTM, h: Tensor, x: Tensor) -> list[Tensor]:
    torch.manual_seed(2)
    return list(torch.autograd.grad((h * torch.randn_like(h)).sum(), [x, *own.parameters()]))


@pytest.mark.parametrize("cell", GRID_CELLS)
@pytest.mark.parametrize(("directions", "merge"), [(1, "concat"), (2, "mul"), (4, "ave"), (4, "sum"), (4, "concat")])
def test_the_kernels_give_what_the_equations_give(cell: str, directions: int, merge: str) -> None:
    own, grid = layer(cell, directions, merge), images(3)
    x = grid.values.requires_grad_()
    h = own(grid.with_values(x)).values
    flat = torch.cat([parameter.flatten() for parameter in own.parameters()])
    (want,) = grids._equations(cell, 5, directions, x, torch.from_numpy(grid.sizes), flat)
    parts = want.reshape(len(x), directions, 5)
    want = {"concat": want, "mul": parts.prod(1), "ave": parts.mean(1), "sum": parts.sum(1)}[merge]
    torch.testing.assert_close(h, want)
    for found, wanted in zip(gradients(own, h, x), gradients(own, want, x), strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("cell", GRID_CELLS)
def test_a_direction_is_what_the_reference_gives_from_its_corner(cell: str) -> None:
    own = layer(cell)
    image = torch.randn(4, 3, 3, dtype=torch.float64)
    got = own(image[None])[0].detach().numpy()
    for d, corner in enumerate(("top_left", "top_right", "bottom_left", "bottom_right")):
        w = own.get_submodule(corner)
        arrays = (getattr(w, name).detach().numpy() for name in ("weight_ih", "weight_x", "weight_y", "bias"))
        run = reference.grid_forward(cell, image.numpy(), reference.GridWeights(*arrays), "right" in corner, d > 1)
        np.testing.assert_allclose(got[..., 5 * d : 5 * d + 5], run["h"], atol=1e-14)


@pytest.mark.parametrize("cell", GRID_CELLS)
def test_gradcheck_and_second_derivatives(cell: str) -> None:
    own = GridLSTM(2, 1, cell=cell, directions=2, dtype=torch.float64)  # type: ignore[arg-type]
    x = torch.randn(2, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    sizes = torch.tensor([[2, 3], [1, 2]])
    names = [name for name, _ in own.named_parameters()]

    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        found: Tensor = torch.func.functional_call(own, dict(zip(names, parameters, strict=True)), (x, sizes))
        return found

    given = (x, *(parameter.detach().requires_grad_() for parameter in own.parameters()))
    assert torch.autograd.gradcheck(run, given)
    assert torch.autograd.gradgradcheck(run, given, fast_mode=True)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own forward mode
@pytest.mark.parametrize("form", ["stack", "sizes", "grid"])
@pytest.mark.parametrize("cell", GRID_CELLS)
def test_the_transforms_of_torch_give_what_autograd_gives(cell: str, form: str) -> None:
    own, stack, sizes = layer(cell), torch.randn(2, 2, 3, 3, dtype=torch.float64), torch.tensor([[2, 3], [1, 2]])
    grid = Grid.from_padded(stack, sizes)

    def loss(x: Tensor) -> Tensor:
        if form == "grid":
            return own(grid.with_values(x)).values.pow(3).sum()  # type: ignore[no-any-return]
        return own(x, sizes if form == "sizes" else None).pow(3).sum()  # type: ignore[no-any-return]

    x = (grid.values if form == "grid" else stack).requires_grad_()
    (wanted,) = torch.autograd.grad(loss(x), x, create_graph=True)
    along = torch.randn_like(x)
    bend = torch.autograd.grad((wanted * along).sum(), x)[0]
    x, wanted = x.detach(), wanted.detach()
    rows = torch.stack([x, x])
    for found in (func.grad(loss)(x), func.jacrev(loss)(x), func.jacfwd(loss)(x), func.vmap(func.grad(loss))(rows)[1]):
        torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(func.vmap(loss)(rows)[1], loss(x).detach())
    torch.testing.assert_close(func.jvp(loss, (x,), (along,))[1], (wanted * along).sum())
    torch.testing.assert_close(func.jvp(func.grad(loss), (x,), (along,))[1], bend)


def test_torch_export_takes_stacks_and_refuses_what_it_cannot_follow() -> None:
    own, stack = GridLSTM(3, 5), torch.randn(2, 3, 4, 3)
    assert torch.equal(torch.export.export(own, (stack,)).module()(stack), own(stack))
    with pytest.raises(InputError, match=r"Export over a stack \[B, H, W, C\] without sizes; .*to_onnx"):
        torch.export.export(own, (stack, torch.tensor([[3, 4], [1, 2]])))


def test_a_stack_without_an_image_or_a_cell_gives_one() -> None:
    own = layer("stable", 2, "sum")
    for shape in ((0, 2, 3), (2, 0, 3), (2, 3, 0)):
        assert own(torch.zeros(*shape, 3, dtype=torch.float64)).tolist() == torch.zeros(*shape, 5).tolist()


def test_the_graph_can_be_gone_back_through_twice() -> None:
    own, grid = layer("mdlstm"), images(3)
    x = grid.values.requires_grad_()
    loss = own(grid.with_values(x)).values.square().sum()
    first = torch.autograd.grad(loss, x, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(loss, x)[0], first, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_padded_stack_gives_the_bits_of_its_images_and_zeros_around_them(dtype: torch.dtype) -> None:
    own, grid = layer("stable").to(dtype), images(3)
    grid = grid.with_values(grid.values.to(dtype))
    stack, sizes = grid.to_padded(fill=float("nan"))
    stack = torch.nn.functional.pad(stack, (0, 0, 0, 1, 0, 2), value=float("nan"))
    got = own(stack, sizes)
    assert got.shape == (*stack.shape[:3], 20)
    for b, image in enumerate(own(grid)):
        rows, columns = image.shape[:2]
        torch.testing.assert_close(got[b, :rows, :columns], image, rtol=0, atol=0)
        assert not got[b, rows:].any()
        assert not got[b, :, columns:].any()


def test_what_does_not_fit_is_refused() -> None:
    own, grid = layer("stable"), images(3)
    with pytest.raises(ShapeError, match=r"\[N, 2\], but GridLSTM\(3, 5\) wants"):
        own(torch.zeros(1, 2, 2, 2, dtype=torch.float64))
    with pytest.raises(ShapeError, match="float32"):
        own(torch.zeros(1, 2, 2, 3))
    with pytest.raises(ShapeError, match="Leave them out"):
        own(grid, torch.zeros(6, 2, dtype=torch.int64))
    with pytest.raises(ShapeError, match=r"Tensor \[1, 2, 2\]; wanted a Grid, or a torch tensor \[B, H, W, C\]"):
        own(torch.zeros(1, 2, 2, dtype=torch.float64))
    with pytest.raises(ShapeError, match=r"ndarray \[1, 2, 2, 3\]; wanted a Grid"):
        own(np.zeros((1, 2, 2, 3)))
    with pytest.raises(ShapeError, match="Ragged"):
        own(Ragged.from_list([torch.zeros(2, 3)]))
    with pytest.raises(ShapeError, match="holds NumPy arrays"):
        own(Grid.from_list([np.zeros((2, 2, 3))]))
    for kind in (torch.float16, torch.bfloat16):
        with pytest.raises(ShapeError, match=rf"the layer is {kind}, .* take float32 or float64"):
            GridLSTM(3, 5, dtype=kind)(torch.zeros(1, 2, 2, 3, dtype=kind))
    with pytest.raises(OptionError, match="stable"):
        GridLSTM(3, 5, cell="lstm")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="concat"):
        GridLSTM(3, 5, merge="max")
    with pytest.raises(InputError, match="directions=3"):
        GridLSTM(3, 5, directions=3)
    with pytest.raises(InputError, match="hidden_size=0"):
        GridLSTM(3, 0)


def test_a_layer_says_what_it_is() -> None:
    assert repr(GridLSTM(3, 5)).startswith("GridLSTM(\n  3, 5\n")
    assert "cell='mdlstm', directions=2, merge='sum'" in repr(GridLSTM(3, 5, cell="mdlstm", directions=2, merge="sum"))
