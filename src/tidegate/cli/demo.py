"""`tidegate demo`: the main job from end to end, on real data, next to simple models."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.options import Task, named_path, task_named
from tidegate.cli.output import emit_table, emit_tree, say
from tidegate.cli.training import carry_out

if TYPE_CHECKING:
    from tidegate.data import Dataset
    from tidegate.runs import Demo

Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", parser=named_path, help="The run folder; by default a new one under runs/."),
]


def demo(task: Task = None, out: Out = None) -> None:
    """Train on real data, next to simple models.

    Film reviews are taken, or handwritten digits where those cannot be had. With --task transcribe lines are read that
    are composed of such digits.

    Examples:
      tidegate demo
      tidegate demo --task transcribe
    """
    import tidegate
    from tidegate import runs

    chosen = runs.choose_demo(task_named(task))
    dataset = chosen.source.load()
    if isinstance(dataset.train.x, tidegate.data.Recordings):
        _read_lines(chosen, dataset, out)
        return
    say(f"Training a BiLSTM on {dataset.name}: {chosen.reason}")
    training = runs.start(chosen.source, dataset=dataset, params=chosen.params, out=out)
    result, model = carry_out(training), tidegate.load(training.folder.path)
    rows = [{"model": "BiLSTM", "test accuracy": result.headline()["test accuracy"], "seconds": result.train_seconds}]
    say("Training simple models on the same examples.")
    rows += [
        {"model": found.name, "test accuracy": f"{found.value or 0:.2%}", "seconds": found.seconds}
        for found in runs.train_baselines(dataset)
    ]
    emit_table(rows)
    asked, pictures = runs.demo_questions(dataset)
    answers = zip(pictures, model.predict(asked.x), model.predict_proba(asked.x), asked.y, strict=True)
    for picture, label, row, truth in answers:
        print(f"\n{picture}\n-> {label} ({row.max():.1%} sure; in truth {truth})")
    say(f"\nReport: {training.folder.report}\nNext: {chosen.next_command.replace('RUN', result.run)}")


def _read_lines(chosen: "Demo", dataset: "Dataset", out: Path | None) -> None:
    """Train on lines, and show three of them with what is read there."""
    import tidegate
    from tidegate import runs

    say(f"Training on {dataset.name}: {chosen.reason}")
    training = runs.start(chosen.source, dataset=dataset, params=chosen.params, out=out)
    result = carry_out(training)
    emit_tree(result.headline())
    assert dataset.test is not None, "its lines to test on are composed, too"
    three = dataset.test.select([0, 1, 2]).x
    assert isinstance(three, tidegate.data.Recordings), "as those to learn from"
    for line, told, truth in zip(
        three, tidegate.load(training.folder.path).transcribe(three), three.texts or [], strict=True
    ):
        print(f"\n{runs.draw_line(line)}\n-> {told.text} ({told.confidence:.1%} sure; in truth {truth})")
    say(f"\nReport: {training.folder.report}\nNext: {chosen.next_command.replace('RUN', result.run)}")
