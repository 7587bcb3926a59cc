"""What a model of each task answers, as plain values; run where it was trained, and where torch is not there."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

import tidegate as tg

TEXTS = ["a good film", "so bad it hurts", "good"]
STEPS = [np.ones((3, 2)), np.zeros((1, 2))]
WAVE = np.sin(np.arange(60) / 3)


def answer(model: Any) -> Any:
    """Ask a model for what it is there for; the same bits give the same JSON."""
    match model.name:
        case "text-classifier":
            return [model.predict_proba(TEXTS).tolist(), model.predict(TEXTS).tolist()]
        case "sequence-classifier":
            return [model.predict_proba(STEPS).tolist(), model.predict(STEPS).tolist()]
        case "token-tagger":
            return [model.predict(TEXTS), [rows.tolist() for rows in model.predict_proba(TEXTS)]]
        case "forecaster":
            (told,) = model.predict(WAVE)
            return [told.mean.tolist(), {str(level): rows.tolist() for level, rows in told.quantiles.items()}]
        case "language-model":
            found = [model.predict_proba(TEXTS).tolist(), model.generate("good", length=20, seed=5)]
            return [*found, str(model.complete("a ___ film"))] if model.direction == "both" else found
        case "transcriber":
            told = model.transcribe([np.eye(3).repeat(4, axis=0)])[0]
            return [told.text, told.score, [[one.start, one.end, one.confidence] for one in told.symbols]]
        case "translator":
            found = model.translate(["two one", ""], beam=3, n_best=2, attention=True)
            return [[one.text, one.score, [hop.tolist() for hop in one.attention]] for one in found]
    raise AssertionError(model.name)


if __name__ == "__main__":
    folder, *names = sys.argv[1:]
    found = {name: answer(tg.load(f"{folder}/{name}")) for name in names}
    tops = {name.partition(".")[0] for name, module in sys.modules.items() if "site-packages" in str(module)}
    print(json.dumps({"answers": found, "packages": sorted(tops)}))
