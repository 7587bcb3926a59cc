"""What a benchmark writes down: the machine, the settings, every sample; and reading it again."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.race import Outcome

RESULTS = Path(__file__).parent / "results"
OURS = "tidegate"

Record: TypeAlias = dict[str, Any]


def machine(threads: int) -> dict[str, Any]:
    """Describe where a number is taken; call it before the work, as it tells the load of the machine."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    versions = {"python": platform.python_version()}
    for package in ("tidegate", "torch", "numpy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "source tree"
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "threads": threads,
        "load_before": round(os.getloadavg()[0], 2),
        "versions": versions,
    }


def save(
    name: str,
    question: str | None,
    where: dict[str, Any],
    *,
    setting: dict[str, Any],
    outcome: Outcome | None = None,
    **more: Any,
) -> Path:
    """Write a dated result file and return its path; ``outcome`` is what a race gave."""
    now = datetime.now(UTC)
    found = asdict(outcome) if outcome else {}
    where = {**where, "versions": where["versions"] | found.pop("versions", {})}
    record = {
        "name": name,
        "taken": now.isoformat(timespec="seconds"),
        "question": (question or "").split("\n")[0],
        "setting": setting,
        "machine": where,
        **more,
        **{key: value for key, value in found.items() if value},
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{now:%Y-%m-%d}-{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"samples: {path}", file=sys.stderr)
    return path


def newest(paths: Iterable[Path]) -> dict[str, Record]:
    """Read result files; of several under one name the newest counts."""
    records = [json.loads(path.read_text()) for path in paths]
    return {record["name"]: record for record in sorted(records, key=lambda record: str(record["taken"]))}


def load(place: Path = RESULTS) -> dict[str, Record]:
    """Read a result file, or the newest of each name in a folder of them."""
    return newest(sorted(place.glob("*.json")) if place.is_dir() else [place])
