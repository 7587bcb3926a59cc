"""What Tidegate and PyTorch share in training: weights into a layer, and the step around a model, which is the same."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from benchmarks.engines import Contest, clock, nothing
from benchmarks.work import LEARNING_RATE, LONGEST_GRADIENT, Array, Job, labels, suffixes


def fill(layer: torch.nn.Module, arrays: dict[str, Array], job: Job) -> None:
    """Copy the weights in. LSTM and SimpleRNN train one bias of the two, as Keras has but one."""
    with torch.no_grad():
        for suffix in suffixes(job):
            for name in ("w_ih", "w_hh", "b_ih", "b_hh"):
                parameter = layer.get_parameter(f"{name.replace('w_', 'weight_').replace('b_', 'bias_')}_l0{suffix}")
                parameter.copy_(torch.from_numpy(arrays[name + suffix]))
                parameter.requires_grad_(name != "b_hh" or job.cell == "gru")


def ends(arrays: dict[str, Array]) -> tuple[torch.nn.Embedding, torch.nn.Linear]:
    """Make the table before a layer and the classifier after it."""
    table = torch.nn.Embedding(*arrays["table"].shape)
    head = torch.nn.Linear(arrays["head"].shape[1], 2)
    with torch.no_grad():
        table.weight.copy_(torch.from_numpy(arrays["table"]))
        head.weight.copy_(torch.from_numpy(arrays["head"]))
        head.bias.copy_(torch.from_numpy(arrays["head_bias"]))
    return table, head


def train(model: Any, batches: Sequence[Any], even: Any, notes: Callable[[], str] = nothing) -> Contest:
    """Race on training steps; what must be equal are the losses of three steps on the batch ``even``."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)
    wanted = torch.from_numpy(labels())

    def step(batch: Any) -> Tensor:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(batch), wanted)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(parameters, LONGEST_GRADIENT)
        optimiser.step()
        return loss.detach()

    return Contest(lambda: [step(even).item() for _ in range(3)], clock(lambda: [step(b) for b in batches]), notes)


def clock_layer(layer: Any, x: Tensor, call: Callable[[], Tensor], repeats: int) -> Contest:
    """Race on a layer alone, forward and backward apart; equal must be the sums of the output and of the gradients."""
    downstream = torch.linspace(-1.0, 1.0, layer.hidden_size)

    def once() -> tuple[float, float, Tensor]:
        layer.zero_grad()
        x.grad = None
        begin = time.perf_counter()
        output = call()
        middle = time.perf_counter()
        gradient = downstream.expand(output.shape).contiguous()
        resumed = time.perf_counter()
        torch.autograd.backward(output, gradient)
        return middle - begin, time.perf_counter() - resumed, output

    def check() -> list[float]:
        output = once()[2]
        assert x.grad is not None
        norms = [p.grad.norm().item() for p in layer.parameters() if p.grad is not None]
        return [output.norm().item(), x.grad.norm().item(), *norms]

    def run() -> dict[str, float]:
        times = [once()[:2] for _ in range(repeats)]
        return {"forward": sum(t[0] for t in times) / repeats, "backward": sum(t[1] for t in times) / repeats}

    return Contest(check, run)


def first_calls(contest: Callable[[Array], Contest], arrays: dict[str, Array]) -> Contest:
    """Train a layer for the first time in this process, then over shapes it has not seen, then over the same again."""
    batches = [arrays["x"][:steps, :count].copy() for steps, count in arrays["shapes"].tolist()]

    def total(batch: Array) -> float:
        return sum(cast(dict[str, float], contest(batch).run()).values())

    def run() -> dict[str, float]:
        first, again = total(batches[0]), min(total(batches[0]) for _ in range(5))
        new, known = (statistics.fmean(total(batch) for batch in batches[1:]) for _ in range(2))
        return {"first call": first, "the same again": again, "new shapes": new, "the same shapes again": known}

    return Contest(list, run)


def weigh(make: Callable[[], Contest]) -> Contest:
    """Tell by how many MiB the process grows at most while it makes a layer and takes two training steps."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")

    def kilobytes(what: str) -> int:
        line = next(line for line in status.read_text().splitlines() if line.startswith(what))
        return int(line.split()[1])

    def run() -> float:
        before = kilobytes("VmRSS")
        reset.write_text("5")  # forget the peak so far
        contest = make()
        contest.run()
        contest.run()
        return (kilobytes("VmHWM") - before) / 1024

    return Contest(list, run)
