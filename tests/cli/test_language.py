"""Language models at the command line: trained from plain texts, measured, writing, filling gaps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tidegate as tg
from tidegate.cli import main

LINES = [f"the {word} meets the {other}" for word in ("tide", "wave", "salt") for other in ("oak", "fern", "moss")]
SMALL = ("--hidden-size", "8", "--epochs", "3", "--set", "embedding_size=8", "--set", "batch_size=4")
Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    def call(*argv: object) -> tuple[int, str, str]:
        code = main([str(part) for part in argv])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return call


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "lines.txt"
    path.write_text("\n".join(LINES * 4), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of a model that reads both ways."""
    folder = tmp_path_factory.mktemp("runs") / "both"
    argv = ("train", corpus, "--task", "language", "--read", "documents=line", "--set", "direction=both")
    assert main([str(part) for part in (*argv, *SMALL, "--out", folder)]) == 0
    return folder


def test_a_plain_text_is_trained_on_and_trained_again_by_its_recipe(
    cli: Cli, corpus: Path, run: Path, tmp_path: Path
) -> None:
    assert type(tg.load(run)) is tg.LanguageModel
    code, out, err = cli("train", "--recipe", run, "--out", tmp_path / "again", "--json")
    assert code == 0
    assert json.loads(out)["task"] == "language-model"
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()
    assert "valid perplexity" in err


def test_it_is_measured_on_files_of_its_kind(cli: Cli, corpus: Path, run: Path) -> None:
    code, out, _ = cli("evaluate", run, corpus, "--read", "documents=line", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["perplexity"] == tg.load(run).measure(LINES * 4)["perplexity"]
    assert (found["examples"], found["characters"]) == (36, sum(map(len, LINES * 4)))
    assert found["gaps"] == tg.load(run).measure_gaps(LINES * 4)
    code, out, _ = cli("evaluate", run, corpus)
    assert (code, out.split()[0]) == (0, "perplexity")
    assert "gaps seen from" in out


def test_generate_prints_the_prompt_and_what_follows(cli: Cli, run: Path) -> None:
    options = ("--temperature", "0.5", "--top-k", "3", "--top-p", "0.9", "--seed", "7", "--length", "12")
    written = tg.load(run).generate("the tide", length=12, temperature=0.5, top_k=3, top_p=0.9, seed=7)
    assert cli("generate", run, "--prompt", "the tide", *options) == (0, f"the tide{written}\n", "")
    code, out, _ = cli("generate", run, "--prompt", "the tide", *options, "--json")
    assert (code, json.loads(out)) == (0, {"prompt": "the tide", "text": written})
    code, out, _ = cli("generate", run, "--length", "5", "--endless")
    assert (code, len(out.split())) == (0, 5)


def test_generate_shows_each_piece_as_it_comes(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, prompt: Any, **options: Any) -> Any:
        yield " first"
        raise KeyboardInterrupt

    monkeypatch.setattr(tg.LanguageModel, "write", broken)
    code, out, _ = cli("generate", run, "--prompt", "the")
    assert (code, out) == (130, "the first")


def test_complete_shows_both_sides_beside_each_alone(cli: Cli, run: Path) -> None:
    code, out, _ = cli("complete", run, "the ___ meets the oak", "--count", "3")
    assert code == 0
    heading, *rows = out.splitlines()
    assert heading.split("  ")[0] == "both sides"
    assert "left alone" in heading
    assert "right alone" in heading
    assert len(rows) == 3
    code, out, _ = cli("complete", run, "the ___ meets the oak", "--count", "3", "--json")
    found = json.loads(out)
    assert rows[0].startswith(f"{found['both'][0]['word']} {found['both'][0]['probability']:.1%}")
    assert [guess["word"] for guess in found["left"]] == [
        guess.word for guess in tg.load(run).complete("the ___ meets the oak", count=3).left
    ]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("generate", "RUN", "--prompt", ""), "the prompt is empty"),
        (("generate", "RUN", "--prompt", "zebra"), "holds words that no training text has: 'zebra'"),
        (("generate", "RUN", "--temperature", "-1"), "temperature=-1.0"),
        (("complete", "RUN", "the tide"), "has no gap"),
        (("complete", "RUN", "___ meets ___"), "has 2 gaps"),
        (("train", "x.txt", "--task", "langauge"), "Did you mean 'language'"),
        (("train", "digits", "--task", "language"), "holds data of the kind 'sequence', not 'corpus'"),
        (("train", "one.txt", "--task", "language", "--set", "validation_fraction=0"), "the corpus has 1 token"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    cli: Cli, run: Path, argv: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.txt").write_text("word", encoding="utf-8")
    code, out, err = cli(*(run if part == "RUN" else part for part in argv))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_model_of_another_task_neither_writes_nor_fills_gaps(cli: Cli, tmp_path: Path) -> None:
    tg.TextClassifier(hidden_size=2, epochs=1, validation_fraction=0).fit(["a", "b"], ["x", "y"]).save(tmp_path / "m")
    for argv in (("generate", tmp_path / "m"), ("complete", tmp_path / "m", "a ___")):
        code, _, err = cli(*argv)
        assert code == 2
        assert "holds a text-classifier" in err
