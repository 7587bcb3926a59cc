"""Prints what a tagger says: a line for each word, or one for each span of words."""

from typing import TYPE_CHECKING, Any

from tidegate.cli.output import emit_json

if TYPE_CHECKING:
    from tidegate.tasks import TokenTagger


def print_tags(model: "TokenTagger", texts: list[Any], *, spans: bool, json: bool) -> None:
    """Print words with their tags and the probability of each, or spans with their places in the text.

    A text, or a list of words, ends with an empty line. JSON is one line for each.
    """
    for given, words in zip(texts, model.predict_words(texts), strict=True):
        text = given if isinstance(given, str) else " ".join(given)
        found = model.spans_of(text, words)
        if json:
            emit_json({"input": text, "words": [vars(word) for word in words], "spans": [vars(span) for span in found]})
            continue
        if spans:
            for span in found:
                print(f"{span.label}\t{span.start}\t{span.end}\t{span.confidence:.4f}\t{span.text}")
        else:
            for word in words:
                print(f"{word.word}\t{word.tag}\t{word.probability:.4f}")
        print()
