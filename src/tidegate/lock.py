"""A lock that one process holds and that dies with it, however it ends. Knows nothing of what it keeps others from."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import warnings
import weakref
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import BinaryIO, Self

from tidegate.errors import RunFolderError

LOCK = ".tidegate.lock"

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)


class HeldError(Exception):
    """Tell that another holds the lock; `owner` says who, as far as is known."""

    def __init__(self, owner: str) -> None:
        super().__init__(owner)
        self.owner = owner


class Lock:
    """Hold a lock file until `release`, or until this process ends, if by a kill.

    The file system keeps the lock (`flock`), the file only gives it a name and says who holds it: one that a killed
    process left behind is in nobody's way. A child that is forked meanwhile shares the lock.

    Args:
        path: the lock file; its folder must exist. It is gone after `release`.
        wait: wait until the lock is free instead of raising HeldError.
        made: the folder was made for what the lock guards: where nothing is in it at the end, it goes, too.

    Raises:
        HeldError: another process, or another `Lock` of this one, holds it.
        OSError: the file cannot be made.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> mine = Lock(Path(folder.name) / ".lock")
    >>> try:
    ...     Lock(Path(folder.name) / ".lock")
    ... except HeldError as error:
    ...     print(error.owner == f"process {os.getpid()} on {socket.gethostname()}")
    True
    >>> mine.release()
    >>> folder.cleanup()
    """

    def __init__(self, path: Path, *, wait: bool = False, made: bool = False) -> None:
        handle = _take(path, wait)
        self.release = weakref.finalize(self, _give_back, path, handle, os.getpid(), made)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class LockedFolder:
    """Name a folder that one process writes at a time: between `lock` or `make`, and `release`.

    The lock ends with this object, too, and with the process.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock: Lock | None = None

    @classmethod
    def new(cls, path: Path) -> Self:
        """Make and lock a new folder, numbered where there is one; no two processes get the same, whenever they ask."""
        numbered = (path.with_name(f"{path.name}-{number}") for number in count(2))
        return next(folder for folder in map(cls, chain([path], numbered)) if folder.make())

    def lock(self, *, made: bool = False) -> bool:
        """Make the folder where it is not there, and keep others out; return False where it was locked already.

        One that was made here, or by the caller who says so, goes at the end where nothing was put into it.

        Raises:
            RunFolderError: another process, or another user of it in this one, holds it; or it is no folder.
        """
        if self._lock is not None:
            return False
        while self._lock is None:
            try:
                made = made or not self.path.exists()
                self.path.mkdir(parents=True, exist_ok=True)
                self._lock = Lock(self.path / LOCK, made=made)
            except (FileExistsError, NotADirectoryError):
                raise RunFolderError(f"{self.path} is not a folder; name one to write to.") from None
            except FileNotFoundError:
                continue  # another process, which was refused, has just removed the folder that it made
            except HeldError as held:
                told = f"{self.path} is in use: {held.owner} writes there. Wait until it ends, or name another folder."
                raise RunFolderError(told) from None
        return True

    def make(self) -> bool:
        """Make and lock a folder that is new; return False where it was there already."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.path.mkdir()
        except FileExistsError:
            return False
        return self.lock(made=True)

    def release(self) -> None:
        """Let others in; a folder that was made for nothing goes."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def hold(file: BinaryIO) -> bool:
    """Lock an open file until it is closed; False where another holds it, or where the file system knows no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _take(path: Path, wait: bool) -> int:
    """Open and lock the file; again where its holder has removed it meanwhile."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _flock(path, handle, wait)
            if _is_at(path, handle):
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
                return handle
        except BlockingIOError:
            owner = os.pread(handle, 300, 0).decode(errors="replace") or "another process"
            os.close(handle)
            raise HeldError(owner) from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _flock(path: Path, handle: int, wait: bool) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        told = f"the file system of {path.parent} knows no locks: see to it that no other process writes there."
        warnings.warn(told, stacklevel=2)


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _give_back(path: Path, handle: int, owner: int, made: bool) -> None:
    if os.getpid() == owner:  # a forked child has the file open, too, but it is not the child's to remove
        with suppress(OSError):
            path.unlink()
            if made:
                path.parent.rmdir()  # which it does only where nothing is in it
    with suppress(OSError):
        os.close(handle)
