"""`tidegate work`: this machine lends itself to a training that runs on another one."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.options import named_path
from tidegate.cli.output import say
from tidegate.errors import InputError

Where = Annotated[str, typer.Argument(metavar="HOST:PORT", help="Where `tidegate train --listen` waits for workers.")]
KeyFile = Annotated[
    Path, typer.Option("--key-file", metavar="FILE", parser=named_path, help="A file that holds the key of the run.")
]
Threads = Annotated[int | None, typer.Option("--threads", metavar="N", help="How many to use; by default all cores.")]
Wait = Annotated[float, typer.Option("--wait", metavar="S", help="Seconds to look for the training before giving up.")]


def work(where: Where, key_file: KeyFile, threads: Threads = None, wait: Wait = 300.0) -> None:
    """Find gradients for a training on another machine, until that has ended.

    The training hands over the network and every batch; this machine needs no data and no files. Where the training
    goes, or the link to it, this looks for it again, so that a run that is resumed finds its workers.

    Nothing is encrypted: the key keeps strangers out of a network that is trusted, such as a private one.

    Examples:
      tidegate work 10.0.0.1:7432 --key-file key
    """
    from tidegate.kernels.threads import set_num_threads
    from tidegate.scale.wire import LinkError
    from tidegate.scale.worker import work as be_worker

    address, key = address_of(where), key_of(key_file)
    set_num_threads(threads)
    until = time.monotonic() + wait
    while True:
        try:
            if be_worker(address, key):
                say("the training has ended")
                return
            say(f"the training at {where} is gone, or the link to it; looking for it again")
            until = time.monotonic() + wait
        except LinkError as error:
            if time.monotonic() > until:
                raise InputError(f"nobody waits for workers at {where} who knows the key ({error}).") from None
        time.sleep(1.0)


def address_of(where: str) -> tuple[str, int]:
    """Read a host and a port; raises InputError for anything else.

    >>> address_of("10.0.0.1:7432")
    ('10.0.0.1', 7432)
    """
    host, _, port = where.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise InputError(f"{where!r} is no HOST:PORT, such as 10.0.0.1:7432.")
    return host, int(port)


def key_of(file: Path) -> bytes:
    """Read a key; raises InputError where there is none, or where everybody on this machine may read or write it."""
    try:
        if os.name == "posix" and file.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            raise InputError(f"everybody on this machine may read or write the key in {file}. Run: chmod 600 {file}")
        return file.read_bytes().strip()
    except OSError as error:
        told = f"the key cannot be read from {file}: {error.strerror}."
        raise InputError(f"{told} Make one: (umask 077; openssl rand -hex 32 > {file})") from None
