"""Signs where a live session stands, so that whoever holds the token can go on with it on any server with the key.

The state itself is in the token: signed, so that it cannot be altered, and not encrypted, as it goes to nobody but to
whom it came from. Knows neither models nor sockets.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from tidegate.errors import ServeError

LIFETIME = 7 * 86_400.0  # seconds that a token is good for
_MAC = 32  # bytes


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """Say where a session stands.

    Args:
        model: its name.
        digest: of the file of the model.
        steps: that were taken, as the client counts them.
        options: it was begun with.
        state: of the live session.
        expires: in seconds since 1970.
        kept: what the live session keeps of all steps, where that grows with them.
    """

    model: str
    digest: str
    steps: int
    options: dict[str, Any]
    state: bytes
    expires: float = 0.0
    kept: int = 0  # the last one, so that a server of another version passes over it, or does without


class Seal:
    """Sign standings with the first of some keys of 32 bytes, and check them with each.

    >>> seal = Seal([bytes(32)])
    >>> token = seal.close(Standing("waves", "ab12", 7, {"lookahead": 1}, b"..."))
    >>> seal.open(token).steps
    7
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = list(keys)

    def close(self, standing: Standing) -> str:
        """Write a token: letters, digits, `-` and `_`."""
        stamped = msgspec.structs.replace(standing, expires=time.time() + LIFETIME)
        content = msgspec.msgpack.encode(stamped)
        return base64.urlsafe_b64encode(content + _sign(self._keys[0], content)).decode().rstrip("=")

    def open(self, token: str) -> Standing:
        """Read a token.

        Raises ServeError: 422 for one that is none, was altered or was signed by another key; 410 for an old one.
        """
        try:
            data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _refused("it is no token at all") from None
        content, mac = data[:-_MAC], data[-_MAC:]
        if not any(hmac.compare_digest(_sign(key, content), mac) for key in self._keys):
            raise _refused("it was altered or cut short, or another server signed it, with another key")
        found = msgspec.msgpack.decode(content, type=Standing)
        if found.expires < time.time():
            told = f"the token is older than {LIFETIME / 86_400:.0f} days. Begin a new stream."
            raise ServeError(told, status=410, kind="token-expired")
        return found


def _sign(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, hashlib.sha256)


def _refused(why: str) -> ServeError:
    return ServeError(f"the token cannot be taken: {why}. Begin a new stream.", status=422, kind="bad-token")
