"""The files of something that has a name, such as a data set: here already, or else downloaded into the cache."""

from __future__ import annotations

from pathlib import Path

from tidegate.fetch.cache import cache_folder, find_file
from tidegate.fetch.progress import Progress
from tidegate.fetch.remote import Remote


def find_remote(name: str, remote: Remote) -> Path | None:
    """Find a file of `name` on this machine; what a user put there is judged by its content, not by its checksum."""
    return find_file(name, remote.file)


def fetch_remote(name: str, remote: Remote, progress: Progress) -> Path:
    """Return a file of `name`, downloaded into the cache if it is not on this machine. Raises DownloadError."""
    from tidegate.fetch.download import download  # brings ssl, which is slow to import

    return find_remote(name, remote) or download(name, remote, cache_folder() / name / remote.file, progress=progress)
