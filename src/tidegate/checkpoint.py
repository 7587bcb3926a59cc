"""Model files, and the states of training runs, in one `.safetensors` each, checked before anything is believed.

Knows what a file must hold. Knows nothing of tasks: what they want to keep is JSON here.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

import tidegate.plain_json as plain_json
from tidegate.durable import atomic_write
from tidegate.errors import InputError, ModelFileError
from tidegate.network import Network, check_shapes
from tidegate.version import __version__

SCHEMA: Final = 1
NO_TASK: Final = "network"  # what a model file names in the place of a task where there is none
MAX_HEADER_BYTES: Final = plain_json.MAX_BYTES
DTYPES: Final = ("F32", "F64", "I64")
DTYPES_BESIDE: Final = ("F16", *DTYPES)  # of arrays that are no weights
_BESIDE: Final = "task."  # what their names begin with

_PIECE: Final = 2**20  # numbers looked at in one go, so that a look at all of them takes no memory

Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=1000)]
Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]
Json: TypeAlias = dict[str, Any]
Metrics: TypeAlias = Mapping[str, Mapping[str, float]]
"""What a model reached, by the name of the part, such as `validation` or `test`, and the name of the measure."""
Kind = Literal["model", "training"]
_NAMES: Final = {"model": "a model", "training": "the state of a training run"}


class About(BaseModel):
    """Say what people want to know of a model that no prediction depends on; all of it may be absent.

    Args:
        licence: under which the model is given away, in its owner's words.
        data: the name of the data set that it was trained on.
        metrics: by the name of the part, such as `validation` or `test`, and the name of the measure, what it reached.

    >>> About(licence="CC-BY-4.0", metrics={"test": {"accuracy": 0.886}}).metrics["test"]["accuracy"]
    0.886
    """

    model_config = ConfigDict(frozen=True, strict=True)

    licence: Text | None = None
    data: Text | None = None
    metrics: dict[Text, dict[Text, Annotated[float, Field(allow_inf_nan=False)]]] = {}

    def also(self, *, licence: str | None = None, data: str | None = None, metrics: Metrics | None = None) -> About:
        """Say more; None, and metrics of other parts, leave what is said already.

        Numbers that are not finite are left out, as JSON has none. Raises InputError for what a file cannot hold.

        >>> About(licence="MIT").also(metrics={"test": {"accuracy": 0.5, "ratio": float("inf")}}).metrics
        {'test': {'accuracy': 0.5}}
        """
        finite = {
            part: kept
            for part, found in (metrics or {}).items()
            if (kept := {name: float(value) for name, value in found.items() if isfinite(value)})
        }
        said = {name: value for name, value in (("licence", licence), ("data", data)) if value is not None}
        try:
            return About(**self.model_dump() | said | {"metrics": self.metrics | finite})
        except ValidationError as error:
            raise InputError(f"a model file cannot say that: {_first(error)}.") from None


@dataclass(frozen=True)
class Model:
    """Hold what a model file says: the network, its weights by name, and what its task wrote beside them.

    library: the version of Tidegate that wrote it.
    sha256: the hash of all that it says.
    arrays: what else its task wrote, by name; of any values.
    """

    network: Network
    weights: dict[str, npt.NDArray[Any]]
    task: Json
    about: About
    library: str
    sha256: str
    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)


def save_model(
    path: str | os.PathLike[str],
    network: Network,
    *,
    weights: Arrays,
    task: Json,
    arrays: Arrays | None = None,
    about: About | None = None,
) -> None:
    """Write a model file; the same content gives the same bytes.

    Args:
        path: where to; a file that is there already is replaced in one move, or stays as it was when writing fails.
        network: the description of the model.
        weights: every array of `network.parameter_shapes`, float32 or float64.
        task: what the task needs to predict again (its name, labels, tokenizer), as JSON.
        arrays: what the task needs besides, by name: float16, float32, float64 or int64.
        about: what is known of the model besides.

    Raises:
        InputError: the weights do not fit the network, or are not finite, or there is more to say of the task than a
            model file may hold.
        OSError: the file could not be written.
    """
    _check_weights(network, weights)
    known = {} if about is None else about.model_dump(exclude_defaults=True)
    body = {"network": json.loads(network.to_json()), "task": task} | ({"about": known} if known else {})
    _write(path, "model", {**weights, **{_BESIDE + name: array for name, array in (arrays or {}).items()}}, body)


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a model file and check all of it: content hash, schema, network, names, shapes and values of the weights.

    Nothing in it is run, and no other file is opened. Memory never grows by more than the size of the file and 64 MiB,
    whatever the file claims.

    Raises ModelFileError that says what is wrong with the file.
    """
    found, said = _read(path, "model")
    weights = {name: array for name, array in found.items() if not name.startswith(_BESIDE)}
    arrays = {name.removeprefix(_BESIDE): array for name, array in found.items() if name.startswith(_BESIDE)}
    body = said["body"]
    try:
        network = Network.from_json(json.dumps(body.get("network")))
        _check_weights(network, weights)
    except InputError as error:
        raise ModelFileError(f"{path}: {error!s:.400}") from None
    task = body.get("task")
    if not isinstance(task, dict):
        raise ModelFileError(f"{path}: the model file does not say which task it is for")
    try:
        about = About.model_validate(body.get("about", {}))
    except ValidationError as error:
        raise ModelFileError(f"{path}: what it says about the model cannot be read: {_first(error):.400}") from None
    return Model(network, weights, task, about, str(said["library"]), str(said["sha256"]), arrays)


def check_task(task: Json) -> None:
    """Raise InputError where there is more to say of a task than a model file may hold, as with too many words."""
    try:
        plain_json.check(_canonical(_canonical(task)))
    except ValueError as error:
        raise InputError(
            f"what the model has to remember does not fit into a model file: {error}. Take a smaller vocabulary."
        ) from None


def digest(network: Network, weights: Arrays) -> str:
    """Name a network with its weights by 64 hexadecimal digits: other nodes or other numbers give another name.

    It is the SHA-256 that model files use, over the description of the network and every array; labels, tokenizer and
    where the weights lie in memory have no part in it. What belongs to one model alone can be bound to it by this.

    >>> from tidegate.network import Dense
    >>> network = Network.of(Dense(in_features=1, out_features=1))
    >>> arrays = {"0.weight": np.ones((1, 1), np.float32), "0.bias": np.zeros(1, np.float32)}
    >>> digest(network, arrays)[:8], digest(network, arrays | {"0.bias": np.ones(1, np.float32)})[:8]
    ('a88eaaad', 'ceb47fcc')
    """
    plain = {name: np.ascontiguousarray(array) for name, array in weights.items()}
    return _content_hash(plain, {"network": json.loads(network.to_json())})


def save_training(path: str | os.PathLike[str], arrays: Arrays, info: Json) -> None:
    """Write the state of a training run: arrays by name, and everything else as JSON. Never pickle."""
    _write(path, "training", arrays, info)


def load_training(path: str | os.PathLike[str]) -> tuple[dict[str, npt.NDArray[Any]], Json]:
    """Read what `save_training` wrote; raises ModelFileError when the file is not that, to the last byte."""
    arrays, said = _read(path, "training")
    return arrays, said["body"]


def _write(path: str | os.PathLike[str], kind: Kind, arrays: Arrays, body: Json) -> None:
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    about: Json = {"kind": kind, "schema": SCHEMA, "library": __version__, "body": body}
    about["sha256"] = _content_hash(plain, about)
    # One metadata entry: with several, their order in the file, and so its bytes, would be left to chance.
    data = to_safetensors(plain, metadata={"tidegate": _canonical(about)})
    if (wrong := _wrong_header(data[8 : 8 + int.from_bytes(data[:8], "little")])) is not None:
        raise InputError(f"this does not fit into a file that could be read again: {wrong}.")
    atomic_write(path, data)


def _read(path: str | os.PathLike[str], kind: Kind) -> tuple[dict[str, npt.NDArray[Any]], Json]:
    """Read the arrays of a file and its description. Read, not mapped: a change on the disk must not reach a model."""
    _check_header(Path(path))
    try:
        with safe_open(path, framework="numpy", backend="pread") as file:
            about = _parse_about(path, file.metadata(), kind)
            for name in file.keys():  # noqa: SIM118  (safe_open is no mapping)
                wanted = DTYPES_BESIDE if name.startswith(_BESIDE) else DTYPES
                if (dtype := file.get_slice(name).get_dtype()) not in wanted:
                    raise ModelFileError(f"{path}: tensor {name!r:.80} is {dtype}; wanted {' or '.join(wanted)}")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        with Path(path).open("rb"):  # which says what is wrong with the disk or the process, where it is not the file
            pass
        raise ModelFileError(f"{path}: not a readable safetensors file, or a damaged one ({error!s:.400})") from None
    if about["sha256"] != _content_hash(arrays, about):
        raise ModelFileError(f"{path}: the content does not match its hash; the file was altered or damaged")
    return arrays, about


def _check_header(path: Path) -> None:
    """Look at the first eight bytes and the size alone, so that nothing large is read on a liar's word."""
    if not path.is_file():
        raise ModelFileError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
    size = path.stat().st_size
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
        content = file.read(header) if header <= min(MAX_HEADER_BYTES, size) else b""
    if size < 8:
        raise ModelFileError(f"{path}: {size} bytes are no model file; it is empty or truncated")
    if header > min(MAX_HEADER_BYTES, size - 8):
        raise ModelFileError(
            f"{path}: not a model file, or a truncated one: its header claims {header:,} bytes, "
            f"the file holds {size:,} and at most {MAX_HEADER_BYTES:,} are accepted"
        )
    if (wrong := _wrong_header(content)) is not None:
        raise ModelFileError(f"{path}: not a model file, or a damaged one: {wrong}")


def _wrong_header(header: bytes) -> str | None:
    """Say why a header is not to be parsed, if it is not: it would fill the memory, or is not in our own letters."""
    if not header.isascii():
        return "its header is not plain ASCII"
    try:
        plain_json.check(header.decode("ascii"))
    except ValueError as error:
        return f"of its header, {error}"
    return None


def _parse_about(path: str | os.PathLike[str], metadata: dict[str, str] | None, kind: Kind) -> Json:
    text = (metadata or {}).get("tidegate")
    if text is None:
        raise ModelFileError(f"{path}: a safetensors file, but not one that Tidegate wrote")
    try:
        about = plain_json.read(text)
    except ValueError as error:
        raise ModelFileError(f"{path}: its description is not readable JSON: {error!s:.400}") from None
    if not isinstance(about, dict) or not isinstance(schema := about.get("schema"), int) or schema < 1:
        raise ModelFileError(f"{path}: its description names no schema; the file was altered")
    if schema > SCHEMA:
        raise ModelFileError(
            f"{path}: written by Tidegate {about.get('library')!s:.40} with schema {schema!s:.40}; "
            f"this one reads up to {SCHEMA}. Upgrade Tidegate to read it."
        )
    if (found := about.get("kind")) != kind:
        raise ModelFileError(f"{path}: holds {_NAMES.get(str(found), 'something unknown')}, wanted {_NAMES[kind]}")
    if not isinstance(about.get("body"), dict) or not {"sha256", "library"} <= about.keys():
        raise ModelFileError(f"{path}: its description is incomplete; the file was altered")
    return about


def _check_weights(network: Network, weights: Arrays) -> None:
    check_shapes(network, {name: array.shape for name, array in weights.items()})
    dtypes = {array.dtype for array in weights.values()}
    if len(dtypes) > 1 or not dtypes <= {np.dtype(np.float32), np.dtype(np.float64)}:
        raise InputError(f"weights of type {sorted(map(str, dtypes))}; wanted all float32 or all float64")
    for name, array in weights.items():
        flat = array.reshape(-1)
        if not all(np.isfinite(flat[at : at + _PIECE]).all() for at in range(0, flat.size, _PIECE)):
            raise InputError(f"weight {name!r} holds values that are not finite")


def _content_hash(arrays: Arrays, about: Json) -> str:
    """Hash the arrays and all that is said about them, but for the hash itself."""
    digest = hashlib.sha256(_canonical({key: about[key] for key in about.keys() - {"sha256"}}).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(_canonical([name, str(array.dtype), list(array.shape)]).encode())
        digest.update(array.data)
    return digest.hexdigest()


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
