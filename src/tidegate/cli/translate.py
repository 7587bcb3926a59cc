"""`tidegate translate`: texts, or the lines of files, one translation for each in their order."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import chain, islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from tidegate.cli.generate import Seed, Temperature, TopK, TopP
from tidegate.cli.inputs import FILE_SUFFIXES, batches, load_task, named_files, require_command, require_other_file
from tidegate.cli.options import Json, ModelPath, Reading, collect_reading, given, named_path
from tidegate.cli.output import say, spell_json
from tidegate.cli.progress import show_answering
from tidegate.data.text_lines import TextLines, split_end
from tidegate.durable import atomic_file, atomic_write
from tidegate.errors import InputError

if TYPE_CHECKING:
    from tidegate.inspect.attention import Attention

_SHOWN = 200  # texts of a page, at most
_BATCH = 1024  # lines that are translated together

Texts = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT|FILE|-", help="Texts, or files of lines; without any, or with -, the lines of stdin."),
]
Beam = Annotated[int | None, typer.Option("--beam", metavar="N", help="Follow N outputs side by side; 5 by default.")]
Best = Annotated[int, typer.Option("--n-best", metavar="K", help="Translations of each text, the best first.")]
Length = Annotated[
    float | None,
    typer.Option("--length-penalty", metavar="P", help="By what power of their length they are ranked."),
]
Coverage = Annotated[
    float | None,
    typer.Option("--coverage-penalty", metavar="P", help="What it costs to leave words of a source out."),
]
Most = Annotated[int | None, typer.Option("--max-length", metavar="N", help="Tokens of an output, at most.")]
Prefix = Annotated[str, typer.Option("--prefix", metavar="TEXT", help="How each translation begins.")]
Sample = Annotated[bool, typer.Option("--sample", help="Draw tokens by their probability, not the best ones.")]
Page = Annotated[
    Path | None,
    typer.Option("--attention", metavar="PAGE", parser=named_path, help="Show what was read for each word: .html"),
]
Out = Annotated[
    Path | None, typer.Option("-o", "--out", metavar="OUT", parser=named_path, help="Write there, not to stdout.")
]


def translate(
    model: ModelPath,
    texts: Texts = None,
    beam: Beam = None,
    n_best: Best = 1,
    length_penalty: Length = None,
    coverage_penalty: Coverage = None,
    max_length: Most = None,
    prefix: Prefix = "",
    sample: Sample = False,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    seed: Seed = None,
    attention: Page = None,
    reading: Reading = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Translate texts, or the lines of files.

    Each line gives a line, in the order they come in, an empty one an empty one. With --n-best each translation has a
    line: the number of its text, its score, and itself. --json gives an object a line, with scores and tokens.

    --attention makes a page that shows, for at most 200 texts, what was read of the source for each word. stderr tells
    how many tokens a second were written.

    Examples:
      tidegate translate runs/de-en "Ein Hund rennt." --beam 5 --n-best 3
      tidegate translate runs/de-en test.de -o test.en
      tidegate translate runs/de-en "Ein Hund rennt." --attention page.html --json
    """
    loaded = load_task(model)
    require_command(loaded, model, "translate", "translates no texts")
    drawing: dict[str, Any] = given(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    if drawing and not sample:
        raise InputError(f"--{min(drawing).replace('_', '-')} says how tokens are drawn. Add --sample.")
    if sample and beam is not None:
        raise InputError("--beam says how outputs are searched, and --sample draws them. Leave one out.")
    options: dict[str, Any] = given(beam=beam) | {
        "n_best": n_best,
        "prefix": prefix,
        "attention": attention is not None,
    }
    options |= given(length_penalty=length_penalty, coverage_penalty=coverage_penalty, max_length=max_length)
    if sample:
        from tidegate.runtime import Sampling

        options["sampling"] = Sampling(**drawing)
    batches_of, into = _batches(texts, _encoding(reading)), _Into(n_best, json, attention)
    with ExitStack() as opened:
        if out is not None:
            for file in _files(texts):
                require_other_file(file, out)
            into.file = opened.enter_context(atomic_file(out))
        show = opened.enter_context(show_answering("translating", bar=out is not None))
        for lines, share in batches_of:
            into.put(lines, loaded.translate(lines, **options))
            show(into.texts, share)
    into.finish()


def _encoding(reading: list[str] | None) -> str | None:
    """Read what was said of the files; raises InputError for anything else than their encoding."""
    wanted = collect_reading(None, reading)
    if unknown := wanted.keys() - {"encoding"}:
        raise InputError(f"--read {min(unknown)}=... says nothing here; to choose is encoding.")
    return None if "encoding" not in wanted else str(wanted["encoding"])


def _files(texts: list[str] | None) -> list[Path]:
    """Tell which arguments are files of lines; raises InputError for tables, which another command answers."""
    files = named_files(texts) if texts and texts != ["-"] else []
    if tables := [file for file in files if file.suffix.lower() in FILE_SUFFIXES]:
        raise InputError(
            f"{tables[0]} is a table, and lines are translated here. Ask: tidegate predict MODEL {tables[0]}"
        )
    return files


def _batches(texts: list[str] | None, encoding: str | None) -> Iterator[tuple[list[str], float]]:
    """Give texts, the lines of files or those of stdin, some at a time, and the share of the file that was read."""
    files = _files(texts)
    if encoding is not None and not files:
        raise InputError("--read says how files are written, and none came. Leave it out.")
    if files:
        return chain.from_iterable(_lines_of(file, encoding) for file in files)
    return ((lines, 1.0) for batch in batches(texts) for lines in _cut(iter(batch)))


def _lines_of(file: Path, encoding: str | None) -> Iterator[tuple[list[str], float]]:
    with closing(TextLines(file, encoding)) as lines:
        for batch in _cut(split_end(line)[0] for line in lines):
            yield batch, lines.share


def _cut(lines: Iterator[str]) -> Iterator[list[str]]:
    return iter(lambda: list(islice(lines, _BATCH)), [])


def _flat(text: str) -> str:
    """Write a translation on one line."""
    return " ".join(text.splitlines())


class _Into:
    """Write translations, count what was written, and keep what is shown on a page.

    file: where they go; stdout where it is None.
    """

    def __init__(self, n_best: int, json: bool, page: Path | None) -> None:
        self.file: BinaryIO | None = None
        self.texts, self._tokens, self._cut, self._began = 0, 0, 0, monotonic()
        self._best, self._json, self._page = n_best, json, page
        self._shown: list[tuple[str, str, Attention]] = []

    def put(self, lines: list[str], found: list[Any]) -> None:
        """Write a batch of translations."""
        for line, told in zip(lines, found, strict=True):
            self.texts += 1
            self._write(line, told)
            if not line.strip():
                continue
            self._tokens += len(told.tokens)
            self._cut += told.cut
            if self._page is not None and len(self._shown) < _SHOWN:
                self._shown.append((line, told.text, told.words))

    def finish(self) -> None:
        """Write the page, and say what it was."""
        seconds = max(monotonic() - self._began, 1e-9)
        speed = f"{self._tokens / seconds:,.0f} tokens a second"
        say(f"translated: {self.texts:,} texts, {self._tokens:,} tokens, {seconds:.1f} s, {speed}")
        if self._cut:
            say(f"warning: {self._cut:,} translations did not end, and were cut. More may be written: --max-length N")
        if self._page is not None:
            from tidegate.inspect.attention import attention_page

            atomic_write(self._page, attention_page("What was read for each word", self._shown).encode())
            say(f"written: {self._page}")

    def _write(self, line: str, told: Any) -> None:
        ranked = [told, *told.alternatives] if line.strip() else []
        if self._json:
            self._say(spell_json({"input": line, **told.to_json(), **({} if ranked else {"text": ""})}))
        elif self._best == 1:
            self._say(_flat(ranked[0].text) if ranked else "")
        else:
            for one in ranked:
                self._say(f"{self.texts}\t{one.score:.4f}\t{_flat(one.text)}")

    def _say(self, text: str) -> None:
        if self.file is None:
            print(text)
        else:
            self.file.write(f"{text}\n".encode())
