"""Translators learn what can be known by heart, search as they say, and answer whatever comes."""

from __future__ import annotations

import copy
import itertools
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate as tg
import tidegate.kernels as kernels
import tidegate.runs as runs
from tidegate.data.dataset import Examples
from tidegate.errors import DataError, DataWarning, InputError, MissingPackageError, OptionError, RunFolderError
from tidegate.pairs import Pairs
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, Sampling
from tidegate.tasks.translating import measuring
from tidegate.tasks.translating.reading import Corpus
from tidegate.tasks.translating.scores import SCORES, Translating
from tidegate.tasks.translating.searching import Rules, searcher
from tidegate.tasks.translating.wire import WIRE

WORDS = ("tide", "gate", "salt", "wave", "moss", "fern")
SMALL: dict[str, Any] = {
    "units": "words", "embedding_size": 16, "hidden_size": 16, "decoder_size": 24, "dropout": 0.1, "average": 0.0,
    "recurrent_dropout": 0.0, "word_dropout": 0.0, "epochs": 12, "batch_size": 8, "learning_rate": 0.02,
    "validation_fraction": 0, "patience": 0,
}  # fmt: skip


def turned(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Draw texts of one to four words, and the same words from the end, in capitals."""
    rng = np.random.default_rng(seed)
    drawn = [[str(rng.choice(WORDS)) for _ in range(rng.integers(1, 5))] for _ in range(count)]
    return [" ".join(words) for words in drawn], [" ".join(words[::-1]).upper() for words in drawn]


@pytest.fixture(scope="module")
def model() -> Any:
    return tg.Translator(**SMALL, source_language="small", target_language="large").fit(*turned(240))


def plain(found: list[Any]) -> list[Any]:
    return [(one, [hop.tobytes() for hop in one.attention]) for one in found]


def test_it_learns_to_turn_texts_it_has_not_seen(model: Any) -> None:
    X, y = turned(60, seed=9)
    assert np.mean([told == right for told, right in zip(model.predict(X), y, strict=True)]) > 0.9


def test_what_it_reads_for_a_token_is_the_word_it_stands_for(model: Any) -> None:
    told = model.translate(["moss salt tide wave"], attention=True)[0]
    assert told.tokens == ("WAVE", "TIDE", "SALT", "MOSS")
    (hop,) = told.attention
    assert hop.shape == (5, 5)
    assert np.allclose(hop.sum(axis=1), 1, atol=1e-5)
    assert hop[:4, :4].argmax(axis=1).tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize(
    "rule",
    [
        {"hops": 2},
        {"starts": False},
        {"attention": "additive"},
        {"attention": "dot", "decoder_size": 32},
        {"cell": "gru", "num_layers": 2},
        {"units": "characters"},
        {"units": "subwords", "vocabulary_size": 300},
    ],
)
def test_every_rule_makes_a_network_that_learns(rule: dict[str, Any]) -> None:
    X, y = turned(60)
    task = tg.Translator(**SMALL | {"epochs": 6, "stop_on": "loss"} | rule)
    losses = [step.mean_loss for step in task.fit_steps(X, y) if step.end_of_epoch]
    assert losses[-1] < 0.8 * losses[0]
    assert len(task.predict(X[:3])) == 3


def test_a_search_over_a_real_network_finds_the_best_of_all_outputs() -> None:
    task = tg.Translator(**SMALL | {"epochs": 2}).fit(["a b", "b a", "a", "b"] * 2, ["b a", "a b", "a", "b"] * 2)
    reading, source = task.reading_, "a b a"
    ids = reading.sources([source])
    inner = [token for token in range(reading.subwords.size) if token != reading.subwords.unknown]
    most, every = 4, list[tuple[float, tuple[int, ...]]]()
    for length in range(most):
        for output in itertools.product(inner, repeat=length):
            target = Ragged.from_list([[reading.start, *output]], dtype=np.int32)
            scores = Executor(task.network_, task.weights_)(Pairs(ids, target)).astype(np.float64)
            scores[:, [reading.subwords.unknown, reading.start]] = -np.inf
            logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
            total = sum(logs[at, token] for at, token in enumerate((*output, reading.end)))
            every.append((total / ((5 + length + 1) / 6) ** 0.8, output))
    rules = Rules(beam=100, n_best=5, length_penalty=0.8, max_length=most)
    found = searcher(Executor(task.network_, task.weights_), reading).search(ids, rules, lengths=np.array([3]))[0]
    want = sorted(every, reverse=True)[:5]
    assert [tuple(one.ids.tolist()) for one in found] == [output for _, output in want]
    assert np.allclose([one.score for one in found], [score for score, _ in want], atol=1e-4)


def test_a_text_is_translated_alike_alone_in_any_batch_and_on_any_number_of_threads(model: Any) -> None:
    X = [*turned(30, seed=3)[0], "", "tide", "who knows these words"]
    options = {"beam": 4, "n_best": 2, "attention": True, "coverage_penalty": 0.2}
    whole = plain(model.translate(X, **options))
    assert [one for x in X for one in plain(model.translate([x], **options))] == whole
    assert plain(model.translate(X[::-1], **options))[::-1] == whole
    kernels.set_num_threads(1)
    try:
        assert plain(model.translate(X, **options)) == whole
    finally:
        kernels.set_num_threads(None)


@pytest.fixture
def isas() -> Iterator[Iterator[None]]:
    """Use each instruction set of this machine in turn; the one of before comes back."""
    before = kernels.active_isa()
    yield map(kernels.use_isa, kernels.available_isas())
    kernels.use_isa(before)


def test_a_text_is_translated_alike_by_every_instruction_set(model: Any, isas: Iterator[None]) -> None:
    X, found = turned(12, seed=6)[0], []
    for _ in isas:
        twin = copy.deepcopy(model)  # whose weights are packed anew
        found.append(plain(twin.translate(X, beam=3, n_best=2, attention=True, coverage_penalty=0.3)))
        found[-1].append([one.text for one in twin.translate(X[:2], sampling=Sampling(temperature=2.0))])
    assert found == found[:1] * len(found)


def test_a_text_is_written_token_by_token_as_a_beam_of_one_has_it(model: Any) -> None:
    for text in turned(10, seed=5)[0]:
        pieces = list(model.write(text))
        assert "".join(pieces) == model.translate([text], beam=1)[0].text
        assert len(pieces) > 1 or len(text.split()) == 1
    one, other = model.write("tide salt moss"), model.write("moss salt tide")
    assert "".join(itertools.chain.from_iterable(zip(one, other, strict=True))) == "MOSSTIDE SALT SALT TIDE MOSS"
    live = model.stream()
    said = [live.step(piece).text for piece in ("tide", " salt", " moss")]
    assert said[-1] == live.finish().text == model.translate(["tide salt moss"], beam=1)[0].text


def test_wider_beams_find_outputs_that_are_no_worse(model: Any) -> None:
    X = turned(40, seed=7)[0]
    scores = [np.mean([one.score for one in model.translate(X, beam=beam)]) for beam in (1, 5, 20)]
    assert scores[0] <= scores[1] <= scores[2]


def test_lines_are_translated_in_their_order_as_they_are_read(model: Any) -> None:
    X = turned(3000, seed=1)[0]
    read = 0

    def lines() -> Any:
        nonlocal read
        for read, text in enumerate(X, 1):  # noqa: B007  (it is looked at below)
            yield text

    found = model.translate_lines(lines(), beam=1)
    first = next(found)
    assert read <= 1024
    assert [first.text, *(one.text for one in found)] == [one.text for one in model.translate(X, beam=1)]
    with pytest.raises(InputError, match="beam=0"):
        model.translate_lines(iter(X), beam=0)


def test_a_translation_begins_as_it_is_wanted_to(model: Any) -> None:
    X = ["tide salt", "moss"]
    assert [one.text.split()[0] for one in model.translate(X, prefix=["FERN", ""])] == ["FERN", "MOSS"]
    assert all(one.text.startswith("GATE FERN") for one in model.translate(X, prefix="GATE FERN"))
    assert "".join(model.write("moss", prefix="WAVE")).startswith("WAVE")
    with pytest.raises(InputError, match="2 texts came with 3 prefixes"):
        model.translate(X, prefix=["FERN", "MOSS", "SALT"])


@pytest.mark.parametrize("copy_unknown", [True, False])
def test_a_beginning_that_the_model_has_no_token_for_is_refused(model: Any, copy_unknown: bool) -> None:
    told = "prefix 'GATE Zanzibar' holds 'Zanzibar', which the model has no token for"
    with pytest.raises(InputError, match=told):
        model.translate(["tide", "moss"], prefix=["", "GATE Zanzibar"], copy_unknown=copy_unknown)
    with pytest.raises(InputError, match=told):
        model.write("tide", prefix="GATE Zanzibar")  # before the first token


def test_samples_are_those_of_their_seed(model: Any) -> None:
    X = turned(8, seed=2)[0]
    hot = [model.translate(X, n_best=3, sampling=Sampling(temperature=3.0, seed=seed)) for seed in (1, 1, 2)]
    texts = [[one.text, *(other.text for other in one.alternatives)] for found in hot for one in found]
    assert texts[:8] == texts[8:16] != texts[16:]
    assert model.translate(X[:1], sampling=Sampling(temperature=0))[0].text == model.translate(X[:1], beam=1)[0].text


def test_unknown_words_are_copied_from_what_was_read_for_them() -> None:
    X, y = turned(240)
    rng = np.random.default_rng(0)
    names = ["".join(rng.choice(list("aeioulmnrst"), 8)) for _ in range(400)]
    for index in range(0, 240, 2):  # a name in the place of a word, in both texts
        words, name = X[index].split(), str(rng.choice(names))
        at = int(rng.integers(len(words)))
        words[at] = name
        right = y[index].split()
        right[len(words) - 1 - at] = name
        X[index], y[index] = " ".join(words), " ".join(right)
    task = tg.Translator(**SMALL | {"vocabulary_size": 13, "epochs": 40}).fit(X, y)
    told = task.translate(["tide Zanzibar salt"])[0]
    assert told.text == "SALT Zanzibar TIDE"
    assert told.copied == ((1, 1),)
    assert "Zanzibar" not in task.translate(["tide Zanzibar salt"], copy_unknown=False)[0].text
    assert not told.unknown
    assert task.translate(["Zanzibar Timbuktu"])[0].unknown


@pytest.mark.parametrize("text", ["", " ", "\N{SNOWMAN}", "tide " * 5000])
def test_whatever_comes_is_translated(model: Any, text: str) -> None:
    told = model.translate([text], max_length=30)[0]
    assert len(told.tokens) <= 30
    assert told.unknown == (text in ("\N{SNOWMAN}", " "))
    assert math.isfinite(told.score)


def test_a_source_of_many_tokens_is_given_twice_as_many_and_ten(model: Any) -> None:
    told = model.translate(["tide " * 100], beam=1)[0]
    assert len(told.tokens) == 210 if told.cut else len(told.tokens) < 210


def test_no_texts_give_no_translations(model: Any) -> None:
    assert model.translate([]) == model.predict([]) == list(model.translate_lines([])) == []


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda model: model.translate(["a"], beam=0), InputError, "beam=0; wanted a whole number from 1"),
        (lambda model: model.translate(["a"], n_best=9), InputError, "n_best=9 of a beam of 5"),
        (lambda model: model.translate(["a"], beams=3), OptionError, "Did you mean 'beam'"),
        (lambda model: model.translate("a"), InputError, "Put it into a list"),
        (lambda model: model.translate(["a"], prefix=5), InputError, "prefix"),
        (lambda model: model.translate(["a"], prefix=[5]), DataError, r"prefix\[0\] is"),
        (lambda model: model.write("a", prefix=5), DataError, r"prefix\[0\] is"),
        (lambda model: model.translate([3]), DataError, r"X\[0\] is"),
        (lambda model: model.stream(lookahead=1), InputError, "lookahead=1"),
        (lambda model: tg.Translator().fit(["a"]), InputError, "no translations"),
        (lambda model: tg.Translator().fit(["a", "b"], ["c"]), InputError, "2 texts came with 1 translations"),
        (lambda model: tg.Translator().fit(["a"], ["b"], sample_weight=[1]), InputError, "sample_weight"),
        (lambda model: tg.Translator(validation_fraction=0).fit(["", ""], ["", ""]), DataError, "all texts are empty"),
        (lambda model: tg.Translator(attention="dot", decoder_size=8).fit(*turned(9)), InputError, "512"),
    ],
)
def test_what_cannot_be_done_is_refused(model: Any, call: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        call(model)


def test_pairs_that_teach_nothing_are_left_out_and_counted() -> None:
    X, y = turned(20)
    X += ["", "tide", "tide " * 60, "tide"]
    y += ["TIDE", "", "TIDE " * 50, "TIDE " * 10]
    task = tg.Translator(**SMALL | {"epochs": 1, "longest": 40, "ratio": 9})
    with pytest.warns(DataWarning, match="2 with an empty side, 1 with a side of more than 40 tokens, 1 with a side 9"):
        steps = list(task.fit_steps(X, y))
    assert len(steps) == 3  # of 20 pairs, 8 at a time


def test_pairs_that_share_a_side_are_held_out_together() -> None:
    X, y = turned(50)
    task = tg.Translator(**SMALL | {"epochs": 1, "validation_fraction": 0.2})
    (kept, _), (held, _) = task._hold_out(X * 2, y * 2)
    assert not set(kept) & set(held)
    assert len(kept) + len(held) == 100


def test_a_part_held_out_that_is_far_too_large_is_told_of() -> None:
    X, y = [f"is {index} even" for index in range(100)], ["yes", "no"] * 50
    task = tg.Translator(**SMALL | {"validation_fraction": 0.05})
    with pytest.warns(DataWarning, match="50 of 100 pairs are held out, .* a share of 0.05 was wanted. Pass `valid`"):
        (kept, _), (held, _) = task._hold_out(X, y)
    assert len(kept) == len(held) == 50


def test_the_best_epoch_is_chosen_by_bleu_exact_matches_or_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = turned(40)
    for aim in ("bleu", "exact", "loss"):
        task = tg.Translator(**SMALL | {"epochs": 2, "stop_on": aim}).fit(X, y, validation=turned(10, seed=1))
        valid = {name.removeprefix("valid_"): value for name, value in task.history_[-1].items()}
        want = {"bleu": 100 - valid.get("bleu", 0), "exact": 1 - valid.get("exact", 0), "loss": valid["nats"]}
        assert valid["loss"] == want[aim]
    monkeypatch.setattr(measuring, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match="sacrebleu is not installed, so the loss says which epoch is best"):
        assert measuring.aim_of("auto", "words") == "loss"
    with pytest.raises(MissingPackageError, match="sacrebleu"):
        measuring.aim_of("bleu", "words")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert measuring.aim_of("auto", "characters") == "exact"


def test_without_sacrebleu_the_other_measures_are_told(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "find_spec", lambda name: None)
    found = SCORES.measure(model, Examples(["tide", "salt moss"], ["TIDE", "MOSS SALT"]))
    assert isinstance(found, Translating)
    assert found.measures() == {"exact": 1.0, "cer": 0.0} and found.signature == ""
    assert ["BLEU and chrF are left out" in str(warning) for warning in found.warnings()] == [True]


def test_a_run_goes_on_with_the_aim_that_it_was_begun_with(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = turned(9)
    task = tg.Translator(**SMALL)
    plan, _ = task._plan(X, y, valid=None, about=None)
    assert plan.about["aim"] == "bleu"
    monkeypatch.setattr(measuring, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match="sacrebleu"), pytest.raises(RunFolderError, match="'bleu', and would be 'los"):
        task._plan(X, y, valid=None, about=plan.about)


def test_a_long_text_that_is_held_out_costs_no_more_than_twice_the_longest_of_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, y = turned(9)
    limits, limit = list[int](), Rules.limit

    def told(*given: Any) -> int:
        limits.append(limit(*given))
        return limits[-1]

    monkeypatch.setattr(Rules, "limit", told)
    tg.Translator(**SMALL | {"epochs": 1}).fit(X, y, validation=(["tide " * 5000, "moss"], ["TIDE", "MOSS"]))
    assert limits == [2 * (max(len(text.split()) for text in y) + 1) + 10, 2 * 1 + 10]


def test_texts_of_a_server_and_of_a_stream_are_no_longer_than_a_thousand_tokens(model: Any) -> None:
    assert WIRE.read(model, ["tide " * 999 + "salt", ""]) == ["tide " * 999 + "salt", ""]
    with pytest.raises(InputError, match="text 1 has 1,001 tokens; 1,000 at most are translated here"):
        WIRE.read(model, ["tide", "tide " * 1000 + "salt"])
    stream = model.stream()
    stream.push("tide salt")
    with pytest.raises(InputError, match="the text has 1,002 tokens by now; a stream translates 1,000 at most"):
        stream.push(" salt" * 1000)
    assert (stream.text, stream.steps, stream.finish().text) == ("tide salt", 1, "SALT TIDE")


def test_a_stream_goes_on_with_the_model_that_it_was_begun_with(model: Any) -> None:
    task = copy.copy(model)
    stream = task.stream()
    stream.push("tide")
    task.epochs = 1
    task.fit(["moss", "fern"], ["a", "b"])
    assert stream.push(" salt").text == "SALT TIDE"


def test_the_loss_on_the_part_held_out_is_that_of_every_token(model: Any) -> None:
    X, y = turned(5, seed=4)
    reading = model.reading_
    sources, targets = reading.sources(X), reading.subwords.encode(y)
    lost = 0.0
    for source, target in zip(sources, targets, strict=True):
        pair = Pairs(
            Ragged.from_list([source], dtype=np.int32), Ragged.from_list([[reading.start, *target]], dtype=np.int32)
        )
        scores = Executor(model.network_, model.weights_)(pair).astype(np.float64)
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        lost -= sum(logs[at, token] for at, token in enumerate([*target, reading.end]))
    corpus = Corpus.of(reading, reading.subwords.encode(X), targets)
    found = measuring.nats_of(Executor(model.network_, model.weights_), corpus)
    assert found == pytest.approx(lost / (len(targets.values) + 5), rel=1e-5)


def test_a_model_is_measured_by_length_and_names_symbols_it_cannot_know(model: Any) -> None:
    X, y = turned(30, seed=8)
    y[3] = "\N{GREEK CAPITAL LETTER OMEGA} \N{GREEK CAPITAL LETTER OMEGA}"
    found = SCORES.measure(model, Examples(X, y))
    assert isinstance(found, Translating)
    right = sum(told == want for told, want in zip(model.predict(X), y, strict=True)) / 30
    assert found.measures()["exact"] == right
    assert found.measures()["bleu"] > 60
    assert found.new == {"\N{GREEK CAPITAL LETTER OMEGA}": 2}
    assert "the right translations hold symbols that training never saw: '\N{GREEK CAPITAL LETTER OMEGA}' (2)" in str(
        found.warnings()[0]
    )
    assert sum(row["texts"] for row in found.table()) == 30  # type: ignore[misc]
    apart = SCORES.apart
    assert apart is not None
    unseen = apart(found, Examples(X[:10], y[:10]))
    assert isinstance(unseen, Translating)
    assert unseen.unseen is not None
    assert unseen.unseen["examples"] < 30


def test_a_model_knows_its_languages(model: Any) -> None:
    assert model.languages_ == ("small", "large")
    assert model.wants() == {"from": "small", "to": "large"}


def test_languages_are_those_of_the_data_and_others_are_refused() -> None:
    assert tg.Translator.params_of({"from": "de", "to": "en-GB"}) == {
        "source_language": "de", "target_language": "en-GB",
    }  # fmt: skip
    for columns in ({"from": "src", "to": "tgt"}, {"from": "1", "to": "2"}, {"from": "spelling", "to": "sounds"}, {}):
        assert tg.Translator.params_of(columns) == {}
    task = tg.Translator(source_language="de", target_language="en")
    task.check_taken({"from": "de", "to": "en"})
    task.check_taken({"from": "source", "to": "target"})
    with pytest.raises(InputError, match="trained with target_language='en', but these data have 'fr'"):
        task.check_taken({"from": "de", "to": "fr"})


def test_a_run_says_which_languages_it_is_of(tmp_path: Path) -> None:
    X, y = turned(40)
    for name, texts in (("train.de", X), ("train.en", y), ("test.de", X[:5]), ("test.en", y[:5])):
        (tmp_path / name).write_text("\n".join(texts) + "\n")
    source = runs.Source(str(tmp_path), {"kind": "pairs", "from": "de", "to": "en"})
    small = SMALL | {"epochs": 1, "validation_fraction": 0.1, "units": "words"}
    result = runs.start(source, params=small, out=tmp_path / "run").run()
    assert result.chief == "bleu"
    assert {"bleu", "chrf", "exact", "examples"} <= (result.test or {}).keys()
    assert tg.load(tmp_path / "run").languages_ == ("de", "en")
