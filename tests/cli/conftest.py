"""Runs that several tests of the command line ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from reviews import SMALL, write_reviews
from tidegate.cli import main


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "digits"
    assert main(["train", "digits", *SMALL, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reviews(tmp_path_factory.mktemp("data") / "reviews.csv")


@pytest.fixture(scope="session")
def reviews_run(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "reviews"
    settings = ("--set", "learning_rate=0.05", "--set", "batch_size=4", "--split", "0.25")
    arguments = ["train", str(reviews), "--text", "review", "--label", "stars", *SMALL, *settings, "--out", str(folder)]
    assert main(arguments) == 0
    return folder
