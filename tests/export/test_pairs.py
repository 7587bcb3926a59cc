"""Networks that read pairs, exported in parts and run by others: to the ids and the scores of our own search."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tokenizers

import tidegate as tg
from couples import COUPLES
from graphs import Arrays, run_onnx, run_openvino
from tidegate.errors import ExportError, InputError, OptionError
from tidegate.export import Greedy, PairsInterface, to_onnx
from tidegate.export.sides import SideWriter
from tidegate.network import Dense, Network, parameter_shapes
from tidegate.pairs import Pairs
from tidegate.ragged import Ragged
from tidegate.runtime import Decoder, Executor

DECODED = [name for name in COUPLES if name.startswith("a translation")]
PARTS: list[Any] = ["encode", "step", "greedy"]
TOKENS = np.array([[3, 4, 5, 6], [7, -1, -1, -1], [-1, -1, -1, -1], [8, 2, 5, -1]])
LENGTHS = np.array([4, 1, 0, 3], np.int32)
DIGITS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5"}
TEXTS = [f"{a} {b}" for a in DIGITS for b in DIGITS]
ANSWERS = [f"{DIGITS[b]} {DIGITS[a]}" for a in DIGITS for b in DIGITS]


class Exported:
    """Stand for a task that knows how targets begin and end."""

    def __init__(self, model: Executor, greedy: Greedy) -> None:
        self._interface = PairsInterface(model.network, model.weights, greedy=greedy)

    def interface(self) -> PairsInterface:
        return self._interface


@cache
def drawn(name: str, size: float = 0.6) -> Executor:
    rng, network = np.random.default_rng(5), COUPLES[name]
    shapes = parameter_shapes(network).items()
    return Executor(network, {of: rng.uniform(-size, size, shape).astype(np.float32) for of, shape in shapes})


def sources() -> Ragged:
    return Ragged.from_padded(TOKENS, LENGTHS.astype(np.int64))


def begin(path: Path, run: Any) -> Arrays:
    """Read the sources, and give all that a step wants but its tokens."""
    given: Arrays = run(path, {"tokens": TOKENS, "sequence_lens": LENGTHS})
    return given | {"sequence_lens": LENGTHS}


def carried(inputs: Arrays, found: Arrays) -> Arrays:
    return inputs | {name.replace("n_", "0_"): state for name, state in found.items() if name[:3] in ("hn_", "cn_")}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", DECODED)
def test_each_part_proves_itself(tmp_path: Path, name: str, part: Any) -> None:
    exported = to_onnx(Exported(drawn(name), Greedy(1, 2, (0, 1), times=1)), tmp_path / "part.onnx", part=part)
    assert exported.worst < 1e-5
    assert len(exported.cases) == 14


@pytest.mark.parametrize("run", [run_onnx, run_openvino])
@pytest.mark.parametrize("name", DECODED)
def test_steps_give_the_scores_of_the_whole_network(tmp_path: Path, name: str, run: Any) -> None:
    model = drawn(name)
    for part in ("encode", "step"):
        to_onnx(model, tmp_path / f"{part}.onnx", part=part)
    targets = np.random.default_rng(1).integers(0, 40, (4, 3))
    pairs = Pairs(sources(), Ragged.from_list([*targets]))
    wanted = model(pairs).reshape(4, 3, -1)
    inputs = begin(tmp_path / "encode.onnx", run)
    for step, tokens in enumerate(targets.T):
        found = run(tmp_path / "step.onnx", inputs | {"tokens": tokens})
        np.testing.assert_allclose(found["logits"], wanted[:, step], rtol=0, atol=1e-5)
        inputs = carried(inputs, found)
    read = [found[output] for output in found if output.startswith("attention")]
    for shares in read:
        np.testing.assert_allclose(shares.sum(axis=1), [1, 1, 0, 1], atol=1e-6)
        assert not shares[np.arange(4) >= LENGTHS[:, None]].any()
    assert len(read) == sum(node.kind == "attend" for node in model.network.nodes)


def test_what_lies_past_the_end_of_a_memory_has_no_effect(tmp_path: Path) -> None:
    for part in ("encode", "step"):
        to_onnx(drawn(DECODED[0]), tmp_path / f"{part}.onnx", part=part)
    inputs = begin(tmp_path / "encode.onnx", run_onnx) | {"tokens": np.array([1, 2, 3, 4])}
    (memory,) = (name for name in inputs if name.startswith("memory"))
    dirty = inputs[memory].copy()
    dirty[np.arange(4) >= LENGTHS[:, None]] = np.nan
    clean, other = (run_onnx(tmp_path / "step.onnx", inputs | {memory: rows}) for rows in (inputs[memory], dirty))
    for output, array in clean.items():
        np.testing.assert_array_equal(array, other[output])


def searched(model: Executor, start: int, end: int, barred: list[int]) -> list[tuple[list[int], bool, float]]:
    """Search each source alone, step by step: ids, whether the end came, and the logarithm of the probability."""
    out, wide = [], {name: array.astype(np.float64) for name, array in model.weights.items()}
    for source in sources():
        decoder, ids, last, total = Decoder(model.network, wide, 1), list[int](), start, 0.0
        decoder.start([0], decoder.open(Ragged.from_list([source])))
        for _ in range(len(source) - 1 + 5):
            (scores,) = decoder.step([0], [last])
            scores[barred] = -np.inf
            last = int(scores.argmax())
            total += scores[last] - np.logaddexp.reduce(scores)
            if last == end:
                break
            ids.append(last)
        out.append((ids, last == end, total))
    return out


@pytest.mark.parametrize(("name", "end"), [*zip(DECODED, (2, 3, 5), strict=True), (DECODED[0], 7)])
def test_the_loop_finds_what_a_search_of_each_source_alone_finds(tmp_path: Path, name: str, end: int) -> None:
    model = drawn(name)
    to_onnx(Exported(model, Greedy(1, end, (0, 1), times=1, more=5)), tmp_path / "greedy.onnx")
    found = run_onnx(tmp_path / "greedy.onnx", {"tokens": TOKENS, "sequence_lens": LENGTHS})
    wanted = searched(model, 1, end, [0, 1])
    assert [row[:length].tolist() for row, length in zip(found["ids"], found["output_lens"], strict=True)] == [
        ids for ids, *_ in wanted
    ]
    assert found["ids"].shape == (4, max(found["output_lens"]))
    assert not found["ids"][np.arange(found["ids"].shape[1]) >= found["output_lens"][:, None]].any()
    assert found["complete"].tolist() == [complete for _, complete, _ in wanted]
    np.testing.assert_allclose(found["log_probability"], [total for *_, total in wanted], rtol=1e-5)


@cache
def translator(units: Any, attention: Any, hops: Any, cell: Any) -> tg.Translator:
    options: dict[str, Any] = {"embedding_size": 16, "hidden_size": 16, "decoder_size": 24, "average": 0.0}
    options |= {"validation_fraction": 0, "dropout": 0.0, "recurrent_dropout": 0.0, "word_dropout": 0.0}
    model = tg.Translator(
        units=units, attention=attention, hops=hops, cell=cell, epochs=16, batch_size=5, learning_rate=0.02, **options
    )
    return model.fit(TEXTS, ANSWERS)


@pytest.mark.parametrize("run", [run_onnx, run_openvino])
@pytest.mark.parametrize(
    ("units", "attention", "hops", "cell"),
    [("words", "general", 2, "lstm"), ("characters", "additive", 1, "gru"), ("subwords", "general", 1, "rnn")],
)
def test_a_translator_goes_from_ids_to_ids(
    tmp_path: Path, run: Any, units: str, attention: str, hops: int, cell: str
) -> None:
    model = translator(units, attention, hops, cell)
    exported = to_onnx(model, tmp_path / "model.onnx")
    assert [value.name for value in exported.outputs] == ["ids", "output_lens", "complete", "log_probability"]
    about = {entry.key: entry.value for entry in onnx.load(tmp_path / "model.onnx").metadata_props}
    tokenizer, end = tokenizers.Tokenizer.from_str(about["tokenizer"]), int(about["end"])
    texts = ["two five", "", "one one", "five four two", "quite unknown"]
    rows = [[*tokenizer.encode(text).ids, end] for text in texts]
    tokens = np.full((len(rows), max(map(len, rows))), -1)
    for row, ids in zip(tokens, rows, strict=True):
        row[: len(ids)] = ids
    found = run(tmp_path / "model.onnx", {"tokens": tokens, "sequence_lens": np.array([*map(len, rows)], np.int32)})
    told = model.translate(texts, beam=1, copy_unknown=False)
    assert [
        tokenizer.decode(ids[:length].tolist()) for ids, length in zip(found["ids"], found["output_lens"], strict=True)
    ] == [one.text for one in told]
    assert found["complete"].tolist() == [not one.cut for one in told]
    assert told[0].text == "5 2"
    assert json.loads(about["start"]) == end - 1


@pytest.mark.parametrize("units", ["words", "characters", "subwords"])
def test_the_tokenizer_of_the_file_reads_and_spells_as_the_model(units: Any) -> None:
    subwords = translator(units, "general", 1, "gru").reading_.subwords
    tokenizer = tokenizers.Tokenizer.from_str(subwords.to_tokenizer())
    for text in ("two  five", "", " fo\u0308ur!\n", "one-five 3", "𝒳 two"):
        ids = subwords.encode([text])[0].tolist()
        assert tokenizer.encode(text).ids == ids
        assert tokenizer.decode(ids) == subwords.decode(ids)


def test_attention_to_the_wrong_rows_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = SideWriter._attend

    def turned(self: SideWriter, index: int, queries: str, memory: Any) -> tuple[str, str]:
        means, shares = right(self, index, queries, memory)
        return self.graph.add("Neg", means), shares

    monkeypatch.setattr(SideWriter, "_attend", turned)
    for part in ("step", "greedy"):
        with pytest.raises(ExportError, match="of the graph"):
            to_onnx(Exported(drawn(DECODED[0]), Greedy(1, 2, times=1)), tmp_path / "part.onnx", part=part)
    assert not (tmp_path / "part.onnx").exists()


def test_scores_that_no_runtime_tells_apart_are_no_fault(tmp_path: Path) -> None:
    model = drawn(DECODED[1])
    last = f"{len(model.network.nodes) - 1}."
    weights = {name: array * np.float32(not name.startswith(last)) for name, array in model.weights.items()}
    exported = to_onnx(Exported(Executor(model.network, weights), Greedy(1, 2, times=1)), tmp_path / "greedy.onnx")
    assert exported.worst < 1e-5


@pytest.mark.parametrize(
    ("model", "part", "error", "told"),
    [
        (lambda: drawn(DECODED[0]), None, InputError, "nobody knows with which ids"),
        (lambda: drawn(DECODED[0]), "stpe", OptionError, "Did you mean 'step'"),
        (lambda: drawn("both sides of pairs, pooled"), "encode", InputError, "cannot be decoded token by token"),
        (lambda: drawn("a text that attends to itself"), None, InputError, "reads no pairs"),
        (
            lambda: Executor(
                Network.of(Dense(in_features=1, out_features=1)),
                {"0.weight": np.ones((1, 1), np.float32), "0.bias": np.ones(1, np.float32)},
            ),
            "step",
            InputError,
            "has no such part",
        ),
    ],
)
def test_what_has_no_such_graph_is_refused(
    tmp_path: Path, model: Any, part: Any, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        to_onnx(model(), tmp_path / "part.onnx", part=part)


def test_a_translator_is_fitted_before_it_is_exported() -> None:
    with pytest.raises(InputError, match="fit"):
        tg.Translator().interface()
