"""MNIST: 70,000 handwritten digits as sequences, read by rows, by pixels, or by pixels in one fixed random order."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tidegate.data.dataset import Dataset, Examples
from tidegate.data.source import Source
from tidegate.errors import DataError, InputError, OptionError
from tidegate.fetch.files import fetch_remote, find_remote
from tidegate.fetch.progress import Progress
from tidegate.fetch.remote import Remote
from tidegate.ragged import Ragged

_NAME = "mnist"
_HOME = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_SIDE = 28
_WHITE = np.float32(255)
_SEED = 92916  # of the one order in which `permuted` reads the pixels of every image
ORDERS = ("rows", "pixels", "permuted")

REMOTES = MappingProxyType(
    {
        "train images": Remote(
            f"{_HOME}train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        "train labels": Remote(
            f"{_HOME}train-labels-idx1-ubyte.gz",
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        "test images": Remote(
            f"{_HOME}t10k-images-idx3-ubyte.gz",
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        "test labels": Remote(
            f"{_HOME}t10k-labels-idx1-ubyte.gz",
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    }
)


def find() -> Path | None:
    """Find the folder of the four files on this machine; None unless all are there."""
    files = [find_remote(_NAME, remote) for remote in REMOTES.values()]
    return None if None in files or files[0] is None else files[0].parent


def fetch(progress: Progress) -> Path:
    """Return the folder of the files, each downloaded into the cache if it is not on this machine."""
    folders = [fetch_remote(_NAME, remote, progress).parent for remote in REMOTES.values()]
    return folders[0]


def load(*, unlabelled: bool, progress: Progress, order: str = "rows", **columns: str) -> Dataset:
    """Load the digits, their pixels from 0 to 1.

    Args:
        unlabelled: refused, as there is no such part.
        progress: told how far a download is.
        order: `rows` gives 28 steps of 28 pixels; `pixels` 784 steps of one, from the upper left to the lower right;
            `permuted` the same in a random order, one for all images (Le, Jaitly and Hinton 2015, arXiv:1504.00941).
        columns: there are no others.
    """
    if unlabelled:
        raise InputError("mnist has no unlabelled part.")
    if order not in ORDERS:
        raise OptionError.unknown("order of mnist", order, ORDERS)
    return Dataset(
        name=_NAME,
        kind="sequence",
        classes=tuple(range(10)),
        train=_part("train", order, progress),
        test=_part("test", order, progress),
        licence=SOURCE.licence,
        citation=SOURCE.citation,
    )


def _part(part: str, order: str, progress: Progress) -> Examples:
    files = [fetch_remote(_NAME, REMOTES[f"{part} {what}"], progress) for what in ("images", "labels")]
    images, labels = (_read_idx(file) for file in files)
    if images.ndim != 3 or images.shape[1:] != (_SIDE, _SIDE) or labels.shape != images.shape[:1]:
        shapes = f"{list(images.shape)} and {files[1]} {list(labels.shape)}"
        raise DataError(f"{files[0]} holds {shapes}: not those of MNIST.")
    pixels = images.reshape(len(images), -1).astype(np.float32) / _WHITE  # [B, 784]
    if order == "permuted":
        pixels = pixels[:, np.random.default_rng(_SEED).permutation(_SIDE**2)]
    features = _SIDE if order == "rows" else 1
    rows = pixels.reshape(len(images), _SIDE**2 // features, features)
    return Examples(Ragged.from_padded(rows), labels.astype(np.int64))


def _read_idx(file: Path) -> npt.NDArray[np.uint8]:
    """Read bytes in the IDX format: two zeros, the type 8, the number of axes, the length of each, big-endian."""
    try:
        content = gzip.decompress(file.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file} cannot be read: {error}.") from error
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise DataError(f"{file} holds no bytes in the IDX format.")
    begin = 4 + 4 * content[3]
    shape = tuple(np.frombuffer(content[4:begin], ">u4").tolist())
    if len(shape) != content[3] or len(content) - begin != np.prod(shape, dtype=np.int64):
        rest = len(content) - begin
        raise DataError(f"{file} is cut off: its header says {list(shape)}, after it come {rest:,} bytes.")
    return np.frombuffer(content, np.uint8, offset=begin).reshape(shape)


SOURCE = Source(
    name=_NAME,
    title=f"MNIST: which handwritten digit is it? order={', '.join(ORDERS)}",
    kind="sequence",
    licence="none stated; the authors ask to cite their paper",
    citation=(
        "Yann LeCun, Léon Bottou, Yoshua Bengio and Patrick Haffner. Gradient-Based Learning Applied to Document "
        "Recognition. Proceedings of the IEEE 86(11), 1998. doi:10.1109/5.726791"
    ),
    homepage="https://yann.lecun.org/exdb/mnist/index.html",
    find=find,
    fetch=fetch,
    load=load,
    columns=("order",),
)
