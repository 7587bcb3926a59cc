"""Column files with a word on each line: batches of their sentences, and the same lines with a tag beside each word.

Knows the layout, not what tags mean. Lines that are no word, such as comments, are written again as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tidegate.data.columns import find_shape
from tidegate.data.text_lines import TextLines, split_end
from tidegate.errors import DataError

_DOCUMENT = "-DOCSTART-"
_NOTHING = "_"  # where a column has no value
_HEAD = 2**12  # lines by which the form of a file is known
_WORDS = 2**13  # of a batch, unless one sentence has more
_CONLLU_FIELDS, _FORM, _MISC = 10, 1, 9
_WORD_ID = re.compile("[0-9]+")  # of a word of its own: neither several words in one nor one that was left out


@dataclass(frozen=True)
class ColumnForm:
    """Say how the columns of a file are parted, by a tab or white space, how many there are, and which has words."""

    sign: str
    width: int

    word: int = 0

    @classmethod
    def learn(cls, lines: Iterable[str]) -> ColumnForm | None:
        r"""Learn the form from the first lines of a file, as training reads them; None where they have no word.

        >>> ColumnForm.learn(["Ada\tB-PER\n"]), ColumnForm.learn(["# Ada and Eve\n"])
        (ColumnForm(sign='\t', width=2, word=0), None)
        """
        rows = [line for line in lines if not marks_document(line)]
        found = find_shape("".join(rows)) if any(row.strip() and not row.startswith("#") for row in rows) else None
        return None if found is None else cls("\t" if found[0] == "tab" or found[1] == 1 else " ", *found[1:])

    def fields(self, line: str) -> list[str]:
        """Part the columns of a line."""
        body = split_end(line)[0]
        return body.split("\t") if self.sign == "\t" else body.split()

    def word_fields(self, line: str, where: str) -> list[str] | None:
        """Give the columns of a line with a word; None where it is blank or a comment, or marks a document.

        Raises DataError, beginning with `where`, for another number of columns, and for an empty word.
        """
        fields = self.fields(line)
        comment = line.startswith("#") and (len(fields) != self.width or (self.sign == "\t" and line[1:2] == " "))
        if not line.strip() or comment or marks_document(line):
            return None
        if len(fields) != self.width:
            raise DataError(f"{where} has {len(fields)} columns, where others have {self.width}.")
        if not fields[self.word].strip():
            raise DataError(f"{where} has an empty word.")
        return fields


def marks_document(line: str) -> bool:
    """Tell whether a line says that a document begins, as in the files of CoNLL-2003; no sentence goes on over it."""
    return line.split(maxsplit=1)[:1] == [_DOCUMENT]


@dataclass(frozen=True)
class SentenceBatch:
    """Hold some sentences, and the lines that they stand on.

    lines: as they stand, and whether each is a word.
    sentences: their words.
    share: of the file that has been read, from 0 to 1.
    """

    lines: list[tuple[str, bool]]
    sentences: list[list[str]]
    share: float


class WordLines:
    """Read a column file and write it again in one go.

    A `.conllu` file has the word in its second column, and takes tags in its last, MISC. In every other file the word
    stands first, or second where the first numbers the words; columns are parted as `columns.find_shape` says of the
    first lines, and tags come in columns of their own.

    Raises:
        OptionError: there is no such encoding.
        DataError: the file cannot be read, or has no word.
    """

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        self.path = path
        self._conllu = path.suffix.lower() == ".conllu"
        head = TextLines(path, encoding)
        try:
            form = ColumnForm.learn(islice(head, _HEAD))
        finally:
            head.close()
        if form is None:
            raise DataError(f"{path} is empty: it has no word.")
        self._form = ColumnForm(form.sign, _CONLLU_FIELDS) if self._conllu else form
        self._lines = TextLines(path, encoding)
        self._end = split_end(self._lines.peek())[1] or "\n"

    def last_column(self, count: int) -> set[str]:
        """Give what stands in the last column of the first lines of the file; nothing where the words stand alone."""
        lines = TextLines(self.path, self._lines.encoding)
        try:
            fields = map(self._form.fields, islice(lines, count))
            return {row[-1] for row in fields if len(row) == self._form.width > 1}
        finally:
            lines.close()

    def batches(self) -> Iterator[SentenceBatch]:
        """Give the sentences; raises DataError, naming the line, for one with another number of columns."""
        lines, sentences, words = list[tuple[str, bool]](), list[list[str]](), list[str]()
        count = 0
        for line in self._lines:
            word = self._word(line, self._lines.number)
            lines.append((line, word is not None))
            if word is not None:
                words.append(word)
            elif words and (not line.strip() or marks_document(line)):
                sentences.append(words)
                count, words = count + len(words), []
                if count >= _WORDS:
                    yield SentenceBatch(lines, sentences, self._lines.share)
                    lines, sentences, count = [], [], 0
        if words:
            sentences.append(words)
        if lines:
            yield SentenceBatch(lines, sentences, 1.0)

    def write(self, batch: SentenceBatch, tags: Sequence[tuple[str, float]]) -> bytes:
        """Write a batch again, each of its words with its tag and the probability of that."""
        new, out = iter(tags), list[str]()
        for line, is_word in batch.lines:
            body, end = split_end(line)
            if is_word:
                out.append(self._tagged(body, *next(new)) + (end or self._end))
            elif not self._conllu and marks_document(body):
                out.append(self._form.sign.join([body.rstrip(), _NOTHING, _NOTHING]) + (end or self._end))
            else:
                out.append(line)
        return self._lines.encode("".join(out))

    def close(self) -> None:
        """Close the file."""
        self._lines.close()

    def _word(self, line: str, number: int) -> str | None:
        """Find the word of a line; None where there is none."""
        fields = self._form.word_fields(line, f"{self.path}, line {number}")
        if fields is None or not self._conllu:
            return fields[self._form.word].strip() if fields else None
        return fields[_FORM] if _WORD_ID.fullmatch(fields[0]) else None

    def _tagged(self, body: str, tag: str, probability: float) -> str:
        if not self._conllu:
            return self._form.sign.join([body if self._form.sign == "\t" else body.rstrip(), tag, str(probability)])
        *fields, misc = body.split("\t")
        # as UDPipe writes what MISC itself has a use for
        spelled = tag.replace("\\", "\\\\").replace("|", "\\p")
        added = f"Predicted={spelled}|Probability={probability}"
        return "\t".join([*fields, added if misc == _NOTHING else f"{misc}|{added}"])
