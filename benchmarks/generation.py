"""How many characters a second does a language model write, called from Python?

A model of 100 characters: one LSTM layer of 256 units, 64 features per character. Checked first: what is written
without chance is what the executor finds most probable when it reads the whole text at once.

    python -m benchmarks.generation [--hidden 256] [--rounds 10] [--threads N]
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from benchmarks import command
from tidegate import kernels
from tidegate.network import Dense, Embed, Network, Recurrent, parameter_shapes
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, Sampling, Writer

CHARACTERS, FEATURES, LENGTH = 100, 64, 2000


def build(hidden: int) -> tuple[Network, dict[str, np.ndarray]]:
    """Draw a network; trained weights would be neither faster nor slower."""
    network = Network.of(
        Embed(vocabulary_size=CHARACTERS, size=FEATURES),
        Recurrent(cell="lstm", input_size=FEATURES, hidden_size=hidden),
        Dense(in_features=hidden, out_features=CHARACTERS),
    )
    rng = np.random.default_rng(0)
    shapes = parameter_shapes(network).items()
    return network, {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes}


def check(network: Network, weights: dict[str, np.ndarray], text: list[int]) -> None:
    """Raise AssertionError unless each character is the most probable one after those before it."""
    ids = np.array(text, np.int32)
    scores = Executor(network, weights)(Ragged(ids[:-1], np.array([0, len(ids) - 1])))
    assert scores.argmax(axis=1).tolist() == text[1:], "the writer and the executor choose different characters"


def measure(hidden: int, rounds: int, threads: int) -> list[float]:
    """Return the characters per second of each round."""
    network, weights = build(hidden)
    writer = Writer(network, weights, num_threads=threads)
    writer.read([0])
    check(network, weights, [0, *writer.write(100, Sampling(temperature=0))])
    rates = []
    for seed in range(rounds):
        begun = time.perf_counter()
        count = sum(1 for _ in writer.write(LENGTH, Sampling(temperature=0.8, seed=seed)))
        rates.append(count / (time.perf_counter() - begun))
    return rates


def main() -> None:
    """Print the median and the best of the rounds, for one thread and for all that were asked for."""
    parser = command.parser(__doc__)
    parser.add_argument("--hidden", type=int, default=256)
    args = parser.parse_args()
    print(f"1x{args.hidden} characters, {kernels.active_isa()}, target 20,000 characters a second\n")
    print("| threads | median | best |\n|---|---|---|")
    for threads in sorted({1, args.threads}):
        rates = measure(args.hidden, args.rounds, threads)
        print(f"| {threads} | {statistics.median(rates):,.0f} | {max(rates):,.0f} |")


if __name__ == "__main__":
    main()
