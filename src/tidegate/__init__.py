"""Train, explain and ship recurrent sequence models on the CPU you already have: `import tidegate as tg`."""

from typing import TYPE_CHECKING

from tidegate._doors import open_door

if TYPE_CHECKING:
    from tidegate import convert as convert
    from tidegate import data as data
    from tidegate import decoding as decoding
    from tidegate import errors as errors
    from tidegate import export as export
    from tidegate import inspect as inspect
    from tidegate import kernels as kernels
    from tidegate import network as network
    from tidegate import nn as nn
    from tidegate import runtime as runtime
    from tidegate import scale as scale
    from tidegate import search as search
    from tidegate import tasks as tasks
    from tidegate import train as train
    from tidegate.errors import TidegateError as TidegateError
    from tidegate.grid import Grid as Grid
    from tidegate.network import Network as Network
    from tidegate.nn.accelerate import accelerate as accelerate
    from tidegate.nn.accelerate import restore as restore
    from tidegate.ragged import Ragged as Ragged
    from tidegate.serve.client import Client as Client
    from tidegate.tasks import Forecaster as Forecaster
    from tidegate.tasks import LanguageModel as LanguageModel
    from tidegate.tasks import SequenceClassifier as SequenceClassifier
    from tidegate.tasks import TextClassifier as TextClassifier
    from tidegate.tasks import TokenTagger as TokenTagger
    from tidegate.tasks import Transcriber as Transcriber
    from tidegate.tasks import Translator as Translator
    from tidegate.tasks import load as load
    from tidegate.version import __version__ as __version__

open_door(__name__)
