"""Writes signs.inc: how the core reads each code point, asked of the package `tokenizers` one by one.

    python3.11 core/text/signs.py > core/text/signs.inc

Taken are the code points of Unicode 14 (2021), which Python 3.11 knows. What is newer stays odd, so that no version of
`tokenizers` can come to read one of these otherwise. Odd is as well what the canonical composition (NFC) changes or may
join to its neighbour, what makes a cluster with any sign that follows, halves of flags, and what is longer in lower
case.
"""

from __future__ import annotations

import unicodedata
from itertools import groupby
from textwrap import fill

from tokenizers import Regex, normalizers, pre_tokenizers

from tidegate.data.cutting import DIGIT, WORD
from tidegate.data.graphemes import CLUSTER

ALL = range(0x31400)  # up to the last sign of Chinese; what lies beyond is odd
HALVES = range(0xD800, 0xE000)
JAMO = {*range(0x1100, 0x1200), *range(0xA960, 0xA980), *range(0xD7B0, 0xD800)}
JOINER = 0x200D
MARK = "\u0308"
VIRAMA, KA = "\u094d", "\u0915"

composed, apart, lower = normalizers.NFC(), normalizers.NFD(), normalizers.Lowercase()
zeroed = normalizers.Replace(Regex(DIGIT), "0")
words, clusters = (pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True) for pattern in (WORD, CLUSTER))


def ends(split: pre_tokenizers.Split, text: str) -> list[int]:
    """Say where the tokens of a text end."""
    return [end for _, (_, end) in split.pre_tokenize_str(text)]


def kind_of(c: str) -> str:
    """Tell how a sign is cut by how it is cut between others."""
    if ends(clusters, c + "a")[0] == 2 or len(lower.normalize_str(c)) > 1:
        return "Odd"
    if not ends(words, c):
        return "Space" if ends(clusters, c + MARK) == [2] else "Line"
    if ends(clusters, "!" + c) == [2]:
        links = ord(c) == JOINER or ends(clusters, f"!{c}{KA}") == [3]
        return ("Linker" if links else "Mark") if ends(words, f"a{c}a") == [3] else "Odd"
    if ends(clusters, c + c) == [2]:
        return "Odd"
    if ends(words, f"a{c}a") == [3]:
        return "Word" if ends(words, f"a{c}!") == [2, 3] else "Apostrophe"
    return "Single" if ends(clusters, c + MARK) == [2] else "Control"


def signs() -> list[tuple[object, ...]]:
    """List for each code point its kind, combining class, whether it is a digit, and what makes it lower case.

    Lower case is `c + plus + ((c ^ flip) & mask)`, so that scripts where capitals and small letters alternate are runs.
    """
    known = [chr(code) for code in ALL if code not in HALVES and unicodedata.category(chr(code)) not in ("Cn", "Co")]
    parts = {c: apart.normalize_str(c) for c in known}
    joining = {part for c, whole in parts.items() if composed.normalize_str(c) == c for part in whole[1:]}
    small = {c: lower.normalize_str(c) for c in known}
    odd: tuple[object, ...] = ("Odd", 0, 0, 0, 0, 0)
    found = [odd] * len(ALL)
    for c in known:
        kind = kind_of(c)
        if kind == "Odd" or c in joining or ord(c) in JAMO or composed.normalize_str(c) != c:
            continue
        plus, mask, flip = ord(small[c]) - ord(c), 0, 0
        if plus == 1 or (plus == 0 and small.get(chr(max(ord(c) - 1, 0))) == c != "\0"):
            plus, mask, flip = 0, 1, ord(c) & 1 ^ plus
        digit = int(zeroed.normalize_str(c) == "0")
        found[ord(c)] = (kind, unicodedata.combining(c), digit, plus, mask, flip)
    return found


def main() -> None:
    """Write both tables, the runs as pairs of a length and a number of the first table."""
    if unicodedata.unidata_version != "14.0.0":
        raise SystemExit(f"Python 3.11 is wanted, for Unicode 14; this one has {unicodedata.unidata_version}.")
    found = signs()
    distinct = sorted(set(found), key=lambda sign: (sign[0] != "Odd", *map(str, sign)))
    number = {sign: index for index, sign in enumerate(distinct)}
    runs = [f"{{{len(list(run))},{number[sign]}}}" for sign, run in groupby(found)]
    rows = [f"{{Kind::k{kind},{','.join(map(str, rest))}}}" for kind, *rest in distinct]
    print("// Written by signs.py: do not edit. Odd comes first.")
    for name, items in (("Sign kSigns", rows), ("Run kRuns", runs)):
        print(f"constexpr {name}[] = {{")
        print(fill(", ".join(items), 118, initial_indent="    ", subsequent_indent="    "))
        print("};")


if __name__ == "__main__":
    main()
