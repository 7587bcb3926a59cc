"""Read the lines of a page from PAGE or ALTO XML, and cut each out of the picture by its polygon."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from tidegate.data.plain_xml import parse
from tidegate.data.transcribed.images import PICTURES
from tidegate.data.transcribed.scaling import Grey
from tidegate.errors import DataError

Polygon = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Line:
    """Hold a line of a page: its name, its polygon [P, 2] of x and y in pixels, and its text, which may be None."""

    name: str
    polygon: Polygon
    text: str | None


@dataclass(frozen=True, eq=False)
class Page:
    """Hold the lines of a page and the name of its picture, empty where the file does not say."""

    picture: str
    lines: list[Line]


def read_page(content: bytes, where: str) -> Page:
    """Read the lines of a PAGE or an ALTO file.

    A line of PAGE has the text of its first TextEquiv, one of ALTO its strings with a space where SP stands. A line
    without a polygon is cut by its rectangle.

    Raises DataError where it is neither, or a line has no place.
    """
    root = parse(content, where)
    if root.tag == "PcGts":
        page = next(root.iter("Page"), None)
        name = "" if page is None else page.get("imageFilename", "")
        found = [_page_line(line, f"{where}, line {number}") for number, line in enumerate(root.iter("TextLine"), 1)]
        return Page(name, found)
    if root.tag == "alto":
        named = next(root.iter("fileName"), None)
        found = [_alto_line(line, f"{where}, line {number}") for number, line in enumerate(root.iter("TextLine"), 1)]
        return Page("" if named is None else (named.text or "").strip(), found)
    raise DataError(f"{where} is an XML file of <{root.tag}>; wanted are PAGE (<PcGts>) and ALTO (<alto>).")


def find_picture(page: Page, file: Path) -> Path:
    """Find the picture of a page: by the name that it gives, beside its file or a folder above, or by its own name."""
    name = page.picture.replace("\\", "/").rpartition("/")[2]
    places = [folder / name for folder in (file.parent, file.parent.parent) if name]
    places += [file.with_suffix(suffix) for suffix in PICTURES]
    for place in places:
        if place.is_file():
            return place
    raise DataError(f"{file}: there is no picture {name or file.stem!r} beside it. Put it there.")


def cut(picture: Grey, polygon: Polygon, where: str, *, paper: int = 255) -> tuple[Grey, int]:
    """Cut a polygon out of a page [h, w], what is outside of it as grey as paper; and say at which column it begins.

    A pixel is inside where its middle is (even-odd rule). Raises DataError where nothing of it lies on the page.
    """
    h, w = picture.shape
    left, top = (int(max(0, np.floor(polygon[:, axis].min()))) for axis in (0, 1))
    right, bottom = (int(min(size, np.ceil(polygon[:, axis].max()))) for axis, size in ((0, w), (1, h)))
    if right <= left or bottom <= top:
        raise DataError(f"{where} lies outside of its picture of {w} x {h} pixels. Is it the right picture?")
    return np.where(_inside(polygon, left, right, top, bottom), picture[top:bottom, left:right], np.uint8(paper)), left


def _inside(polygon: Polygon, left: int, right: int, top: int, bottom: int) -> npt.NDArray[np.bool_]:
    x, y = np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5
    inside = np.zeros((len(y), len(x)), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        rows = np.flatnonzero((y0 <= y) != (y1 <= y))
        crossing = x0 + (y[rows] - y0) * ((x1 - x0) / (y1 - y0)) if len(rows) else np.empty(0)
        inside[rows] ^= x[None, :] < crossing[:, None]
    return inside


def _page_line(line: Element, where: str) -> Line:
    coords = next((part for part in line if part.tag == "Coords"), None)
    if coords is None:
        raise DataError(f"{where} has no Coords, so nobody knows where it is. Draw it, or remove the line.")
    equal = next((part for part in line if part.tag == "TextEquiv"), None)
    text = None if equal is None else "".join(part.text or "" for part in equal if part.tag == "Unicode")
    return Line(line.get("id", where), _points(coords.get("points", ""), where), text)


def _alto_line(line: Element, where: str) -> Line:
    shape = next(_own_shapes(line), None)
    words = "".join({"String": part.get("CONTENT", ""), "SP": " ", "HYP": part.get("CONTENT", "")}.get(part.tag, "")
                    for part in line)  # fmt: skip
    text = words if any(part.tag == "String" for part in line) else None
    if shape is not None:
        return Line(line.get("ID", where), _points(shape.get("POINTS", ""), where), text)
    try:
        x, y, w, h = (float(line.get(name, "")) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT"))
    except ValueError:
        raise DataError(f"{where} has neither a polygon nor HPOS, VPOS, WIDTH and HEIGHT. Say where it is.") from None
    corners = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]])
    return Line(line.get("ID", where), _checked(corners, where), text)


def _own_shapes(line: Element) -> Iterator[Element]:
    """Yield the polygons of a line itself, not those of its words."""
    for part in line:
        if part.tag == "Shape":
            yield from part.iter("Polygon")


def _points(text: str, where: str) -> Polygon:
    """Read `x,y x,y ...`, as PAGE writes points, or `x y x y ...`, as ALTO may."""
    try:
        numbers = [float(number) for number in text.replace(",", " ").split()]
        points = np.array(numbers).reshape(-1, 2)
    except ValueError:
        raise DataError(f"{where} has the points {text!r:.60}; wanted are pairs of numbers, three at least.") from None
    return _checked(points, where)


def _checked(points: Polygon, where: str) -> Polygon:
    if len(points) < 3 or not (np.abs(points) < 1e7).all():
        raise DataError(f"{where} has {len(points)} points, or some that are no places; three at least are wanted.")
    return points
