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

_DTYPES = {"float32": "F32", "float64": "F64", "float16": "F16", "int32": "I32"}


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


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('a model file was unpickled')",))


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
    "params-missing": (changed("body/task/params", None), "describes no TextClassifier"),
    "params-unknown": (changed("body/task/params", {"hiden_size": 3}), "hidden_size"),
    "params-out-of-range": (changed("body/task/params", {"hidden_size": -3}), "hidden_size"),
    "classes-missing": (changed("body/task/classes", None), "describes no TextClassifier"),
    "classes-too-many": (changed("body/task/classes", ["a", "b", "c"]), "names 3 classes"),
    "classes-nested": (changed("body/task/classes", [["a"], ["b"]]), "describes no TextClassifier"),
    "tokenizer-missing": (changed("body/task/preparation", {}), "describes no TextClassifier"),
    "tokenizer-garbage": (changed("body/task/preparation/tokenizer", "{}"), "describes no TextClassifier"),
    "tokenizer-of-other-size": (with_a_word_more, "its network reads"),
}
