"""Transcribed data sets known by name, each read from one archive: cepstra, prompts, lines of print and of handwriting.

Their makers publish them in other shapes or places, so the archive must be here; it is judged by what it holds.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tidegate.data.archive import read_members
from tidegate.data.dataset import Dataset
from tidegate.data.plain_text import decode, split_lines
from tidegate.data.source import Source
from tidegate.data.transcribed.features import decode_sphinx
from tidegate.data.transcribed.images import HEIGHT, Looking, columns, read_picture
from tidegate.data.transcribed.manifests import TRUTH
from tidegate.data.transcribed.reading import gather_parts, read_choices
from tidegate.data.transcribed.recordings import Recordings
from tidegate.data.transcribed.riff import read_wav
from tidegate.data.transcribed.sound import Listening, settle
from tidegate.data.transcribed.texts import clean_text
from tidegate.errors import DataError, DataWarning, DownloadError, InputError
from tidegate.fetch.cache import cache_folder, find_file
from tidegate.fetch.progress import Progress

Members = Mapping[str, bytes]
"""The files of an archive by their names, without the folder that all of them lie in."""
Parts = dict[str, Recordings]

_SPLITS = {"train": "split.train.txt", "valid": "split.dev.txt", "test": "split.test.txt"}
_CEPSTRA_RATE, _PROMPT_RATE = 100.0, 8000
_LONGEST_PROMPT = 20.0  # seconds
_NARROWEST = 4.0  # pixels of a character at a height of 48


@dataclass(frozen=True)
class Archive:
    """Say which archive a data set is read from, and how.

    sha256: of the archive that numbers were measured on; another one is read with a warning.
    read: turns what it holds into recordings by part; takes the height of lines, too.
    columns: what can be chosen in it.
    """

    name: str
    file: str
    sha256: str
    title: str
    licence: str
    citation: str
    homepage: str
    read: Callable[[Members, Looking], Parts]
    columns: tuple[str, ...] = ()

    def find(self) -> Path | None:
        """Find the archive on this machine."""
        return find_file(self.name, self.file)

    def fetch(self, progress: Progress) -> Path:
        """Return the archive; raises DownloadError, saying where to put it, where it is not here."""
        if (found := self.find()) is None:
            raise DownloadError(
                f"{self.name} has no address to download it from in the form that is read. Put {self.file} into "
                f"{cache_folder() / self.name} or $TIDEGATE_DATA/{self.name}; its makers are at {self.homepage}."
            )
        return found

    def load(self, *, unlabelled: bool, progress: Progress, **chosen: str) -> Dataset:
        """Load all parts."""
        if unlabelled:
            raise InputError(f"{self.name} has no unlabelled part.")
        path = self.fetch(progress)
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.sha256:
                told = f"{path} is another archive than that which numbers were measured on; it is read all the same."
                warnings.warn(told, DataWarning, stacklevel=3)
        members = {}
        for name, content in read_members(path, lambda _: True, progress=progress):
            members[name.partition("/")[2]] = content
        parts = self.read(members, read_choices(**chosen).looking)
        return gather_parts(self.name, parts, licence=self.licence, citation=self.citation)

    def source(self) -> Source:
        """Give what a data set by name declares about itself."""
        return Source(
            name=self.name, title=self.title, kind="transcribed", licence=self.licence, citation=self.citation,
            homepage=self.homepage, find=self.find, fetch=self.fetch, load=self.load, columns=self.columns,
        )  # fmt: skip


def read_an4(members: Members, _: Looking) -> Parts:
    """Read 13 mel cepstra a frame; the speaker is the folder."""
    texts = {}
    for part in ("train", "test"):
        for line in _lines(members, f"etc/an4_{part}.transcription"):
            text, name = line.rsplit(" (", 1)
            texts[name.rstrip(")")] = clean_text(text.replace("<s>", "").replace("</s>", ""), f"{part} {name}")
    parts = {}
    for part, split in _SPLITS.items():
        places = _lines(members, split)
        names = [place.rpartition("/")[2] for place in places]
        signals = [decode_sphinx(_member(members, f"feat/{place}.mfc"), place) for place in places]
        parts[part] = Recordings(
            signals,
            [_known(texts, name, part) for name in names],
            names=names,
            groups=[place.split("/")[-2] for place in places],
            reads="features",
            rate=_CEPSTRA_RATE,
        )
    return parts


def read_asterisk(members: Members, _: Looking) -> Parts:
    """Read prompts of one voice; left out are those that are no speech, and the longest."""
    rows = [line.split("\t") for line in _lines(members, "manifest.tsv")[1:]]
    texts = {row[0]: row[1] for row in rows}
    parts = {}
    for part, split in _SPLITS.items():
        signals, kept, dropped = [], [], Counter[str]()
        for name in _lines(members, split):
            text = _known(texts, name, part)
            if text.startswith(("<", "[")):
                dropped["without speech"] += 1
                continue
            sound = read_wav(_member(members, name), name)
            signal, rate = settle(sound, name, Listening(rate=_PROMPT_RATE))
            if len(signal) > _LONGEST_PROMPT * rate:
                dropped[f"longer than {_LONGEST_PROMPT:g} s"] += 1
                continue
            signals.append(signal)
            kept.append(name)
        told = [clean_text(texts[name], name) for name in kept]
        parts[part] = Recordings(signals, told, names=kept, rate=float(_PROMPT_RATE), dropped=dict(dropped))
    return parts


def read_lines(members: Members, looking: Looking) -> Parts:
    """Read pictures of lines with the text beside each; the book or page is the folder.

    Left out are lines in which a character has less than 4 pixels at a height of 48.
    """
    parts = {}
    for part, split in _SPLITS.items():
        signals, scales, kept, texts, dropped = [], [], [], [], Counter[str]()
        for name in _lines(members, split):
            truth = name.removesuffix(".png") + TRUTH
            text = clean_text(decode(_member(members, truth), truth).rstrip("\r\n"), truth)
            picture = read_picture(_member(members, name), name)
            if len(text) * _NARROWEST * picture.shape[0] > picture.shape[1] * HEIGHT:
                dropped[f"of less than {_NARROWEST:g} pixels a character"] += 1
                continue
            signal = columns(picture, name, looking)
            signals.append(signal)
            scales.append((picture.shape[1] / len(signal), 0.0))
            kept.append(name)
            texts.append(text)
        groups = [name.split("/")[-2] for name in kept]
        placed = np.array(scales, np.float64).reshape(-1, 2)
        parts[part] = Recordings(
            signals, texts, names=kept, groups=groups, scales=placed, reads="line", dropped=dict(dropped)
        )
    return parts


def _lines(members: Members, name: str) -> list[str]:
    return [line for line in split_lines(decode(_member(members, name), name)) if line.strip()]


def _member(members: Members, name: str) -> bytes:
    if name not in members:
        raise DataError(f"the archive holds no {name}. Fetch it again, or take that which the documents name.")
    return members[name]


def _known(texts: Mapping[str, str], name: str, part: str) -> str:
    if name not in texts:
        raise DataError(f"the archive has no text for {name!r} of the part {part}. Fetch it again.")
    return texts[name]


AN4 = Archive(
    name="an4",
    file="an4.tar.gz",
    sha256="06bacb7140f5b63d8b943698e7923e746033eb0d8535ded1abb4d52055154d28",
    title="AN4: what is said? Letters, numbers and commands, as 13 mel cepstra a frame",
    licence="BSD-style of Carnegie Mellon University, free for any purpose",
    citation=(
        "Alejandro Acero and Richard M. Stern. Environmental Robustness in Automatic Speech Recognition. ICASSP 1990. "
        "doi:10.1109/ICASSP.1990.115971"
    ),
    homepage="http://www.speech.cs.cmu.edu/databases/an4/",
    read=read_an4,
)
ASTERISK = Archive(
    name="asterisk_en",
    file="asterisk-core-sounds-en.tar.gz",
    sha256="ab3247e0021d5d03eb88052252fc2aeba7ceaf90266890e37e6ff714f85638fb",
    title="Asterisk's core sounds: what does the telephone say? One voice, 8 kHz",
    licence="CC BY-SA 3.0",
    citation="Allison Smith and Digium, Inc. Asterisk core sounds, English. 2003-2010.",
    homepage="https://www.asterisk.org",
    read=read_asterisk,
)
FRAKTUR = Archive(
    name="fraktur19",
    file="fraktur19.tar.gz",
    sha256="02532ab736a37ed0fddbc606535bd5247bd220e7ed6d7d315907c1448954a496",
    title="Lines of German books of the 19th century in Fraktur: what is printed there?",
    licence="MIT (repository), CC BY 4.0 (texts)",
    citation=(
        "Christian Reul, Uwe Springmann, Christoph Wick and Frank Puppe. State of the Art Optical Character "
        "Recognition of 19th Century Fraktur Scripts using Open Source Engines. 2018. arXiv:1810.03436"
    ),
    homepage="https://github.com/chreul/19th-century-fraktur-OCR",
    read=read_lines,
    columns=("height",),
)
TIMEUS = Archive(
    name="timeus_hand",
    file="timeus_hand48.tar.gz",
    sha256="8827e916732003ba9c8a98881148563ff592d517aaa1a04763496e834273f120",
    title="Registers of French courts of 1858 and 1878: what is written there by hand?",
    licence="CC BY 4.0",
    citation=(
        "Alix Chagué and others. Time Us Corpus. doi:10.5281/zenodo.6230755"
    ),
    homepage="https://github.com/HTR-United/timeuscorpus",
    read=read_lines,
    columns=("height",),
)  # fmt: skip

SOURCES = tuple(archive.source() for archive in (AN4, ASTERISK, FRAKTUR, TIMEUS))
