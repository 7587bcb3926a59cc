"""Numbers that are no state of a beam, however well they are packed, are refused before anything is read by them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate.kernels.decoding as core
from alignments import draw


def beam() -> core.Beam:
    made = core.Beam(2, 4, -7.0, None)
    core.push(made, draw(12, 2), 0, 12)
    return made


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_an_altered_number_is_refused_or_read_and_then_safe(data: st.DataObject) -> None:
    numbers = beam().write()
    at = data.draw(st.integers(0, len(numbers) - 1))
    numbers[at] = data.draw(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0, 1e9, 2.0**53, np.nan, np.inf, -np.inf]))
    other = core.Beam(2, 4, -7.0, None)
    try:
        other.read(numbers)
    except ValueError:
        assert other.write().tolist() == core.Beam(2, 4, -7.0, None).write().tolist()
        return
    core.push(other, draw(5, 2, 3), 0, 5)
    assert all(len(found[1]) == 2 * len(found[0]) for found in other.best(9))


@pytest.mark.parametrize("cut", [0, 1, 5, 8, -1])
def test_too_few_numbers_are_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="no state"):
        core.Beam(2, 4, -7.0, None).read(beam().write()[:cut])


def test_a_number_more_is_refused() -> None:
    with pytest.raises(ValueError, match="no state"):
        core.Beam(2, 4, -7.0, None).read(np.append(beam().write(), 0.0))
