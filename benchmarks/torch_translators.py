"""Translators in plain PyTorch: the network that Tidegate trains, and one whose decoder is fed what it attended to.

Both read batches that are padded, pack the source, and compare with the table of embeddings only what is no padding.
Both drop features as Tidegate does, the same ones over all steps of a sequence. Knows of Tidegate the names of weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

Array: TypeAlias = npt.NDArray[Any]
Layers: TypeAlias = Literal[1, 2]


@dataclass(frozen=True)
class Sizes:
    """Say how large a translator is; `layers` of the decoder, each of which attends in a network of hops."""

    vocabulary: int
    embedding: int = 256
    encoder: int = 256
    decoder: int = 384
    layers: Layers = 2
    dropout: float = 0.0


@dataclass(frozen=True)
class Batch:
    """Hold B pairs: `source` and `inputs` are padded; `labels` [N] stand end to end, where `real` is true."""

    source: Tensor
    lengths: Tensor
    inputs: Tensor
    real: Tensor
    labels: Tensor

    @classmethod
    def of(cls, source: Sequence[Array], inputs: Sequence[Array], labels: Array) -> Batch:
        """Pad the ids of pairs."""
        lengths = torch.tensor([len(ids) for ids in source])
        written = torch.tensor([len(ids) for ids in inputs])
        real = torch.arange(int(written.max())) < written[:, None]
        return cls(padded(source), lengths, padded(inputs), real, torch.from_numpy(labels.astype(np.int64)))


def padded(rows: Sequence[Array]) -> Tensor:
    """Put rows of ids into a rectangle, [B, T]."""
    ids = [torch.from_numpy(np.asarray(row, np.int64)) for row in rows]
    return nn.utils.rnn.pad_sequence(ids, batch_first=True)


@dataclass(frozen=True)
class Memory:
    """Hold what the encoder says: `rows` [B, S, 2H], `hidden` [B, 1, S] where they are padding, and `gist` [B, 2H]."""

    rows: Tensor
    hidden: Tensor
    gist: Tensor


class Attention(nn.Module):
    """Compare by q · W m (Luong et al. 2015, "general")."""

    def __init__(self, query: int, memory: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(query, memory)))

    def keys(self, memory: Memory) -> Tensor:
        """Multiply what the encoder says once, [B, D, S]."""
        return (memory.rows @ self.weight.T).transpose(1, 2)

    def forward(self, query: Tensor, keys: Tensor, memory: Memory) -> Tensor:
        """Give the mean that fits each query: [B, T, D] -> [B, T, 2H]."""
        scores = (query @ keys).masked_fill(memory.hidden, -torch.inf)
        return scores.softmax(2) @ memory.rows


class Translator(nn.Module, ABC):
    """Hold what both have: the table, the encoder, and how what was read is compared with the table."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        both = 2 * sizes.encoder
        self.sizes = sizes
        self.table = nn.Embedding(sizes.vocabulary, sizes.embedding)
        self.encoder = nn.LSTM(sizes.embedding, sizes.encoder, batch_first=True, bidirectional=True)
        self.bridges = nn.ModuleList(nn.Linear(both, 2 * sizes.decoder) for _ in range(sizes.layers))
        self.mixed = nn.Linear(sizes.decoder + both, sizes.embedding)
        self.bias = nn.Parameter(torch.zeros(sizes.vocabulary))

    def begin_as_tidegate(self) -> None:
        """Draw weights by the rules of Tidegate: forget gates open, recurrent matrices orthogonal, rows of length 1."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if parameter.ndim < 2:
                    parameter.zero_()
                elif name == "table.weight":
                    bound = (3 / self.sizes.embedding) ** 0.5
                    parameter.uniform_(-bound, bound)
                elif "weight_hh" not in name:
                    nn.init.xavier_uniform_(parameter)
                if "weight_hh" in name or ("gates" in name and parameter.ndim > 1):
                    for gate in parameter[:, -(len(parameter) // 4) :].chunk(4):  # columns of the state
                        gate.copy_(nn.init.orthogonal_(torch.empty(gate.shape)))
                if "bias_ih" in name or name == "words.bias" or ("gates" in name and parameter.ndim == 1):
                    parameter.chunk(4)[1].fill_(1.0)

    def read(self, source: Tensor, lengths: Tensor) -> Memory:
        """Run the encoder both ways."""
        x = self.dropped(self.table(source))
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        rows, _ = pad_packed_sequence(self.encoder(packed)[0], batch_first=True)
        hidden = torch.arange(rows.shape[1]) >= lengths[:, None]
        return Memory(rows, hidden[:, None], rows.sum(1) / lengths[:, None])

    def begun(self, memory: Memory) -> list[tuple[Tensor, Tensor]]:
        """Make the states that the layers of the decoder begin with, [B, D]."""
        return [tuple(bridge(memory.gist).tanh().chunk(2, 1)) for bridge in self.bridges]

    def dropped(self, x: Tensor) -> Tensor:
        """Drop features of [B, T, F], the same ones at all steps."""
        return x * self.mask(x) if self.training and self.sizes.dropout else x

    def mask(self, like: Tensor) -> Tensor:
        """Draw what a sequence keeps of its features, [B, 1, F]."""
        share = self.sizes.dropout if self.training else 0.0
        return like.new_empty(len(like), 1, like.shape[-1]).bernoulli_(1 - share) / (1 - share)

    def scores(self, said: Tensor) -> Tensor:
        """Compare [N, E] with the table."""
        return functional.linear(
            functional.dropout(said, self.sizes.dropout, self.training), self.table.weight, self.bias
        )

    @abstractmethod
    def said(self, batch: Batch) -> Tensor:
        """Give what is compared with the table, [B, T, E]."""

    def forward(self, batch: Batch) -> Tensor:
        """Score what follows each token of the targets, [N, V]."""
        return self.scores(self.said(batch)[batch.real])


class Hops(Translator):
    """Attend after each layer of the decoder, which runs over all steps at once."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        both, widths = 2 * sizes.encoder, [sizes.embedding, sizes.decoder + 2 * sizes.encoder]
        self.decoders = nn.ModuleList(nn.LSTM(widths[n], sizes.decoder, batch_first=True) for n in range(sizes.layers))
        self.attentions: Any = nn.ModuleList(Attention(sizes.decoder, both) for _ in range(sizes.layers))

    def said(self, batch: Batch) -> Tensor:
        """Run layer after layer."""
        memory = self.read(batch.source, batch.lengths)
        x = self.dropped(self.table(batch.inputs))
        for layer, attention, (h, c) in zip(self.decoders, self.attentions, self.begun(memory), strict=True):
            x, _ = layer(x, (h[None].contiguous(), c[None].contiguous()))
            x = self.dropped(torch.cat([x, attention(x, attention.keys(memory), memory)], 2))
        out: Tensor = self.mixed(x).tanh()
        return out

    def load_tidegate(self, weights: dict[str, Array]) -> None:
        """Take the weights of a network, under the names of its nodes in place of their numbers."""
        own = self.state_dict()
        for name in own:
            node, _, rest = name.partition(".")
            number, _, inner = rest.partition(".")
            hop = str(int(number) + 1) if number.isdigit() else ""
            wanted = {
                "table": "table.weight",
                "encoder": f"encoder.{rest}",
                "mixed": f"mixed.{rest}",
                "bias": "tied.bias",
            }
            deep = {"bridges": "bridge", "decoders": "decoder", "attentions": "attention"}
            found = wanted[node] if node in wanted else f"{deep[node]}{hop}.{inner}"
            own[name].copy_(torch.from_numpy(weights[found].copy()))


State: TypeAlias = tuple[Tensor, list[tuple[Tensor, Tensor]]]
"""What is fed back, [B, E], and h and c of each layer, [B, D]."""


class InputFeeding(Translator):
    """Feed what was said of a token into the first layer with the next one (Luong et al. 2015, section 3.3).

    So the decoder goes step by step. What the first layer makes of the tokens themselves is one product over all steps.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        size = sizes.decoder
        self.words = nn.Linear(sizes.embedding, 4 * size)
        inner = [sizes.embedding + size, *[2 * size] * (sizes.layers - 1)]
        self.gates = nn.ModuleList(nn.Linear(width, 4 * size, bias=bool(n)) for n, width in enumerate(inner))
        self.attention = Attention(size, 2 * sizes.encoder)

    def said(self, batch: Batch) -> Tensor:
        """Go over the steps."""
        memory = self.read(batch.source, batch.lengths)
        keys, state = self.attention.keys(memory), self.begin(memory)
        words = self.words(self.dropped(self.table(batch.inputs)))
        kept = self.mask(memory.rows.new_empty(len(words), 1, self.mixed.in_features))[:, 0]
        out = []
        for x in words.unbind(1):
            state = self.step(x, state, keys, memory, kept)
            out.append(state[0])
        return torch.stack(out, 1)

    def begin(self, memory: Memory) -> State:
        """Begin a target."""
        return memory.gist.new_zeros(len(memory.gist), self.sizes.embedding), self.begun(memory)

    def step(self, x: Tensor, state: State, keys: Tensor, memory: Memory, kept: Tensor) -> State:
        """Take one step: `x` [B, 4D] is what the first layer makes of a token."""
        below, states = state[0], list[tuple[Tensor, Tensor]]()
        for gates, (h, c) in zip(self.gates, state[1], strict=True):
            asked = gates(torch.cat([below, h], 1))
            i, f, g, o = (asked if states else asked + x).chunk(4, 1)
            kept_c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            below = o.sigmoid() * kept_c.tanh()
            states.append((below, kept_c))
        read = self.attention(below[:, None], keys, memory)[:, 0]
        return self.mixed(torch.cat([below, read], 1) * kept).tanh(), states

    @torch.inference_mode()
    def search(
        self, source: Tensor, lengths: Tensor, *, start: int, beam: int, steps: int, barred: list[int]
    ) -> Tensor:
        """Follow the best outputs of so many tokens, all beams of all sentences in one batch: [B, beam, steps]."""
        one = self.read(source, lengths)
        memory = Memory(*(part.repeat_interleave(beam, 0) for part in (one.rows, one.hidden, one.gist)))
        keys, state, count = self.attention.keys(memory), self.begin(memory), len(source)
        totals = torch.full((count, beam), -torch.inf)
        totals[:, 0] = 0
        last, first = torch.full((count * beam,), start), torch.arange(count)[:, None] * beam
        written = torch.empty(count * beam, 0, dtype=torch.long)
        for _ in range(steps):
            state = self.step(self.words(self.table(last)), state, keys, memory, memory.gist.new_ones(1))
            scores = self.scores(state[0])
            scores[:, barred] = -torch.inf
            logs = scores.log_softmax(1).view(count, beam, -1) + totals[:, :, None]
            totals, at = logs.flatten(1).topk(beam)
            rows, last = (first + at // scores.shape[1]).flatten(), (at % scores.shape[1]).flatten()
            state = state[0][rows], [(h[rows], c[rows]) for h, c in state[1]]
            written = torch.cat([written[rows], last[:, None]], 1)
        return written.view(count, beam, steps)
