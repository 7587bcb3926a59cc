"""PyTorch in the modes that it offers for sequences of unlike lengths.

``padded`` to the longest of each batch as it comes; ``buckets``, the same over batches of like length; ``packed``;
``compiled``, buckets under ``torch.compile`` in its default mode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks import work
from benchmarks.engines import Contest, clock, clock_each, last_of, nothing, torch_training
from benchmarks.work import Array, Job

LAYERS: dict[str, Any] = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
Batch = tuple[Tensor, Tensor]  # ids [B, T], lengths [B]


class Model(torch.nn.Module):
    """Embedding, layer, maximum over time, linear."""

    def __init__(self, job: Job, arrays: dict[str, Array]) -> None:
        super().__init__()
        self.table, self.head = torch_training.ends(arrays)
        self.layer = make_layer(job, arrays, batch_first=True)
        self.packed = job.mode == "packed"

    def forward(self, batch: Batch) -> Tensor:
        ids, lengths = batch
        x = self.table(ids)
        if self.packed:
            x = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        output, _ = self.layer(x)
        if self.packed:
            output, _ = pad_packed_sequence(output, batch_first=True)
        over = torch.arange(output.shape[1])[None, :, None] >= lengths[:, None, None]
        return cast(Tensor, self.head(output.masked_fill(over, -torch.inf).amax(1)))


def make_layer(job: Job, arrays: dict[str, Array], *, batch_first: bool = False) -> Any:
    layer = LAYERS[job.cell](job.inputs, job.hidden, bidirectional=job.directions == 2, batch_first=batch_first)
    torch_training.fill(layer, arrays, job)
    return layer


def prepare(job: Job) -> dict[str, Array]:
    torch.set_num_threads(job.threads)
    torch.set_flush_denormal(True)  # Tidegate's kernels do
    return job.load()


def tensors(batch: list[Array]) -> Batch:
    ids, lengths = work.pad(batch)
    return torch.from_numpy(ids), torch.from_numpy(lengths)


def cut(job: Job, tokens: list[Array]) -> list[Batch]:
    return [tensors(batch) for batch in work.cut(tokens, buckets=job.mode in ("buckets", "compiled"))]


def compiled(model: torch.nn.Module) -> tuple[Any, Callable[[], str]]:
    """Compile a model; the note says what the compiler refused, if anything."""
    from torch._dynamo.utils import counters

    def notes() -> str:
        refused = sorted({reason.split("\n")[0] for reason in (*counters["unimplemented"], *counters["graph_break"])})
        return f"falls back to plain PyTorch: {'; '.join(refused)}" if refused else "compiled whole"

    return torch.compile(model), notes


def training_step(job: Job) -> Contest:
    arrays = prepare(job)
    tokens = work.sequences(arrays)
    model: Any = Model(job, arrays)
    notes = nothing
    if job.mode == "compiled":
        model, notes = compiled(model)
    return torch_training.train(model, cut(job, tokens), tensors(work.equal_lengths(tokens)), notes)


def layer(job: Job) -> Contest:
    arrays = prepare(job)
    return clock_padded(make_layer(job, arrays), arrays["x"], int(arrays["repeats"]))


def clock_padded(model: Any, x: Array, repeats: int) -> Contest:
    """Race on a layer over ``x [T, B, C]``."""
    values = torch.from_numpy(x).requires_grad_()
    return torch_training.clock_layer(model, values, lambda: cast(Tensor, model(values)[0]), repeats)


def memory(job: Job) -> Contest:
    """Weigh a training step over rows of features: layer, maximum over time, linear, cross-entropy, no optimiser."""

    def make() -> Contest:
        arrays = prepare(job)
        model, head = make_layer(job, arrays), torch_training.ends(arrays)[1]
        x = torch.from_numpy(arrays["x"])
        wanted = torch.arange(x.shape[1]) % 2

        def step() -> Tensor:
            model.zero_grad()
            loss = torch.nn.functional.cross_entropy(head(model(x)[0].amax(0)), wanted)
            torch.autograd.backward(loss)
            return loss.detach()

        return Contest(lambda: [step().item()], clock(step))

    return torch_training.weigh(make)


def memory_of_layer(job: Job) -> Contest:
    return torch_training.weigh(lambda: layer(job))


def first_call(job: Job) -> Contest:
    arrays = prepare(job)
    model = make_layer(job, arrays)
    return torch_training.first_calls(lambda x: clock_padded(model, x, 1), arrays)


def inference(job: Job) -> Contest:
    arrays = prepare(job)
    model, tokens = Model(job, arrays).eval(), work.sequences(arrays)
    batches, even = cut(job, tokens), tensors(work.equal_lengths(tokens))

    @torch.inference_mode()
    def run_all() -> None:
        for batch in batches:
            model(batch)

    @torch.inference_mode()
    def check() -> list[float]:
        return cast(list[float], model(even).ravel().tolist())

    return Contest(check, clock(run_all))


def stream_step(job: Job) -> Contest:
    """Race on single steps of ``LSTMCell``, or of ``LSTM`` in mode ``layer``."""
    arrays = prepare(job)
    steps = list(torch.from_numpy(arrays["steps"]))  # T times [B, C]
    whole = job.mode == "layer"
    model: Any = torch.nn.LSTM(job.inputs, job.hidden) if whole else torch.nn.LSTMCell(job.inputs, job.hidden)
    names = {"w_ih": "weight_ih", "w_hh": "weight_hh", "b_ih": "bias_ih", "b_hh": "bias_hh"}
    model.load_state_dict(
        {name + ("_l0" if whole else ""): torch.from_numpy(arrays[short]) for short, name in names.items()}
    )

    def begin() -> Callable[[Array], Array]:
        state: Any = (torch.zeros(steps[0].shape[0], job.hidden),) * 2
        if whole:
            state = tuple(part[None] for part in state)

        @torch.inference_mode()
        def step(x: Any) -> Any:
            nonlocal state
            state = model(x[None], state)[1] if whole else model(x, state)
            return state[0]

        return step

    return Contest(lambda: last_of(begin, steps).numpy().ravel().tolist(), clock_each(begin, steps))
