"""Pages in XML: lines of PAGE and ALTO are cut where they stand, and no entity is ever followed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tidegate as tg
from tidegate.data import Recordings
from tidegate.data.transcribed.pages import cut, read_page
from tidegate.errors import DataError, DataWarning

PAGE = """<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">
<Page imageFilename="leaf.png" imageWidth="80" imageHeight="40"><TextRegion id="r">
<TextLine id="one"><Coords points="{points}"/><TextEquiv><Unicode>first &amp; last</Unicode></TextEquiv></TextLine>
<TextLine id="two"><Coords points="0,20 80,20 80,40 0,40"/></TextLine></TextRegion></Page></PcGts>"""
ALTO = """<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Description><sourceImageInformation>
<fileName>scans/leaf.png</fileName></sourceImageInformation></Description><Layout><Page><PrintSpace><TextBlock>
<TextLine ID="one" HPOS="10" VPOS="5" WIDTH="40" HEIGHT="12">
<String CONTENT="first"/><SP/><String CONTENT="&amp;"/><SP/><String CONTENT="last"/></TextLine>
</TextBlock></PrintSpace></Page></Layout></alto>"""
BOX = "10,5 50,5 50,17 10,17"


def put_leaf(folder: Path) -> np.ndarray:
    image = pytest.importorskip("PIL.Image")
    leaf = np.random.default_rng(0).integers(100, 256, (40, 80)).astype(np.uint8)  # paper, by its median
    image.fromarray(leaf).save(folder / "leaf.png")
    return leaf


@pytest.mark.parametrize("xml", [PAGE.format(points=BOX), ALTO], ids=["page", "alto"])
def test_a_line_is_cut_where_it_stands(tmp_path: Path, xml: str) -> None:
    leaf = put_leaf(tmp_path)
    (tmp_path / "leaf.xml").write_text(xml)
    found = tg.data.load(tmp_path, kind="transcribed", height="12").train.x
    assert isinstance(found, Recordings)
    assert (found.texts, found.groups) == (["first & last"], ["leaf"])
    np.testing.assert_allclose(found.signals[0], 1 - leaf[5:17, 10:50].T / 255, atol=1e-6)  # float32 of a 255th
    assert (found.place(0, 0), found.place(0, 40)) == (10.0, 50.0)
    assert found.dropped == ({"lines without a text": 1} if "PcGts" in xml else {})


def test_what_is_outside_of_a_polygon_is_paper() -> None:
    page = np.zeros((6, 6), np.uint8)
    triangle = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    found, left = cut(page, triangle, "a line")
    wanted = np.where(np.add.outer(np.arange(6), np.arange(6)) + 1 < 6, 0, 255)  # middles below the diagonal
    np.testing.assert_array_equal(found, wanted)
    assert left == 0


@pytest.mark.parametrize("points", [BOX, "10,5 50,8 50,17 10,15"], ids=["box", "slanted"])
def test_a_page_that_is_white_on_black_is_told_and_read_as_any_other(tmp_path: Path, points: str) -> None:
    image = pytest.importorskip("PIL.Image")
    leaf = np.full((40, 80), 255, np.uint8)
    leaf[8:14, 20:30] = 0
    (tmp_path / "leaf.xml").write_text(PAGE.format(points=points))
    read = []
    for paper in (255, 0):
        image.fromarray(leaf if paper else 255 - leaf).save(tmp_path / "leaf.png")
        invert = "false" if paper else "true"
        read.append(tg.data.load(tmp_path, kind="transcribed", height="12", invert=invert).train.x[0])
    np.testing.assert_allclose(read[1], read[0], atol=1 / 255)  # a half is rounded upwards
    with pytest.warns(DataWarning, match="1 of 1 look white on black .invert=true reads them so.: .*, line one"):
        tg.data.load(tmp_path, kind="transcribed")


def test_a_line_beside_its_page_is_refused() -> None:
    with pytest.raises(DataError, match="lies outside of its picture of 6 x 4 pixels"):
        cut(np.zeros((4, 6), np.uint8), np.array([[9.0, 0.0], [12.0, 0.0], [9.0, 3.0]]), "line one")


ENTITIES = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;">]>'


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        (ENTITIES + PAGE.format(points=BOX), "declares a document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "declares a document type"),
        ("<html/>", "is an XML file of <html>"),
        ("<PcGts><Page>", "is no XML"),
        ('<?xml version="1.0" encoding="foo"?><PcGts/>', "an encoding that is not read: unknown encoding: foo"),
        ('<?xml version="1.0" encoding="utf-7"?><PcGts/>', "an encoding that is not read"),
        ('<?xml version="1.0" encoding="big5"?><PcGts/>', "an encoding that is not read: multi-byte"),
        ("<a>" * 101 + "</a>" * 101, "nests more than 100 elements"),
        (PAGE.format(points="10,5 50"), "has the points '10,5 50'"),
        (PAGE.format(points="10,5 50,5"), "has 2 points"),
        (PAGE.format(points="nan,5 50,5 1,1"), "some that are no places"),
        (PAGE.replace('<Coords points="{points}"/>', ""), "has no Coords"),
        (ALTO.replace('HPOS="10" ', ""), "has neither a polygon nor HPOS"),
    ],
)
def test_files_that_are_no_pages_are_refused(xml: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_page(xml.encode(), "leaf.xml")


def test_a_page_without_its_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "leaf.xml").write_text(PAGE.format(points=BOX))
    with pytest.raises(DataError, match=r"there is no picture 'leaf\.png' beside it"):
        tg.data.load(tmp_path, kind="transcribed")
