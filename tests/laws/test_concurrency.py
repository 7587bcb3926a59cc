"""One model may be asked by many threads at once: the bits are those of one thread, and the interpreter is not held."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from tidegate import _core, kernels

SMALL: dict[str, Any] = {"hidden_size": 24, "epochs": 1, "validation_fraction": 0.0}
TEXTS, LABELS = ["a good film", "a bad film", "so good", "so bad it hurts"] * 3, ["pos", "neg"] * 6
WAVE = np.sin(np.arange(80) / 3)
THREADS, CALLS = 8, 30

x = np.zeros((600_000, 8), np.float32)
one = kernels.Direction(np.zeros((64, 8), np.float32), np.zeros((64, 16), np.float32))
long = np.array([0, len(x)])

# Long calls of each kernel that a prediction needs; two offsets, because NumPy lets go of the interpreter over many.
LONG: dict[str, Callable[[], object]] = {
    "forward": lambda: kernels.forward("lstm", x, long, [one], num_threads=1),
    "linear": lambda: kernels.linear(x, one.w_ih, num_threads=1),
    "pool": lambda: kernels.pool(x, long, ("max", "mean")),
    "softmax": lambda: kernels.softmax(x),
}


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    tags = [["X"] * len(text.split()) for text in TEXTS]
    return {
        "text": tg.TextClassifier(**SMALL).fit(TEXTS, LABELS),
        "sequence": tg.SequenceClassifier(**SMALL).fit([np.ones((n + 1, 2)) for n in range(12)], LABELS),
        "tagger": tg.TokenTagger(**SMALL).fit([text.split() for text in TEXTS], tags),
        "forecaster": tg.Forecaster(**SMALL, lookback=12, horizon=5, quantiles=(0.5,)).fit(WAVE),
        "language": tg.LanguageModel(**SMALL, steps=4, direction="both").fit(TEXTS),
    }


@pytest.fixture
def everybody_is_interrupted() -> Iterator[None]:
    """Hand the interpreter from thread to thread as often as can be."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.parametrize("name", ["text", "sequence", "tagger", "forecaster", "language"])
@pytest.mark.usefixtures("everybody_is_interrupted")
def test_many_threads_ask_one_model_and_get_the_bits_of_one_thread(models: dict[str, Any], name: str) -> None:
    assert mixed_up([(models[name], number) for number in range(THREADS)]) == [0] * THREADS


@pytest.mark.usefixtures("everybody_is_interrupted")
def test_threads_that_ask_different_models_do_not_disturb_each_other(models: dict[str, Any]) -> None:
    """Kernels of other shapes and kinds at the same time: scratch that threads shared would be overwritten."""
    assert mixed_up([(model, number) for number in range(2) for model in models.values()]) == [0] * 2 * len(models)


def mixed_up(questions: list[tuple[Any, int]]) -> list[int]:
    """Ask each question in a thread of its own, again and again; count the answers that are not those given alone."""
    alone = [asked(*question) for question in questions]
    begin = threading.Barrier(len(questions))

    def ask(place: int) -> int:
        begin.wait()
        return sum(asked(*questions[place]) != alone[place] for _ in range(CALLS))

    with ThreadPoolExecutor(len(questions)) as pool:
        return list(pool.map(ask, range(len(questions))))


def asked(model: Any, number: int) -> Any:
    """Ask a model something that no other thread asks, so that what is mixed up is seen."""
    texts = [TEXTS[number % len(TEXTS)] + " good" * number, " ".join(TEXTS[: number + 1])]
    match model.name:
        case "text-classifier":
            return model.predict_proba(texts).tobytes()
        case "sequence-classifier":
            return model.predict_proba([np.full((number + 1, 2), 0.1 * number), np.ones((3, 2)) * number]).tobytes()
        case "token-tagger":
            return [rows.tobytes() for rows in model.predict_proba(texts)]
        case "forecaster":
            return model.predict(WAVE * (number + 1))[0].mean.tobytes()
        case _:
            return model.predict_proba(texts).tobytes(), model.generate("good", length=9, seed=number)


@pytest.fixture
def nobody_is_interrupted() -> Iterator[None]:
    """Leave it to whoever holds the interpreter when to let go of it."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.parametrize("name", LONG)
@pytest.mark.usefixtures("nobody_is_interrupted")
def test_another_thread_gets_on_while_a_kernel_runs(name: str) -> None:
    assert gets_on_during(LONG[name], calls=100)


@pytest.mark.usefixtures("nobody_is_interrupted")
def test_another_thread_gets_on_while_texts_are_read() -> None:
    lexicon, text = kernels.Lexicon("words", True, ["<unk>", "film"]), "a good film, " * 200_000
    assert gets_on_during(lambda: lexicon.read([text], num_threads=1), calls=100)


@pytest.mark.parametrize("name", LONG)
@pytest.mark.usefixtures("nobody_is_interrupted")
def test_that_test_would_see_a_kernel_that_holds_the_interpreter(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, name, lambda *arguments: sum(range(100_000)))
    assert not gets_on_during(LONG[name], calls=3)


def gets_on_during(call: Callable[[], object], *, calls: int) -> bool:
    """Tell whether a thread that waits for the interpreter gets it during one of so many calls. Nothing is timed."""
    call()  # what is done once, such as starting threads, is done
    waiting, got_on = threading.Event(), threading.Event()

    def other() -> None:
        waiting.wait()
        got_on.set()

    thread = threading.Thread(target=other)
    thread.start()
    waiting.set()  # from here on it wants the interpreter, which this thread holds
    found = False
    for _ in range(calls):
        call()
        if found := got_on.is_set():
            break
    thread.join()
    return found
