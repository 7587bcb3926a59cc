"""Says what a run stands on: versions, instruction set, threads, torch build, data folders. Changes nothing."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from tidegate.errors import TidegateError
from tidegate.version import __version__

_PACKAGES = (
    "numpy", "torch", "safetensors", "tokenizers", "pydantic", "scikit-learn", "matplotlib", "pyarrow"
)  # fmt: skip


def describe_environment() -> dict[str, Any]:
    """Collect what decides how a run behaves on this machine.

    Returns:
        A plain structure, ready for JSON: `tidegate`, `python`, `platform`, `processor`, `cpus`, `packages` (None where
        one is not installed), `kernels`, `torch` and `data`. A part that does not work holds `error` and the reason.

    >>> sorted(describe_environment())[:4]
    ['cpus', 'data', 'kernels', 'packages']
    """
    return {
        "tidegate": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "packages": {name: installed_version(name) for name in _PACKAGES},
        "kernels": _kernels(),
        "torch": _torch(),
        "data": _data(),
    }


def installed_version(package: str) -> str | None:
    """Give the version of an installed package, or None.

    >>> installed_version("no-such-package") is None
    True
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """Name the processor of this machine."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _kernels() -> dict[str, object]:
    try:
        import tidegate.kernels as kernels

        return {
            "isa": kernels.active_isa(),
            "available": list(kernels.available_isas()),
            "threads": kernels.get_num_threads(),
            "threads_chosen": kernels.explicit_num_threads() is not None,
        }
    except (ImportError, TidegateError) as error:
        return {"error": str(error)}


def _torch() -> dict[str, object]:
    try:
        import torch
    except ImportError as error:
        return {"error": str(error)}
    return {"version": torch.__version__, "cuda": torch.version.cuda, "threads": torch.get_num_threads()}


def _data() -> dict[str, object]:
    from tidegate.data import cache_folder

    return {"TIDEGATE_DATA": os.environ.get("TIDEGATE_DATA"), "cache": str(cache_folder())}
