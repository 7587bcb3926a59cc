"""Run the recurrent layers of a finished torch model on Tidegate's kernels, and give them back.

A layer stays the object that it is: only its class changes, to one that inherits from torch's and walks another way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar, final

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from tidegate.cells import TORCH_CELLS
from tidegate.errors import InputError
from tidegate.nn import direct
from tidegate.nn.sooner import told, torch_is_sooner
from tidegate.nn.stack import Stack, hx_pair, hx_single
from tidegate.nn.subclass import accelerated_class, why_unsafe
from tidegate.nn.transforms import at_work, why_no_rule

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Acceleration:
    """Report what `accelerate` did.

    Attributes:
        swapped: names of the layers that run on Tidegate's kernels from now on; "" is the module itself.
        kept: names of the recurrent layers that stay as they were, each with the reason.
    """

    swapped: tuple[str, ...]
    kept: Mapping[str, str]

    def __str__(self) -> str:
        total = len(self.swapped) + len(self.kept)
        if not total:
            return "No recurrent layer was found."
        lines = [f"{len(self.swapped)} of {total} recurrent layers run on Tidegate's kernels from now on."]
        lines += [f"  swapped  {_shown(name)}" for name in self.swapped]
        lines += [f"  kept     {_shown(name)}: {reason}" for name, reason in self.kept.items()]
        return "\n".join(lines)


def accelerate(module: torch.nn.Module, *, exact: bool = False) -> Acceleration:
    """Let every `torch.nn.RNN`, `LSTM` and `GRU` in a module run on Tidegate's kernels.

    Each layer stays the same object with the same parameters, hooks and names, and remains an instance of its torch
    class. So optimisers, shared layers, tied weights, checkpoints and references from elsewhere go on working. Input
    and output keep torch's forms. Where the kernels cannot run when it is called (off the CPU, under autocast, in a
    trace), or torch's own code is sooner (a few shapes), a layer computes as torch's does; its ``explain()`` says so.

    Args:
        module: any torch module; it may be such a layer itself.
        exact: never hand a call to torch's own code because that is sooner there, so that a sequence alone gives the
            bits that it gives in any padded batch. Goes for layers that were accelerated before, too.

    Returns:
        Which layers were swapped, which were not, and why. A layer with several names is listed under the first.

    Raises:
        InputError: ``module`` is not a torch module.

    >>> model = torch.nn.ModuleDict({"read": torch.nn.LSTM(4, 8), "write": torch.nn.LSTM(8, 8, proj_size=2)})
    >>> print(accelerate(model))
    1 of 2 recurrent layers run on Tidegate's kernels from now on.
      swapped  read
      kept     write: it projects its state (proj_size=2)
    >>> restore(model)
    ('read',)
    """
    swapped, kept = [], {}
    for name, layer in _modules(module):
        if reason := _why_kept(layer):
            kept[name] = reason
        elif theirs := _torchs(type(layer)):
            ours = _OURS[theirs]
            layer.__class__ = ours if type(layer) is theirs else accelerated_class(type(layer), ours)
            swapped.append(name)
        if isinstance(layer, Accelerated):
            vars(layer).pop("exact", None)
            vars(layer).update({"exact": True} if exact else {})
    return Acceleration(tuple(swapped), MappingProxyType(kept))


def restore(module: torch.nn.Module) -> tuple[str, ...]:
    """Undo `accelerate`: every layer in a module that it swapped is torch's own again, with the same parameters.

    Returns:
        The names of those layers; none where nothing was swapped.

    Raises:
        InputError: ``module`` is not a torch module, or a swapped layer was parametrized since.
    """
    found = [(name, layer) for name, layer in _modules(module) if isinstance(layer, Accelerated)]
    for name, layer in found:
        if "theirs" not in vars(type(layer)):
            raise InputError(
                f"layer {_shown(name)} was accelerated and is now a {type(layer).__name__}. Undo that first, for "
                "instance with torch.nn.utils.parametrize.remove_parametrizations; nothing was changed."
            )
    for _, layer in found:
        layer.__class__ = type(layer).theirs
        vars(layer).pop("exact", None)
    return tuple(name for name, _ in found)


def _uncompiled(function: F) -> F:
    """Keep `torch.compile` out of a function and all it calls: it breaks its graph at torch's layers, and so at these.

    `torch.compiler.disable` says the same and takes a second of imports (torch 2.13).
    """
    frames = torch._C._dynamo.eval_frame
    skip = frames._FrameExecStrategy(frames._FrameAction.SKIP, frames._FrameAction.SKIP)
    frames.set_code_exec_strategy(function.__code__, skip)
    return function


class Accelerated(Stack):
    """Walk as our layers do, with the options that torch's layers have. Abstract: a subclass names torch's layer.

    It has no state of its own, for the layer must be torch's again after a mere change of class.
    """

    theirs: type
    mode: str  # torch's name of the cell
    merge = "concat"
    recurrent_dropout = 0.0
    reverse = False
    recompute = False
    exact = False  # the one thing that a layer holds, where it was asked for

    @property
    def cell(self) -> str:  # type: ignore[override]
        """Name the cell as the kernels do."""
        return TORCH_CELLS[self.mode]

    def _get_name(self) -> str:
        """Go by the name of torch's class, which programs store and look up again."""
        return type(self).__name__.removeprefix("Accelerated")

    def extra_repr(self) -> str:
        """Tell an accelerated layer from torch's own."""
        return f"{super().extra_repr()}, accelerated=True"  # type: ignore[misc]

    def explain(self) -> str:
        """Say in a sentence or two what runs this layer, and why."""
        weight, explained = self.weight_ih_l0, super().explain()
        if self.exact or self._why_torch(weight):
            return explained
        return f"{explained} {told(self.cell, self.hidden_size, weight.dtype)}".rstrip()

    def _is_torchs(self, batch: Any, hx: Any) -> bool:
        """Tell whether torch's own layer takes this call; under a transform its equations do, as torch's may refuse."""
        if torch._C._is_tracing():  # before any question about a shape
            return True
        if at_work():
            return False
        return (not self.exact and torch_is_sooner(self, batch, hx)) or self._why_torch(self.weight_ih_l0) is not None

    def _why_torch(self, weight: Tensor) -> str | None:
        if weight.device.type != "cpu":
            return "as Tidegate's kernels are for the CPU"
        if weight.dtype not in _DTYPES:
            return "as Tidegate's kernels take float32 or float64"
        if torch.is_autocast_enabled("cpu"):
            return "as autocast chooses the number types"
        if torch.compiler.is_exporting():
            return "as a trace or an export must hold torch's operators"
        return None if torch.compiler.is_compiling() else _why_no_rule()


@final
class AcceleratedRNN(Accelerated, torch.nn.RNN):
    """Run `torch.nn.RNN` on Tidegate's kernels. Made by `accelerate`."""

    theirs = torch.nn.RNN

    @_uncompiled
    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:  # noqa: A002
        """Take and return what `torch.nn.RNN` does."""
        if self._is_torchs(input, hx):
            return super().forward(input, hx)
        h0 = hx_single(hx, torch.nn.RNN.__name__)
        output, (hn,) = direct.run(self, input, h0) or self._run(input, h0, None, None)
        return output, hn


@final
class AcceleratedLSTM(Accelerated, torch.nn.LSTM):
    """Run `torch.nn.LSTM` on Tidegate's kernels. Made by `accelerate`."""

    theirs = torch.nn.LSTM

    @_uncompiled
    def forward(
        self,
        input: Any,  # noqa: A002
        hx: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Any, tuple[Tensor, Tensor]]:
        """Take and return what `torch.nn.LSTM` does."""
        if self._is_torchs(input, hx):
            return super().forward(input, hx)
        h0, c0 = hx_pair(hx)
        output, (hn, cn) = direct.run(self, input, h0, c0) or self._run(input, h0, c0, None)
        return output, (hn, cn)


@final
class AcceleratedGRU(Accelerated, torch.nn.GRU):
    """Run `torch.nn.GRU` on Tidegate's kernels. Made by `accelerate`."""

    theirs = torch.nn.GRU

    @_uncompiled
    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:  # noqa: A002
        """Take and return what `torch.nn.GRU` does."""
        if self._is_torchs(input, hx):
            return super().forward(input, hx)
        h0 = hx_single(hx, torch.nn.GRU.__name__)
        output, (hn,) = direct.run(self, input, h0) or self._run(input, h0, None, None)
        return output, hn


_OURS: dict[type, type] = {
    torch.nn.RNN: AcceleratedRNN,
    torch.nn.LSTM: AcceleratedLSTM,
    torch.nn.GRU: AcceleratedGRU,
}
_NAMES = {theirs.__name__ for theirs in _OURS}
_OPERATORS = [f"aten::{mode.lower()}" for mode in TORCH_CELLS]
_DTYPES = (torch.float32, torch.float64)


def _why_no_rule() -> str | None:
    """Say what surrounds this call that has no rule for the kernels; torch's compiler cannot read these questions."""
    if torch._C._is_tracing():
        return "as a trace or an export must hold torch's operators"
    return why_no_rule()


def _modules(module: torch.nn.Module) -> list[tuple[str, torch.nn.Module]]:
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"a {type(module).__name__} came where a torch.nn.Module was wanted.")
    return list(module.named_modules())


def _why_kept(layer: torch.nn.Module) -> str | None:
    """Say why a layer must stay as it is; None if it can be swapped, or has nothing to do with recurrence."""
    kind = type(layer)
    if isinstance(layer, torch.jit.ScriptModule):
        return _why_scripted(layer)
    if kind.__module__.startswith("torch.ao.nn.") and kind.__name__ in _NAMES:
        return "it is quantised"
    if isinstance(layer, torch.nn.RNNCellBase):
        return "it runs single steps, and the kernels whole sequences"
    if not isinstance(layer, torch.nn.RNNBase):
        return None
    if isinstance(layer, Accelerated):
        return "it is accelerated already"
    if parametrize.is_parametrized(layer):
        return "its weights are parametrized"
    theirs = _torchs(kind)
    if theirs is None:
        return f"it is a {kind.__name__}, which is none of torch's RNN, LSTM and GRU"
    if "forward" in vars(layer):
        return "its forward was replaced"
    return why_unsafe(layer, theirs, _OURS[theirs]) or _why_unfit(layer)


def _torchs(kind: type) -> type | None:
    """Find which of torch's layers a class is, or comes from."""
    return next((theirs for theirs in kind.__mro__ if theirs in _OURS), None)


def _why_scripted(module: torch.jit.ScriptModule) -> str | None:
    """Say that a compiled module holds a recurrence; a frozen one has lost its layers, and only its graph tells."""
    if module.original_name in _NAMES:
        return "it is a compiled ScriptModule"
    if any(child.original_name in _NAMES for child in module.modules() if isinstance(child, torch.jit.ScriptModule)):
        return None  # named by itself
    if any(module._modules.values()) or not hasattr(module, "inlined_graph"):
        return None
    inside = any(module.inlined_graph.findAllNodes(operator, True) for operator in _OPERATORS)  # type: ignore[attr-defined]
    return "it is a compiled ScriptModule, with the recurrence inside its graph" if inside else None


def _why_unfit(layer: torch.nn.RNNBase) -> str | None:
    """Say which option, device or number type of torch's layer the kernels do not have."""
    if layer.proj_size:
        return f"it projects its state (proj_size={layer.proj_size})"
    weights = [weight for group in layer.all_weights for weight in group]
    for weight in weights:
        if weight.device.type != "cpu":
            return f"it lies on {weight.device}, and the kernels are for the CPU"
        if weight.dtype not in _DTYPES or weight.dtype != weights[0].dtype:
            return f"its weights are {weight.dtype}, and the kernels take float32 or float64, the same for all"
    return None


def _shown(name: str) -> str:
    return name or "(the module itself)"
