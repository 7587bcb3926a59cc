"""The rival of `benchmarks.serving`: a graph of the same model behind FastAPI and ONNX Runtime, in the usual way.

python benchmarks/serving_fastapi.py GRAPH PORT, in an environment that has fastapi, onnxruntime and tokenizers.
"""

import sys
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from tokenizers import Tokenizer


class Asked(BaseModel):
    """Hold a request."""

    texts: list[str]


def build(graph: str) -> FastAPI:
    """Serve a graph, whose metadata hold the tokenizer."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    tokenizer, most = Tokenizer.from_str(about["tokenizer"]), int(about["max_tokens"])

    def predict(asked: Asked) -> Any:
        ids = [found.ids[-most:] for found in tokenizer.encode_batch(asked.texts)]
        longest = max(map(len, ids))
        padded = np.array([row + [0] * (longest - len(row)) for row in ids], np.int64)
        given = {"tokens": padded, "sequence_lens": np.array(list(map(len, ids)), np.int32)}
        return {"probabilities": session.run(["probabilities"], given)[0].tolist()}

    app = FastAPI()
    app.post("/predict")(predict)
    return app


if __name__ == "__main__":
    uvicorn.run(build(sys.argv[1]), port=int(sys.argv[2]), log_level="error", access_log=False)
