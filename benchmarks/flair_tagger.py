"""How much faster does Flair's SequenceTagger train and predict after `tg.accelerate`, its code untouched?

Word vectors of 100, with and without a character BiLSTM, a BiLSTM of 256 units and a CRF, for the universal tags of UD
English EWT, in 8 batches of 32 sentences as they come. The tagger packs its input. Both rivals run the same program
with the same weights. Needs the data in `$TIDEGATE_DATA/ud_english_ewt`.

    python -m benchmarks.flair_tagger [--rounds 5]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks import command
from benchmarks.race import Rival, race
from benchmarks.record import OURS, load, machine, save
from benchmarks.tables import race_table
from benchmarks.work import Job

HIDDEN, WORD, BATCHES, MOST_ROUNDS = 256, 100, 8, 5
EMBEDDINGS = ("words", "words and characters")


def compare(question: str, embeddings: str, path: Path, rounds: int, threads: int) -> None:
    """Race the tagger with and without `tg.accelerate`, print a Markdown table and keep the samples."""
    where = machine(threads)

    def entry(name: str, mode: str) -> Rival:
        job = Job("lstm", WORD, HIDDEN, 2, threads, str(path), mode)
        return Rival(name, "flair", question, job.to_json(), peers=True)

    entries = [entry(OURS, f"{embeddings}, accelerated"), entry("flair with torch's layers", embeddings)]
    outcome = race(entries, threads=threads, rounds=min(rounds, MOST_ROUNDS), tolerance=1e-4)
    if OURS not in outcome.seconds:
        return
    name = f"flair-{question}-{embeddings.replace(' ', '-')}"
    setting = {"cell": "lstm", "hidden": HIDDEN, "directions": 2, "embeddings": embeddings}
    saved = save(name, __doc__, where, setting=setting, outcome=outcome, batches=BATCHES)
    print(f"{name}, {threads} threads\n\n{race_table(load(saved)[name], 'batch')}\n")


def run(rounds: int, threads: int) -> None:
    """Answer for training and predicting, with and without characters."""
    path = Path(os.environ.get("TIDEGATE_DATA", "data")) / "ud_english_ewt" / "en_ewt-ud-train.conllu"
    if not path.exists():
        print(f"{path} is not there, so Flair's tagger is left out. Set TIDEGATE_DATA.", file=sys.stderr)
        return
    for question in ("train", "predict"):
        for embeddings in EMBEDDINGS:
            compare(question, embeddings, path.resolve(), rounds, threads)


def main() -> None:
    """Answer the question."""
    args = command.parser(__doc__).parse_args()
    run(args.rounds, args.threads)


if __name__ == "__main__":
    main()
