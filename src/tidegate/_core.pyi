from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]
_Pairs = Sequence[tuple[_Array | None, _Array | None]]

def available_isas() -> tuple[str, ...]: ...
def active_isa() -> str: ...
def use_isa(name: str) -> bool: ...
def forward(
    cell: int,
    x: _Array,
    ids: _Array | None,
    offsets: _Array,
    directions: Sequence[tuple[object, ...]],
    h: _Array,
    state: _Pairs,
    kept: _Pairs,
    threads: int,
) -> None: ...
def backward(
    cell: int,
    x: _Array,
    ids: _Array | None,
    offsets: _Array,
    directions: Sequence[tuple[object, ...]],
    h: _Array,
    kept: _Pairs,
    overwrite: bool,
    dh: _Array,
    dstate: _Pairs,
    dx: _Array | None,
    gradients: Sequence[tuple[_Array | None, ...]],
    steps: _Pairs,
    threads: int,
) -> None: ...
def linear(
    x: _Array, w: _Array, as_it_is: bool, bias: _Array | None, y: _Array, activation: int, threads: int
) -> None: ...
def activate(activation: int, x: _Array, y: _Array, threads: int) -> None: ...
def pool(h: _Array, offsets: _Array, modes: Sequence[int], pooled: _Array, dh: _Array | None, threads: int) -> None: ...
def crf_forward(
    emissions: _Array,
    offsets: _Array,
    transitions: _Array,
    start: _Array,
    end: _Array,
    alpha: _Array,
    log_partition: _Array,
    threads: int,
) -> None: ...
def crf_backward(
    emissions: _Array,
    offsets: _Array,
    transitions: _Array,
    start: _Array,
    end: _Array,
    alpha: _Array,
    weight: _Array,
    demissions: _Array,
    dtransitions: _Array,
    dstart: _Array,
    dend: _Array,
    threads: int,
) -> None: ...
def crf_best(
    emissions: _Array,
    offsets: _Array,
    transitions: _Array,
    start: _Array,
    end: _Array,
    tags: _Array,
    scores: _Array,
    threads: int,
) -> None: ...

class _Stream:
    def __init__(self, cell: int, B: int, direction: tuple[object, ...]) -> None: ...
    def step(self, x: _Array, h: _Array, threads: int) -> None: ...
    def read(self, h: _Array, c: _Array | None) -> None: ...
    def write(self, h: _Array, c: _Array | None) -> None: ...

class Stream32(_Stream): ...
class Stream64(_Stream): ...

class _Sampler:
    def __init__(self, w: _Array, bias: _Array | None) -> None: ...
    def choose(self, x: _Array, temperature: float, top_k: int, top_p: float, u: float, threads: int) -> int: ...

class Sampler32(_Sampler): ...
class Sampler64(_Sampler): ...

def empty(size: int) -> _Array: ...
def softmax(x: _Array, y: _Array, threads: int) -> None: ...
