"""Each of both classifiers in turn, for tests that ask for `kind`."""

from __future__ import annotations

import pytest

from classifiers import KINDS, Kind


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]
