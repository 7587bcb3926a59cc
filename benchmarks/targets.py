"""What the library wants to reach, and which figure of which result tells whether it does."""

from __future__ import annotations

import statistics
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
    tried: str = ""  # what brought nothing, or not enough: a name among `TRIED`

    def met(self, value: float) -> bool:
        return value <= self.bound if self.at_most else value >= self.bound


# Three ideas for each kind of work, and what they were worth; docs/experiments.md holds each with its numbers.
TRIED = {
    "a step": (
        "forward, loss and backward of six sequences at a time, in the cache of a core (kept: 1.2 to 1.6)",
        "gradients written over the gates (1.03 to 1.09, backward alone)",
        "the gates in two passes (nothing)",
    ),
    "threads": (
        "lanes that hold touched rows of the table in place of a copy of it (kept)",
        "threads that share the units of a sequence (for few rows and large weights alone: kept there)",
        "threads that share a group (kept where matrices leave few lanes: 1.3 to 2.7)",
    ),
    "a large layer": (
        "the input projected a few steps ahead (kept: 38.8 to 32.2 ms)",
        "weights of one stretch for all rows of a tile (kept: 33.7 to 22.9 ms with 512 units)",
        "one tall tile of rows a thread in place of three (nothing)",
    ),
    "inference": (
        "the gates of a tile side by side (kept: 20.1 to 14.6 ms)",
        "rows of the next step fetched ahead (kept: 7.5 to 4.2 ms)",
        "a quotient without division (kept: with the gates side by side 13.5 to 7.4 ns a vector)",
    ),
    "many streams": (
        "one call for all slots that checks them in the core (kept: 46 to 23 us for 16)",
        "streams on the nodes of a program (0.98 to 1.02)",
        "the interpreter held on to in short calls (not to be measured)",
    ),
    "recording": (
        "memory that is used again (kept: no page is asked for anew)",
        "gates and cell states written past the caches (2 to 4 %: not kept)",
        "the gates in two passes (nothing)",
    ),
    "sizes": (
        "memory that is used again, up to the size of a workspace (kept)",
        "huge pages where the system grants them (kept)",
        "threads that share the units of few long sequences (for weights above 1 MB alone)",
    ),
    "an installation": (
        "only the task that is loaded is imported (kept: 81 to 78 MB)",
        "only the packages that are imported (81 MB on disk; by hand)",
        "NumPy without BLAS (56 MB on disk, the same bits; by hand)",
    ),
}
SHARE = (
    "Floor / time is the share of the time that arithmetic and memory of the machine would need at least. "
    "What was tried where a target is not met:"
)
STEPS = {
    "bilstm-32": "BiLSTM 32", "bilstm-64": "BiLSTM 64", "lstm-32": "LSTM 32", "lstm-64": "LSTM 64",
}  # fmt: skip
LOOKS = ("bilstm-64", "bigru-64", "birnn-64")
TARGETS = (
    Target("training step, BiLSTM 32", "training-step-bilstm-32", NS, 250, at_most=True, tried="a step"),
    Target("training step, BiLSTM 32", "training-step-bilstm-32", MORE, 1.9, tried="threads"),
    *(
        Target(f"training step, {title}", f"training-step-{name}", BEST, 7, tried="a step")
        for name, title in STEPS.items()
    ),
    *(
        Target(f"training step, {title}", f"training-step-{name}", PACKED, 100, tried="a step")
        for name, title in STEPS.items()
    ),
    Target("training step, BiGRU 32", "training-step-bigru-32", TORCH, 10, tried="a step"),
    Target("training step, BiSimpleRNN 32", "training-step-birnn-32", TORCH, 10, tried="a step"),
    Target("one IMDB epoch, BiLSTM 32", "epoch-bilstm-32", BEST, 7, tried="a step"),
    Target("training LSTM 128, batch 128, no padding", "layer-lstm-128", BEST, 2.2, tried="a large layer"),
    Target("training LSTM 128, batch 128, no padding", "layer-lstm-128", FORWARD, 0.65, tried="a large layer"),
    Target("training LSTM 128, batch 128, no padding", "layer-lstm-128", BACKWARD, 0.65, tried="a large layer"),
    Target("training LSTM 256, batch 64, no padding", "layer-lstm-256", BEST, 1.4, tried="a large layer"),
    Target("training LSTM 512, batch 64, no padding", "layer-lstm-512", BEST, 1.4, tried="a large layer"),
    *(
        Target(f"inference, BiLSTM {size}", f"inference-bilstm-{size}", BEST, 4, tried="inference")
        for size in (32, 64, 128)
    ),
    Target("one stream, one step, LSTM 64", "stream-step-lstm-64", BEST, 4),
    Target("one stream, one step, LSTM 256", "stream-step-lstm-256", BEST, 2),
    Target("16 streams, one step, LSTM 64", "stream-pool-lstm-64-16", BEST, 3, tried="many streams"),
    Target("256 streams, one step, LSTM 64", "stream-pool-lstm-64-256", BEST, 1.5, tried="many streams"),
    *(
        Target(
            f"looking inside, {name}", "look-inside", f"trace / forward, {name}", 1.5, at_most=True, tried="recording"
        )
        for name in LOOKS
    ),
    Target("training over 4,096 steps", "memory", "peak memory / torch's", 0.35, at_most=True),
    Target(
        "growing batches", "scaling", "dearest / cheapest token, 10^4 to 10^7 tokens", 1.15, at_most=True, tried="sizes"
    ),
    Target(
        "longer sequences", "scaling", "dearest / cheapest token, 10 to 10^5 steps", 1.3, at_most=True, tried="sizes"
    ),
    Target("`import tidegate`", "import-time", "seconds of import tidegate", 0.2, at_most=True),
    Target(
        "`import tidegate; tidegate.load`",
        "import-time",
        "seconds of tidegate.load",
        0.2,
        at_most=True,
        tried="an installation",
    ),
    Target("the base install", "footprint", "MB installed", 125, at_most=True),
    Target("a loaded BiLSTM 64 text classifier", "footprint", "MB resident", 80, at_most=True, tried="an installation"),
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
    """Write every target beside what was measured, the floor of the machine, and what was tried where it is not met."""
    body, missed = [], []
    for target in TARGETS:
        sign = "≤" if target.at_most else "≥"
        row = [target.work, target.figure, f"{sign} {target.bound:g}"]
        record = records.get(target.record, {})
        value = figures(record).get(target.figure) if record else None
        if value is None:
            body.append([*row, "not measured", "", ""])
            continue
        met = target.met(value)
        body.append([*row, times(value), _share_of_floor(record), "yes" if met else "**no**"])
        if not met and target.tried not in missed:
            missed.append(target.tried)
    ideas = [f"- {kind}: {'; '.join(TRIED[kind])}" for kind in missed if kind]
    return "\n".join(
        [
            rows(["work", "figure", "target", "measured", "floor / time", "met"], body),
            "",
            SHARE,
            "",
            *ideas,
        ]
    )


def _share_of_floor(record: Record) -> str:
    floor, ours = record.get("floor"), record.get("seconds", {}).get(OURS)
    return f"{floor / statistics.median(ours):.0%}" if floor and ours else ""
