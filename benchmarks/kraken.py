"""How many symbols does kraken read wrong on the lines of Fraktur that our transcribers learn from and are measured on?

The same lines of `fraktur19` to learn from, to choose an epoch by and to test on, as pictures with their texts.
`ketos train` learns a network from scratch on one thread, with kraken's settings but for the number of epochs;
`kraken ocr` reads the test part, unseen books, with the weights that did best on the validation part. The measures are
those of `benchmarks.tesseract`. Seconds are told on the clock and of the processor, the start of the commands included;
with `--ours` the same pictures are read by `tidegate transcribe`.

kraken's own network takes minutes a hundred lines on a busy thread, so that the small one of its pages on networks
is the default here; `--network own` takes the other. kraken takes part where somebody installed it, into an
environment of its own: `pip install kraken==7.1.1`.

    python -m benchmarks.kraken [--kraken ENVIRONMENT/bin] [--epochs 5] [--network small] [--lines N]
        [--out FOLDER] [--weights FILE] [--ours MODEL]
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks.record import OURS, machine, save
from benchmarks.tesseract import NAME, folded, interval, pictures
from tidegate import data
from tidegate.data.transcribed.recordings import Recordings
from tidegate.tasks.edits import error_rate

SMALL = "[1,48,0,1 Cr3,3,32 Do0.1,2 Mp2,2 Cr3,3,64 Do0.1,2 Mp2,2 S1(1x12)1,3 Lbx100 Do]"
NETWORKS: dict[str, list[str]] = {"small": ["--spec", SMALL], "own": []}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TIDEGATE_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Kraken:
    """Hold the two commands of kraken."""

    kraken: str
    ketos: str

    @classmethod
    def find(cls, folder: Path | None) -> Kraken | None:
        """Find them in a folder, or where the shell does; None where one is missing."""
        path = None if folder is None else str(folder)
        kraken, ketos = shutil.which("kraken", path=path), shutil.which("ketos", path=path)
        return None if kraken is None or ketos is None else cls(kraken, ketos)

    def version(self) -> str:
        """Ask for the version."""
        return subprocess.run([self.kraken, "--version"], capture_output=True, text=True, check=True).stdout.strip()

    def train(self, folder: Path, epochs: int, network: str) -> Path:
        """Learn from `train`, choose by `valid`, and return the best weights."""
        for part in ("train", "valid"):
            places = sorted((folder / part).glob("*.png"))
            (folder / f"{part}.txt").write_text("".join(f"{place}\n" for place in places))
        output = folder / "weights"
        command = [self.ketos, "--threads", "1", "--workers", "0", "--device", "cpu", "--seed", "0", "train"]
        command += [*NETWORKS[network], "--normalization", "NFC", "--quit", "fixed", "--epochs", str(epochs)]
        command += ["--output", str(output), "--format-type", "path"]
        command += ["--training-data", str(folder / "train.txt"), "--evaluation-data", str(folder / "valid.txt")]
        subprocess.run(command, check=True, env=os.environ | ONE_THREAD)
        return best(output)

    def read(self, weights: Path, places: list[Path]) -> list[str]:
        """Read pictures of one folder, each as one line."""
        command = [self.kraken, "--threads", "1", "--device", "cpu", "-I", str(places[0].with_name("*.png"))]
        command += ["-o", ".txt", "ocr", "-s", "-m", str(weights), "--num-line-workers", "0"]
        subprocess.run(command, check=True, env=os.environ | ONE_THREAD, stdout=subprocess.DEVNULL)
        return [" ".join(place.with_suffix(".txt").read_text(encoding="utf-8").split()) for place in places]


def best(folder: Path) -> Path:
    """Find the weights that ketos writes at the end, whose name holds the share of validation symbols that is right."""
    found = sorted(folder.glob("best_*.safetensors"), key=lambda path: float(path.stem.removeprefix("best_")))
    if not found:
        raise SystemExit(f"ketos left no weights in {folder}")
    return found[-1]


def export(lines: Recordings, content: Mapping[str, bytes], folder: Path) -> list[Path]:
    """Write pictures as they are, numbered, and the text of each beside it; return where the pictures are."""
    folder.mkdir(parents=True, exist_ok=True)
    places = [folder / f"{number:05}.png" for number in range(len(lines))]
    for place, name, text in zip(places, lines.names or (), lines.texts or (), strict=True):
        place.write_bytes(content[name])
        place.with_suffix(".gt.txt").write_text(f"{text}\n", encoding="utf-8")
    return places


def drawn(lines: Recordings, most: int | None) -> Recordings:
    """Draw so many lines, always the same; all of them where nobody says how many."""
    return lines.select(np.sort(np.random.default_rng(0).permutation(len(lines))[:most]))


def read_ours(model: Path, places: list[Path]) -> list[str]:
    """Read pictures with a transcriber, by its command too."""
    command = [sys.executable, "-m", "tidegate", "transcribe", str(model), *map(str, places)]
    found = subprocess.run(command, check=True, env=os.environ | ONE_THREAD, capture_output=True, text=True)
    texts = found.stdout.removesuffix("\n").split("\n")
    if len(texts) != len(places):
        raise RuntimeError(f"{len(texts)} texts came of {len(places)} pictures")
    return texts


class Seconds:
    """Time commands, on the clock and of the processor, while `with` lasts."""

    def __enter__(self) -> Seconds:
        self._clock, self._processor = time.perf_counter(), _of_children()
        return self

    def __exit__(self, *_: object) -> None:
        self.told = {"clock": time.perf_counter() - self._clock, "processor": _of_children() - self._processor}


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(found: list[str], right: list[str], books: list[str]) -> dict[str, float]:
    """Give the errors, with whole books drawn for the interval."""
    plain = error_rate(list(map(folded, found)), list(map(folded, right)))
    return {"cer": error_rate(found, right), "cer, plain forms": plain} | interval(found, right, books)


def run(kraken: Kraken, args: argparse.Namespace, out: Path) -> None:
    """Export, train and read; print the errors and keep the figures."""
    where, dataset = machine(1), data.load(NAME, kind="transcribed")
    examples = {"train": dataset.train, "valid": dataset.valid, "test": dataset.test}
    parts = {name: drawn(cast(Recordings, part.x), args.lines) for name, part in examples.items() if part is not None}
    content = pictures({name for part in parts.values() for name in part.names or ()})
    places = {name: export(part, content, out / name) for name, part in parts.items()}
    setting: dict[str, Any] = {"data": NAME, "network": args.network, "version": kraken.version()}
    seconds, weights = dict[str, dict[str, float]](), args.weights
    if weights is None:
        with Seconds() as training:
            weights = kraken.train(out, args.epochs, args.network)
        setting["epochs"], seconds["training"] = args.epochs, training.told
    test, figures = parts["test"], dict[str, Any]()
    right, books = list(test.texts or ()), list(test.groups or ())
    with Seconds() as reading:
        found = kraken.read(weights, places["test"])
    seconds["reading"], figures["kraken"] = reading.told, measured(found, right, books)
    if args.ours is not None:
        with Seconds() as reading:
            found = read_ours(args.ours, places["test"])
        seconds[f"reading, {OURS}"], figures[OURS] = reading.told, measured(found, right, books)
    setting |= {"weights": weights.name, "lines": {name: len(part) for name, part in parts.items()}}
    save("kraken", __doc__, where, setting=setting, figures=figures, spent=seconds)
    print(figures, seconds)


def main() -> None:
    """Answer the question."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kraken", type=Path, help="the folder that kraken and ketos lie in")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lines", type=int, help="so many of each part, for a trial; by default all")
    parser.add_argument("--network", choices=NETWORKS, default="small")
    parser.add_argument("--out", type=Path, help="keep lines, weights and texts there")
    parser.add_argument("--weights", type=Path, help="of an earlier training, in place of a new one")
    parser.add_argument("--ours", type=Path, help="a transcriber that reads the same lines")
    args = parser.parse_args()
    if (kraken := Kraken.find(args.kraken)) is None:
        print("kraken is not there, so it is left out: pip install kraken==7.1.1, or --kraken.", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        run(kraken, args, (args.out or Path(folder)).resolve())


if __name__ == "__main__":
    main()
