"""Changes model files of every task at random, and seals them again: they are refused, or they work.

`TIDEGATE_FUZZ_SECONDS=60 pytest tests/laws/test_fuzz.py` goes on for so long, with other changes each round; a plain
run is one round. A failure names the seed of its round and is shrunk by hypothesis.
"""

from __future__ import annotations

import copy
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from safetensors import safe_open

import tidegate as tg
from classifiers import PLAIN
from hostile.models.build import container, framed, seal, sound
from tidegate.checkpoint import NO_TASK
from tidegate.errors import InputError, ModelFileError
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

SECONDS = float(os.environ.get("TIDEGATE_FUZZ_SECONDS", "0"))
SMALL: dict[str, Any] = {"hidden_size": 2, "epochs": 1, "validation_fraction": 0}
TEXTS = ["good film, good fun", "so bad", "a good end", "bad, bad film"] * 2
SENTENCES = [["the", "tide", "rises"], ["a", "boat", "sails"]] * 4
WAVE = np.sin(np.arange(80) / 3)

Arrays = dict[str, Any]
Json = dict[str, Any]
Base = tuple[str, Arrays, Json]
Change = Callable[[Random, Arrays, Json], bytes]

# What stands where something else was: of each type, empty, absurd, and words that mean something elsewhere.
STRANGE: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 7, 2**31, 2**63, 10**300, 0.5, -0.0, 1e308, 5e-324,
    "", "a", "<unk>", "\ud800", "\0", "../../x", "lstm", "gru", "last", "concat", "BPE", "WordLevel", "x" * 5000,
    [], [0], [[]], ["a", "b"], [None], {}, {"a": 0}, {"kind": "pool", "modes": ["last"]}, {"type": "Sequence"},
    {"kind": "dense", "in_features": 2, "out_features": 2, "activation": None}, {"kind": "dropout", "p": 0.5},
]  # fmt: skip


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> list[Base]:
    """One small sound model of each task, and some in another of its forms, as tensors and description."""
    rng = np.random.default_rng(0)
    steps, labels = [rng.normal(size=(4, 2)) for _ in range(8)], [0, 1] * 4
    tags = [["DET", "NOUN", "VERB"]] * 8
    models: dict[str, Any] = {
        "text": tg.TextClassifier(**SMALL).fit(TEXTS, ["pos", "neg"] * 4),
        "dense": tg.TextClassifier(**SMALL, **PLAIN, dense_size=3, cell="gru", num_layers=2).fit(TEXTS, labels),
        "sequence": tg.SequenceClassifier(**SMALL).fit(steps, labels),
        "tagger": tg.TokenTagger(**SMALL, character_hidden_size=2, embedding_size=2).fit(SENTENCES, tags),
        "forecaster": tg.Forecaster(**SMALL, lookback=12, horizon=4).fit(WAVE),
        "words": tg.LanguageModel(**SMALL, steps=4).fit(TEXTS),
        "bpe": tg.LanguageModel(**SMALL, tokens="bpe", vocabulary_size=262, steps=4).fit(TEXTS),
    }
    models["network"] = Executor(models["dense"].network_, models["dense"].weights_)
    found = []
    for name, model in models.items():
        path = tmp_path_factory.mktemp("base") / name
        told: Json = {} if name == "network" else {"metrics": {"test": {"accuracy": 0.5}}}
        model.save(path, licence="MIT", **told)
        with safe_open(path, framework="numpy") as file:
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            about: Json = json.loads(file.metadata()["tidegate"])
        assert use(tg.load(path))
        found.append((name, arrays, about))
    return found


def use(model: Any) -> bool:
    """Ask a model for what it is there for; errors of ours are answers, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of absurd numbers, which a sealed file may hold
        try:
            match getattr(model, "name", NO_TASK):
                case "text-classifier":
                    model.predict_proba(["good film", "?"]), model.predict(["so bad"])
                case "sequence-classifier":
                    model.predict([np.ones((3, 2)), np.ones((0, 2))])
                case "token-tagger":
                    model.predict(["the boat rises"])
                case "forecaster":
                    model.predict(WAVE)
                case "network":
                    model(Ragged(np.arange(3), np.array([0, 3, 3])))
                case _:
                    model.predict(["good", "so"]), model.generate("good", length=3)
        except InputError:
            return False
    return True


def edited(rng: Random, arrays: Arrays, about: Json) -> bytes:
    """Change values of the description, those inside of tokenizers included, and seal it."""
    about = copy.deepcopy(about)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        body = found if isinstance(found := about.get("body"), dict) else {}
        edit(rng, rng.choice([about, body, *(part for part in body.values() if isinstance(part, dict))]))
    return sound(arrays, about)


def edit(rng: Random, place: Any) -> None:
    """Walk down into a structure at random and change what stands there."""
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = rng.choice(keys)
        inner = place[key]
        if isinstance(inner, str) and inner.startswith('{"') and rng.random() < 0.8:
            parsed = json.loads(inner)
            edit(rng, parsed)
            place[key] = json.dumps(parsed)
            return
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.15:
            change(rng, place, key)
            return
        place = inner


def change(rng: Random, place: Any, key: Any) -> None:
    match rng.choice(["strange", "strange", "number", "drop", "copy", "more"]):
        case "number" if type(place[key]) in (int, float):
            place[key] = rng.choice([place[key] + 1, place[key] - 1, -place[key], place[key] * 1000, place[key] * 1.5])
        case "drop":
            del place[key]
        case "copy":
            other = rng.choice(list(place.values()) if isinstance(place, dict) else place)
            place[key] = copy.deepcopy(other)
        case "more" if isinstance(place, dict):
            place[rng.choice(["new", "", "1", str(key) + " "])] = copy.deepcopy(rng.choice(STRANGE))
        case "more":
            place.append(copy.deepcopy(rng.choice([*STRANGE, place[key]])))
        case _:
            place[key] = copy.deepcopy(rng.choice(STRANGE))


def rearranged(rng: Random, arrays: Arrays, about: Json) -> bytes:
    """Change the tensors, and seal the file."""
    arrays = dict(arrays)
    name = rng.choice(list(arrays))
    array = arrays.pop(name)
    match rng.choice(["drop", "rename", "type", "shape", "swap", "value", "empty"]):
        case "rename":
            arrays[rng.choice(["", "x", "0.weight", name + " ", "9." + name])] = array
        case "type":
            arrays[name] = array.astype(rng.choice([np.float64, np.float16, np.int32]))
        case "shape":
            arrays[name] = array.reshape(rng.choice([(-1,), (1, -1), (-1, 1)]))
        case "swap":
            arrays[name] = arrays[rng.choice(list(arrays))]
        case "value":
            arrays[name] = array.copy()
            with np.errstate(all="ignore"):  # an integer has no NaN, and half precision no 3e38: it gets something
                strange = np.float64(rng.choice([np.nan, np.inf, -np.inf, 3e38, 0, -1e-45])).astype(array.dtype)
            arrays[name].flat[rng.randrange(array.size)] = strange
        case "empty":
            arrays[name] = np.zeros(rng.choice([(0,), (0, 3), ()]), np.float32)
    return sound(arrays, about)


def cut_or_flipped(rng: Random, arrays: Arrays, about: Json) -> bytes:
    """Change bytes and leave the hash as it was."""
    whole = bytearray(sound(arrays, about))
    for _ in range(rng.choice([1, 1, 2, 8])):
        at = rng.choice([rng.randrange(len(whole)), rng.randrange(16), rng.randrange(min(len(whole), 400))])
        match rng.choice(["flip", "set", "drop", "insert", "cut"]):
            case "flip":
                whole[at] ^= 1 << rng.randrange(8)
            case "set":
                whole[at] = rng.choice([0, 255, 34, 44, 91, 123, 92])
            case "drop":
                del whole[at : at + rng.choice([1, 4, 64])]
            case "insert":
                whole[at:at] = rng.randbytes(rng.choice([1, 4, 64]))
            case "cut":
                del whole[max(at, 17) :]
        if len(whole) < 17:
            break
    return bytes(whole)


def relaid(rng: Random, arrays: Arrays, about: Json) -> bytes:
    """Change the header of the container, where the tensors are said to lie."""
    whole = container(arrays, {"tidegate": json.dumps(seal(arrays, about))})
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    for _ in range(rng.choice([1, 2, 5])):
        edit(rng, header)
    return framed(json.dumps(header).encode(), whole[8 + length :])


CHANGES: list[Change] = [edited, edited, edited, edited, rearranged, cut_or_flipped, relaid]


def test_a_changed_model_file_is_refused_or_works(bases: list[Base], tmp_path: Path) -> None:
    @hypothesis.settings(max_examples=300, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(st.integers(0, len(bases) - 1), st.sampled_from(CHANGES), st.randoms(use_true_random=True))
    def judge(base: int, changed: Change, rng: Random) -> None:
        name, arrays, about = bases[base]
        path = tmp_path / "model.safetensors"
        path.write_bytes(changed(rng, arrays, about))
        model, refusal = loaded(path)
        if refusal is not None:
            assert str(path) in refusal and len(refusal) < 1000
            return
        if changed in (cut_or_flipped, relaid):
            assert same(model, arrays, tmp_path / "again.safetensors"), f"an altered {name} was loaded as another one"
        use(model)

    for seed in rounds():
        hypothesis.seed(seed)(judge)()


def loaded(path: Path) -> tuple[Any, str | None]:
    try:
        return tg.load(path), None
    except ModelFileError as error:
        return None, str(error)


def same(model: Any, arrays: Arrays, path: Path) -> bool:
    """Whether the model, saved again, holds those tensors: the weights, and what the task keeps beside them."""
    model.save(path)
    with safe_open(path, framework="numpy") as file:
        kept = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    return kept.keys() == arrays.keys() and all(
        (kept[name].dtype, kept[name].shape, kept[name].tobytes())
        == (arrays[name].dtype, arrays[name].shape, arrays[name].tobytes())
        for name in arrays
    )


def rounds() -> Iterator[int]:
    end = time.monotonic() + SECONDS
    for seed in count():
        yield seed
        if time.monotonic() >= end:
            return
