"""Makes the pictures of the pages: runs the blocks of every page that shows one, in the folder that it shows it from.

A page shows a picture of its own as `_pictures/<page>/<file>` and writes the file `<file>` in one of its python blocks,
so that the code that made a picture stands beside it. Fetches nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parent
FENCE = re.compile(r"(?:<!-- (slow|not run): \S[^\n]* -->\n)?^```(\S*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = re.compile(r"\]\(_pictures/([^/)]+)/([^)]+)\)")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page: where it begins, its language and text, and the note above it."""

    line: int
    language: str
    text: str
    note: str | None


def blocks(text: str) -> Iterator[Block]:
    """Find the fenced blocks of a page."""
    for match in FENCE.finditer(text):
        note, language, body = match.groups()
        yield Block(text.count("\n", 0, match.start(3)) + 1, language, body, note)


def run(block: Block, where: str, names: dict[str, object]) -> None:
    """Execute a python block; an error names the page and the line."""
    exec(compile("\n" * (block.line - 1) + block.text, where, "exec"), names)  # noqa: S102  (our own documents)


def pictures(text: str) -> set[tuple[str, str]]:
    """Name the pictures of its own that a page shows: the folder, which is called as the page is, and the file."""
    return set(SHOWN.findall(text))


def draw_all() -> None:
    """Make the pictures of all pages; those of a page that have not changed are left as they are."""
    for page in sorted(DOCS.glob("*.md")):
        if pictures(page.read_text(encoding="utf-8")):
            draw(page)


def draw(page: Path) -> None:
    """Run the python blocks of a page from top to bottom, unless that was done with the same page and package."""
    folder, text = DOCS / "_pictures" / page.stem, page.read_text(encoding="utf-8")
    stamp, made_of = folder / "made-of", fingerprint(text)
    if stamp.exists() and stamp.read_text() == made_of:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    names: dict[str, object] = {"__name__": page.stem}
    with chdir(folder):
        for block in blocks(text):
            if block.language == "python" and block.note is None and not block.text.startswith(">>>"):
                run(block, page.name, names)
    stamp.write_text(made_of)


def fingerprint(text: str) -> str:
    """Hash a page, and the package that its blocks run on."""
    digest = hashlib.sha256(text.encode())
    for file in sorted((DOCS.parent / "src").rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
