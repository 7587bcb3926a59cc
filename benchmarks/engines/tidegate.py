"""Tidegate as its own training loop and its runtime use it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from benchmarks import work
from benchmarks.engines import Contest, clock, clock_each, last_of, torch_training
from benchmarks.work import Array, Job
from tidegate import inspect, kernels, nn, train
from tidegate.engine import CrossEntropy, Program
from tidegate.network import Dense, Embed, Network, Pool, Recurrent
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, StreamPool

RECIPE = train.Recipe(
    epochs=1,
    batch_size=work.BATCH,
    learning_rate=work.LEARNING_RATE,
    optimizer="adam",
    max_grad_norm=work.LONGEST_GRADIENT,
)
LAYERS = {"rnn": nn.SimpleRNN, "lstm": nn.LSTM, "gru": nn.GRU}
CELLS: dict[str, Any] = {"rnn": "rnn_tanh", "lstm": "lstm", "gru": "gru"}


def make_layer(job: Job, arrays: dict[str, Array]) -> Any:
    layer: Any = LAYERS[job.cell](job.inputs, job.hidden, bidirectional=job.directions == 2)
    torch_training.fill(layer, arrays, job)
    return layer


def use_threads(job: Job) -> None:
    """Give the cores to the kernels, as ``train.fit`` does."""
    kernels.set_num_threads(job.threads)
    torch.set_num_threads(1)


def training_step(job: Job) -> Contest:
    """Race on training steps; what must be equal are the losses of three steps on batches of like lengths."""
    kernels.set_num_threads(1 if job.mode == "one thread" else job.threads)
    arrays = job.load()
    tokens = work.sequences(arrays)
    state = train.start(*network_of(job, arrays), RECIPE)
    batches = [Ragged.from_list(batch) for batch in work.cut(tokens, buckets=False)]
    even, loss = Ragged.from_list(work.equal_lengths(tokens)), mean_loss(work.labels())

    def step(batch: Ragged) -> float:
        lost = state.program.gradient(batch, loss)
        for suffix in work.suffixes(job) if job.cell != "gru" else ():
            state.program.gradients[f"1.bias_hh_l0{suffix}"][:] = 0  # one bias of the two learns, as Keras has but one
        length = math.hypot(*state.optimiser.lengths().values())
        state.optimiser.apply(work.LEARNING_RATE, scale=min(1.0, work.LONGEST_GRADIENT / (length + 1e-6)))
        return lost.total

    return Contest(lambda: [step(even) for _ in range(3)], clock(lambda: list(map(step, batches))), kernels.active_isa)


def mean_loss(labels: Array) -> CrossEntropy:
    return CrossEntropy(labels, np.full(len(labels), 1 / len(labels)))


def layer(job: Job) -> Contest:
    use_threads(job)
    arrays = job.load()
    return clock_ragged(make_layer(job, arrays), arrays["x"], int(arrays["repeats"]))


def clock_ragged(model: Any, x: Array, repeats: int) -> Contest:
    """Race on a layer over ``x [T, B, C]``, given as the batch without padding that it is."""
    T, B, C = x.shape
    values = torch.from_numpy(x.transpose(1, 0, 2).reshape(B * T, C).copy()).requires_grad_()
    batch = Ragged(values, torch.arange(B + 1) * T)
    return torch_training.clock_layer(model, values, lambda: cast(Tensor, model(batch)[0].values), repeats)


def odd_sizes(job: Job) -> Contest:
    """Race on layers whose sizes are ``arrays["sizes"]``, one after the other; each is a part."""
    use_threads(job)
    arrays = job.load()
    contests = {}
    for size in arrays["sizes"].tolist():
        model = nn.LSTM(size, size)
        contests[str(size)] = clock_ragged(model, arrays["x"][:, :, :size], int(arrays["repeats"]))

    def run() -> dict[str, float]:
        return {size: sum(cast(dict[str, float], contest.run()).values()) for size, contest in contests.items()}

    return Contest(list, run)


def memory(job: Job) -> Contest:
    """Weigh a training step over rows of features: layer, maximum over time, linear, cross-entropy, no optimiser."""
    kernels.set_num_threads(job.threads)

    def make() -> Contest:
        arrays = job.load()
        network, weights = network_of(job, arrays)
        nodes = network.nodes[1:]
        named = {f"{int(name[0]) - 1}{name[1:]}": array for name, array in weights.items() if name[0] != "0"}
        steps, count, inputs = arrays["x"].shape
        rows = np.ascontiguousarray(arrays["x"].transpose(1, 0, 2)).reshape(-1, inputs)
        program, batch = Program(Network.of(*nodes), named), Ragged(rows, np.arange(count + 1) * steps)
        loss = mean_loss(np.arange(count) % 2)
        return Contest(lambda: [program.gradient(batch, loss).total], clock(lambda: program.gradient(batch, loss)))

    return torch_training.weigh(make)


def memory_of_layer(job: Job) -> Contest:
    use_threads(job)
    return torch_training.weigh(lambda: layer(job))


def memory_recomputed(job: Job) -> Contest:
    use_threads(job)

    def make() -> Contest:
        arrays = job.load()
        model = make_layer(job, arrays)
        model.recompute = True
        return clock_ragged(model, arrays["x"], int(arrays["repeats"]))

    return torch_training.weigh(make)


def first_call(job: Job) -> Contest:
    use_threads(job)
    arrays = job.load()
    model = make_layer(job, arrays)
    return torch_training.first_calls(lambda x: clock_ragged(model, x, 1), arrays)


def scaling(job: Job) -> Contest:
    """Find gradients over ``arrays["shapes"]``, rows of steps and sequences; a part is its seconds per token."""
    arrays = job.load()
    program = Program(*network_of(job, arrays), num_threads=job.threads)

    def once(steps: int, count: int) -> float:
        ids = np.random.default_rng(0).integers(0, work.WORDS, steps * count)
        batch, loss = Ragged(ids, np.arange(count + 1) * steps), mean_loss(np.arange(count) % 2)
        begin = time.perf_counter()
        program.gradient(batch, loss)
        return (time.perf_counter() - begin) / (steps * count)

    def run() -> dict[str, float]:
        return {f"{steps} x {count}": once(steps, count) for steps, count in arrays["shapes"].tolist()}

    return Contest(list, run, kernels.active_isa)


def network_of(job: Job, arrays: dict[str, Array]) -> tuple[Network, dict[str, Array]]:
    network = Network.of(
        Embed(vocabulary_size=work.WORDS + 1, size=job.inputs),
        Recurrent(
            cell=CELLS[job.cell],
            input_size=job.inputs,
            hidden_size=job.hidden,
            bidirectional=job.directions == 2,
        ),
        Pool(modes=("max",)),
        Dense(in_features=job.hidden * job.directions, out_features=2),
    )
    weights = {"0.weight": arrays["table"], "3.weight": arrays["head"], "3.bias": arrays["head_bias"]}
    for suffix in work.suffixes(job):
        for short, name in (("w_", "weight_"), ("b_", "bias_")):
            weights |= {f"1.{name}{side}_l0{suffix}": arrays[short + side + suffix] for side in ("ih", "hh")}
    return network, weights


def executor(job: Job, arrays: dict[str, Array]) -> Executor:
    return Executor(*network_of(job, arrays), num_threads=job.threads)


def inference(job: Job) -> Contest:
    arrays = job.load()
    model, tokens = executor(job, arrays), work.sequences(arrays)
    batches = [Ragged.from_list(batch) for batch in work.cut(tokens, buckets=False)]
    even = Ragged.from_list(work.equal_lengths(tokens))
    return Contest(
        lambda: model(even).ravel().tolist(), clock(lambda: [model(batch) for batch in batches]), kernels.active_isa
    )


def look_inside(job: Job) -> Contest:
    arrays = job.load()
    model, tokens = executor(job, arrays), work.sequences(arrays)
    pair = (model.network, model.weights)
    batches = [Ragged.from_list(batch) for batch in work.cut(tokens, buckets=False)]

    def trace(batch: Ragged, **options: Any) -> Array:
        return inspect.trace(pair, batch, num_threads=job.threads, **options).output

    def check() -> list[float]:
        for batch in batches:
            if not trace(batch, target=0).tobytes() == trace(batch).tobytes() == model(batch).tobytes():
                raise RuntimeError("a trace gives other numbers than the network; nothing was timed.")
        return []

    ways = {
        "forward": clock(lambda: [model(batch) for batch in batches]),
        "trace": clock(lambda: [trace(batch) for batch in batches]),
        "trace with a target": clock(lambda: [trace(batch, target=0) for batch in batches]),
    }
    return Contest(check, lambda: {name: spent() for name, spent in ways.items()}, kernels.active_isa)


def stream_step(job: Job) -> Contest:
    arrays = job.load()
    steps = arrays["steps"]  # [T, B, C]
    network = Network.of(Recurrent(cell="lstm", input_size=job.inputs, hidden_size=job.hidden))
    names = {"w_ih": "weight_ih", "w_hh": "weight_hh", "b_ih": "bias_ih", "b_hh": "bias_hh"}
    weights = {f"0.{name}_l0": arrays[short] for short, name in names.items()}
    executor = Executor(network, weights, num_threads=job.threads)
    begin = one_stream(executor) if steps.shape[1] == 1 else all_streams(executor, steps.shape[1])
    return Contest(lambda: last_of(begin, steps).ravel().tolist(), clock_each(begin, steps), kernels.active_isa)


def one_stream(executor: Executor) -> Callable[[], Callable[[Array], Array]]:
    begun = executor.stream()
    return lambda: cast(Callable[[Array], Array], begun.fork().step)


def all_streams(executor: Executor, count: int) -> Callable[[], Callable[[Array], Array]]:
    pool, slots = StreamPool(executor, count), np.arange(count)

    def begin() -> Callable[[Array], Array]:
        for key in list(pool):
            pool.close(key)
        for key in range(count):
            pool.open(key)
        return lambda x: pool.step_slots(slots, x)

    return begin
