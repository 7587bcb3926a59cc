"""Texts: composed, on one line; and in the order that their line shows, from which they come back."""

from __future__ import annotations

import pytest

from tidegate.data.transcribed.texts import clean_text, unseen_symbols
from tidegate.data.transcribed.writing import is_leftward, logical_order, visual_order
from tidegate.errors import DataError

ARABIC = "في عام 1998 كتب 3 كتب"
HEBREW = "שלום עולם"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("Zu\u0308rich", "Zürich"), (" a\tb\u00a0 c ", "a b c"), ("a\u0364", "a\u0364"), ("\ufb01n", "\ufb01n"), ("", "")],
)
def test_texts_are_composed_and_their_white_space_is_one_space(text: str, wanted: str) -> None:
    assert clean_text(text, "a") == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [("a\nb", "a.gt.txt holds a line end"), ("a\0b", r"holds the control character U\+0000"),
     ("a\u0085", r"U\+0085"), ("a\ud800", r"U\+D800")],
)  # fmt: skip
def test_control_characters_are_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        clean_text(text, "a.gt.txt")


def test_symbols_that_training_never_saw_are_counted() -> None:
    assert unseen_symbols(["naïve", "naïveté"], "naivet") == {"ï": 2, "é": 1}


def test_letters_are_shown_from_the_left_and_numbers_keep_their_order() -> None:
    pytest.importorskip("bidi")
    assert visual_order(HEBREW) == HEBREW[::-1]
    assert visual_order(ARABIC) == "بتك 3 بتك 1998 ماع يف"


@pytest.mark.parametrize("text", [HEBREW, ARABIC, "(" + HEBREW + ")", "abc (12)", "", "3,5 " + HEBREW, "Ä ö"])
def test_a_text_comes_back_from_its_line(text: str) -> None:
    pytest.importorskip("bidi")
    assert logical_order(visual_order(text)) == text


def test_only_what_is_written_from_the_right_is_turned() -> None:
    assert [is_leftward(text) for text in (HEBREW, "abc", "12", "Zürich")] == [True, False, False, False]
    assert visual_order("Zürich 12") == "Zürich 12"


def test_a_text_that_does_not_come_back_is_named() -> None:
    pytest.importorskip("bidi")
    with pytest.raises(DataError, match=r"list\.tsv, row 3 mixes directions"):
        visual_order("שלום 123 (abc) עולם", "list.tsv, row 3")
