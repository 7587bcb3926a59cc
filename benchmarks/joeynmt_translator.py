"""JoeyNMT's recurrent translator, trained and searched as JoeyNMT does it. Knows ids, not texts.

JoeyNMT 2.3.0 wants versions that exclude much else, of packages that its recurrent model does not use. So it takes part
where somebody installed it by hand, into an environment of its own that has Tidegate and torch: `pip install --no-deps
joeynmt==2.3.0 "importlib_metadata<9" zipp tensorboard sentencepiece subword-nmt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.torch_translators import Sizes, padded

Array: TypeAlias = npt.NDArray[Any]
MARKS = 4  # <unk>, <pad>, <s> and </s>, before all other ids
PAD, START, END = 1, 2, 3


class JoeyNmt:
    """Hold the model; raises ModuleNotFoundError where JoeyNMT is not installed."""

    def __init__(self, sizes: Sizes, *, rate: float, longest_gradient: float, smoothing: float) -> None:
        from joeynmt.model import build_model
        from joeynmt.vocabulary import Vocabulary

        marks = {"unk": 0, "pad": PAD, "bos": START, "eos": END, "sep": None}
        special = {f"{name}_token": None if number is None else f"<{name}>" for name, number in marks.items()}
        numbers = {f"{name}_id": number for name, number in marks.items()}
        words = Vocabulary(
            [f"w{n}" for n in range(sizes.vocabulary)], SimpleNamespace(**special, **numbers, lang_tags=[])
        )
        table = {"embedding_dim": sizes.embedding, "dropout": sizes.dropout}
        layer = {"type": "recurrent", "rnn_type": "lstm", "dropout": sizes.dropout, "embeddings": table}
        decoder = {"hidden_size": sizes.decoder, "num_layers": sizes.layers, "attention": "luong"}
        decoder |= {"input_feeding": True, "init_hidden": "bridge", "hidden_dropout": sizes.dropout}
        config = {
            "tied_embeddings": True,
            "encoder": layer | {"hidden_size": sizes.encoder, "num_layers": 1, "bidirectional": True},
            "decoder": layer | decoder,
        }
        self.model = build_model(config, words, words)
        self.model.loss_function = ("crossentropy", smoothing)
        self._optimiser = torch.optim.Adam(self.model.parameters(), lr=rate)
        self._longest = longest_gradient

    def batch(self, source: Sequence[Array], targets: Sequence[Array] | None = None) -> Any:
        """Pad pairs as JoeyNMT does; ids count from 0 without its marks, and sources have an end already."""
        from joeynmt.batch import Batch

        given = [np.append(np.asarray(ids[:-1], np.int64) + MARKS, END) for ids in source]
        wanted = None if targets is None else [[START, *(np.asarray(ids) + MARKS).tolist(), END] for ids in targets]
        made = Batch(
            src=_filled(given),
            src_length=torch.tensor([len(ids) for ids in given]),
            src_prompt_mask=None,
            trg=None if wanted is None else _filled([np.array(ids) for ids in wanted]),
            trg_prompt_mask=None,
            indices=torch.arange(len(given)),
            device=torch.device("cpu"),
            pad_index=PAD,
            eos_index=END,
            is_train=wanted is not None,
        )
        made.sort_by_src_length()
        return made

    def step(self, batch: Any) -> float:
        """Make one update, as `joeynmt.training` does."""
        self.model.train()
        lost, _, _, _ = self.model(return_type="loss", **vars(batch))
        lost = batch.normalize(lost, normalization="tokens")
        lost.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self._longest)
        self._optimiser.step()
        self.model.zero_grad()
        return float(lost.item())

    def search(self, batch: Any, *, beam: int, steps: int) -> Any:
        """Search outputs of so many tokens."""
        from joeynmt.search import search

        self.model.eval()
        return search(self.model, batch, steps, beam, 1.0, min_output_length=steps)[0]


def _filled(rows: Sequence[Array]) -> torch.Tensor:
    """Pad with the id of the mark, [B, T]."""
    return padded([row - PAD for row in rows]) + PAD
