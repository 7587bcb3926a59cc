"""Windows and spectrograms: which rows a frame is made of, how they stream, and what does not fit."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from programs import weights_of
from tidegate.errors import InputError
from tidegate.network import Ctc, Dense, Join, Network, Pool, Recurrent, Spectrogram, Window
from tidegate.nodes.part import MOST_STRIDE
from tidegate.nodes.spectrogram import FLOOR
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, StreamPool


def gru(size: int, **changes: Any) -> Recurrent:
    return Recurrent(cell="gru", input_size=size, hidden_size=3, **changes)


SOUND = Spectrogram(rate=1000, frame=40, hop=16, bands=5, low=20, high=500)
NETWORKS = {
    "frames that overlap": Network.of(Window(width=5, stride=2, size=2), gru(10)),
    "frames with gaps": Network.of(Window(width=2, stride=5, size=2), gru(4)),
    "single rows": Network.of(Window(width=1, stride=3, size=2), gru(2)),
    "frames of frames": Network.of(Window(width=3, stride=3, size=2), gru(6), Window(width=4, stride=2), gru(12)),
    "pooled": Network.of(Window(width=3, stride=2, size=2), gru(6), Pool(modes=("mean", "max", "last"))),
    "looking ahead": Network.of(Window(width=3, stride=2, size=2), gru(6, bidirectional=True)),
    "looking ahead, pooled": Network.of(
        gru(2, bidirectional=True), Window(width=3, stride=2), gru(18), Pool(modes=("mean",))
    ),
    "a sound": Network.of(
        SOUND, Window(width=2, stride=1), gru(10), Dense(in_features=3, out_features=4), Ctc(symbols=4)
    ),
    "joined": Network.of(
        Window(width=3, stride=2, size=2, name="wide"),
        Window(width=3, stride=2, size=2, reads="input", name="also"),
        Join(reads=("wide", "also")),
    ),
}  # fmt: skip


def test_a_window_puts_rows_side_by_side_and_zeros_behind_the_end() -> None:
    network = Network.of(Window(width=3, stride=2, size=1))
    batch = Ragged(np.arange(1.0, 7.0)[:, None], np.array([0, 4, 4, 5, 6]))
    found = Executor(network, {})(batch.with_values(batch.values.astype(np.float32)))
    assert found.tolist() == [[1, 2, 3], [3, 4, 0], [5, 0, 0], [6, 0, 0]]
    assert network.steps(np.array([4, 0, 1, 1])).tolist() == [2, 0, 1, 1]


def test_a_spectrogram_is_what_the_equations_say() -> None:
    """Against NumPy's Fourier transform, with bands written out from their definition."""
    rng = np.random.default_rng(0)
    samples = rng.normal(size=100)
    weights = {"0.mean": rng.normal(size=5), "0.scale": rng.uniform(0.5, 2, 5)}
    found = Executor(Network.of(SOUND), weights)(Ragged(samples[:, None], np.array([0, 100])))
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (20, 500))
    mel = np.linspace(low, high, 7)
    edges, hertz = 700 * (10 ** (mel / 2595) - 1), np.arange(33) * 1000 / 64
    padded, window = np.append(samples, np.zeros(40)), 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(40) / 40)
    for frame in range(7):
        power = np.abs(np.fft.rfft(padded[16 * frame : 16 * frame + 40] * window, 64)) ** 2
        for band in range(5):
            share = np.interp(hertz, edges[band : band + 3], [0, 1, 0], left=0, right=0)
            wanted = (np.log(power @ share + FLOOR) - weights["0.mean"][band]) * weights["0.scale"][band]
            assert found[frame, band] == pytest.approx(wanted, rel=1e-6, abs=1e-6)  # edges are rounded to 1e-6 Hz
    assert found.shape == (7, 5)


@pytest.mark.parametrize("name", NETWORKS)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_any_chunks_give_the_bits_of_the_whole(name: str, data: Any) -> None:
    network = NETWORKS[name]
    back = any(node.layers_back for node in network.nodes)
    executor = Executor(network, weights_of(network, np.float32))
    length = data.draw(st.integers(0, 300))
    rows = np.random.default_rng(length).normal(size=(length, network.input_size)).astype(np.float32)
    whole = executor(Ragged(rows, np.array([0, length])))
    stream = executor.stream(lookahead=2 * length + 1 if back else None)
    found, at = [], 0
    while at < length:
        size = data.draw(st.integers(1, 90))
        found.append(stream.push(rows[at : at + size]))
        stream = stream.resume(stream.state) if size % 3 == 0 else stream
        at += size
    last = stream.finish()
    if network.pools:
        assert last.tobytes() == whole.tobytes()
    else:
        assert np.concatenate([*found, last]).tobytes() == whole.tobytes()


def test_a_frame_is_answered_when_its_last_row_has_come() -> None:
    network = NETWORKS["frames that overlap"]
    stream = Executor(network, weights_of(network, np.float32)).stream()
    answers = [stream.step(row) is not None for row in np.ones((9, 2), np.float32)]
    assert answers == [False, False, False, False, True, False, True, False, True]
    assert len(stream.finish()) == 2  # frames 3 and 4 begin at rows 6 and 8
    assert stream.lookahead == 4


def test_sequences_of_a_pool_of_streams_are_where_they_are() -> None:
    network = NETWORKS["frames of frames"]
    executor = Executor(network, weights_of(network, np.float32))
    rng = np.random.default_rng(4)
    rows = [rng.normal(size=(size, 2)).astype(np.float32) for size in (31, 7, 64)]
    pool = StreamPool(executor, 3)
    slots = [pool.open() for _ in rows]
    parts: list[list[Any]] = [[] for _ in rows]
    for begin in range(0, 64, 5):
        for part, slot, each in zip(parts, slots, rows, strict=True):
            if begin < len(each):
                part.append(pool.push({slot: each[begin : begin + 5]})[slot])
    for part, slot, each in zip(parts, slots, rows, strict=True):
        part.append(pool.finish(slot))
        assert np.concatenate(part).tobytes() == executor(Ragged(each, np.array([0, len(each)]))).tobytes()


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ([Window(width=3, stride=2), gru(3)], "cannot come first"),
        ([gru(2), Pool(modes=("max",)), Window(width=3, stride=2)], "no steps are left"),
        ([Window(width=3, stride=2, size=4), gru(4)], "wants 4 features but gets 12"),
        ([gru(2), Window(width=2, stride=1, size=4)], "wants 4 features but gets 3"),
        ([Window(width=4096, stride=1, size=200), Dense(in_features=9, out_features=1)], "at most 524,288"),
        ([SOUND, gru(4)], "wants 4 features but gets 5"),
        ([gru(2), SOUND], "wants 1 features but gets 3"),
        ([Ctc(symbols=3), gru(3)], "must come last"),
        ([gru(2), Pool(modes=("max",)), Ctc(symbols=3)], "must come last and not follow a pool"),
        (
            [gru(2, name="every"), Window(width=1, stride=2, name="second"), Join(reads=("every", "second"))],
            "a row of every 2 steps is not a row of each step",
        ),
    ],
)
def test_what_does_not_fit_is_refused(nodes: list[Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Network.of(*nodes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"high": 501}, r"1000 samples a second tell of 0 to 500 Hz"),
        ({"low": 300, "high": 300}, "low must be below high"),
        ({"bands": 60}, "band 2 of 60 lies between two frequencies .* Ask for fewer bands"),
    ],
)
def test_bands_that_no_frame_can_tell_apart_are_refused(changes: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Spectrogram(**SOUND.model_dump(exclude={"kind", "name", "reads"}) | changes)


def test_a_sound_is_checked_without_its_basis_and_one_that_is_too_large_is_refused() -> None:
    most: dict[str, Any] = {"rate": 400_000, "frame": 2**14, "hop": 1, "bands": 1, "low": 0}
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"basis of 268,402,688 numbers; at most 33,554,432 are allowed\. Take"):
            Spectrogram(**most, high=200_000)
        Spectrogram(**most, high=24_000)  # of 32,210,944 numbers, 246 MiB
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_strides_that_multiply_up_are_refused_and_the_largest_runs_live() -> None:
    wide = Window(width=1, stride=2**12, size=1)
    most = Network.of(wide, Window(width=1, stride=2**8), Dense(in_features=1, out_features=1))
    assert most.gives[-1].stride == MOST_STRIDE
    executor = Executor(most, {"2.weight": np.ones((1, 1), np.float32), "2.bias": np.zeros(1, np.float32)})
    pushed = executor.stream().push(np.arange(MOST_STRIDE + 1, dtype=np.float32)[:, None])
    assert pushed.ravel().tolist() == [0, MOST_STRIDE]
    told = r"node 1 \(window\) keeps one row of every 16,777,216 steps .* 1,048,576"
    for windows in (2, 5, 6):
        nodes: list[Any] = [
            wide,
            *[Window(width=1, stride=2**12)] * (windows - 1),
            Dense(in_features=1, out_features=1),
        ]
        with pytest.raises(InputError, match=told):
            Network.of(*nodes)
        with pytest.raises(InputError, match=told):
            Network.from_json(json.dumps({"version": 1, "nodes": [node.model_dump(mode="json") for node in nodes]}))
    with pytest.raises(InputError, match="keeps one row of every 2,097,152 steps"):
        Network.of(SOUND.model_copy(update={"hop": 2**9}), Window(width=1, stride=2**12))


def test_what_is_joined_must_come_at_the_same_time() -> None:
    network = Network.of(
        Window(width=4, stride=2, size=2, name="long"),
        Window(width=2, stride=2, size=2, reads="input", name="short"),
        Join(reads=("long", "short")),
    )
    with pytest.raises(InputError, match="'long' 3, 'short' 1"):
        Executor(network, {}).stream()
