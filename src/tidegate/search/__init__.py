"""Searches for the parameters with which a task learns a data set best: many trainings, each told to the next ones."""

from typing import TYPE_CHECKING

from tidegate._doors import open_door

if TYPE_CHECKING:
    from tidegate.search.space import Space as Space
    from tidegate.search.space import read_space as read_space
    from tidegate.search.study import Search as Search
    from tidegate.search.study import open_search as open_search
    from tidegate.search.trials import Tried as Tried

open_door(__name__)
