"""Keeps sessions that no longer fit in memory in one file of sqlite. Knows them as bytes by a key."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

_FILE = "sessions.sqlite"


class Attic:
    """Put sessions away and take them up again; one thread at a time.

    A process that is killed loses nothing that was put away. Those that nobody came back for are dropped after `keep`
    seconds, when the next process opens the file.
    """

    def __init__(self, folder: Path, *, keep: float = 7 * 86_400.0) -> None:
        self._file = sqlite3.connect(folder / _FILE, check_same_thread=False, isolation_level=None)
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("PRAGMA synchronous=OFF")  # what a kill leaves is whole; only a crash of the machine is not
        self._file.execute("CREATE TABLE IF NOT EXISTS sessions (key TEXT PRIMARY KEY, sealed TEXT, at REAL)")
        self._file.execute("DELETE FROM sessions WHERE at < ?", (time.time() - keep,))

    def put(self, key: str, sealed: str) -> None:
        """Put a session away."""
        self._file.execute("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)", (key, sealed, time.time()))

    def take(self, key: str) -> str | None:
        """Take a session out; None where there is none of this key."""
        row = self._file.execute("SELECT sealed FROM sessions WHERE key = ?", (key,)).fetchone()
        self.drop(key)
        return None if row is None else str(row[0])

    def drop(self, key: str) -> None:
        """Forget a session."""
        self._file.execute("DELETE FROM sessions WHERE key = ?", (key,))

    def __len__(self) -> int:
        return int(self._file.execute("SELECT count(*) FROM sessions").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._file.close()
