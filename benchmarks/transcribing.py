"""What does a search cost beside greedy reading, the network included, and how many seconds of sound a second?

The test part of a data set, read by a transcriber that was trained on it: greedily, by searches with and without what
it learned of texts (`scorer_`), and as a stream in chunks of a tenth of a second, where it can. Rounds alternate in one
process. On one thread time is that of the processor, so that what runs beside hardly matters.

    python -m benchmarks.transcribing MODEL DATA [--rounds 10] [--threads 1] [--clips N] [--lookahead FRAMES]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal, cast

import numpy as np

import tidegate as tg
from benchmarks import command
from benchmarks.race import Outcome
from benchmarks.record import machine, save
from benchmarks.tables import rows as table_rows
from tidegate import data
from tidegate.data.transcribed.recordings import Recordings

GREEDY = "greedy"
CHUNK = 0.1  # seconds
WIDTHS = (4, 16, 64)


def contestants(model: tg.Transcriber, clips: Recordings, lookahead: int | None) -> dict[str, Callable[[], object]]:
    """List the ways to read all clips."""

    def read(width: int, scorer: Literal["learned"] | None = "learned") -> Callable[[], object]:
        return lambda: model.transcribe(clips, beam=width, scorer=scorer)

    def listen(width: int) -> Callable[[], object]:
        return lambda: [hear(model, signal, max(round(CHUNK * rate), 1), width, lookahead) for signal in clips.signals]

    ways, rate = {GREEDY: read(0)}, clips.rate or 0
    for width in WIDTHS:
        ways[f"beam {width}, nothing known"] = read(width, None)
        if model.scorer_ is not None:
            ways[f"beam {width}"] = read(width)
    if rate and not model.centred and (lookahead is not None or not model.bidirectional):
        ways |= {"stream": listen(0), "stream, beam 16": listen(16)}
    return ways


def hear(model: tg.Transcriber, signal: Any, step: int, beam: int, lookahead: int | None) -> str:
    """Read a signal in chunks, and look at the text so far after each."""
    stream = model.stream(beam=beam, lookahead=lookahead)
    for begin, end in pairwise([*range(0, len(signal), step), len(signal)]):
        stream.push(signal[begin:end])
    return stream.flush().text


def run(path: str, name: str, rounds: int, threads: int, *, most: int | None, lookahead: int | None, tag: str) -> None:
    """Race all, print a Markdown table and keep the samples."""
    where = machine(threads)
    tg.kernels.set_num_threads(threads)
    model = cast(tg.Transcriber, tg.load(path))
    part = data.load(name, kind="transcribed").test
    if part is None:
        raise SystemExit(f"{name} has no test part")
    whole = cast(Recordings, part.x)
    clips = whole.select(np.arange(len(whole))[:most])
    ways, outcome = contestants(model, clips, lookahead), Outcome()
    clock = time.process_time if threads == 1 else time.perf_counter
    for number in range(rounds + 1):  # the first one warms up
        for way, work in ways.items():
            begun = clock()
            work()
            if number:
                outcome.add(way, clock() - begun)
    middle = {way: statistics.median(seconds) for way, seconds in outcome.seconds.items()}
    told = float(clips.lengths.sum()) / clips.rate if clips.rate else None
    frames = int(model.interface().network.steps(clips.lengths).sum())
    figures = {f"{way} / greedy": seconds / middle[GREEDY] for way, seconds in middle.items() if way != GREEDY}
    if told:
        figures |= {f"real-time factor, {way}": seconds / told for way, seconds in middle.items()}
    setting = {"data": name, "clips": len(clips), "frames": frames, "seconds": told, "lookahead": lookahead}
    setting |= {"cer": 1 - model.score(clips), "scorer": repr(model.scorer_)}
    save(f"transcribing-{tag}", __doc__, where, setting=setting, outcome=outcome, figures=figures)
    body = [
        [way, f"{seconds:.3f}", f"{seconds / middle[GREEDY]:.2f}", f"{seconds / told:.4f}" if told else "-"]
        for way, seconds in middle.items()
    ]
    print(table_rows(["", "seconds", "times greedy", "real-time factor"], body))


def main() -> None:
    """Answer the question."""
    parser = command.parser(__doc__)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--clips", type=int, help="read so many; by default all")
    parser.add_argument("--lookahead", type=int)
    parser.add_argument("--name", help="of the result; by default that of the data")
    args = parser.parse_args()
    asked = {"most": args.clips, "lookahead": args.lookahead, "tag": args.name or args.data}
    run(args.model, args.data, args.rounds, args.threads, **asked)


if __name__ == "__main__":
    main()
