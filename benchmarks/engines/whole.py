"""One engine over a whole epoch: Tidegate through ``train.fit``, PyTorch in a fair loop over buckets.

Padding, selecting and moving of reviews is part of the work here, as it is of an epoch.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks import work
from benchmarks.engines import Contest, clock, pytorch, tidegate
from benchmarks.work import Array, Job
from tidegate import train
from tidegate.ragged import Ragged


def ours(job: Job) -> Contest:
    torch.set_num_threads(job.threads)
    arrays = job.load()
    model = tidegate.Model(job, arrays)
    tokens = Ragged(torch.from_numpy(arrays["values"].astype(np.int64)), torch.from_numpy(arrays["offsets"]))
    wanted, lengths = torch.from_numpy(arrays["labels"]), np.diff(arrays["offsets"])
    recipe = train.Recipe(
        epochs=1,
        batch_size=work.BATCH,
        learning_rate=work.LEARNING_RATE,
        optimizer="adam",
        max_grad_norm=work.LONGEST_GRADIENT,
    )

    def loss(indices: Array, _: np.random.Generator) -> tuple[torch.Tensor, int]:
        batch = tokens.select(torch.from_numpy(indices))
        return torch.nn.functional.cross_entropy(model(batch), wanted[indices]), len(batch.values)

    def epoch() -> None:
        for _ in train.fit(train.start(model, recipe), recipe, lengths=lengths, loss=loss):
            pass

    even = tidegate.tensors(work.equal_lengths(work.sequences(arrays)))
    return Contest(lambda: model(even).ravel().tolist(), clock(epoch))


def theirs(job: Job) -> Contest:
    arrays = pytorch.prepare(job)
    model, tokens = pytorch.Model(job, arrays), work.sequences(arrays)
    order, wanted = np.argsort(np.diff(arrays["offsets"]), kind="stable"), torch.from_numpy(arrays["labels"])
    buckets = [order[start : start + work.BATCH] for start in range(0, len(order), work.BATCH)]
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=work.LEARNING_RATE, fused=True)
    rng = np.random.default_rng(0)

    def epoch() -> None:
        for place in rng.permutation(len(buckets)):
            indices = buckets[place]
            batch = pytorch.tensors([tokens[i] for i in indices])
            optimiser.zero_grad()
            torch.autograd.backward(torch.nn.functional.cross_entropy(model(batch), wanted[indices]))
            torch.nn.utils.clip_grad_norm_(parameters, work.LONGEST_GRADIENT)
            optimiser.step()

    even = pytorch.tensors(work.equal_lengths(tokens))
    return Contest(lambda: model(even).ravel().tolist(), clock(epoch))
