"""What kernels refuse, and what they survive: names, shapes, types, ids out of range, empty batches, many callers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import cases
from tidegate import kernels
from tidegate.errors import InputError, OptionError, ShapeError


def test_an_unknown_isa_is_refused_and_nothing_changes() -> None:
    before = kernels.active_isa()
    with pytest.raises(OptionError, match="'avx51'"):
        kernels.use_isa("avx51")
    assert kernels.active_isa() == before


def run_python(
    code: str, environment: Mapping[str, str] | None = None, *, limit: float | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=limit,
    )


def test_the_environment_chooses_isa_and_threads() -> None:
    code = "from tidegate import kernels as k; print(k.active_isa(), k.get_num_threads(), k.explicit_num_threads())"
    for isa in kernels.available_isas():
        out = run_python(code, {"TIDEGATE_ISA": isa, "TIDEGATE_NUM_THREADS": "3"})
        assert out.stdout.split() == [isa, "3", "3"], out.stderr


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("TIDEGATE_ISA", "mmx", "ISA 'mmx'"), ("TIDEGATE_NUM_THREADS", "0", "at least 1")],
)
def test_an_environment_that_cannot_be_obeyed_is_an_error(name: str, value: str, message: str) -> None:
    out = run_python("import tidegate.kernels", {name: value})
    assert out.returncode == 1 and message in out.stderr.splitlines()[-1]


def test_the_number_of_threads_is_set_and_checked() -> None:
    before = kernels.explicit_num_threads()
    try:
        kernels.set_num_threads(3)
        assert kernels.get_num_threads() == kernels.explicit_num_threads() == 3
        with pytest.raises(InputError, match="at least 1"):
            kernels.set_num_threads(0)
    finally:
        kernels.set_num_threads(before)


def changed(**fields: Any) -> Callable[[cases.Case], cases.Case]:
    return lambda case: replace(case, **fields)


def first_direction(**fields: Any) -> Callable[[cases.Case], cases.Case]:
    return lambda case: replace(case, directions=(replace(case.directions[0], **fields), case.directions[1]))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (changed(cell="lstn"), OptionError, "Did you mean 'lstm'"),
        (changed(table=np.zeros((11, 4), np.float32)), ShapeError, r"x is \[9, 4\] but \[9, 3\]"),
        (changed(table=np.zeros((11, 3), np.int32)), ShapeError, "int32"),
        (changed(offsets=np.array([0, 9, 4])), ShapeError, "offsets must ascend"),
        (changed(offsets=np.array([0, 4, 8])), ShapeError, "number of tokens, 9"),
        (changed(offsets=np.zeros(0, np.int64)), ShapeError, "offsets"),
        (changed(directions=()), ShapeError, "1 or 2 directions"),
        (first_direction(w_hh=np.zeros((21, 5), np.float32)), ShapeError, "w_hh"),
        (first_direction(b_hh=np.zeros(19, np.float32)), ShapeError, r"b_hh is \[19\] but \[20\]"),
        (first_direction(h0=np.zeros((3, 5), np.float32)), ShapeError, r"h0 is \[3, 5\] but \[2, 5\]"),
        (first_direction(w_ih=np.zeros((20, 3), np.float64)), ShapeError, "w_ih holds float64"),
        (first_direction(mask=np.zeros((2, 4), np.float32)), ShapeError, "mask"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    change: Callable[[cases.Case], cases.Case], error: type[Exception], message: str
) -> None:
    case = cases.make("lstm", [4, 5], 3, 5)
    with pytest.raises(error, match=message):
        change(case).forward()


@pytest.mark.parametrize("bad", [-1, 11, 2**40])
def test_an_id_outside_the_table_names_its_place(bad: int) -> None:
    case = cases.make("gru", [4, 0, 5], 3, 5)
    ids = case.ids.copy()
    ids[6] = bad
    with pytest.raises(InputError, match=rf"token 6 \(sequence 2, step 2\) has id {bad}, .* 0 to 10"):
        kernels.forward("gru", ids, case.offsets, case.directions, table=case.table)


def test_backward_needs_what_forward_kept() -> None:
    case = cases.make("lstm", [4], 3, 5)
    run = kernels.forward("lstm", case.x, case.offsets, case.directions)
    assert run.gates is None and run.memo is None
    with pytest.raises(InputError, match="keep=True"):
        case.backward(run)


@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize("lengths", [[], [0], [0, 0, 0]])
def test_empty_batches_leave_the_initial_state(cell: str, lengths: list[int]) -> None:
    case = cases.make(cell, lengths, 3, 5)
    run = case.forward()
    gradients = case.backward(run)
    assert run.h.shape == (0, 10)
    for d, direction in enumerate(case.directions):
        np.testing.assert_array_equal(run.hn[d], direction.h0)
        np.testing.assert_array_equal(gradients.directions[d].h0, case.dhn[d])
        assert not gradients.directions[d].w_hh.any() and not gradients.directions[d].w_ih.any()


def test_strided_input_gives_the_bits_of_its_copy() -> None:
    case = cases.make("lstm", [4, 5], 3, 5)
    wide = np.repeat(case.x, 2, axis=1)[:, ::2]
    assert not wide.flags.c_contiguous
    run = kernels.forward("lstm", wide, case.offsets, case.directions)
    np.testing.assert_array_equal(run.h, case.forward().h)


def test_nan_stays_in_its_sequence() -> None:
    case = cases.make("lstm", [4, 5], 3, 40)
    x = case.x
    x[1] = np.nan
    run = kernels.forward("lstm", x, case.offsets, [case.directions[0]])
    assert np.isfinite(run.h[0]).all() and np.isnan(run.h[1:4]).all() and np.isfinite(run.h[4:]).all()


def test_many_callers_at_once_get_the_bits_of_one() -> None:
    case = cases.make("lstm", [20, 31, 4] * 8, 8, 33)
    want = case.forward().h.tobytes()
    wrong: list[int] = []

    def work(caller: int) -> None:
        wrong.extend(caller for _ in range(20) if case.forward(num_threads=3).h.tobytes() != want)

    callers = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_its_own_threads() -> None:
    case = cases.make("lstm", [20, 31, 4] * 8, 8, 33)
    want = case.forward(num_threads=3).h.tobytes()
    child = os.fork()
    if child == 0:
        os._exit(0 if case.forward(num_threads=3).h.tobytes() == want else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


TEAM_AFTER_TASKS = """
import numpy as np
from tidegate import kernels

rng = np.random.default_rng(0)
both = [kernels.Direction(rng.normal(size=(363, 700)), rng.normal(size=(363, 363)), reverse=r) for r in (False, True)]
x, offsets = rng.normal(size=(4, 700)), np.array([0, 4])
for _ in range(150):
    for threads in (3, 4, 6, 8, 3, 3):
        kernels.forward("rnn_tanh", x, offsets, both, num_threads=threads)
"""


def test_threads_that_come_late_to_other_work_join_the_next_team_once() -> None:
    """The projection of the input is over before all threads have come to it; the team's steps follow at once."""
    done = run_python(TEAM_AFTER_TASKS, limit=240)
    assert done.returncode == 0, done.stderr


OUT_OF_MEMORY = """
import resource
from pathlib import Path
import numpy as np
from tidegate import kernels

def run(tokens, hidden):
    rng = np.random.default_rng(0)
    normal = lambda *shape: rng.normal(size=shape).astype(np.float32)
    both = [
        kernels.Direction(normal(4 * hidden, 8), normal(4 * hidden, hidden), None, None, reverse=reverse)
        for reverse in (False, True)
    ]
    ids, offsets = rng.integers(0, 100, tokens).astype(np.int32), np.linspace(0, tokens, 129).astype(int)
    table = normal(100, 8)
    forward = kernels.forward("lstm", ids, offsets, both, table=table, keep=True)
    kernels.backward("lstm", ids, offsets, both, forward, np.ones_like(forward.h), table=table)
    return forward.h

kernels.set_num_threads(4)
before = run(1000, 8)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
refused = 0
for room in range(20, 300, 40):
    resource.setrlimit(resource.RLIMIT_AS, (used + (room << 20), resource.RLIM_INFINITY))
    try:
        run(40000, 64)
    except MemoryError:
        refused += 1
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert refused > 2, refused
np.testing.assert_array_equal(run(1000, 8), before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
def test_running_out_of_memory_is_an_error_and_the_next_call_works() -> None:
    done = run_python(OUT_OF_MEMORY)
    assert done.returncode == 0, done.stderr
