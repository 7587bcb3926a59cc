"""When torch asks for more than a kernel has a rule for: derivatives forward, of derivatives, or of many at once.

A kernel gives numbers and first gradients. For the rest there are its equations in torch's own operators, which this
file calls in its place. Knows no equations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd import forward_ad

Function: TypeAlias = Callable[..., Any]

_PLAIN = (Tensor, torch.nn.Parameter)


@dataclass(frozen=True)
class Kernel:
    """Hold a kernel with what stands in for it.

    run: from the inputs, and whether a gradient will be asked, to a tuple of outputs; without a gradient itself.
    backward: from the inputs, the outputs and a gradient, or None, of each output to that of each input.
    equations: what ``run`` computes, in torch's operators.
    differentiable: how many of the outputs, from the first, have a gradient.
    """

    run: Function
    backward: Function
    equations: Function
    differentiable: int = 1


def call(kernel: Kernel, *inputs: Any) -> tuple[Any, ...]:
    """Run a kernel, or its equations where a transform is at work, so that every derivative is right."""
    if at_work():
        outputs: tuple[Any, ...] = kernel.equations(*inputs)
    elif torch.is_grad_enabled() and any(isinstance(value, Tensor) and value.requires_grad for value in inputs):
        outputs = _Differentiable.apply(kernel, *inputs)  # type: ignore[no-untyped-call]
    else:
        outputs = kernel.run(inputs, False)
    return outputs


def at_work() -> bool:
    """Tell whether a transform surrounds this call; compiled code asks in the operators, as torch cannot read this."""
    return not torch.compiler.is_compiling() and why_no_rule() is not None


def why_no_rule() -> str | None:
    """Say what surrounds this call that has no rule for the kernels, or None."""
    if torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        return "as Tidegate's kernels have no rule for torch.func and forward-mode derivatives"
    return None


def beyond_kernels(grads: Sequence[Tensor | None]) -> bool:
    """Tell whether a backward call must be differentiable itself, or takes many gradients at once."""
    if torch.is_grad_enabled() or torch._C._are_functorch_transforms_active():
        return True
    return any(grad is not None and torch._C._functorch.is_legacy_batchedtensor(grad) for grad in grads)


def gradients(function: Function, inputs: Sequence[Any], grads: Sequence[Tensor | None], needed: Sequence[bool]) -> Any:
    """Compute gradients of ``function(*inputs)`` by torch's own operators, differentiable where that is wanted.

    Args:
        function: from the inputs to its outputs.
        inputs: tensors and whatever else it takes; a tensor may stand among them twice.
        grads: that of each output, None for zeros; further outputs have none.
        needed: for each input, whether its gradient is.

    Returns:
        A gradient for each input, None where none is needed.
    """
    with torch.enable_grad():
        entered = [value.view_as(value) if need else value for value, need in zip(inputs, needed, strict=True)]
        outputs = function(*entered)
    pairs = [(output, grad) for output, grad in zip(outputs, grads, strict=False) if grad is not None]
    pairs = [(output, grad) for output, grad in pairs if output.requires_grad]
    wanted = [value for value, need in zip(entered, needed, strict=True) if need]
    if not pairs:
        return [None] * len(inputs)
    found = iter(
        torch.autograd.grad(
            [output for output, _ in pairs],
            wanted,
            [grad for _, grad in pairs],
            create_graph=torch.is_grad_enabled(),
            allow_unused=True,
        )
    )
    return [next(found) if need else None for need in needed]


def plain(*values: Any) -> bool:
    """Tell whether these are nothing but numbers in memory, and nobody records or interprets what is done with them."""
    if torch.compiler.is_compiling() or torch._C._is_tracing() or torch._C._len_torch_dispatch_stack():
        return False
    for value in values:
        if value is not None and not (type(value) in _PLAIN and value.is_cpu and not value.is_neg()):
            return False
    return True


class _Differentiable(torch.autograd.Function):
    """Tie a kernel to its backward call, and both to the equations."""

    @staticmethod
    def forward(ctx: Any, kernel: Kernel, *inputs: Any) -> Any:
        outputs = kernel.run(inputs, True)
        ctx.kernel = kernel
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*outputs[kernel.differentiable :])
        ctx.others = [None if isinstance(value, Tensor) else value for value in inputs]
        ctx.is_tensor = [isinstance(value, Tensor) for value in inputs]
        ctx.save_for_backward(*(value for value in inputs if isinstance(value, Tensor)), *outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        saved = iter(ctx.saved_tensors)
        inputs = [next(saved) if here else other for here, other in zip(ctx.is_tensor, ctx.others, strict=True)]
        needed = ctx.needs_input_grad[1:]
        grads = grads[: ctx.kernel.differentiable]
        if all(grad is None for grad in grads):
            return (None,) * (1 + len(inputs))
        if beyond_kernels(grads):
            return (None, *gradients(ctx.kernel.equations, inputs, grads, needed))
        found = ctx.kernel.backward(inputs, list(saved), grads)
        return (None, *(grad if need else None for grad, need in zip(found, needed, strict=True)))
