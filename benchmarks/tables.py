"""Turn result files into figures and Markdown tables. Knows no engine and takes no time."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.race import ratios
from benchmarks.record import OURS, Record


def rows(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def rivals(record: Record) -> list[str]:
    """Name the rivals that were timed, the fastest first; Tidegate with fewer threads is none."""
    seconds = record["seconds"]
    return sorted(
        (name for name in seconds if not name.startswith(OURS)), key=lambda name: statistics.median(seconds[name])
    )


def ratio(record: Record, rival: str) -> tuple[float, float, float]:
    """Return the median, least and largest of ``rival / Tidegate``, round by round; above one, Tidegate is faster."""
    return ratios(record["seconds"][rival], record["seconds"][OURS])


def times(value: float) -> str:
    """Write a ratio with as many digits as tell something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def milliseconds(seconds: float) -> str:
    value = seconds * 1e3
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.4f}"


def microseconds(rounds: Sequence[float]) -> str:
    """Write the median of the rounds."""
    return times(statistics.median(rounds) * 1e6)


def race_table(record: Record, per: str = "step") -> str:
    """Write one race: each engine, its time per unit of work, tokens per second, and the ratio with its spread."""
    units, tokens = record.get("batches", 1), record.get("tokens")
    body = []
    latency = record.get("latency", {})
    fewer = [name for name in record["seconds"] if name.startswith(f"{OURS},")]
    for name in [OURS, *fewer, *rivals(record)]:
        middle = statistics.median(record["seconds"][name])
        speed = f"{tokens / middle:,.0f}" if tokens else "-"
        median, least, most = ratio(record, name)
        spread = f"{times(median)} ({times(least)} - {times(most)})"
        shares = [microseconds(each) for each in latency[name].values()] if latency else []
        body.append([name, milliseconds(middle / units), *shares, speed, "1" if name == OURS else spread])
    heads = [f"{share}, µs" for share in next(iter(latency.values()))] if latency else []
    if "floor" in record:
        ours = statistics.median(record["seconds"][OURS])
        share = f"{record['floor'] / ours:.0%} of Tidegate's time"
        body.append(["floor of this machine", milliseconds(record["floor"] / units), *[""] * len(heads), "", share])
    body += [[name, "not run", *[""] * (1 + len(heads)), reason] for name, reason in record.get("absent", {}).items()]
    return rows(
        ["engine", f"ms per {per}", *heads, "valid tokens per second", "time / Tidegate's (least - most)"], body
    )
