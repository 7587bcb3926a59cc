"""What `tidegate predict` does with `--workers` or `--cluster`: many files into a folder, each file once."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import closing, nullcontext, redirect_stderr
from functools import cache, partial
from pathlib import Path
from typing import Any

from tidegate.cli.files import Wish, answer_files
from tidegate.cli.inputs import load_task
from tidegate.cli.output import say
from tidegate.cli.progress import show_answering
from tidegate.cli.signals import leave_on_sigterm
from tidegate.cli.whole import answer_whole
from tidegate.errors import DataError, InputError, ModelFileError
from tidegate.tasks.cards import CARDS


def answer_in_bulk(model: Path, files: Sequence[Path], wish: Wish, workers: int, cluster: str | None) -> None:
    """Answer each file into a file of its name in the folder of the wish; go on where an earlier call was ended."""
    from tidegate.scale import Cluster
    from tidegate.scale.bulk import MANIFEST, answer_all, sha256
    from tidegate.tasks.loading import model_file

    if wish.out is None or not files:
        raise InputError("--workers and --cluster answer files into a folder. Name the files, and the folder: -o DIR")
    if wish.out.exists() and not wish.out.is_dir():
        raise InputError(f"-o {wish.out} is no folder. Name one.")
    digest = sha256(model_file(model))
    about = {"model": digest, "text": wish.text, "read": wish.reading or {}}
    work = partial(answer_one, model, digest, wish.text, wish.reading)
    with leave_on_sigterm(), nullcontext() if cluster is None else Cluster(cluster) as machines:
        progress = answer_all(
            files, wish.out, work, about=about, workers=workers, cluster=machines, overwrite=wish.overwrite
        )
        with show_answering(f"{len(files)} files", bar=True) as show, closing(progress):
            for step in progress:
                show(step.rows, step.share)
    for file, error in step.failed.items():
        say(f"error: {error.about(str(file))}")
    done = len(files) - len(step.failed)
    say(f"{done:,} files answered, {step.rows:,} rows of them now; {wish.out / MANIFEST} says which")
    if step.failed:
        raise DataError(
            f"{len(step.failed)} of {len(files)} files could not be answered. Mend them, and call it again."
        )


def answer_one(
    model: Path, digest: str, text: str | None, reading: dict[str, Any] | None, file: Path, target: Path
) -> int:
    """Answer one file, as `predict` does, and return its rows; nothing is printed."""
    loaded = _loaded(model, digest)
    card, wish = CARDS[loaded.name], Wish(text, target, True, reading)
    with redirect_stderr(io.StringIO()):
        if card.answers().whole is not None:
            return sum(answer_whole(card, loaded, [file], wish, picture=None, json=False))
        return sum(answer_files(loaded, model, [file], wish))


@cache
def _loaded(model: Path, digest: str) -> Any:
    """Load a model once in a process; raises ModelFileError where it is another one by now."""
    from tidegate.scale.bulk import sha256
    from tidegate.tasks.loading import model_file

    loaded = load_task(model)
    if sha256(model_file(model)) != digest:
        raise ModelFileError(f"{model} was replaced while files were answered. Call it again, into another folder.")
    return loaded
