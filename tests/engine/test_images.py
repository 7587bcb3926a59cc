"""Nodes that read images: against loops over the equations, and what turning, flipping and cutting an image must do."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from programs import NETWORKS, batch_of, weights_of
from reference import Weights, forward
from tidegate import nn
from tidegate.engine import CrossEntropy, Program
from tidegate.errors import InputError, ShapeError
from tidegate.grid import Grid
from tidegate.kernels import grid_computed_again, programs
from tidegate.network import (
    Dense,
    Embed,
    Flatten,
    Fold,
    Join,
    Network,
    Pool,
    Recurrent,
    Scan2d,
    Take,
    Unflatten,
    Window,
)
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

Array = npt.NDArray[Any]
ORDERS = [
    ("rows-columns", 4),
    ("rows-columns", 2),
    ("rows-columns", 1),
    ("columns-rows", 4),
    ("rows", 2),
    ("columns", 1),
]
IMAGES = [name for name, network in NETWORKS.items() if network.reads_images]


def drawn(*shapes: tuple[int, ...], dtype: Any = np.float64) -> Grid:
    rng = np.random.default_rng(7)
    return Grid.from_list([rng.standard_normal(shape).astype(dtype) for shape in shapes])


def scan(**changes: Any) -> Network:
    return Network.of(Scan2d(**{"input_size": 2, "hidden_size": 3} | changes))


def scanned(network: Network, image: Array, dtype: Any = np.float64) -> Array:
    """Scan one image [H, W, C] with the weights that are drawn for the network."""
    grid = Grid.from_list([image])
    return np.asarray(Executor(network, weights_of(network, dtype))(grid)).reshape(*image.shape[:2], -1)


# --- equal to others ------------------------------------------------------------------------------------------------


def by_equations(node: Scan2d, weights: dict[str, Array], image: Array) -> Array:
    """Scan an image [H, W, C] line by line, each a sequence of its own."""
    for axis in node.order.split("-"):
        lines = image if axis == "rows" else image.swapaxes(0, 1)
        both = node.directions == 4 or (node.directions == 2 and axis in ("rows", node.order))
        ways = []
        for suffix in ("_l0", "_l0_reverse")[: 1 + both]:
            own = [weights[f"0.{axis}.{part}{suffix}"] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            nothing = np.zeros(node.hidden_size)
            read = [
                forward(node.cell, line, Weights(*own), nothing, nothing, reverse=suffix != "_l0").h for line in lines
            ]
            ways.append(np.stack(read))
        found = np.concatenate(ways, axis=2) if len(ways) == 1 or node.merge == "concat" else ways[0] + ways[1]
        image = found if axis == "rows" else found.swapaxes(0, 1)
    return image


@pytest.mark.parametrize(("order", "directions"), ORDERS)
@pytest.mark.parametrize(("cell", "merge"), [("lstm", "concat"), ("gru", "sum"), ("rnn_tanh", "concat")])
def test_a_scan_is_what_the_equations_say(order: Any, directions: Any, cell: Any, merge: Any) -> None:
    network = scan(order=order, directions=directions, cell=cell, merge=merge)
    node = network.nodes[0]
    assert isinstance(node, Scan2d)
    for image in drawn((4, 5, 2), (1, 6, 2), (3, 1, 2)):
        wanted = by_equations(node, weights_of(network), image)
        np.testing.assert_allclose(scanned(network, image), wanted, rtol=1e-12, atol=1e-14)


def test_the_gradient_of_the_pixels_is_that_of_autograd() -> None:
    network, grid = NETWORKS["images, rows-columns in 4 direction(s)"], drawn((5, 7, 2), (0, 3, 2), (1, 4, 2))
    weights = weights_of(network)
    recording = Executor(network, weights).record(grid)
    slope = np.random.default_rng(1).standard_normal(recording.output.shape)
    module = nn.build(network).to(torch.float64)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    pixels = torch.from_numpy(grid.values.copy()).requires_grad_()
    out = module(Grid(pixels, torch.from_numpy(grid.heights), torch.from_numpy(grid.widths)))
    out.backward(torch.from_numpy(slope))
    assert pixels.grad is not None
    dx = recording.back(slope, need_dx=True).dx
    assert dx is not None
    np.testing.assert_allclose(dx, pixels.grad.numpy(), rtol=1e-10, atol=1e-13)


def test_a_scan_in_torch_has_second_derivatives() -> None:
    """Cells are put in the order of columns and back, of which torch knows nothing but what it is told."""
    module, grid = nn.build(scan(hidden_size=1)).to(torch.float64), drawn((2, 3, 2), (1, 2, 2))
    sizes = [torch.from_numpy(side) for side in (grid.heights, grid.widths)]
    pixels = torch.from_numpy(grid.values.copy()).requires_grad_()

    def run(pixels: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = module(Grid(pixels, *sizes)).values
        return found

    assert torch.autograd.gradcheck(run, pixels)
    assert torch.autograd.gradgradcheck(run, pixels, fast_mode=True)


def test_the_gradient_is_the_slope_of_the_loss() -> None:
    network = NETWORKS["columns that are summed, and read by steps"]
    program, grid = Program(network, weights_of(network)), drawn((3, 5, 2), (4, 2, 2))
    loss = CrossEntropy(np.array([0, 1, 2, 3]), np.array([0.7, 0.3]))
    program.gradient(grid, loss)
    gradient, parameters = program.gradient_array.copy(), program.parameters
    for index in np.random.default_rng(0).choice(len(gradient), 60, replace=False):
        kept, losses = parameters[index], []
        for away in (1e-5, -1e-5):
            parameters[index] = kept + away
            losses.append(program.gradient(grid, loss).total)
        parameters[index] = kept
        assert (losses[0] - losses[1]) / 2e-5 == pytest.approx(gradient[index], rel=1e-5, abs=1e-8)


# --- laws -----------------------------------------------------------------------------------------------------------


def test_large_images_whose_gates_are_computed_again_have_the_bits_of_one_thread() -> None:
    """The weights of a piece may need more room than its cells do, in memory that a thread has once."""
    node = Scan2d(cell="stable", input_size=1, hidden_size=16, directions=1)
    network = Network.of(node, Pool(modes=("mean",)), Dense(in_features=16, out_features=2))
    grid = drawn((330, 330, 1), (330, 330, 1))
    assert grid_computed_again(330 * 330, 16, 8)
    loss = CrossEntropy(np.array([0, 1]), np.array([0.5, 0.5]))
    found = []
    for threads in (2, 1):
        program = Program(network, weights_of(network), num_threads=threads)
        program.gradient(grid, loss)
        found.append(program.gradient_array.copy())
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_alone_and_in_another_order_has_the_bits_that_it_has_in_a_batch(name: str) -> None:
    network = NETWORKS[name]
    grid: Any = batch_of(network, np.float32)
    executor = Executor(network, weights_of(network, np.float32))
    together, begin = executor(grid), np.arange(len(grid) + 1)
    if not network.pools:
        counts = network.steps(grid.lengths, height=grid.heights, width=grid.widths)
        begin = np.concatenate([[0], np.cumsum(counts)])
    order = np.random.default_rng(3).permutation(len(grid))
    rows = np.concatenate([np.arange(begin[b], begin[b + 1]) for b in order])
    assert executor(grid.select(order)).tobytes() == together[rows].tobytes()
    for b in range(len(grid)):
        assert executor(grid.select([b])).tobytes() == together[begin[b] : begin[b + 1]].tobytes()


@pytest.mark.parametrize("directions", [4, 1])
def test_an_image_that_is_turned_over_its_diagonal_is_scanned_the_other_way_round(directions: Any) -> None:
    """Rows then columns of an image are columns then rows of its transpose, to the bit."""
    first, second = (scan(order=order, directions=directions) for order in ("rows-columns", "columns-rows"))
    weights = weights_of(first, np.float32)
    other = {"rows": "columns", "columns": "rows"}
    swapped = {}
    for name, array in weights.items():
        _, axis, rest = name.split(".")
        swapped[f"0.{other[axis]}.{rest}"] = array
    (image,) = drawn((5, 8, 2), dtype=np.float32)
    turned = np.ascontiguousarray(image.swapaxes(0, 1))
    straight = Executor(first, weights)(Grid.from_list([image])).reshape(5, 8, -1)
    around = Executor(second, swapped)(Grid.from_list([turned])).reshape(8, 5, -1)
    assert straight.swapaxes(0, 1).tobytes() == around.tobytes()


@pytest.mark.parametrize(("axis", "flip"), [("rows", 1), ("columns", 0)])
def test_a_mirrored_image_is_scanned_by_the_other_direction(axis: str, flip: int) -> None:
    """Both directions of a pass change places where the image is mirrored along it, to the bit."""
    network = scan(merge="sum")
    weights = weights_of(network, np.float32)
    swapped = dict(weights)
    for name in weights:
        if name.startswith(f"0.{axis}.") and name.endswith("_reverse"):
            straight = name.removesuffix("_reverse")
            swapped[name], swapped[straight] = weights[straight], weights[name]
    (image,) = drawn((4, 7, 2), dtype=np.float32)
    plain = Executor(network, weights)(Grid.from_list([image])).reshape(4, 7, -1)
    mirrored = Executor(network, swapped)(Grid.from_list([np.flip(image, flip).copy()])).reshape(4, 7, -1)
    assert np.flip(plain, flip).tobytes() == mirrored.tobytes()


@pytest.mark.parametrize(("order", "shape"), [("rows", (1, 9, 2)), ("columns", (9, 1, 2))])
def test_an_image_of_one_line_is_a_sequence(order: Any, shape: tuple[int, ...]) -> None:
    network = scan(order=order, directions=2)
    layer = Network.of(Recurrent(cell="lstm", input_size=2, hidden_size=3, bidirectional=True))
    weights = weights_of(network, np.float32)
    plain = {name.replace(f"0.{order}.", "0."): array for name, array in weights.items()}
    (image,) = drawn(shape, dtype=np.float32)
    line = Ragged.from_list([image.reshape(9, 2)])
    assert Executor(network, weights)(Grid.from_list([image])).tobytes() == Executor(layer, plain)(line).tobytes()


def test_what_lies_behind_the_edge_of_an_image_counts_as_zeros() -> None:
    """An image whose sides no block divides is answered as the same image with zeros behind it, all of them blocks."""
    network = NETWORKS["images, rows-columns in 4 direction(s)"]
    (image,) = drawn((3, 7, 2), dtype=np.float32)
    filled = np.zeros((4, 9, 2), np.float32)
    filled[:3, :7] = image
    executor = Executor(network, weights_of(network, np.float32))
    assert executor(Grid.from_list([image])).tobytes() == executor(Grid.from_list([filled])).tobytes()


# --- numbers by hand ------------------------------------------------------------------------------------------------

STEPS = Grid.from_list([np.array([[1.0, 2, 3], [4, 5, 6]]), np.zeros((0, 2)), np.array([[7.0]])])


@pytest.mark.parametrize(
    ("node", "wanted"),
    [
        (Fold(block=(2, 2), size=1), [[1, 2, 4, 5], [3, 0, 6, 0], [7, 0, 0, 0]]),
        (Fold(block=(1, 3), size=1), [[1, 2, 3], [4, 5, 6], [7, 0, 0]]),
        (Flatten(mode="sum"), [[5], [7], [9], [0], [0], [7]]),
        (Flatten(mode="last"), [[4], [5], [6], [0], [0], [7]]),
        (Flatten(mode="concat", cells=3), [[1, 4, 0], [2, 5, 0], [3, 6, 0], [0, 0, 0], [0, 0, 0], [7, 0, 0]]),
        (Flatten(mode="sum", axis="y"), [[6], [15], [7]]),
        (Flatten(mode="last", axis="y"), [[3], [6], [7]]),
        (Flatten(mode="concat", cells=3, axis="y"), [[1, 2, 3], [4, 5, 6], [7, 0, 0]]),
    ],
)
def test_what_a_node_makes_of_small_images(node: Any, wanted: list[list[float]]) -> None:
    first = Dense(in_features=1, out_features=1)
    network = Network.of(first, node)
    found = Executor(network, {"0.weight": np.ones((1, 1)), "0.bias": np.zeros(1)})(STEPS)
    assert found.tolist() == wanted
    module = nn.build(network).to(torch.float64)
    module.load_state_dict({"0.weight": torch.ones(1, 1), "0.bias": torch.zeros(1)})
    assert module(nn.to_torch(STEPS)).values.tolist() == wanted


@pytest.mark.parametrize(
    ("axis", "wanted"), [("x", [[1, 2], [5, 6], [3, 4], [7, 8]]), ("y", [[1, 2], [3, 4], [5, 6], [7, 8]])]
)
def test_steps_become_columns_or_rows_and_steps_again(axis: Any, wanted: list[list[float]]) -> None:
    signals = Ragged.from_list([np.arange(1.0, 9).reshape(2, 4).astype(np.float32), np.zeros((0, 4), np.float32)])
    nodes = (Unflatten(axis=axis, cells=2, features=2), Flatten(axis=axis, mode="concat", cells=2))
    assert Executor(Network.of(nodes[0]), {})(signals).tolist() == wanted
    assert Executor(Network.of(*nodes), {})(signals).tolist() == signals.values.tolist()
    assert Network.of(*nodes).steps(np.array([2, 0])).tolist() == [2, 0]


def test_a_pool_makes_one_row_of_each_image() -> None:
    network = Network.of(Fold(block=(1, 1), size=1), Pool(modes=("max", "mean")))
    assert Executor(network, {})(Grid.from_list([np.array([[1, 2, 6]], np.float32)])).tolist() == [[6, 3]]


# --- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        (Ragged(np.zeros((4, 1)), np.array([0, 4])), "reads a Grid of images; got a Ragged"),
        (Grid(np.zeros((4, 2)), np.array([2]), np.array([2])), r"reads features \[N, 1\]"),
        (Grid(np.zeros((8, 1)), np.array([4]), np.array([2])), "4 cells lie across a step of an image, and 3"),
    ],
)
def test_what_is_no_image_of_the_network_is_refused(batch: Any, told: str) -> None:
    network = Network.of(Dense(in_features=1, out_features=1), Flatten(mode="concat", cells=3))
    with pytest.raises(ShapeError, match=told):
        Executor(network, weights_of(network))(batch)


def unflattened(axis: str, cells: int, **named: Any) -> Any:
    return Unflatten(axis=axis, cells=cells, features=12 // cells, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "behind", [lambda: (), lambda: (Fold(block=(1, 1)),), lambda: (Flatten(axis="y", mode="sum"),)]
)
@pytest.mark.parametrize(("axis", "cells"), [("x", 4), ("y", 3), ("y", 4)])
def test_images_of_other_steps_are_not_joined(axis: str, cells: int, behind: Any) -> None:
    nodes: list[Any] = []
    for name, node in (("a", unflattened("x", 3, reads="input")), ("b", unflattened(axis, cells, reads="input"))):
        nodes += [node, *behind(), Dense(in_features=node.features, out_features=1, name=name)]
    with pytest.raises(InputError, match="is not"):
        Network.of(*nodes, Join(reads=("a", "b")))


def test_images_of_the_same_steps_and_the_steps_that_they_were_are_joined() -> None:
    nodes: list[Any] = []
    for name, cells in (("a", 3), ("b", 4)):
        nodes += [unflattened("x", cells, reads="input"), Flatten(axis="x", mode="sum", name=name)]
    network = Network.of(*nodes, Join(reads=("a", "b")))
    signals = Ragged.from_list([np.arange(24, dtype=np.float32).reshape(2, 12)])
    sums = [signals.values.reshape(2, cells, -1).sum(axis=1) for cells in (3, 4)]
    np.testing.assert_array_equal(Executor(network, {})(signals), np.concatenate(sums, axis=1))


def test_windows_over_columns_and_over_rows_are_not_joined() -> None:
    nodes: list[Any] = []
    for name, axis in (("a", "x"), ("b", "y")):
        flat = Flatten(axis=axis, mode="sum")  # type: ignore[arg-type]
        nodes += [Fold(block=(1, 1), size=1, reads="input"), flat, Window(width=1, stride=1, name=name)]
    with pytest.raises(InputError, match="is not"):
        Network.of(*nodes, Join(reads=("a", "b")))


def test_ids_are_no_images() -> None:
    embed, pool = Embed(vocabulary_size=5, size=4, beside=2), Pool(modes=("mean",))
    for nodes in (
        (embed, Fold(block=(1, 1)), pool),
        (Embed(vocabulary_size=5, size=4), Take(side="source"), Fold(block=(1, 1)), pool),
    ):
        with pytest.raises(InputError, match="reads cells of images"):
            Network.of(*nodes)
    described = [
        {"kind": "embed", "vocabulary_size": 5, "size": 4, "beside": 0, "dropout": 0.0, "reads": [0], "width": 4},
        {"kind": "fold", "block": (1, 1), "reads": [1], "width": 4},
    ]
    with pytest.raises(ValueError, match="reads images, but ids come"):
        programs.build(described, width=0, output_size=4, kind=np.dtype(np.float32))


def test_a_program_that_was_not_told_the_sizes_of_its_images_is_not_run() -> None:
    described = [{"kind": "fold", "block": (1, 1), "reads": [0], "width": 1}]
    program = programs.build(described, width=1, output_size=1, kind=np.dtype(np.float32))
    program.pack(np.empty(0, np.float32), np.empty(0, np.float32), programs.RECORD, 0, 0)
    with pytest.raises(ShapeError, match="was not told their sizes"):
        program.record(np.zeros((4, 1), np.float32), np.array([0, 4]), 1)


def test_blocks_of_blocks_have_a_bound() -> None:
    pair = (Fold(block=(256, 1024)), Dense(in_features=2**18, out_features=1))
    with pytest.raises(InputError, match="makes cells of 65,536 x 1,048,576"):
        Network.of(Dense(in_features=1, out_features=1), *pair, *pair)


def test_an_image_made_of_steps_that_has_more_cells_than_a_step_can_hold_is_refused() -> None:
    network = Network.of(Unflatten(cells=4), Flatten(axis="y", mode="concat", cells=2))
    signals = Ragged.from_list([np.zeros((3, 4), np.float32)])
    with pytest.raises(ShapeError, match="3 cells lie across a step of an image, and 2"):
        Executor(network, {})(signals)
    with pytest.raises(ShapeError, match="3 cells lie across a step of an image, and 2"):
        nn.build(network)(nn.to_torch(signals))


def test_more_cells_than_fit_are_refused() -> None:
    network = Network.of(Unflatten(cells=4096), Unflatten(cells=1), Flatten(mode="sum"))
    assert network.steps(2**18) == 2**30
    with pytest.raises(ShapeError, match="makes 2,147,483,648 rows"):
        network.steps(2**19)


def test_sizes_that_were_written_to_are_refused() -> None:
    network = Network.of(Fold(block=(1, 1), size=1))
    grid = Grid(np.zeros((4, 1), np.float32), np.array([2]), np.array([2]))
    grid.heights[0] = 2**40
    with pytest.raises(ShapeError, match="sides below 2147483648 are wanted"):
        Executor(network, {})(grid)
    grid.heights[0] = 3
    with pytest.raises(ShapeError, match="changed after it was made"):
        Executor(network, {})(grid)


@pytest.mark.parametrize("shapes", [[], [(0, 0)], [(0, 5), (3, 0)], [(1, 1)]])
def test_batches_with_next_to_nothing_have_a_gradient(shapes: list[tuple[int, int]]) -> None:
    network = NETWORKS["images, rows-columns in 4 direction(s)"]
    grid = Grid(
        np.ones((sum(h * w for h, w in shapes), 2)),
        np.array([h for h, _ in shapes], np.int64),
        np.array([w for _, w in shapes], np.int64),
    )
    program = Program(network, weights_of(network))
    lost = program.gradient(grid, CrossEntropy(np.zeros(len(shapes), np.int64), np.ones(len(shapes))))
    assert len(lost.losses) == len(program(grid)) == len(shapes)
    assert bool(np.any(program.gradients["3.bias"])) is bool(shapes)


def test_modules_say_how_arrays_become_tensors() -> None:
    module = nn.build(Network.of(Fold(block=(2, 2), size=1)))
    with pytest.raises(ShapeError, match=r"the Grid holds NumPy arrays, .* nn\.to_torch"):
        module(drawn((2, 2, 1)))
