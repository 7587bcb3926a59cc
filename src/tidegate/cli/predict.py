"""`tidegate predict`: what a model says about texts or sequences, one line for each; how series go on, as a table."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.cli.bulk import answer_in_bulk
from tidegate.cli.files import Wish, answer_files, read_files
from tidegate.cli.inputs import are_pictures, batches, load_task, named_files
from tidegate.cli.live import answer_lines, live_answer, print_answer, teller
from tidegate.cli.options import ClusterAt, Json, ModelPath, Reading, Text, collect_reading, named_path
from tidegate.cli.whole import answer_whole
from tidegate.errors import InputError
from tidegate.tasks.card import Card, Option
from tidegate.tasks.cards import CARDS, takers

Texts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TEXT|FILE|-",
        help="What to answer: texts, or files, which are written again with the answers beside every row; without "
        "any, or with -, every line of stdin. For a forecaster: files of series.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("-o", "--out", metavar="OUT", help="Write the answers of a file there, not to stdout; or a folder."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace OUT where it is there already.")]
Draw = Annotated[
    Path | None,
    typer.Option(
        "--picture", metavar="FILE", parser=named_path, help="Draw a forecast, too: into a .png or .svg file."
    ),
]
Live = Annotated[
    bool, typer.Option("--stream", help="Answer every line of stdin by itself as it comes: texts, or rows of numbers.")
]
Group = Annotated[
    str | None,
    typer.Option("--group", metavar="COL", help="With --stream: the column that tells sequences of rows apart."),
]
Lookahead = Annotated[
    int | None,
    typer.Option("--lookahead", metavar="K", help="With --stream: how far a model that also reads backwards may look."),
]
Spans = Annotated[
    bool, typer.Option("--spans", help="Of a tagger: print spans of words and where they stand, not each word.")
]

Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", help="Answer many files into a folder, with N processes; see -o."),
]


def predict(
    model: ModelPath,
    texts: Texts = None,
    text: Text = None,
    out: Out = None,
    overwrite: Overwrite = False,
    spans: Spans = False,
    reading: Reading = None,
    picture: Draw = None,
    stream: Live = False,
    group: Group = None,
    lookahead: Lookahead = None,
    workers: Workers = None,
    cluster: ClusterAt = None,
    json: Json = False,
) -> None:
    """Classify texts or sequences, tag the words of texts, or forecast series.

    A text or sequence gets a line: the label, its probability, and the text. A model of sequences takes each as JSON, a
    list of steps, every step a list of numbers. Lines from a pipe are answered as they come, blank ones too.

    A model of images takes pictures (.png, .tif, .jpg), each a line: the label, its probability, and the file.

    An argument that names a file stands for what is in it. A table (CSV, TSV, JSONL, Parquet) is written again with
    `predicted` and `probability` beside every row, a file with a word on each line with the tag of each; -o is written
    in one step, once all is answered. In a table with a row per step each gets the answer of its recording or window.

    A tagger prints a line for each word: the word, its tag, and the probability of the tag; with --spans a line for
    each span: its label, where it begins and ends in the text, the least probability of its tags, and the words.

    A forecaster takes files, and answers with a table of what comes after the last row of each series.

    With --stream nothing waits for more input. Texts are answered line by line. A model of sequences takes rows of CSV,
    one step each, and answers each row with the classes so far; a forecaster answers each with the forecast from
    there on. An empty line begins a new sequence. What cannot be read is told with its line number and left out; the
    exit code is 1 where that happened.

    With --workers each file is answered into the folder of -o, where manifest.jsonl says of which bytes and by which
    model. The same command goes on where it was stopped, and answers files that have changed or failed. With --cluster
    the machines of a cluster of Ray do it, which find files, folder and model under the same paths.

    Examples:
      tidegate predict runs/tickets-lstm in/*.csv -o answered --workers 4
      tidegate predict runs/mnist-renet scans/*.png
      tidegate predict runs/tickets-lstm in/*.csv -o answered --cluster auto
      tidegate predict runs/imdb-tutorial-bilstm "I laughed, I cried, and I would see it again."
      tidegate predict runs/tickets-lstm new.csv --text body -o answered.csv
      tidegate predict runs/wnut17-lstm --spans "Ada Lovelace lived in London."
      cut -f 2 reviews.tsv | tidegate predict runs/imdb-tutorial-bilstm --json
      tidegate predict runs/ett-segrnn recent.csv --picture forecast.png
      tail -f sensors.csv | tidegate predict runs/sensors-gru --stream --group machine --json
    """
    loaded = load_task(model)
    card = CARDS[loaded.name]
    if not stream and (group is not None or lookahead is not None):
        raise InputError("--group and --lookahead are for --stream. Leave them out, or add it.")
    _check_options(model, card, {"spans": spans, "picture": picture, "group": group, "lookahead": lookahead})
    whole = card.answers().whole is not None
    files = [] if stream or texts == ["-"] else named_files(texts or [], texts=not whole)
    if not files:
        _check_unused({"--text": text, "-o": out, "--overwrite": overwrite, "--read": reading})
    wish = Wish(text, None if out == Path("-") else out, overwrite, collect_reading(None, reading))
    if workers is not None or cluster is not None:
        if stream or json or spans or picture:
            raise InputError("--workers and --cluster write files. Leave --stream, --json, --spans and --picture out.")
        if workers is not None and cluster is not None:
            raise InputError("--cluster answers as many files at once as it has cores. Leave --workers out.")
        answer_in_bulk(model, files, wish, 1 if workers is None else workers, cluster)
    elif stream:
        _check_stream(texts, picture)
        if answer_lines(live_answer(card, loaded, group=group, lookahead=lookahead, spans=spans, json=json)):
            raise typer.Exit(1)
    elif whole:
        answer_whole(card, loaded, files, wish, picture=picture, json=json)
    elif files and are_pictures(files):
        _tell_pictures(card, loaded, files, wish, json=json)
    elif files and not (json or spans):
        answer_files(loaded, model, files, wish)
    else:
        _print_answers(card, loaded, model, texts, files, wish, spans=spans, json=json)


def _tell_pictures(card: Card, model: Any, files: list[Path], wish: Wish, *, json: bool) -> None:
    """Print the answer to each picture."""
    single = card.answers().single
    if single is None or single.pictures is None:
        raise InputError(f"{files[0]} is a picture, which a {card.name} does not read.")
    if wish.text or wish.out or wish.reading:
        raise InputError("--text, --read and -o are for tables, and these are pictures. Leave them out.")
    for told in single.pictures(model, files):
        print_answer(told, json=json)


def _check_options(model: Path, card: Card, options: dict[Option, object]) -> None:
    """Raise InputError for an option that says nothing to the task of a model."""
    for option, value in options.items():
        if value not in (None, False) and option not in card.options:
            raise InputError(f"--{option} is for {takers(option)}, but {model} is a {card.name}. Leave it out.")


def _check_unused(options: dict[str, object]) -> None:
    """Raise InputError for an option of files where there are none."""
    if given := [name for name, value in options.items() if value]:
        raise InputError(f"{given[0]} is for files. Name one, or leave it out.")


def _check_stream(texts: list[str] | None, picture: Path | None) -> None:
    """Raise InputError for what is given beside --stream, which reads stdin alone."""
    if picture:
        raise InputError("--picture is for files, not for --stream. Leave it out.")
    if texts and texts != ["-"]:
        raise InputError("--stream reads stdin. Leave the texts and files out, and pipe lines in.")


def _print_answers(
    card: Card,
    model: Any,
    path: Path,
    texts: list[str] | None,
    files: list[Path],
    wish: Wish,
    *,
    spans: bool,
    json: bool,
) -> None:
    """Print an answer for each text or sequence: of files, of arguments, or of the lines of stdin as they come."""
    if wish.out:
        raise InputError("-o writes the form of the file, not what is printed. Leave --json and --spans out.")
    tell = teller(card, model, spans=spans)
    given = (inputs for file in files for inputs in read_files(model, path, file, wish)) if files else batches(texts)
    for batch in given:
        for told in tell(batch):
            print_answer(told, json=json)
        sys.stdout.flush()
