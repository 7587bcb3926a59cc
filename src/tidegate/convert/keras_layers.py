"""The description that Keras writes of a model becomes a list of layers, checked and typed.

Reads data and nothing else: no name in it is looked up, imported or called. Knows no weights and no networks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tidegate.cells import CELLS, Cell
from tidegate.errors import InputError, ModelFileError

Json: TypeAlias = dict[str, Any]
Count = Annotated[int, Field(ge=1, le=2**24)]
Rate = Annotated[float, Field(ge=0, lt=1, strict=False)]
MAX_LAYERS: Final = 500
_RECURRENT: Final = {card.keras.name for card in CELLS.values() if card.keras}
_HOMES: Final = ("keras", "tf_keras", "tensorflow.keras")
Activation = Literal["relu", "tanh", "sigmoid", "linear", "softmax"]


class Part(BaseModel):
    """Hold the settings of a layer that change what it computes; the others are not read."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Input(Part):
    """State the shape of what comes in."""

    batch_shape: list[int | None] | None = None
    batch_input_shape: list[int | None] | None = None  # the name in Keras 2

    @property
    def steps(self) -> int | None:
        """The number of steps of every sequence, where it is fixed."""
        return self._axis(1)

    @property
    def features(self) -> int | None:
        """The number of features of every step, where there are any."""
        return self._axis(2)

    def _axis(self, axis: int) -> int | None:
        shape = self.batch_shape or self.batch_input_shape or []
        return shape[axis] if len(shape) > axis else None


class Embedding(Part):
    """Replace ids by rows of a table."""

    input_dim: Count
    output_dim: Count
    mask_zero: bool = False


class Recurrent(Part):
    """Run a cell over the steps. `cell` is the name of the layer's class."""

    cell: str
    units: Count
    activation: Literal["tanh", "relu"] = "tanh"
    recurrent_activation: Literal["sigmoid"] = "sigmoid"
    use_bias: bool = True
    return_sequences: bool = False
    return_state: Literal[False] = False
    stateful: Literal[False] = False
    time_major: Literal[False] = False
    go_backwards: bool = False
    reset_after: bool = False  # as Keras takes it where a file does not say
    dropout: Rate = 0.0
    recurrent_dropout: Rate = 0.0

    @property
    def card(self) -> Cell:
        """Our own cell that computes the same; one that applies a function to all has a card for each function."""
        same = [card for card in CELLS.values() if card.keras and card.keras.name == self.cell]
        return next(card for card in same if card.gated or card.function == self.activation)


class Bidirectional(Part):
    """Run two layers over the steps, one of them from the end."""

    merge_mode: Literal["concat", "sum", "mul", "ave"]
    forward: Recurrent
    backward: Recurrent


class Dense(Part):
    """Multiply each row by a matrix."""

    units: Count
    activation: Activation = "linear"
    use_bias: bool = True


class Activate(Part):
    """Apply a function to every number, or to every row."""

    activation: Activation


class Dropout(Part):
    """Zero features at random in training."""

    rate: Rate
    per_sequence: bool = False


class Pooling(Part):
    """Make one row of each sequence."""

    mode: Literal["max", "mean"]
    keepdims: Literal[False] = False
    data_format: Literal["channels_last"] = "channels_last"


class Masking(Part):
    """Skip steps whose features are all one value."""

    mask_value: Annotated[float, Field(strict=False)] = 0.0


Settings: TypeAlias = Input | Embedding | Recurrent | Bidirectional | Dense | Activate | Dropout | Pooling | Masking


@dataclass(frozen=True)
class Layer:
    """Hold one layer: its name, its settings, and where a `.keras` file keeps its weights, if it has any."""

    name: str
    settings: Settings
    places: tuple[str, ...] = ()


def read_layers(description: Any) -> list[Layer]:
    """Read the layers of a Sequential model, or of a Functional one that is a plain chain, in order.

    Args:
        description: what `model.to_json()` writes, as Python objects.

    Raises:
        ModelFileError: it is no description of a model.
        InputError: the model is no chain, or a layer or a setting has no counterpart; it is named.
    """
    try:
        kind, config = description["class_name"], description["config"]
        if kind == "Sequential":
            entries: list[Json] = config["layers"] if isinstance(config, dict) else config
        elif kind in ("Functional", "Model"):
            entries = config["layers"]
        else:
            raise InputError(f"the model is a {kind!r}; wanted a Sequential one, or a Functional one that is a chain.")
        if len(entries) > MAX_LAYERS:
            raise InputError(f"the model has {len(entries):,} layers; at most {MAX_LAYERS} are read.")
        named = dict(zip(_paths(entries), entries, strict=True))
        chain = set(range(len(entries))) if kind == "Sequential" else set(_chain(config))
        picked = [pair for index, pair in enumerate(named.items()) if index in chain]
        return [_layer(path, entry) for path, entry in picked]
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ModelFileError(f"this is no description of a Keras model ({type(error).__name__}: {error})") from None


def _paths(entries: list[Json]) -> Iterator[str]:
    """Name the places of the layers in a `.keras` file: the class in small letters, counted where it occurs again."""
    seen: Counter[str] = Counter()
    for entry in entries:
        word = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", entry["class_name"]))
        word = re.sub("([a-z])([A-Z])", r"\1_\2", word).lower()
        yield f"layers/{word}_{seen[word]}" if seen[word] else f"layers/{word}"
        seen[word] += 1


def _chain(config: Json) -> list[int]:
    """Walk from the output of a Functional model to its input; raises InputError where it is no chain."""
    entries: list[Json] = config["layers"]
    index_of = {entry["name"]: index for index, entry in enumerate(entries)}
    chain: list[int] = []
    name: str | None = _only(config["output_layers"], "outputs")
    while name is not None:
        index = index_of[name]
        if index in chain or len(chain) > len(entries):
            raise InputError(f"layer {name!r} stands in a circle; wanted a chain of layers.")
        chain.append(index)
        calls = entries[index]["inbound_nodes"]
        if len(calls) > 1:
            raise InputError(f"layer {name!r} is called {len(calls)} times; wanted a chain of layers.")
        if calls and not _is_padding(_options(calls[0]).get("mask"), entries):
            raise InputError(
                f"layer {name!r} is given a mask of its own; wanted none, or that of mask_zero or Masking."
            )
        name = _before(name, calls[0]) if calls else None
    if chain != sorted(chain, reverse=True):
        raise InputError("the layers are not listed in the order in which data passes them; wanted a chain.")
    if entries[chain[-1]]["name"] != _only(config["input_layers"], "inputs"):
        raise InputError("the chain of layers does not begin at the input of the model.")
    return chain


def _before(name: str, call: Any) -> str:
    """Name the layer that another one reads; masks, which are keyword arguments, follow the data by themselves."""
    if isinstance(call, dict):  # Keras 3
        tensors = [arg for arg in call["args"] if isinstance(arg, dict | list)]
        sources = [tensor["config"]["keras_history"][0] for tensor in tensors if isinstance(tensor, dict)]
        if len(sources) != len(tensors):
            sources = []
    else:  # Keras 2: [[name, node, tensor, keyword arguments], ...]
        sources = [source[0] for source in call]
    if given := [key for key, value in _options(call).items() if key != "mask" and _names_a_layer(value)]:
        raise InputError(f"layer {name!r} is given its {given[0]} by another layer; wanted a chain of layers.")
    if len(sources) != 1:
        raise InputError(f"layer {name!r} reads {len(sources) or 'several'} layers; wanted a chain, each reading one.")
    return str(sources[0])


def _options(call: Any) -> Json:
    """Find the keyword arguments of a call, of Keras 2 or 3."""
    found: Json = call["kwargs"] if isinstance(call, dict) else call[0][3] if len(call[0]) > 3 else {}
    return found


def _is_padding(mask: Any, entries: list[Json]) -> bool:
    """Tell whether a mask hides padding alone: what `mask_zero` and `Masking` make, or none at all.

    Keras 3 writes them as operations beside the chain: ids that are not 0, and steps that are not one value throughout.
    """
    named = {entry["name"]: entry for entry in entries}

    def maker(tensor: Any) -> Json:
        return named[tensor["config"]["keras_history"][0]] if isinstance(tensor, dict) else {"class_name": None}

    if mask is None:
        return True
    made = maker(mask)
    of_steps = made["class_name"] == "Any"
    if of_steps:
        made = maker(made["inbound_nodes"][0]["args"][0])
    return bool(made["class_name"] == "NotEqual" and (of_steps or made["inbound_nodes"][0]["args"][1] == 0))


def _names_a_layer(value: Any) -> bool:
    """Tell whether an argument of a call, of Keras 2 or 3, is the output of a layer, or holds one."""
    match value:
        case {"class_name": "__keras_tensor__"} | [str(), int(), int()]:
            return True
        case list():
            return any(map(_names_a_layer, value))
    return False


def _only(places: Any, what: str) -> str:
    """Read the one name of `["name", 0, 0]` or `[["name", 0, 0]]`."""
    flat = places if places and isinstance(places[0], str) else (places[0] if len(places) == 1 else None)
    if flat is None:
        raise InputError(f"the model has {len(places)} {what}; wanted one.")
    return str(flat[0])


def _layer(path: str, entry: Json) -> Layer:
    kind, config = entry["class_name"], entry["config"]
    name = str(config["name"])
    where = f"layer {name!r} ({kind})"
    _check_own(where, entry)
    try:
        if kind == "Bidirectional":
            both = tuple(f"{path}/{side}_layer/cell" for side in ("forward", "backward"))
            return Layer(name, _bidirectional(where, config), both)
        if kind == "TimeDistributed":
            _check_own(where, config["layer"])
            path, kind, config = f"{path}/layer", config["layer"]["class_name"], config["layer"]["config"]
            if kind not in ("Dense", "Dropout", "Activation"):
                raise InputError(f"{where} wraps a {kind}; wanted Dense, Dropout or Activation.")
        settings = _settings(where, kind, config)
    except ValidationError as error:
        raise InputError(f"{where} cannot be converted: {_said(error)}") from None
    match settings:
        case Recurrent():
            return Layer(name, settings, (f"{path}/cell",))
        case Embedding() | Dense():
            return Layer(name, settings, (path,))
    return Layer(name, settings)


def _said(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"its {'.'.join(map(str, first['loc']))} is {str(first['input'])[:60]!r}. {first['msg']}."


def _bidirectional(where: str, config: Json) -> Bidirectional:
    forward = _direction(where, config["layer"])
    backward = forward.model_copy(update={"go_backwards": not forward.go_backwards})
    given = config.get("backward_layer")
    if given is not None and _direction(where, given) != backward:
        raise InputError(f"{where} has two directions of different settings; wanted the same, one from the end.")
    if forward.go_backwards:
        raise InputError(f"{where} has go_backwards=True inside; wanted the first layer to run forwards.")
    return Bidirectional.model_validate(
        {"merge_mode": config.get("merge_mode", "concat"), "forward": forward, "backward": backward}
    )


def _direction(where: str, entry: Json) -> Recurrent:
    _check_own(where, entry)
    settings = _settings(where, entry["class_name"], entry["config"])
    if not isinstance(settings, Recurrent):
        raise InputError(f"{where} wraps a {entry['class_name']}; wanted SimpleRNN, LSTM or GRU.")
    return settings


def _settings(where: str, kind: str, config: Json) -> Settings:
    """Read the settings of one layer that wraps no other."""
    if kind in ("Embedding", "Dense", *_RECURRENT):
        _check_dtype(where, config.get("dtype"))
    match kind:
        case "InputLayer":
            return Input.model_validate(config)
        case "Embedding":
            return Embedding.model_validate(config)
        case _ if kind in _RECURRENT:
            return _recurrent(where, kind, config)
        case "Dense":
            return Dense.model_validate(config)
        case "Activation":
            return Activate.model_validate(config)
        case "Softmax" if config.get("axis", -1) == -1:
            return Activate(activation="softmax")
        case "Dropout" if config.get("noise_shape") is None:
            return Dropout.model_validate(config)
        case "SpatialDropout1D":
            return Dropout.model_validate(config | {"per_sequence": True})
        case "GlobalMaxPooling1D" | "GlobalAveragePooling1D":
            return Pooling.model_validate(config | {"mode": "max" if "Max" in kind else "mean"})
        case "Masking":
            return Masking.model_validate(config)
    raise InputError(
        f"{where} has no counterpart in a network of Tidegate. Known are: Embedding, SimpleRNN, LSTM, GRU, "
        "Bidirectional, Dense, TimeDistributed(Dense), Activation, Softmax, Dropout, SpatialDropout1D, "
        "GlobalMaxPooling1D, GlobalAveragePooling1D and Masking."
    )


def _recurrent(where: str, kind: str, config: Json) -> Recurrent:
    settings = Recurrent.model_validate(config | {"cell": kind})
    if settings.card.gated and settings.activation != "tanh":
        raise InputError(f"{where} has activation={settings.activation!r}; wanted 'tanh', the only one of this cell.")
    if settings.card.one_apart and not settings.reset_after:
        raise InputError(
            f"{where} has reset_after=False: it resets the state before the product, and Tidegate's cell after it. "
            "The two compute different things, so its weights cannot be carried over. Train it with reset_after=True."
        )
    return settings


def _check_own(where: str, entry: Json) -> None:
    """Refuse a class of someone else's that has the name of one of Keras's: its equations are not in the file."""
    kind, module = entry["class_name"], entry.get("module") or "keras"
    if entry.get("registered_name") not in (None, kind) or not module.startswith(_HOMES):
        raise InputError(f"{where} holds a class {kind!r} that is not Keras's own; what it computes cannot be known.")


def _check_dtype(where: str, policy: Any) -> None:
    """Refuse layers that compute in half precision or with quantised weights."""
    name = policy.get("config", {}).get("name") if isinstance(policy, dict) else policy
    if name not in (None, "float32", "float64"):
        raise InputError(f"{where} computes in {name}; wanted float32 or float64.")
