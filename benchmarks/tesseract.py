"""How many symbols does Tesseract read wrong on the lines of Fraktur that our transcribers are measured on?

The test part of `fraktur19`, unseen books, as the pictures are, with Tesseract's own model `frk` (any other by
`--language`), line by line (`--psm 7`). The measure is ours. Besides, both texts with long s, umlauts of a small e,
dashes and quotes as their plain forms, as models differ in what they write for them. Texts are kept as they come.

    python -m benchmarks.tesseract [--language frk] [--lines N] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
import unicodedata
from collections import defaultdict
from collections.abc import Set
from pathlib import Path
from typing import cast

import numpy as np

from benchmarks.record import machine, save
from tidegate import data
from tidegate.data.archive import read_members
from tidegate.data.transcribed.recordings import Recordings
from tidegate.fetch.cache import find_file
from tidegate.fetch.progress import silent
from tidegate.tasks.edits import distance, error_rate

NAME, ARCHIVE = "fraktur19", "fraktur19.tar.gz"
PLAIN = str.maketrans(dict(zip("ſ—–⸗„“”»«’", 's---"""""\'', strict=True)))
AT_ONCE = 50


def pictures(names: Set[str]) -> dict[str, bytes]:
    """Take pictures of lines out of the archive as they are."""
    if (archive := find_file(NAME, ARCHIVE)) is None:
        raise SystemExit(f"{NAME} is not here")
    members = read_members(archive, lambda name: name.partition("/")[2] in names, progress=silent)
    return {name.partition("/")[2]: content for name, content in members}


def read(places: list[Path], language: str) -> list[str]:
    """Let Tesseract read pictures, on one thread, a form feed between two."""
    listed = places[0].with_name("pictures.txt")
    listed.write_text("".join(f"{place}\n" for place in places))
    found = subprocess.run(
        ["tesseract", str(listed), "stdout", "-l", language, "--psm", "7"],
        capture_output=True, text=True, check=True, env={"OMP_THREAD_LIMIT": "1", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    texts = [" ".join(page.split()) for page in found.stdout.removesuffix("\f").split("\f")]
    if len(texts) != len(places):
        raise SystemExit(f"{len(texts)} texts came of {len(places)} pictures")
    return texts


def folded(text: str) -> str:
    """Write plain forms for what is printed in several."""
    plain = text.replace("a\u0364", "ä").replace("o\u0364", "ö").replace("u\u0364", "ü")
    return unicodedata.normalize("NFC", plain).translate(PLAIN)


def run(language: str, most: int | None, out: Path) -> None:
    """Read all lines, print the errors and keep the figures."""
    where, part = machine(1), data.load(NAME, kind="transcribed").test
    if part is None:
        raise SystemExit(f"{NAME} has no test part")
    lines = cast(Recordings, part.x)
    lines = lines.select(np.random.default_rng(0).permutation(len(lines))[:most])
    names, right = list(lines.names), lines.texts or []
    content = pictures({*names})
    found, begun = list[str](), time.perf_counter()
    for begin in range(0, len(names), AT_ONCE):
        places = [out / f"{begin + at}.png" for at in range(len(names[begin : begin + AT_ONCE]))]
        for place, name in zip(places, names[begin : begin + AT_ONCE], strict=True):
            place.write_bytes(content[name])
        found += [unicodedata.normalize("NFC", text) for text in read(places, language)]
        (out / "texts.txt").write_text("".join(f"{text}\n" for text in found))
        print(f"{len(found)} lines: {error_rate(found, right[: len(found)]):.4f}", flush=True)
    plain = error_rate(list(map(folded, found)), list(map(folded, right)))
    figures = {"cer": error_rate(found, right), "cer, plain forms": plain, "lines": len(found)}
    figures |= interval(found, right, lines.groups or names)
    setting = {"data": NAME, "language": language, "seconds": time.perf_counter() - begun, "version": version()}
    save(f"tesseract-{language}", __doc__, where, setting=setting, figures=figures)
    print(figures)


def interval(found: list[str], right: list[str], books: list[str]) -> dict[str, float]:
    """Give the 95 % interval, for which whole books are drawn anew 1,000 times."""
    counts: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(2))
    for told, text, book in zip(found, right, books, strict=True):
        counts[book] += distance(told, text), len(text)
    sums, rng = np.stack(list(counts.values())), np.random.default_rng(0)
    drawn = [sums[rng.integers(0, len(sums), len(sums))].sum(axis=0) for _ in range(1000)]
    low, high = np.percentile([wrong / symbols for wrong, symbols in drawn], (2.5, 97.5))
    return {"cer, low": float(low), "cer, high": float(high)}


def version() -> str:
    """Ask Tesseract for its version."""
    return subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]


def main() -> None:
    """Answer the question."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language", default="frk")
    parser.add_argument("--lines", type=int, help="read so many; by default all")
    parser.add_argument("--out", type=Path, help="keep pictures and texts there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = args.out or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        run(args.language, args.lines, out)


if __name__ == "__main__":
    main()
