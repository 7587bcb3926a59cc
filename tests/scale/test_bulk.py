"""Many files answered by several processes: each row once, with the bytes that one writes, whoever is killed."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import tidegate as tg
from bulk_work import double, double_or_die
from commands import Cli
from tidegate.errors import DataError, InputError, RunFolderError, TidegateError
from tidegate.lock import LOCK
from tidegate.scale.bulk import BEGUN, MANIFEST, Progress, Work, answer_all

ABOUT = {"model": "one"}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "in"
    folder.mkdir()
    made = [folder / f"{number}.txt" for number in range(3)]
    for number, file in enumerate(made):
        file.write_text("".join(f"row {row} of {number}\n" for row in range(4 + number)), encoding="utf-8")
    return made


def run(files: list[Path], out: Path, work: Work = double, **options: Any) -> list[Progress]:
    given: dict[str, Any] = {"about": ABOUT, "workers": 1} | options
    return list(answer_all(files, out, work, **given))


def answers(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name != MANIFEST}


def manifest(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / MANIFEST).read_text(encoding="utf-8").splitlines()]


def wanted(files: list[Path], folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    for file in files:
        double(file, folder / file.name)
    return answers(folder)


def test_each_file_is_answered_once_and_noted(files: list[Path], tmp_path: Path) -> None:
    steps = run(files, tmp_path / "out", workers=2)
    assert answers(tmp_path / "out") == wanted(files, tmp_path / "wanted")
    about, *lines = manifest(tmp_path / "out")
    assert about == ABOUT
    assert sorted((line["file"], line["answers"], line["rows"]) for line in lines) == [
        (str(file), file.name, 4 + number) for number, file in enumerate(files)
    ]
    assert (steps[0].rows, steps[-1].rows) == (0, 15)
    assert steps[-1].share == pytest.approx(1)


@pytest.mark.parametrize("number", range(7))
def test_a_process_that_is_killed_at_any_write_is_replaced(files: list[Path], tmp_path: Path, number: int) -> None:
    marks, out = tmp_path / "killed", tmp_path / "out"
    run(files, out, partial(double_or_die, marks, number))
    assert marks.exists()
    assert answers(out) == wanted(files, tmp_path / "wanted")
    assert {path.name for path in out.iterdir()} - {LOCK} == {"0.txt", "1.txt", "2.txt", MANIFEST}
    assert sorted(line["answers"] for line in manifest(out)[1:]) == ["0.txt", "1.txt", "2.txt"]


def test_what_was_answered_is_not_answered_again_and_what_changed_is(files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(files, out)
    assert run(files, out)[-1].rows == 0
    files[1].write_text("another row\n", encoding="utf-8")
    (out / "2.txt").write_text("torn", encoding="utf-8")
    assert run(files, out)[-1].rows == 1 + 6
    assert answers(out) == wanted(files, tmp_path / "wanted")


def test_a_manifest_that_was_cut_off_and_drafts_that_were_left_are_mended(files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(files, out)
    whole = (out / MANIFEST).read_bytes()
    (out / MANIFEST).write_bytes(whole[:-7])
    (out / BEGUN).write_text(json.dumps([file.name for file in files]), encoding="utf-8")
    for name in ("1.txt", MANIFEST):
        (out / f".{name}.0a1b2c3d.tmp").write_bytes(b"half")
    assert run(files, out)[-1].rows in (4, 5, 6)
    assert sorted((out / MANIFEST).read_bytes().splitlines()) == sorted(whole.splitlines())
    assert answers(out) == wanted(files, tmp_path / "wanted")


def test_answers_of_something_else_are_kept(files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(files, out)
    with pytest.raises(RunFolderError, match="answers of another model: one, not two"):
        run(files, out, about={"model": "two"})
    (out / MANIFEST).unlink()
    with pytest.raises(InputError, match=r"0\.txt is there already"):
        run(files, out)
    assert run(files, out, overwrite=True)[-1].rows == 15


def test_files_that_cannot_be_told_apart_or_would_be_lost_are_refused(files: list[Path], tmp_path: Path) -> None:
    twin = tmp_path / "0.txt"
    twin.write_text("row\n", encoding="utf-8")
    with pytest.raises(InputError, match="one name"):
        run([*files, twin], tmp_path / "out")
    with pytest.raises(InputError, match="is the file that is read"):
        run(files, files[0].parent)
    with pytest.raises(InputError, match="wanted 1 or more"):
        run(files, tmp_path / "out", workers=0)


def test_a_file_that_is_not_of_the_answers_is_kept(files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(files[:2], out)
    (out / "2.txt").write_text("of somebody else", encoding="utf-8")
    before = (out / MANIFEST).read_bytes()
    with pytest.raises(InputError, match=r"2\.txt is there already"):
        run(files, out)
    assert (out / "2.txt").read_text(encoding="utf-8") == "of somebody else"
    assert (out / MANIFEST).read_bytes() == before
    assert run(files, out, overwrite=True)[-1].rows == 15
    assert answers(out) == wanted(files, tmp_path / "wanted")


def test_answers_that_were_begun_by_a_call_that_was_ended_are_its_own(files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    begun = answer_all(files, out, double, about=ABOUT, workers=1)
    next(begun)
    begun.close()
    (out / "2.txt").write_text("written, and not yet noted", encoding="utf-8")
    run(files[:2], out)
    assert run(files, out)[-1].rows == 6
    assert answers(out) == wanted(files, tmp_path / "wanted")
    (out / MANIFEST).unlink()
    with pytest.raises(InputError, match=r"0\.txt is there already"):
        run(files, out)


def test_the_names_that_the_folder_needs_are_refused(files: list[Path], tmp_path: Path) -> None:
    for name in (MANIFEST, BEGUN):
        with pytest.raises(InputError, match=f"{name} has a name that the folder of the answers keeps"):
            run([*files, tmp_path / name], tmp_path / "out")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    tiny: dict[str, Any] = {"hidden_size": 4, "epochs": 1, "batch_size": 4, "validation_fraction": 0}
    tg.TextClassifier(**tiny).fit(["card refund", "app crash"] * 8, ["billing", "bug"] * 8).save(path)
    return path


def tables(folder: Path, count: int, rows: int) -> list[Path]:
    made = [folder / f"{number}.csv" for number in range(count)]
    for number, file in enumerate(made):
        texts = (f"card {row * number} refund app" for row in range(rows))
        file.write_text("text\n" + "\n".join(texts) + "\n", encoding="utf-8")
    return made


def test_the_command_writes_what_it_writes_file_by_file(cli: Cli, model: Path, tmp_path: Path) -> None:
    made = tables(tmp_path, 3, 20)
    made[1].write_text("nothing,else\n1,2\n", encoding="utf-8")
    answer = cli("predict", model, *made, "-o", tmp_path / "out", "--workers", 2)
    assert answer.code == 2
    assert "1.csv has no column that is clearly the texts" in answer.err
    assert "1 of 3 files could not be answered" in answer.err
    made[1].write_text("text\nrefund\n", encoding="utf-8")
    answer = cli("predict", model, *made, "-o", tmp_path / "out", "--workers", 1)
    assert answer.code == 0
    assert "3 files answered, 1 rows of them now" in answer.err
    for file in made:
        assert cli("predict", model, file).out.encode() == (tmp_path / "out" / file.name).read_bytes()


@pytest.mark.parametrize(
    ("options", "told"), [(["--workers", 2], "-o DIR"), (["--workers", 2, "--json", "-o", "out"], "write files")]
)
def test_the_command_says_what_goes_together(
    cli: Cli, model: Path, tmp_path: Path, options: list[object], told: str
) -> None:
    answer = cli("predict", model, *tables(tmp_path, 1, 1), *options)
    assert answer.code == 2
    assert told in answer.err


@pytest.mark.slow
def test_kills_of_the_command_at_any_time_leave_each_row_once(model: Path, tmp_path: Path) -> None:
    made, out = tables(tmp_path, 6, 2000), tmp_path / "out"
    command = [sys.executable, "-m", "tidegate", "predict", str(model), *map(str, made), "-o", str(out)]
    for kill in range(20):
        process = subprocess.Popen([*command, "--workers", "2"], stderr=subprocess.DEVNULL)
        time.sleep(0.4 + 0.1 * kill)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([*command, "--workers", "2"], check=True, capture_output=True)
    for file in made:
        alone = subprocess.run([*command[:5], str(file)], check=True, capture_output=True).stdout
        assert (out / file.name).read_bytes() == alone


def test_an_error_of_a_file_names_it(files: list[Path], tmp_path: Path) -> None:
    files[0].write_bytes(b"\xff")
    failed = run(files, tmp_path / "out", refuse)[-1].failed
    assert {file: str(error) for file, error in failed.items()} == {files[0]: "not a text"}


def test_a_file_that_the_system_refuses_keeps_no_other_from_being_answered(files: list[Path], tmp_path: Path) -> None:
    out, gone, folder = tmp_path / "out", tmp_path / "gone.txt", tmp_path / "folder.txt"
    folder.mkdir()
    made = [tmp_path / f"{name}.txt" for name in ("secret", "huge", "vanishing")]
    for file in made:
        file.write_text(f"{file.stem}\n", encoding="utf-8")
    steps = run([gone, *files, folder, *made], out, fall, workers=2)
    told = {file.name: str(error) for file, error in steps[-1].failed.items()}
    assert all(type(error) is DataError for error in steps[-1].failed.values())
    assert told.keys() == {"gone.txt", "folder.txt", "secret.txt", "huge.txt", "vanishing.txt"}
    assert "No such file" in told["gone.txt"] and "No such file" in told["vanishing.txt"]
    assert "Is a directory" in told["folder.txt"]
    assert "Permission denied" in told["secret.txt"]
    assert "memory is not enough" in told["huge.txt"]
    assert answers(out) == wanted(files, tmp_path / "wanted")
    assert steps[-1].share == pytest.approx(1)
    gone.write_text("there again\n", encoding="utf-8")
    assert run([gone, *files], out)[-1].rows == 1


def test_processes_that_are_lost_before_all_files_are_handed_out_are_replaced(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit, broken = ProcessPoolExecutor.submit, list[int]()

    def submit_or_break(self: ProcessPoolExecutor, *args: Any) -> Any:
        if not broken:
            broken.append(1)
            raise BrokenProcessPool
        return submit(self, *args)

    monkeypatch.setattr(ProcessPoolExecutor, "submit", submit_or_break)
    assert run(files, tmp_path / "out")[-1].rows == 15
    assert answers(tmp_path / "out") == wanted(files, tmp_path / "wanted")


def fall(file: Path, target: Path) -> int:
    match file.stem:
        case "secret":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
        case "huge":
            raise MemoryError
        case "vanishing":
            file.unlink()
    return double(file, target)


def refuse(file: Path, target: Path) -> int:
    if file.read_bytes() == b"\xff":
        raise TidegateError("not a text")
    return double(file, target)
