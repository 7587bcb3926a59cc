"""Runs a network without torch."""

from tidegate.runtime.executor import Executor, run_sorted, sorted_batches

__all__ = ["Executor", "run_sorted", "sorted_batches"]
