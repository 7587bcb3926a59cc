"""Options that say who trains together, and how those are begun or waited for."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.options import named_path
from tidegate.cli.output import say
from tidegate.cli.work import address_of, key_of
from tidegate.errors import InputError

if TYPE_CHECKING:
    import tidegate.scale as scale

Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="N", help="Train with N processes, this one among them: the same model, to the bit."
    ),
]
Listen = Annotated[
    str | None,
    typer.Option(
        "--listen", metavar="HOST:PORT", help="With --workers: wait there for `tidegate work` on other machines."
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", metavar="FILE", parser=named_path, help="With --listen: what all workers must know."),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", metavar="S", help="With --workers: seconds that one waits for another; by default 120."),
]


@contextmanager
def crew_of(
    workers: int | None, timeout: float | None, listen: str | None, key_file: Path | None, cluster: str | None
) -> "Iterator[scale.Workers | None]":
    """Make the workers that were asked for, and say where they are."""
    if (listen is None) != (key_file is None) or (listen and workers is None):
        raise InputError("workers on other machines take --workers N, --listen HOST:PORT and --key-file FILE together.")
    if listen and cluster:
        raise InputError("--listen waits for workers, and --cluster begins them. Leave one out.")
    if workers is None and cluster is None:
        if timeout is not None:
            raise InputError("--timeout says how long one worker waits for another, but there are none: --workers N.")
        yield None
        return
    from tidegate.scale import Cluster, Elsewhere, Here, OnCluster, Place, Workers

    with ExitStack() as stack:
        place: Place = Here()
        if cluster is not None:
            place = OnCluster(stack.enter_context(Cluster(cluster)))
            workers = place.fitting if workers is None else workers
            say(f"{workers} workers, this process among them, on {place.cluster.told}")
        elif listen is not None and key_file is not None:
            place = Elsewhere(*address_of(listen), key_of(key_file))
            say(f"waiting for {(workers or 1) - 1} others: tidegate work {listen} --key-file FILE")
        else:
            told = "Threads of one process do the same, no slower: leave --workers out."
            say(f"{workers} workers on this machine. {told}")
        assert workers is not None, "that was asked for"
        yield stack.enter_context(Workers(workers, timeout=120.0 if timeout is None else timeout, place=place))
