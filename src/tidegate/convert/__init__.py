"""Models of torch and Keras become networks, and networks become modules of torch; each conversion is proved.

Knows networks and weights. Loads torch only where a module of torch comes or goes, and never loads Keras.
"""

from typing import TYPE_CHECKING

from tidegate._doors import open_door

if TYPE_CHECKING:
    from tidegate.convert.keras import from_keras as from_keras
    from tidegate.convert.keras import read_keras as read_keras
    from tidegate.convert.proof import Conversion as Conversion
    from tidegate.convert.proof import Proof as Proof
    from tidegate.convert.torch_network import to_torch as to_torch
    from tidegate.convert.torch_parts import from_torch as from_torch

open_door(__name__)
