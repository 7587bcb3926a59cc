"""Labels that are smoothed: torch's loss and gradient, whole and in parts, and no other bits where nothing is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autograd import Case
from couples import COUPLES
from programs import NETWORKS
from tidegate import kernels
from tidegate.engine import CrossEntropy, SoftCrossEntropy
from tidegate.errors import InputError

SMOOTHED = {
    "pooled": (NETWORKS["all ways of pooling"], {}),
    "every step": (NETWORKS["every step"], {}),
    "targets of pairs": (COUPLES["a translation of two hops"], {}),
    "a large vocabulary, lost in parts": (NETWORKS["tied"], {"size": 3, "longest": 600}),
}


@pytest.mark.parametrize("name", SMOOTHED)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-10), (np.float32, 2e-4)])
def test_the_gradient_is_that_of_torch(name: str, dtype: Any, rtol: float) -> None:
    network, batch = SMOOTHED[name]
    case = Case(network, dtype, **batch)
    case.loss = replace(case.loss, label_smoothing=0.15)
    lost, (loss, gradients) = case.found(), case.by_torch()
    assert lost.total == pytest.approx(loss, rel=rtol)
    largest = max(np.abs(array).max() for array in gradients.values())
    for parameter, array in case.program.gradients.items():
        np.testing.assert_allclose(array, gradients[parameter], rtol=rtol, atol=rtol * largest, err_msg=parameter)


def test_the_gradient_is_that_of_the_smoothed_truth() -> None:
    case = Case(NETWORKS["every step"])
    smoothed = case.program.gradient(case.batch, replace(case.loss, label_smoothing=0.3))
    gradient = case.program.gradient_array.copy()
    truth = 0.7 * np.eye(3)[case.labels] + 0.1
    other = case.program.gradient(case.batch, SoftCrossEntropy(truth, case.weight))
    np.testing.assert_allclose(smoothed.losses, other.losses, rtol=1e-12)
    np.testing.assert_allclose(gradient, case.program.gradient_array, rtol=1e-10, atol=1e-14)


def test_every_instruction_set_and_number_of_threads_smooths_alike() -> None:
    case = Case(COUPLES["a translation of two hops"], np.float32)
    case.loss = replace(case.loss, label_smoothing=0.1)
    active, threads, found = kernels.active_isa(), kernels.explicit_num_threads(), set()
    for isa in kernels.available_isas():
        kernels.use_isa(isa)
        for count in (1, 3):
            kernels.set_num_threads(count)
            losses = case.found().losses
            found.add(losses.tobytes() + case.program.gradient_array.tobytes())
    kernels.use_isa(active)
    kernels.set_num_threads(threads)
    assert len(found) == 1


def test_a_sequence_alone_is_smoothed_as_in_the_batch() -> None:
    case = Case(NETWORKS["every step"])
    loss = replace(case.loss, label_smoothing=0.2)
    together = case.program.gradient(case.batch, loss).losses
    rows = slice(int(case.batch.offsets[4]), int(case.batch.offsets[5]))
    alone = case.program.gradient(case.batch.select([4]), loss.alone(4, rows))
    assert alone.losses.tobytes() == together[4:5].tobytes()


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0, float("nan")])
def test_a_share_is_from_nought_to_one(share: float) -> None:
    with pytest.raises(InputError, match=r"label_smoothing=.*; a share from 0 up to but not 1 is wanted"):
        CrossEntropy(np.zeros(1, np.int64), np.ones(1), share)
