"""One engine over a whole epoch: Tidegate through ``train.fit``, PyTorch in a fair loop over buckets.

Padding, selecting and moving of reviews is part of the work here, as it is of an epoch.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks import work
from benchmarks.engines import Contest, clock, pytorch, tidegate
from benchmarks.work import Array, Job
from tidegate import kernels, train
from tidegate.ragged import Ragged


def ours(job: Job) -> Contest:
    kernels.set_num_threads(job.threads)
    arrays = job.load()
    network, weights = tidegate.network_of(job, arrays)
    tokens = Ragged(arrays["values"].astype(np.int64), arrays["offsets"])
    labels, lengths = arrays["labels"].astype(np.int64), np.diff(arrays["offsets"])

    def loss(indices: Array, _: np.random.Generator) -> train.Asked:
        return train.Asked(tokens.select(indices), tidegate.mean_loss(labels[indices]))

    def epoch() -> None:
        state = train.start(network, weights, tidegate.RECIPE)
        for _ in train.fit(state, tidegate.RECIPE, lengths=lengths, loss=loss):
            pass

    even, model = Ragged.from_list(work.equal_lengths(work.sequences(arrays))), tidegate.executor(job, arrays)
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
