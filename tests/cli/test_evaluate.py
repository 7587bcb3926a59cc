"""`tidegate evaluate` and `tidegate compare`, called as `main(argv)`: what is measured, on which part."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import tidegate as tg
from commands import Answer, Cli
from reviews import SMALL, write_reviews
from tidegate import data
from tidegate.tasks.run import RunFolder


def test_evaluate_measures_the_test_part(cli: Cli, digits_run: Path) -> None:
    found = json.loads(cli("evaluate", digits_run, "digits", "--json").out)
    test = data.load("digits").test
    assert test is not None
    predicted = tg.load(digits_run).predict(test.x)
    assert (found["part"], found["examples"]) == ("test", 355)
    assert found["accuracy"] == pytest.approx(np.mean(predicted == test.y))
    assert sum(map(sum, found["confusion"])) == 355
    assert found["confusion"][3][5] == np.sum((np.asarray(test.y) == 3) & (predicted == 5))
    plain = cli("evaluate", digits_run, "digits")
    assert f"{found['accuracy']:.2%}" in plain.out


def measured(answer: Answer) -> tuple[str, int]:
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    return found["part"], found["examples"]


def test_evaluate_measures_what_the_run_held_out_read_as_the_run_read_it(
    cli: Cli, reviews: Path, reviews_run: Path, tmp_path: Path
) -> None:
    answer = cli("evaluate", reviews_run, reviews, "--json")
    assert measured(answer) == ("test", 12)
    assert "held out by the run: 12 of 48 rows" in answer.err
    held = data.load(reviews, text="review", label="stars", split=0.25).test
    assert held is not None
    assert json.loads(answer.out)["accuracy"] == pytest.approx(tg.load(reviews_run).score(held.x, held.y))
    elsewhere = Path(shutil.copy(reviews, tmp_path / "copy.csv"))
    assert measured(cli("evaluate", reviews_run / "model.safetensors", elsewhere, "--json")) == ("test", 12)
    assert measured(cli("evaluate", reviews_run, reviews, "--split", 0.5, "--json")) == ("test", 24)
    for part, count in {"all": 48, "train": 36, "test": 12}.items():
        assert measured(cli("evaluate", reviews_run, reviews, "--part", part, "--json")) == (part, count)
    refused = cli("evaluate", reviews_run, reviews, "--part", "valid")
    assert refused.code == 2
    assert "has no part valid, only train, test" in refused.err
    assert "Did you mean 'train'?" in cli("evaluate", reviews_run, reviews, "--part", "trian").err


def test_evaluate_measures_all_of_any_other_file_and_says_why(
    cli: Cli, reviews: Path, reviews_run: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("text,stars\nso good,pos\nso bad,neg\nfine,pos\n", encoding="utf-8")  # in another column
    answer = cli("evaluate", reviews_run, other, "--json")
    assert measured(answer) == ("all", 3)
    assert "is not the data of the run: all 3 rows" in answer.err
    alone = Path(shutil.copy(reviews_run / "model.safetensors", tmp_path / "alone.safetensors"))
    answer = cli("evaluate", alone, reviews, "--label", "stars", "--json")
    assert measured(answer) == ("all", 48)
    assert "no run says what was held out: all 48 rows" in answer.err


def test_evaluate_says_so_where_the_file_of_the_run_has_changed(cli: Cli, tmp_path: Path) -> None:
    file = write_reviews(tmp_path / "reviews.csv")
    flags = ("--text", "review", "--label", "stars", *SMALL, "--out", tmp_path / "run")
    assert cli("train", file, *flags, "--split", 0.25).code == 0
    file.write_text(file.read_text(encoding="utf-8") + "so good,pos\n", encoding="utf-8")
    answer = cli("evaluate", tmp_path / "run", file, "--json")
    assert measured(answer) == ("all", 49)
    assert "is not what it was when the run was made" in answer.err
    whole = write_reviews(tmp_path / "whole.csv")
    assert cli("train", whole, *flags[:-1], tmp_path / "all").code == 0
    answer = cli("evaluate", tmp_path / "all", whole, "--json")
    assert measured(answer) == ("all", 48)
    assert "the run held nothing out" in answer.err


def test_evaluate_refuses_labels_that_the_model_does_not_know(cli: Cli, reviews_run: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("text,label\ngood,joy\nbad,pos\n", encoding="utf-8")
    answer = cli("evaluate", reviews_run, tmp_path / "other.csv")
    assert (answer.code, answer.out) == (2, "")
    assert "'joy'" in answer.err


def test_compare_tries_every_value_of_a_setting(cli: Cli, reviews: Path, tmp_path: Path) -> None:
    data_flags = (reviews, "--text", "review", "--label", "stars", "--split", 0.25, "--out", tmp_path / "tried")
    settings = ("--set", "hidden_size=4", "--set", "embedding_size=4", "--set", "optimizer=sgd, adam", "--epochs", 1)
    answer = cli("compare", *data_flags, "--presets", "tutorial-lstm,tutorial-bilstm", *settings, "--json")
    names = [f"tutorial-{cell}-{optimizer}" for cell in ("lstm", "bilstm") for optimizer in ("sgd", "adam")]
    assert list(json.loads(answer.out)) == names
    recipes = [RunFolder(tmp_path / "tried" / name).recipe["params"] for name in names]
    assert [recipe["optimizer"] for recipe in recipes] == ["sgd", "adam"] * 2
    unknown = cli("compare", *data_flags[:5], "--presets", "tutorial-lstm", "--set", "optimizer=sgd,adagrad")
    assert (unknown.code, "adagrad" in unknown.err) == (2, True)


def test_compare_trains_each_preset_and_draws(cli: Cli, reviews: Path, tmp_path: Path) -> None:
    names = ["tutorial-simplernn", "tutorial-lstm"]
    data_flags = (reviews, "--text", "review", "--label", "stars", "--split", 0.25)
    settings = ("--set", "hidden_size=4", "--set", "embedding_size=4", "--set", "dense_size=0")
    arguments = (
        "compare",
        *data_flags,
        "--presets",
        ",".join(names),
        "--epochs",
        2,
        *settings,
        "--out",
        tmp_path / "both",
    )
    answer = cli(*arguments)
    assert answer.code == 0
    assert [line.split()[0] for line in answer.out.splitlines()] == ["preset", *names]
    assert (tmp_path / "both/curves.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    results = json.loads((tmp_path / "both/results.json").read_text(encoding="utf-8"))
    assert list(results) == names
    page = (tmp_path / "both/compare.html").read_text(encoding="utf-8")
    for name in names:
        assert f'href="{name}/report.html"' in page
        assert (tmp_path / "both" / name / "report.html").is_file()
        assert f"{results[name]['test']['accuracy']:.2%}" in page
    shutil.rmtree(tmp_path / "both" / names[0])
    assert cli(*arguments).code == 2
    assert not (tmp_path / "both" / names[0]).exists(), "the first preset was trained before the second was looked at"
    again = cli(*arguments, "--overwrite", "--json")
    figures = {name: result["test"] for name, result in json.loads(again.out).items()}
    assert figures == {name: result["test"] for name, result in results.items()}
