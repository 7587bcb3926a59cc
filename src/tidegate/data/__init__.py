"""Data sets by name or file, tokenizers, and batches that resume. Knows nothing of torch or of models."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    "batching": ("batch_count", "batches"),
    "cache": ("cache_folder",),
    "checks": (
        "check_classes",
        "check_features",
        "check_known_classes",
        "check_labels",
        "check_same_length",
        "check_texts",
    ),
    "dataset": ("Dataset", "Examples"),
    "loading": ("describe", "get", "load", "names", "path"),
    "progress": ("Progress",),
    "source": ("Source",),
    "split": ("stratified_split",),
    "tokenizer": ("Tokenizer",),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: a model that predicts reads no tables and downloads nothing."""
    if name == "tokenizer":
        return import_module("tidegate.data.tokenizer")
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"tidegate.data.{home}"), name)
    raise AttributeError(f"module 'tidegate.data' has no attribute {name!r}")
