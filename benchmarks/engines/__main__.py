"""Be one engine in a process of its own: ``python -m benchmarks.engines ENGINE QUESTION JOB``, started by a race."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from benchmarks.race import answer, pin
from benchmarks.work import Job

RUNTIMES = ("torch", "keras", "tensorflow-cpu", "tensorflow", "jax", "onnxruntime", "openvino")
PACKAGES = ("tidegate", "numpy", "flair", *RUNTIMES)


def versions() -> dict[str, str]:
    """Give the versions of the packages that this process has loaded."""
    found = {}
    for package in PACKAGES:
        if package.removesuffix("-cpu") in sys.modules:
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                continue
    return found


def main() -> None:
    """Pin this process before any engine counts the cores, then build the contest and answer."""
    pin()
    engine, question, job = sys.argv[1:]
    try:
        contest = getattr(import_module(f"benchmarks.engines.{engine}"), question)(Job(**json.loads(job)))
    except ModuleNotFoundError as missing:
        print(json.dumps({"absent": f"{missing.name} is not installed; run: make bench-peers"}), flush=True)
        return
    answer({"versions": versions()}, contest.check, contest.run, contest.notes)


main()
