"""The loss towards how likely each class is: autograd's, and that of labels where one class is certain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autograd import Case
from programs import NETWORKS, weights_of
from tidegate import kernels
from tidegate.engine import Program, SoftCrossEntropy
from tidegate.errors import InputError, ShapeError
from tidegate.ragged import Ragged

SOFT = ["all ways of pooling", "every step"]


@pytest.mark.parametrize("name", SOFT)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-10), (np.float32, 2e-4)])
def test_the_gradient_towards_probabilities_is_that_of_autograd(name: str, dtype: Any, rtol: float) -> None:
    case = Case(NETWORKS[name], dtype)
    truth = np.random.default_rng(3).dirichlet(np.ones(case.network.output_size), len(case.labels))
    case.loss = SoftCrossEntropy(truth.astype(dtype), case.weight)
    lost, (loss, gradients) = case.found(), case.by_torch()
    assert lost.total == pytest.approx(loss, rel=rtol)
    for parameter, array in case.program.gradients.items():
        np.testing.assert_allclose(array, gradients[parameter], rtol=rtol, atol=rtol, err_msg=parameter)


@pytest.mark.parametrize("name", SOFT)
def test_a_class_that_is_certain_is_lost_like_a_label(name: str) -> None:
    case = Case(NETWORKS[name], np.float32)

    def bits() -> bytes:
        lost = case.found()
        return case.program.gradient_array.tobytes() + lost.losses.tobytes()

    hard = bits()
    case.loss = SoftCrossEntropy(np.eye(case.network.output_size)[case.labels], case.weight)
    active = kernels.active_isa()
    for isa in kernels.available_isas():
        kernels.use_isa(isa)
        found = bits()
        kernels.use_isa(active)
        assert found == hard, isa


@pytest.mark.parametrize(
    ("truth", "error", "told"),
    [
        ([[1.0, 0, 0]], ShapeError, r"truth is \[1, 3\]; \[2, 3\] is wanted"),
        ([[0.5, 0.5, 0], [0.5, 0.6, 0]], InputError, r"truth\[1\] is \[0.5, 0.6, 0.0\]; wanted probabilities"),
        ([[1.5, -0.5, 0], [1, 0, 0]], InputError, r"truth\[0\] is"),
        ([[1, 0, 0], [np.nan, 1, 0]], InputError, r"truth\[1\] is"),
    ],
)
def test_what_is_no_probability_is_named(truth: Any, error: type[Exception], told: str) -> None:
    network = NETWORKS["all ways of pooling"]
    program = Program(network, weights_of(network))
    with pytest.raises(error, match=told):
        program.gradient(
            Ragged(np.array([1, 2, 3]), np.array([0, 2, 3])), SoftCrossEntropy(np.array(truth), np.ones(2))
        )
