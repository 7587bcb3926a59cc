"""Modules that make frames of the steps of sequences."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

import tidegate.network as nodes
from tidegate.nodes.spectrogram import FLOOR
from tidegate.ragged import Ragged


class Window(torch.nn.Module):
    """Put rows that follow each other side by side; see `network.Window`."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.width, self.stride = width, stride

    def forward(self, batch: Ragged) -> Ragged:
        """Return [N', width * C]."""
        values, offsets = cast(Tensor, batch.values), torch.as_tensor(batch.offsets)
        lengths = offsets.diff()
        counts = -(-lengths // self.stride)
        begins = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        sequence = torch.repeat_interleave(torch.arange(len(counts)), counts)
        frame = torch.arange(len(sequence)) - begins[sequence]
        step = frame[:, None] * self.stride + torch.arange(self.width)  # [N', width]
        within = step < lengths[sequence][:, None]
        padded = torch.cat([values, values.new_zeros(1, *values.shape[1:])])
        rows = torch.where(within, step + offsets[sequence][:, None], len(values))
        return Ragged(padded[rows].reshape(len(sequence), self.width * values.shape[1]), begins)


class Spectrogram(torch.nn.Module):
    """Tell the energy of bands of frequencies in frames of samples; see `network.Spectrogram`."""

    def __init__(self, node: nodes.Spectrogram) -> None:
        super().__init__()
        self.frames = Window(node.frame, node.hop)
        basis, mel = (torch.from_numpy(matrix) for matrix in node.matrices())
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("mel", mel, persistent=False)
        self.mean = torch.nn.Parameter(torch.zeros(node.bands))
        self.scale = torch.nn.Parameter(torch.ones(node.bands))

    def forward(self, batch: Ragged) -> Ragged:
        """Return [N', bands]."""
        framed: Ragged = self.frames(batch)
        kind = self.mean.dtype
        spectrum = framed.values @ cast(Tensor, self.basis).to(kind)
        real, imaginary = spectrum.chunk(2, dim=1)
        energy = (real * real + imaginary * imaginary) @ cast(Tensor, self.mel).to(kind)
        return framed.with_values(((energy + FLOOR).log() - self.mean) * self.scale)
