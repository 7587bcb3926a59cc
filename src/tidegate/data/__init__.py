"""Data sets by name or file, tokenizers, and batches that resume. Knows nothing of torch or of models."""

from typing import TYPE_CHECKING

from tidegate._doors import open_door

if TYPE_CHECKING:
    from tidegate.data import tokenizer as tokenizer
    from tidegate.data import vectors as vectors
    from tidegate.data.batching import batch_count as batch_count
    from tidegate.data.batching import batches as batches
    from tidegate.data.checks import check_classes as check_classes
    from tidegate.data.checks import check_features as check_features
    from tidegate.data.checks import check_known_classes as check_known_classes
    from tidegate.data.checks import check_labels as check_labels
    from tidegate.data.checks import check_same_length as check_same_length
    from tidegate.data.checks import check_texts as check_texts
    from tidegate.data.dataset import Dataset as Dataset
    from tidegate.data.dataset import Examples as Examples
    from tidegate.data.images import read_images as read_images
    from tidegate.data.loading import describe as describe
    from tidegate.data.loading import get as get
    from tidegate.data.loading import load as load
    from tidegate.data.loading import names as names
    from tidegate.data.loading import path as path
    from tidegate.data.pairs.subwords import Subwords as Subwords
    from tidegate.data.pairs.subwords import train_subwords as train_subwords
    from tidegate.data.source import Source as Source
    from tidegate.data.split import stratified_split as stratified_split
    from tidegate.data.tokenizer import Tokenizer as Tokenizer
    from tidegate.data.transcribed.recordings import Recordings as Recordings
    from tidegate.fetch.cache import cache_folder as cache_folder
    from tidegate.fetch.progress import Progress as Progress

open_door(__name__)
