from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]
_Pairs = Sequence[tuple[_Array | None, _Array | None]]

def cells() -> list[dict[str, Any]]: ...
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
def forward_at_f32(
    cell: int,
    x: int,
    batch_size: int,
    steps: int,
    inputs: int,
    hidden: int,
    by_step: bool,
    directions: Sequence[tuple[int, ...]],
    outputs: tuple[int, ...],
    threads: int,
    /,
) -> None: ...

forward_at_f64 = forward_at_f32

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

class _StreamNetwork:
    def __init__(self, width: int, table: _Array | None) -> None: ...
    def add_matrix(self, w: _Array, bias: _Array | None, activation: int) -> None: ...
    def add_layer(
        self, cell: int, H: int, directions: Sequence[tuple[object, ...]], merge: int, lookahead: int
    ) -> None: ...
    def add_pool(self, modes: Sequence[int]) -> None: ...
    @property
    def out(self) -> int: ...
    @property
    def lookahead(self) -> int: ...
    @property
    def pooled(self) -> bool: ...

class StreamNetwork32(_StreamNetwork): ...
class StreamNetwork64(_StreamNetwork): ...

class _Streams:
    def __init__(self, network: _StreamNetwork, capacity: int) -> None: ...
    def step(self, slot: int, x: object, out: object, threads: int) -> int: ...
    def step_token(self, slot: int, token: int, out: object, threads: int) -> int: ...
    def run(
        self,
        slots: _Array,
        offsets: _Array,
        x: _Array | None,
        ids: _Array | None,
        ending: bool,
        out: _Array,
        threads: int,
    ) -> int: ...
    def rows_after(self, slot: int, steps: int, ending: bool) -> int: ...
    def steps(self, slot: int) -> int: ...
    def clear(self, slot: int) -> int: ...
    def copy(self, source: int, target: int) -> int: ...
    def read(self, slot: int, to: _Array) -> int: ...
    def write(self, slot: int, numbers: _Array, steps: int) -> int: ...
    @property
    def numbers(self) -> int: ...

class Streams32(_Streams): ...
class Streams64(_Streams): ...

class _Sampler:
    def __init__(self, w: _Array, bias: _Array | None) -> None: ...
    def choose(self, x: _Array, temperature: float, top_k: int, top_p: float, u: float, threads: int) -> int: ...

class Sampler32(_Sampler): ...
class Sampler64(_Sampler): ...

def empty(size: int) -> _Array: ...
def softmax(x: _Array, y: _Array, threads: int) -> None: ...
