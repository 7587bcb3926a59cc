"""A file can be read at one sitting: none is longer than 450 lines, of the source, the core, the tests or the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST = 450
FOLDERS = ("src", "core", "tests", "benchmarks", "docs")
KINDS = {".py", ".h", ".cc", ".c", ".js", ".css"}


def test_no_file_is_too_long() -> None:
    assert list(too_long(ROOT)) == []


def test_a_file_that_is_too_long_is_seen(tmp_path: Path) -> None:
    for folder in FOLDERS:
        (tmp_path / folder / "room").mkdir(parents=True)
    (tmp_path / "src/room/full.py").write_text("x = 1\n" * MOST)
    (tmp_path / "core/room/over.h").write_text("int x;\n" * (MOST + 1))
    (tmp_path / "docs/page.md").write_text("word\n" * 2 * MOST)
    assert list(too_long(tmp_path)) == ["core/room/over.h has 451 lines"]


def too_long(root: Path) -> Iterator[str]:
    """Name each file of code that is longer than it may be; what a tool has made does not count."""
    for path in sorted(path for folder in FOLDERS for path in (root / folder).rglob("*")):
        file = path.relative_to(root)
        if path.suffix in KINDS and not any(part.startswith(("_build", "_pictures", ".")) for part in file.parts):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > MOST:
                yield f"{file.as_posix()} has {lines} lines"
