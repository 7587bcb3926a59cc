"""Lines as pictures: areas keep ink and places to the pixel, every mode gives the same grey, bombs are refused."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.transcribed.images import Looking, columns, is_inverted, read_picture
from tidegate.data.transcribed.scaling import Grey, scale, width_at
from tidegate.errors import DataError

Image = pytest.importorskip("PIL.Image")


def scaled_by_fractions(picture: Grey, height: int, width: int) -> list[list[int]]:
    """Scale by area with fractions, pixel by pixel, from the definition."""
    h, w = picture.shape

    def cover(n: int, m: int, i: int, j: int) -> Fraction:
        return max(Fraction(0), min(Fraction((i + 1) * n, m), Fraction(j + 1)) - max(Fraction(i * n, m), Fraction(j)))

    rows = []
    for y in range(height):
        row = []
        for x in range(width):
            total = sum(
                cover(h, height, y, b) * cover(w, width, x, a) * int(picture[b, a]) for b in range(h) for a in range(w)
            )
            mean = total / (Fraction(h, height) * Fraction(w, width))
            row.append(int(mean + Fraction(1, 2)))
        rows.append(row)
    return rows


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_pixel_is_the_mean_of_what_it_covers_rounded_once(data: st.DataObject) -> None:
    h, w, height, width = (data.draw(st.integers(1, 6)) for _ in range(4))
    picture = np.array(data.draw(st.lists(st.integers(0, 255), min_size=h * w, max_size=h * w)), np.uint8).reshape(h, w)
    np.testing.assert_array_equal(scale(picture, height, width), scaled_by_fractions(picture, height, width))


@pytest.mark.parametrize("height", [31, 48, 77, 200])
def test_a_ruler_is_found_where_it_is_drawn(height: int) -> None:
    """Draw a stroke every 100 pixels: the map back to the original hits each to half a column."""
    ruler = np.full((height, 2000), 255, np.uint8)
    marks = np.arange(50, 2000, 100)
    ruler[:, marks] = 0
    line = columns(ruler, "ruler", Looking())  # [width, 48]
    ink = line.sum(axis=1)
    per_column = 2000 / len(line)
    for mark in marks:
        near = np.abs((np.arange(len(line)) + 0.5) * per_column - (mark + 0.5)) < 20
        place = np.average((np.arange(len(line))[near] + 0.5) * per_column, weights=ink[near])
        assert abs(place - (mark + 0.5)) <= per_column / 2
    np.testing.assert_allclose(ink.sum() * per_column, len(marks) * 48, rtol=0.01)  # rounding to 255 steps


def test_a_line_of_the_right_height_is_taken_as_it_is() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (48, 91)).astype(np.uint8)
    ink = (255 - picture.T).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(columns(picture, "a", Looking()), ink)
    np.testing.assert_allclose(columns(picture, "a", Looking(invert=True)), picture.T / 255, atol=1e-7)
    assert width_at(48, (96, 301)) == 151


def stored(picture: Any, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def test_every_mode_of_a_picture_gives_its_grey() -> None:
    grey = np.random.default_rng(1).integers(0, 2, (9, 12)).astype(np.uint8) * 255
    whole = Image.fromarray(grey)
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    clear = Image.merge("LA", [Image.new("L", whole.size, 0), Image.fromarray(255 - grey)])
    for picture in (whole, whole.convert("1"), whole.convert("RGB"), whole.convert("RGBA"), whole.convert("P"), deep):
        np.testing.assert_array_equal(read_picture(stored(picture), "a.png"), grey)
    np.testing.assert_array_equal(read_picture(stored(clear), "a.png"), grey)
    np.testing.assert_array_equal(read_picture(stored(whole, "TIFF"), "a.tif"), grey)
    colour = Image.new("RGB", (1, 1), (10, 20, 30))
    assert read_picture(stored(colour), "a.png")[0, 0] == round(0.299 * 10 + 0.587 * 20 + 0.114 * 30)


def test_a_picture_that_is_stored_rotated_is_read_upright() -> None:
    upright = np.arange(8 * 20, dtype=np.uint8).reshape(8, 20)
    tag = Image.Exif()
    tag[0x0112] = 6  # turn by 90 degrees to the right to see it upright
    lying = stored(Image.fromarray(np.rot90(upright).copy()), exif=tag)
    np.testing.assert_array_equal(read_picture(lying, "a.png"), upright)


def test_white_on_black_is_seen() -> None:
    page = np.full((48, 60), 230, np.uint8)
    page[20:30, 5:50] = 10
    assert not is_inverted(page)
    assert is_inverted(255 - page)


def bomb(width: int, height: int) -> bytes:
    """Spell a PNG that claims to be huge and holds next to nothing."""

    def part(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(bytes(1000))) + part(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bomb(100_000, 100_000), "was refused"),
        (bomb(12_000, 9_000), "was refused"),  # past what Pillow warns of
        (bomb(100, 100), "cannot be decoded"),
        (b"GIF89a" + bytes(20), "is no picture of the formats PNG, TIFF, JPEG"),
        (b"", "is empty"),
    ],
)
def test_bombs_and_other_things_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_picture(content, "a.png")


@pytest.mark.parametrize(("name", "told"), [(".", "Is a directory"), ("none.png", "No such file")])
def test_what_cannot_be_read_is_told_apart_from_damage(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(DataError, match=rf"^a\.png cannot be read: {told}"):
        read_picture(tmp_path / name, "a.png")


def test_several_pages_are_refused(tmp_path: Path) -> None:
    pages = [Image.new("L", (9, 9)), Image.new("L", (9, 9))]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match=r"^a\.tif has 2 pages, and one is wanted"):
        read_picture(tmp_path / "a.tif", "a.tif")


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG"])
def test_a_damaged_picture_is_read_or_refused_and_nothing_else(form: str) -> None:
    random, whole = np.random.default_rng(0), io.BytesIO()
    Image.fromarray(random.integers(0, 256, (20, 40)).astype(np.uint8)).save(whole, form)
    for _ in range(300):
        content = bytearray(whole.getvalue())
        for at in random.integers(0, min(len(content), 200), 3):
            content[at] = random.integers(256)
        with suppress(DataError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow tells of a damaged file
            assert read_picture(bytes(content[: random.integers(1, 2 * len(content))]), "a.png").dtype == np.uint8


@pytest.mark.parametrize(
    ("shape", "message"),
    [((7, 300), "is 300 x 7 pixels; a line is at least 8 high"), ((48, 60_000), "60,000 wide at a height of 48"),
     ((8, 30_000), "180,000 wide"), ((0, 5), "at least 8 high")],
)  # fmt: skip
def test_what_is_no_line_is_refused(shape: tuple[int, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        columns(np.zeros(shape, np.uint8), "a.png", Looking())


def test_a_file_without_a_byte_is_told_as_empty(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    for source in (tmp_path / "a.png", b""):
        with pytest.raises(DataError, match=r"a\.png is empty: it has no byte"):
            read_picture(source, "a.png")
