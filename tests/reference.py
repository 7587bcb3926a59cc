"""The cells in float64 NumPy, written from their equations, one sequence and one step at a time.

The yardstick of every kernel test: imports nothing of Tidegate, prefers plainness to speed. Weights are in torch's
layout, gates in torch's order. Notation: ``x [T, C]``, ``h [T, H]``; a mask scales ``h`` of the step before where it
enters w_hh.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass
class Weights:
    w_ih: Array  # [G*H, C]
    w_hh: Array  # [G*H, H]
    b_ih: Array  # [G*H]
    b_hh: Array  # [G*H]


@dataclass
class Run:
    """One sequence run forward: everything that the steps computed, in the order of the tokens."""

    h: Array  # [T, H]
    memo: Array  # [T, H] lstm: c; gru: the recurrent part of the candidate
    gates: Array  # [T, G*H]
    hn: Array  # [H]
    cn: Array  # [H]
    steps: list[dict[str, Any]] = field(default_factory=list)  # in the order visited


@dataclass
class Gradients:
    x: Array
    h0: Array
    c0: Array
    weights: Weights
    h: Array  # [T, H] of the state that leaves each step, through all that follow
    c: Array  # [T, H] lstm


def sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def forward(
    cell: str, x: Array, w: Weights, h0: Array, c0: Array, mask: Array | None = None, reverse: bool = False
) -> Run:
    T, H = len(x), len(h0)
    G = len(w.b_ih) // H
    mask = np.ones(H) if mask is None else mask
    run = Run(np.zeros((T, H)), np.zeros((T, H)), np.zeros((T, G * H)), h0.copy(), c0.copy())
    for t in reversed(range(T)) if reverse else range(T):
        before, c_before = run.hn, run.cn
        entering = before * mask
        a = w.w_ih @ x[t] + w.b_ih
        r = w.w_hh @ entering + w.b_hh
        if cell == "lstm":
            i, f, g, o = np.split(a + r, 4)
            i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
            run.cn = f * c_before + i * g
            run.hn = o * np.tanh(run.cn)
            run.gates[t], run.memo[t] = np.concatenate([i, f, g, o]), run.cn
        elif cell == "gru":
            reset, z = (sigmoid(v) for v in np.split((a + r)[: 2 * H], 2))
            q = r[2 * H :]
            n = np.tanh(a[2 * H :] + reset * q)
            run.hn = (1 - z) * n + z * before
            run.gates[t], run.memo[t] = np.concatenate([reset, z, n]), q
        else:
            run.hn = np.tanh(a + r) if cell == "rnn_tanh" else np.maximum(a + r, 0)
        run.h[t] = run.hn
        run.steps.append({"t": t, "before": before, "c_before": c_before, "entering": entering, "mask": mask})
    return run


def backward(cell: str, x: Array, w: Weights, run: Run, dh: Array, dhn: Array, dcn: Array) -> Gradients:
    """Back-propagate through time: ``dh [T, H]`` of every output, ``dhn`` and ``dcn [H]`` of the final state."""
    H = len(dhn)
    d = Weights(*(np.zeros_like(v) for v in (w.w_ih, w.w_hh, w.b_ih, w.b_hh)))
    dx = np.zeros_like(x)
    h_steps, c_steps = np.zeros((len(x), H)), np.zeros((len(x), H))
    carried, dc = dhn.copy(), dcn.copy()
    for step in reversed(run.steps):
        t, before = step["t"], step["before"]
        total = carried + dh[t]
        h_steps[t] = total
        passed = np.zeros(H)  # the part of the state's gradient that goes around the product
        if cell == "lstm":
            i, f, g, o = np.split(run.gates[t], 4)
            tanh_c = np.tanh(run.memo[t])
            dc = dc + total * o * (1 - tanh_c**2)
            c_steps[t] = dc
            da = np.concatenate(
                [
                    dc * g * i * (1 - i),
                    dc * step["c_before"] * f * (1 - f),
                    dc * i * (1 - g**2),
                    total * tanh_c * o * (1 - o),
                ]
            )
            dr = da
            dc = dc * f
        elif cell == "gru":
            reset, z, n = np.split(run.gates[t], 3)
            dn = total * (1 - z) * (1 - n**2)
            d_reset = dn * run.memo[t] * reset * (1 - reset)
            dz = total * (before - n) * z * (1 - z)
            da = np.concatenate([d_reset, dz, dn])
            dr = np.concatenate([d_reset, dz, dn * reset])
            passed = total * z
        else:
            da = total * (1 - run.h[t] ** 2) if cell == "rnn_tanh" else total * (run.h[t] > 0)
            dr = da
        dx[t] = w.w_ih.T @ da
        carried = passed + (w.w_hh.T @ dr) * step["mask"]
        d.w_ih += np.outer(da, x[t])
        d.w_hh += np.outer(dr, step["entering"])
        d.b_ih += da
        d.b_hh += dr
    return Gradients(dx, carried, dc, d, h_steps, c_steps)


@dataclass
class GridWeights:
    w_ih: Array  # [5*H, C]
    w_x: Array  # [5*H, H] of the neighbour before along x
    w_y: Array  # [5*H, H] of the neighbour before along y
    bias: Array  # [5*H]


def grid_forward(cell: str, image: Array, w: GridWeights, across: bool, down: bool) -> dict[str, Array]:
    """Run a cell over an image [h, w, C] from one corner, cell by cell; `across` and `down` name the axes run against.

    Gates stand as i f_x f_y g o for `mdlstm`, i f l g o for `stable`; beyond the border all states are zero.
    """
    rows, columns, _ = image.shape
    H = w.w_x.shape[1]
    h, c, gates = np.zeros((rows, columns, H)), np.zeros((rows, columns, H)), np.zeros((rows, columns, 5, H))
    for y in reversed(range(rows)) if down else range(rows):
        for x in reversed(range(columns)) if across else range(columns):
            (h_x, c_x), (h_y, c_y) = grid_before(h, c, y, x, across, down)
            i, a, b, g, o = np.split(w.w_ih @ image[y, x] + w.w_x @ h_x + w.w_y @ h_y + w.bias, 5)
            i, a, b, g, o = sigmoid(i), sigmoid(a), sigmoid(b), np.tanh(g), sigmoid(o)
            before = a * c_x + b * c_y if cell == "mdlstm" else a * (b * c_x + (1 - b) * c_y)
            c[y, x] = before + i * g
            if cell == "mdlstm":
                c[y, x] = np.clip(c[y, x], -50, 50)
            h[y, x] = o * np.tanh(c[y, x])
            gates[y, x] = i, a, b, g, o
    return {"h": h, "c": c, "gates": gates}


def grid_before(
    h: Array, c: Array, y: int, x: int, across: bool, down: bool
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Return (h, c) of the neighbour before along x, and of that before along y."""
    rows, columns, H = h.shape
    beside, above = x + 1 if across else x - 1, y + 1 if down else y - 1
    nothing = np.zeros(H), np.zeros(H)
    along_x = (h[y, beside], c[y, beside]) if 0 <= beside < columns else nothing
    return along_x, (h[above, x], c[above, x]) if 0 <= above < rows else nothing


def grid_backward(
    cell: str, image: Array, w: GridWeights, run: dict[str, Array], dh: Array, across: bool, down: bool
) -> tuple[Array, GridWeights]:
    """Return the gradients of the image and of the weights, given that of every output, dh [h, w, H]."""
    rows, columns, _ = image.shape
    d = GridWeights(*(np.zeros_like(v) for v in (w.w_ih, w.w_x, w.w_y, w.bias)))
    dx, dh, dc = np.zeros_like(image), dh.copy(), np.zeros_like(run["c"])
    for y in range(rows) if down else reversed(range(rows)):
        for x in range(columns) if across else reversed(range(columns)):
            (h_x, c_x), (h_y, c_y) = grid_before(run["h"], run["c"], y, x, across, down)
            i, a, b, g, o = run["gates"][y, x]
            tanh_c = np.tanh(run["c"][y, x])
            dc_here = dc[y, x] + dh[y, x] * o * (1 - tanh_c**2)
            if cell == "mdlstm":
                dc_here = dc_here * (np.abs(run["c"][y, x]) < 50)
                da, db, to_x, to_y = dc_here * c_x, dc_here * c_y, dc_here * a, dc_here * b
            else:
                da, db = dc_here * (b * c_x + (1 - b) * c_y), dc_here * a * (c_x - c_y)
                to_x, to_y = dc_here * a * b, dc_here * a * (1 - b)
            before = [
                dc_here * g * i * (1 - i),
                da * a * (1 - a),
                db * b * (1 - b),
                dc_here * i * (1 - g**2),
                dh[y, x] * tanh_c * o * (1 - o),
            ]
            sums = np.concatenate(before)
            dx[y, x] = w.w_ih.T @ sums
            d.w_ih += np.outer(sums, image[y, x])
            d.w_x += np.outer(sums, h_x)
            d.w_y += np.outer(sums, h_y)
            d.bias += sums
            beside, above = x + 1 if across else x - 1, y + 1 if down else y - 1
            if 0 <= beside < columns:
                dh[y, beside] += w.w_x.T @ sums
                dc[y, beside] += to_x
            if 0 <= above < rows:
                dh[above, x] += w.w_y.T @ sums
                dc[above, x] += to_y
    return dx, d


def attend(q: Array, m: Array, score: str, w: dict[str, Array]) -> tuple[Array, Array]:
    """Return what queries `q [T, Q]` are given of memory `m [S, M]`, `[T, M]`, and their weights `[T, S]`."""
    weights = np.zeros((len(q), len(m)))
    for t in range(len(q)):
        scores = np.array([_score(q[t], m[s], score, w) for s in range(len(m))])
        powers = np.exp(scores - scores.max(initial=0.0))
        weights[t] = powers / powers.sum() if len(m) else powers
    return weights @ m, weights


def _score(q: Array, k: Array, score: str, w: dict[str, Array]) -> float:
    if score == "additive":
        return float(w["v"] @ np.tanh(w["weight_q"] @ q + w["weight_k"] @ k + w["bias"]))
    return float(q @ k) if score == "dot" else float(q @ (w["weight"] @ k))


def attend_backward(q: Array, m: Array, score: str, w: dict[str, Array], dy: Array) -> dict[str, Array]:
    """Return the gradients of `q`, `m` and what stands in `w`, given that of what the queries were given."""
    _, weights = attend(q, m, score, w)
    d = {"q": np.zeros_like(q), "m": weights.T @ dy} | {name: np.zeros_like(array) for name, array in w.items()}
    for t in range(len(q)):
        dp = m @ dy[t]  # [S]
        ds = weights[t] * (dp - weights[t] @ dp)
        for s in range(len(m)):
            if score == "additive":
                h = np.tanh(w["weight_q"] @ q[t] + w["weight_k"] @ m[s] + w["bias"])
                before = ds[s] * w["v"] * (1 - h * h)
                d["v"] += ds[s] * h
                d["bias"] += before
                d["weight_q"] += np.outer(before, q[t])
                d["weight_k"] += np.outer(before, m[s])
                d["q"][t] += w["weight_q"].T @ before
                d["m"][s] += w["weight_k"].T @ before
                continue
            matrix = w["weight"] if score == "general" else np.eye(len(q[t]))
            d["q"][t] += ds[s] * matrix @ m[s]
            d["m"][s] += ds[s] * matrix.T @ q[t]
            if score == "general":
                d["weight"] += ds[s] * np.outer(q[t], m[s])
    return d
