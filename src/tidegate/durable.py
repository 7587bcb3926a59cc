"""How bytes reach the disk: whole or not at all, whatever happens meanwhile. Knows nothing of what they mean."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from time import time
from typing import BinaryIO, Final

from tidegate.lock import hold

_YOUNG: Final = 60.0  # seconds, in which a writer has locked the file that it began


def atomic_write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that a reader, a crash or a full disk finds either the old content or the new, never a part.

    The bytes go to a temporary name in the same folder, are flushed to the disk, renamed, and the folder is flushed. A
    link stays a link: the file that it leads to is replaced. What is no file, such as a pipe, is written to as it is.

    Raises:
        OSError: with the path and the reason; the temporary file is gone and the old content untouched.
    """
    with atomic_file(path) as file:
        file.write(data)


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file to write piece by piece, with the promises of `atomic_write`; its name is new once the block ends.

    Raises OSError as `atomic_write` does. Whatever else ends the block leaves the old content, and no temporary file.
    """
    target = Path(path)
    if target.is_symlink():
        target = Path(os.path.realpath(target))
    if target.exists() and not target.is_file() and not target.is_dir():
        with target.open("wb") as file:
            yield file
        return
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with draft.open("xb") as file:
            hold(file)
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    except OSError as error:
        kept = "; the previous file is untouched" if target.exists() else ""
        raise OSError(error.errno, f"could not write: {error.strerror}{kept}", str(target)) from error
    finally:
        with suppress(OSError):
            draft.unlink()
    flush_folder(target.parent)


def flush_folder(folder: Path) -> None:
    """Make a rename durable; where folders cannot be opened (Windows) there is nothing to flush."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep_drafts(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files that writers of this file left when they were killed; those of live ones stay."""
    target = Path(path)
    for draft in target.parent.glob(f".{escape(target.name)}.{'[0-9a-f]' * 8}.tmp"):
        with suppress(OSError), draft.open("rb") as file:
            if time() - draft.stat().st_mtime > _YOUNG and hold(file):
                draft.unlink()
