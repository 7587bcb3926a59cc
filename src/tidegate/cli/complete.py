"""`tidegate complete`: the word that is missing in a sentence, from both sides and from the left alone."""

from dataclasses import asdict
from typing import Annotated

import typer

from tidegate.cli.inputs import require_command, require_texts
from tidegate.cli.options import Json, ModelPath
from tidegate.cli.output import emit_json, emit_table

Sentence = Annotated[str, typer.Argument(metavar="TEXT", help="A sentence in which ___ stands for the missing word.")]
Count = Annotated[int, typer.Option("--count", metavar="N", min=1, help="Words to name.")]


def complete(model: ModelPath, text: Sentence, count: Count = 5, json: Json = False) -> None:
    """Fill the gap in a sentence.

    Names the most probable words as seen from both sides of the gap, from the left alone and from the right alone. The
    model must have been trained on words, with direction=both.

    Example:
      tidegate complete runs/captions "The boys went to the ___ and came out of the pool."
    """
    import tidegate

    loaded = tidegate.load(model)
    require_command(loaded, model, "complete", "fills no gaps")
    require_texts([text], "Write the sentence itself.")
    found = loaded.complete(text, count=count)
    if json:
        emit_json({"text": text, **asdict(found)})
        return
    sides = {"both sides": found.both, "left alone": found.left, "right alone": found.right}
    emit_table(
        [
            {side: f"{guesses[place].word} {guesses[place].probability:.1%}" for side, guesses in sides.items()}
            for place in range(min(map(len, sides.values())))
        ]
    )
