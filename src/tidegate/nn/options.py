"""What a recurrent layer is built with, as one record, checked. Knows no tensors."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, fields
from functools import wraps
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar

from tidegate.errors import InputError, OptionError, WrongTypeError
from tidegate.nn.arguments import check_count, check_flag, check_share

F = TypeVar("F", bound=Callable[..., None])
Merge: TypeAlias = Literal["concat", "sum", "mul", "ave"] | None
Kernel: TypeAlias = Literal["auto", "tidegate", "torch"]

_MERGES = ("concat", "sum", "mul", "ave")
_NONLINEARITIES = ("tanh", "relu")
_KERNELS = ("auto", "tidegate", "torch")
_COUNTS = ("input_size", "hidden_size", "num_layers")
_FLAGS = ("bias", "batch_first", "bidirectional", "reverse", "recompute")
_SHARES = ("dropout", "recurrent_dropout", "weight_dropout")


class Extras(TypedDict, total=False):
    """The options of every layer of ours that torch's layers do not have; they are given by name."""

    merge: Merge
    recurrent_dropout: float
    weight_dropout: float
    reverse: bool
    recompute: bool
    kernel: Kernel


@dataclass(frozen=True)
class LayerOptions:
    """Hold the options of a recurrent layer, which becomes its attributes; `nn.LSTM` says what each means.

    Raises:
        InputError, OptionError: a size, probability or name that cannot be used, or options that exclude each other.

    >>> LayerOptions(3, 8, bidirectional=True, reverse=True)
    Traceback (most recent call last):
    tidegate.errors.InputError: reverse=True and bidirectional=True exclude each other: both directions run already.
    """

    input_size: int
    hidden_size: int
    _: KW_ONLY
    num_layers: int = 1
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    bias: bool = True
    batch_first: bool = False
    dropout: float = 0.0
    bidirectional: bool = False
    merge: Merge = "concat"
    recurrent_dropout: float = 0.0
    weight_dropout: float = 0.0
    forget_bias: float | None = None
    chrono: int | None = None
    reverse: bool = False
    recompute: bool = False
    kernel: Kernel = "auto"

    def __post_init__(self) -> None:
        for names, check in ((_SHARES, check_share), (_COUNTS, check_count), (_FLAGS, check_flag)):
            for name in names:
                check(name, getattr(self, name))
        for name in _SHARES:
            object.__setattr__(self, name, float(getattr(self, name)))
        if self.merge is not None and self.merge not in _MERGES:
            raise OptionError.unknown("merge", str(self.merge), _MERGES)
        if str(self.nonlinearity) not in _NONLINEARITIES:
            raise OptionError.unknown("nonlinearity", str(self.nonlinearity), _NONLINEARITIES)
        if self.kernel not in _KERNELS:
            raise OptionError.unknown("kernel", str(self.kernel), _KERNELS)
        if self.merge != "concat" and not self.bidirectional:
            raise InputError(f"merge={self.merge!r} needs two outputs. Pass bidirectional=True, or leave merge out.")
        if self.reverse and self.bidirectional:
            raise InputError("reverse=True and bidirectional=True exclude each other: both directions run already.")
        self._check_start()
        if self.dropout and self.num_layers == 1:
            warnings.warn(f"dropout={self.dropout} acts between layers, but num_layers is 1.", stacklevel=5)

    def _check_start(self) -> None:
        """Check what the biases are to start from."""
        start = self.forget_bias
        if start is not None and (isinstance(start, bool) or not isinstance(start, int | float)):
            raise WrongTypeError(f"forget_bias={start!r}, but a number was wanted. Pass a float, or leave it out.")
        if start is not None and self.chrono is not None:
            raise InputError("forget_bias and chrono both set the forget gate. Pass one of them.")
        for name in ("forget_bias", "chrono"):
            if getattr(self, name) is not None and not self.bias:
                raise InputError(f"{name} needs a bias to start. Pass bias=True, or leave {name} out.")
        check_chrono(self.chrono)


def check_chrono(longest: int | None) -> None:
    """Raise InputError where the longest memory that chrono initialisation is to prepare for is below 2 steps."""
    if longest is not None:
        check_count("chrono", longest)
    if longest is not None and longest < 2:
        raise InputError(f"chrono={longest}, but the longest memory in steps, at least 2, was wanted.")


def spelled_out(constructor: F) -> F:
    """Let a constructor that takes `Extras` show each of them where Python shows its arguments, and take no others."""
    own = inspect.signature(constructor)
    *given, _ = own.parameters.values()
    every = {field.name: field for field in fields(LayerOptions)}
    named = {argument.name for argument in given if argument.kind is inspect.Parameter.KEYWORD_ONLY}
    by_name = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for name, field in every.items()
        if name in named or name in Extras.__annotations__
    ]
    whole = own.replace(parameters=[argument for argument in given if argument.name not in named] + by_name)

    @wraps(constructor)
    def construct(self: Any, *args: Any, **options: Any) -> None:
        try:
            whole.bind(self, *args, **options)
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}.__init__() {error}") from None
        constructor(self, *args, **options)

    construct.__signature__ = whole  # type: ignore[attr-defined]
    return construct  # type: ignore[return-value]
