"""A network, a batch and a loss, in the core and as autograd sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from programs import batch_of, weights_of
from tidegate import nn
from tidegate.engine import CrfLikelihood, CrossEntropy, CtcLikelihood, Errors, Lost, Program, SoftCrossEntropy
from tidegate.grid import Grid
from tidegate.kernels import ctc
from tidegate.network import Crf, Ctc, Decode, Network
from tidegate.pairs import Pairs
from tidegate.ragged import Ragged

Array = npt.NDArray[Any]


class Case:
    """A network, a batch and the loss that networks of its kind are trained on; in the core and in torch."""

    def __init__(self, network: Network, dtype: Any = np.float64, **batch: int) -> None:
        self.network = network
        self.batch: Any = batch_of(network, dtype, **batch)
        self.program = Program(network, weights_of(network, dtype))
        rng = np.random.default_rng(2)
        sizes = dict(zip(("height", "width"), self.batch.sizes.T, strict=True)) if isinstance(self.batch, Grid) else {}
        sizes |= {"source": self.batch.cut} if isinstance(self.batch, Pairs) else {}
        size, frames = len(self.batch), np.asarray(network.steps(np.diff(self.batch.offsets), **sizes))
        tokens, self.lengths = int(frames.sum()), frames
        self.weight = rng.uniform(0.5, 2.0, size) / size
        last, rows = network.nodes[-1], size if network.pools else tokens
        self.penalty = (rng.standard_normal((4, 4)), rng.standard_normal(4), rng.standard_normal(4))
        self.labels = rng.integers(0, network.output_size, rows)
        self.loss: Any = CrossEntropy(self.labels, self.weight)
        if isinstance(last, Crf):
            self.loss = CrfLikelihood(self.labels, self.weight, self.penalty)
        elif isinstance(last, Ctc):
            labels = [rng.integers(1, last.symbols, rng.integers(0, count // 2 + 1)) for count in frames]
            self.loss = CtcLikelihood(ctc.Labels.of(labels), self.weight)
        elif any(isinstance(node, Decode) for node in network.nodes):
            self.loss = self._errors(rng, dtype, size)

    def _errors(self, rng: np.random.Generator, dtype: Any, size: int) -> Errors:
        rows = self.program(self.batch)
        numbers = rows.size // size
        asked = tuple(("mse", "mae", 0.1, 0.9)[index % 4] for index in range(numbers))
        truth, scale, shift = (rng.standard_normal((size, numbers)).astype(dtype) for _ in range(3))
        return Errors(truth, self.weight, asked, rng.uniform(0, 1, numbers), scale, shift)

    def found(self, **options: Any) -> Lost:
        return self.program.gradient(self.batch, self.loss, **options)

    def as_module(self) -> tuple[Any, Any]:
        """Build the layers of `tidegate.nn`, and run them."""
        module = nn.build(self.network).to({4: torch.float32, 8: torch.float64}[self.program.dtype.itemsize])
        module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in self.program.weights.items()})
        module.eval()
        return module, module(nn.to_torch(self.batch) if isinstance(self.batch, Ragged) else self.batch)

    def by_torch(self) -> tuple[float, dict[str, Array]]:
        """Compute the same with autograd, through the layers of `tidegate.nn`."""
        module, out = self.as_module()
        loss = self._lost(out if isinstance(out, Tensor) else out.values, module, out)
        loss.backward()
        return loss.item(), {name: _gradient(parameter) for name, parameter in module.named_parameters()}

    def _lost_by_ctc(self, rows: Tensor, offsets: Any, weight: Tensor) -> Any:
        total, labels = torch.zeros((), dtype=rows.dtype), self.loss.labels
        for b in range(len(labels)):
            frames = rows[offsets[b] : offsets[b + 1]].log_softmax(1)
            label = torch.from_numpy(labels.values[labels.begins[b] : labels.begins[b + 1]].astype(np.int64))
            if len(frames):
                sizes = torch.tensor([len(frames)]), torch.tensor([len(label)])
                lost = torch.nn.functional.ctc_loss(frames[:, None], label[None], *sizes, reduction="sum")
                total = total + lost * weight[b]
        return total

    def _lost(self, rows: Tensor, module: Any, out: Any) -> Any:
        weight = torch.from_numpy(self.weight).to(rows.dtype)
        if isinstance(self.loss, CrfLikelihood):
            penalty = tuple(torch.from_numpy(part).to(rows.dtype) for part in self.penalty)
            return -(list(module.children())[-1](out, torch.from_numpy(self.labels), penalty=penalty) * weight).sum()
        if isinstance(self.loss, CtcLikelihood):
            return self._lost_by_ctc(rows, out.offsets, weight)
        if isinstance(self.loss, CrossEntropy | SoftCrossEntropy):
            aim = self.labels if isinstance(self.loss, CrossEntropy) else self.loss.truth
            smoothing = self.loss.label_smoothing if isinstance(self.loss, CrossEntropy) else 0.0
            each = torch.nn.functional.cross_entropy(
                rows, torch.from_numpy(aim), reduction="none", label_smoothing=smoothing
            )
            spread = weight if self.network.pools else weight.repeat_interleave(torch.from_numpy(self.lengths))
            return (each * spread).sum()
        truth, scale, shift = (torch.from_numpy(part) for part in (self.loss.truth, self.loss.scale, self.loss.shift))
        away = truth - (rows.reshape(truth.shape) * scale + shift)
        parts = zip(self.loss.asked, self.loss.share.tolist(), away.unbind(1), strict=True)
        return (sum(share * _error(asked, column) for asked, share, column in parts) * weight).sum()


def _error(asked: str | float, away: Tensor) -> Tensor:
    if isinstance(asked, str):
        return away * away if asked == "mse" else away.abs()
    return away * (asked - (away < 0).to(away.dtype))


def _gradient(parameter: Tensor) -> Array:
    return np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
