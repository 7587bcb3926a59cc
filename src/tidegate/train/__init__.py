"""Training: a loop that yields one `Step` after each update, so that logging and early stopping are loops over it."""

from typing import TYPE_CHECKING

from tidegate._doors import open_door

if TYPE_CHECKING:
    from tidegate.train.beginning import initial_weights as initial_weights
    from tidegate.train.crew import Crew as Crew
    from tidegate.train.recipe import Recipe as Recipe
    from tidegate.train.recipe import learning_rate as learning_rate
    from tidegate.train.state import State as State
    from tidegate.train.state import pack as pack
    from tidegate.train.state import start as start
    from tidegate.train.state import unpack as unpack
    from tidegate.train.state import weights as weights
    from tidegate.train.updates import Measure as Measure
    from tidegate.train.updates import Step as Step
    from tidegate.train.updates import fit as fit
    from tidegate.train.work import Asked as Asked
    from tidegate.train.work import Loss as Loss
    from tidegate.train.work import StreamLoss as StreamLoss

open_door(__name__)
