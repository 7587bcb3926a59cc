"""Runs: a task trained on a data set into a folder that can be resumed, measured, compared and read."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.runs.baselines import Baseline, baselines
    from tidegate.runs.comparison import Comparison, compare
    from tidegate.runs.demo import Demo, choose_demo, demo_questions
    from tidegate.runs.environment import environment
    from tidegate.runs.evaluation import ClassScore, Evaluation, evaluate
    from tidegate.runs.training import Result, Source, Training, repeat, resume, start

_HOMES = {
    "baselines": ("Baseline", "baselines"),
    "comparison": ("Comparison", "compare"),
    "demo": ("Demo", "choose_demo", "demo_questions"),
    "environment": ("environment",),
    "evaluation": ("ClassScore", "Evaluation", "evaluate"),
    "training": ("Result", "Source", "Training", "repeat", "resume", "start"),
}
