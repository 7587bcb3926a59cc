"""What the library wants to reach, and which figure of which result tells whether it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.record import OURS, Record
from benchmarks.tables import ratio, rivals, rows, times

BEST, TORCH, PACKED = "time of the best rival / Tidegate's", "time of the best of torch / Tidegate's", "torch packed"
NS, MORE = "ns of one core per token and direction", "2 threads / one"
FORWARD, BACKWARD = (f"{OURS} {part}, share of FMA peak" for part in ("forward", "backward"))


@dataclass(frozen=True)
class Target:
    """Bound one figure of one result: from below, or ``at_most``."""

    work: str
    record: str
    figure: str
    bound: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        return value <= self.bound if self.at_most else value >= self.bound


STEPS = {
    "bilstm-32": "BiLSTM 32", "bilstm-64": "BiLSTM 64", "lstm-32": "LSTM 32", "lstm-64": "LSTM 64",
}  # fmt: skip
LOOKS = ("bilstm-64", "bigru-64", "birnn-64")
TARGETS = (
    Target("training step, BiLSTM 32", "training-step-bilstm-32", NS, 250, at_most=True),
    Target("training step, BiLSTM 32", "training-step-bilstm-32", MORE, 1.9),
    *(Target(f"training step, {title}", f"training-step-{name}", BEST, 7) for name, title in STEPS.items()),
    *(Target(f"training step, {title}", f"training-step-{name}", PACKED, 100) for name, title in STEPS.items()),
    Target("training step, BiGRU 32", "training-step-bigru-32", TORCH, 10),
    Target("training step, BiSimpleRNN 32", "training-step-birnn-32", TORCH, 10),
    Target("one IMDB epoch, BiLSTM 32", "epoch-bilstm-32", BEST, 7),
    Target("training LSTM 128, batch 128, no padding", "layer-lstm-128", BEST, 2.2),
    Target("training LSTM 128, batch 128, no padding", "layer-lstm-128", FORWARD, 0.65),
    Target("training LSTM 128, batch 128, no padding", "layer-lstm-128", BACKWARD, 0.65),
    Target("training LSTM 256, batch 64, no padding", "layer-lstm-256", BEST, 1.4),
    Target("training LSTM 512, batch 64, no padding", "layer-lstm-512", BEST, 1.4),
    *(Target(f"inference, BiLSTM {size}", f"inference-bilstm-{size}", BEST, 4) for size in (32, 64, 128)),
    Target("one stream, one step, LSTM 64", "stream-step-lstm-64", BEST, 4),
    Target("one stream, one step, LSTM 256", "stream-step-lstm-256", BEST, 2),
    Target("16 streams, one step, LSTM 64", "stream-pool-lstm-64-16", BEST, 3),
    Target("256 streams, one step, LSTM 64", "stream-pool-lstm-64-256", BEST, 1.5),
    *(
        Target(f"looking inside, {name}", "look-inside", f"trace / forward, {name}", 1.5, at_most=True)
        for name in LOOKS
    ),
    Target("training over 4,096 steps", "memory", "peak memory / torch's", 0.35, at_most=True),
    Target("growing batches", "scaling", "dearest / cheapest token, 10^4 to 10^7 tokens", 1.15, at_most=True),
    Target("longer sequences", "scaling", "dearest / cheapest token, 10 to 10^5 steps", 1.3, at_most=True),
    Target("`import tidegate`", "import-time", "seconds of import tidegate", 0.2, at_most=True),
    Target("`import tidegate; tidegate.load`", "import-time", "seconds of tidegate.load", 0.2, at_most=True),
    Target("the base install", "footprint", "MB installed", 125, at_most=True),
    Target("a loaded BiLSTM 64 text classifier", "footprint", "MB resident", 80, at_most=True),
    Target("`tidegate --help`", "import-time", "seconds of tidegate --help", 0.3, at_most=True),
)


def figures(record: Record) -> dict[str, float]:
    """Collect what a record says in single numbers: its own figures, and the ratios to its rivals."""
    found: dict[str, float] = dict(record.get("figures", {}))
    ranked = rivals(record) if "seconds" in record else []
    if ranked:
        found |= {name: ratio(record, name)[0] for name in ranked}
        found[BEST] = ratio(record, ranked[0])[0]
    if of_torch := [name for name in ranked if name.startswith("torch")]:
        found[TORCH] = ratio(record, of_torch[0])[0]
    return found


def table(records: Mapping[str, Record]) -> str:
    """Write every target beside what was measured; what was not yet measured says so."""
    body = []
    for target in TARGETS:
        sign = "≤" if target.at_most else "≥"
        row = [target.work, target.figure, f"{sign} {target.bound:g}"]
        value = figures(records[target.record]).get(target.figure) if target.record in records else None
        body.append([*row, "not measured", ""] if value is None else [*row, times(value), _verdict(target, value)])
    return rows(["work", "figure", "target", "measured", "met"], body)


def _verdict(target: Target, value: float) -> str:
    return "yes" if target.met(value) else "**no**"
