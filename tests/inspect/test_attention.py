"""What was read of each word: from tokens to words, in numbers and as a page that takes any text for what it is."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tidegate.errors import InputError, ShapeError
from tidegate.inspect.attention import Attention, attention_page
from tidegate.inspect.attention_pictures import draw_attention

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


GATED = Attention(READ.source, READ.target, READ.hops, ({"i": np.array([0.5, 0.25])}, {"f": np.array([1.0, 0.0])}))


def test_gates_of_tokens_are_averaged_over_words_and_those_of_no_row_left_out() -> None:
    source, target = (["a"], np.array([0])), (["bc", "d"], np.array([0, 0, 1]))
    rows = np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])
    gates = {"f": np.array([0.25, 0.75, 0.125, 1.0])}
    cut = Attention.of_tokens(source, target, [rows], gates=[gates])
    assert (cut.target, cut.gates[0]["f"].tolist()) == (("bc", "d"), [0.5, 0.125])
    ended = Attention.of_tokens(source, target, [np.vstack([rows, rows[:1]])], gates=[gates])
    assert (ended.target, ended.gates[0]["f"].tolist()) == (("bc", "d", "(end)"), [0.5, 0.125, 1.0])


def test_there_is_a_value_of_a_gate_for_each_word() -> None:
    with pytest.raises(ShapeError, match=r"gate f is \[3\], but 2 words were written"):
        Attention(READ.source, READ.target, READ.hops, ({"f": np.zeros(3)},))


def test_the_page_draws_gates_beside_their_hop() -> None:
    first, second = attention_page("Translations", [("der Hund", "the dog", GATED)]).split('<svg class="attention"')[1:]
    titles = r'<rect class="gate"[^>]*fill-opacity="([0-9.]+)"><title>(.*?)</title>'
    assert re.findall(titles, first) == [("0.500", "the: input gate i 50%"), ("0.250", "dog: input gate i 25%")]
    assert re.findall(titles, second) == [("1.000", "the: forget gate f 100%"), ("0.000", "dog: forget gate f 0%")]


@pytest.mark.parametrize("read", [READ, GATED])
def test_the_picture_names_words_and_hops(read: Attention) -> None:
    text = draw_attention(read, picture="svg").decode()
    for word in ("der", "Hund", "(end)", "the", "dog", "hop 1", "hop 2", "bits", "in all"):
        assert f">{word}</text>" in text
    assert (">gates</text>" in text) is bool(read.gates)
    assert draw_attention(read, theme="dark")[1:4] == b"PNG"


def test_more_words_than_there_is_room_for_are_not_drawn() -> None:
    long = Attention(("a",) * 61, ("b",), (np.full((1, 61), 1 / 61),))
    with pytest.raises(InputError, match="1 by 61 words, cannot be drawn"):
        draw_attention(long)
