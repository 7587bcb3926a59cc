"""What a server says of inputs is what the model says, to the bit, whoever else asks; and what it refuses."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import samples
import tidegate as tg
from serving import ASKED, ask, bits, inputs_of, serving
from tidegate.errors import InputError, OptionError, ServeError
from tidegate.serve.server import Server
from tidegate.tasks import CARDS

METHODS = [(name, method) for name in ASKED for method in CARDS[name].answers().wire.hear]  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "method"), METHODS)
def test_a_client_gives_what_the_task_gives_to_the_bit(
    server: Server, models: dict[str, Path], name: str, method: str
) -> None:
    X, model = inputs_of(name), tg.load(models[name])
    with tg.Client(server.url, model=name) as client:
        found, wanted = getattr(client, method)(X), getattr(model, method)(X)
    assert bits(found) == bits(wanted)


@pytest.mark.parametrize("name", ASKED)
def test_neighbours_and_batches_change_no_bit(
    server: Server, models: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.serve.batcher.AT_ONCE", 0.0)  # none is short enough to go before the thread
    X, model = inputs_of(name), tg.load(models[name])
    draw = random.Random(0)
    asked = [draw.sample(range(len(X)), draw.randint(1, 4)) for _ in range(60)]

    def through(rows: list[int]) -> Any:
        with tg.Client(server.url, model=name) as client:
            return bits(client.predict([X[row] for row in rows]))

    held = threading.Event()
    server.batcher.pool.submit(held.wait, 20)  # what comes meanwhile is computed together
    with ThreadPoolExecutor(16) as pool:
        coming = pool.map(through, asked)
        until = time.monotonic() + 20
        while sum(map(len, server.batcher._heaps.values())) < 8 and time.monotonic() < until:
            time.sleep(0.01)
        held.set()
        answers = list(coming)
    assert answers == [bits(model.predict([X[row] for row in rows])) for rows in asked]
    assert server.batcher.seen.jobs > server.batcher.seen.batches, "some came together"


def test_every_answer_names_the_model(server: Server, models: dict[str, Path]) -> None:
    status, told, _ = ask(server, "/v1/predict", {"model": "text-classifier", "texts": ["wave"]})
    _, about, _ = ask(server, "/v1/models/text-classifier")
    assert (status, told["digest"], about["labels"]) == (200, about["digest"], ["sea", "wood"])
    assert [each["name"] for each in ask(server, "/v1/models")[1]["models"]] == list(models)


def test_a_request_that_cannot_be_read_spoils_no_neighbour(server: Server, models: dict[str, Path]) -> None:
    name, model = "sequence-classifier", tg.load(models["sequence-classifier"])
    good, bad = [[1.0, 100.0]] * 3, [[1.0]]
    wanted = model.predict_proba([good])[0].tolist()

    def through(sequence: Any) -> tuple[int, Any]:
        return ask(server, "/v1/predict", {"model": name, "sequences": [sequence]})[:2]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(through, [good, bad] * 30))
    assert all(list(told["answers"][0]["probabilities"].values()) == wanted for _, told in answers[::2])
    assert {(status, told["type"]) for status, told in answers[1::2]} == {(422, "urn:tidegate:unreadable")}
    assert "2 were trained on" in answers[1][1]["detail"]


@pytest.mark.parametrize(
    ("content", "status", "detail"),
    [
        (b"", 400, "no JSON"),
        (b"{", 400, "no JSON"),
        (b'{"series": {"y": ' + b"[" * 100_000, 422, "nested too deeply"),
        ([], 422, "Expected `object`"),
        ({"texts": ["a"]}, 422, "name a model"),
        ({"model": "nobody", "texts": ["a"]}, 404, "no model nobody"),
        ({"model": "text-classifier"}, 422, "no inputs came"),
        ({"model": "text-classifier", "sequences": [[[1.0]]]}, 422, "reads texts"),
        ({"model": "text-classifier", "texts": "a"}, 422, "Expected `array"),
        ({"model": "text-classifier", "texts": [1]}, 422, "Expected `str | array"),
        ({"model": "text-classifier", "texts": [["a"]]}, 422, "not a text"),
        ({"model": "text-classifier", "texts": ["a"], "surprise": 1}, 422, "unknown field"),
        ({"model": "token-tagger", "texts": [[""]]}, 422, "texts[0]"),
        ({"model": "sequence-classifier", "sequences": [[[1.0, 2.0], [1.0]]]}, 422, "list of as many numbers"),
        ({"model": "forecaster", "series": {"y": [1]}}, 422, "column"),
        ({"model": "forecaster", "series": [[1.0, 2.0]]}, 422, "columns"),
        ({"model": "forecaster", "series": {"0": 3}}, 422, "Expected `array`"),
    ],
    ids=lambda value: str(value)[:40] if not isinstance(value, int) else "",
)  # fmt: skip
def test_what_cannot_be_answered_is_told(server: Server, content: Any, status: int, detail: str) -> None:
    found, told, headers = ask(server, "/v1/predict", content)
    assert (found, told["status"], headers["content-type"]) == (status, status, "application/problem+json")
    assert detail in told["detail"]


def test_nothing_in_nothing_out(server: Server) -> None:
    for name, given in (("text-classifier", "texts"), ("token-tagger", "texts"), ("sequence-classifier", "sequences")):
        assert ask(server, "/v1/predict", {"model": name, given: []})[1]["answers"] == []
    assert ask(server, "/v1/predict", {"model": "forecaster", "series": []})[1]["answers"] == []


def test_half_a_surrogate_is_refused_and_the_server_goes_on(server: Server) -> None:
    body = b'{"model": "text-classifier", "texts": ["\\ud800"]}'
    assert ask(server, "/v1/predict", body)[0] in (400, 422)
    assert ask(server, "/v1/predict", {"model": "text-classifier", "texts": ["wave"]})[0] == 200


@pytest.fixture
def clients() -> Iterator[Callable[..., tg.Client]]:
    """Make clients, and close them."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(tg.Client(*args, **options))


def test_a_client_says_what_went_wrong(server: Server, clients: Callable[..., tg.Client]) -> None:
    with pytest.raises(InputError, match="name a model"):
        _ = clients(server.url).about
    with pytest.raises(ServeError, match="no model nobody") as caught:
        clients(server.url, model="nobody").predict(["a"])
    assert (caught.value.status, caught.value.kind) == (404, "no-such-model")
    with pytest.raises(OptionError, match="predict_proba"):
        clients(server.url, model="forecaster").predict_proba([[1.0]])
    with pytest.raises(ServeError, match="no server answers"):
        tg.Client("http://127.0.0.1:1", model="x").predict(["a"])
    with pytest.raises(InputError, match="no address"):
        tg.Client("example.org")


def test_times_and_names_of_series_come_back(tmp_path: Path) -> None:
    hours = [f"2026-01-{1 + hour // 24:02d} {hour % 24:02d}:00:00" for hour in range(96)]
    table: dict[str, Any] = {"unique_id": ["a"] * 96, "ds": hours, "y": [float(hour % 24) for hour in range(96)]}
    model = tg.Forecaster(lookback=24, horizon=3, epochs=1, hidden_size=4, dropout=0.0).fit(table)
    model.save(tmp_path / "hourly.safetensors")
    with serving({"hourly": tmp_path / "hourly.safetensors"}) as server, tg.Client(server.url) as client:
        (found,) = client.predict(table)
        (wanted,) = model.predict(table)
        assert (found.name, bits(found.mean)) == ("a", bits(wanted.mean))
        assert found.times.tolist() == [row["ds"] for row in wanted.rows()]
        with client.stream(start="2026-01-01 00:00:00", series="a") as stream:
            (*_, last) = stream.push([[value] for value in table["y"]])
        assert (bits(last.mean), last.times.tolist()) == (bits(wanted.mean), found.times.tolist())
        with client.stream() as stream, pytest.raises(InputError, match="need a beginning"):
            stream.push([[1.0]])


def test_the_openapi_document_tells_of_the_routes(server: Server) -> None:
    _, told, _ = ask(server, "/openapi.json")
    assert told["openapi"] == "3.1.0"
    assert "#/components/schemas/PredictRequest" in json.dumps(told["paths"]["/v1/predict"])
    assert told["components"]["schemas"]["PredictRequest"]["properties"].keys() >= {"model", "texts", "sequences"}


@pytest.mark.parametrize("kind", ["several labels", "a threshold"])
def test_what_is_named_is_what_the_model_names(tmp_path: Path, kind: str) -> None:
    """Not the likeliest class alone: some models name several labels, or a rare one from a lower probability on."""
    texts, labels = samples.texts(40)
    y: Any = labels
    if kind == "several labels":
        y = [[label] if index % 3 else [] for index, label in enumerate(labels)]
        model = tg.TextClassifier(hidden_size=4, epochs=3).fit(texts, y)
    else:
        model = tg.TextClassifier(hidden_size=4, epochs=1, validation_fraction=0.5, thresholds="f1").fit(texts, y)
        fitted = model._fitted
        assert fitted is not None
        model._fitted = replace(fitted, learned=replace(fitted.learned, thresholds=(0.0, None)))
    model.save(tmp_path / "model.safetensors")
    with serving({"served": tmp_path / "model.safetensors"}) as server, tg.Client(server.url, model="served") as client:
        assert client.predict(texts).tolist() == model.predict(texts).tolist()
        _, told, _ = ask(server, "/v1/predict", {"model": "served", "texts": texts[:1]})
        key = "labels" if kind == "several labels" else "label"
        assert told["answers"][0][key] == model.predict(texts[:1]).tolist()[0]
