"""`tidegate predict`: what a model says about texts or sequences, one line for each."""

import sys
from typing import Annotated

import typer

from tidegate.cli.inputs import batches, read_inputs, shorten
from tidegate.cli.options import Json, ModelPath
from tidegate.cli.output import emit_json

Texts = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT|-", help="What to classify; without it, or with -, every line of stdin."),
]


def predict(model: ModelPath, texts: Texts = None, json: Json = False) -> None:
    """Classify texts or sequences.

    Each gets a line: the label, its probability, and the text. A model of sequences takes each as JSON, a list of
    steps, every step a list of numbers. Lines from a pipe are answered as they come.

    Examples:
      tidegate predict runs/imdb-tutorial-bilstm "I laughed, I cried, and I would see it again."
      cut -f 2 reviews.tsv | tidegate predict runs/imdb-tutorial-bilstm --json
    """
    import tidegate

    classifier = tidegate.load(model)
    for batch in batches(texts):
        rows = classifier.predict_proba(read_inputs(classifier, batch))
        for text, row in zip(batch, rows, strict=True):
            _print_one(text, dict(zip(classifier.classes_.tolist(), row.tolist(), strict=True)), json=json)
        sys.stdout.flush()


def _print_one(text: str, probabilities: dict[object, float], *, json: bool) -> None:
    label = max(probabilities, key=probabilities.__getitem__)
    if json:
        named = {str(name): value for name, value in probabilities.items()}
        emit_json({"input": text, "label": label, "probabilities": named})
    else:
        print(f"{label}\t{probabilities[label]:.4f}\t{shorten(text)}")
