"""`tidegate demo`: the main job from end to end, on real data, next to simple models."""

from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.options import named_path
from tidegate.cli.output import emit_table, say
from tidegate.cli.training import carry_out

Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", parser=named_path, help="The run folder; by default a new one under runs/."),
]


def demo(out: Out = None) -> None:
    """Train on real data, next to simple models.

    Film reviews are taken, or handwritten digits where those cannot be had.

    Example:
      tidegate demo
    """
    import tidegate
    from tidegate import runs

    chosen = runs.choose_demo()
    dataset = chosen.source.load()
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
