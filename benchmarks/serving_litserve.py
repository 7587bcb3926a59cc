"""The other rival of `benchmarks.serving`: a graph of the same model behind LitServe and ONNX Runtime, with batching.

python benchmarks/serving_litserve.py GRAPH PORT, in an environment that has litserve, onnxruntime and tokenizers.
"""

import sys
from typing import Any

import litserve
import numpy as np
import onnxruntime
from tokenizers import Tokenizer


class Classifier(litserve.LitAPI):  # type: ignore[misc, unused-ignore]
    """Answer requests of one graph, whose metadata hold the tokenizer."""

    def setup(self, device: str) -> None:
        """Load the graph."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
        about = self.session.get_modelmeta().custom_metadata_map
        self.tokenizer, self.most = Tokenizer.from_str(about["tokenizer"]), int(about["max_tokens"])

    def decode_request(self, request: dict[str, list[str]]) -> list[str]:
        """Take the texts."""
        return request["texts"]

    def batch(self, inputs: list[list[str]]) -> list[list[str]]:
        """Keep requests apart; `predict` brings their texts together."""
        return inputs

    def unbatch(self, output: list[Any]) -> list[Any]:
        """Give each request its own."""
        return output

    def predict(self, x: list[list[str]]) -> list[Any]:
        """Answer the texts of all requests in one run."""
        ids = [found.ids[-self.most :] for found in self.tokenizer.encode_batch([text for each in x for text in each])]
        longest = max(map(len, ids))
        padded = np.array([row + [0] * (longest - len(row)) for row in ids], np.int64)
        given = {"tokens": padded, "sequence_lens": np.array(list(map(len, ids)), np.int32)}
        rows = iter(self.session.run(["probabilities"], given)[0].tolist())
        return [[next(rows) for _ in each] for each in x]

    def encode_response(self, output: Any) -> Any:
        """Answer one request."""
        return {"probabilities": output}


if __name__ == "__main__":
    api = Classifier(max_batch_size=64, batch_timeout=0.0, api_path="/predict")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(port=int(sys.argv[2]), generate_client_file=False, log_level="error")
