"""Targets of pairs, taken on token by token: the bits of the whole, whatever else is decoded beside them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from couples import COUPLES
from programs import batch_of, weights_of
from tidegate import kernels
from tidegate.errors import InputError, ShapeError
from tidegate.network import Attend, Dense, Embed, Network, Pool, Recurrent, Take
from tidegate.pairs import Pairs
from tidegate.ragged import Ragged
from tidegate.runtime import Decoder, Executor

Array = npt.NDArray[Any]
TRANSLATORS = {name: network for name, network in COUPLES.items() if name.startswith("a translation")}
USUAL = COUPLES["a translation of two hops"]


def pairs_of(network: Network, size: int = 9) -> Pairs:
    batch = batch_of(network, size=size, longest=23)
    assert isinstance(batch, Pairs)
    return batch


def whole(network: Network, weights: dict[str, Array], pairs: Pairs) -> tuple[list[Array], list[list[Array]]]:
    """Return the rows of each target, and the attention of each hop, by sequence."""
    recording = Executor(network, weights).record(pairs)
    rows = np.split(recording.output, np.cumsum(pairs.target.lengths)[:-1])
    hops = [index for index, node in enumerate(network.nodes) if node.kind == "attend"]
    return rows, [recording.attention(index) for index in hops]


def begun(network: Network, weights: dict[str, Array], sources: Ragged, capacity: int) -> tuple[Decoder, list[int]]:
    decoder = Decoder(network, weights, capacity)
    return decoder, decoder.open(sources)


@pytest.mark.parametrize("name", TRANSLATORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threads", [1, 3])
def test_step_by_step_gives_the_bits_of_the_whole(name: str, dtype: Any, threads: int) -> None:
    network = TRANSLATORS[name]
    weights, pairs = weights_of(network, dtype), pairs_of(network)
    rows, hops = whole(network, weights, pairs)
    decoder = Decoder(network, weights, len(pairs), threads=threads)
    sources = decoder.open(pairs.source)
    decoder.start(range(len(pairs)), sources)
    targets = [np.asarray(target) for target in pairs.target]
    for step in range(max(map(len, targets))):
        slots = [slot for slot in reversed(range(len(pairs))) if len(targets[slot]) > step]
        scores = decoder.step(slots, [targets[slot][step] for slot in slots])
        attention = decoder.attention()
        for at, slot in enumerate(slots):
            assert scores[at].tobytes() == rows[slot][step].tobytes()
            for hop, found in zip(hops, attention, strict=True):
                assert found[at].tobytes() == hop[slot][step].tobytes()


def test_every_instruction_set_decodes_alike() -> None:
    weights, pairs = weights_of(USUAL, np.float32), pairs_of(USUAL)
    active, found = kernels.active_isa(), set()
    try:
        for isa in kernels.available_isas():
            kernels.use_isa(isa)
            decoder, sources = begun(USUAL, weights, pairs.source, len(pairs))
            decoder.start(range(len(pairs)), sources)
            steps = [decoder.step(range(len(pairs)), [token] * len(pairs)).tobytes() for token in (1, 7, 39)]
            found.add((*steps, *(w.tobytes() for hop in decoder.attention() for w in hop)))
    finally:
        kernels.use_isa(active)
    assert len(found) == 1


def test_a_copy_goes_on_from_where_the_other_stood_and_takes_its_source_along() -> None:
    weights, pairs = weights_of(USUAL), pairs_of(USUAL)
    decoder, sources = begun(USUAL, weights, pairs.source, 4)
    decoder.start([0, 1], [sources[2], sources[8]])
    decoder.step([0, 1], [5, 6])
    decoder.copy([1, 0, 1], [0, 1, 3])  # at once: 0 and 1 change places
    found = decoder.step([0, 1, 3], [9, 9, 8])
    told = [(8, [6, 9]), (2, [5, 9]), (8, [6, 8])]
    for row, (source, target) in zip(found, told, strict=True):
        alone = Pairs(pairs.source.select([source]), Ragged.from_list([target]))
        assert row.tobytes() == Executor(USUAL, weights)(alone)[-1].tobytes()


def test_sources_come_and_go_while_others_go_on() -> None:
    weights, pairs = weights_of(USUAL), pairs_of(USUAL)
    decoder, sources = begun(USUAL, weights, pairs.source.select([0, 1]), 2)
    decoder.start([0], sources[:1])
    decoder.step([0], [3])
    decoder.close(sources[1])
    (third,) = decoder.open(pairs.source.select([8]))
    assert third == sources[1]  # the number is free again
    decoder.start([1], [third])
    found = decoder.step([0, 1], [4, 5])
    for row, source, target in zip(found, (0, 8), ([3, 4], [5]), strict=True):
        alone = Pairs(pairs.source.select([source]), Ragged.from_list([target]))
        assert row.tobytes() == Executor(USUAL, weights)(alone)[-1].tobytes()


def test_an_empty_source_can_be_decoded() -> None:
    weights = weights_of(USUAL)
    decoder, sources = begun(USUAL, weights, Ragged(np.empty(0, np.int64), np.array([0, 0])), 1)
    decoder.start([0], sources)
    found = decoder.step([0], [4])
    assert [weights.shape for hop in decoder.attention() for weights in hop] == [(0,), (0,)]
    none = Pairs(Ragged(np.empty(0, np.int64), np.array([0, 0])), Ragged.from_list([[4]]))
    assert found.tobytes() == Executor(USUAL, weights)(none).tobytes()


def test_next_to_nothing_is_decoded() -> None:
    decoder, sources = begun(USUAL, weights_of(USUAL), Ragged(np.empty(0, np.int64), np.array([0])), 1)
    decoder.start([], [])
    decoder.copy([], [])
    assert sources == []
    assert decoder.step([], []).shape == (0, 40)
    assert decoder.attention() == [[], []]


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda d: d.start([0, 2], [0, 0]), InputError, "slots are whole numbers from 0"),
        (lambda d: d.start([0, 0], [0, 0]), InputError, "each named once"),
        (lambda d: d.start([-1], [0]), InputError, "slots are whole numbers from 0"),
        (lambda d: d.start([0], [7]), InputError, "source 7 is not open"),
        (lambda d: d.start([0], [0, 1]), ShapeError, "2 sources came for 1 slots"),
        (lambda d: d.start([0.5], [0]), ShapeError, "slots are float64"),
        (lambda d: d.close(7), InputError, "source 7 is not open"),
        (lambda d: d.step([1], [3]), InputError, "Start it first"),
        (lambda d: d.step([0], [40]), InputError, "token id 40 of slot 0 is out of range; the vocabulary has 40 ids"),
        (lambda d: d.step([0], [2**40]), InputError, "token id 1099511627776 of slot 0"),
        (lambda d: d.step([0], [1, 2]), ShapeError, "2 ids came for 1 slots"),
        (
            lambda d: d.step([0], [1], out=np.empty((1, 3))),
            ShapeError,
            r"out is float64 \[1, 3\]; .*\[1, 40\] is wanted",
        ),
        (lambda d: d.copy([0, 0], [1, 1]), InputError, "each named once"),
        (lambda d: d.copy([2], [1]), InputError, "slots are whole numbers from 0"),
        (lambda d: d.open(Ragged.from_list([[1, 40]])), InputError, "token id 40 at position 1"),
        (lambda d: d.open(Ragged.from_list([[1.5]])), ShapeError, "source holds float64"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(call: Any, error: type[Exception], told: str) -> None:
    weights = weights_of(USUAL)
    decoder, sources = begun(USUAL, weights, Ragged.from_list([[3, 4], [5]]), 2)
    decoder.start([0], sources[:1])
    decoder.step([0], [6])
    with pytest.raises(error, match=told):
        call(decoder)
    rows = Executor(USUAL, weights)(Pairs(Ragged.from_list([[3, 4]]), Ragged.from_list([[6, 7]])))
    assert decoder.step([0], [7]).tobytes() == rows[1:].tobytes()


def test_the_slots_of_a_closed_source_are_to_be_started_anew() -> None:
    decoder, sources = begun(USUAL, weights_of(USUAL), Ragged.from_list([[3, 4], [5]]), 2)
    decoder.start([0, 1], sources)
    decoder.close(sources[0])
    with pytest.raises(InputError, match="Start it first"):
        decoder.step([0], [1])
    assert np.isfinite(decoder.step([1], [1])).all()


WIDE = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from tidegate.errors import InputError
from tidegate.network import Attend, Embed, Network, Take, parameter_shapes
from tidegate.ragged import Ragged
from tidegate.runtime import Decoder

width, size, longest = map(int, sys.argv[1:])  # of a row that is attended to; what is kept of it; rows
hops = [Attend(memory="source", reads=read, score="additive", query_size=width, memory_size=width, size=size, name=name)
        for read, name in (("target", "first"), ("first", "second"))]
words = Embed(vocabulary_size=9, size=width, name="words")
sides = [Take(side=side, reads="words", name=side) for side in ("source", "target")]
network = Network.of(words, *sides, *hops)
rng = np.random.default_rng(0)
weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in parameter_shapes(network).items()}
made = lambda size, longest: Ragged.from_list([rng.integers(9, size=longest).tolist() for _ in range(size)])
few, many = made(2, 5), made(60, longest)

def said(decoder, source):
    decoder.start([0], [source])
    return decoder.step([0], [3]).tobytes()

first = Decoder(network, weights, 1, threads=1)
wanted = [said(first, source) for source in first.open(few)]
decoder, refused = Decoder(network, weights, 1, threads=1), 0
assert decoder.open(few) == [0, 1]
decoder.close(0)

def check():
    \"\"\"Nothing was opened: the numbers that were free still are, and what was open says what it said.\"\"\"
    assert said(decoder, 1) == wanted[1]
    assert decoder.open(few) == [0, 2]
    assert [said(decoder, source) for source in (0, 2)] == wanted
    decoder.close(0)
    decoder.close(2)
"""

OUT_OF_MEMORY = """
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
for room in range(20, 300, 40):
    resource.setrlimit(resource.RLIMIT_AS, (used + (room << 20), resource.RLIM_INFINITY))
    try:
        opened = decoder.open(many)
    except MemoryError:
        opened, refused = [], refused + 1
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for source in opened:
        decoder.close(source)
    check()
assert refused > 2, refused
"""

INTERRUPTED = """
import time

def stop(*_):
    if time.process_time() < begun + 0.05:  # sources are still read, which is a thirtieth of the work
        return
    try:
        decoder.attention()
    except InputError:  # it is at work just now
        raise KeyboardInterrupt

signal.signal(signal.SIGALRM, stop)
for _ in range(3):
    begun = time.process_time()
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        decoder.open(many)
    except KeyboardInterrupt:
        refused += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    check()
assert refused == 3, refused
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
@pytest.mark.parametrize(
    ("trouble", "sizes"),
    [(OUT_OF_MEMORY, ("4", "1000", "500")), (INTERRUPTED, ("500", "3000", "100"))],
    ids=["out of memory", "interrupted"],
)
def test_sources_are_opened_all_or_none(trouble: str, sizes: tuple[str, str, str]) -> None:
    """Most memory is taken, and most of the time spent, when they have been read, and are kept one after the other."""
    code = [sys.executable, "-c", WIDE + trouble, *sizes]
    done = subprocess.run(code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


WORDS = Embed(vocabulary_size=9, size=4, name="words")
READ = Recurrent(cell="gru", input_size=4, hidden_size=3)


def sources_that_read_targets(*, attends: bool) -> Network:
    """Make an encoder that attends to targets, or begins with what these say."""
    target = Take(side="target", reads="words", name="target"), READ.model_copy(update={"name": "decoder"})
    read: tuple[Any, ...]
    if attends:
        read = Take(side="source", reads="words"), Attend(memory="decoder", query_size=4, memory_size=3, name="encoder")
    else:
        said = Pool(modes=("last",), reads="decoder", name="said")
        read = said, Take(side="source", reads="words"), READ.model_copy(update={"starts": "said", "name": "encoder"})
    last = Attend(memory="encoder", query_size=3, memory_size=3, reads="decoder")
    return Network.of(WORDS, *target, *read, last)


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (Network.of(WORDS, READ), "answers no targets of pairs"),
        (Network.of(WORDS, Take(side="source"), READ), "answers no targets of pairs"),
        (Network.of(WORDS, Take(side="target"), READ, Pool(modes=("last",))), "answers no targets of pairs"),
        (
            Network.of(WORDS, Take(side="target"), READ.model_copy(update={"bidirectional": True})),
            "a layer that runs backward has no look-ahead",
        ),
        (COUPLES["a text that attends to itself"], "attends to rows that are not known yet"),
        (sources_that_read_targets(attends=True), "made of sources reads targets"),
        (sources_that_read_targets(attends=False), "made of sources reads targets"),
    ],
)
def test_a_network_that_makes_no_targets_step_by_step_is_refused(network: Network, told: str) -> None:
    with pytest.raises(InputError, match=f"cannot be decoded token by token: .*{told}"):
        Decoder(network, weights_of(network), 1)


@pytest.mark.parametrize("capacity", [0, -1, 2.0, None, 2**20 + 1])
def test_a_capacity_is_a_number_of_slots(capacity: Any) -> None:
    with pytest.raises(InputError, match="wanted the number of slots"):
        Decoder(USUAL, weights_of(USUAL), capacity)


def test_a_pool_of_streams_refuses_pairs() -> None:
    with pytest.raises(InputError):
        Executor(USUAL, weights_of(USUAL)).stream()
    assert Network.of(WORDS, Dense(in_features=4, out_features=2)).reads_pairs is False
