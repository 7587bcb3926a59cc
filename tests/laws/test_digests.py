"""Law 2 across machines: every instruction set here, and Arm in an emulator, give the bits that are stored."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from surroundings import absent

ROOT = Path(__file__).parents[2]
CROSS = ROOT / "build" / "cross" / "aarch64"
STORED = ROOT / "tests" / "digests.txt"


def digests(*command: str | Path) -> dict[str, list[str]]:
    """Run the program of `core/digests.cc`: by instruction set, a name and a digest for every result."""
    found: dict[str, list[str]] = {}
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        isa, _, rest = line.partition(" ")
        found.setdefault(isa, []).append(rest)
    return found


def check(found: dict[str, list[str]]) -> None:
    stored = STORED.read_text().splitlines()
    for isa, lines in found.items():
        other = [line for line, wanted in zip(lines, stored, strict=True) if line != wanted]
        assert other == [], f"{isa} gives other bits. If they shall change, store what the scalar kernels print."


def test_every_instruction_set_of_this_machine_gives_the_stored_bits() -> None:
    programs = sorted((ROOT / "build").glob("*/digests"))
    if not programs:
        absent("build/*/digests is not there; run make test, which builds it")
    found = digests(programs[-1])
    assert "scalar" in found
    check(found)


def test_arm_gives_the_same_bits() -> None:
    found = digests(emulator(), cross_compiled())
    assert set(found) == {"scalar", "neon"}
    check(found)


def test_another_bit_is_seen() -> None:
    stored = STORED.read_text().splitlines()
    stored[7] = stored[7][:-1] + ("0" if stored[7][-1] != "0" else "1")
    with pytest.raises(AssertionError, match="neon gives other bits"):
        check({"neon": stored})


def cross_compiled() -> Path:
    """Build the kernels for aarch64 Linux, linked statically, so that the emulator needs no system of that kind."""
    compiler = shutil.which("aarch64-linux-gnu-g++")
    if not compiler:
        pytest.skip("no compiler for Arm; on Debian: apt install g++-aarch64-linux-gnu")
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    target = {"SYSTEM_NAME": "Linux", "SYSTEM_PROCESSOR": "aarch64", "CXX_COMPILER": compiler}
    target |= {"EXE_LINKER_FLAGS": "-static", "BUILD_TYPE": "Release"}
    options = [f"-DCMAKE_{name}={value}" for name, value in target.items()]
    configure = ["cmake", "-G", "Ninja", "-S", str(ROOT), "-B", str(CROSS), "-DTIDEGATE_DIGESTS=ON", *options]
    for command in (configure, ["cmake", "--build", str(CROSS)]):
        done = subprocess.run(command, env=os.environ | {"PATH": tools}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return CROSS / "digests"


def emulator() -> str:
    """Name what runs programs for aarch64 Linux here."""
    found = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if not found:
        pytest.skip("no emulator of Arm; on Debian: apt install qemu-user-static")
    return found
