"""Write the tables of docs/performance.md and the chart of the README from the newest results: no number is typed.

python -m benchmarks.report
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping

import matplotlib as mpl

from benchmarks import first_call, footprint, import_time, look_inside, memory, scaling, targets, tokens
from benchmarks.race import ROOT
from benchmarks.record import OURS, Record, load
from benchmarks.tables import race_table, ratio, rivals, rows, times

mpl.use("svg")
import matplotlib.pyplot as plt

PAGE, CHART = ROOT / "docs" / "performance.md", ROOT / "docs" / "images" / "speed.svg"
BEGIN, END = "<!-- results -->", "<!-- /results -->"
BARS = {
    "training-step-bilstm-32": "BiLSTM 32",
    "training-step-bilstm-64": "BiLSTM 64",
    "training-step-bigru-32": "BiGRU 32",
    "training-step-birnn-32": "BiSimpleRNN 32",
}
COLOURS = {
    OURS: "#0b6e8f",
    "torch in buckets": "#c58b2a",
    "torch padded to longest": "#d9b26f",
    "torch packed": "#b9b4aa",
    "keras on tensorflow, in buckets": "#8a5a83",
    "keras on jax, in buckets": "#b893b3",
}
RACES = {  # the beginning of a name, the heading, what the time is per
    "training-step": ("A training step at real review lengths", "step"),
    "epoch": ("A whole IMDB epoch", "epoch"),
    "layer-lstm": ("A layer without padding, forward and backward", "step"),
    "inference": ("Inference at real review lengths", "batch"),
    "stream-step": ("One step of one stream", "step"),
    "stream-pool": ("Many streams that step together", "step of all"),
    "flair": ("Flair's tagger, with and without tg.accelerate", "batch"),
}


def sections(records: Mapping[str, Record]) -> str:
    """Write everything that stands between the markers."""
    parts = ["### Targets", targets.table(records)]
    for prefix, (heading, per) in RACES.items():
        names = sorted((name for name in records if name.startswith(prefix)), key=lambda n: (len(n), n))
        if names:
            parts.append(f"### {heading}")
        for name in names:
            parts += [title(records[name]), race_table(records[name], per)]
            parts += [listing(records[name], what) for what in ("figures", "notes") if what in records[name]]
    if odd := records.get("layer-odd-sizes"):
        parts += ["### Sizes that are no multiple of a vector", title(odd), listing(odd, "figures")]
    others: dict[str, tuple[str, Callable[[Record], str]]] = {
        "look-inside": ("Looking inside", lambda r: look_inside.table(r["parts_by_layer"])),
        "scaling": ("What a token costs", lambda r: scaling.table(r["parts_by_threads"])),
        "memory": ("Memory of a training step", lambda r: memory.table(r["mebibytes"])),
        "tokens": ("From texts to ids", lambda r: tokens.table(r["parts"])),
        "first-call": ("The first call, and new shapes", lambda r: first_call.table(r["parts"])),
        "footprint": ("What one answer takes", lambda r: footprint.table(r["megabytes"], **r["start"])),
        "import-time": ("Import time", lambda r: import_time.table(r["commands"], r["loads_torch"])),
    }
    for name, (heading, write) in others.items():
        if name in records:
            parts += [f"### {heading}", title(records[name]), write(records[name])]
    with_peak = [record for record in records.values() if "peak" in record]
    if with_peak:
        newest = max(with_peak, key=lambda record: str(record["taken"]))
        parts += ["### What the machine can do", title(newest), listing(newest, "peak")]
    return "\n\n".join(filter(None, parts))


def title(record: Record) -> str:
    """Say what was run, when and on what."""
    setting = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in record["setting"].items())
    where = record["machine"]
    isa = record.get("isa") or record.get("notes", {}).get(OURS)
    place = f"{where['processor']}, {where['threads']} threads" + (f", {isa}" if isa else "")
    return f"**{record['name']}** ({setting or 'no options'}; {place}; {record['taken'][:10]})"


def listing(record: Record, what: str) -> str:
    """Write a dictionary of a record as a list."""
    lines = [
        f"- {name}: {times(value) if isinstance(value, float) else value}"
        for name, value in record[what].items()
        if name != OURS
    ]
    return "\n".join(lines)


def races_lost(records: Mapping[str, Record]) -> str:
    """Name the races in which a rival was faster."""
    body = []
    for name in sorted(name for name in records if OURS in records[name].get("seconds", {})):
        faster = [rival for rival in rivals(records[name]) if ratio(records[name], rival)[0] < 1]
        body += [[name, rival, times(1 / ratio(records[name], rival)[0])] for rival in faster]
    if not body:
        return "In none of the races above was a rival faster."
    return rows(["race", "the faster rival", "how many times"], body)


def write_page(records: Mapping[str, Record]) -> None:
    """Replace what stands between the markers of the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    lost = "### Where a rival is faster\n\n" + races_lost(records)
    PAGE.write_text(f"{before}{BEGIN}\n\n{sections(records)}\n\n{lost}\n\n{END}{after}")


def _taken_on(record: Record) -> str:
    """Say on how many threads and when a race was run."""
    return f"{record['machine']['threads']} threads, {record['taken'][:10]}"


def draw(records: Mapping[str, Record]) -> None:
    """Draw thousand valid tokens per second of a training step, per layer and engine."""
    chosen = [(records[name], label) for name, label in BARS.items() if name in records]
    engines = [name for name in COLOURS if any(name in record["seconds"] for record, _ in chosen)]
    mpl.rcParams.update({"svg.hashsalt": "tidegate", "font.size": 10, "font.family": "DejaVu Sans"})
    figure, axes = plt.subplots(figsize=(8.4, 0.6 + 1.1 * len(chosen)), layout="constrained", facecolor="white")
    thick = 0.8 / len(engines)
    for row, (record, _) in enumerate(chosen):
        for place, engine in enumerate(engines):
            if engine not in record["seconds"]:
                continue
            speed = record["tokens"] / statistics.median(record["seconds"][engine]) / 1000
            y = row - 0.4 + (place + 0.5) * thick
            axes.barh(y, speed, thick * 0.9, color=COLOURS[engine], label=engine if row == 0 else None)
            axes.text(speed, y, f" {speed:,.0f}", va="center", fontsize=8)
    axes.set_yticks(range(len(chosen)), [f"{label}\n{_taken_on(record)}" for record, label in chosen])
    axes.invert_yaxis()
    axes.margins(x=0.07)
    axes.set_xlabel("thousand tokens per second, one whole training step on IMDB reviews (more is better)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="center right", bbox_to_anchor=(1, 0.62), fontsize=9)
    processors = sorted({record["machine"]["processor"] for record, _ in chosen})
    figure.suptitle(", ".join(processors), fontsize=8, color="#666666", ha="center")
    CHART.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(CHART, metadata={"Date": None})


def main() -> None:
    """Write the page and the chart."""
    records = load()
    write_page(records)
    draw(records)
    print(PAGE, CHART, sep="\n")


if __name__ == "__main__":
    main()
