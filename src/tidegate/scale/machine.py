"""Says what the machine of a worker is. Knows nothing of what is trained there."""

from __future__ import annotations

import fcntl
import os
import platform
import socket
import struct
from pathlib import Path
from typing import Any

import numpy as np

import tidegate.kernels as kernels
from tidegate.runs.environment import processor
from tidegate.version import __version__

_SIOCGIFADDR = 0x8915  # asks Linux for the address of an interface


def describe(address: str) -> dict[str, Any]:
    """Say what a worker that has this address runs on."""
    return {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "address": address or "this machine",
        "interface": interface_of(address),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": kernels.get_num_threads(),
        "isa": kernels.active_isa(),
        "tidegate": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def interface_of(address: str) -> str:
    """Name the interface that has an address, with its megabits a second where Linux knows them; empty for none.

    >>> interface_of("127.0.0.1") in ("lo", "")
    True
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            try:
                asked = fcntl.ioctl(sock.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:  # it has no address, or this is no Linux
                continue
            if socket.inet_ntoa(asked[20:24]) == address:
                return f"{name}{_speed(name)}"
    return ""


def _speed(name: str) -> str:
    try:
        speed = int(Path(f"/sys/class/net/{name}/speed").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return ""
    return f", {speed} Mbit/s" if speed > 0 else ""
