"""Grades texts: words through an embedding and a recurrent layer to one number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import check_same_length, check_texts
from tidegate.data.tokenizer import Tokenizer, from_json, train_words
from tidegate.engine import Errors
from tidegate.errors import InputError
from tidegate.export import SequenceInterface
from tidegate.network import Dense, Embed, Network, Pool, Recurrent, Size
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, Prepared, Stream, run_sorted
from tidegate.tasks.card import Card
from tidegate.tasks.fitting import Plan, fingerprint
from tidegate.tasks.task import Array, Json, Task
from tidegate.train import Asked

from .card import CARD


@dataclass(frozen=True)
class Words:
    """Hold what a grader learns besides its weights: which words there are."""

    tokenizer: Tokenizer

    def to_json(self) -> Json:
        """Write it for the model file."""
        return {"tokenizer": self.tokenizer.to_json()}

    def read(self, chunk: Any) -> Array:
        """Turn a piece of a text, or a list of them, into ids `[n]`."""
        pieces = [chunk] if isinstance(chunk, str) else list(chunk)
        check_texts(pieces, allow_empty=True)
        return np.asarray(self.tokenizer.encode(pieces).values)


@dataclass(kw_only=True, eq=False, repr=False)
class Grader(Task[Words]):
    """Grade texts: `X` is a list of B texts, `y` their numbers, also as text.

    Args:
        hidden_size: units of the recurrent layer.
        others: see `Task`.
    """

    card: ClassVar[Card] = CARD

    hidden_size: Size = 8

    def predict(self, X: Any) -> Array:
        """Give a number for each of B texts, `[B]`."""
        fitted = self._require_fitted()
        check_texts(list(X), allow_empty=True)
        x = fitted.learned.tokenizer.encode(list(X))
        return run_sorted(Executor(fitted.network, fitted.weights), x)[:, 0]

    def score(self, X: Any, y: Any) -> float:
        """Compute minus the mean squared error."""
        return -float(((self.predict(X) - read_grades(y)) ** 2).mean())

    def stream(self, *, lookahead: int | None = None, state: bytes | None = None) -> Stream:
        """Begin a text that is graded as far as it is known; see `Task.stream`."""
        fitted = self._require_fitted()
        executor = Executor(fitted.network, fitted.weights)
        return Stream.of(Prepared(executor, lookahead, read=fitted.learned.read), state=state)

    def interface(self) -> SequenceInterface:
        """Say what surrounds the network in an exported graph; raises InputError before `fit`."""
        fitted = self._require_fitted()
        return SequenceInterface(fitted.network, fitted.weights, self._described() | fitted.learned.to_json())

    def _plan(
        self, X: Any, y: Any, *, valid: tuple[Any, Any] | None, about: Json | None, sample_weight: Any = None
    ) -> tuple[Plan, Words]:
        if sample_weight is not None:
            raise InputError("sample_weight: a grader weighs all texts the same. Leave it out.")
        check_texts(list(X))
        tokenizer = train_words(list(X), 1000) if about is None else from_json(about["tokenizer"])
        network = self._network(tokenizer.size)
        learn = _encoded(tokenizer, X, y)
        held = None if valid is None else _encoded(tokenizer, *valid)

        def loss(indices: npt.NDArray[np.int64], _rng: np.random.Generator) -> Asked:
            x, grades = learn
            weight = np.full(len(indices), 1 / len(indices))
            return Asked(x.select(indices), Errors(grades[indices][:, None], weight, ("mse",)))

        def measure(weights: dict[str, Array]) -> dict[str, float]:
            assert held is not None
            error = float(((run_sorted(Executor(network, weights), held[0])[:, 0] - held[1]) ** 2).mean())
            return {"loss": error, "mse": error}

        return self._planned(
            network=network,
            lengths=np.asarray(learn[0].lengths),
            loss=loss,
            measure=None if held is None else measure,
            learned=Words(tokenizer),
            data=fingerprint(*((x.values, x.offsets, grades) for x, grades in (learn, *([held] if held else [])))),
        ), Words(tokenizer)

    def _network(self, words: int) -> Network:
        size = self.hidden_size
        return Network.of(
            Embed(vocabulary_size=words, size=size),
            Recurrent(cell="gru", input_size=size, hidden_size=size),
            Pool(modes=("last",)),
            Dense(in_features=size, out_features=1),
        )

    def _read_learned(self, stored: Json, network: Network) -> Words:
        learned = Words(from_json(stored["tokenizer"]))
        if self._network(learned.tokenizer.size) != network:
            raise ValueError("its network is not the one that its parameters and words make")
        return learned


def read_grades(y: Any) -> Array:
    """Read numbers, also those that are written as text; raises InputError for anything else."""
    try:
        return np.asarray([float(grade) for grade in y], np.float32)
    except (TypeError, ValueError):
        raise InputError("y holds what is no number. Pass one number for each text.") from None


def _encoded(tokenizer: Tokenizer, X: Any, y: Any) -> tuple[Ragged, Array]:
    grades = read_grades(y)
    check_same_length(len(X), len(grades))
    return tokenizer.encode(list(X)), grades
