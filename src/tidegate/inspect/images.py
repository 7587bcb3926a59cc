"""What a network of images makes of one: the states of a unit in each direction, and which cells an output rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError, OptionError
from tidegate.grid import Grid
from tidegate.inspect.style import Look, Picture, Theme, draw
from tidegate.network import Network, Recurrent, Scan2d
from tidegate.nodes.waves import CORNERS
from tidegate.offers import Inspectable
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array: TypeAlias = npt.NDArray[Any]

_WAYS = {"rows": ("to the right", "to the left"), "columns": ("down", "up")}


def scan_maps(model: Any, image: Any, *, unit: int = 0, scan: int = 0) -> dict[str, Array]:
    """Compute the state of a unit at each cell of an image, by the direction in which the unit reads.

    Args:
        model: a fitted task, or an executor.
        image: one input, as the model reads it: of a task as `predict` takes it.
        unit: which of the hidden units.
        scan: which of the network's scans, from the first on.

    Returns:
        Of each direction, such as `to the right`, `down` or, of a cell of grids, `from the top left`, the states
        [H', W'] at the cells that the scan reads.

    Raises:
        InputError: the model has no such scan, branches before it, or is none that can be looked into.
        OptionError: there is no such unit.

    >>> network = Network.of(Scan2d(input_size=1, hidden_size=2, order="rows", directions=1, cell="rnn_tanh"))
    >>> shapes = {"weight_ih_l0": (2, 1), "weight_hh_l0": (2, 2), "bias_ih_l0": (2,), "bias_hh_l0": (2,)}
    >>> ones = {f"0.rows.{name}": np.full(shape, 0.5) for name, shape in shapes.items()}
    >>> maps = scan_maps(Executor(network, ones), np.array([[0.0, 1.0]]))
    >>> maps["to the right"].round(3).tolist()
    [[0.762, 0.979]]
    """
    network, weights, x, _ = _subject(model, image)
    places = [index for index, node in enumerate(network.nodes) if isinstance(node, Scan2d)]
    if scan not in range(len(places)):
        raise InputError(f"scan={scan} came, but the network has {len(places)} scans, counted from 0.")
    index = places[scan]
    node = network.nodes[index]
    assert isinstance(node, Scan2d)
    if unit not in range(node.hidden_size):
        raise OptionError(f"unit={unit} came, but the scan has units 0 to {node.hidden_size - 1}.")
    cells, maps = _before(network, weights, index, x), dict[str, Array]()
    if node.waves is not None:
        unmerged = node.model_copy(update={"merge": "concat", "name": None, "reads": ()})
        own = {f"0.{name}": weights[f"{index}.{name}"] for name in node.shapes()}
        states = cells.with_values(Executor(Network.of(unmerged), own)(cells))[0]  # [H, W, directions * units]
        corners = enumerate(CORNERS[: node.directions])
        return {f"from the {name.replace('_', ' ')}": states[..., d * node.hidden_size + unit] for d, name in corners}
    for axis, layer in node.passes.items():
        own = {f"0.{axis}.{name}": weights[f"{index}.{axis}.{name}"] for name in layer.shapes()}
        apart = _run_pass(axis, layer, own, cells, merge="concat")
        for way, name in enumerate(_WAYS[axis][: layer.num_directions]):
            maps[name] = apart[0][..., way * node.hidden_size + unit]
        cells = apart if layer.merge == "concat" else _run_pass(axis, layer, own, cells, merge=layer.merge)
    return maps


def receptive_field(model: Any, image: Any, target: Any = None, *, step: int = 0) -> Array:
    """Compute how much each cell of an image moves an output: the length of its gradient, [H, W].

    Args:
        model: a fitted task, or an executor.
        image: one input, as the model reads it.
        target: which output, a class where the model names them, else its number; None is the largest of the row.
        step: at which row of the output, where the network does not pool.

    Raises:
        InputError: there is no such row, or the model reads no image.
        OptionError: there is no such output.

    >>> from tidegate.network import Dense, Fold, Pool
    >>> network = Network.of(Fold(block=(1, 2), size=1), Dense(in_features=2, out_features=1), Pool(modes=("mean",)))
    >>> weights = {"1.weight": np.array([[3.0, -1.0]]), "1.bias": np.zeros(1)}
    >>> receptive_field(Executor(network, weights), np.zeros((1, 4))).tolist()
    [[1.5, 0.5, 1.5, 0.5]]
    """
    network, weights, x, classes = _subject(model, image)
    known = list(range(network.output_size)) if classes is None else list(classes)
    if target is not None and target not in known:
        raise OptionError.unknown("output", str(target), map(str, known))
    recording = Executor(network, weights).record(x)
    if step not in range(len(recording.output)):
        raise InputError(f"step={step} came, but the output has {len(recording.output)} rows.")
    wanted = np.zeros_like(recording.output)
    wanted[step, recording.output[step].argmax() if target is None else known.index(target)] = 1
    dx = recording.back(wanted, need_dx=True).dx
    assert dx is not None, "it was asked for"
    if isinstance(x, Grid):
        return np.asarray(np.sqrt(np.square(x.with_values(dx)[0]).sum(axis=2)))
    return np.asarray(np.abs(dx).T)  # the steps of a signal are the columns of its image


def draw_image_maps(
    maps: Mapping[str, Array], *, image: Array | None = None, picture: Picture = "png", theme: Theme = "light"
) -> bytes:
    """Draw maps of one image side by side, each with a scale of its own; states with zero in the middle.

    Args:
        maps: by their titles, [H, W] each, as `scan_maps` gives them; also those of `receptive_field`.
        image: [H, W], drawn before them; None draws none.
        picture: `png` at 160 dots per inch, or `svg`.
        theme: `light` or `dark`.

    Raises:
        InputError: there is no map, or one is empty.
        MissingPackageError: matplotlib is not installed.

    >>> draw_image_maps({"down": np.eye(3)})[1:4]
    b'PNG'
    """
    shown = ({} if image is None else {"the image": np.asarray(image)}) | {
        name: np.asarray(m) for name, m in maps.items()
    }
    if not maps or any(each.ndim != 2 or not each.size for each in shown.values()):
        raise InputError("wanted maps [H, W] of an image that is not empty, one at least.")

    def paint(figure: Figure, look: Look) -> None:
        every = figure.subplots(1, len(shown), squeeze=False)[0]
        for axes, (title, values) in zip(every, shown.items(), strict=True):
            if values.min() < 0:
                reach = float(np.abs(values).max())
                axes.imshow(values, cmap="RdBu_r", vmin=-reach, vmax=reach)
            else:
                axes.imshow(values, cmap="Greys" if title == "the image" else "viridis")
            axes.set(title=title, xticks=(), yticks=())

    return draw((2.2 * len(shown), 2.6), paint, picture=picture, theme=theme)


def _subject(model: Any, image: Any) -> tuple[Network, Mapping[str, Array], Ragged, Any]:
    """Return the network, its weights, the image as it reads it, and the names of its outputs."""
    if isinstance(model, Inspectable):
        inside = model.inside()
        given = image if isinstance(image, Ragged) else [image]
        x, _ = inside.prepare(given)
        network, weights, classes = inside.network, inside.weights, inside.classes
    elif isinstance(model, Executor):
        network, weights, classes = model.network, model.weights, None
        array = np.asarray(image, model.dtype) if not isinstance(image, Ragged) else image
        x = array if isinstance(array, Ragged) else (Grid if network.reads_images else Ragged).from_list([array])
    else:
        raise InputError(f"{type(model).__name__} cannot be looked into. Pass a fitted task, or an executor.")
    if not any(node.reads_images for node in network.nodes):
        raise InputError("the network reads no images.")
    if not isinstance(x, Ragged) or len(x) != 1 or not len(x.values):
        raise InputError("one image that is not empty is wanted.")
    return network, weights, x, classes


def _before(network: Network, weights: Mapping[str, Array], index: int, x: Ragged) -> Grid:
    """Run the nodes before one that reads images, and return the cells that reach it."""
    if not index:
        assert isinstance(x, Grid), "the network was checked: it reads images"
        return x
    if network.branches:
        raise InputError("the network branches, and its scans are looked into in those that do not.")
    part = Network.of(*network.nodes[:index])
    own = {name: array for name, array in weights.items() if int(name.partition(".")[0]) < index}
    kind = np.result_type(*weights.values())
    rows = Executor(part, own)(x) if own else _without_weights(part, x, kind)
    sizes = x.sizes if isinstance(x, Grid) else np.zeros((1, 2), np.int64)
    extent = part.extent(np.asarray(x.lengths), height=sizes[:, 0], width=sizes[:, 1])
    heights, widths = (np.broadcast_to(side, 1).astype(np.int64) for side in (extent.height, extent.width))
    return Grid(rows, heights, widths)


def _without_weights(network: Network, x: Ragged, kind: np.dtype[Any]) -> Array:
    """Run nodes that have no weights, whose numbers are then those of the type that was asked for."""
    rows = Executor(network, {})(x.with_values(np.asarray(x.values, np.float32)))
    return rows.astype(kind)


def _run_pass(axis: str, layer: Recurrent, weights: Mapping[str, Array], cells: Grid, *, merge: Any) -> Grid:
    """Run one pass of a scan over the cells of an image."""
    order: Any = axis
    node = Scan2d(
        cell=layer.cell,
        input_size=layer.input_size,
        hidden_size=layer.hidden_size,
        directions=2 if layer.bidirectional else 1,
        merge=merge,
        order=order,
    )
    return cells.with_values(Executor(Network.of(node), weights)(cells))
