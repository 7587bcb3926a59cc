"""`tidegate serve`: models over HTTP and sockets, until a signal ends it."""

from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.options import named_path
from tidegate.cli.output import say
from tidegate.errors import InputError, MissingPackageError

Models = Annotated[list[Path] | None, typer.Argument(metavar="MODEL...", help="Run folders or model files.")]
Named = Annotated[
    list[str] | None, typer.Option("--name", metavar="N=PATH", help="A model by another name; repeatable.")
]
Host = Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")]
Port = Annotated[int, typer.Option("--port", metavar="N", help="The port; 0 takes a free one.")]
Side = Annotated[int, typer.Option("--metrics-port", metavar="N", help="Of health and metrics, on this machine alone.")]
Threads = Annotated[int | None, typer.Option("--threads", metavar="N", min=1, help="Threads of the kernels.")]
Tokens = Annotated[
    Path | None,
    typer.Option(
        "--token-file", metavar="FILE", parser=named_path, help="Bearer tokens, one a line; asked of everybody."
    ),
]
States = Annotated[
    Path | None,
    typer.Option("--state-dir", metavar="DIR", parser=named_path, help="For sessions that no longer fit in memory."),
]
Deadline = Annotated[
    float, typer.Option("--deadline", metavar="S", help="Seconds after which nobody waits any longer.")
]
Body = Annotated[int, typer.Option("--max-body", metavar="BYTES", help="The largest request.")]
Queue = Annotated[int, typer.Option("--max-queue-tokens", metavar="N", help="Tokens that may wait.")]
Session = Annotated[int, typer.Option("--session-bytes", metavar="N", help="Memory of open sessions.")]
Connections = Annotated[int, typer.Option("--max-connections", metavar="N", help="Connections at a time.")]
Certificate = Annotated[
    Path | None, typer.Option("--certfile", metavar="FILE", parser=named_path, help="The certificate, for TLS.")
]
Key = Annotated[Path | None, typer.Option("--keyfile", metavar="FILE", parser=named_path, help="Its private key.")]
Watch = Annotated[bool, typer.Option("--watch", help="Load a model anew when its file was replaced.")]


def serve(
    models: Models = None,
    named: Named = None,
    host: Host = "127.0.0.1",
    port: Port = 8420,
    metrics_port: Side = 8421,
    threads: Threads = None,
    token_file: Tokens = None,
    state_dir: States = None,
    deadline: Deadline = 10.0,
    max_body: Body = 4 * 2**20,
    max_queue_tokens: Queue = 2**22,
    session_bytes: Session = 256 * 2**20,
    max_connections: Connections = 1000,
    certfile: Certificate = None,
    keyfile: Key = None,
    watch: Watch = False,
) -> None:
    """Serve models: POST /v1/predict, live streams, the Open Inference Protocol, and a page to play with.

    Prints the address once requests are taken. SIGTERM and Ctrl-C end it: what was taken is answered, and every live
    stream gets a token with which it goes on elsewhere. SIGHUP loads all models anew.

    Anybody on this machine may ask. To listen elsewhere, a file of bearer tokens is needed.

    Examples:
      tidegate serve runs/imdb-tutorial-bilstm
      tidegate serve runs/imdb --name tags=runs/ewt --watch --state-dir /var/lib/tidegate
      tidegate serve runs/imdb --host 0.0.0.0 --token-file tokens --certfile cert.pem --keyfile key.pem
    """
    try:
        from tidegate.serve.server import Server
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tidegate"):
            raise
        raise MissingPackageError.of(error.name or "starlette", "serve", "tidegate serve") from None
    from tidegate.serve.settings import Settings
    from tidegate.serve.shelf import name_models

    settings = Settings(
        host=host, port=port, metrics_port=metrics_port, threads=threads, token_file=token_file, state_dir=state_dir,
        deadline=deadline, max_body=max_body, max_queue_tokens=max_queue_tokens, session_bytes=session_bytes,
        max_connections=max_connections, certfile=certfile, keyfile=keyfile, watch=watch,
    )  # fmt: skip
    paths = name_models(models or [], dict(map(_read_name, named or [])))
    if not paths:
        raise InputError("no model was named. Give a run folder or a model file, such as runs/imdb.")
    server = Server(paths, settings, say=say)
    server.run(lambda url: print(url, flush=True))


def _read_name(text: str) -> tuple[str, Path]:
    """Read `N=PATH`; raises InputError for anything else."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise InputError(f"--name {text} is not N=PATH. Write for example: --name tags=runs/ewt")
    return name, Path(path)
