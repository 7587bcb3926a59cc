"""The rules by which texts are cut into tokens: patterns, and what they are in a `tokenizer.json`. Knows no words."""

from __future__ import annotations

from typing import Any

from tidegate.data.graphemes import CLUSTER, EXTENDERS
from tidegate.errors import DataError
from tidegate.kernels import Rule

LINE_BREAK = r"<br[ \t\r\n]*/?>"  # as <br /> stands between the paragraphs of web reviews
# Scripts without spaces between words are read by characters. An apostrophe within a word belongs to it (don't);
# every other mark is a token of its own. What a reader takes for one character stays whole.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_IN_WORD = rf"[[^\W_{_UNSPACED}]{EXTENDERS}]"
WORD = rf"{_IN_WORD}+(?:['’]{_IN_WORD}+)*|(?!\s){CLUSTER}"
# What byte pairs are looked for in: the pieces of Radford et al. 2019, but that marks belong to letters and digits.
PIECE = (
    rf"'(?:[smtd]|re|ve|ll)| ?\p{{L}}[\p{{L}}{EXTENDERS}]*| ?\p{{N}}[\p{{N}}{EXTENDERS}]*| ?[^\s\p{{L}}\p{{N}}]+"
    r"|\s+(?!\S)|\s+"
)
SIGN = r"[\s\S]"  # one code point: what a letter and its marks are made of
SPACES = r"\s+"
DIGIT = r"\d"
# Before December 2026: words and characters without their marks. Models of that time hold them, and read as they did.
OLD_WORD = rf"[^\W_{_UNSPACED}]+(?:['’][^\W_{_UNSPACED}]+)*|\S"
_PATTERNS = (LINE_BREAK, WORD, CLUSTER, PIECE, SIGN, SPACES, DIGIT, OLD_WORD)
_STEPS = ("NFC", "Lowercase", "Replace", "Split", "ByteLevel")
_MOST_STEPS = 4


def check_steps(content: Any) -> None:
    """Raise an exception of any kind for steps of a `tokenizer.json` that no tokenizer of ours has."""
    normalizer = content["normalizer"] or {"type": "Sequence", "normalizers": []}
    steps = normalizer["normalizers"] if normalizer["type"] == "Sequence" else [normalizer]
    for step in (*steps, *splitters(content["pre_tokenizer"])):
        pattern, written = step.get("pattern", {}).get("Regex"), step.get("content", "")
        known = step["type"] in _STEPS and (pattern in _PATTERNS or pattern is None) and written in ("", " ", "0")
        if not known or len(steps) > _MOST_STEPS or (pattern is None and "pattern" in step):
            raise DataError(f"it has the step {step!s:.80}, which none of ours has")


def splitters(content: Any) -> list[Any]:
    """List the steps that cut a text; raises an exception of any kind where there are more than ours have."""
    if not content:
        return []
    steps = content["pretokenizers"] if content["type"] == "Sequence" else [content]
    if len(steps) > 1 and [step["type"] for step in steps] != ["Split", "ByteLevel"]:
        raise DataError("it cuts texts in a way that none of ours does")
    return list(steps)


def rule_of(content: Any) -> tuple[Rule, bool] | None:
    """Name the rule of the core that cuts as a `tokenizer.json` does, and whether in lower case; None where none does.

    Nothing but what this library writes is recognised, step by step.

    >>> rule_of({"model": {"type": "BPE"}})
    """
    if content["model"]["type"] != "WordLevel":
        return None
    written = (content["normalizer"], content["pre_tokenizer"])
    return next((rule for rule, steps in _RULES.items() if steps == written), None)


def _replace(pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}


def _together(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "normalizers": list(steps)}


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": True}


_NFC, _LOWER, _PARAGRAPHS = {"type": "NFC"}, {"type": "Lowercase"}, _replace(LINE_BREAK, " ")
_RULES: dict[tuple[Rule, bool], tuple[Any, Any]] = {
    ("words", True): (_together(_NFC, _LOWER, _PARAGRAPHS), _split(WORD)),
    ("words", False): (_together(_NFC, _PARAGRAPHS), _split(WORD)),
    ("characters", True): (_together(_NFC, _LOWER, _PARAGRAPHS, _replace(SPACES, " ")), _split(CLUSTER)),
    ("whole", True): (_together(_NFC, _LOWER, _replace(DIGIT, "0")), None),
    ("signs", False): (_NFC, _split(SIGN)),
    ("graphemes", False): (None, _split(CLUSTER)),
}
