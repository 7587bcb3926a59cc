"""Multi30k, task 1: captions of pictures in English, German and French, from the files of its makers.

Each language is a file of its own, so that what is not asked for is not fetched.
"""

from __future__ import annotations

from pathlib import Path

from tidegate.data.dataset import Dataset
from tidegate.data.pairs.aligned import read_aligned
from tidegate.data.pairs.reading import gather_pairs
from tidegate.data.source import Source
from tidegate.errors import Argument, InputError, OptionError
from tidegate.fetch.files import fetch_remote, find_remote
from tidegate.fetch.progress import Progress
from tidegate.fetch.remote import Remote

_NAME = "multi30k"
_HOME = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/"
LANGUAGES = ("de", "en", "fr")
TESTS = ("2016_flickr", "2017_flickr", "2017_mscoco")

_FILES = {
    ("train", "de"): (
        637_044,
        "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    ),
    ("train", "en"): (
        568_929,
        "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    ),
    ("train", "fr"): (
        604_242,
        "622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c",
    ),
    ("val", "de"): (
        24_681,
        "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    ),
    ("val", "en"): (
        21_650,
        "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    ),
    ("val", "fr"): (
        23_001,
        "ca3106f1a72390591d25f6c45cb4cd39dec4cd3f123e099748a3ce5256c160e9",
    ),
    ("test_2016_flickr", "de"): (
        22_890,
        "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
    ),
    ("test_2016_flickr", "en"): (
        21_077,
        "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    ),
    ("test_2016_flickr", "fr"): (
        22_310,
        "6d326e188d259fb1d04ac19eae3af956559b3a0b93d7635e56c90987c40c8b90",
    ),
    ("test_2017_flickr", "de"): (
        21_471,
        "a2c89666db00c495cd8513b9d708d5a3acc205d7de312ef2bf5fb7ebc1540aee",
    ),
    ("test_2017_flickr", "en"): (
        19_138,
        "76a444ee25172e72695cddb13ae4a3bda59430617be88e0bb46b60504f054074",
    ),
    ("test_2017_flickr", "fr"): (
        20_434,
        "3ba671ceb2299f3304ffafefea7a833d08632fbaf0ba18546f8a2ec2391af496",
    ),
    ("test_2017_mscoco", "de"): (
        10_230,
        "799e4854c25d601cb6cb6be29eabe5667734c61ace2f495e03e429031a0bc338",
    ),
    ("test_2017_mscoco", "en"): (
        8_844,
        "aab300bfb4427697987e02cd0aacd44bfe8aa50456231b6474c08038bbed2b58",
    ),
    ("test_2017_mscoco", "fr"): (
        9_751,
        "754f3072ba9f124569ba5258b32730fc1d214bbf8e0c6dfb2b74401676220db0",
    ),
}


def find() -> Path | None:
    """Find the folder of the files on this machine; None unless all are there but for the tests of 2017."""
    needed = [_remote(stem, language) for stem in ("train", "val", "test_2016_flickr") for language in LANGUAGES]
    files = [find_remote(_NAME, remote) for remote in needed]
    return None if None in files or files[0] is None else files[0].parent


def fetch(progress: Progress) -> Path:
    """Return the folder of the files, each downloaded into the cache if it is not on this machine."""
    folders = [fetch_remote(_NAME, _remote(*key), progress).parent for key in _FILES]
    return folders[0]


def load(*, unlabelled: bool, progress: Progress, test: str = TESTS[0], **sides: str) -> Dataset:
    """Load 29,000 pairs to learn from, 1,014 to tune on and the test that is named.

    Raises InputError where the two languages are not named, or are one, OptionError for an unknown language or test.
    """
    if unlabelled:
        raise InputError(f"{_NAME} has no unlabelled part.")
    if test not in TESTS:
        raise OptionError.unknown("test of multi30k", test, TESTS)
    source, target = (_language(side, sides.get(side)) for side in ("from", "to"))
    if source == target:
        raise InputError(f"from and to are both {source!r}. Name two languages.")
    parts = {}
    for part, stem in {"train": "train", "valid": "val", "test": f"test_{test}"}.items():
        files = [fetch_remote(_NAME, _remote(stem, language), progress) for language in (source, target)]
        parts[part] = read_aligned(files[0], files[1], {"from": source, "to": target})
    return gather_pairs(_NAME, parts, licence=SOURCE.licence, citation=SOURCE.citation)


def _language(side: str, name: str | None) -> str:
    if name is None:
        raise InputError(f"{_NAME} has three languages. Say which is translated into which: ",
                         Argument("from", "de"), " and ", Argument("to", "en"), ".")  # fmt: skip
    if name not in LANGUAGES:
        raise OptionError.unknown(f"language of {_NAME}, {side}", name, LANGUAGES)
    return name


def _remote(stem: str, language: str) -> Remote:
    size, sha256 = _FILES[stem, language]
    return Remote(f"{_HOME}{stem}.{language}.gz", size, sha256)


SOURCE = Source(
    name=_NAME,
    title="Multi30k: captions of pictures, to be translated between English, German and French",
    kind="pairs",
    licence="none stated; the authors ask to cite their papers",
    citation=(
        "Desmond Elliott, Stella Frank, Khalil Sima'an and Lucia Specia. Multi30K: Multilingual English-German Image "
        "Descriptions. Workshop on Vision and Language 2016. French and the tests of 2017: Desmond Elliott, Stella "
        "Frank, Loïc Barrault, Fethi Bougares and Lucia Specia. Findings of the Second Shared Task on Multimodal "
        "Machine Translation and Multilingual Image Description. WMT 2017."
    ),
    homepage="https://github.com/multi30k/dataset",
    find=find,
    fetch=fetch,
    load=load,
    columns=("from", "to", "test"),
)
