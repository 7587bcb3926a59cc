"""How transcribers are asked over a network: signals, or files of sound and lines, and what these say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.data.transcribed.images import Looking, columns, read_picture
from tidegate.data.transcribed.riff import read_wav
from tidegate.data.transcribed.sound import Listening, settle
from tidegate.errors import DataError
from tidegate.tasks.live import Live
from tidegate.tasks.transcribing.live import Partial
from tidegate.tasks.transcribing.transcripts import Symbol, Transcript
from tidegate.tasks.wire import (
    Array,
    Json,
    LiveWire,
    Wire,
    as_bytes,
    feature_cost,
    feature_inputs,
    feature_steps,
    feature_tensors,
    read_features,
)

if TYPE_CHECKING:
    from tidegate.tasks.transcribing.transcriber import Transcriber


@dataclass(frozen=True, eq=False)
class Heard:
    """Hold what was read of a signal, and where they were asked for the logarithms of its frames, `[T', K]`."""

    transcript: Transcript
    frames: Array | None = None


def unfold(model: Transcriber, content: bytes, where: str) -> Array:
    """Read the sound or the line that a file holds, as the model does from a disk.

    Raises DataError where it holds another kind of signal, or one that the model does not read.
    """
    kind = "sound" if content[:4] == b"RIFF" else "line"
    if model.reads != kind:
        raise DataError(f"{where} is a file of a {kind}; this model reads {model.reads}. Send steps of numbers.")
    if kind == "line":
        return columns(read_picture(content, where), where, Looking(height=model.network_.input_size))
    rate = model.wants().get("rate")
    return settle(read_wav(content, where), where, Listening(rate=None if rate is None else int(rate)))[0]


def ask(model: Transcriber, inputs: list[Any], full: bool) -> list[Heard]:
    """Read each signal."""
    told = model.transcribe(inputs) if inputs else []
    frames = model.frames(inputs) if full and inputs else [None] * len(inputs)
    return [Heard(*each) for each in zip(told, frames, strict=True)]


def tell(_model: Any, found: Heard) -> Json:
    """Tell the text, its symbols and words with their places, and how sure they are."""
    told = tell_step(None, found.transcript)
    return told if found.frames is None else told | {"log_probabilities": found.frames.tolist()}


def tell_step(_model: Any, found: Partial | Transcript) -> Json:
    """Tell the text so far and what of it is stable, or at the end all that was read."""
    told = asdict(found)
    told.pop("alternatives", None)  # of which a message asks for none
    return told


def arrays(_model: Any, answers: Sequence[Heard]) -> dict[str, Array]:
    """Give the texts, `[B]`, and how sure they are."""
    told = [found.transcript for found in answers]
    sure = np.array([one.confidence for one in told], np.float64)
    return {"text": as_bytes([one.text for one in told]), "confidence": sure}


def gather(answers: Sequence[Partial | Transcript]) -> list[Heard]:
    """Bring what was heard last into the form of the answer to a signal; how sure it is, is 0 until the end."""
    last = answers[-1:]
    return [Heard(one if isinstance(one, Transcript) else Transcript(one.text, 0.0)) for one in last]


def spell(X: Any) -> list[Any]:
    """Bring signals into a message; files in base64 stay as they are."""
    return [item if isinstance(item, str) else np.asarray(item, np.float64).tolist() for item in X]


def hear_texts(_labels: Sequence[Any], answers: Sequence[Json]) -> list[str]:
    """Give the texts."""
    return [answer["text"] for answer in answers]


def hear_step(_labels: Sequence[Any], answer: Json) -> Partial | Transcript:
    """Give what was read so far, or at the end all of it."""
    if "stable" in answer:
        return Partial(answer["text"], answer["stable"])
    symbols, words = (tuple(Symbol(**one) for one in answer[name]) for name in ("symbols", "words"))
    return Transcript(answer["text"], answer["confidence"], symbols, words, score=answer["score"])


def kept(live: Any) -> int:
    """Count what a session keeps of all that came so far."""
    found: int = live.kept
    return found


def last(live: Live) -> list[Any]:
    """End the signal, and say all that was read."""
    return [live.finish()]


WIRE = Wire(
    given="sequences", read=read_features, cost=feature_cost, ask=ask, tell=tell, arrays=arrays,
    tensors=feature_tensors, inputs=feature_inputs, outputs=(("text", "BYTES", (-1,)), ("confidence", "FP64", (-1,))),
    spell=spell, hear={"predict": hear_texts},
    live=LiveWire(
        {"lookahead": int, "beam": int}, tell_step, last, feature_steps, hear_step, gather, {"beam": 64}, kept
    ),
    unfold=unfold,
)  # fmt: skip
