"""Pictures of what happens inside: what stands in them, where it stands, and what they refuse to draw."""

from __future__ import annotations

import base64
import io
import re
import sys
from collections.abc import Callable
from typing import Any, get_args
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pytest
from matplotlib import image

from tidegate.errors import InputError, MissingPackageError, OptionError, ShapeError
from tidegate.inspect import (
    Attribution,
    Check,
    Clipping,
    DirectionTrace,
    Flow,
    GradientFlow,
    Outcome,
    Trace,
    draw_activations,
    draw_attribution,
    draw_confusion,
    draw_gates,
    draw_gradient_flow,
    draw_learning_curves,
    draw_memory_curves,
    draw_memory_success,
    draw_reliability,
    draw_states,
)
from tidegate.inspect.style import Picture, Theme

Array = npt.NDArray[Any]
WORDS = ["not", "a", "good", "film"]


def traced(
    steps: int = 4, units: int = 3, *, cell: str = "lstm", tokens: list[str] | None = None, **given: Array
) -> Trace:
    """A trace of one sequence; what is not given is 0.5 everywhere."""
    letters = {"lstm": "ifgo", "gru": "rzn", "rnn_tanh": ""}[cell]
    half = np.full((steps, units), 0.5, np.float32)
    gates = {letter: given.get(letter, half) for letter in letters}
    c = given.get("c", half) if cell == "lstm" else None
    direction = DirectionTrace("layer 0 forward", cell, False, given.get("h", half), c, gates, None, None)
    return Trace(np.array([0, steps]), tokens, (direction,), np.zeros((1, 2)))


def attributed(scores: list[float], steps: list[str] | None = None, **by: list[float]) -> Attribution:
    """An attribution of one sequence to the class `pos`."""
    arrays = {name: np.array(values) for name, values in by.items()}
    one = np.ones(1)
    return Attribution(
        "integrated_gradients",
        np.array([0, len(scores)]),
        steps,
        ["pos"],
        np.array(scores),
        one,
        one,
        None,
        arrays or None,
    )


def flow(h: list[float], c: list[float] | None = None) -> GradientFlow:
    count = np.arange(len(h))
    found = Flow("layer 0 forward", "lstm", count, np.array(h), None if c is None else np.array(c), count)
    return GradientFlow((found,), Clipping(1.0, None, 1.0))


OUTCOME = Outcome(
    cell="lstm", length=50, trivial_level=0.16, goal=0.01, updates=100, seconds=1.0, parameters=99,
    curve=(Check(100, 0.01, 0.01),),
)  # fmt: skip
DRAWN: dict[str, Callable[..., bytes]] = {
    "gates": lambda **how: draw_gates(traced(tokens=WORDS), **how),
    "states": lambda **how: draw_states(traced(tokens=WORDS), **how),
    "attribution": lambda **how: draw_attribution(attributed([1.0, -2.0, 0.5, 0.1], WORDS), **how),
    "activations": draw_activations,
    "gradient flow": lambda **how: draw_gradient_flow({"lstm": flow([1.0, 0.1, 0.01], [1.0, 0.9, 0.8])}, **how),
    "confusion": lambda **how: draw_confusion([[5, 1], [0, 6]], ["neg", "pos"], **how),
    "reliability": lambda **how: draw_reliability([[0.6, 0.5, 4], [0.9, 0.95, 12]], **how),
    "learning curves": lambda **how: draw_learning_curves({"lstm": [{"epoch": 1, "valid_loss": 0.6}]}, **how),
    "memory curves": lambda **how: draw_memory_curves([OUTCOME], measure="mean squared error", **how),
    "memory success": lambda **how: draw_memory_success([OUTCOME], **how),
}
AXES = {
    "gates": {"unit", "value, no unit", "token, in the order of the text", *WORDS},
    "states": {"value, no unit", "token, in the order of the text", *WORDS},
    "attribution": {"contribution to the logit", "token, in the order of the text", *WORDS},
    "activations": {"input, no unit", "value, no unit", "value", "derivative"},
    "gradient flow": {"distance from the loss, steps", "norm of the gradient, relative"},
    "confusion": {"predicted class", "true class", "share of the true class, %", "neg", "pos", "5", "6"},
    "reliability": {"probability of the answer, %", "answers that are right, %", "how far off"},
    "learning curves": {"epoch", "cross-entropy, nats"},
    "memory curves": {"updates", "mean squared error", "T = 50 steps", "trivial level", "goal"},
    "memory success": {"T, steps", "level / trivial level", "updates", "50"},
}
each = pytest.mark.parametrize("kind", DRAWN)


# --- what all pictures share --------------------------------------------------------------------------------------


@each
def test_a_picture_names_its_axes_and_units(kind: str) -> None:
    assert AXES[kind] <= set(texts(DRAWN[kind](picture="svg")))


@each
def test_a_picture_is_light_or_dark_and_always_the_same(kind: str) -> None:
    brightness = {}
    for picture in get_args(Picture):
        assert DRAWN[kind](picture=picture) == DRAWN[kind](picture=picture)
    for theme in get_args(Theme):
        edge = image.imread(io.BytesIO(DRAWN[kind](theme=theme)))[:4, :, :3]
        brightness[theme] = float(edge.mean())
    assert brightness["light"] == 1.0
    assert brightness["dark"] < 0.15


@each
def test_text_stands_out_from_the_paper_in_both_themes(kind: str) -> None:
    for theme in get_args(Theme):
        svg = DRAWN[kind](picture="svg", theme=theme).decode()
        paper = re.search(r'id="patch_1".*?fill: (#\w{6})', svg, re.DOTALL)
        inks = set(re.findall(r"<text[^>]*fill: (#\w{6})", svg)) - (
            {"#000000", "#ffffff"} if kind == "confusion" else set()
        )
        assert paper is not None
        if theme == "dark" and kind != "confusion":
            assert all("fill:" in text for text in re.findall(r"<text [^>]*>", svg)), "what has no colour is black"
        for ink in inks:
            assert contrast(ink, paper[1]) > 7, "WCAG 2.2 asks for 7 at its highest level"


@each
def test_a_picture_or_theme_that_is_not_known_is_refused(kind: str) -> None:
    with pytest.raises(OptionError, match=r"unknown picture 'jpg'.*png, svg"):
        DRAWN[kind](picture="jpg")
    with pytest.raises(OptionError, match=r"Did you mean 'dark'.*dark, light"):
        DRAWN[kind](theme="darc")


@each
def test_without_matplotlib_the_extra_that_brings_it_is_named(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingPackageError, match=r"tidegate\[plot\]"):
        DRAWN[kind]()


def test_a_token_is_shown_as_it_is_and_never_read_as_mathematics_or_markup() -> None:
    tokens = ["$x^2$", "<script>", "&amp;", "$", " ", "a" * 30]
    svg = draw_gates(traced(6, tokens=tokens), picture="svg")
    assert {"$x^2$", "<script>", "&amp;", "$", "␣", "a" * 15 + "…"} <= set(texts(svg))


# --- gates --------------------------------------------------------------------------------------------------------


def test_a_gate_is_a_row_per_unit_and_a_column_per_step_brighter_where_it_is_open() -> None:
    gate = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.25]], np.float32)  # [steps, units]
    shown = heat_maps(draw_gates(traced(2, 3, i=gate), picture="svg"))
    assert len(shown) == 4, "one for each gate"
    expected = mpl.colormaps["cividis"](gate.T)[..., :3]  # [units, steps, 3]
    np.testing.assert_allclose(centres(shown[0], 3, 2), expected, atol=2 / 255)


def test_a_gate_that_ends_in_tanh_has_zero_in_the_middle_of_its_scale() -> None:
    values = np.array([[-1.0], [0.0], [1.0]], np.float32)
    expected = mpl.colormaps["cividis"]([0.0, 0.5, 1.0])[:, :3]
    for trace in (traced(3, 1, g=values), traced(3, 1, cell="gru", n=values)):
        shown = heat_maps(draw_gates(trace, picture="svg"))[2]
        np.testing.assert_allclose(centres(shown, 1, 3)[0], expected, atol=2 / 255)


def test_heat_maps_can_be_printed_in_grey() -> None:
    red, green, blue, _ = mpl.colormaps["cividis"](np.linspace(0, 1, 256)).T
    grey = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert (np.diff(grey) > 0).all()


def test_named_units_are_drawn_in_their_order() -> None:
    gate = np.array([[0.0, 1.0, 0.5]], np.float32)
    shown = heat_maps(draw_gates(traced(1, 3, i=gate), units=[2, 0], picture="svg"))[0]
    np.testing.assert_allclose(centres(shown, 2, 1)[:, 0], mpl.colormaps["cividis"]([0.5, 0.0])[:, :3], atol=2 / 255)


@pytest.mark.parametrize("draw", [draw_gates, draw_states])
def test_a_unit_or_direction_that_is_not_there_is_refused_and_the_right_ones_named(draw: Callable[..., bytes]) -> None:
    with pytest.raises(OptionError, match="unknown unit 3; layer 0 forward has the units 0 to 2"):
        draw(traced(), units=[0, 3])
    with pytest.raises(OptionError, match="unknown unit -1"):
        draw(traced(), units=[-1])
    with pytest.raises(OptionError, match="no unit is named"):
        draw(traced(), units=[])
    with pytest.raises(OptionError, match=r"unknown layer or direction 'layer 0 backward'.*Known: layer 0 forward"):
        draw(traced(), "layer 0 backward")


def test_a_cell_without_gates_is_told() -> None:
    with pytest.raises(InputError, match="layer 0 forward is a rnn_tanh cell, which has no gates"):
        draw_gates(traced(cell="rnn_tanh"))


def test_an_empty_sequence_or_several_are_told() -> None:
    several = Trace(np.array([0, 2, 4]), None, traced().directions, np.zeros((2, 2)))
    for draw in (draw_gates, draw_states):
        with pytest.raises(InputError, match="it is empty"):
            draw(traced(0))
        with pytest.raises(InputError, match=r"these are 2\. Inspect one input, or pass trace\.sequence"):
            draw(several)
    with pytest.raises(InputError, match="it is empty"):
        draw_attribution(attributed([]))


# --- what does not fit --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gates", "states", "attribution"])
def test_of_a_long_sequence_a_part_is_shown_and_named_in_the_picture_and_in_a_warning(kind: str) -> None:
    tokens = [f"t{step}" for step in range(300)]
    how: dict[str, Callable[..., bytes]] = {
        "gates": lambda **begin: draw_gates(traced(300, tokens=tokens), picture="svg", **begin),
        "states": lambda **begin: draw_states(traced(300, tokens=tokens), picture="svg", **begin),
        "attribution": lambda **begin: draw_attribution(attributed([0.5] * 300, tokens), picture="svg", **begin),
    }
    for begin, first, last in ((0, 0, 79), (100, 100, 179), (-30, 270, 299)):
        note = f"steps {first} to {last} of 300; {300 - (last - first + 1)} are left out"
        with pytest.warns(UserWarning, match=note):
            shown = texts(how[kind](begin=begin))
        assert any(note in text for text in shown)
        assert [text for text in shown if re.fullmatch(r"t\d+", text)] == tokens[first : last + 1]
    with pytest.raises(InputError, match="no step 300 to begin at: it has steps 0 to 299"):
        how[kind](begin=300)


def test_of_many_units_a_heat_map_shows_the_first_and_says_so() -> None:
    with pytest.warns(UserWarning, match="units 0 to 127 of 200; 72 are left out"):
        svg = draw_gates(traced(4, 200), picture="svg")
    assert any("units 0 to 127 of 200; 72 are left out" in text for text in texts(svg))


# --- states -------------------------------------------------------------------------------------------------------


def test_states_stand_where_the_numbers_say() -> None:
    ramp = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 1.0]])  # [steps, units]
    cell, hidden = panels(draw_states(traced(4, 2, c=ramp, h=-ramp), picture="svg"))
    rising, flat = cell
    assert np.diff(rising[:, 1]) == pytest.approx(np.diff(rising[:, 1])[0]), "equal steps of the value"
    assert rising[0, 1] > rising[1, 1], "in SVG, up is a smaller y"
    assert flat[0, 1] == flat[1, 1] == pytest.approx(rising[0, 1])
    assert flat[3, 1] == pytest.approx(rising[1, 1])
    assert hidden[0][0, 1] < hidden[0][1, 1]


def test_without_names_the_units_that_move_most_are_drawn_and_a_gru_has_no_cell_state() -> None:
    reach = np.array([0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6])
    svg = draw_states(traced(2, 8, cell="gru", h=np.stack([0 * reach, reach])), picture="svg")
    units = [text for text in texts(svg) if text.startswith("unit ")]
    assert units == ["unit 1", "unit 3", "unit 5", "unit 7", "unit 6", "unit 4"]
    assert "Hidden state h" in texts(svg)
    assert "Cell state c" not in texts(svg)


def test_lines_can_be_told_apart_without_colour() -> None:
    svg = draw_states(traced(4, 6), units=range(6), picture="svg").decode()
    used = re.findall(r'<use xlink:href="#(\w+)"[^>]*style="fill: (#\w{6})', svg)
    marks = {colour: mark for mark, colour in used if colour != INK}
    assert len(set(marks.values())) == 6


# --- attribution --------------------------------------------------------------------------------------------------


def test_bars_go_up_for_more_and_down_for_less() -> None:
    bars = rectangles(draw_attribution(attributed([1.0, -2.0, 0.5]), picture="svg"))
    heights = [top - bottom for top, bottom in bars]  # of y, downwards
    assert heights[1] / heights[0] == pytest.approx(2.0, rel=1e-3)
    assert heights[2] / heights[0] == pytest.approx(0.5, rel=1e-3)
    zero = bars[0][1]
    assert bars[0][0] < zero == pytest.approx(bars[2][1])
    assert bars[1][0] == pytest.approx(zero), "the bar of a negative one hangs from zero"


def test_both_directions_stand_side_by_side_and_are_named() -> None:
    one = attributed([1.0, 1.0], forward=[1.0, -1.0], backward=[0.0, 2.0])
    assert {"forward", "backward"} <= set(texts(draw_attribution(one, by_direction=True, picture="svg")))
    with pytest.raises(InputError, match="does not tell directions apart"):
        draw_attribution(attributed([1.0]), by_direction=True)


# --- functions, gradient flow, confusion ---------------------------------------------------------------------------


def test_sigmoid_and_tanh_are_drawn_to_scale_with_the_slopes_that_they_have() -> None:
    # sigmoid(1), its slope at 0 and at 1; the same of tanh: from tables
    known = {"sigmoid": (0.731059, 0.25, 0.196612), "tanh": (0.761594, 1.0, 0.419974)}
    for (value, slope), (at_one, steepest, slope_at_one) in zip(
        panels(draw_activations(picture="svg")), known.values(), strict=True
    ):
        x = 12 * (value[:, 0] - value[0, 0]) / np.ptp(value[:, 0]) - 6  # the axis runs from -6 to 6
        one = np.interp(1.0, x, value[:, 1]) - np.interp(0.0, x, value[:, 1])  # pixels, upwards negative
        at_zero = 0.5 if steepest == 0.25 else 0.0
        pixels = -one / (at_one - at_zero)  # of one on the y axis
        slope_x = 12 * (slope[:, 0] - slope[0, 0]) / np.ptp(slope[:, 0]) - 6
        flat = slope[0, 1] + pixels * (0.002467 if steepest == 0.25 else 0.0000246)  # the slope at 6
        drawn = [(flat - np.interp(at, slope_x, slope[:, 1])) / pixels for at in (0.0, 1.0)]
        assert drawn == pytest.approx([steepest, slope_at_one], abs=0.02)


def test_the_flow_is_drawn_on_a_logarithmic_axis() -> None:
    ((hidden, cell),) = panels(draw_gradient_flow({"lstm": flow([1.0, 0.1, 0.01], [1.0, 10.0, 100.0])}, picture="svg"))
    falls = np.diff(hidden[:, 1])
    assert falls[0] == pytest.approx(falls[1]), "equal ratios are equal distances"
    assert falls[0] > 0 > np.diff(cell[:, 1])[0]
    assert np.diff(cell[:, 1]) == pytest.approx(-falls)


def test_a_flow_ends_where_the_gradient_is_exactly_zero() -> None:
    ((hidden,),) = panels(draw_gradient_flow({"": flow([1.0, 0.5, 0.0, 0.0])}, picture="svg"))
    assert len(hidden) == 2


def test_a_flow_of_nothing_cannot_be_drawn() -> None:
    for flows in ({}, {"lstm": flow([])}):
        with pytest.raises(InputError, match="no gradient flow can be drawn"):
            draw_gradient_flow(flows)


def test_a_confusion_has_the_true_class_in_its_rows_and_is_coloured_by_the_share_of_each_row() -> None:
    svg = draw_confusion([[33, 11], [7, 63]], ["neg", "pos"], picture="svg")
    shown = centres(heat_maps(svg)[0], 2, 2, inset=0.2)
    expected = mpl.colormaps["cividis"](np.array([[0.75, 0.25], [0.1, 0.9]]))[..., :3]
    np.testing.assert_allclose(shown, expected, atol=3 / 255)
    places = positions(svg)
    assert places["33"][1] == places["11"][1] < places["7"][1] == places["63"][1]
    assert places["33"][0] == places["11"][0] - (places["63"][0] - places["7"][0]) < places["11"][0]


def test_a_class_without_examples_and_many_classes_can_be_drawn() -> None:
    shown = set(texts(draw_confusion([[0, 0], [1, 2]], ["a", "b"], picture="svg")))
    assert {"0", "1", "2"} <= shown
    many = texts(draw_confusion(np.eye(60, dtype=int) * 777, [f"class {k}" for k in range(60)], picture="svg"))
    assert "777" not in many
    assert {"class 0", "class 2", "class 58"} <= set(many)


def test_counts_that_do_not_fit_the_classes_are_told() -> None:
    with pytest.raises(ShapeError, match=r"counts are \[2, 2\], but 3 classes want \[3, 3\]"):
        draw_confusion([[1, 2], [3, 4]], ["a", "b", "c"])
    with pytest.raises(InputError, match="there is no class"):
        draw_confusion([], [])


# --- reading a picture --------------------------------------------------------------------------------------------

INK = "#1b1b1b"

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"


def texts(svg: bytes) -> list[str]:
    """Every text of a picture, in the order of the file."""
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def positions(svg: bytes) -> dict[str, tuple[int, int]]:
    """Where each text stands that has no other beside it; of equal texts the last."""
    found = {}
    for element in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        moved = re.search(r"translate\((\S+) (\S+)\)", element.get("transform") or "")
        x, y = (moved[1], moved[2]) if moved else (element.get("x", "0"), element.get("y", "0"))
        found[element.text or ""] = (round(float(x)), round(float(y)))
    return found


def heat_maps(svg: bytes) -> list[Array]:
    """The images [height, width, 3] of the heat maps, without the bars of their scales."""
    root = ElementTree.fromstring(svg)
    groups = [group for group in root.iter(f"{SVG}g") if re.fullmatch(r"axes_\d+", group.get("id") or "")]
    found = []
    for group in groups:
        for element in group.iter(f"{SVG}image"):
            pixels = image.imread(io.BytesIO(base64.b64decode((element.get(f"{XLINK}href") or "").split(",")[1])))
            flipped = "scale(1 -1)" in (element.get("transform") or "")
            if pixels.shape[1] > 20:
                found.append(np.asarray(pixels[::-1] if flipped else pixels)[..., :3])
    return found


def centres(pixels: Array, rows: int, columns: int, *, inset: float = 0.5) -> Array:
    """The colour of each cell [rows, columns, 3] of a heat map."""
    height, width = pixels.shape[:2]
    y = ((np.arange(rows) + inset) * height / rows).astype(int)
    x = ((np.arange(columns) + inset) * width / columns).astype(int)
    return np.asarray(pixels[np.ix_(y, x)])


def panels(svg: bytes) -> list[list[Array]]:
    """The lines [points, 2] of each panel that stand for data, in the order in which they were drawn."""
    groups = [g for g in ElementTree.fromstring(svg).iter(f"{SVG}g") if re.fullmatch(r"axes_\d+", g.get("id") or "")]
    return [[line for group in axes for line in data_lines(group)] for axes in groups]


def data_lines(group: ElementTree.Element) -> list[Array]:
    """The line of a group that holds one; the thin one at zero or one is no data."""
    path = group.find(f"{SVG}path")
    if not (group.get("id") or "").startswith("line2d") or path is None or "width: 0.8" in (path.get("style") or ""):
        return []
    return [np.array([(float(x), float(y)) for x, y in re.findall(r"[ML] (\S+) (\S+)", path.get("d") or "")])]


def rectangles(svg: bytes) -> list[tuple[float, float]]:
    """Least and largest y of every coloured bar that has a height."""
    found = []
    for path in ElementTree.fromstring(svg).iter(f"{SVG}path"):
        if re.search(r"fill: #(0072b2|d55e00)", path.get("style") or ""):
            heights = [float(y) for _, y in re.findall(r"[ML] (\S+) (\S+)", path.get("d") or "")]
            found.append((min(heights), max(heights)))
    return found


def contrast(one: str, other: str) -> float:
    """The contrast of two colours after WCAG 2.2, from 1 to 21."""

    def luminance(colour: str) -> float:
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
