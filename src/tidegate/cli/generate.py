"""`tidegate generate`: a text that a language model writes, shown as it comes."""

import sys
from typing import Annotated

import typer

from tidegate.cli.inputs import require_command, require_texts
from tidegate.cli.options import Json, ModelPath, given
from tidegate.cli.output import emit_json

Prompt = Annotated[
    str | None, typer.Option("--prompt", metavar="TEXT", help="How the text begins; without it, a new one is begun.")
]
Temperature = Annotated[
    float | None, typer.Option("--temperature", metavar="T", help="1: as learned; less: surer; 0: no chance at all.")
]
TopK = Annotated[int | None, typer.Option("--top-k", metavar="N", help="Choose among the N most probable tokens.")]
TopP = Annotated[
    float | None, typer.Option("--top-p", metavar="SHARE", help="Choose among the most probable tokens of this share.")
]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", min=0, help="The seed of every random choice.")]
Length = Annotated[int, typer.Option("--length", metavar="N", min=1, help="Tokens to write, at most.")]
Endless = Annotated[bool, typer.Option("--endless", help="Do not let the model end the text before.")]


def generate(
    model: ModelPath,
    prompt: Prompt = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    seed: Seed = None,
    length: Length = 200,
    endless: Endless = False,
    json: Json = False,
) -> None:
    """Write a text.

    The prompt and what follows it are printed as they come. The same options give the same text.

    Examples:
      tidegate generate runs/pydocs-lstm --prompt "The for statement" --temperature 0.7
      tidegate generate runs/pydocs-lstm --length 1000 --top-p 0.9 --seed 3
    """
    import tidegate

    loaded = tidegate.load(model)
    require_command(loaded, model, "generate", "writes no texts")
    require_texts([] if prompt is None else [prompt], 'Hand its text over: --prompt "$(cat FILE)"')
    options = given(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    pieces = loaded.write(prompt, length=length, endless=endless, **options)
    if json:
        emit_json({"prompt": prompt, "text": "".join(pieces)})
        return
    sys.stdout.write(prompt or "")
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
    print()
