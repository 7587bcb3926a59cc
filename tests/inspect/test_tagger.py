"""A look inside a tagger: traces of the network behind its words, and a refusal where one answer per input is meant."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tidegate as tg
from posts import SMALL, posts
from tidegate.errors import InputError


@pytest.mark.parametrize("characters", [True, False])
def test_a_trace_is_that_of_the_network_behind_the_words(characters: bool) -> None:
    tagger = tg.TokenTagger(**SMALL | {"epochs": 1, "characters": characters}).fit(*posts(40))
    X = [["Ada", "saw", "Bern"], ["Rex", "left"]]
    found = tg.inspect.trace(tagger, X, target=["B-person", "O", "B-place", "B-person", "O"])
    assert found.steps == ["Ada", "saw", "Bern", "Rex", "left"]
    assert [direction.name for direction in found.directions] == ["layer 0 forward", "layer 0 backward"]
    dense = len(tagger.network_.nodes) - 2
    h = np.concatenate([direction.h for direction in found.directions], axis=1)
    logits = h @ tagger.weights_[f"{dense}.weight"].T + tagger.weights_[f"{dense}.bias"]
    np.testing.assert_allclose(found.output, logits, rtol=1e-5, atol=1e-6)
    scores = torch.from_numpy(logits.astype(np.float64)).requires_grad_()
    wanted = torch.tensor([tagger.tags_.index(tag) for tag in ["B-person", "O", "B-place", "B-person", "O"]])
    torch.nn.functional.cross_entropy(scores, wanted, reduction="sum").backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    forward = scores.grad.numpy() @ tagger.weights_[f"{dense}.weight"][:, : SMALL["hidden_size"]]
    dh = found.direction("layer 0 forward").dh
    assert dh is not None  # at the last word of a sentence nothing comes from later steps
    np.testing.assert_allclose(dh[[2, 4]], forward[[2, 4]], rtol=1e-4, atol=1e-6)
    flows = tg.inspect.gradient_flow(tagger, X).flows
    assert [flow.h[0] for flow in flows] == pytest.approx([1.0, 1.0])


def test_a_page_of_one_answer_per_input_is_not_for_taggers() -> None:
    tagger = tg.TokenTagger(**SMALL | {"epochs": 1}).fit(*posts(20))
    with pytest.raises(InputError, match="a TokenTagger gives no class to a whole input"):
        tg.inspect.examine(tagger, [["Ada", "saw"]])  # type: ignore[arg-type]
