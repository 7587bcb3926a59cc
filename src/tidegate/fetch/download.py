"""Fetch one file over HTTP: bounded, resumed where it was cut off, checked, and put in place in one step.

What has arrived lies in ``<target>.part`` until size and SHA-256 are right; only then does ``<target>`` exist.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tidegate.errors import DownloadError
from tidegate.fetch.progress import Progress, silent
from tidegate.fetch.remote import Remote
from tidegate.lock import HeldError, Lock

_CHUNK = 1 << 18
_LASTING = {408, 416, 425, 429, 500, 502, 503, 504}  # answers that may be different next time


@dataclass(frozen=True)
class Patience:
    """Say how often to try in a row without a byte of progress, and how many seconds to wait."""

    attempts: int = 4
    pause: float = 1.0
    timeout: float = 20.0


def download(
    name: str, remote: Remote, target: Path, *, progress: Progress = silent, patience: Patience | None = None
) -> Path:
    """Fetch a file and return where it lies now.

    A connection that breaks is taken up again where it broke, in this call or, when this one gives up, in the next.
    While another process fetches the same file this one waits for it, and takes what it has brought.

    Args:
        name: what the file belongs to, such as a data set, for messages.
        remote: where the file is, and how to know it.
        target: where to put it.
        progress: told how much has arrived.
        patience: how often to try.

    Raises:
        DownloadError: the server cannot be reached or refuses, more bytes come than should, the checksum is wrong
            (what came is deleted then), or the disk cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        was_there = target.is_file()
        with _alone(name, target, progress):
            if was_there or not target.is_file():  # else another has brought it meanwhile
                _bring(name, remote, target, progress, patience or Patience())
    except OSError as error:
        raise DownloadError(f"{name} could not be stored in {target.parent}: {error}.") from error
    return target


def _alone(name: str, target: Path, progress: Progress) -> Lock:
    """Lock a file to be fetched, when nobody else fetches it any more."""
    path = target.with_name(f".{target.name}.lock")
    try:
        return Lock(path)
    except HeldError:
        progress(f"waiting for another process that downloads {name}", 0, 1)
        return Lock(path, wait=True)


def _bring(name: str, remote: Remote, target: Path, progress: Progress, patience: Patience) -> None:
    part = _part(target)
    failures, most = 0, _size(part)
    while _size(part) != remote.size:
        try:
            _fetch(name, remote, part, progress, patience.timeout)
            reason: Exception | str = "the connection was cut off"
        except _InterruptedError as error:
            reason = error
        failures = 0 if _size(part) > most else failures + 1
        most = max(most, _size(part))
        if failures >= patience.attempts:
            raise DownloadError(_advice(name, remote, target, reason))
        if failures:
            time.sleep(patience.pause * 2 ** (failures - 1))
    _verify(name, remote, part)
    with part.open("rb") as file:
        _flush(file, part)
    part.replace(target)


class _InterruptedError(Exception):
    """Tell of a connection that failed in a way that another try may cure."""


def _fetch(name: str, remote: Remote, part: Path, progress: Progress, timeout: float) -> None:
    """Append what the server still has to send to `part`; start over where the server cannot resume."""
    have = _size(part) if _size(part) <= remote.size else 0
    request = urllib.request.Request(remote.url, headers={"User-Agent": "tidegate", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink(missing_ok=True)
        if error.code in _LASTING:
            raise _InterruptedError(f"HTTP {error.code} {error.reason}") from error
        raise DownloadError(f"{name}: {remote.url} answered HTTP {error.code} {error.reason}.") from error
    except (OSError, http.client.HTTPException) as error:
        raise _InterruptedError(str(getattr(error, "reason", error))) from error
    with answer:
        resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        if resumed and not str(answer.headers["Content-Range"]).startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise _InterruptedError("the server resumed at another place than asked")
        _store(name, remote, answer, part, have if resumed else 0, progress)


def _store(
    name: str, remote: Remote, answer: http.client.HTTPResponse, part: Path, have: int, progress: Progress
) -> None:
    with part.open("ab" if have else "wb") as file:
        progress(f"downloading {name}", have, remote.size)
        while True:
            try:
                data = answer.read(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _InterruptedError(str(error)) from error
            if not data:
                break
            have += len(data)
            if have > remote.size:
                file.close()
                part.unlink()
                raise DownloadError(f"{name}: {remote.url} sends more than the {remote.size:,} bytes it should have.")
            file.write(data)
            progress(f"downloading {name}", have, remote.size)
        file.flush()
        _flush(file, part)


def _flush(file: BinaryIO, part: Path) -> None:
    """Bring a file to the disk; where that fails nobody knows what is there, and it goes."""
    try:
        os.fsync(file.fileno())
    except OSError:
        part.unlink()
        raise


def _verify(name: str, remote: Remote, part: Path) -> None:
    if remote.sha256 is None:
        return
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != remote.sha256:
        part.unlink()
        raise DownloadError(
            f"{name}: {remote.url} gave a file with SHA-256 {digest}, wanted {remote.sha256}. "
            "It was deleted. Try again, and if this repeats, do not trust that connection."
        )


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _advice(name: str, remote: Remote, target: Path, reason: Exception | str) -> str:
    have = _size(_part(target))
    kept = f" {have:,} bytes are kept; the next try goes on from there." if have else ""
    return (
        f"{name} could not be downloaded from {remote.url}: {reason}.{kept} Go online and try again, or put "
        f"{target.name} into {target.parent} or $TIDEGATE_DATA/{name} yourself."
    )


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")
