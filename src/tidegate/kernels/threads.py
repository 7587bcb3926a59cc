"""Which instruction set and how many threads run the kernels."""

from __future__ import annotations

import os
from pathlib import Path

import tidegate._core as _core
from tidegate.errors import InputError, OptionError


def available_isas() -> tuple[str, ...]:
    """Name the instruction sets that this machine can run, slowest first.

    >>> "scalar" in available_isas()
    True
    """
    return tuple(_core.available_isas())


def active_isa() -> str:
    """Name the instruction set that the kernels use now."""
    return str(_core.active_isa())


def use_isa(name: str) -> None:
    """Make the kernels use one instruction set. The bits of every result stay the same.

    Raises OptionError for a name that is unknown or that this machine cannot run.
    """
    if not _core.use_isa(name):
        raise OptionError.unknown("or unsupported ISA", name, available_isas())


def set_num_threads(threads: int | None) -> None:
    """Use at most this many threads in every kernel, the caller's among them; None goes back to the default.

    Raises InputError unless ``threads`` is at least 1.
    """
    global _explicit_threads
    if threads is not None and threads < 1:
        raise InputError(f"set_num_threads({threads}): the number of threads must be at least 1.")
    _explicit_threads = threads


def get_num_threads() -> int:
    """Return the number of threads that kernels use unless a call says otherwise."""
    return _explicit_threads or _default_threads


def explicit_num_threads() -> int | None:
    """Return the number that TIDEGATE_NUM_THREADS or set_num_threads asked for, or None where neither did."""
    return _explicit_threads


def _usable_cores() -> int:
    """Count the cores that this process may use: its affinity, and the quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no control group, or no quota ("max")
        return cores


def _threads_from_environment() -> int | None:
    value = os.environ.get("TIDEGATE_NUM_THREADS", "")
    if value and not (value.isdigit() and int(value) > 0):
        raise InputError(f"TIDEGATE_NUM_THREADS={value!r}: wanted a whole number of at least 1. Set it, or unset it.")
    return int(value) if value else None


def thread_count(num_threads: int | None) -> int:
    """Count the threads of a call, None standing for those of every kernel."""
    return num_threads or get_num_threads()


_explicit_threads = _threads_from_environment()
_default_threads = _usable_cores()
if "TIDEGATE_ISA" in os.environ:
    use_isa(os.environ["TIDEGATE_ISA"])
