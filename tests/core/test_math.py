"""log, exp, sigmoid and tanh of the kernels: 2 ULP at most, odd where they should be, exact at the ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tidegate import kernels
from tidegate.errors import ShapeError

Array = NDArray[Any]
SMALLEST = {np.float32: 1.1754943508222875e-38, np.float64: 2.2250738585072014e-308}


@pytest.fixture(params=kernels.available_isas(), autouse=True)
def _each_isa(request: pytest.FixtureRequest) -> Iterator[None]:
    before = kernels.active_isa()
    kernels.use_isa(request.param)
    yield
    kernels.use_isa(before)


def exact_sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e / (1 + e), 1 / (1 + e))


EXACT: dict[str, Callable[[Array], Array]] = {"sigmoid": exact_sigmoid, "tanh": np.tanh, "log": np.log}


def apply(x: Array, name: str) -> Array:
    return kernels.log(x) if name == "log" else kernels.activate(x, name)


def assert_within_2_ulp(name: str, x: Array, wide: type) -> None:
    """Compare with a wider type; a result below the smallest normal number may be zero."""
    kind = x.dtype.type
    if name == "log":
        x = np.abs(x)[np.abs(x) >= SMALLEST[kind]]
    want = EXACT[name](x.astype(wide))
    got = apply(x, name)
    ulp = np.maximum(np.spacing(np.abs(want).astype(kind)).astype(wide), np.finfo(kind).smallest_normal * 2.0**-23)
    error = np.abs(got.astype(wide) - want) / ulp
    flushed = (np.abs(want) <= SMALLEST[kind]) & (np.abs(got) <= SMALLEST[kind])
    worst = int(np.argmax(np.where(flushed, 0, error)))
    assert error[worst] <= 2.0 or flushed[worst], f"{name}({x[worst]!r}) = {got[worst]!r}, {error[worst]:.2f} ULP off"


def floats(start: int, stop: int, step: int) -> Array:
    """Read the bit patterns start, start + step, ... as float32."""
    x = np.arange(start, stop, step, dtype=np.uint64).astype(np.uint32).view(np.float32)
    return x[np.isfinite(x)]


@pytest.mark.parametrize("name", EXACT)
def test_a_dense_sample_of_all_floats_is_within_2_ulp(name: str) -> None:
    assert_within_2_ulp(name, floats(0, 2**32, 10007), np.float64)
    assert_within_2_ulp(name, np.linspace(-20, 20, 200_001, dtype=np.float32), np.float64)
    assert_within_2_ulp(name, np.linspace(-104, -80, 50_001, dtype=np.float32), np.float64)


@pytest.mark.parametrize("name", EXACT)
def test_doubles_are_within_2_ulp(name: str) -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=50_000) * s for s in (1e-12, 1e-3, 0.3, 3.0, 30.0, 300.0)])
    assert_within_2_ulp(name, x, np.longdouble)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXACT)
def test_every_float_is_within_2_ulp(name: str) -> None:
    if kernels.active_isa() == "scalar":
        pytest.skip("equal to the vector forms to the bit, and too slow for all floats")
    for start in range(0, 2**32, 2**24):
        x = floats(start, start + 2**24, 1)
        if len(x) and (name != "log" or np.abs(x[-1]) >= SMALLEST[np.float32]):
            assert_within_2_ulp(name, x, np.float64)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_ends_are_exact(kind: type) -> None:
    x: Array = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e30, -1e30, 100.0, -750.0], kind)
    np.testing.assert_array_equal(kernels.activate(x, "sigmoid"), np.array([1, 0, np.nan, 0.5, 0.5, 1, 0, 1, 0], kind))
    tanh = kernels.activate(x, "tanh")
    np.testing.assert_array_equal(tanh, np.array([1, -1, np.nan, 0, -0.0, 1, -1, 1, -1], kind))
    assert np.signbit(tanh[4]) and not np.signbit(tanh[3])
    relu = kernels.activate(x, "relu")
    np.testing.assert_array_equal(relu, np.array([np.inf, 0, np.nan, 0, 0, 1e30, 0, 100, 0], kind))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_logarithms_near_one_and_at_the_ends(kind: Any) -> None:
    near: Array = (1 + np.linspace(-0.5, 0.5, 200_001)).astype(kind)
    assert_within_2_ulp("log", near, np.longdouble)
    found = kernels.log(np.array([1.0, 0.0, -0.0, SMALLEST[kind] / 4, np.inf, -1.0, -np.inf, np.nan], kind))
    np.testing.assert_array_equal(found, np.array([0, -np.inf, -np.inf, -np.inf, np.inf, np.nan, np.nan, np.nan], kind))


def test_exponentials_are_within_2_ulp_and_of_one_kind_of_bits() -> None:
    x = np.concatenate([-np.geomspace(1e-300, 300, 100_001), np.linspace(-300, 0, 100_001)])
    found, want = kernels.exp(x), np.exp(x.astype(np.longdouble))
    assert (np.abs(found - want) <= 2 * np.spacing(want.astype(np.float64))).all()
    alone = np.concatenate([kernels.exp(part, num_threads=1) for part in np.array_split(x, 1001)])
    isa = kernels.active_isa()
    kernels.use_isa("scalar")
    scalar = kernels.exp(x, num_threads=3)
    kernels.use_isa(isa)
    assert found.tobytes() == alone.tobytes() == scalar.tobytes()
    ends = kernels.exp(np.array([[0.0, -0.0, np.nan], [-1e9, -np.inf, -300.0]]))
    np.testing.assert_array_equal(ends, [[1, 1, np.nan], [ends[1, 2]] * 3])
    assert kernels.exp(np.empty((0, 3))).shape == (0, 3)
    with pytest.raises(ShapeError, match="float32; float64 is wanted"):
        kernels.exp(x.astype(np.float32))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_tanh_is_odd_and_sigmoid_mirrors(kind: type) -> None:
    x: Array = np.concatenate([np.linspace(0, 25, 40_001), np.geomspace(1e-30, 1, 5_001)]).astype(kind)
    np.testing.assert_array_equal(kernels.activate(-x, "tanh"), -kernels.activate(x, "tanh"))
    both = kernels.activate(x, "sigmoid") + kernels.activate(-x, "sigmoid")
    np.testing.assert_allclose(both, 1, rtol=float(2 * np.finfo(kind).eps))


def test_the_bits_are_those_of_the_scalar_form() -> None:
    now = kernels.active_isa()
    x = np.concatenate([floats(0, 2**32, 40009), np.linspace(-20, 20, 30_001, dtype=np.float32)])
    for array in (x, x.astype(np.float64)):
        for name in ("sigmoid", "tanh", "relu", "log"):
            given = array[array > 0] if name == "log" else array
            got = apply(given, name)
            kernels.use_isa("scalar")
            np.testing.assert_array_equal(apply(given, name).view(np.uint8), got.view(np.uint8))
            kernels.use_isa(now)
