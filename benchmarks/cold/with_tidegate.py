"""Tidegate: one model file, tokenizer included."""

from __future__ import annotations

import sys

import tidegate as tg

folder, text = sys.argv[1:]
model = tg.load(f"{folder}/model.safetensors")
print(*model.predict_proba([text])[0].tolist(), flush=True)
sys.stdin.read()
