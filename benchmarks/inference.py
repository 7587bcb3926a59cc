"""How fast are 128 reviews classified, beside PyTorch, ONNX Runtime and OpenVINO in their best modes?

Embedding, bidirectional LSTM, maximum over time, linear, over batches of 128 reviews at their real lengths. All see the
same reviews and must give the same numbers where no sequence is padded. ONNX Runtime is told the length of each
sequence; OpenVINO once told and once not.

    python -m benchmarks.inference [--hidden 32] [--rounds 10]
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks import command, floor, reviews
from benchmarks.race import Rival, race
from benchmarks.record import OURS, load, machine, save
from benchmarks.tables import race_table
from benchmarks.training_step import distinct
from benchmarks.work import BATCH, LAST, WORDS, Job, draw_weights

BATCHES = 6
SIZES = (32, 64, 128)


def entries(job: Job) -> list[Rival]:
    def entry(name: str, engine: str, mode: str = "", *, peers: bool = True) -> Rival:
        return Rival(name, engine, "inference", replace(job, mode=mode).to_json(), peers)

    return [
        entry(OURS, "tidegate", peers=False),
        entry("torch in buckets", "pytorch", "buckets", peers=False),
        entry("torch padded to longest", "pytorch", "padded", peers=False),
        entry("onnxruntime in buckets", "onnxruntime", "buckets"),
        entry("onnxruntime padded to longest", "onnxruntime", "padded"),
        entry("openvino in buckets", "openvino", "buckets"),
        entry("openvino in buckets, told the lengths", "openvino", "lengths"),
    ]


def compare(hidden: int, rounds: int, threads: int) -> None:
    """Race the engines, print a Markdown table and keep the samples."""
    where, chosen = machine(threads), reviews.few(BATCHES)
    weights = draw_weights("lstm", hidden, hidden, 2)
    with command.prepared("lstm", hidden, hidden, 2, threads, {**weights, **chosen}) as job:
        outcome = race(entries(job), threads=threads, rounds=rounds, tolerance=1e-4)
    name = f"inference-{command.layer_name('lstm', hidden, 2)}"
    setting = {"cell": "lstm", "hidden": hidden, "directions": 2, "words": WORDS, "last_tokens": LAST, "batch": BATCH}
    tokens = len(chosen["values"])
    more = floor.told(floor.forward("lstm", hidden, hidden, 2, tokens=tokens, projected=distinct(chosen)), threads)
    path = save(name, __doc__, where, setting=setting, outcome=outcome, tokens=tokens, batches=BATCHES, **more)
    print(f"{name}, {threads} threads\n\n{race_table(load(path)[name], 'batch')}\n")


def run(rounds: int, threads: int) -> None:
    """Answer the question for every size."""
    for hidden in SIZES:
        compare(hidden, rounds, threads)


def main() -> None:
    """Answer for one size, or for all where none is named."""
    parser = command.parser(__doc__)
    parser.add_argument("--hidden", type=int)
    args = parser.parse_args()
    if args.hidden:
        compare(args.hidden, args.rounds, args.threads)
    else:
        run(args.rounds, args.threads)


if __name__ == "__main__":
    main()
