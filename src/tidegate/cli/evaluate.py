"""`tidegate evaluate`: how good a model is on examples whose labels are known."""

from dataclasses import asdict

from tidegate.cli.options import Data, Json, Label, ModelPath, Split, Text
from tidegate.cli.output import emit_json, emit_table, emit_tree, say


def evaluate(
    model: ModelPath,
    data: Data,
    text: Text = None,
    label: Label = None,
    split: Split = None,
    json: Json = False,
) -> None:
    """Measure a model on labelled examples.

    The test part of a data set is taken, or all of it where it has no parts.

    Examples:
      tidegate evaluate runs/imdb-tutorial-bilstm imdb
      tidegate evaluate model.safetensors new.csv --text review --label stars --json
    """
    import tidegate
    from tidegate import runs

    classifier = tidegate.load(model)
    dataset = runs.Source(data, text, label, split).load()
    part = "all" if dataset.test is None else "test"
    found = runs.evaluate(classifier, dataset.train if dataset.test is None else dataset.test)
    if json:
        emit_json({"model": str(model), "data": dataset.name, "part": part, **asdict(found)})
        return
    say(f"{model} on {found.examples:,} examples of {dataset.name} ({part})")
    emit_tree({"accuracy": f"{found.accuracy:.2%}", "loss": f"{found.loss:.4f} nats", "examples": found.examples})
    print()
    emit_table(
        [
            {"class": name, **{key: f"{value:.4f}" for key, value in asdict(score).items()}, "examples": score.examples}
            for name, score in found.classes.items()
        ]
    )
