"""`tidegate transcribe`, `align` and what trains for them: files in, places in units of the original out."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from commands import Cli
from tidegate.cli import main
from tidegate.decoding import NgramModel, Scorer
from transcribed import put_line

RATE = 2000
TONES = {"a": 220.0, "b": 700.0}


def sing(text: str, *, each: int = 400) -> np.ndarray:
    """Sing a text: a tone for each symbol with silence behind it, [T]."""
    time = np.arange(each) / RATE
    silent = np.zeros(each // 2)
    return np.concatenate([part for c in text for part in (0.5 * np.sin(2 * np.pi * TONES[c] * time), silent)])


def write(path: Path, samples: np.ndarray) -> None:
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of songs with a manifest: two singers, 24 songs of one to three tones."""
    folder = tmp_path_factory.mktemp("songs")
    texts = ["".join(text) for text in ("a", "b", "ab", "ba", "aab", "bba", "aba", "bab", "aa", "bb", "abb", "baa")] * 2
    rows = ["path\ttext\tspeaker"]
    for number, text in enumerate(texts):
        write(folder / f"{number}.wav", sing(text))
        rows.append(f"{number}.wav\t{text}\t{'ann' if number < 12 else 'bob'}")
    (folder / "list.tsv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def run(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "songs"
    quiet = {
        "speed": 0,
        "time_masks": 0,
        "feature_masks": 0,
        "noise": 0.02,
        "shift": 0,
        "average": 0.9,
        "dropout": 0,
        "validation_fraction": 0,
    }
    sizes = {"num_layers": 1, "batch_size": 4, "epochs": 30, "learning_rate": 0.02, "bands": 12, "bidirectional": False}
    settings = [f"--set={name}={str(value).lower()}" for name, value in (quiet | sizes).items()]
    arguments = ["train", str(songs / "list.tsv"), "--task", "transcribe", "--reads", "sound", "--split", "0.5"]
    assert main([*arguments, "--hidden-size", "24", "--out", str(folder), *settings]) == 0
    return folder


def test_training_tells_the_errors_of_the_test_part(run: Path) -> None:
    about = tg.runs.describe_model(run)["metrics"]["test"]
    assert about["examples"] == 12
    assert 0 <= about["cer"] <= about["ser"] <= 1
    assert 0 <= about["wer"] <= 1


def test_files_are_read_with_the_places_of_their_words(cli: Cli, run: Path, songs: Path) -> None:
    answer = cli("transcribe", run, songs / "6.wav", songs / "3.wav", "--format", "json")
    assert answer.code == 0, answer.err
    first, second = map(json.loads, answer.out.splitlines())
    assert (first["text"], second["text"]) == ("aba", "ba")
    assert first["unit"] == "seconds"
    starts = [symbol["start"] for symbol in first["symbols"]]
    assert np.abs(np.array(starts) - [0.0, 0.3, 0.6]).max() < 0.15  # half a tone: CTC names a symbol where it is sure
    assert cli("transcribe", run, songs / "3.wav").out == "ba\n"


def test_a_known_text_is_aligned(cli: Cli, run: Path, songs: Path) -> None:
    name, channel, begin, length, word, _ = cli("align", run, songs / "8.wav", "aa", "--format", "ctm").out.split()
    assert (name, channel, word) == ("8", "1", "aa")
    assert 0 <= float(begin) < float(begin) + float(length) <= 0.6
    refused = cli("align", run, songs / "8.wav", "ax")
    assert refused.code == 2
    assert "training never saw the symbol 'x'" in refused.err


def test_inspect_shows_what_each_frame_names(cli: Cli, run: Path, songs: Path, tmp_path: Path) -> None:
    answer = cli("inspect", run, songs / "6.wav", "--out", tmp_path / "page.html", "--json")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    assert told["text"] == "aba" != told["other"]["text"]
    assert told["score"] >= told["other"]["score"]
    assert "layer 0 forward" in (tmp_path / "page.html").read_text(encoding="utf-8")
    refused = cli("inspect", run, songs / "6.wav", "--target", "ax", "--out", tmp_path / "no.html")
    assert (refused.code, (tmp_path / "no.html").exists()) == (2, False)
    assert "the symbol 'x' of the text" in refused.err


def test_speakers_are_measured_apart(cli: Cli, run: Path, songs: Path) -> None:
    told = json.loads(cli("evaluate", run, songs / "list.tsv", "--json").out)
    assert told["part"] == "test"
    assert told["examples"] == 12
    assert 0 <= told["cer"] <= 0.2  # a tone that comes twice is now and then heard once
    assert [row["group"] for row in told["groups"]] in (["ann"], ["bob"])
    plain = cli("evaluate", run, songs / "list.tsv", "--by", "speaker")
    assert "speaker" in plain.out.splitlines()[-2]


def test_options_of_a_measurement_that_say_nothing_are_refused_before_anything_is_read(
    cli: Cli, run: Path, songs: Path, digits_run: Path, tmp_path: Path
) -> None:
    for option in (("--by", "speaker"), ("--beam", "4"), ("--no-lm",)):
        refused = cli("evaluate", digits_run, tmp_path / "not-there.csv", *option)
        assert (refused.code, refused.out) == (2, "")
        assert f"is no transcriber, so that {option[0]} says nothing to it" in refused.err
    refused = cli("evaluate", run, tmp_path / "not-there.csv", "--by", "voice")
    assert (refused.code, refused.out) == (2, "")
    assert "unknown kind of group 'voice'. Known: book, page, speaker." in refused.err
    (songs / "alone.tsv").write_text("path\ttext\n0.wav\ta\n")
    refused = cli("evaluate", run, songs / "alone.tsv", "--by", "speaker")
    assert (refused.code, refused.out) == (2, "")
    assert "nothing here says which speaker an example is of" in refused.err


@pytest.mark.parametrize("option", ["invert=true", "height=48", "width=13"])
def test_ways_to_read_files_of_another_kind_are_refused(cli: Cli, run: Path, songs: Path, option: str) -> None:
    read = cli("transcribe", run, songs / "0.wav", "--read", option)
    assert (read.code, read.out) == (2, "")
    assert f"--read {option.split('=')[0]}=... says nothing" in read.err
    loaded = cli("train", songs / "list.tsv", "--task", "transcribe", "--read", option, "--out", songs / "none")
    assert (loaded.code, (songs / "none").exists()) == (2, False)
    assert f"{option.split('=')[0]} says nothing of how sound is read" in loaded.err


def test_a_search_gives_several_texts_and_hears_what_is_known_of_them(
    cli: Cli, run: Path, songs: Path, tmp_path: Path
) -> None:
    (tmp_path / "words.txt").write_text("aa\nbb\n")
    NgramModel.from_texts(["aa", "bb"] * 5, order=2, units="words").to_arpa(tmp_path / "words.arpa")
    asked = ("transcribe", run, songs / "6.wav", "--format", "json", "--beam", "8")
    told = json.loads(cli(*asked, "--n-best", "3").out)
    assert told["text"] == "aba"
    assert len(told["alternatives"]) == 2
    listed = json.loads(cli(*asked, "--lexicon", tmp_path / "words.txt").out)
    assert listed["text"] in ("aa", "bb")
    (tmp_path / "some.txt").write_text("aba äb")
    partly = cli(*asked, "--lexicon", tmp_path / "some.txt")
    assert (json.loads(partly.out)["text"], partly.err) == (
        "aba",
        "warning: --lexicon: 1 of 2 words hold symbols that training never saw: 'äb'. They are never read.\n",
    )
    assert cli("transcribe", run, songs / "6.wav", "--beam", "8", "--n-best", "2").out.startswith("aba\t")
    counted = cli(*asked, "--ngrams", tmp_path / "words.arpa", "--alpha", "0", "--hotword", "aba=2")
    assert json.loads(counted.out)["text"] == "aba"
    for arguments, message in (
        (("--n-best", "2"), "wants a search. Add --beam 16"),
        (("--lexicon", tmp_path / "words.txt"), "wants a search. Add --beam 16"),
        (("--beam", "4", "--hotword", "aba"), "wanted a word and what it adds: --hotword tide=3"),
        (("--beam", "4", "--ngrams", tmp_path / "no.arpa"), "no.arpa is not there"),
        (("--beam", "4", "--lexicon", tmp_path / "no.txt"), "no.txt"),
        (("--beam", "4", "--ngrams", tmp_path / "words.arpa", "--units", "beans"), "beans"),
        (("--beam", "-1"), "beam=-1"),
        (("--beam", "4", "--hotword", "xa=2"), "--hotword: 1 of 1 words hold symbols that training never saw: 'xa'"),
        (("--beam", "4", "--n-best", "2", "--format", "ctm"), "--n-best has no place in ctm"),
    ):
        refused = cli("transcribe", run, songs / "0.wav", *arguments)
        assert (refused.code, refused.out) == (2, ""), refused.err
        assert message in refused.err
        assert "Traceback" not in refused.err


def test_what_training_learned_of_texts_has_its_say_in_a_search(
    cli: Cli, run: Path, songs: Path, tmp_path: Path
) -> None:
    model, path = tg.load(run / "model.safetensors"), tmp_path / "model.safetensors"
    spoken = NgramModel.from_texts(["aa", "bb"] * 5, order=2, units="words")
    scorer = Scorer(lexicon=["aa", "bb"], language_model=spoken, alpha=0.0)
    model._fitted = replace(model._fitted, learned=replace(model._fitted.learned, scorer=scorer))
    model.save(path)
    asked = ("transcribe", path, songs / "6.wav")
    assert cli(*asked).out == "aba\n"
    assert cli(*asked, "--beam", "8").out in ("aa\n", "bb\n")
    assert cli(*asked, "--beam", "8", "--alpha", "0.1").out in ("aa\n", "bb\n")
    assert cli(*asked, "--beam", "8", "--no-lm").out == "aba\n"
    plain = json.loads(cli("evaluate", path, songs / "list.tsv", "--part", "all", "--json").out)
    searched = json.loads(cli("evaluate", path, songs / "list.tsv", "--part", "all", "--beam", "16", "--json").out)
    bare = json.loads(
        cli("evaluate", path, songs / "list.tsv", "--part", "all", "--beam", "16", "--no-lm", "--json").out
    )
    assert plain["beam_wer"] == searched["wer"] >= 20 / 24, "of twelve texts the lexicon holds two"
    assert bare["wer"] < 0.3 and "beam_wer" not in bare


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--alpha", "0.5"), "--alpha wants a search. Add --beam 16"),
        (("--no-lm",), "--no-lm wants a search. Add --beam 16"),
        (("--beta", "0"), "--beta wants a search. Add --beam 16"),
        (("--units", "words"), "--units wants a search. Add --beam 16"),
        (("--hotword", "ab=2"), "--hotword wants a search. Add --beam 16"),
        (("--ngrams", "words.arpa"), "--ngrams wants a search. Add --beam 16"),
        (("--beam", "4", "--alpha", "0.5"), "--alpha speaks of n-grams, and none came. Add --ngrams FILE"),
        (("--beam", "4", "--units", "words"), "--units speaks of n-grams, and none came. Add --ngrams FILE"),
        (("--lookahead", "0"), "--lookahead is for a pipe, and files are read whole"),
    ],
)
def test_an_option_without_effect_is_refused(
    cli: Cli, run: Path, songs: Path, arguments: tuple[str, ...], message: str
) -> None:
    refused = cli("transcribe", run, songs / "0.wav", *arguments)
    assert (refused.code, refused.out) == (2, "")
    assert message in refused.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--read", "channel=left"), "--read tells how files are read, and --stream reads none"),
        (("--alpha", "0.5"), "--alpha wants a search"),
    ],
)
def test_an_option_without_effect_on_a_pipe_is_refused(
    cli: Cli, run: Path, arguments: tuple[str, ...], message: str
) -> None:
    refused = cli("transcribe", run, "-", "--stream", *arguments)
    assert (refused.code, refused.out) == (2, "")
    assert message in refused.err


def test_the_header_of_a_file_is_not_heard(run: Path, songs: Path) -> None:
    command = [sys.executable, "-m", "tidegate", "transcribe", str(run), "-", "--stream"]
    done = subprocess.run(command, input=(songs / "0.wav").read_bytes(), capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"a file with a header came, which is no sound" in done.stderr
    assert b"Traceback" not in done.stderr


def test_files_of_one_name_are_told_apart(
    cli: Cli, run: Path, songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, song in (("a", "0.wav"), ("b", "3.wav")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.wav").write_bytes((songs / song).read_bytes())
    monkeypatch.chdir(tmp_path)
    files = [str(Path("a/1.wav")), str(Path("b/1.wav"))]
    told = [json.loads(line) for line in cli("transcribe", run.resolve(), *files, "--format", "json").out.splitlines()]
    assert [(row["file"], row["text"]) for row in told] == list(zip(files, ["a", "ba"], strict=True))
    words = cli("transcribe", run.resolve(), *files, "--format", "ctm").out.splitlines()
    assert [line.split()[0] for line in words] == ["a/1", "b/1"]


@pytest.mark.parametrize("search", [(), ("--beam", "8", "--n-best", "2")])
def test_a_pipe_of_samples_gives_the_text_of_the_whole(run: Path, songs: Path, search: tuple[str, ...]) -> None:
    samples = (sing("abb") * 32767).astype("<i2").tobytes()
    command = [sys.executable, "-m", "tidegate", "transcribe", str(run), "-", "--stream", "--format", "json"]
    done = subprocess.run([*command, *search], input=samples, capture_output=True, timeout=60, check=True)
    told = json.loads(done.stdout)
    whole = tg.load(run).transcribe([(sing("abb") * 32767).astype("<i2").astype(np.float32)[:, None] / 32768])[0]
    assert told["text"] == whole.text == "abb"
    assert [symbol["start"] for symbol in told["symbols"]] == pytest.approx([one.start for one in whole.symbols])
    assert done.stderr.decode().split()[-1] == "abb"


def test_what_cannot_be_read_is_refused_in_one_line(cli: Cli, run: Path, songs: Path, tmp_path: Path) -> None:
    write(tmp_path / "a.wav", sing("a"))
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[24:28] = (8000).to_bytes(4, "little")
    content[28:32] = (16000).to_bytes(4, "little")
    (tmp_path / "fast.wav").write_bytes(content)
    for arguments, message in (
        ((tmp_path / "fast.wav",), "has 8000 samples a second, but 2000 are wanted. Resample it: --read resample=true"),
        ((tmp_path / "none.wav",), "there is no file"),
        ((songs,), f"{songs} is a folder. Name the files in it"),
        ((), "there is nothing to transcribe"),
        ((songs / "0.wav", "--format", "hocr"), "hocr wants places in pixels"),
        ((songs / "0.wav", "--format", "xml"), "unknown format 'xml'"),
        (
            (songs / "0.wav", "--read", "rate=1"),
            "--read rate=... says nothing of how sound is read; to choose is channel or resample",
        ),
        ((songs / "0.wav", "--stream"), "--stream reads samples from stdin"),
    ):
        refused = cli("transcribe", run, *arguments)
        assert (refused.code, refused.out) == (2, "")
        assert message in refused.err
        assert "Traceback" not in refused.err
    resampled = cli("transcribe", run, tmp_path / "fast.wav", "--read", "resample=true")
    assert resampled.code == 0


@pytest.fixture(scope="module")
def leftward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader of lines in Hebrew, whose weights matter to nobody."""
    texts = ["\u05d0\u05d1 \u05d2", "a 1", "\u05d1 \u05d0", "\u05d2"] * 3
    signals = [np.random.default_rng(number).random((80, 8)) for number in range(len(texts))]
    reader = tg.Transcriber(reads="line", hidden_size=4, num_layers=1, epochs=1, validation_fraction=0)
    path = tmp_path_factory.mktemp("leftward") / "model"
    reader.fit(signals, texts).save(path)
    put_line(path.with_name("line.png"), (8, 80))
    return path


@pytest.mark.parametrize("units", ["words", "characters"])
def test_n_grams_that_run_from_right_to_left_are_refused_and_others_are_not(
    cli: Cli, leftward: Path, run: Path, songs: Path, tmp_path: Path, units: Any
) -> None:
    NgramModel.from_texts(["\u05d0\u05d1 \u05d2"], order=2, units=units).to_arpa(tmp_path / "hebrew.arpa")
    NgramModel.from_texts(["a 1 b"], order=2, units=units).to_arpa(tmp_path / "latin.arpa")
    asked = ("--beam", "4", "--units", units, "--ngrams")
    refused = cli("transcribe", leftward, leftward.with_name("line.png"), *asked, tmp_path / "hebrew.arpa")
    assert refused.code == 2
    assert "from right to left, such as '\u05d0" in refused.err
    assert "NgramModel.from_texts(model.as_shown(texts))" in refused.err
    assert cli("transcribe", leftward, leftward.with_name("line.png"), *asked, tmp_path / "latin.arpa").code == 0
    assert cli("transcribe", run, songs / "3.wav", *asked, tmp_path / "hebrew.arpa").code == 0  # sound runs in time
