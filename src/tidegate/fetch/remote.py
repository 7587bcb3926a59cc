"""A file elsewhere: its address, and how to know it when it has come."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Remote:
    """Say where a file is and how to know it: size in bytes and SHA-256 in hexadecimal.

    sha256: None for an archive whose content is what is known; whoever unpacks it checks that.
    """

    url: str
    size: int
    sha256: str | None

    @property
    def file(self) -> str:
        """Name the file: the end of its address."""
        return self.url.rpartition("/")[2]
