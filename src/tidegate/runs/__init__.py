"""Runs: a task trained on a data set into a folder that can be resumed, measured, compared and read."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.runs.answers import Piece, answer_names, answer_rows, answer_words, row_inputs, row_name
    from tidegate.runs.baselines import Baseline, train_baselines
    from tidegate.runs.comparison import Comparison, compare
    from tidegate.runs.demo import Demo, choose_demo, demo_questions
    from tidegate.runs.description import describe_model, describe_nodes
    from tidegate.runs.environment import describe_environment
    from tidegate.runs.evaluation import evaluate, show_measure, show_measures
    from tidegate.runs.held_out import Part, choose_part
    from tidegate.runs.memory_lab import Lab, lab, lab_cells
    from tidegate.runs.memory_trial import LabSetup, Trial
    from tidegate.runs.steps import Layout, answer_steps
    from tidegate.runs.training import Result, Source, Training, repeat, resume, start
    from tidegate.tasks.classifying.scores import Classification, ClassScore, measure_classifier
    from tidegate.tasks.forecasting.scores import ColumnScore, Forecasting, measure_forecaster
    from tidegate.tasks.scores import Evaluation
    from tidegate.tasks.tagging.scores import Tagging, TagScore, measure_tagger

__all__ = [
    "Baseline",
    "ClassScore",
    "Classification",
    "ColumnScore",
    "Comparison",
    "Demo",
    "Evaluation",
    "Forecasting",
    "Lab",
    "LabSetup",
    "Layout",
    "Part",
    "Piece",
    "Result",
    "Source",
    "TagScore",
    "Tagging",
    "Training",
    "Trial",
    "answer_names",
    "answer_rows",
    "answer_steps",
    "answer_words",
    "choose_demo",
    "choose_part",
    "compare",
    "demo_questions",
    "describe_environment",
    "describe_model",
    "describe_nodes",
    "evaluate",
    "lab",
    "lab_cells",
    "measure_classifier",
    "measure_forecaster",
    "measure_tagger",
    "repeat",
    "resume",
    "row_inputs",
    "row_name",
    "show_measure",
    "show_measures",
    "start",
    "train_baselines",
]

_HOMES = {
    "tidegate.runs.answers": ("Piece", "answer_names", "answer_rows", "answer_words", "row_inputs", "row_name"),
    "tidegate.runs.baselines": ("Baseline", "train_baselines"),
    "tidegate.runs.comparison": ("Comparison", "compare"),
    "tidegate.runs.demo": ("Demo", "choose_demo", "demo_questions"),
    "tidegate.runs.description": ("describe_model", "describe_nodes"),
    "tidegate.runs.environment": ("describe_environment",),
    "tidegate.tasks.classifying.scores": ("ClassScore", "Classification", "measure_classifier"),
    "tidegate.tasks.forecasting.scores": ("ColumnScore", "Forecasting", "measure_forecaster"),
    "tidegate.tasks.scores": ("Evaluation",),
    "tidegate.runs.evaluation": ("evaluate", "show_measure", "show_measures"),
    "tidegate.runs.held_out": ("Part", "choose_part"),
    "tidegate.runs.memory_lab": ("Lab", "lab", "lab_cells"),
    "tidegate.runs.memory_trial": ("LabSetup", "Trial"),
    "tidegate.runs.steps": ("Layout", "answer_steps"),
    "tidegate.tasks.tagging.scores": ("TagScore", "Tagging", "measure_tagger"),
    "tidegate.runs.training": ("Result", "Source", "Training", "repeat", "resume", "start"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: `tidegate doctor` must speak where the kernels do not load."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'tidegate.runs' has no attribute {name!r}")
