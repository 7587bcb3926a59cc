"""Derivatives that kernels have no rule for, through every module: torch's equations are the expected value."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap

import tidegate as tg
from tidegate import crf, nn
from tidegate.errors import InputError
from tidegate.nn import sooner
from tidegate.ragged import Ragged

C, H, B, T = 3, 4, 2, 5
LAYERS: dict[str, tuple[Any, Any]] = {
    "rnn": (nn.SimpleRNN, torch.nn.RNN),
    "lstm": (nn.LSTM, torch.nn.LSTM),
    "gru": (nn.GRU, torch.nn.GRU),
}
OFFSETS = torch.tensor([0, 2, 2, 5])
Loss = Callable[[Tensor], Tensor]
SCORER = nn.CRF(C).double()
for place, score in enumerate(SCORER.parameters()):
    torch.nn.init.normal_(score, generator=torch.Generator().manual_seed(place))


@pytest.fixture(autouse=True)
def from_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernels run short calls of accelerated layers, too."""
    monkeypatch.setattr(sooner, "_least_steps", lambda _: 0)
    monkeypatch.setattr(sooner, "LEAST_TOKENS", 0)


pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own forward mode


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def layer_losses(name: str, make: str, dtype: torch.dtype) -> tuple[Any, Loss, Loss]:
    """Make a layer of ours, and one loss through it and one through torch's in float64 without its fused paths."""
    ours, theirs = LAYERS[name]
    reference = theirs(C, H, 2, bidirectional=True, dtype=torch.float64)
    layer = (ours if make == "ours" else theirs)(C, H, 2, bidirectional=True, dtype=dtype)
    layer.load_state_dict(reference.state_dict())
    if make == "accelerated":
        assert tg.accelerate(layer).swapped
    weights = torch.randn(T, B, 2 * H, dtype=torch.float64)

    def loss(each: Any, x: Tensor) -> Tensor:
        return (each(x)[0] * weights.to(x.dtype)).square().sum()  # type: ignore[no-any-return]

    return layer, lambda x: loss(layer, x), lambda x: loss(reference, x)


def forward_mode(loss: Loss, x: Tensor) -> Tensor:
    """Differentiate along ones by dual numbers."""
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x.detach(), torch.ones_like(x))  # type: ignore[no-untyped-call]
        tangent: Tensor = forward_ad.unpack_dual(loss(dual)).tangent  # type: ignore[no-untyped-call]
    return tangent


def many_at_once(loss: Loss, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    grads = torch.tensor([1.0, -2.0], dtype=x.dtype)
    return torch.autograd.grad(loss(x), x, grads, is_grads_batched=True)[0]


def functional(name: str, **options: Any) -> Callable[[Loss, Tensor], Tensor]:
    return lambda loss, x: getattr(torch.autograd.functional, name)(loss, x.detach(), **options)


TRANSFORMS: dict[str, Callable[[Loss, Tensor], Tensor]] = {
    "jvp": lambda f, x: jvp(f, (x,), (torch.ones_like(x),))[1],
    "jacfwd": lambda f, x: jacfwd(f)(x),
    "jacrev": lambda f, x: jacrev(f)(x),
    "grad": lambda f, x: grad(f)(x),
    "vmap of grad": lambda f, x: vmap(grad(f))(torch.stack([x, 2 * x])),
    "vmap": lambda f, x: vmap(f)(torch.stack([x, 2 * x])),
    "hessian": lambda f, x: hessian(f)(x),
    "jacrev of jacrev": lambda f, x: jacrev(jacrev(f))(x),
    "dual numbers": forward_mode,
    "many gradients at once": many_at_once,
    "vectorised jacobian": functional("jacobian", vectorize=True),
    "second gradients": functional("hessian"),
    "vectorised hessian": functional("hessian", vectorize=True),
}


def reference_of(name: str, loss: Loss, x: Tensor) -> Tensor:
    """Ask the reference without `vmap`, which torch's layers do not take."""
    rows = torch.stack([x, 2 * x])
    if name == "vmap":
        return torch.stack([loss(row) for row in rows])
    if name == "vmap of grad":
        return torch.stack([grad(loss)(row) for row in rows])
    if name == "vectorised hessian":
        return TRANSFORMS["second gradients"](loss, x)
    return TRANSFORMS[name](loss, x)


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("make", ["ours", "accelerated"])
@pytest.mark.parametrize("name", LAYERS)
def test_every_transform_of_a_layer_gives_what_torchs_equations_give(name: str, make: str, transform: str) -> None:
    x = torch.randn(T, B, C, dtype=torch.float64)
    _, _, theirs = layer_losses(name, make, torch.float64)
    wanted = None
    for dtype in (torch.float64, torch.float32):
        torch.manual_seed(0)
        x = torch.randn(T, B, C, dtype=torch.float64)
        _, ours, theirs = layer_losses(name, make, dtype)
        wanted = reference_of(transform, theirs, x)
        found = TRANSFORMS[transform](ours, x.to(dtype))
        assert wanted.abs().max() > 1e-3
        tolerance = {"rtol": 1e-3, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 1e-9, "atol": 1e-10}
        torch.testing.assert_close(found.double(), wanted, **tolerance)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", ["ours", "accelerated"])
@pytest.mark.parametrize("name", LAYERS)
def test_weights_have_derivatives_in_every_mode_too(name: str, make: str) -> None:
    layer, _, _ = layer_losses(name, make, torch.float64)
    twin = copy.deepcopy(layer).requires_grad_(False)  # frozen: forward mode must not need them to train
    x = torch.randn(T, B, C, dtype=torch.float64)
    weights = {name: weight.detach() for name, weight in layer.named_parameters()}

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(twin, weights, (x,))[0].square().sum()  # type: ignore[no-any-return]

    layer(x)[0].square().sum().backward()
    for transform in (jacfwd, jacrev, grad):
        found = transform(loss)(weights, x)
        for key, parameter in layer.named_parameters():
            torch.testing.assert_close(found[key], parameter.grad)
    each = vmap(grad(loss), in_dims=(None, 1))(weights, x[:, :, None])
    for key, parameter in layer.named_parameters():
        torch.testing.assert_close(each[key].sum(0), parameter.grad)


def test_an_explicit_choice_of_the_kernel_holds_or_raises() -> None:
    layer = nn.GRU(C, H, kernel="tidegate")
    with pytest.raises(InputError, match=r"no rule for torch\.func and forward-mode derivatives.*kernel='auto'"):
        grad(lambda x: layer(x)[0].sum())(torch.randn(T, B, C))


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_ragged_batches_states_tables_and_masks_go_along(transform: str) -> None:
    """The kernels' own first gradients, checked against the reference elsewhere, are differenced here."""
    layer = nn.LSTM(C, H, bidirectional=True, merge="sum", recurrent_dropout=0.3, dtype=torch.float64)
    ids, table = Ragged(torch.tensor([0, 2, 1, 1, 0]), OFFSETS), torch.randn(3, C, dtype=torch.float64)
    mask = (torch.rand(2, 3, H) > 0.3).double() / 0.7
    object.__setattr__(layer, "_draw_mask", lambda _: mask)
    plain = copy.copy(layer)
    plain.kernel = "tidegate"

    def loss(state: Tensor) -> Tensor:
        output, (hn, cn) = layer(ids, (state, 0.3 * state), table=table * state.mean())
        return output.values.square().sum() + (hn * cn).sum()  # type: ignore[no-any-return]

    state = torch.randn(2, 3, H, dtype=torch.float64)
    step = 1e-6
    if transform in ("jvp", "dual numbers"):
        wanted = (loss(state + step) - loss(state - step)) / (2 * step)
        torch.testing.assert_close(TRANSFORMS[transform](loss, state), wanted, rtol=1e-6, atol=1e-6)
    else:
        state.requires_grad_()
        (first,) = torch.autograd.grad(loss(state), state)
        found = TRANSFORMS[transform](loss, state.detach())
        if transform in ("jacfwd", "jacrev", "grad", "vectorised jacobian"):
            torch.testing.assert_close(found, first)
        elif transform == "many gradients at once":
            torch.testing.assert_close(found, torch.stack([first, -2 * first]))
        elif transform.startswith("vmap"):
            torch.testing.assert_close(found[0], first if "grad" in transform else loss(state).detach())
        else:
            along = torch.randn_like(state)
            ends = [torch.autograd.grad(loss(s), s)[0] for s in (state + step * along, state - step * along)]
            product = torch.einsum("abcdef,def->abc", found, along)
            torch.testing.assert_close(product, (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-6)


def pool_loss(rows: Tensor) -> Tensor:
    return nn.Pool(["max", "mean", "first", "last"])(Ragged(rows, OFFSETS)).pow(3).sum()  # type: ignore[no-any-return]


def crf_loss(rows: Tensor) -> Tensor:
    return SCORER(Ragged(rows, OFFSETS), torch.tensor([0, 2, 1, 1, 0])).square().sum()  # type: ignore[no-any-return]


def entropy_loss(rows: Tensor) -> Tensor:
    weight = torch.linspace(-1, 2, 4 * C, dtype=rows.dtype).reshape(4, C) * rows.mean()
    return nn.linear_cross_entropy(rows, weight, rows.new_ones(4), torch.tensor([0, 3, 1, 1, 2])).square()


@pytest.mark.parametrize("loss", [pool_loss, crf_loss, entropy_loss])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_the_other_modules_have_every_derivative(loss: Loss, transform: str) -> None:
    rows = torch.randn(5, C, dtype=torch.float64)
    step, along = 1e-5, torch.randn(5, C, dtype=torch.float64)
    near = [(rows + sign * step * along).requires_grad_() for sign in (1, -1)]
    slope = (loss(near[0]) - loss(near[1])).detach() / (2 * step)
    ends = [torch.autograd.grad(loss(each), each)[0] for each in near]
    bend = (ends[0] - ends[1]) / (2 * step)
    found = TRANSFORMS[transform](loss, rows)
    if transform in ("jvp", "dual numbers"):
        ones = torch.ones_like(rows)
        wanted = (loss(rows + step * ones) - loss(rows - step * ones)) / (2 * step)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    elif transform == "vmap":
        torch.testing.assert_close(found, torch.stack([loss(rows), loss(2 * rows)]))
    elif found.dim() == 4:
        torch.testing.assert_close(torch.einsum("abcd,cd->ab", found, along), bend, rtol=1e-4, atol=1e-5)
    else:
        first = found if found.dim() == 2 else found[0]
        torch.testing.assert_close((first * along).sum(), slope, rtol=1e-5, atol=1e-6)


def test_the_sum_over_paths_by_torchs_operators_is_that_of_the_kernel() -> None:
    emissions, edges, ends = torch.randn(5, C), torch.randn(C, C), torch.randn(2, C)
    scores = crf.Scores(*(each.numpy() for each in (emissions, OFFSETS, edges, ends[0], ends[1])))
    (found,) = nn.crf._equations(emissions, OFFSETS, edges, ends[0], ends[1])
    torch.testing.assert_close(found.double(), torch.from_numpy(crf.forward(scores).log_partition))


@pytest.mark.parametrize("layer_type", [nn.SimpleRNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("half_input", [False, True])
def test_under_autocast_a_layer_computes_in_its_own_type(layer_type: Any, half_input: bool) -> None:
    layer, x = layer_type(C, H), torch.randn(T, B, C)
    x = x.bfloat16() if half_input else x
    expected = layer(x.float())[0]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x)[0], expected)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor", "ignore::DeprecationWarning")  # the compiler's
@pytest.mark.parametrize("layer_type", [nn.SimpleRNN, nn.LSTM, nn.GRU])
def test_compiled_transforms_are_right_too(layer_type: Any) -> None:
    layer, x = layer_type(C, H), torch.randn(T, B, C)
    f: Any = lambda x: layer(x)[0].square().sum()  # noqa: E731
    for run in (grad(f), lambda x: jvp(f, (x,), (torch.ones_like(x),))[1]):
        torch._dynamo.reset()
        torch.testing.assert_close(torch.compile(run, backend="aot_eager")(x), run(x))  # type: ignore[no-untyped-call]
