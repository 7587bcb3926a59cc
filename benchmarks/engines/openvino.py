"""OpenVINO, tuned for latency, over batches of like length.

Mode ``lengths`` tells it the length of each sequence; ``buckets`` does not, and its second direction begins inside the
padding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino

from benchmarks import work
from benchmarks.engines import Contest, clock, onnx_graph
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
    steps = arrays["steps"][:, None]  # [T, 1, 1, C]

    def walk() -> Array:
        h = c = np.zeros((1, 1, job.hidden), np.float32)
        for x in steps:
            out = request.infer({"x": x, "h": h, "c": c}, share_inputs=True, share_outputs=False)
            h, c = out[0], out[1]
        return h

    return Contest(lambda: walk().ravel().tolist(), clock(walk))
