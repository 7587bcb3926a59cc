"""Models of Keras become networks: `from_keras`. Keras itself is never imported, and nothing in a file is run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.convert.keras_equations import evaluate
from tidegate.convert.keras_file import read_file
from tidegate.convert.keras_layers import Input, Layer, read_layers
from tidegate.convert.keras_network import NetworkOfKeras
from tidegate.convert.proof import LENGTHS, Conversion, prove, sequences
from tidegate.errors import InputError
from tidegate.kernels import rows
from tidegate.network import Pool
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

Array: TypeAlias = npt.NDArray[Any]
Source: TypeAlias = str | os.PathLike[str] | Any
Config: TypeAlias = dict[str, Any] | str | os.PathLike[str] | None


def from_keras(source: Source, *, config: Config = None) -> Executor:
    """Make a network of a Keras model: a file that it was saved in, or the model itself.

    Known are Sequential models, and Functional ones that are a chain, of Embedding, SimpleRNN, LSTM, GRU, Bidirectional
    with every merge mode, Dense, TimeDistributed, pooling over all steps, and dropout. A softmax at the end is left
    out: the executor gives logits, and `tidegate.kernels.softmax` makes of them what Keras gives.

    Random sequences prove the conversion: the outputs equal those of the model, or, for a file, those of Keras's
    equations in float64, within 1e-5. Sequences have no padding here, see the page "Convert models".

    Args:
        source: a `.keras` file, a whole model in `.h5`, weights in `.h5` together with `config`, or a model object.
        config: for a file of weights alone, what `model.to_json()` wrote: a file, the text, or the object.

    Raises:
        InputError: a layer or a setting that has no counterpart; it is named.
        ModelFileError: the file is damaged, hostile, or no file of Keras.
        ConversionError: the proof failed.
        MissingPackageError: h5py, which the extra `keras` brings, is not installed.
    """
    return read_keras(source, config=config).model


def read_keras(source: Source, *, config: Config = None) -> Conversion:
    """Convert as `from_keras` does, and tell what proves it and what to know of the model."""
    if not isinstance(source, str | os.PathLike):
        return _read_model(source)
    layers, weights = read_file(Path(source), _description(config))
    return _convert(layers, weights, lambda x: evaluate(layers, weights, x, logits=True))


def _read_model(model: Any) -> Conversion:
    """Convert a model object, known by its manners; it proves the conversion itself."""
    if not (hasattr(model, "get_layer") and hasattr(model, "to_json")):
        raise InputError(f"a {type(model).__name__} came; wanted a file of Keras, or a model.")
    layers = read_layers(json.loads(model.to_json()))
    weights = [[np.asarray(array) for array in _own_layer(model, layer)] for layer in layers]
    steps = next((layer.settings.steps for layer in layers if isinstance(layer.settings, Input)), None)
    lengths = [steps] * 3 if steps else LENGTHS
    answer = partial(model.predict, verbose=0)
    return _convert(layers, weights, lambda x: np.asarray(answer(x[None]))[0], lengths=lengths, softmax=True)


def _own_layer(model: Any, layer: Layer) -> list[Any]:
    """Ask a model for the arrays of one of its layers; a layer without weights may not be one that it names."""
    own: list[Any] = model.get_layer(layer.name).get_weights() if layer.places else []
    return own


def _description(config: Config) -> bytes:
    """Bring the description that stands beside a file of weights into one form; empty where there is none."""
    if config is None:
        return b""
    if isinstance(config, dict):
        return json.dumps(config).encode()
    return str(config).encode() if str(config).lstrip().startswith("{") else Path(config).read_bytes()


def _convert(
    layers: list[Layer],
    weights: Sequence[list[Array]],
    rival: Callable[[Array], Array],
    *,
    lengths: Sequence[int] = LENGTHS,
    softmax: bool = False,
) -> Conversion:
    """Convert, and compare with the rival, which gives probabilities where `softmax` says so."""
    found = NetworkOfKeras(layers, weights)
    model = Executor(found.network, found.weights)
    x = sequences(found.network, model.dtype, lengths=lengths, lowest=int(found.masked))
    pooled = any(isinstance(node, Pool) for node in found.network.nodes)

    def ours(batch: Ragged) -> Array:
        out = model(batch)
        return rows.softmax(out) if softmax and found.softmax else out

    return Conversion(model, prove(ours, rival, x, pooled=pooled), tuple(_notes(found)))


def _notes(found: NetworkOfKeras) -> list[str]:
    """Say what whoever uses the model has to know."""
    notes = []
    if found.softmax:
        notes.append("the outputs are logits: the softmax at the end is left to tidegate.kernels.softmax.")
    if found.masked:
        notes.append("the model takes id 0 for padding and skips it: leave padding out of the sequences.")
    elif found.network.reads_tokens:
        notes.append("the model masks no padding: trained on padded sequences, it wants the same padding here.")
    return notes
