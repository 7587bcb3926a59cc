"""How long does an epoch of handwriting take by what a transcriber sees a line through, at equal numbers of parameters?

Made-up lines of the size of those of `timeus_hand`: 48 pixels high, 420 to 924 wide, 40 of 96 symbols; 6,147 of them
are an epoch. The presets, with as many units behind each front as make about 615,000 parameters. Processor time of an
update of 16 lines, the median of all but the first. What they reach is not asked here.

    python -m benchmarks.fronts [--rounds 10] [--threads 1]
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

import tidegate as tg
from benchmarks import command
from benchmarks.race import Outcome
from benchmarks.record import machine, save
from tidegate import kernels
from tidegate.data import Recordings
from tidegate.tasks.transcribing.presets import PRESETS

HEIGHT, WIDTHS, LETTERS, SYMBOLS, BATCH, LINES = 48, (420, 924), 40, 96, 16, 6147
UNITS = {"lines": 96, "lines-columns": 128, "lines-renet": 127, "lines-mdlstm": 126}


def recordings(count: int) -> Recordings:
    """Draw lines of noise and their texts."""
    rng = np.random.default_rng(0)
    signals = [
        rng.random((width, HEIGHT), dtype=np.float32) for width in rng.integers(*WIDTHS, count, endpoint=True).tolist()
    ]
    alphabet = [chr(ord("À") + number) for number in range(SYMBOLS)]
    return Recordings(signals, ["".join(rng.choice(alphabet, LETTERS)) for _ in signals], reads="line")


def updates(preset: str, lines: Recordings) -> tuple[list[float], int]:
    """Train for an epoch; return the processor's seconds of each update but the first, and how many parameters."""
    params: dict[str, Any] = PRESETS[preset] | {"hidden_size": UNITS[preset], "language": False}
    model = tg.Transcriber(**params | {"epochs": 1, "batch_size": BATCH, "validation_fraction": 0.0})
    seconds, begun = [], time.process_time()
    for _ in model.fit_steps(lines):
        seconds.append(time.process_time() - begun)
        begun = time.process_time()
    return seconds[1:], sum(array.size for array in model.inside().weights.values())


def run(rounds: int, threads: int) -> None:
    """Measure, print and keep the samples."""
    where, lines, outcome = machine(threads), recordings(BATCH * (rounds + 1)), Outcome()
    kernels.set_num_threads(threads)
    figures = dict[str, float]()
    for preset in UNITS:
        outcome.seconds[preset], parameters = updates(preset, lines)
        epoch = statistics.median(outcome.seconds[preset]) * LINES / BATCH
        figures |= {f"{preset}: parameters": parameters, f"{preset}: seconds an epoch": epoch}
        print(f"{preset}: {parameters:,} parameters, {epoch:.0f} s an epoch", flush=True)
    setting = {"height": HEIGHT, "batch": BATCH, "lines": LINES, "units": UNITS}
    save("fronts", __doc__, where, setting=setting, outcome=outcome, figures=figures)


def main() -> None:
    """Answer the question."""
    args = command.parser(__doc__).parse_args()
    run(args.rounds, args.threads)


if __name__ == "__main__":
    main()
