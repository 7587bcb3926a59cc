"""`tidegate predict`: what a model says about texts or sequences, one line for each."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.inputs import batches, read_inputs, shorten
from tidegate.cli.options import Json, ModelPath
from tidegate.cli.output import emit_json
from tidegate.cli.tagging import print_tags
from tidegate.errors import InputError

if TYPE_CHECKING:
    from tidegate.tasks._classifier import Classifier

Texts = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT|-", help="What to answer; without it, or with -, every line of stdin."),
]


Spans = Annotated[
    bool, typer.Option("--spans", help="Of a tagger: print spans of words and where they stand, not each word.")
]


def predict(model: ModelPath, texts: Texts = None, spans: Spans = False, json: Json = False) -> None:
    """Classify texts or sequences, or tag the words of texts.

    Each gets a line: the label, its probability, and the text. A model of sequences takes each as JSON, a list of
    steps, every step a list of numbers. A tagger prints a line for each word: the word, its tag, and the probability
    of the tag; with --spans a line for each span: its label, where it begins and ends in the text, the least
    probability of its tags, and the words. Lines from a pipe are answered as they come.

    Examples:
      tidegate predict runs/imdb-tutorial-bilstm "I laughed, I cried, and I would see it again."
      tidegate predict runs/wnut17-lstm --spans "Ada Lovelace lived in London."
      cut -f 2 reviews.tsv | tidegate predict runs/imdb-tutorial-bilstm --json
    """
    import tidegate

    loaded = tidegate.load(model)
    is_tagger = isinstance(loaded, tidegate.TokenTagger)
    if spans and not is_tagger:
        raise InputError(f"--spans is for taggers, but {model} is a {loaded.name}.")
    for batch in batches(texts):
        if is_tagger:
            print_tags(loaded, batch, spans=spans, json=json)
        else:
            _print_labels(loaded, batch, json=json)
        sys.stdout.flush()


def _print_labels(classifier: "Classifier", batch: list[str], *, json: bool) -> None:
    rows = classifier.predict_proba(read_inputs(classifier, batch))
    for text, row in zip(batch, rows, strict=True):
        _print_one(text, dict(zip(classifier.classes_.tolist(), row.tolist(), strict=True)), json=json)


def _print_one(text: str, probabilities: dict[object, float], *, json: bool) -> None:
    label = max(probabilities, key=probabilities.__getitem__)
    if json:
        named = {str(name): value for name, value in probabilities.items()}
        emit_json({"input": text, "label": label, "probabilities": named})
    else:
        print(f"{label}\t{probabilities[label]:.4f}\t{shorten(text)}")
