"""Runs a network without torch."""

from tidegate.runtime.executor import Executor, LayerRun, NodeRun, Recording, cut, final_state, look_up, run_sorted

__all__ = ["Executor", "LayerRun", "NodeRun", "Recording", "cut", "final_state", "look_up", "run_sorted"]
