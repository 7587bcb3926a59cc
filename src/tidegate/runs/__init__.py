"""Runs: a task trained on a data set into a folder that can be resumed, measured, compared and read."""

from typing import TYPE_CHECKING

from tidegate._doors import open_door

if TYPE_CHECKING:
    from tidegate.lab import Lab as Lab
    from tidegate.lab import LabSetup as LabSetup
    from tidegate.lab import Trial as Trial
    from tidegate.lab import lab as lab
    from tidegate.lab import lab_cells as lab_cells
    from tidegate.runs.answers import Piece as Piece
    from tidegate.runs.answers import answer_names as answer_names
    from tidegate.runs.answers import answer_rows as answer_rows
    from tidegate.runs.answers import answer_words as answer_words
    from tidegate.runs.answers import row_inputs as row_inputs
    from tidegate.runs.answers import row_name as row_name
    from tidegate.runs.baselines import train_baselines as train_baselines
    from tidegate.runs.comparison import Comparison as Comparison
    from tidegate.runs.comparison import compare as compare
    from tidegate.runs.demo import Demo as Demo
    from tidegate.runs.demo import choose_demo as choose_demo
    from tidegate.runs.demo import demo_questions as demo_questions
    from tidegate.runs.demo import draw_line as draw_line
    from tidegate.runs.description import describe_model as describe_model
    from tidegate.runs.description import describe_nodes as describe_nodes
    from tidegate.runs.environment import describe_environment as describe_environment
    from tidegate.runs.evaluation import evaluate as evaluate
    from tidegate.runs.evaluation import show_measure as show_measure
    from tidegate.runs.evaluation import show_measures as show_measures
    from tidegate.runs.held_out import Part as Part
    from tidegate.runs.held_out import choose_part as choose_part
    from tidegate.runs.source import Source as Source
    from tidegate.runs.steps import Layout as Layout
    from tidegate.runs.steps import answer_steps as answer_steps
    from tidegate.runs.training import Result as Result
    from tidegate.runs.training import Training as Training
    from tidegate.runs.training import repeat as repeat
    from tidegate.runs.training import resume as resume
    from tidegate.runs.training import start as start
    from tidegate.runs.unlabelled import Unlabelled as Unlabelled
    from tidegate.tasks.baselines import Baseline as Baseline
    from tidegate.tasks.classifying.scores import Classification as Classification
    from tidegate.tasks.classifying.scores import ClassScore as ClassScore
    from tidegate.tasks.classifying.scores import Labelling as Labelling
    from tidegate.tasks.classifying.scores import measure_classifier as measure_classifier
    from tidegate.tasks.forecasting.scores import ColumnScore as ColumnScore
    from tidegate.tasks.forecasting.scores import Forecasting as Forecasting
    from tidegate.tasks.forecasting.scores import measure_forecaster as measure_forecaster
    from tidegate.tasks.scores import Evaluation as Evaluation
    from tidegate.tasks.tagging.scores import Tagging as Tagging
    from tidegate.tasks.tagging.scores import TagScore as TagScore
    from tidegate.tasks.tagging.scores import measure_tagger as measure_tagger

open_door(__name__)
