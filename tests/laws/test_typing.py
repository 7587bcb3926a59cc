"""What a user's checker says of Tidegate: two checkers read `typing/`, with its right uses and its wrong ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests/typing").glob("*.py"))
PYREFLY = ("--preset=strict", "--summary=none", "--error=unused-ignore", f"--search-path={ROOT / 'src'}")
CHECKERS = {
    "mypy": ["-m", "mypy", "--no-error-summary", "--warn-unused-ignores"],
    "pyrefly": ["-m", "pyrefly", "check", *PYREFLY, "--python-interpreter-path", sys.executable],
}


def check(checker: str, *files: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *CHECKERS[checker], *map(str, files)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("checker", CHECKERS)
def test_right_uses_are_accepted_and_wrong_ones_are_seen(checker: str) -> None:
    done = check(checker, *FILES)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_wrong_use_that_nobody_expects_fails(checker: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("import tidegate as tg\n\ntg.TextClassifier(hidden_size='large')\n")
    done = check(checker, tmp_path / "wrong.py")
    assert done.returncode == 1
    assert "hidden_size" in done.stdout
