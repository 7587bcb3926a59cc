"""The conditional random field as a layer: against pytorch-crf, its gradients, and input that does not fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchcrf
from torch.func import functional_call

from tidegate import Ragged, nn
from tidegate.crf import FORBIDDEN
from tidegate.errors import InputError, ShapeError

LENGTHS = torch.tensor([3, 1, 5, 2])
K = 4


def layer() -> nn.CRF:
    torch.manual_seed(0)
    crf = nn.CRF(K).double()
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    return crf


def batch() -> tuple[Ragged, torch.Tensor]:
    torch.manual_seed(1)
    emissions = Ragged(torch.randn(11, K, dtype=torch.float64), torch.tensor([0, 3, 4, 9, 11]))
    return emissions, torch.randint(0, K, (11,))


def test_the_likelihood_and_its_gradients_are_those_of_pytorch_crf() -> None:
    ours, (emissions, tags) = layer(), batch()
    theirs = torchcrf.CRF(K, batch_first=True).double()
    for name, value in (
        ("transitions", ours.transitions),
        ("start_transitions", ours.start),
        ("end_transitions", ours.end),
    ):
        getattr(theirs, name).data.copy_(value.data)
    values = emissions.values.requires_grad_()
    padded = torch.nn.utils.rnn.pad_sequence(list(torch.split(values, LENGTHS.tolist())), batch_first=True)
    padded_tags = torch.nn.utils.rnn.pad_sequence(list(torch.split(tags, LENGTHS.tolist())), batch_first=True)
    mask = torch.arange(5) < LENGTHS[:, None]
    wanted = theirs(padded, padded_tags, mask, reduction="none")
    found = ours(emissions, tags)
    torch.testing.assert_close(found, wanted)
    weight = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    wanted_gradients = torch.autograd.grad((wanted * weight).sum(), [values, *theirs.parameters()])
    mine = [ours.start, ours.end, ours.transitions]
    assert [name for name, _ in theirs.named_parameters()] == ["start_transitions", "end_transitions", "transitions"]
    for gradient, other in zip(
        torch.autograd.grad((found * weight).sum(), [values, *mine]), wanted_gradients, strict=True
    ):
        torch.testing.assert_close(gradient, other)
    assert list(theirs.decode(padded, mask)) == best(ours, emissions)


def best(crf: nn.CRF, emissions: Ragged) -> list[list[int]]:
    from tidegate import crf as kernel

    arrays = (emissions.values, emissions.offsets, crf.transitions, crf.start, crf.end)
    tags, _ = kernel.best_paths(kernel.Scores(*(array.detach().numpy() for array in arrays)))
    return [row.tolist() for row in np.split(tags[0], LENGTHS.cumsum(0)[:-1])]


def test_gradients_are_exact() -> None:
    crf, (emissions, tags) = layer(), batch()
    names = ("transitions", "start", "end")

    def likelihood(values: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        changed = dict(zip(names, parameters, strict=True))
        return functional_call(crf, changed, (emissions.with_values(values), tags))  # type: ignore[no-any-return]

    inputs = [emissions.values, *(getattr(crf, name).detach() for name in names)]
    assert torch.autograd.gradcheck(likelihood, [value.clone().requires_grad_() for value in inputs])


def test_the_operator_keeps_torch_contract() -> None:
    crf, (emissions, _) = layer(), batch()
    arrays = (emissions.values.requires_grad_(), emissions.offsets, crf.transitions, crf.start, crf.end)
    torch.library.opcheck(torch.ops.tidegate.crf.default, arrays)


def test_a_path_that_is_forbidden_is_as_good_as_impossible_and_others_gain() -> None:
    crf, (emissions, tags) = layer(), batch()
    penalty = tuple(torch.zeros_like(parameter) for parameter in (crf.transitions, crf.start, crf.end))
    torch.testing.assert_close(crf(emissions, tags, penalty=penalty), crf(emissions, tags), rtol=0, atol=0)
    penalty[1][tags[0]] = FORBIDDEN
    penalty[0][(tags[4] + 1) % K, :] = FORBIDDEN
    found, before = crf(emissions, tags, penalty=penalty), crf(emissions, tags)
    assert found[0] < -9000
    assert found[1] > before[1] or tags[3] == tags[0]


def test_an_empty_sequence_is_certain() -> None:
    emissions = Ragged(torch.zeros(2, K), torch.tensor([0, 0, 2]))
    assert nn.CRF(K)(emissions, torch.tensor([1, 1])).tolist() == pytest.approx([0.0, -2 * torch.tensor(4.0).log()])


def test_input_that_does_not_fit_is_refused() -> None:
    crf, (emissions, tags) = layer(), batch()
    with pytest.raises(ShapeError, match=r"emissions are torch.float64 \[11, 3\], but CRF\(4\) wants"):
        crf(emissions.with_values(emissions.values[:, :3]), tags)
    with pytest.raises(ShapeError, match=r"tags are torch.int64 \[10\]"):
        crf(emissions, tags[1:])
    with pytest.raises(InputError, match="tag 4 of token 2 is not between 0 and 3"):
        crf(emissions, tags.index_fill(0, torch.tensor([2]), 4))
    with pytest.raises(InputError, match="num_tags=0"):
        nn.CRF(0)
