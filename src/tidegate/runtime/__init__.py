"""Runs a network without torch."""

from tidegate.runtime.executor import Executor

__all__ = ["Executor"]
