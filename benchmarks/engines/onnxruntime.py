"""ONNX Runtime, told the length of each sequence; mode ``buckets`` or ``padded``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime

from benchmarks import work
from benchmarks.engines import Contest, clock, clock_each, last_of, onnx_graph
from benchmarks.work import Array, Job


def session(model: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def feed(batch: list[Array]) -> dict[str, Array]:
    ids, lengths = work.pad(batch)
    return {"ids": np.ascontiguousarray(ids.T), "lengths": lengths.astype(np.int32)}


def inference(job: Job) -> Contest:
    arrays = job.load()
    model, tokens = session(onnx_graph.classifier(job, arrays, lengths=True), job.threads), work.sequences(arrays)
    feeds = [feed(batch) for batch in work.cut(tokens, buckets=job.mode == "buckets")]
    even = feed(work.equal_lengths(tokens))
    return Contest(
        lambda: model.run(None, even)[0].ravel().tolist(), clock(lambda: [model.run(None, one) for one in feeds])
    )


def stream_step(job: Job) -> Contest:
    arrays = job.load()
    model = session(onnx_graph.step(job, arrays), job.threads)
    steps = arrays["steps"][:, None]  # [T, 1, B, C]
    zero = np.zeros((1, steps.shape[2], job.hidden), np.float32)

    def begin() -> Callable[[Array], Array]:
        state = [zero, zero]

        def step(x: Array) -> Array:
            state[:] = model.run(None, {"x": x, "h": state[0], "c": state[1]})
            return state[0]

        return step

    return Contest(lambda: last_of(begin, steps).ravel().tolist(), clock_each(begin, steps))
