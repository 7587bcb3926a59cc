"""PyTorch: the weights as safetensors, the tokenizer by the package that Tidegate uses, the network in code."""

from __future__ import annotations

import sys

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

folder, text = sys.argv[1:]
tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
weights = load_file(f"{folder}/weights.safetensors")
size, inputs = weights["table"].shape
table = torch.nn.Embedding(size, inputs, _weight=weights["table"])
layer = torch.nn.LSTM(inputs, weights["layer.weight_hh_l0"].shape[1], batch_first=True, bidirectional=True)
layer.load_state_dict({name.removeprefix("layer."): w for name, w in weights.items() if name.startswith("layer.")})
with torch.inference_mode():
    ids = torch.tensor([tokenizer.encode(text).ids])  # [1, T]
    pooled = layer(table(ids))[0].amax(dim=1)
    scores = torch.nn.functional.linear(pooled, weights["head"], weights["head_bias"])
print(*torch.softmax(scores, dim=1)[0].tolist(), flush=True)
sys.stdin.read()
