"""Keras in batches of like length, without a mask on the layer, which would leave its fast path; mode = its backend."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from benchmarks import work
from benchmarks.engines import Contest, clock
from benchmarks.work import Array, Job

LAYERS = {"rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}


def training_step(job: Job) -> Contest:
    os.environ["KERAS_BACKEND"] = job.mode
    if job.mode == "tensorflow":
        use_threads_of_tensorflow(job.threads)
    import keras

    arrays = job.load()
    tokens = work.sequences(arrays)
    model = build(keras, job, arrays)
    optimiser = keras.optimizers.Adam(work.LEARNING_RATE, epsilon=1e-8, global_clipnorm=work.LONGEST_GRADIENT)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimiser, loss=loss)
    wanted = work.labels()
    batches = [work.pad(batch)[0] for batch in work.cut(tokens, buckets=True)]
    even = work.pad(work.equal_lengths(tokens))[0]
    losses: list[float] = []

    def step(ids: Array) -> float:
        """Take one step and give its own loss: what Keras returns is the mean since its metrics were last reset."""
        model.reset_metrics()
        return float(model.train_on_batch(ids, wanted))

    def check() -> list[float]:
        losses.extend(step(even) for _ in range(3))
        return losses

    return Contest(check, clock(lambda: [step(ids) for ids in batches]), lambda: f"jit_compile={model.jit_compile}")


def use_threads_of_tensorflow(threads: int) -> None:
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(threads)


def build(keras: Any, job: Job, arrays: dict[str, Array]) -> Any:
    """Build embedding, layer, maximum over the valid steps, linear."""
    ids = keras.Input((None,), dtype="int32")
    layer = getattr(keras.layers, LAYERS[job.cell])(job.hidden, return_sequences=True)
    if job.directions == 2:
        layer = keras.layers.Bidirectional(layer)
    table = keras.layers.Embedding(work.WORDS + 1, job.inputs)
    head = keras.layers.Dense(2)
    valid = keras.ops.expand_dims(keras.ops.not_equal(ids, work.PADDING), -1)
    pooled = keras.ops.max(keras.ops.where(valid, layer(table(ids)), -1e9), axis=1)
    model = keras.Model(ids, head(pooled))
    table.set_weights([arrays["table"]])
    head.set_weights([arrays["head"].T, arrays["head_bias"]])
    layer.set_weights([array for suffix in work.suffixes(job) for array in weights_of(job.cell, arrays, suffix)])
    return model


def weights_of(cell: str, arrays: dict[str, Array], suffix: str) -> list[Array]:
    """Turn torch's layout into Keras': transposed, z before r, and one bias but in the GRU."""
    w_ih, w_hh, b_ih, b_hh = (arrays[name + suffix] for name in ("w_ih", "w_hh", "b_ih", "b_hh"))
    if cell == "gru":
        w_ih, w_hh, b_ih, b_hh = (swap(array) for array in (w_ih, w_hh, b_ih, b_hh))
        return [w_ih.T, w_hh.T, np.stack([b_ih, b_hh])]
    return [w_ih.T, w_hh.T, b_ih + b_hh]


def swap(gates: Array) -> Array:
    r, z, n = np.split(gates, 3)
    return np.concatenate([z, r, n])
