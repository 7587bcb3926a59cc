"""What a reader takes for one character is never cut: by the splitters, by any tokenizer, or by a tagger's offsets."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidegate as tg
from tidegate.data.graphemes import split_graphemes
from tidegate.data.showing import shorten
from tidegate.data.tokenizer import (
    Tokenizer,
    from_json,
    train_bpe,
    train_characters,
    train_graphemes,
    train_spelling,
    train_whole_words,
    train_words,
)
from tidegate.data.wordsplit import split_characters, split_words

# Words between spaces, in scripts whose letters carry marks, or are written with joiners.
WORDS = {
    "Hindi": "वह कल क्षेत्र में मिलेंगे क्\u200dष",
    "Bengali": "আমি বাংলায় গান গাই",
    "Tamil": "நான் தமிழ் படிக்கிறேன்",
    "Telugu": "నేను తెలుగు చదువుతాను",
    "Malayalam": "ഞാൻ മലയാളം പഠിക്കുന്നു",
    "Sinhala": "ශ්\u200dරී ලංකාව",
    "Arabic": "مَدْرَسَةٌ كَبِيرَةٌ",
    "Persian": "می\u200cخواهم کتاب\u200cها",
    "Hebrew": "שָׁלוֹם עוֹלָם",
    "Thaana": "ދިވެހި ބަސް",
    "Burmese": "မြန်မာ စာ",
    "Khmer": "ភាសា ខ្មែរ",
    "Tibetan": "བོད ཡིག",
    "Korean jamo": unicodedata.normalize("NFD", "한국어 문장"),
    "German NFD": unicodedata.normalize("NFD", "Überall grüne Hügel"),
    "Vietnamese NFD": unicodedata.normalize("NFD", "Tiếng Việt đẹp"),
    "Yoruba": "ọ̀rọ̀ Yorùbá",
    "Polytonic": unicodedata.normalize("NFD", "ἄνθρωπος ἐστίν"),
    "soft hyphens": "Wasser\u00adwerk Ufer\u00adweg",
}
# Pictures and signs of several code points that are one for a reader.
SCOTLAND = "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
FAMILY = "👨\u200d👩\u200d👧"
PICTURES = [
    "👍🏽",
    "👩\u200d🚀",
    FAMILY,
    "🏳\ufe0f\u200d🌈",
    "🇳🇴",
    SCOTLAND,
    "❤\ufe0f",
    "4\ufe0f\u20e3",
    "#\ufe0f\u20e3",
]
PICTURES.append("葛\U000e0100")
CHARACTERS = {
    "नमस्ते": ["न", "म", "स्ते"],
    "க்ஷ": ["க்", "ஷ"],
    "กำลัง": ["กำ", "ลั", "ง"],
    "e\u0301a": ["e\u0301", "a"],
    "\u1112\u1161\u11ab\uae00": ["\u1112\u1161\u11ab", "\uae00"],
    "🇳🇴🇸🇪": ["🇳🇴", "🇸🇪"],
    "か\u3099き": ["か\u3099", "き"],
    "ស្ត្រី": ["ស្ត្រី"],
}


@pytest.mark.parametrize("language", WORDS)
def test_words_stay_whole_in_every_script(language: str) -> None:
    text = WORDS[language]
    cut = split_words(f"({text}.)")
    assert [piece.word for piece in cut] == ["(", *text.split(), ".", ")"]
    assert all(f"({text}.)"[piece.start : piece.end] == piece.word for piece in cut)


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_is_one_word_and_one_character(picture: str) -> None:
    for cut in (split_words(f"so {picture}, ok"), split_characters(f"{picture},")):
        assert picture in [piece.word for piece in cut]
    assert [piece.word for piece in split_words(f"go{picture}")][-1].endswith(picture)
    assert split_graphemes(f"a{picture}b")[1:-1] == [picture]


@pytest.mark.parametrize(("text", "wanted"), CHARACTERS.items())
def test_characters_are_those_of_a_reader(text: str, wanted: list[str]) -> None:
    assert split_graphemes(text) == wanted
    assert [piece.word for piece in split_characters(f" {text}\n")] == wanted


def test_a_number_with_letters_is_one_word() -> None:
    text = "the 12th of May at 10am , 1990s 3½ 250km"
    assert [piece.word for piece in split_words(text)] == text.split()


def test_a_line_end_of_two_signs_is_one_character_and_half_a_pair_is_cut_like_any() -> None:
    assert split_graphemes("a\r\nb") == ["a", "\r\n", "b"]
    assert split_graphemes("a\ud83d\ude00\u0308") == ["a", "\ud83d", "\ude00\u0308"]


SIGNS = [
    *"ab1.,'’-_@#: \n\u0308\u093f\u094d\u200d\u200c\ufe0f\u20e3👍🏽👩🇳दล้ำ하ב\u05bc\u00ad\x1c\u3000",
    "n't",
    "http://",
]


@given(st.lists(st.sampled_from(SIGNS), max_size=14).map("".join))
def test_no_piece_begins_with_what_belongs_to_the_sign_before(text: str) -> None:
    for cut in (split_words(text), split_characters(text)):
        assert "".join("".join(piece.word for piece in cut).split()) == "".join(text.split())
        for edge in {edge for piece in cut for edge in (piece.start, piece.end)} - {0, len(text)}:
            assert not (_extends(text[edge]) and _can_be_extended(text[edge - 1])), (text, edge)


def _extends(sign: str) -> bool:
    return unicodedata.category(sign) in ("Mn", "Mc", "Me") or sign in "\u200c\u200d🏽\u0e33"


def _can_be_extended(sign: str) -> bool:
    return sign not in "\n\x1c\u00ad"


@pytest.mark.parametrize("language", [name for name in WORDS if name not in ("Burmese", "Khmer", "soft hyphens")])
def test_the_tokenizer_of_texts_keeps_words_whole(language: str) -> None:
    text = unicodedata.normalize("NFC", WORDS[language]).lower()
    assert train_words(["x"]).tokenize(WORDS[language]) == text.split()


def test_scripts_without_spaces_are_read_by_whole_characters() -> None:
    tokenizer = train_words(["x"])
    assert tokenizer.tokenize("กำลัง ok") == ["กำ", "ลั", "ง", "ok"]
    assert tokenizer.tokenize("ស្ត្រី") == ["ស្ត្រី"]
    for picture in PICTURES:
        assert tokenizer.tokenize(f"so {picture} ok") == ["so", picture, "ok"]


@pytest.mark.parametrize(("text", "wanted"), CHARACTERS.items())
def test_tokenizers_of_characters_read_those_of_a_reader(text: str, wanted: list[str]) -> None:
    tokenizer = train_graphemes([text])
    assert tokenizer.tokenize(text) == wanted
    assert tokenizer.decode(tokenizer.encode([text])[0]) == text
    assert train_characters([text]).tokenize(text) == [unicodedata.normalize("NFC", sign) for sign in wanted]


def test_byte_pairs_are_found_across_marks() -> None:
    tokenizer = train_bpe(["हिन्दी"] * 50, 300)
    assert tokenizer.tokenize("हिन्दी") == ["हिन्दी"]
    assert (
        from_json(tokenizer.to_json()).encode(["हिन्दी"]).values.tolist() == tokenizer.encode(["हिन्दी"]).values.tolist()
    )


def test_a_tagger_knows_a_word_however_its_marks_are_put_together() -> None:
    composed = [["Zoë", "lebt", "in", "Tromsø"], ["Åse", "lebt", "in", "Malmö"]]
    tags = [["B-person", "O", "O", "B-place"]] * 2
    tagger = tg.TokenTagger(hidden_size=4, epochs=1, validation_fraction=0, min_count=1).fit(composed * 4, tags * 4)
    text = "Zoë lebt in Malmö"
    apart = unicodedata.normalize("NFD", text)
    [one], [other] = tagger.predict_words([text]), tagger.predict_words([apart])
    assert [(word.tag, word.probability) for word in one] == [(word.tag, word.probability) for word in other]
    assert [apart[word.start : word.end] for word in other] == apart.split()
    for spans in tagger.predict_spans([apart]):
        assert all(span.text == apart[span.start : span.end] for span in spans)


def test_a_tagger_by_character_is_recognised_and_read_by_characters_of_a_reader() -> None:
    words = [["स्ते", "न", "मि"], ["न", "मि", "स्ते"]] * 4
    tags = [["B-x", "O", "O"]] * 8
    tagger = tg.TokenTagger(hidden_size=4, epochs=1, validation_fraction=0).fit(words, tags)
    assert [word.word for word in tagger.predict_words(["नस्तेमि"])[0]] == ["न", "स्ते", "मि"]


def test_half_a_pair_in_a_text_is_refused_by_its_place() -> None:
    tagger = tg.TokenTagger(hidden_size=4, epochs=1, validation_fraction=0).fit([["a", "b"]] * 4, [["X", "Y"]] * 4)
    with pytest.raises(tg.errors.DataError, match=r"X\[1\] holds half of a surrogate pair"):
        tagger.predict(["a b", "a \ud800"])


def test_a_shortened_text_ends_with_a_whole_character() -> None:
    assert shorten("नमस्ते" * 3, 3) == "नम…"
    assert shorten("e\u0301" * 4, 4) == "e\u0301" * 4


# As `train_words` and `train_spelling` wrote them before they knew of marks.
OLD_WORD = (
    r"[^\W_\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]+"
    r"(?:['’][^\W_\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]+)*|\S"
)


def old(pattern: str) -> Tokenizer:
    content = json.loads(train_words(["the film", "กำ"]).to_json())
    content["pre_tokenizer"]["pattern"]["Regex"] = pattern
    return from_json(json.dumps(content))


def test_models_of_old_cut_texts_as_they_did() -> None:
    assert old(OLD_WORD).tokenize("The film's 👍🏽 กำ") == ["the", "film's", "👍", "🏽", "ก", "ำ"]
    assert old(r"[\s\S]").tokenize("กำ") == ["ก", "ำ"]


def test_words_are_spelled_by_code_points_put_together() -> None:
    assert train_spelling(["u\u0308\u0323"]).tokenize("u\u0308\u0323") == ["ụ", "\u0308"]
    assert train_whole_words(["Zu\u0308rich 1"]).tokenize("Zürich 2") == ["zürich 0"]
