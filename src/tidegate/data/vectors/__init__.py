"""Vectors of words that others trained: files of GloVe, word2vec and fastText. Knows words and rows, no model."""

from typing import TYPE_CHECKING

from tidegate._doors import open_door

if TYPE_CHECKING:
    from tidegate.data.vectors.reading import read as read
    from tidegate.data.vectors.reading import sha256 as sha256
    from tidegate.data.vectors.reading import width as width
    from tidegate.data.vectors.sought import Vectors as Vectors
    from tidegate.data.vectors.sought import folded as folded

open_door(__name__)
