"""The search over outputs: against all outputs there are, alone and among others, and what it refuses."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from output_table import TableDecoder
from tidegate.errors import InputError
from tidegate.ragged import Ragged
from tidegate.runtime import Sampling
from tidegate.tasks.translating import searching
from tidegate.tasks.translating.choosing import best_continuations
from tidegate.tasks.translating.searching import ROWS, Hypothesis, Rules, Searcher

SOURCES = [(1, 2, 3), (2,), (3, 1), (1, 1, 2, 2), (3,)]
START, BARRED = 0, (0,)


def search(decoder: TableDecoder, rules: Rules, sources: Any = None, **more: Any) -> list[list[Hypothesis]]:
    given = Ragged.from_list([list(source) for source in (SOURCES if sources is None else sources)], dtype=np.int32)
    searcher = Searcher(decoder, start=START, end=decoder.size - 1, barred=BARRED)
    return searcher.search(given, rules, lengths=np.asarray(given.lengths), **more)


def plain(found: list[list[Hypothesis]]) -> list[Any]:
    return [
        [
            (one.ids.tolist(), one.score, one.log_probability, one.cut, *(a.tobytes() for a in one.attention))
            for one in each
        ]
        for each in found
    ]


def ranked(decoder: TableDecoder, source: tuple[int, ...], most: int, alpha: float, beta: float) -> list[Any]:
    rows = [
        (total / ((5 + len(ids) + 1) / 6) ** alpha + beta * sum(math.log(min(share, 1.0)) for share in read), ids)
        for ids, total, read in decoder.every(source, START, BARRED, most)
    ]
    return sorted(rows, key=lambda row: -row[0])


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 3.0])
@pytest.mark.parametrize("beta", [0.0, 0.3])
@pytest.mark.parametrize("n_best", [1, 4])
def test_a_beam_as_wide_as_all_outputs_finds_the_best_ones(alpha: float, beta: float, n_best: int) -> None:
    decoder = TableDecoder(5)
    rules = Rules(beam=200, n_best=n_best, length_penalty=alpha, coverage_penalty=beta, max_length=5)
    for source, found in zip(SOURCES, search(decoder, rules), strict=True):
        want = ranked(decoder, source, 5, alpha, beta)[:n_best]
        assert [tuple(one.ids.tolist()) for one in found] == [ids for _, ids in want]
        assert np.allclose([one.score for one in found], [score for score, _ in want], atol=1e-5)


def test_a_beam_of_one_takes_the_most_probable_token_of_each_step() -> None:
    decoder = TableDecoder(6)
    for source, (found,) in zip(SOURCES, search(decoder, Rules(beam=1, max_length=12)), strict=True):
        ids, total = [START], 0.0
        while len(ids) < 13 and ids[-1] != 5:
            logs = decoder.logs(source, tuple(ids), BARRED)
            ids.append(int(logs.argmax()))
            total += logs.max()
        assert found.ids.tolist() == [token for token in ids[1:] if token != 5]
        assert found.cut == (ids[-1] != 5)
        assert found.log_probability == pytest.approx(total, abs=1e-4)


@pytest.mark.parametrize(
    "rules",
    [
        Rules(beam=3, n_best=3, attention=True),
        Rules(beam=4, coverage_penalty=0.2, length_penalty=0.6),
        Rules(n_best=2, sampling=Sampling(seed=4, top_k=4, top_p=0.9), attention=True),
    ],
)
def test_an_input_gives_the_same_bits_alone_and_among_others(rules: Rules) -> None:
    whole = plain(search(TableDecoder(90, shift=3), rules))
    for source, want in zip(SOURCES, whole, strict=True):
        assert plain(search(TableDecoder(90, shift=3), rules, [source])) == [want]
    assert plain(search(TableDecoder(90, shift=3), rules, SOURCES[::-1]))[::-1] == whole
    many = [SOURCES[index % 5] for index in range(200)]  # more than are searched at a time
    assert plain(search(TableDecoder(90, shift=3), rules, many)) == [whole[index % 5] for index in range(200)]


def test_a_search_ends_as_soon_as_no_output_to_come_can_be_better() -> None:
    decoder = TableDecoder(30, shift=6)
    search(decoder, Rules(beam=5, length_penalty=0.0, max_length=50))
    assert decoder.rows < 100


def test_an_output_that_does_not_end_is_cut_off_and_says_so() -> None:
    decoder = TableDecoder(6, shift=-50)
    for source, found in zip(SOURCES, search(decoder, Rules(beam=2, n_best=2)), strict=True):
        assert [one.cut for one in found] == [True, True]
        assert [len(one.ids) for one in found] == [2 * len(source) + 10] * 2


def test_what_an_output_read_is_kept_through_the_beam() -> None:
    decoder = TableDecoder(8)
    for source, found in zip(SOURCES, search(decoder, Rules(beam=4, n_best=3, attention=True)), strict=True):
        for one in found:
            steps = [START, *one.ids.tolist()][: len(one.ids) + (not one.cut)]
            want = [decoder.reading(source, tuple(steps[: at + 1])) for at in range(len(steps))]
            assert [hop.tolist() for hop in one.attention] == [np.stack(want).tolist()]


def test_outputs_begin_with_the_prefix_that_is_wanted() -> None:
    prefixes = [np.array(ids, np.int32) for ids in ((1, 2), (), (3,), (2, 2, 2), ())]
    free = search(TableDecoder(6), Rules(beam=3))
    for rules in (Rules(beam=3, n_best=2), Rules(sampling=Sampling(seed=1))):
        found = search(TableDecoder(6), rules, prefixes=prefixes)
        for own, prefix in zip(found, prefixes, strict=True):
            assert all(one.ids[: len(prefix)].tolist() == prefix.tolist() for one in own)
    assert plain([found[1], found[4]]) != []
    forced = search(TableDecoder(6), Rules(beam=3), prefixes=prefixes)
    assert plain([forced[1], forced[4]]) == plain([free[1], free[4]])


def test_a_long_prefix_leaves_as_much_room_behind_it() -> None:
    prefix, never = np.array([1, 2, 3] * 10, np.int32), TableDecoder(6, shift=-50)
    (found,) = search(never, Rules(beam=2), [(1, 2)], prefixes=[prefix])[0]
    assert found.cut and len(found.ids) == 30 + 2 * 2 + 10
    assert found.ids[:30].tolist() == prefix.tolist()
    assert len(search(never, Rules(beam=2, max_length=31), [(1, 2)], prefixes=[prefix])[0][0].ids) == 31
    with pytest.raises(InputError, match="max_length=30, and a prefix has 30 tokens"):
        search(never, Rules(beam=2, max_length=30), [(1, 2)], prefixes=[prefix])


@pytest.mark.parametrize("where", ["start", "step"])
def test_a_search_that_is_interrupted_leaves_no_source_open(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    decoder = TableDecoder(6)
    monkeypatch.setattr(decoder, where, interrupt)
    with pytest.raises(KeyboardInterrupt):
        search(decoder, Rules())
    assert decoder.sources == {}


def test_for_copies_only_the_token_that_was_read_most_is_kept() -> None:
    decoder = TableDecoder(8)
    whole = search(decoder, Rules(beam=4, n_best=3, attention=True))
    for each, found in zip(whole, search(decoder, Rules(beam=4, n_best=3), copies=True), strict=True):
        for one, other in zip(each, found, strict=True):
            assert other.attention == () and one.most_read == ()
            inner = one.attention[0][:, :-1]
            assert list(other.most_read) == (inner.argmax(axis=1).tolist() if inner.size else [0] * len(inner))


def test_long_sources_are_searched_few_at_a_time() -> None:
    decoder = TableDecoder(6)
    opened = []
    open_as_before = decoder.open

    def counted(sources: Ragged) -> Any:
        opened.append(np.asarray(sources.lengths).tolist())
        return open_as_before(sources)

    decoder.open = counted  # type: ignore[method-assign]
    lengths = [5000] * 12 + [3] * 60 + [300_000]
    search(decoder, Rules(beam=5, max_length=1), [(1,) * length for length in lengths])
    assert sorted(itertools.chain(*opened)) == sorted(lengths)
    assert all(len(own) == 1 or len(own) * 5 * max(own) <= 2**18 for own in opened)
    assert max(len(own) for own in opened if max(own) == 5000) == 10
    assert max(map(len, opened)) == 51


def test_no_more_outputs_are_held_than_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    ending = searching._Group._ending

    def counted(group: Any, *given: Any, **more: Any) -> Hypothesis:
        held.append(max(map(len, group._ended)))
        return ending(group, *given, **more)

    monkeypatch.setattr(searching._Group, "_ending", counted)
    found = search(TableDecoder(6), Rules(beam=50, n_best=2, max_length=6))
    assert len(held) > 50 and max(held) == 2
    assert [len(own) for own in found] == [2] * len(SOURCES)


def test_barred_tokens_are_never_written_and_the_others_share_their_probability() -> None:
    decoder = TableDecoder(4)
    found = search(decoder, Rules(beam=40, n_best=40, max_length=3))
    for source, own in zip(SOURCES, found, strict=True):
        every = {ids: total for ids, total, _ in decoder.every(source, START, BARRED, 3)}
        ended = {tuple(one.ids.tolist()): one.log_probability for one in own if not one.cut}
        assert ended.keys() == every.keys()
        assert np.allclose([ended[ids] for ids in every], list(every.values()), atol=1e-5)
        assert all(0 not in one.ids for one in own)


def test_draws_follow_the_probabilities() -> None:
    decoder = TableDecoder(5)
    drawn = search(decoder, Rules(n_best=1000, sampling=Sampling(), max_length=1), [(1, 2)])[0]
    assert decoder.opened == 1000 // ROWS + 1  # of all draws that are stepped together the input is read once
    shares = np.bincount([4 if not one.cut else int(one.ids[0]) for one in drawn], minlength=5) / 1000
    assert np.allclose(shares, np.exp(decoder.logs((1, 2), (START,), BARRED)), atol=0.05)


@pytest.mark.parametrize("temperature", [0, 1e-3, 1e-50, 5e-324])
def test_the_coldest_draws_are_the_most_probable_tokens(temperature: float) -> None:
    decoder = TableDecoder(5)
    coldest = search(decoder, Rules(n_best=2, sampling=Sampling(temperature=temperature)))
    greedy = search(decoder, Rules(beam=1))
    assert [[one.ids.tolist() for one in own] for own in coldest] == [[own[0].ids.tolist()] * 2 for own in greedy]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"beam": 0}, "beam=0; wanted a whole number from 1 to 1,000"),
        ({"beam": True}, "beam=True"),
        ({"beam": 2, "n_best": 3}, "n_best=3 of a beam of 2"),
        ({"length_penalty": -1.0}, "length_penalty=-1.0; wanted a number from 0 to 10"),
        ({"coverage_penalty": math.nan}, "coverage_penalty=nan"),
        ({"max_length": 0}, "max_length=0"),
        ({"max_length": 10**13}, "max_length=10000000000000; wanted a whole number from 1 to 100,000"),
        ({"sampling": True}, "sampling=True; wanted a runtime.Sampling"),
        ({"attention": "yes"}, "attention='yes'; wanted True or False"),
    ],
)
def test_rules_out_of_range_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Rules(**options)


@pytest.mark.parametrize("width", [1, 5, 300])
@pytest.mark.parametrize("size", [3, 63, 64, 700])
def test_the_best_continuations_are_those_of_a_full_sort(width: int, size: int) -> None:
    rng = np.random.default_rng(size)
    scores = rng.normal(0, 3, (7, size)).astype(np.float32)
    scores[3] = scores[2]  # ties
    owners, totals = np.array([0, 0, 2, 2, 2, 3, 5]), rng.normal(-5, 1, 7)
    totals[3] = totals[2]
    found = best_continuations(scores, totals, owners, width=width)
    wide = scores.astype(np.float64)
    logs = wide - np.log(np.exp(wide - wide.max(1, keepdims=True)).sum(1, keepdims=True)) - wide.max(1, keepdims=True)
    want = []
    for owner in np.unique(owners):
        rows = np.flatnonzero(owners == owner)
        every = sorted((-round(totals[row] + logs[row, id_], 9), int(row), id_) for row in rows for id_ in range(size))
        want += [(row, id_) for _, row, id_ in every[:width]]
    assert sorted(zip(found[0].tolist(), found[1].tolist(), strict=True)) == sorted(want)
    assert np.allclose(found[2], totals[found[0]] + logs[found[0], found[1]], atol=1e-5)
