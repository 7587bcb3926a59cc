"""Worker 0 and those who train with it: begins them, hands each batch out, and mends what is lost.

All that is known is known here: data, state and run folder. Whoever is lost is replaced, and the update that was under
way is made once more from what stands here, so that a lost worker costs time, and no update and no bit.
"""

from __future__ import annotations

import select
import socket
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Self

from tidegate.engine import Lost
from tidegate.engine.compiled import States
from tidegate.engine.gauge import Seen
from tidegate.engine.program import total
from tidegate.errors import InputError, WorkerError
from tidegate.kernels.lanes import MOST
from tidegate.kernels.threads import get_num_threads
from tidegate.scale.machine import describe
from tidegate.scale.messages import Apply, Begin, Describe, End, Find, Found, Hello, Meet, Trade, Trouble
from tidegate.scale.places import Here, Place
from tidegate.scale.team import GoneError, Team, TroubleError, blaming, digest
from tidegate.scale.wire import Address, Link, LinkError, accept, encode
from tidegate.scale.worker import rows_of
from tidegate.train import State
from tidegate.train.work import Asked
from tidegate.version import __version__

_NOTHING = "Nothing was trained."
_SAVED = "The state of the last update is saved in the run folder, if there is one: go on with --resume."
_LOSSES = 3  # of workers, one after the other without an update between, that are mended
_TURN = 0.5  # seconds after which whoever waits looks around
_HEARING = 1.0  # seconds in which others say for whom they wait, too


class Workers:
    """Find gradients together with other processes, to the bits of one: the `crew` of `fit_steps`.

    Each batch is dealt to lanes, by its shape alone, as it is without workers; each worker takes some of them. They are
    begun when the first gradient is wanted, and end with `close`, with the block, or with this process.

    Args:
        count: how many workers, this process among them; from 1 to 16, for there are 16 lanes.
        timeout: seconds that one worker waits for another before the run ends.
        place: where the others are; by default processes on this machine.

    Raises:
        InputError: `count` or `timeout` cannot be.

    >>> import tidegate as tg
    >>> sizes = {"hidden_size": 4, "epochs": 1, "validation_fraction": 0}
    >>> model = tg.SequenceClassifier(**sizes)
    >>> with Workers(2) as crew:
    ...     losses = [step.loss for step in model.fit_steps([[[0.0]], [[1.0]]], [0, 1], crew=crew)]
    >>> alone = tg.SequenceClassifier(**sizes).fit([[[0.0]], [[1.0]]], [0, 1])
    >>> all((alone.weights_[name] == model.weights_[name]).all() for name in alone.weights_)
    True
    """

    def __init__(self, count: int, *, timeout: float = 120.0, place: Place | None = None) -> None:
        if not 1 <= count <= MOST:
            raise InputError(f"{count} workers: wanted from 1 to {MOST}, for a batch has at most {MOST} lanes.")
        if not timeout > 0:
            raise InputError(f"timeout={timeout}: wanted seconds, more than 0.")
        self.count, self.timeout, self.lost = count, timeout, 0
        self.seen: Sequence[Seen] = ()
        self._place = Here() if place is None else place
        self._team: Team | None = None
        self._links: dict[int, Link] = {}  # to those who have come
        self._given_up = False
        self._names: dict[int, str] = {}
        self._moved = False  # the weights, since they were begun
        self._at: tuple[State, int] | None = None  # the state, and after which of its updates, that all have

    def gradient(self, state: State, asked: Asked, *, seed: int, states: States | None, look: bool) -> Lost:
        """Leave the gradient of a whole batch in the program of a state; see `train.Crew`.

        Raises WorkerError, which names the worker and its machine, where one is late, fails, has other weights, or is
        lost again and again.
        """
        for attempt in range(_LOSSES + 1):
            try:
                return self._find(state, Find(asked.batch, asked.loss, seed, state.step, states, look))
            except GoneError as gone:
                self._judge(gone, attempt)
            except TroubleError as told:
                self._hear(told.trouble, attempt)
        raise AssertionError("the last loss raises")

    def apply(self, state: State, rate: float, scale: float) -> None:
        """Let the others do what the optimiser of a state does next."""
        assert self._team is not None, "a gradient was found"
        self._moved = True
        try:
            for rank, link in self._team.links.items():
                with blaming(rank):
                    link.send(Apply(rate, scale))
            self._at = (state, state.step + 1)
        except GoneError:
            self._part()  # the next gradient begins others

    def give_up(self) -> None:
        """Wait no longer for workers that have not come: a gradient that wants them ends with WorkerError.

        A handler of a signal may call it; a gradient that is under way is found.
        """
        self._given_up = True

    def describe(self) -> list[dict[str, Any]]:
        """Ask all workers what they run on, worker 0 first; raises WorkerError where one is lost or late."""
        with self._losing_none():
            team, host = self._meet(), next((link.host for link in self._links.values()), "")
            for rank, link in team.links.items():
                with blaming(rank):
                    link.send(Describe())
            return [describe(host), *(self._hear_of(rank, link) for rank, link in team.links.items())]

    def trade(self, one: int, other: int, numbers: int, rounds: int) -> list[float]:
        """Let two workers exchange so many numbers, so many times, and give the seconds of each.

        Raises WorkerError where one is lost or late.
        """
        with self._losing_none():
            team = self._meet()
            for rank, partner in ((one, other), (other, one)):
                if rank:
                    with blaming(rank):
                        team.links[rank].send(Trade(partner, numbers, rounds))
            own = [] if one else [team.trade(other, numbers, rounds)]
            told = [self._hear_of(rank, team.links[rank]) for rank in (one, other) if rank]
            seconds: list[float] = [*own, *told][0]
            return seconds

    @contextmanager
    def _losing_none(self) -> Iterator[None]:
        """Raise WorkerError where one is lost or late while a block lasts."""
        try:
            yield
        except GoneError as gone:
            raise self._ended(f"{self._name_of(gone.rank)} is {'late' if gone.late else 'lost'}") from None
        except TroubleError as told:
            trouble = told.trouble
            raise self._ended(f"{self._name_of(trouble.rank)} is {trouble.kind} {trouble.told}".rstrip()) from None

    def close(self) -> None:
        """Send all workers home."""
        for link in self._links.values():
            try:
                link.send(End())
            except LinkError:
                continue
        self._part()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _find(self, state: State, find: Find) -> Lost:
        team = self._meet()
        program = state.program
        program.num_threads = self._threads()
        if self._at is None or self._at[0] is not state or self._at[1] != state.step:
            self._begin(team, state)
        encoded, mark = encode(find), digest(program.parameters) if find.look else b""
        for rank, link in team.links.items():
            with blaming(rank):
                link.send_bytes(encoded)
        lost, own = team.gradient(program, find)
        answers: dict[int, Found] = {rank: self._hear_of(rank, link) for rank, link in team.links.items()}
        for rank, answer in answers.items():
            if answer.digest != mark:
                raise self._ended(f"{self._names[rank]} has other weights after {find.step} updates than worker 0")
            lost.losses[own[rank]] = answer.losses
            for name, array in lost.ends.items():
                array[:, rows_of(array, own[rank], len(lost.losses))] = answer.ends[name]
        self.seen = [answer.seen for answer in answers.values()]
        return Lost(lost.losses, total(lost.losses * find.loss.weight), lost.ends)

    def _hear_of(self, rank: int, link: Link) -> Any:
        with blaming(rank):
            told = link.receive()
        if isinstance(told, Trouble):  # one that fails early does not know its number
            raise TroubleError(replace(told, rank=rank) if told.kind == "failed" else told)
        return told

    def _begin(self, team: Team, state: State) -> None:
        """Hand over what is trained."""
        program, optimiser = state.program, state.optimiser
        begin = Begin(
            program.network, program.weights, optimiser.rule, optimiser.frozen, optimiser.step, optimiser.moments
        )
        encoded = encode(begin)
        for rank, link in team.links.items():
            with blaming(rank):
                link.send_bytes(encoded)
        self._at = (state, state.step)

    def _threads(self) -> int | None:
        """Say how many threads each worker may use: where all are on this machine they share its own."""
        return max(1, get_num_threads() // self.count) if self._place.shared else None

    def _meet(self) -> Team:
        """Begin the workers, unless they are there."""
        if self._team is None:
            self._names = {}
            try:
                with self._place.listening(self.count) as waiting:
                    self._gather(*waiting)
            except (GoneError, TroubleError):
                raise  # is judged by what those say who have come
            except BaseException:
                self._part()
                raise
            self._team = Team(0, self._links)
        return self._team

    def _gather(self, listener: socket.socket, address: Address, key: bytes) -> None:
        """Wait until all workers have come, and have met each other."""
        links, hellos, begun = self._links, dict[int, Hello](), time.monotonic()
        until = begun + max(self.timeout, self._place.coming)
        for rank in range(1, self.count):
            self._place.start(rank, address, key)
        while self._still_there(hellos) < self.count - 1:
            self._go_on_waiting()
            if (link := accept(listener, key, _TURN)) is not None:
                self._take(link, hellos)
            elif (ended := self._place.ended(hellos)) is not None:
                if ended.killed:
                    raise GoneError(ended.rank, late=False)
                raise self._ended(f"{ended.name} ended as it began{ended.how}")
            if time.monotonic() > until and len(links) < self.count - 1:
                raise self._ended(f"{len(links) + 1} of {self.count} workers have come within {until - begun:.0f} s")
        self._greet(hellos)
        # Those who wait for somebody shall say so before worker 0 waits no longer.
        addresses = {rank: hello.address for rank, hello in hellos.items()}
        for rank, link in links.items():
            with blaming(rank):
                link.send(Meet(rank, addresses, self._threads(), 0.8 * self.timeout))
        self._see_them_meet()

    def _still_there(self, hellos: dict[int, Hello]) -> int:
        """Count who has come; the places of those are free again who went before all had come."""
        for rank, link in list(self._links.items()):
            if select.select([link], [], [], 0)[0]:
                try:
                    self._hear_of(rank, link)  # who has nothing to say yet, but for its trouble
                except GoneError:
                    link.close()
                    del self._links[rank], hellos[rank]
        return len(self._links)

    def _see_them_meet(self) -> None:
        """Wait until all say that they have met; whoever goes meanwhile is seen to, though others still wait for it."""
        left, until = set(self._links), time.monotonic() + self.timeout
        while left:
            self._go_on_waiting()
            ready, _, _ = select.select([*self._links.values()], [], [], _TURN)
            for rank, link in self._links.items():
                if link in ready:
                    self._hear_of(rank, link)
                    left.discard(rank)
            if left and time.monotonic() > until:
                raise GoneError(min(left), late=True)

    def _take(self, link: Link, hellos: dict[int, Hello]) -> None:
        """Let one in who has come, and says who it is."""
        link.timeout = self.timeout
        try:
            self._wait_for(link)
            hello: Hello | Trouble = link.receive()
            if isinstance(hello, Trouble):
                raise self._ended(f"a worker failed as it began: {hello.told}")
        except LinkError:  # it went again
            link.close()
            return
        except BaseException:
            link.close()
            raise
        rank = hello.rank or min(set(range(1, self.count)) - set(self._links))
        self._links[rank], hellos[rank] = link, hello

    def _wait_for(self, link: Link) -> None:
        """Wait until an end says something, or is late."""
        until = time.monotonic() + self.timeout
        while not select.select([link], [], [], _TURN)[0] and time.monotonic() < until:
            self._go_on_waiting()

    def _go_on_waiting(self) -> None:
        if self._given_up:
            come = f"{len(self._links) + 1} of {self.count} workers had come"
            raise self._ended(f"{come} when the waiting for them was ended")

    def _greet(self, hellos: Mapping[int, Hello]) -> None:
        """Note who has come, and refuse other versions."""
        for rank, hello in hellos.items():
            name = self._names[rank] = f"worker {rank} (process {hello.process} on {hello.host})"
            if hello.version != __version__:
                told = f"{name} has Tidegate {hello.version}, worker 0 has {__version__}"
                raise self._ended(told, "Install the same version everywhere.")

    def _judge(self, gone: GoneError, attempt: int) -> None:
        """Mend a loss; raise WorkerError where a worker is late, or one is lost again and again."""
        if gone.late:
            rank = self._latest(gone.rank)
            raise self._ended(f"{self._name_of(rank)} was waited for longer than {self.timeout:.0f} s") from None
        self._mend(gone.rank, attempt)

    def _hear(self, trouble: Trouble, attempt: int) -> None:
        if trouble.kind == "failed":
            raise self._ended(f"{self._name_of(trouble.rank)} failed: {trouble.told}") from None
        self._judge(GoneError(trouble.rank, late=trouble.kind == "late"), attempt)

    def _latest(self, suspect: int) -> int:
        """Find whom all wait for: whoever is waited for, and does not say for whom it waits itself."""
        waits, until = {0: suspect}, time.monotonic() + _HEARING
        while (left := until - time.monotonic()) > 0:
            ready, _, _ = select.select([*self._links.values()], [], [], left)
            for rank, link in self._links.items():
                if link not in ready:
                    continue
                try:
                    told = link.receive()
                except Exception:  # noqa: BLE001  (it says nothing that helps)
                    return waits.get(rank, suspect)
                if isinstance(told, Trouble) and told.kind == "late":
                    waits[rank] = told.rank
        return next((rank for rank in waits.values() if rank not in waits), suspect)

    def _mend(self, rank: int, attempt: int) -> None:
        name, self.lost = self._name_of(rank), self.lost + 1
        self._part()
        if attempt == _LOSSES:
            raise self._ended(f"{name} was lost, after {_LOSSES} others in the same update") from None
        warnings.warn(f"{name} was lost; another one takes its place, and no update is lost.", stacklevel=2)

    def _name_of(self, rank: int) -> str:
        return self._names.get(rank, f"worker {rank}")

    def _part(self) -> None:
        for link in self._links.values():
            link.close()
        if self._team is not None:
            self._team.close()
        self._team, self._links, self._at = None, {}, None
        self._place.stop()

    def _ended(self, why: str, advice: str = "") -> WorkerError:
        self._part()
        return WorkerError(f"{why}. " + (advice or (_SAVED if self._moved else _NOTHING)))
