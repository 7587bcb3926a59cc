"""Series of noisy days, hour by hour, for whoever forecasts."""

from __future__ import annotations

import numpy as np

from tidegate.data.series import Roles, Series, make_series

HOURS = np.datetime64("2020-01-01", "ms") + np.arange(400) * np.timedelta64(3_600_000, "ms")


def waves(count: int = 300, *, name: str = "a", seed: int = 0, roles: Roles | None = None) -> Series:
    """Draw hours of noisy days, a column for each role."""
    roles = roles or Roles(("u", "v"))
    rng = np.random.default_rng(seed)
    turns = np.arange(count)[:, None] / 24 + np.arange(len(roles.columns)) / 5
    values = np.sin(2 * np.pi * turns) * 3 + 10 + rng.normal(0, 0.1, turns.shape)
    return make_series(name, HOURS[:count], values, roles)
