"""Runs: a task trained on a data set into a folder that can be resumed, measured, compared and read."""

from tidegate.runs.baselines import Baseline, baselines
from tidegate.runs.comparison import Comparison, compare
from tidegate.runs.demo import Demo, choose_demo, demo_questions
from tidegate.runs.environment import environment
from tidegate.runs.evaluation import ClassScore, Evaluation, evaluate
from tidegate.runs.training import Result, Source, Training, repeat, resume, start

__all__ = [
    "Baseline",
    "ClassScore",
    "Comparison",
    "Demo",
    "Evaluation",
    "Result",
    "Source",
    "Training",
    "baselines",
    "choose_demo",
    "compare",
    "demo_questions",
    "environment",
    "evaluate",
    "repeat",
    "resume",
    "start",
]
