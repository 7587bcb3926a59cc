"""What users come for: one folder per task, and `load`, which reads the model file of any of them."""

from typing import TYPE_CHECKING

from tidegate._doors import open_door

if TYPE_CHECKING:
    from tidegate.tasks.card import Card as Card
    from tidegate.tasks.cards import CARDS as CARDS
    from tidegate.tasks.classifying.sequences import SequenceClassifier as SequenceClassifier
    from tidegate.tasks.classifying.texts import TextClassifier as TextClassifier
    from tidegate.tasks.forecasting.forecast import Forecast as Forecast
    from tidegate.tasks.forecasting.forecaster import Forecaster as Forecaster
    from tidegate.tasks.language.model import LanguageModel as LanguageModel
    from tidegate.tasks.live import Live as Live
    from tidegate.tasks.loading import for_kind as for_kind
    from tidegate.tasks.loading import from_recipe as from_recipe
    from tidegate.tasks.loading import load as load
    from tidegate.tasks.loading import model_file as model_file
    from tidegate.tasks.loading import restore as restore
    from tidegate.tasks.tagging.tagger import TokenTagger as TokenTagger
    from tidegate.tasks.task import Task as Task
    from tidegate.tasks.transcribing.transcriber import Transcriber as Transcriber
    from tidegate.tasks.transcribing.transcripts import Transcript as Transcript
    from tidegate.tasks.translating.translations import Translation as Translation
    from tidegate.tasks.translating.translator import Translator as Translator

open_door(__name__)
