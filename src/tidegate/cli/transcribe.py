"""`tidegate transcribe` and `tidegate align`: what is said or written in files, or in samples from a pipe."""

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.inputs import load_task, require_command
from tidegate.cli.options import ModelPath, Reading, collect_reading, named_path
from tidegate.cli.output import say
from tidegate.errors import InputError
from tidegate.transcripts import FORMATS, SEVERAL, Written, check_form, spell

if TYPE_CHECKING:
    from tidegate.data import Recordings
    from tidegate.decoding import Scorer

_HEADS = (b"RIFF", b"fLaC", b"OggS", b"ID3", b"FORM", b"\x1aE\xdf\xa3")  # how files of sound begin, and no sound does
_CHUNK = 3200  # bytes of a pipe, a fifth of a second at 8 kHz

Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE|-", help="Sound, pictures of lines, or features; - with --stream for a pipe."),
]
Format = Annotated[str, typer.Option("--format", metavar="|".join(FORMATS), help="What to write.")]
Out = Annotated[
    Path | None, typer.Option("-o", "--out", metavar="OUT", parser=named_path, help="Write there, not to stdout.")
]
Live = Annotated[
    bool, typer.Option("--stream", help="Read 16 bit samples of one channel from stdin, and tell what is heard so far.")
]
Lookahead = Annotated[
    int | None,
    typer.Option("--lookahead", metavar="K", help="With --stream: frames that a model of both directions waits for."),
]
Beam = Annotated[
    int,
    typer.Option("--beam", metavar="N", help="Search among N texts; 0 takes the most probable symbol of each frame."),
]
Best = Annotated[
    int,
    typer.Option("--n-best", metavar="K", help="With --beam, as text or json: texts of each file, the best first."),
]
Grams = Annotated[
    Path | None,
    typer.Option("--ngrams", metavar="ARPA", parser=named_path, help="With --beam: n-grams of the language."),
]
Units = Annotated[
    str | None,
    typer.Option(
        "--units", metavar="words|characters", help="With --ngrams: what they are made of; by default of words."
    ),
]
Alpha = Annotated[float | None, typer.Option("--alpha", help="With --ngrams: weight of the language; by default 0.5.")]
Beta = Annotated[
    float | None, typer.Option("--beta", help="With --beam: added for each word, in nats; by default nothing.")
]
NoLanguage = Annotated[
    bool, typer.Option("--no-lm", help="With --beam: leave out what training learned of texts alone.")
]
Lexicon = Annotated[
    Path | None,
    typer.Option(
        "--lexicon", metavar="FILE", parser=named_path, help="With --beam: the words that may stand, a line each."
    ),
]
Hotwords = Annotated[
    list[str] | None,
    typer.Option("--hotword", metavar="WORD=NATS", help="With --beam: a word that is likely, and what that adds."),
]
File = Annotated[
    Path, typer.Argument(metavar="FILE", parser=named_path, help="Sound, the picture of a line, or features.")
]
Told = Annotated[str, typer.Argument(metavar="TEXT", help="What is said or written there.")]


def transcribe(
    model: ModelPath,
    files: Files = None,
    form: Format = "text",
    out: Out = None,
    reading: Reading = None,
    beam: Beam = 0,
    n_best: Best = 1,
    no_lm: NoLanguage = False,
    ngrams: Grams = None,
    units: Units = None,
    alpha: Alpha = None,
    beta: Beta = None,
    lexicon: Lexicon = None,
    hotword: Hotwords = None,
    stream: Live = False,
    lookahead: Lookahead = None,
) -> None:
    """Read what is said or written in files.

    With --beam, what training learned of texts has its say, unless --ngrams or --lexicon take its place, or --no-lm.
    Places are in seconds of the sound or pixels of the picture. With --stream, raw samples come from stdin: what is
    heard so far goes to stderr, the whole to stdout.

    Examples:
      tidegate transcribe runs/fraktur scans/line.png --format hocr
      tidegate transcribe runs/prompts call.wav other.wav --format json
      tidegate transcribe runs/prompts call.wav --beam 16 --n-best 3 --ngrams words.arpa --lexicon words.txt
      tidegate transcribe runs/prompts - --stream --beam 16 < microphone.raw
    """
    from tidegate.data.plain_text import read_text

    loaded = load_task(model)
    require_command(loaded, model, "transcribe", "reads no files of sound or lines")
    likely = _likely(hotword)
    searching = {
        "--n-best": n_best if n_best > 1 else None, "--ngrams": ngrams, "--lexicon": lexicon,
        "--hotword": likely or None, "--units": units, "--alpha": alpha, "--beta": beta, "--no-lm": no_lm or None,
    }  # fmt: skip
    if not beam:
        _refuse(searching, "wants a search. Add --beam 16, or another number")
    if form in FORMATS and form not in SEVERAL:
        _refuse({"--n-best": searching["--n-best"]}, f"has no place in {form}, which holds one text. Take text or json")
    known = None if no_lm or ngrams or lexicon else loaded.scorer_
    if ngrams is None:
        _refuse({"--units": units}, "speaks of n-grams, and none came. Add --ngrams FILE")
    if ngrams is None and known is None:
        _refuse({"--alpha": alpha}, "speaks of n-grams, and none came. Add --ngrams FILE")
    words = None if lexicon is None else _shown(loaded, "--lexicon", read_text(lexicon).split())
    likely = dict(zip(_shown(loaded, "--hotword", likely), likely.values(), strict=True))
    scorer = _scorer(known, ngrams, units or "words", words, (alpha, beta), likely, loaded.reads) if beam else None
    asked: dict[str, Any] = {"beam": beam, "n_best": n_best, "scorer": scorer}
    if stream:
        _refuse({"--read": reading or None}, "tells how files are read, and --stream reads none. Leave it out")
        if named := [file for file in files or [] if file != "-"]:
            raise InputError(f"--stream reads samples from stdin, but {named[0]} came. Leave out one of them.")
        check_form(form, [("stdin", "seconds")])
        found = [Written("stdin", _hear(loaded, lookahead, asked), "seconds")]
    elif not files or files == ["-"]:
        raise InputError("there is nothing to transcribe. Give files, or samples through a pipe with --stream.")
    else:
        _refuse({"--lookahead": lookahead}, "is for a pipe, and files are read whole. Leave it out, or add --stream")
        signals = read_signals(loaded, [Path(file) for file in files], reading, form)
        found = _written(signals, loaded.transcribe(signals, **asked))
    _put(spell(form, found), out)


def align(
    model: ModelPath, file: File, text: Told, form: Format = "json", out: Out = None, reading: Reading = None
) -> None:
    """Find where each symbol and word of a known text lies in a file.

    Example:
      tidegate align runs/prompts call.wav "thank you for calling" --format ctm
    """
    loaded = load_task(model)
    require_command(loaded, model, "transcribe", "aligns no texts")
    signals = read_signals(loaded, [file], reading, form)
    _put(spell(form, _written(signals, [loaded.align(signals, text)])), out)


def _refuse(given: dict[str, Any], why: str) -> None:
    """Refuse the first option that came and would have no effect."""
    for name, value in given.items():
        if value is not None:
            raise InputError(f"{name} {why}.")


def read_signals(loaded: Any, files: list[Path], reading: list[str] | None, form: str = "json") -> "Recordings":
    """Read files as the model wants them: at its rate, or its height; refuse them where the format has no place."""
    from tidegate.data.transcribed.reading import read_choices, read_files

    if folders := [file for file in files if file.is_dir()]:
        raise InputError(f"{folders[0]} is a folder. Name the files in it, such as {folders[0]}/*.")
    if absent := [file for file in files if not file.is_file()]:
        raise InputError(f"there is no file {absent[0]}.")
    wanted = {name: str(value) for name, value in collect_reading(None, reading).items()}
    known = {"sound": {"channel", "resample"}, "line": {"invert"}}.get(loaded.reads, set())
    if unknown := wanted.keys() - known:
        choice = f"to choose is {' or '.join(sorted(known))}" if known else "there is nothing to choose"
        raise InputError(f"--read {min(unknown)}=... says nothing of how {loaded.reads} is read; {choice}.")
    signals = read_files(files, read_choices(**loaded.wants(), **wanted))
    check_form(form, [(name, signals.unit) for name in signals.names])  # type: ignore[misc]
    return signals


def _likely(given: list[str] | None) -> dict[str, float]:
    """Read words and what each adds."""
    found: dict[str, float] = {}
    for one in given or []:
        word, _, nats = one.rpartition("=")
        try:
            found[word] = float(nats)
        except ValueError:
            raise InputError(f"--hotword {one!r:.60} came; wanted a word and what it adds: --hotword tide=3") from None
    return found


def _shown(loaded: Any, option: str, words: Iterable[str]) -> list[str]:
    """Bring words to the order of the signal; tell those that the model cannot read, and refuse nothing but such."""
    words = list(words)
    shown: list[str] = loaded.as_shown(words)
    known = set(loaded.symbols_)
    if strange := [word for word, spelled in zip(words, shown, strict=True) if not known.issuperset(spelled)]:
        named = ", ".join(f"{word!r:.40}" for word in strange[:3])
        told = f"{option}: {len(strange):,} of {len(words):,} words hold symbols that training never saw: {named}"
        if len(strange) == len(words):
            raise InputError(f"{told}. Nothing would be read of them; leave them out.")
        say(f"warning: {told}. They are never read.")
    return shown


def _scorer(
    known: "Scorer | None",
    ngrams: Path | None,
    units: str,
    lexicon: list[str] | None,
    weights: tuple[float | None, float | None],
    likely: dict[str, float],
    reads: str,
) -> "Scorer":
    """Put together what is known of texts: what training learned, or what files hold, with other weights and words."""
    from tidegate.decoding import NgramModel, Scorer

    named: dict[str, Any] = dict(zip(("alpha", "beta"), weights, strict=True))
    named = {name: value for name, value in named.items() if value is not None}
    if known is not None:
        return replace(known, hotwords=likely, **named)
    model: Any = None if ngrams is None else NgramModel.from_arpa(ngrams, units=units)  # type: ignore[arg-type]
    if model is not None and reads == "line":
        _refuse_leftward(ngrams, model.vocabulary)
    return Scorer(language_model=model, lexicon=lexicon, hotwords=likely, **named)


def _refuse_leftward(ngrams: Path | None, vocabulary: Iterable[str]) -> None:
    """Refuse n-grams of what is written from right to left: a file does not say from which end they were counted."""
    from tidegate.data.transcribed.writing import is_leftward

    if leftward := next(filter(is_leftward, vocabulary), None):
        raise InputError(
            f"{ngrams} has n-grams of what is written from right to left, such as {leftward!r:.40}, and a line is read "
            "from its left edge. In Python count them so, NgramModel.from_texts(model.as_shown(texts)), "
            "and pass transcribe(scorer=Scorer(...)); or leave --ngrams out: what training learned stands so."
        )


def _written(signals: "Recordings", told: list[Any]) -> list[Written]:
    found = []
    for index, (name, each) in enumerate(zip(signals.names, told, strict=True)):
        width = signals.place(index, float(signals.lengths[index])) - signals.place(index, 0)
        height = signals.width * float(signals.scales[index, 0])
        size = (round(width), round(height)) if signals.reads == "line" else (0, 0)
        found.append(Written(name, each, signals.unit, size))  # type: ignore[arg-type]
    return found


def _hear(loaded: Any, lookahead: int | None, asked: dict[str, Any]) -> Any:
    """Read samples from stdin as they come; say what is heard each time it changes."""
    from tidegate.data.transcribed.sound import read_samples

    if loaded.reads != "sound":
        raise InputError(f"this model reads {loaded.reads}, and a pipe brings sound. Give it files.")
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("no samples come through a pipe. Write them there: < microphone.raw")
    live, text, left = loaded.stream(lookahead=lookahead, **asked), "", b""
    while chunk := os.read(sys.stdin.fileno(), _CHUNK):
        if not live.steps and (left + chunk).startswith(_HEADS):
            raise InputError(
                "a file with a header came, which is no sound. Pipe its samples alone: tail -c +45 FILE.wav"
            )
        whole = left + chunk
        left = whole[len(whole) & ~1 :]
        told = live.push(read_samples(whole[: len(whole) & ~1]))
        if told.text != text:
            text = told.text
            say(text)
    if left:
        say("warning: half a sample came last, and was left out.")
    return live.finish()


def _put(document: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(document)
    else:
        from tidegate.durable import atomic_write

        atomic_write(out, document.encode("utf-8", "backslashreplace"))
        say(f"written: {out}")
