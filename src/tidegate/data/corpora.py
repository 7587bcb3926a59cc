"""Tagged corpora known by name: parts of speech in English, names in Chinese résumés and in English posts.

Knows their upstream files and checksums; `tagged` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tidegate.data import schemes
from tidegate.data.dataset import Dataset
from tidegate.data.source import Source
from tidegate.data.tagged import CONLLU_COLUMNS, gather, read_sentences
from tidegate.errors import InputError
from tidegate.fetch.files import fetch_remote, find_remote
from tidegate.fetch.progress import Progress
from tidegate.fetch.remote import Remote


@dataclass(frozen=True)
class Corpus:
    """Say where the files of a corpus come from; `parts` are `train`, `valid` and `test`.

    repaired: a scheme in which to write its tags anew, where those of upstream are not all valid.
    """

    name: str
    parts: Mapping[str, Remote]
    licence: str
    citation: str
    repaired: schemes.Scheme | None = None

    def find(self) -> Path | None:
        """Find the folder of the files on this machine, None unless all are there."""
        files = [find_remote(self.name, remote) for remote in self.parts.values()]
        return None if None in files or files[0] is None else files[0].parent

    def fetch(self, progress: Progress) -> Path:
        """Return the folder of the files, each downloaded into the cache if it is not on this machine."""
        return self._files(progress)["train"].parent

    def load(self, *, unlabelled: bool, progress: Progress, **columns: str) -> Dataset:
        """Load all parts."""
        if unlabelled:
            raise InputError(f"{self.name} has no unlabelled part.")
        files = self._files(progress)
        parts = {part: read_sentences(file, columns.get("column")) for part, file in files.items()}
        if self.repaired is not None:
            for sentences in parts.values():
                sentences.tags = [schemes.convert(tags, self.repaired) for tags in sentences.tags]
        return gather(self.name, parts, licence=self.licence, citation=self.citation)

    def _files(self, progress: Progress) -> dict[str, Path]:
        return {part: fetch_remote(self.name, remote, progress) for part, remote in self.parts.items()}


def _source(corpus: Corpus, *, title: str, homepage: str, columns: tuple[str, ...] = ()) -> Source:
    return Source(
        name=corpus.name,
        title=title,
        kind="tagged",
        licence=corpus.licence,
        citation=corpus.citation,
        homepage=homepage,
        find=corpus.find,
        fetch=corpus.fetch,
        load=corpus.load,
        columns=columns,
    )


_EWT = "https://raw.githubusercontent.com/UniversalDependencies/UD_English-EWT/r2.16/"
EWT = Corpus(
    name="ud_english_ewt",
    parts={
        "train": Remote(
            f"{_EWT}en_ewt-ud-train.conllu",
            14_203_025,
            "3fb78e2b55482c8ee00caa653af436c88c9e5bc9a73ce26e4ae3ddc79d2b7e7b",
        ),
        "valid": Remote(
            f"{_EWT}en_ewt-ud-dev.conllu",
            1_805_545,
            "531a54ff90d6ab12201c5a50c3e78e6ddac4de69abc4bce5d275d3cd29efe2b6",
        ),
        "test": Remote(
            f"{_EWT}en_ewt-ud-test.conllu",
            1_804_515,
            "e266e515a0a7547657ed3d90d9ba46487d6bd251f27ad4269d4e8a427c8555cd",
        ),
    },
    licence="CC BY-SA 4.0",
    citation=(
        "Natalia Silveira, Timothy Dozat, Marie-Catherine de Marneffe, Samuel Bowman, Miriam Connor, John Bauer and "
        "Christopher D. Manning. A Gold Standard Dependency Corpus for English. LREC 2014."
    ),
)

_RESUME = "https://raw.githubusercontent.com/jiesutd/LatticeLSTM/master/ResumeNER/"
RESUME = Corpus(
    name="resume_ner",
    parts={
        "train": Remote(
            f"{_RESUME}train.char.bmes",
            1_094_528,
            "93b9bb0be5dd4730121587f9dc1378de3fbbe55cba1c575edec271f822c27be7",
        ),
        "valid": Remote(
            f"{_RESUME}dev.char.bmes",
            120_251,
            "1b0d67153e6e8543e9444936ed1b107bd843078c282533898085e1a9aa293952",
        ),
        "test": Remote(
            f"{_RESUME}test.char.bmes",
            135_064,
            "c4a9f42622819a4b59f66e184d446ebfa89b2f1dbba06e11d70675e59fe7e79b",
        ),
    },
    licence="none stated; cite the paper",
    citation="Yue Zhang and Jie Yang. Chinese NER Using Lattice LSTM. ACL 2018.",
    repaired="bmes",  # two sentences of the training part, and the two after them, are cut in the middle of a span
)

_WNUT = "https://raw.githubusercontent.com/leondz/emerging_entities_17/master/"
WNUT = Corpus(
    name="wnut17",
    parts={
        "train": Remote(
            f"{_WNUT}wnut17train.conll",
            493_781,
            "731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5",
        ),
        "valid": Remote(
            f"{_WNUT}emerging.dev.conll",
            114_749,
            "e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8",
        ),
        "test": Remote(
            f"{_WNUT}emerging.test.annotated",
            192_425,
            "2aa79b764e56ec9264a1b30fdd9b70195bd00ff400b62edd8f399d5f13c178f0",
        ),
    },
    licence="CC BY 4.0",
    citation=(
        "Leon Derczynski, Eric Nichols, Marieke van Erp and Nut Limsopatham. Results of the WNUT2017 Shared Task on "
        "Novel and Emerging Entity Recognition. W-NUT at EMNLP 2017."
    ),
)

SOURCES = (
    _source(
        EWT,
        title=f"English Web Treebank 2.16: the part of speech of each word; columns {', '.join(CONLLU_COLUMNS)}",
        homepage="https://universaldependencies.org/treebanks/en_ewt",
        columns=("column",),
    ),
    _source(
        RESUME,
        title="Names, posts, employers and more in Chinese résumés, tagged by character",
        homepage="https://github.com/jiesutd/LatticeLSTM",
    ),
    _source(
        WNUT,
        title="WNUT-17: new and rare names in English posts and comments",
        homepage="https://noisy-text.github.io/2017/emerging-rare-entities.html",
    ),
)
