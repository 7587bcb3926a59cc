"""ONNX Runtime: one graph, the tokenizer by the package that Tidegate uses, the softmax by NumPy."""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

folder, text = sys.argv[1:]
tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
session = onnxruntime.InferenceSession(f"{folder}/model.onnx", providers=["CPUExecutionProvider"])
ids = np.array(tokenizer.encode(text).ids, np.int64)[:, None]  # [T, 1]
(scores,) = session.run(None, {"ids": ids, "lengths": np.array([len(ids)], np.int32)})
shares = np.exp(scores[0] - scores[0].max())
print(*(shares / shares.sum()).tolist(), flush=True)
sys.stdin.read()
