"""OpenVINO, tuned for latency, over batches of like length.

Mode ``lengths`` tells it the length of each sequence; ``buckets`` does not, and its second direction begins inside the
padding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino

from benchmarks import work
from benchmarks.engines import Contest, clock, clock_each, last_of, onnx_graph
from benchmarks.work import Array, Job


def compiled(model: bytes, threads: int) -> Any:
    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(core.read_model(model, b""), "CPU", settings).create_infer_request()


def inference(job: Job) -> Contest:
    arrays, told = job.load(), job.mode == "lengths"
    request, tokens = compiled(onnx_graph.classifier(job, arrays, lengths=told), job.threads), work.sequences(arrays)

    def feed(batch: list[Array]) -> dict[str, Array]:
        ids, lengths = work.pad(batch)
        return {"ids": np.ascontiguousarray(ids.T)} | ({"lengths": lengths.astype(np.int32)} if told else {})

    def classify(one: dict[str, Array]) -> Array:
        logits: Array = request.infer(one, share_inputs=True, share_outputs=True)[0]
        return logits

    feeds = [feed(batch) for batch in work.cut(tokens, buckets=True)]
    even = feed(work.equal_lengths(tokens))
    return Contest(lambda: classify(even).ravel().tolist(), clock(lambda: [classify(one) for one in feeds]))


def stream_step(job: Job) -> Contest:
    arrays = job.load()
    request = compiled(onnx_graph.step(job, arrays), job.threads)
    steps = arrays["steps"][:, None]  # [T, 1, B, C]
    zero = np.zeros((1, steps.shape[2], job.hidden), np.float32)

    def begin() -> Callable[[Array], Array]:
        state = [zero, zero]

        def step(x: Array) -> Array:
            out = request.infer({"x": x, "h": state[0], "c": state[1]}, share_inputs=True, share_outputs=False)
            state[:] = out[0], out[1]
            return state[0]

        return step

    return Contest(lambda: last_of(begin, steps).ravel().tolist(), clock_each(begin, steps))
