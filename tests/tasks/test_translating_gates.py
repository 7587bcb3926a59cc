"""What the gates of a decoder did stands beside what was read: those of the layer that asked, for each word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tidegate as tg
from tidegate.pairs import Pairs
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

SMALL: dict[str, Any] = {
    "units": "words", "embedding_size": 8, "hidden_size": 8, "decoder_size": 12, "average": 0.0, "epochs": 3,
    "batch_size": 8, "learning_rate": 0.02, "validation_fraction": 0,
}  # fmt: skip
X = ["tide gate", "salt", "moss salt tide wave", "fern moss", "wave fern gate"]
Y = [" ".join(text.upper().split()[::-1]) for text in X]


@pytest.fixture(scope="module")
def model() -> Any:
    return tg.Translator(**SMALL).fit(X * 8, Y * 8)


def test_it_tells_how_far_gates_were_open_for_each_word(model: Any) -> None:
    texts = ["moss salt tide wave", "fern", "", "salt salt"]
    found = model.translate(texts, attention=True, beam=2, n_best=2)
    reading, network = model.reading_, model.network_
    names = [node.name for node in network.nodes]
    for text, told in zip(texts, found, strict=True):
        alone = model.translate([text], attention=True, beam=2, n_best=2)[0]
        for one, same in zip((told, *told.alternatives), (alone, *alone.alternatives), strict=True):
            (ids,) = reading.subwords.encode([one.text])
            target = Ragged.from_list([[reading.start, *ids.tolist()]])
            runs = Executor(network, model.weights_).record(Pairs(reading.sources([text]), target)).nodes
            for hop, gates in enumerate(one.words.gates):
                (layer,) = runs[names.index(f"decoder{hop + 1}")].layers
                assert layer.out.gates is not None
                i, f, _, o = np.split(layer.out.gates[0], 4, axis=1)
                assert list(gates) == ["i", "f", "o"]
                for letter, wanted in zip("ifo", (i, f, o), strict=True):
                    np.testing.assert_allclose(gates[letter], wanted.mean(axis=1)[: len(one.words.target)], rtol=1e-5)
                    assert gates[letter].tobytes() == same.words.gates[hop][letter].tobytes()
    assert model.translate([], attention=True) == []


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_cells_tell_of_the_gates_they_have(cell: Any) -> None:
    read = tg.Translator(**SMALL, cell=cell, hops=1).fit(X, Y).translate(["moss"], attention=True)[0].words
    assert read is not None
    assert [list(gates) for gates in read.gates] == [["r", "z"] if cell == "gru" else []]
