"""Answers many files with several processes: each file once, whoever is killed on the way.

A file is a task: what answers it writes under a temporary name and renames, so that one that is answered twice leaves
the same bytes under the same name. The manifest of the folder says what was answered, of which bytes, by which model;
what it says is not done again. While files are answered a list says whose answers may be there without a line in the
manifest; any other file of such a name is not written over. Knows neither models nor formats: what answers a file is
somebody else's.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Container, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from tidegate.children import follow_parent
from tidegate.durable import atomic_write
from tidegate.errors import DataError, InputError, RunFolderError, TidegateError, WorkerError
from tidegate.kernels.threads import get_num_threads, set_num_threads
from tidegate.lock import LockedFolder
from tidegate.scale.cluster import Cluster

MANIFEST, BEGUN = "manifest.jsonl", ".begun.json"
Work: TypeAlias = Callable[[Path, Path], int]
"""Answers a file into another one, in one step, and returns how many rows that has; it must be picklable."""

_LOSSES = 3  # of processes, between two files that are answered


@dataclass(frozen=True)
class Answered:
    """Say of a file that it was answered: its bytes, the name of the answers in the folder, their bytes and rows."""

    file: str
    sha256: str
    answers: str
    answers_sha256: str
    rows: int


@dataclass(frozen=True)
class Progress:
    """Say how far it is: rows that were answered now, the share of all bytes, and what went wrong with which file."""

    rows: int
    share: float
    failed: Mapping[Path, TidegateError]


class Pool(Protocol):
    """Call functions in other processes; where one is lost its future raises BrokenExecutor."""

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Have a function called, some time."""


class Manifest:
    """Keep the manifest of a folder that is locked: a line for what answers, and one for each file that was answered.

    named: all names of answers that it has found, those that are not as it says among them.

    Raises RunFolderError where the folder holds answers of something else, unless they may be thrown away.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any], *, overwrite: bool) -> None:
        self.path, self.done, self.named = folder / MANIFEST, dict[str, Answered](), set[str]()
        lines = [] if overwrite or not self.path.exists() else self.path.read_bytes().split(b"\n")[:-1]
        self._kept = [_line(about)]
        if lines:
            self._check(folder, json.loads(lines[0]), about)
            self._kept += [line for line in lines[1:] if self._note(line)]

    def write(self) -> None:
        """Write it anew: a line that a kill cut off is gone, and so is what was thrown away."""
        atomic_write(self.path, b"".join(line + b"\n" for line in self._kept))

    def _check(self, folder: Path, found: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        for name in {*found, *about}:
            if found.get(name) != about.get(name):
                told = f"{folder} holds answers of another {name}: {found.get(name)}, not {about.get(name)}."
                raise RunFolderError(f"{told} Name another folder, or overwrite it.")

    def _note(self, line: bytes) -> bool:
        one = Answered(**json.loads(line))
        self.named.add(one.answers)
        written = self.path.parent / one.answers
        if written.is_file() and sha256(written) == one.answers_sha256:
            self.done[one.answers] = one
            return True
        return False

    def add(self, one: Answered) -> None:
        """Say that a file was answered, once its answers are on the disk."""
        with self.path.open("ab") as file:
            file.write(_line(asdict(one)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.done[one.answers] = one


def answer_all(
    files: Sequence[Path],
    folder: Path,
    work: Work,
    *,
    about: Mapping[str, Any],
    workers: int = 1,
    cluster: Cluster | None = None,
    overwrite: bool = False,
) -> Generator[Progress, None, None]:
    """Answer files into a folder, under their own names, yielding how far it is after each.

    A process that is killed is replaced, and what it was at is done again. If all end, call it once more: files that
    the manifest says are answered, and that are still the same, are passed over.

    Args:
        files: to be answered.
        folder: is made where it is not there.
        work: answers a file.
        about: says what answers, such as the digest of a model; a folder holds answers of the same alone.
        workers: how many processes on this machine.
        cluster: take its machines instead, a core for each file; they find files, folder and models by the same paths.
        overwrite: throw away what the folder holds of something else.

    Raises:
        InputError: two files have one name, or a file of such a name is in the folder, and not of its answers.
        RunFolderError: the folder holds answers of something else, or another process writes there.
        WorkerError: processes are lost again and again at the same files.
    """
    if workers < 1:
        raise InputError(f"{workers} workers: wanted 1 or more.")
    targets = {folder / file.name: file for file in files}
    if len(targets) < len(files):
        raise InputError("two of the files have one name, and their answers would, too. Answer them one by one.")
    lock = LockedFolder(folder)
    lock.lock()
    try:
        manifest, begun = Manifest(folder, about, overwrite=overwrite), _begun(folder)
        _check_targets(targets, manifest.named | begun, overwrite=overwrite)
        names = {target.name for target in targets}
        _note_begun(folder, begun | names)
        manifest.write()
        yield from _answer(targets, manifest, work, (lambda: _pool(workers)) if cluster is None else cluster.pool)
        _note_begun(folder, begun - names)
    finally:
        lock.release()


def _check_targets(targets: Mapping[Path, Path], own: Container[str], *, overwrite: bool) -> None:
    """Refuse to write over what is not of the answers whose names are told."""
    for target, file in targets.items():
        if target.name in (MANIFEST, BEGUN):
            raise InputError(f"{file} has a name that the folder of the answers keeps for itself. Rename it.")
        if target.exists() and file.exists() and target.samefile(file):
            raise InputError(f"{target} is the file that is read. Name another folder with -o.")
        if target.exists() and target.name not in own and not overwrite:
            raise InputError(f"{target} is there already. Name another folder, or add --overwrite.")


def _begun(folder: Path) -> set[str]:
    """Read whose answers may be in the folder, besides those that the manifest names."""
    file = folder / BEGUN
    return set(json.loads(file.read_bytes())) if file.exists() else set()


def _note_begun(folder: Path, names: Collection[str]) -> None:
    if names:
        atomic_write(folder / BEGUN, json.dumps(sorted(names)).encode())
    else:
        (folder / BEGUN).unlink(missing_ok=True)


def _sweep(targets: Iterable[Path]) -> None:
    """Remove what was begun and never ended; nobody else writes in the folder."""
    for target in targets:
        for draft in target.parent.glob(f".{target.name}.????????.tmp"):
            draft.unlink()


def _answer(
    targets: Mapping[Path, Path], manifest: Manifest, work: Work, open_pool: Callable[[], AbstractContextManager[Pool]]
) -> Iterator[Progress]:
    failed, rows, losses = dict[Path, TidegateError](), 0, 0
    sizes, left = dict[Path, int](), dict[Path, Path]()
    for target, file in targets.items():
        try:
            with _naming_the_fault():
                sizes[target] = file.stat().st_size + 1
                if not _is_done(manifest.done.get(target.name), file):
                    left[target] = file
        except DataError as error:
            failed[file] = error
    share = 1 - sum(sizes[target] for target in left) / sum(sizes.values()) if sizes else 1.0
    yield Progress(rows, share, failed)
    _sweep([*targets, manifest.path, manifest.path.with_name(BEGUN)])
    while left:
        with open_pool() as pool:
            try:
                jobs = {pool.submit(_do, work, file, target): target for target, file in left.items()}
                for job in as_completed(jobs):
                    target = jobs[job]
                    rows += _settle(job, manifest, failed, left[target])
                    del left[target]
                    losses, share = 0, share + sizes[target] / sum(sizes.values())
                    yield Progress(rows, share, failed)
            except BrokenExecutor:
                losses += 1
        _sweep(targets)  # when no process of the pool writes any more
        if losses > _LOSSES:
            told = f"processes were lost {losses} times while {len(left)} files were answered, such as"
            raise WorkerError(f"{told} {next(iter(left.values()))}. The memory may not be enough: take fewer workers.")


def _settle(job: Future[Answered], manifest: Manifest, failed: dict[Path, TidegateError], file: Path) -> int:
    """Write down what a job came to; what is wrong with a file is no reason to leave the others."""
    try:
        one = job.result()
        if not (manifest.path.parent / one.answers).exists():
            told = f"its answers were written, but {manifest.path.parent} does not have them"
            raise RunFolderError(f"{told}. The folder must be one that all machines share.")
    except WorkerError:  # which is no fault of the file
        raise
    except TidegateError as error:
        failed[file] = error
        return 0
    manifest.add(one)
    return one.rows


def _is_done(one: Answered | None, file: Path) -> bool:
    return one is not None and one.sha256 == sha256(file)


def _do(work: Work, file: Path, target: Path) -> Answered:
    """Answer a file, in a process of its own."""
    with _naming_the_fault():
        before, read = file.stat(), sha256(file)
        rows = work(file, target)
        after = file.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise RunFolderError(f"{file} changed while it was answered. Answer it again once it is whole.")
        return Answered(str(file), read, target.name, sha256(target), rows)


@contextmanager
def _naming_the_fault() -> Iterator[None]:
    """Make what a system refuses for a file an error of that file, which keeps no other from being answered."""
    try:
        yield
    except MemoryError:
        raise DataError("the memory is not enough for it. Take fewer workers, or cut it into parts.") from None
    except OSError as error:
        raise DataError(f"it cannot be read, or its answers cannot be written: {error}.") from None


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Keep processes while a block lasts; an exception ends them at once."""
    threads = max(1, get_num_threads() // workers)
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _prepare, (threads,))
    try:
        yield pool
    except BaseException:
        for process in list(pool._processes.values()):
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare(threads: int) -> None:
    """Let a process take its share of the threads, and end where its parent is gone."""
    follow_parent()
    set_num_threads(threads)


def sha256(path: Path) -> str:
    """Hash the bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record).encode()
