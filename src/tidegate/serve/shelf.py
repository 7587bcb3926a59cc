"""The models that are served, by name: loaded, asked, and replaced by a newer file of the same name. Knows no HTTP."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from tidegate.checkpoint import load_model
from tidegate.errors import InputError, ModelFileError, OptionError, ServeError, TidegateError
from tidegate.serve.media import media_cost, unpack
from tidegate.tasks.card import Card
from tidegate.tasks.cards import CARDS
from tidegate.tasks.live import Live
from tidegate.tasks.loading import model_file, restore
from tidegate.tasks.wire import Json, Wire

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BEGUN = 16  # ways to begin a session, whose packed weights are kept


@dataclass(frozen=True, eq=False)
class Served:
    """Hold one model as it was read from one file.

    Args:
        name: what it is called in a request.
        file: that it was read from.
        digest: the hash of all that the file says.
        model: the task.
        card: of the task.
        wire: how it is asked.
    """

    name: str
    file: Path
    digest: str
    model: Any
    card: Card
    wire: Wire
    _begun: OrderedDict[str, Live] = field(default_factory=OrderedDict, repr=False)

    @classmethod
    def load(cls, name: str, path: Path) -> Served:
        """Read a model, and check that it can be asked; raises ModelFileError, or InputError for a network alone."""
        file = model_file(path)
        found = load_model(file)
        try:
            model = restore(found)
        except ModelFileError as error:
            raise ModelFileError(f"{file}: {error}") from None
        card = CARDS.get(getattr(model, "name", ""))
        wire = None if card is None else card.answers().wire
        if card is None:
            raise InputError(f"{file} holds a network without a task, which does not say what its inputs mean.")
        if wire is None:
            raise InputError(f"{file} holds a {card.name}, which cannot be asked over a network.")
        return cls(name, file, found.sha256, model, card, wire)

    def ask(self, payloads: Sequence[Any], *, full: bool = False) -> list[Any]:
        """Answer the inputs of many requests, each a list; where one cannot be read, its error stands in its place."""
        read: list[Any] = [_tried(self.read, payload) for payload in payloads]
        sound = [inputs for inputs in read if not isinstance(inputs, Exception)]
        try:
            told = iter(self.wire.ask(self.model, [each for inputs in sound for each in inputs], full))
        except TidegateError:
            return [
                inputs if isinstance(inputs, Exception) else _tried(self.wire.ask, self.model, inputs, full)
                for inputs in read
            ]
        return [inputs if isinstance(inputs, Exception) else [next(told) for _ in inputs] for inputs in read]

    def cost(self, given: Any) -> int:
        """Count the tokens of what came, or guess them, without reading it."""
        if self.wire.given != "sequences":
            return self.wire.cost(given)
        files = [item for item in given if isinstance(item, str)]
        height = None if self.wire.unfold is None else self.model.network_.input_size
        steps = self.wire.cost([item for item in given if not isinstance(item, str)])
        return steps + sum(media_cost(item, height) for item in files)

    def begin(self, options: Mapping[str, Any], state: bytes | None = None) -> Live:
        """Begin a live session, or go on where a saved one was.

        Raises InputError for an option that there is none of, or what the task refuses; StateError.
        """
        live = self.wire.live
        for name, value in options.items():
            if name not in live.options:
                raise OptionError.unknown("option of a stream", name, live.options)
            if not isinstance(value, live.options[name]) or isinstance(value, bool | dict | list):
                raise InputError(f"{name}={value!r:.40}; wanted {_spelled(live.options[name])}.")
            if name in live.most and value > live.most[name]:
                raise InputError(f"{name}={value!r:.40}; at most {live.most[name]} is served.")
        key = repr(sorted(options.items()))
        begun = self._begun.get(key)
        if begun is None:
            begun = self._begun[key] = self.model.stream(**options)
            while len(self._begun) > _BEGUN:
                self._begun.popitem(last=False)
        self._begun.move_to_end(key)
        return begun.fork() if state is None else begun.resume(state)

    @property
    def labels(self) -> list[Any]:
        """What its answers tell apart; empty for numbers."""
        classes = getattr(self.model, "classes_", None)
        return [] if classes is None else list(classes.tolist())

    def about(self) -> Json:
        """Say what it is, in short."""
        about = self.model.about_
        told = {"name": self.name, "task": self.card.name, "inputs": self.wire.given, "digest": self.digest}
        return told | {"licence": about.licence, "data": about.data}

    def described(self) -> Json:
        """Say all that is known of it: its labels, parameters and measures, too."""
        extra = {
            "labels": self.labels,
            "metrics": self.model.about_.metrics,
            "stream_options": [*self.wire.live.options],
        }
        extra |= self._streamed()
        network = [node.kind for node in self.model.network_.nodes]
        weights = sum(array.size for array in self.model.weights_.values())
        return self.about() | extra | {"network": network, "weights": int(weights)}

    def read(self, given: Any) -> list[Any]:
        """Read inputs, the files among them, too; raises InputError, DataError or ShapeError."""
        if self.wire.given == "sequences":
            unfold = None if self.wire.unfold is None else partial(self.wire.unfold, self.model)
            given = unpack(given, self.model.network_.input_size, unfold)
        return self.wire.read(self.model, given)

    def _streamed(self) -> Json:
        """Say what a page must know to hold a session: whether there is one, and what a step is made of."""
        network = self.model.network_
        live = not network.reads_documents
        roles = getattr(self.model, "roles_", None)
        columns = network.input_size if roles is None else len(roles.columns)
        both = any(node.layers_back for node in network.nodes)
        timed = roles is not None and roles.time is not None
        return {"streams": live, "columns": columns, "both_ways": both, "timed": timed}


class Shelf:
    """Hold models by name, and those that were replaced for as long as somebody uses them.

    Raises InputError for a name that is none, or comes twice; and what `Served.load` raises.
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        for name in paths:
            if not _NAME.fullmatch(name):
                raise InputError(f"{name!r} is no name of a model. Use letters, digits, dots, dashes: --name N=PATH.")
        self._paths = dict(paths)
        self._served = {name: Served.load(name, path) for name, path in paths.items()}
        self._alive = WeakValueDictionary({served.digest: served for served in self._served.values()})
        self._stamps = {name: _stamp(served.file) for name, served in self._served.items()}

    def __iter__(self) -> Any:
        return iter(self._served.values())

    def find(self, name: str | None) -> Served:
        """Find a model; None stands for the only one. Raises ServeError (404, or 422 where one must be named)."""
        if name is None:
            if len(self._served) == 1:
                return next(iter(self._served.values()))
            told = f"name a model with 'model'. Served are {', '.join(self._served)}."
            raise ServeError(told, status=422, kind="model-not-named")
        if name not in self._served:
            told = f"no model {name:.80} is served here. Served are {', '.join(self._served)}."
            raise ServeError(told, status=404, kind="no-such-model")
        return self._served[name]

    def of_digest(self, name: str, digest: str) -> Served:
        """Find the model that a stream was begun with; raises ServeError (410) where it is gone."""
        found = self._served.get(name)
        if found is None or found.digest != digest:
            found = self._alive.get(digest)
        if found is None:
            told = f"the stream was begun with the model {digest:.12}..., which is no longer served. Begin a new one."
            raise ServeError(told, status=410, kind="model-gone")
        return found

    def changed(self) -> list[str]:
        """Name the models whose files are no longer those that were read last."""
        return [name for name, served in self._served.items() if _stamp(served.file) != self._stamps[name]]

    def renew(self, name: str, told: Callable[[str], None]) -> bool:
        """Read a model again, and put it in the place of the old one; where it is not sound, tell, and keep that.

        The new one must be of the same task, or whoever asks would be answered otherwise.
        """
        old = self._served[name]
        self._stamps[name] = _stamp(old.file)
        try:
            new = Served.load(name, self._paths[name])
            if new.card is not old.card:
                raise InputError(f"{new.file} holds a {new.card.name}, where a {old.card.name} is served.")
        except (TidegateError, OSError) as error:
            told(f"{name}: kept as it is, since what came cannot be served: {error}")
            return False
        if new.digest == old.digest:
            return False
        self._served[name] = self._alive[new.digest] = new
        told(f"{name}: {old.digest:.12} gave way to {new.digest:.12}")
        return True


def name_models(paths: Sequence[Path], named: Mapping[str, Path]) -> dict[str, Path]:
    """Give each model a name: its own, that of its run folder, or of its file; raises InputError for one that doubles.

    >>> name_models([Path("runs/imdb"), Path("wave.safetensors")], {"tags": Path("runs/ewt")})
    {'imdb': PosixPath('runs/imdb'), 'wave': PosixPath('wave.safetensors'), 'tags': PosixPath('runs/ewt')}
    """
    found: dict[str, Path] = {}
    for path in paths:
        whole = path.resolve()
        name = whole.parent.name if whole.name == "model.safetensors" else whole.name.removesuffix(".safetensors")
        if name in found or name in named:
            raise InputError(f"two models would be called {name}. Name one with --name OTHER={path}.")
        found[name] = path
    return found | dict(named)


def _spelled(kind: Any) -> str:
    return {int: "a whole number", str: "a text"}.get(kind, "a text or a whole number")


def _tried(ask: Callable[..., Any], *args: Any) -> Any:
    try:
        return ask(*args)
    except TidegateError as error:
        return error


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
