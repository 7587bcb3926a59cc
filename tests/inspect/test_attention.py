"""What was read of each word: from tokens to words, in numbers and as a page that takes any text for what it is."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tidegate.errors import ShapeError
from tidegate.inspect.attention import Attention, attention_page

READ = Attention(
    ("der", "Hund", "(end)"),
    ("the", "dog"),
    (np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]]), np.array([[1.0, 0.0, 0.0], [0.0, 0.996, 0.004]])),
)


def test_rows_are_spread_over_so_many_bits() -> None:
    assert READ.entropy()[0] == pytest.approx([1.5, 0.0])
    even = Attention(("a", "b", "c", "d"), ("x",), (np.full((1, 4), 0.25),))
    assert even.entropy().tolist() == [[2.0]]


def test_columns_add_up_what_was_read_of_a_word() -> None:
    assert READ.coverage()[0].tolist() == [0.5, 1.25, 0.25]


def test_tokens_of_the_source_are_added_up_and_those_written_averaged() -> None:
    source = (["Bü", "x"], np.array([0, 0, 1]))
    target = (["bush", "."], np.array([0, 0, 1]))
    hop = np.array([[0.5, 0.25, 0.0, 0.25], [0.0, 0.25, 0.75, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    found = Attention.of_tokens(source, target, [hop])
    assert found.source == ("Bü", "x", "(end)")
    assert found.target == ("bush", ".", "(end)")
    assert found.hops[0].tolist() == [[0.5, 0.375, 0.125], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


def test_an_output_that_was_cut_has_no_end_and_nothing_may_be_written_at_all() -> None:
    cut = Attention.of_tokens((["a"], np.array([0])), (["b"], np.array([0])), [np.array([[0.25, 0.75]])])
    assert (cut.target, cut.hops[0].tolist()) == (("b",), [[0.25, 0.75]])
    nothing = Attention.of_tokens(([], np.array([], np.int64)), ([], np.array([], np.int64)), [np.array([[1.0]])])
    assert (nothing.source, nothing.target, nothing.hops[0].tolist()) == (("(end)",), ("(end)",), [[1.0]])


def test_matrices_have_a_row_and_a_column_for_each_word() -> None:
    with pytest.raises(ShapeError, match=r"\[2, 2\], but there are 1 by 2 words"):
        Attention(("a", "b"), ("c",), (np.ones((2, 2)),))


def test_the_page_draws_each_hop_with_its_numbers() -> None:
    text = attention_page("Translations", [("der Hund", "the dog", READ)])
    assert text.count('<svg class="attention"') == 2
    shares = re.findall(r"<title>(.*?)</title></rect>", text)
    assert shares == ["the ← der: 50%", "the ← Hund: 25%", "the ← (end): 25%", "dog ← Hund: 100%", "the ← der: 100%",
                      "dog ← Hund: 100%"]  # fmt: skip
    assert ">1.5</text>" in text  # bits of the first row
    assert ">1.2</text>" in text  # of Hund in all


def test_no_word_is_taken_for_markup_and_nothing_is_fetched() -> None:
    read = Attention(('"><script>alert(1)</script>',), ("<b>",), (np.array([[1.0]]),))
    text = attention_page("<i>", [("<u>", "</svg>", read)])
    assert "<script" not in text and "<b>" not in text and "<u>" not in text and "</svg>\n</p>" not in text
    assert "default-src 'none'" in text and "style=" not in text


def test_a_long_word_is_shortened() -> None:
    read = Attention(("x" * 80,), ("y",), (np.array([[1.0]]),))
    assert f"{'x' * 23}…" in attention_page("t", [("a", "b", read)])
