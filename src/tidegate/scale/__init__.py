"""Trains and answers with several processes, here or on other machines, to the bits of one."""

from typing import TYPE_CHECKING

from tidegate._doors import open_door

if TYPE_CHECKING:
    from tidegate.scale.cluster import Cluster as Cluster
    from tidegate.scale.cluster import OnCluster as OnCluster
    from tidegate.scale.crew import Workers as Workers
    from tidegate.scale.places import Elsewhere as Elsewhere
    from tidegate.scale.places import Here as Here
    from tidegate.scale.places import Place as Place
    from tidegate.scale.training import train as train

open_door(__name__)
