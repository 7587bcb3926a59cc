"""How long is a training step of the tagger, and which share of it does the conditional random field take?

English EWT, parts of speech, a preset of ``TokenTagger``. A step is what ``train.fit`` reports: selecting the batch,
the loss, its gradients and the update. The field alone is its loss and gradient over scores of the same batches, which
must equal a plain loop of torch's operators before. An epoch is as many steps as there are batches.

    python -m benchmarks.tagging [--preset tagger-characters] [--rounds 10]
"""

from __future__ import annotations

import statistics
import time
from itertools import islice, pairwise

import numpy as np
import torch

import tidegate as tg
from benchmarks import command
from benchmarks.record import machine, save
from tidegate import data, kernels
from tidegate.data import batches
from tidegate.ragged import Ragged
from tidegate.tasks import presets

STEPS_PER_ROUND = 20
TOLERANCE = 1e-4  # nats per sequence


def run(preset: str, rounds: int, threads: int) -> None:
    """Time both, print the share and keep the samples."""
    where = machine(threads)
    kernels.set_num_threads(threads)
    torch.set_num_threads(1)  # as train.fit does
    train = data.load("ud_english_ewt").train
    tagger = tg.TokenTagger.from_preset(preset, validation_fraction=0.0)
    steps = islice(tagger.fit_steps(train.x, train.y), 1 + rounds * STEPS_PER_ROUND)
    whole = [after - before for before, after in pairwise([step.seconds for step in steps])]
    lengths = np.array([len(words) for words in train.x])
    tags = sorted({tag for sentence in train.y for tag in sentence})
    dealt = batches(lengths, tagger.batch_size, seed=0, epoch=0)
    field = [time_field(lengths[indices], len(tags)) for indices in islice(dealt, rounds * STEPS_PER_ROUND)]
    setting = {"data": "ud_english_ewt", "preset": preset, "tags": len(tags), "batch": tagger.batch_size}
    save(f"tagging-{preset}", __doc__, where, setting=setting, seconds={"step": whole, "crf": field})
    step, crf = statistics.median(whole), statistics.median(field)
    per_epoch = -(-len(lengths) // tagger.batch_size) * statistics.mean(whole)
    print(f"step {step * 1e3:.2f} ms, of it the CRF {crf * 1e3:.2f} ms ({crf / step:.0%}); an epoch {per_epoch:.1f} s")


def time_field(lengths: np.ndarray, tags: int) -> float:
    """Time loss and gradient of a CRF over random scores of one batch, once it has given the right loss."""
    torch.manual_seed(0)
    offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]))
    scores = torch.randn(int(offsets[-1]), tags, requires_grad=True)
    gold, crf = torch.randint(0, tags, (int(offsets[-1]),)), tg.nn.CRF(tags)
    batch = Ragged(scores, offsets)
    wanted = plain_likelihood(batch, gold)
    begun = time.perf_counter()
    found = crf(batch, gold)
    found.sum().backward()
    seconds = time.perf_counter() - begun
    assert float((found.detach() - wanted).abs().max()) < TOLERANCE, "the CRF gives another loss than the plain loop"
    return seconds


def plain_likelihood(batch: Ragged, gold: torch.Tensor) -> torch.Tensor:
    """Compute the same where all transitions are zero: words are then independent of each other."""
    each = torch.log_softmax(batch.values.detach(), dim=1).gather(1, gold[:, None])[:, 0]
    return torch.stack([each[begin:end].sum() for begin, end in pairwise(batch.offsets.tolist())])


def main() -> None:
    """Answer the question."""
    parser = command.parser(__doc__)
    parser.add_argument("--preset", default="tagger-characters", choices=presets.names("token-tagger"))
    args = parser.parse_args()
    run(args.preset, args.rounds, args.threads)


if __name__ == "__main__":
    main()
