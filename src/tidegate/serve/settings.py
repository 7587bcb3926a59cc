"""What a server may be told: where it listens, who may ask, and how much it takes on. Knows no HTTP."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from tidegate.errors import Argument, InputError

SHORTEST_TOKEN = 16  # characters
_TOKEN = "serve.token"
_KEY = "stream.key"


@dataclass(frozen=True)
class Settings:
    """Say how to serve.

    Args:
        host: the address to listen on; any but a loopback address needs `token_file`.
        port: 0 takes a free one.
        metrics_port: of health and metrics, on the loopback interface; 0 takes a free one, None serves none.
        threads: for the kernels; None takes their own setting.
        token_file: a file with a bearer token on each line, at least 16 characters; they also sign streams.
        state_dir: a folder for sessions that no longer fit in memory, and for the key that signs streams.
        deadline: seconds after which nobody waits for an answer any longer.
        max_body: bytes of a request, at most.
        max_queue_tokens: tokens that may wait, those of bodies that are being read among them.
        session_bytes: what open sessions may take in memory.
        max_connections: those beyond are closed.
        grace: seconds that requests have to finish once the server shall end.
        certfile, keyfile: for TLS.
        watch: look every second whether a model file was replaced.

    Raises InputError for what cannot be, or would let strangers in.

    >>> Settings(host="0.0.0.0")
    Traceback (most recent call last):
    tidegate.errors.InputError: 0.0.0.0 can be reached from elsewhere, and no token is asked for. Pass token_file=....
    """

    host: str = "127.0.0.1"
    port: int = 8420
    metrics_port: int | None = 8421
    threads: int | None = None
    token_file: Path | None = None
    state_dir: Path | None = None
    deadline: float = 10.0
    max_body: int = 4 * 2**20
    max_queue_tokens: int = 2**22
    session_bytes: int = 256 * 2**20
    max_connections: int = 1000
    grace: float = 20.0
    certfile: Path | None = None
    keyfile: Path | None = None
    watch: bool = False
    tokens: tuple[str, ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("max_body", "max_queue_tokens", "session_bytes", "max_connections", "deadline", "grace"):
            if getattr(self, name) <= 0:
                raise InputError(f"{name}={getattr(self, name)}; wanted a number above zero.")
        for name in ("port", "metrics_port"):
            if not 0 <= (getattr(self, name) or 0) < 2**16:
                raise InputError(f"{name}={getattr(self, name)}; wanted a number from 0 to 65535.")
        if (self.certfile is None) != (self.keyfile is None):
            raise InputError("TLS needs both a certificate and its key. Pass certfile and keyfile, or neither.")
        if self.token_file is not None:
            object.__setattr__(self, "tokens", read_tokens(self.token_file))
        elif not is_loopback(self.host):
            told = f"{self.host} can be reached from elsewhere, and no token is asked for. Pass "
            raise InputError(told, Argument("token_file"), ".")
        if self.state_dir is not None:
            self.state_dir.mkdir(parents=True, exist_ok=True)

    def signing_keys(self) -> list[bytes]:
        """Give the keys of the states of streams, 32 bytes each: the first signs, and all are good.

        They are made of the tokens, so that all servers with these go on with each other's streams. Without any, one is
        kept in the folder of states, and without that it ends with the process.
        """
        if self.tokens:
            return [hashlib.sha256(b"tidegate streams\0" + token.encode()).digest() for token in self.tokens]
        if self.state_dir is None:
            return [secrets.token_bytes(32)]
        file = self.state_dir / _KEY
        if not file.exists():
            file.touch(mode=0o600)
            file.write_bytes(secrets.token_bytes(32))
        key = file.read_bytes()
        if len(key) != 32:
            raise InputError(f"{file} holds {len(key)} bytes; wanted a key of 32. Remove it, and a new one is made.")
        return [key]


def read_tokens(file: Path) -> tuple[str, ...]:
    """Read the tokens of a file, one a line; raises InputError where there is none, or one is too short to be safe."""
    try:
        found = tuple(line.strip() for line in file.read_text(encoding="ascii").splitlines() if line.strip())
    except UnicodeDecodeError:
        raise InputError(f"{file} is no plain text. Write a token of ASCII letters and digits on a line.") from None
    if not found or min(map(len, found)) < SHORTEST_TOKEN:
        raise InputError(
            f"{file} holds {'no token' if not found else 'a token that is too short'}; wanted at least "
            f"{SHORTEST_TOKEN} characters. Make one with: python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return found


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "example.org")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
