"""Looks at what the compiler left: an object that may use AVX-512 must not offer the linker a function for others."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from surroundings import absent

BUILD = Path(__file__).parents[2] / "build"
ISAS = {"x86_64": ["scalar", "avx2", "avx512"], "aarch64": ["scalar", "neon"], "arm64": ["scalar", "neon"]}


@pytest.fixture(scope="module")
def objects() -> list[Path]:
    """The objects of the kernels, one per instruction set, wherever the build put them."""
    if not shutil.which("nm"):
        absent("nm is not installed")
    found = sorted(BUILD.glob("*/CMakeFiles/kernels_*.dir/**/*.o"))
    if not found:
        absent(f"no objects under {BUILD}; run make test, which builds them")
    return found


def test_every_instruction_set_was_compiled(objects: list[Path]) -> None:
    for isa in ISAS[platform.machine()]:
        assert any(f"kernels_{isa}.dir" in path.parts for path in objects), isa


def test_an_object_exports_exactly_one_symbol(objects: list[Path]) -> None:
    exported = {path.relative_to(BUILD).as_posix(): symbols(path) for path in objects}
    assert [name for name, names in exported.items() if len(names) != 1] == [], exported


def test_a_second_symbol_is_seen(tmp_path: Path) -> None:
    source = tmp_path / "both.cc"
    source.write_text("inline int seven() { return 7; }\nint (*one)() = seven;\nstatic int hidden() { return 2; }\n")
    compiler = shutil.which("c++") or absent("no C++ compiler")
    subprocess.run([compiler, "-c", str(source), "-o", str(tmp_path / "both.o")], check=True)
    assert [name.lstrip("_") for name in symbols(tmp_path / "both.o")] == ["Z5sevenv", "one"]


def symbols(path: Path) -> list[str]:
    """Name what an object offers to the linker: globals, and weak copies of inline functions and templates."""
    done = subprocess.run(["nm", "-g", str(path)], capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return sorted(row[-1] for row in rows if len(row) == 3 and row[1] != "U")
