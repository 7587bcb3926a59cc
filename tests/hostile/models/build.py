"""Builds model files that must be refused, each from a sound one by one change. Imports nothing of ours."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]
Json = dict[str, Any]

_DTYPES = {"float32": "F32", "float64": "F64", "float16": "F16", "int32": "I32", "int64": "I64"}


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def seal(arrays: Arrays, about: Json) -> Json:
    """Put the right hash into a description, as whoever forges a file would."""
    digest = hashlib.sha256(canonical({key: about[key] for key in about.keys() - {"sha256"}}).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(canonical([name, str(array.dtype), list(array.shape)]).encode() + array.tobytes())
    return about | {"sha256": digest.hexdigest()}


def container(arrays: Arrays, metadata: dict[str, str] | None) -> bytes:
    """Write the safetensors container: length of the header, the header, the bytes of the tensors."""
    header: Json = {} if metadata is None else {"__metadata__": metadata}
    data = b""
    for name, array in arrays.items():
        end = len(data) + array.nbytes
        header[name] = {
            "dtype": _DTYPES[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [len(data), end],
        }
        data += array.tobytes()
    return framed(json.dumps(header).encode(), data)


def framed(header: bytes, data: bytes) -> bytes:
    padded = header + b" " * (-len(header) % 8)
    return struct.pack("<Q", len(padded)) + padded + data


def sound(arrays: Arrays, about: Json) -> bytes:
    return container(arrays, {"tidegate": canonical(seal(arrays, about))})


def with_about(text: str) -> Callable[[Arrays, Json], bytes]:
    return lambda arrays, about: container(arrays, {"tidegate": text})


def changed(path: str, value: object) -> Callable[[Arrays, Json], bytes]:
    """Change one entry of the description, and seal it again."""

    def build(arrays: Arrays, about: Json) -> bytes:
        about = copy.deepcopy(about)
        *parents, last = path.split("/")
        place: Any = about
        for key in parents:
            place = place[int(key) if isinstance(place, list) else key]
        place[last] = value
        return sound(arrays, about)

    return build


def rearranged(change: Callable[[Arrays], Arrays]) -> Callable[[Arrays, Json], bytes]:
    """Change the tensors, and seal the file again."""
    return lambda arrays, about: sound(change(dict(arrays)), about)


def without(arrays: Arrays, name: str) -> Arrays:
    return {key: array for key, array in arrays.items() if key != name}


def poisoned(arrays: Arrays, value: float) -> Arrays:
    bias = arrays["3.bias"].copy()
    bias[0] = value
    return arrays | {"3.bias": bias}


def header_changed(change: Callable[[Json], object]) -> Callable[[Arrays, Json], bytes]:
    """Change the header of the container and leave the tensors as they were."""

    def build(arrays: Arrays, about: Json) -> bytes:
        whole = sound(arrays, about)
        length = struct.unpack("<Q", whole[:8])[0]
        header = json.loads(whole[8 : 8 + length])
        change(header)
        return framed(json.dumps(header).encode(), whole[8 + length :])

    return build


def flipped(arrays: Arrays, about: Json) -> bytes:
    whole = bytearray(sound(arrays, about))
    whole[-1] ^= 1
    return bytes(whole)


def relabelled(arrays: Arrays, about: Json) -> bytes:
    return sound(arrays, about).replace(b"neg", b"pos")


def with_a_word_more(arrays: Arrays, about: Json) -> bytes:
    tokenizer = json.loads(about["body"]["task"]["preparation"]["tokenizer"])
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["unheard-of"] = len(vocabulary)
    return changed("body/task/preparation/tokenizer", json.dumps(tokenizer))(arrays, about)


def tokenizer_changed(change: Callable[[Json], object]) -> Callable[[Arrays, Json], bytes]:
    """Change the tokenizer, and seal the file again."""

    def build(arrays: Arrays, about: Json) -> bytes:
        tokenizer = json.loads(about["body"]["task"]["preparation"]["tokenizer"])
        change(tokenizer)
        return changed("body/task/preparation/tokenizer", json.dumps(tokenizer))(arrays, about)

    return build


def node_changed(index: int, key: str, value: object) -> Callable[[Arrays, Json], bytes]:
    return changed(f"body/network/nodes/{index}/{key}", value)


def without_pool(arrays: Arrays, about: Json) -> bytes:
    """Make a network that fits together and names a class for each step, where one for each text is wanted."""
    about = copy.deepcopy(about)
    nodes = about["body"]["network"]["nodes"]
    width = 2 * nodes[1]["hidden_size"]
    nodes[2:] = [{"kind": "dense", "in_features": width, "out_features": 2}]
    kept = {name: array for name, array in arrays.items() if not name.startswith(("2.", "3."))}
    new = {"2.weight": np.zeros((2, width), np.float32), "2.bias": np.zeros(2, np.float32)}
    return sound(kept | new, about)


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('a model file was unpickled')",))


SLOW = {"type": "Split", "pattern": {"Regex": "(a|a)*$|(x+x+)+y"}, "behavior": "Removed", "invert": True}
GROWING = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}
TABLE = {"type": "Precompiled", "precompiled_charsmap": "AAAA"}
LOOP = [{"kind": "decode", "steps": 1, "size": 2}]
DEEP = "[" * 150_000
DENSE = {"kind": "dense", "in_features": 1, "out_features": 2}

# name of the file: (how it is built, what the refusal must say)
CASES: dict[str, tuple[Callable[[Arrays, Json], bytes], str]] = {
    "empty": (lambda a, j: b"", "empty or truncated"),
    "seven-bytes": (lambda a, j: b"\0" * 7, "empty or truncated"),
    "plain-text": (lambda a, j: b"this is no model, it is a letter", "header claims"),
    "pickle": (lambda a, j: pickle.dumps(_Bomb()), "not a"),
    "zip": (lambda a, j: b"PK\x03\x04" + b"\0" * 60, "not a"),
    "cut-in-header": (lambda a, j: sound(a, j)[:100], "truncated"),
    "cut-in-tensors": (lambda a, j: sound(a, j)[:-4], "damaged"),
    "bytes-at-the-end": (lambda a, j: sound(a, j) + b"\0" * 8, "damaged"),
    "header-of-an-exabyte": (lambda a, j: struct.pack("<Q", 2**60) + b"{}", "header claims"),
    "header-of-minus-one": (lambda a, j: b"\xff" * 8 + b"{}", "header claims"),
    "header-not-json": (lambda a, j: framed(b"{{{{", b""), "damaged"),
    "header-not-utf8": (lambda a, j: framed(b'{"\xff": 1}', b""), "damaged"),
    "header-deep": (lambda a, j: framed(DEEP.encode(), b""), "damaged"),
    "tensor-past-the-end": (header_changed(lambda h: h["3.bias"].update(data_offsets=[0, 2**40])), "damaged"),
    "tensors-overlap": (header_changed(lambda h: h["3.bias"].update(data_offsets=[0, 8])), "damaged"),
    "shape-lies": (header_changed(lambda h: h["3.bias"].update(shape=[2**40])), "damaged"),
    "shape-overflows": (header_changed(lambda h: h["3.bias"].update(shape=[2**62, 2**62])), "damaged"),
    "shape-negative": (header_changed(lambda h: h["3.bias"].update(shape=[-2])), "damaged"),
    "foreign": (lambda a, j: container(a, None), "not one that Tidegate wrote"),
    "foreign-metadata": (lambda a, j: container(a, {"format": "pt"}), "not one that Tidegate wrote"),
    "about-not-json": (with_about("{"), "not readable JSON"),
    "about-deep": (with_about(DEEP), "not readable JSON"),
    "about-nan": (with_about('{"schema": NaN}'), "not readable JSON"),
    "about-overflows": (with_about('{"schema": 1e999}'), "not readable JSON"),
    "about-huge-number": (with_about('{"schema": ' + "9" * 5000 + "}"), "not readable JSON"),
    "about-a-list": (with_about("[1]"), "names no schema"),
    "about-incomplete": (with_about('{"schema": 1, "kind": "model"}'), "incomplete"),
    "schema-newer": (changed("schema", 999), "Upgrade Tidegate"),
    "schema-zero": (changed("schema", 0), "names no schema"),
    "schema-text": (changed("schema", "1"), "names no schema"),
    "kind-training": (changed("kind", "training"), "holds the state of a training run, wanted a model"),
    "kind-unknown": (changed("kind", "weather"), "something unknown"),
    "weight-altered": (flipped, "does not match its hash"),
    "label-altered": (relabelled, "does not match its hash"),
    "tensor-missing": (rearranged(lambda a: without(a, "3.bias")), "weights are missing: 3.bias"),
    "tensor-extra": (rearranged(lambda a: a | {"9.bias": a["3.bias"]}), "does not have: 9.bias"),
    "tensor-of-other-shape": (rearranged(lambda a: a | {"3.bias": np.zeros(5, np.float32)}), "network wants"),
    "tensor-half": (rearranged(lambda a: a | {"3.bias": a["3.bias"].astype(np.float16)}), "F16; wanted"),
    "tensor-mixed": (rearranged(lambda a: a | {"3.bias": a["3.bias"].astype(np.float64)}), "wanted all float32"),
    "tensor-nan": (rearranged(lambda a: poisoned(a, np.nan)), "not finite"),
    "tensor-infinite": (rearranged(lambda a: poisoned(a, np.inf)), "not finite"),
    "network-missing": (changed("body/network", None), "not a network"),
    "network-absurd": (changed("body/network/nodes/0/vocabulary_size", 2**62), "vocabulary_size"),
    "network-other": (changed("body/network/nodes", [DENSE]), "weights are missing"),
    "network-unknown-node": (changed("body/network/nodes", [{"kind": "oracle"}]), "not a network"),
    "network-version": (changed("body/network/version", 2), "not a network"),
    "task-missing": (changed("body/task", None), "which task"),
    "task-unknown": (changed("body/task/name", "fortune-teller"), "does not know"),
    "task-of-another-kind": (changed("body/task/name", "sequence-classifier"), "describes no SequenceClassifier"),
    "task-of-text-too-long": (changed("body/task/name", "x" * 100_000), "does not know"),
    "about-a-text": (changed("body/about", "good"), "what it says about the model cannot be read"),
    "about-licence-a-list": (changed("body/about", {"licence": ["MIT"]}), "licence: Input should be a valid string"),
    "about-metrics-of-words": (changed("body/about", {"metrics": {"test": {"f1": "high"}}}), "metrics.test.f1"),
    "network-cyclic": (changed("body/network/nodes", LOOP), "must stand right after a recurrent node"),
    "network-of-too-many-nodes": (changed("body/network/nodes", [DENSE] * 65), "at most 64 items"),
    "network-without-nodes": (changed("body/network/nodes", []), "at least 1 item"),
    "network-nodes-an-object": (changed("body/network/nodes", {"0": DENSE}), "not a network"),
    "network-unknown-field": (node_changed(1, "script", "x"), "script: Extra inputs"),
    "network-size-negative": (node_changed(1, "hidden_size", -2), "hidden_size: Input should be greater"),
    "network-size-zero": (node_changed(0, "size", 0), "size: Input should be greater"),
    "network-size-a-float": (node_changed(1, "hidden_size", 2.5), "hidden_size: Input should be a valid integer"),
    "network-size-a-text": (node_changed(1, "hidden_size", "2"), "hidden_size: Input should be a valid integer"),
    "network-layers-endless": (node_changed(1, "num_layers", 10**9), "num_layers: Input should be less"),
    "network-cell-unknown": (node_changed(1, "cell", "lstn"), "cell: Input should be"),
    "network-width-of-others": (node_changed(3, "in_features", 9), "wants 9 features but gets"),
    "network-without-pool": (without_pool, "wanted one that pools"),
    "tensor-name-empty": (rearranged(lambda a: a | {"": a["3.bias"]}), "does not have"),
    "tensor-name-outside": (rearranged(lambda a: a | {"../../x": a["3.bias"]}), "does not have: ../../x"),
    "tensors-of-long-names": (rearranged(lambda a: a | {"x" * 9999: a["3.bias"]}), "does not have: xxx"),
    "tensor-complex": (header_changed(lambda h: h["3.bias"].update(dtype="C64", shape=[1])), "C64; wanted"),
    "tensor-type-unknown": (header_changed(lambda h: h["3.bias"].update(dtype="OBJECT")), "damaged"),
    "tensor-gap": (header_changed(lambda h: h.pop("3.bias")), "damaged"),
    "params-missing": (changed("body/task/params", None), "describes no TextClassifier"),
    "params-unknown": (changed("body/task/params", {"hiden_size": 3}), "hidden_size"),
    "params-out-of-range": (changed("body/task/params", {"hidden_size": -3}), "hidden_size"),
    "classes-missing": (changed("body/task/classes", None), "describes no TextClassifier"),
    "classes-too-many": (changed("body/task/classes", ["a", "b", "c"]), "names 3 classes"),
    "classes-nested": (changed("body/task/classes", [["a"], ["b"]]), "describes no TextClassifier"),
    "tokenizer-missing": (changed("body/task/preparation", {}), "describes no TextClassifier"),
    "tokenizer-garbage": (changed("body/task/preparation/tokenizer", "{}"), "describes no TextClassifier"),
    "tokenizer-of-other-size": (with_a_word_more, "its network reads"),
    "tokenizer-deep": (changed("body/task/preparation/tokenizer", DEEP), "nested too deeply"),
    "tokenizer-a-number": (changed("body/task/preparation/tokenizer", 7), "describes no TextClassifier"),
    "tokenizer-pattern-of-strangers": (tokenizer_changed(lambda t: t.update(pre_tokenizer=SLOW)), "has the step"),
    "tokenizer-grows-texts": (tokenizer_changed(lambda t: t.update(normalizer=GROWING)), "has the step"),
    "tokenizer-step-unknown": (tokenizer_changed(lambda t: t.update(normalizer=TABLE)), "has the step"),
    "tokenizer-steps-endless": (
        tokenizer_changed(lambda t: t["normalizer"].update(normalizers=[{"type": "NFC"}] * 999)),
        "has the step",
    ),
    "tokenizer-steps-nested": (
        tokenizer_changed(lambda t: t["normalizer"].update(normalizers=[t["normalizer"].copy()])),
        "has the step",
    ),
    "tokenizer-of-unigrams": (tokenizer_changed(lambda t: t["model"].update(type="Unigram")), "no vocabulary of words"),
    "tokenizer-id-negative": (tokenizer_changed(lambda t: t["model"]["vocab"].update(good=-1)), "from 0 on"),
    "tokenizer-id-huge": (tokenizer_changed(lambda t: t["model"]["vocab"].update(good=2**80)), "describes no"),
    "tokenizer-id-a-truth": (tokenizer_changed(lambda t: t["model"]["vocab"].update(good=True)), "from 0 on"),
    "tokenizer-id-twice": (tokenizer_changed(lambda t: t["model"]["vocab"].update(good=2)), "from 0 on"),
    "tokenizer-with-added-words": (tokenizer_changed(lambda t: t.update(added_tokens=[{"id": 1}])), "has parts"),
    "tokenizer-pads": (tokenizer_changed(lambda t: t.update(padding={"strategy": "BatchLongest"})), "has parts"),
    "tokenizer-without-unknown": (tokenizer_changed(lambda t: t["model"]["vocab"].pop("<unk>")), "describes no"),
    "classes-unsorted": (changed("body/task/classes", ["pos", "neg"]), "no sorted list"),
    "classes-twice": (changed("body/task/classes", ["a", "a"]), "no sorted list"),
    "classes-not-unicode": (changed("body/task/classes", ["a", "\ud800"]), "no valid Unicode"),
    "classes-mixed": (changed("body/task/classes", [1, "a"]), "describes no TextClassifier"),
    "classes-of-numbers-with-fractions": (changed("body/task/classes", [0.5, 1.5]), "describes no TextClassifier"),
    "classes-an-object": (changed("body/task/classes", {"a": "b"}), "no sorted list"),
    "params-a-list": (changed("body/task/params", [1]), "describes no TextClassifier"),
    "params-endless": (changed("body/task/params/hidden_size", 10**4000), "hidden_size"),
}


def unfolded(change: Callable[[Json], object]) -> Callable[[Arrays, Json], bytes]:
    """Fill the description, as much as a file may hold, with what takes far more memory than text."""

    def build(arrays: Arrays, about: Json) -> bytes:
        about = copy.deepcopy(about)
        change(about["body"])
        return sound(arrays, about)

    return build


def _words(body: Json, count: int, name: str) -> None:
    tokenizer = json.loads(body["task"]["preparation"]["tokenizer"])
    tokenizer["model"]["vocab"] = {"<unk>": 0} | {name.format(i): i for i in range(1, count)}
    body["task"]["preparation"]["tokenizer"] = json.dumps(tokenizer, ensure_ascii=False)


NOTHING = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
MANY = 199_000  # values; a few more and the file is refused unread

# name of the file: how it is built. Each is small on the disk, and must stay so in memory until it is refused.
BOMBS: dict[str, Callable[[Arrays, Json], bytes]] = {
    "objects": unfolded(lambda body: body["task"].update(x=[{"a": 0}] * (MANY // 2), params=None)),
    "lists": unfolded(lambda body: body["task"].update(x=[[[[[]]]]] * (MANY // 6), params=None)),
    "names": unfolded(lambda body: body["task"].update(x={f"{i:025d}": 0 for i in range(MANY)}, params=None)),
    "numbers": unfolded(lambda body: body["task"].update(x=[i + 0.5 for i in range(MANY)], params=None)),
    "wide-letters": unfolded(lambda body: body["task"].update(x="\U0001f600" + "a" * 7_900_000, params=None)),
    "long-label": unfolded(lambda body: body["task"].update(classes=["a" * 7_900_000, "b"])),
    "nodes": unfolded(lambda body: body["network"].update(nodes=[{"kind": "dropout", "p": 0.1}] * (MANY // 4))),
    "params": unfolded(lambda body: body["task"].update(params={f"{i:020d}": 0 for i in range(MANY)})),
    "words": unfolded(lambda body: _words(body, MANY - 100, "{:06d}")),
    "long-words": unfolded(lambda body: _words(body, MANY * 2 // 3, "{:025d}")),
    "wide-words": unfolded(lambda body: _words(body, MANY // 2, "\U0001f600\U0001f600{:06d}")),
    "more-values-than-are-read": unfolded(lambda body: body["task"].update(x=[0] * 250_000)),
    "header-of-lists": lambda a, j: framed(json.dumps({"x": [[]] * 1_000_000}).encode(), b""),
    "header-of-names": lambda a, j: framed(json.dumps({str(i): [] for i in range(90_000)}).encode(), b""),
    "tensors-of-nothing": lambda a, j: framed(json.dumps({str(i): NOTHING for i in range(39_000)}).encode(), b""),
    "tensor-of-many-dimensions": lambda a, j: framed(
        json.dumps({"a": {"dtype": "F32", "shape": [1] * MANY, "data_offsets": [0, 4]}}).encode(), b"0000"
    ),
}
