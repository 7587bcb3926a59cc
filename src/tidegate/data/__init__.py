"""Data sets by name or file, tokenizers, and batches that resume. Knows nothing of torch or of models."""

from tidegate.data import tokenizer
from tidegate.data.batching import batch_count, batches
from tidegate.data.cache import cache_folder
from tidegate.data.checks import (
    check_classes,
    check_features,
    check_known_classes,
    check_labels,
    check_same_length,
    check_texts,
)
from tidegate.data.dataset import Dataset, Examples
from tidegate.data.loading import describe, get, load, names, path
from tidegate.data.progress import Progress
from tidegate.data.source import Source
from tidegate.data.split import stratified_split
from tidegate.data.tokenizer import Tokenizer

__all__ = [
    "Dataset",
    "Examples",
    "Progress",
    "Source",
    "Tokenizer",
    "batch_count",
    "batches",
    "cache_folder",
    "check_classes",
    "check_features",
    "check_known_classes",
    "check_labels",
    "check_same_length",
    "check_texts",
    "describe",
    "get",
    "load",
    "names",
    "path",
    "stratified_split",
    "tokenizer",
]
