"""The compiled kernels, NumPy in and NumPy out; which instruction set and how many threads run them.

Beside `tidegate.cells`, which reads the table of cells, this package alone imports the compiled core. Here are layers
and what stands around them, and what reads texts; `kernels.crf` holds conditional random fields, `kernels.streams`
networks over live sequences.
"""

from __future__ import annotations

from tidegate.kernels.addresses import forward_at
from tidegate.kernels.checks import Array, check_offsets, choose, expect, float_kind
from tidegate.kernels.grids import GridForward, grid_backward, grid_computed_again, grid_forward, grid_parameters
from tidegate.kernels.layers import (
    CELLS,
    Call,
    Direction,
    DirectionGradients,
    Forward,
    Gradients,
    backward,
    forward,
    step,
)
from tidegate.kernels.lexicon import Lexicon, Rule
from tidegate.kernels.rows import (
    ACTIVATIONS,
    POOL_MODES,
    activate,
    exp,
    linear,
    log,
    mode_numbers,
    pool,
    pool_backward,
    product,
    sigmoid,
    softmax,
    sparse_product,
)
from tidegate.kernels.sampling import Sampler, sample
from tidegate.kernels.threads import (
    active_isa,
    available_isas,
    explicit_num_threads,
    get_num_threads,
    set_num_threads,
    thread_count,
    use_isa,
)

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "POOL_MODES",
    "Array",
    "Call",
    "Direction",
    "DirectionGradients",
    "Forward",
    "Gradients",
    "GridForward",
    "Lexicon",
    "Rule",
    "Sampler",
    "activate",
    "active_isa",
    "available_isas",
    "backward",
    "check_offsets",
    "choose",
    "exp",
    "expect",
    "explicit_num_threads",
    "float_kind",
    "forward",
    "forward_at",
    "get_num_threads",
    "grid_backward",
    "grid_computed_again",
    "grid_forward",
    "grid_parameters",
    "linear",
    "log",
    "mode_numbers",
    "pool",
    "pool_backward",
    "product",
    "sample",
    "set_num_threads",
    "sigmoid",
    "softmax",
    "sparse_product",
    "step",
    "thread_count",
    "use_isa",
]
