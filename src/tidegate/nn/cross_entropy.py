"""The loss of a language model: scores of a large vocabulary, their softmax and its gradient, block by block.

Knows rows and a matrix, not networks. The scores of a batch are never held at once: their gradient is computed as soon
as they are, so that memory does not grow with the vocabulary times the tokens.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tidegate.kernels import linear, product, softmax
from tidegate.nn import transforms
from tidegate.nn.operators import num_threads

_SCORES = 2**21  # held at a time


def linear_cross_entropy(rows: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy, in nats, of ``softmax(rows @ weight.T + bias)`` for the targets.

    Args:
        rows: [N, F], at least one.
        weight: [V, F].
        bias: [V].
        targets: [N] int64, from 0 to V - 1.

    The numbers depend neither on the number of threads nor on the instruction set.

    >>> loss = linear_cross_entropy(torch.zeros(3, 2), torch.ones(4, 2), torch.zeros(4), torch.tensor([0, 1, 3]))
    >>> round(loss.item(), 4)  # the logarithm of 4
    1.3863
    """
    loss: Tensor = transforms.call(_KERNEL, rows, weight, bias, targets)[0]
    return loss


def _run(inputs: tuple[Tensor, ...], keep: bool) -> tuple[Tensor, ...]:
    """Compute the loss, and with ``keep`` its gradients, which take the scores that nobody holds afterwards."""
    x, w, b, y = (tensor.detach().numpy() for tensor in inputs)
    dx, dw, db = np.empty_like(x), np.zeros(w.shape[::-1], w.dtype), np.zeros_like(b)
    threads, size = num_threads(), max(1, _SCORES // len(w))
    total = 0.0
    for begin in range(0, len(x), size):
        block, labels = x[begin : begin + size], y[begin : begin + size, None]
        scores = linear(block, w, b, num_threads=threads)  # [n, V]
        shares = softmax(scores, num_threads=threads)
        best = scores.argmax(axis=1)[:, None]
        gap = np.take_along_axis(scores, best, 1) - np.take_along_axis(scores, labels, 1)
        total += float((gap - np.log(np.take_along_axis(shares, best, 1))).sum(dtype=np.float64))
        if keep:
            np.put_along_axis(shares, labels, np.take_along_axis(shares, labels, 1) - 1, 1)
            shares *= shares.dtype.type(1 / len(x))
            dx[begin : begin + size] = product(shares, w, num_threads=threads)
            dw += product(np.ascontiguousarray(block.T), shares, num_threads=threads)  # [F, V]
            db += shares.sum(axis=0)
    found = (dx, np.ascontiguousarray(dw.T), db) if keep else ()
    return inputs[0].new_tensor(total / len(x)), *map(torch.from_numpy, found)


def _gradients(_inputs: Any, outputs: Any, grads: Any) -> tuple[Any, ...]:
    return (*(grads[0] * saved for saved in outputs[1:]), None)


def _equations(rows: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> tuple[Tensor]:
    return (torch.nn.functional.cross_entropy(torch.nn.functional.linear(rows, weight, bias), targets),)


_KERNEL = transforms.Kernel(_run, _gradients, _equations)
