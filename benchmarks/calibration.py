"""How far can the probabilities of a classifier of texts be trusted, before and after its temperature?

python -m benchmarks.calibration [--sets trec,mr] [--setups default,plain-bilstm] [--runs 3]

The sets are those of `benchmarks.accuracy`. A tenth of the training part is held out; the temperature is fitted on
that, and loss and calibration error are measured there and on the test part, with and without it. Each run has its own
seed, and of sets with folds its own fold.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import tidegate as tg
from benchmarks.accuracy_sets import SETS, Pairs
from benchmarks.record import machine, save
from tidegate import kernels, runs
from tidegate.data import Examples

MEASURES = ("uncalibrated_loss", "loss", "uncalibrated_ece", "ece")


def columns(pairs: Pairs) -> tuple[list[str], list[str]]:
    """Part texts and labels."""
    return [text for text, _ in pairs], [label for _, label in pairs]


def one(train: Pairs, test: Pairs, seed: int, setup: str) -> dict[str, Any]:
    """Train, and measure on both parts."""
    model = tg.TextClassifier() if setup == "default" else tg.TextClassifier.from_preset(setup)
    model.set_params(validation_fraction=0.1, calibrate=True, seed=seed).fit(*columns(train))
    found = runs.evaluate(model, Examples(*columns(test))).measures()
    return {
        "temperature": model.temperature_,
        "accuracy": found["accuracy"],
        "validation": {name: model.about_.metrics["validation"][name] for name in MEASURES},
        "test": {name: found[name] for name in MEASURES},
        "epochs": [{k: v for k, v in each.items() if k.startswith("valid_")} for each in model.history_],
    }


def main() -> None:
    """Measure, print a table, and keep every number."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="trec,mr,ewt-genres,imdb")
    parser.add_argument("--setups", default="default,plain-bilstm")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    where = machine(kernels.get_num_threads())
    for name in args.sets.split(","):
        parts, found = list(SETS[name]()), {}
        for setup in args.setups.split(","):
            found[setup] = [one(*parts[seed % len(parts)], seed, setup) for seed in range(args.runs)]
            print(f"{name:10} {setup:13}", *map(_mean(found[setup]), ("validation", "test")), sep="  ", flush=True)
        save(f"calibration-{name}", __doc__, where, setting={"runs": args.runs}, runs=found)


def _mean(found: list[dict[str, Any]]) -> Any:
    def tell(part: str) -> str:
        before, after, off, less = (statistics.mean(each[part][name] for each in found) for name in MEASURES)
        return f"{part}: loss {before:.4f} -> {after:.4f}, ECE {off:.2%} -> {less:.2%}"

    return tell


if __name__ == "__main__":
    main()
