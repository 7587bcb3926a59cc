"""Live sessions: what each has taken, what they take in memory together, and where those go that no longer fit.

Runs on the thread of the kernels alone. Knows no sockets: who holds a session is told of what becomes of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tidegate.errors import InputError, ServeError
from tidegate.serve.attic import Attic
from tidegate.serve.seal import Seal, Standing
from tidegate.serve.shelf import Served, Shelf
from tidegate.tasks.live import Live

Json: TypeAlias = dict[str, Any]

_OVERHEAD = 2048  # bytes of a session besides its state
HOT = 64  # sessions that are kept ready to step, 5 to 42 kB each; of all others the state alone is kept
_REMEMBERED = 4096  # sessions that were dropped, to tell whoever asks for one, or put away
MOST_STATE = 2**21  # bytes of a state that grows: its token, a third longer, must come back within `max_body`
_WEIGHED = 128  # frames, symbols or characters that such a state takes on until it is weighed again
FORWARD = 64  # steps after which a token is handed over unasked


@dataclass(eq=False)
class Session:
    """Hold a live session and how many steps a client gave it.

    Args:
        served: the model, which stays the same to the end.
        options: it was begun with.
        live: what is fed; None where only the state is kept.
        state: where it stood when it was last put down.
        steps: that were taken.
        sealed: at which of them the last token was made.
        kept: what the live session keeps of all steps, where that grows with them.
        weighed: what that was when the state was last weighed.
        weight: bytes of the state then.
    """

    served: Served
    options: Mapping[str, Any]
    live: Live | None
    steps: int = 0
    sealed: int = 0
    state: bytes = b""
    kept: int = 0
    weighed: int = 0
    weight: int = 0

    def __post_init__(self) -> None:
        self._count()

    def take_up(self) -> Live:
        """Make ready to step."""
        if self.live is None:
            self.live = self.served.begin(self.options, self.state)
        return self.live

    def put_down(self) -> int:
        """Keep the state alone, and say how many bytes that takes."""
        if self.live is not None:
            self.state, self.live = self.live.state, None
        return _OVERHEAD + len(self.state)

    def standing(self) -> Standing:
        """Say where it stands."""
        served, state = self.served, self.state if self.live is None else self.live.state
        return Standing(served.name, served.digest, self.steps, dict(self.options), state, kept=self.kept)

    def take(self, steps: Sequence[Any], at: int | None) -> tuple[list[tuple[int, Any]], Exception | None]:
        """Take steps, and return what was answered, each with the number of its step; and what stopped it, if anything.

        Args:
            steps: as the task takes them.
            at: how many came before the first of these; those that were taken already are passed over. None: all.

        Raises ServeError (409) where steps are missing in between.
        """
        if at is not None and at > self.steps:
            told = f"steps from {at} on came, but {self.steps} were taken so far. Send those in between, too."
            raise ServeError(told, status=409, kind="gap")
        answers, live = list[tuple[int, Any]](), self.take_up()
        for step in steps if at is None else steps[self.steps - at :]:
            try:
                self._require_room()
                answer = live.step(step)
            except InputError as error:
                return answers, error
            except (TypeError, ValueError, OverflowError) as error:
                return answers, InputError(f"step {self.steps + 1} cannot be read: {error!s:.200}")
            self.steps += 1
            self._count()
            if answer is not None:
                answers.append((self.steps, answer))
        return answers, None

    def _count(self) -> None:
        count = self.served.wire.live.kept
        if count is not None and self.live is not None:
            self.kept = count(self.live)

    def _require_room(self) -> None:
        """Raise InputError where the state of a session has grown so long that a token could not be handed back."""
        if self.kept - self.weighed >= _WEIGHED and self.live is not None:
            self.weighed, self.weight = self.kept, len(self.live.state)
        if self.weight > MOST_STATE:
            told = (
                f"the stream keeps {self.weight:,} bytes after {self.steps:,} steps; {MOST_STATE:,} are kept at most."
            )
            raise InputError(f"{told} End it, which answers all that was read, and begin another one.")


@dataclass(eq=False)
class Sessions:
    """Hold sessions by key within a budget of bytes; the one that was asked longest ago makes room for others.

    It goes into the attic, and comes back when it is asked for. Without one its holder gets a token for it; a session
    that nobody holds is remembered as dropped, so that its next step is told why.

    Args:
        shelf: of the models.
        seal: that signs tokens.
        limit: bytes.
        attic: for those that no longer fit.
    """

    shelf: Shelf
    seal: Seal
    limit: int
    attic: Attic | None = None
    used: int = 0
    evicted: int = 0
    _ended: bool = False
    _open: OrderedDict[str, tuple[Session, int]] = field(default_factory=OrderedDict)
    _hot: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _holders: dict[str, Callable[[str, int], None]] = field(default_factory=dict)
    _dropped: OrderedDict[str, int] = field(default_factory=OrderedDict)
    _away: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, served: Served, options: Mapping[str, Any]) -> Session:
        """Begin a session that belongs to nobody yet. Raises what the task refuses."""
        return Session(served, dict(options), served.begin(options))

    def resume(self, token: str, name: str | None = None) -> Session:
        """Begin a session where a token says; raises ServeError for one that is not sound, or of another model."""
        found = self.seal.open(token)
        if name is not None and found.model != name:
            told = f"the token is of a stream of {found.model}, not of {name}. Ask that model."
            raise ServeError(told, status=422, kind="bad-token")
        served = self.shelf.of_digest(found.model, found.digest)
        live = served.begin(found.options, found.state)
        return Session(served, found.options, live, found.steps, found.steps)

    def token(self, session: Session) -> str:
        """Sign where a session stands."""
        session.sealed = session.steps
        return self.seal.close(session.standing())

    def hold(self, key: str, session: Session, holder: Callable[[str, int], None] | None = None) -> None:
        """Keep a session under a key; `holder` is handed a token, and the step, when there is no more room for it.

        Raises ServeError (503) for one that is larger than the whole budget.
        """
        self._require_open()
        size = session.put_down()
        if size > self.limit:
            told = f"the session takes {size:,} bytes, and all together may take {self.limit:,}."
            raise ServeError(told, status=503, kind="no-room")
        self.close(key)
        self._open[key] = (session, size)
        self.used += size
        if holder is not None:
            self._holders[key] = holder
        self._make_room(key)

    def find(self, key: str) -> Session:
        """Find a session; raises ServeError: 410 where it was dropped, 404 where there never was one."""
        self._require_open()
        if key in self._open:
            self._open.move_to_end(key)
            self._heat(key)
            return self._open[key][0]
        sealed = None if self.attic is None else self.attic.take(key)
        if sealed is not None:
            session, holder = self.resume(sealed), self._holders.get(key)
            self.hold(key, session, holder)
            self._heat(key)
            return session
        if key in self._dropped:
            told = f"the session was dropped after {self._dropped[key]} steps to make room for others. Begin it anew."
            raise ServeError(told, status=410, kind="dropped")
        raise ServeError("no such session is open. Begin one first.", status=404, kind="no-such-session")

    def kept(self, key: str | None, token: str | None = None) -> int:
        """Count what a session keeps of all steps, by its key, or where a token says; 0 where nothing is known of it.

        The one thing that other threads may ask, too: of what is on its way they learn nothing.
        """
        if token is not None:
            try:
                return self.seal.open(token).kept
            except ServeError:  # as whoever resumes it will be told
                return 0
        found = None if key is None else self._open.get(key)
        return self._away.get(key or "", 0) if found is None else found[0].kept

    def recount(self, key: str) -> None:
        """Count again what a session takes whose state has grown by the steps of a turn."""
        session, size = self._open[key]
        if (grown := _OVERHEAD + session.weight - size) > 0:
            self._open[key] = (session, size + grown)
            self.used += grown
            self._make_room(key)

    def close(self, key: str) -> None:
        """Forget a session."""
        self._holders.pop(key, None)
        self._dropped.pop(key, None)
        self._hot.pop(key, None)
        if key in self._open:
            self.used -= self._open.pop(key)[1]
        elif self.attic is not None:
            self.attic.drop(key)

    def put_away(self) -> None:
        """Put all sessions that nobody holds into the attic, where there is one, as the server ends; take no more."""
        self._ended = True
        for key in [key for key in self._open if key not in self._holders]:
            if self.attic is not None:
                self.attic.put(key, self.token(self._open[key][0]))

    def _require_open(self) -> None:
        if self._ended:
            told = "the server ends, and takes no further steps. Ask again; the next one goes on."
            raise ServeError(told, status=503, kind="ending", retry_after=1)

    def _heat(self, key: str) -> None:
        """Let a session be ready to step, and put down the one that was asked longest ago of those that are."""
        self._hot[key] = None
        self._hot.move_to_end(key)
        if len(self._hot) > HOT:
            cold, _ = self._hot.popitem(last=False)
            session, size = self._open[cold]
            now = session.put_down()
            self._open[cold] = (session, now)
            self.used += now - size
            self._make_room(key)

    def _make_room(self, kept: str) -> None:
        """Let sessions go, the one that was asked longest ago first, but for one."""
        while self.used > self.limit and len(self._open) > 1:
            key = next(key for key in self._open if key != kept)
            session, size = self._open.pop(key)
            self._hot.pop(key, None)
            self.used -= size
            self.evicted += 1
            token = self.token(session)
            if self.attic is not None:
                self.attic.put(key, token)
                _remember(self._away, key, session.kept)
            elif key in self._holders:
                self._holders.pop(key)(token, session.steps)
            else:
                _remember(self._dropped, key, session.steps)


def _remember(where: OrderedDict[str, int], key: str, count: int) -> None:
    where[key] = count
    while len(where) > _REMEMBERED:
        where.popitem(last=False)
