"""Networks that branch, looked into: layers have the names of their nodes, and attributions add up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from branches import BRANCHES, WORDS, ended, layer
from programs import batch_of, weights_of
from tidegate import nn
from tidegate.documents import Documents
from tidegate.errors import OptionError
from tidegate.inspect import attribute, gradient_flow, trace
from tidegate.network import Dropout, Join, Pool
from tidegate.runtime import Executor

NAMED = ended(
    WORDS,
    Dropout(p=0.2, name="fewer"),
    layer(name="reader", num_layers=2, bidirectional=True),
    Pool(modes=("last", "mean"), name="deep"),
    layer(cell="gru", reads="words", reverse=True),
    Pool(modes=("last",), name="aside"),
    Pool(modes=("max",), reads="fewer", name="bag"),
    Join(reads=("deep", "aside", "bag")),
    width=31,
)
POOLED = {name: network for name, network in BRANCHES.items() if network.pools} | {"named": NAMED}


def test_layers_have_the_name_of_their_node_where_it_has_one() -> None:
    batch = batch_of(NAMED)
    found = trace((NAMED, weights_of(NAMED)), batch, target=1)
    names = [f"reader layer {number} {way}" for number in (0, 1) for way in ("forward", "backward")]
    assert [direction.name for direction in found.directions] == [*names, "layer 2 backward"]
    assert [flow.name for flow in gradient_flow((NAMED, weights_of(NAMED)), batch).flows] == [
        *names,
        "layer 2 backward",
    ]
    assert found.direction("reader layer 1 backward").cell == "lstm"
    with pytest.raises(OptionError, match="reader layer 0 forward"):
        found.direction("layer 0 forward")


def test_a_trace_is_what_the_layers_of_torch_give_and_pass_back() -> None:
    """States of both branches, and the gradients that reach them from the joined output."""
    batch: Any = batch_of(NAMED)
    weights = weights_of(NAMED)
    found = trace((NAMED, weights), batch, target=2)
    module = nn.build(NAMED).double().eval()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    kept = {}

    def keep(name: str) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            output[0].values.retain_grad()
            kept[name] = output[0].values

        return hook

    module.get_submodule("2").register_forward_hook(keep("reader"))
    module.get_submodule("4").register_forward_hook(keep("aside"))
    out = module(nn.to_torch(batch))
    loss: Any = torch.nn.functional.cross_entropy(out, torch.full((len(batch),), 2), reduction="sum")
    loss.backward()
    np.testing.assert_allclose(found.output, out.detach().numpy(), rtol=1e-12)
    above = np.concatenate([found.direction(f"reader layer 1 {way}").h for way in ("forward", "backward")], axis=1)
    np.testing.assert_allclose(above, kept["reader"].detach().numpy(), rtol=1e-12)
    aside = found.direction("layer 2 backward")
    np.testing.assert_allclose(aside.h, kept["aside"].detach().numpy(), rtol=1e-12)
    assert aside.dh is not None and np.abs(aside.dh).max() > 1e-3


@pytest.mark.parametrize("name", POOLED)
def test_what_steps_moved_adds_up_over_all_branches(name: str) -> None:
    network = POOLED[name]
    weights = weights_of(network)
    batch: Any = batch_of(network, size=9, longest=20)
    found = attribute((network, weights), batch, target=0, steps=64)
    sums = np.bincount(np.repeat(np.arange(len(batch)), batch.lengths), found.scores, len(batch))
    change = found.output - found.baseline
    np.testing.assert_allclose(sums, change, atol=0.02 * np.abs(change).max())
    assert found.direction_scores is None
    executed = Executor(network, weights)(batch)[:, 0]
    np.testing.assert_allclose(found.output, executed, rtol=1e-12)
    left_out = attribute((network, weights), batch, target=0, method="occlusion")
    tokens = batch.tokens if isinstance(batch, Documents) else batch
    assert left_out.scores.shape == tokens.values.shape[:1]
