"""Runs: a task trained on a data set into a folder that can be resumed, measured, compared and read."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.runs.answers import Piece, answer_names, answer_rows, answer_words, row_inputs, row_name
    from tidegate.runs.baselines import Baseline, train_baselines
    from tidegate.runs.classification import Classification, ClassScore, measure_classifier
    from tidegate.runs.comparison import Comparison, compare
    from tidegate.runs.demo import Demo, choose_demo, demo_questions
    from tidegate.runs.description import describe_model, describe_nodes
    from tidegate.runs.environment import describe_environment
    from tidegate.runs.evaluation import Evaluation, evaluate, show_measure, show_measures
    from tidegate.runs.forecasting import ColumnScore, Forecasting, measure_forecaster
    from tidegate.runs.held_out import Part, choose_part
    from tidegate.runs.memory_lab import Lab, lab, lab_cells
    from tidegate.runs.memory_trial import LabSetup, Trial
    from tidegate.runs.steps import Layout, answer_steps
    from tidegate.runs.tagging import Tagging, TagScore, measure_tagger
    from tidegate.runs.training import Result, Source, Training, repeat, resume, start

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
    "answers": ("Piece", "answer_names", "answer_rows", "answer_words", "row_inputs", "row_name"),
    "baselines": ("Baseline", "train_baselines"),
    "comparison": ("Comparison", "compare"),
    "demo": ("Demo", "choose_demo", "demo_questions"),
    "description": ("describe_model", "describe_nodes"),
    "environment": ("describe_environment",),
    "classification": ("ClassScore", "Classification", "measure_classifier"),
    "forecasting": ("ColumnScore", "Forecasting", "measure_forecaster"),
    "evaluation": ("Evaluation", "evaluate", "show_measure", "show_measures"),
    "held_out": ("Part", "choose_part"),
    "memory_lab": ("Lab", "lab", "lab_cells"),
    "memory_trial": ("LabSetup", "Trial"),
    "steps": ("Layout", "answer_steps"),
    "tagging": ("TagScore", "Tagging", "measure_tagger"),
    "training": ("Result", "Source", "Training", "repeat", "resume", "start"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: `tidegate doctor` must speak where the kernels do not load."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"tidegate.runs.{home}"), name)
    raise AttributeError(f"module 'tidegate.runs' has no attribute {name!r}")
