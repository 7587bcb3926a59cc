"""`tidegate inspect`: what moved an answer, or was read in each frame, and what happened inside, as a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.inputs import batches, load_task, read_inputs, require_texts
from tidegate.cli.options import Json, ModelPath, named_path
from tidegate.cli.output import emit_json, emit_table, say
from tidegate.data.showing import shorten
from tidegate.errors import InputError

if TYPE_CHECKING:
    from tidegate.data import Recordings
    from tidegate.tasks.task import AnyTask

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT|-",
        help="Texts, or sequences as JSON; without any, or with -, the lines of stdin. For a transcriber, files.",
    ),
]
DataName = Annotated[
    str | None, typer.Option("--data", metavar="DATA", help="Take the inputs from a data set, by name or file.")
]
Rows = Annotated[
    list[int] | None,
    typer.Option("--row", metavar="K", min=0, help="A row of its test part, counted from 0; repeatable."),
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="LABEL",
        help="The label to explain, or the text to align; by default what the model says itself.",
    ),
]
Begin = Annotated[
    int, typer.Option("--begin", metavar="STEP", help="The first step to show; a negative one counts from the end.")
]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", parser=named_path, help="The page to write.")]


def inspect(
    model: ModelPath,
    inputs: Inputs = None,
    data: DataName = None,
    row: Rows = None,
    target: Target = None,
    begin: Begin = 0,
    out: Out = Path("inspect.html"),
    json: Json = False,
) -> None:
    """Look inside a model while it answers.

    Prints what each token or step contributed to the answer, and writes one page that works without a network: the
    answer, the tokens coloured by what they contributed, gates, states and gradients of every unit, and how far back
    the gradient reaches. Of a transcriber, what each frame names, the best alignment, the best of another text, and
    what the gates did at each symbol.

    Examples:
      tidegate inspect runs/imdb-tutorial-bilstm "Not a bad film at all." --out not-bad.html
      tidegate inspect runs/digits --data digits --row 3 --row 7
      tidegate inspect runs/prompts call.wav --target "thank you"
    """
    import tidegate
    from tidegate.durable import atomic_write

    task = load_task(model)
    if "transcribe" in type(task).card.asked:
        if begin:
            raise InputError("--begin counts steps of texts and series; a page of signals shows all. Leave it out.")
        _look_at_frames(
            task, _signals(task, inputs, data, row or []), target, f"Inside {model.resolve().name}", out, json
        )
        return
    found = tidegate.inspect.examine(task, _inputs(task, inputs, data, row or []), target=target)
    page = found.to_html(f"Inside {model.resolve().name}", begin=begin)
    for record in found.to_json():
        if json:
            emit_json(record)
        else:
            _print_one(record)
    atomic_write(out, page.encode(errors="backslashreplace"))
    say(f"Page: {out}")


def _inputs(task: "AnyTask", given: list[str] | None, data: str | None, rows: list[int]) -> Any:
    """Read the inputs: those that were given, or rows of a data set."""
    if data is None:
        if rows:
            raise InputError("--row counts in a data set. Name one with --data.")
        require_texts([] if given == ["-"] else given or [], "Look into rows of it with: --data FILE --row 0")
        return read_inputs(task, [line for batch in batches(given) for line in batch])
    return _select(given, data, rows)


def _select(given: list[str] | None, data: str, rows: list[int]) -> Any:
    """Take rows of the test part of a data set."""
    if given or not rows:
        raise InputError("--data takes its inputs from --row alone. Write for example: --data digits --row 3")
    from tidegate import data as datasets

    dataset = datasets.load(data)
    part = dataset.test or dataset.train
    if beyond := [row for row in rows if row >= len(part)]:
        raise InputError(f"{dataset.name} has no row {beyond[0]}: its rows are 0 to {len(part) - 1}.")
    say(dataset.summary())
    return part.select(rows).x


def _signals(task: "AnyTask", given: list[str] | None, data: str | None, rows: list[int]) -> "Recordings":
    """Read the signals: files, or rows of a data set."""
    from tidegate.cli.transcribe import read_signals
    from tidegate.data import Recordings

    if data is not None:
        found = _select(given, data, rows)
        if not isinstance(found, Recordings):
            raise InputError(f"{data} holds no recordings, and a transcriber reads nothing else.")
        return found
    if rows:
        raise InputError("--row counts in a data set. Name one with --data.")
    if not given or given == ["-"]:
        raise InputError("there is nothing to inspect. Give files of sound or of lines.")
    return read_signals(task, [Path(file) for file in given], None)


def _look_at_frames(
    task: "AnyTask", signals: "Recordings", target: str | None, title: str, out: Path, json: bool
) -> None:
    """Print what each signal reads as, and below it a table of its symbols; write the page."""
    import tidegate
    from tidegate.durable import atomic_write

    found = tidegate.inspect.examine_frames(task, signals, text=target)
    named = [f"{number}: {name}" for number, name in enumerate(signals.names)]
    page = tidegate.inspect.frames_page(title, dict(zip(named, found, strict=True)))
    for name, one in zip(signals.names, found, strict=True):
        record: dict[str, Any] = {"name": name} | one.to_json()
        if json:
            emit_json(record)
            continue
        print(f"{record['text']}\t{record['score']:.4f}\t{name}")
        if (other := record["other"]) is not None:
            print(f"{other['text']}\t{other['score']:.4f}\t(next best)")
        emit_table(
            [
                {
                    "symbol": each["text"].replace(" ", "\u2423"),
                    "frame": each["peak"],
                    "sure": f"{each['confidence']:.4f}",
                }
                for each in record["symbols"]
            ]
        )
    atomic_write(out, page.encode(errors="backslashreplace"))
    say(f"Page: {out}")


def _print_one(record: dict[str, Any]) -> None:
    """Print the answer, and below it a table of the steps."""
    probability = record["probabilities"][str(record["label"])]
    print(f"{record['label']}\t{probability:.4f}\t{shorten(' '.join(record['steps'] or []))}".rstrip())
    by_direction = record["direction_contributions"] or {}
    steps = record["steps"] or [str(step) for step in range(len(record["contributions"]))]
    emit_table(
        [
            {
                "step": step,
                "contribution": f"{record['contributions'][index]:+.4f}",
                **{name: f"{scores[index]:+.4f}" for name, scores in by_direction.items()},
            }
            for index, step in enumerate(steps)
        ]
    )
    if record["parts"] is not None:
        _print_parts(record)


def _print_parts(record: dict[str, Any]) -> None:
    """Print what each part gave the class that is explained, and the n-grams of the linear part."""
    explained = str(record["explained"])
    shares = ", ".join(f"{name} {scores[explained]:+.4f}" for name, scores in record["parts"].items())
    print(f"parts of the logit of {explained}: {shares}")
    emit_table(
        [
            {"n-gram": _shown(ngram), "of": ngram["of"], "contribution": f"{ngram['contribution']:+.4f}"}
            for ngram in record["ngrams"]
        ]
    )


def _shown(ngram: dict[str, Any]) -> str:
    """Show an n-gram, and the spaces in one of characters, which are the ends of words."""
    text = str(ngram["text"])
    return shorten(text.replace(" ", "\u2423") if ngram["of"] == "characters" else text)
