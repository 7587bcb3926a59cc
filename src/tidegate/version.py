"""The version of Tidegate that is installed, `0` where it runs from a source tree that was never installed."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("tidegate")
except PackageNotFoundError:
    __version__ = "0"
