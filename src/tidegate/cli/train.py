"""`tidegate train`: from a data set to a run folder."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.crew import KeyFile, Listen, Timeout, Workers, crew_of
from tidegate.cli.options import (
    ClusterAt,
    Column,
    Epochs,
    Json,
    Label,
    Overwrite,
    Reading,
    Seed,
    Settings,
    Split,
    Targets,
    Task,
    Text,
    collect_params,
    collect_reading,
    named,
    named_path,
    task_named,
)
from tidegate.cli.output import emit_json, emit_tree, say
from tidegate.cli.training import carry_out, naming, telling
from tidegate.errors import InputError
from tidegate.tasks.cards import CARDS

if TYPE_CHECKING:
    import tidegate.runs as runs
    import tidegate.scale as scale
    from tidegate.runs import Training

Data = Annotated[
    str | None,
    typer.Argument(
        metavar="DATA",
        parser=named,
        help="A data set by name, a CSV, TSV, JSONL or Parquet file, or a folder per class.",
    ),
]
Preset = Annotated[str | None, typer.Option("--preset", metavar="NAME", help="A set-up by name to start from.")]
Cell = Annotated[str | None, typer.Option("--cell", metavar="rnn|lstm|gru", help="The recurrent cell.")]
Bidirectional = Annotated[
    bool | None, typer.Option("--bidirectional/--no-bidirectional", help="Read from both ends, or from the start only.")
]
HiddenSize = Annotated[int | None, typer.Option("--hidden-size", metavar="N", help="Units of each direction.")]
Layers = Annotated[int | None, typer.Option("--layers", metavar="N", help="Recurrent layers on top of each other.")]
Embeddings = Annotated[
    Path | None,
    typer.Option(
        "--embeddings",
        metavar="FILE",
        parser=named_path,
        help="Vectors of GloVe, word2vec or fastText that words begin with.",
    ),
]
Lookback = Annotated[int | None, typer.Option("--lookback", metavar="N", help="Steps that a forecaster looks back on.")]
Horizon = Annotated[int | None, typer.Option("--horizon", metavar="N", help="Steps that a forecaster forecasts.")]
Pretrained = Annotated[
    Path | None,
    typer.Option(
        "--pretrained", metavar="RUN", parser=named_path, help="Begin with the language model in this folder or file."
    ),
]
Reads = Annotated[
    str | None,
    typer.Option("--reads", metavar="sound|line|features", help="What a transcriber reads in files, if not plain."),
]
Refit = Annotated[
    bool | None,
    typer.Option("--refit/--no-refit", help="Train anew on all rows once a part held out has chosen the epochs."),
]
Unlabelled = Annotated[
    str | None,
    typer.Option(
        "--unlabelled",
        metavar="FILE",
        parser=named,
        help="Learn from these texts without labels, too.",
    ),
]
Budget = Annotated[
    float | None,
    typer.Option("--budget", metavar="MINUTES", help="How long texts without labels may take; by default 10."),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", parser=named_path, help="The run folder; by default a new one under runs/."),
]
Resume = Annotated[
    Path | None,
    typer.Option("--resume", metavar="DIR", parser=named_path, help="Go on with the interrupted run in this folder."),
]
Recipe = Annotated[
    Path | None,
    typer.Option(
        "--recipe",
        metavar="DIR",
        parser=named_path,
        help="Train again, from the beginning, what the run in this folder did.",
    ),
]
Licence = Annotated[
    str | None, typer.Option("--licence", metavar="TEXT", help="What the model file shall say about its licence.")
]

Baselines = Annotated[
    bool,
    typer.Option(
        "--baselines/--no-baselines", help="Also fit simple models to the same texts or tags, or the network alone."
    ),
]


def train(
    data: Data = None,
    task: Task = None,
    text: Text = None,
    label: Label = None,
    column: Column = None,
    targets: Targets = None,
    reading: Reading = None,
    split: Split = None,
    reads: Reads = None,
    preset: Preset = None,
    cell: Cell = None,
    bidirectional: Bidirectional = None,
    hidden_size: HiddenSize = None,
    layers: Layers = None,
    embeddings: Embeddings = None,
    lookback: Lookback = None,
    horizon: Horizon = None,
    epochs: Epochs = None,
    seed: Seed = None,
    settings: Settings = None,
    pretrained: Pretrained = None,
    refit: Refit = None,
    unlabelled: Unlabelled = None,
    budget: Budget = None,
    out: Out = None,
    overwrite: Overwrite = False,
    licence: Licence = None,
    resume: Resume = None,
    recipe: Recipe = None,
    workers: Workers = None,
    listen: Listen = None,
    key_file: KeyFile = None,
    timeout: Timeout = None,
    cluster: ClusterAt = None,
    baselines: Baselines = True,
    json: Json = False,
) -> None:
    """Train a model into a run folder.

    The folder holds the model, the metrics of every step, the recipe to train it again, and a report for a browser.

    Ctrl-C or SIGTERM saves the state and stops; --resume goes on from there, to the same weights.

    Examples:
      tidegate train imdb --preset tutorial-bilstm
      tidegate train reviews.csv --text review --label stars --cell gru --set dropout=0.3
      tidegate train ud_english_ewt --task tag --column upos
      tidegate train reviews.csv --embeddings glove.6B.100d.txt --set train_embeddings=false
      tidegate train novel.txt --task language --set tokens=characters
      tidegate train reviews.csv --unlabelled more.txt --budget 20
      tidegate train ett --target-columns all --lookback 96 --horizon 96 --preset segrnn
      tidegate train sales.csv --task forecast --target-columns y --read repair=interpolate --split 0.2
      tidegate train clips.tsv --task transcribe --reads sound --read rate=8000
      tidegate train --resume runs/imdb-tutorial-bilstm
      tidegate train imdb --workers 3 --listen 10.0.0.1:7432 --key-file key
      tidegate train imdb --cluster auto
    """
    from tidegate import runs

    params = collect_params(
        settings,
        cell=cell,
        bidirectional=bidirectional,
        hidden_size=hidden_size,
        num_layers=layers,
        embeddings=None if embeddings is None else str(embeddings.resolve()),
        lookback=lookback,
        horizon=horizon,
        epochs=epochs,
        seed=seed,
        pretrained=None if pretrained is None else str(pretrained.resolve()),
        refit=refit,
    )
    if [data, resume, recipe].count(None) != 2:
        raise InputError("wanted exactly one of DATA, --resume DIR and --recipe DIR.")
    options = collect_reading(
        task, reading, text=text, label=label, column=column, target_columns=targets, split=split, reads=reads
    )
    if data is None:
        _check_resumed(bool(params or preset or options or licence), bool(unlabelled or budget is not None))
    if budget is not None and not unlabelled:
        raise InputError("--budget says how long to learn from texts without labels, but none came: --unlabelled FILE.")
    if resume and (out or overwrite):
        raise InputError("--resume goes on in the folder of the run. Leave --out and --overwrite out.")
    with telling(), crew_of(workers, timeout, listen, key_file, cluster) as crew:
        if resume:
            training = runs.resume(resume, crew=crew)
        elif recipe:
            training = runs.repeat(recipe, out=out, overwrite=overwrite, crew=crew)
        else:
            model: dict[str, Any] = {"task": task_named(task), "preset": preset, "params": params, "licence": licence}
            with naming(data, params.get("embeddings"), unlabelled):
                first = None if unlabelled is None else _first_step(unlabelled, budget, text)
                source = runs.Source(str(data), options)
                training = runs.start(source, out=out, overwrite=overwrite, unlabelled=first, crew=crew, **model)
        _follow(training, json, baselines=baselines, crew=crew)


def _check_resumed(chosen: bool, begun: bool) -> None:
    """Raise InputError where a run that is known already was told what to be, or what to begin with."""
    if chosen:
        raise InputError("--resume and --recipe take every option from the recipe of the run. Leave the others out.")
    if begun:
        raise InputError(
            "--resume and --recipe know which texts a run began with. Leave --unlabelled and --budget out."
        )


def _first_step(unlabelled: str, budget: float | None, column: str | None) -> "runs.Unlabelled":
    """Say which texts without labels to learn from, in the column of the labelled ones where their file has it, too."""
    from tidegate import runs
    from tidegate.data.rows import KINDS, open_rows

    columns, path = list[str](), Path(unlabelled)
    if column is not None and path.suffix.lower() in KINDS and path.is_file():
        with closing(open_rows(path)) as rows:
            columns = rows.names
    options = {"text": column} if column is not None and column in columns else {}
    return runs.Unlabelled(unlabelled, 10.0 if budget is None else budget, options)


def _follow(training: "Training", json: bool, *, baselines: bool, crew: "scale.Workers | None") -> None:
    """Carry a training out, and say what it came to and what to do next."""
    say(training.dataset.summary())
    if training.note:
        say(training.note)
    result = carry_out(training, baselines=baselines, crew=crew)
    for warning in result.warnings:
        say(f"warning: {warning}")
    if json:
        emit_json(result.to_json())
    else:
        emit_tree({**result.headline(), "run": result.run})
        say(f"Next: tidegate {CARDS[result.task].next_step(training.dataset.train.x, result.run)}")
