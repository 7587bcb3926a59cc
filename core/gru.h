// GRU in torch's form, reset after the product: r, z = sigmoid(.), n = tanh(x_n + r * q) with q = w_n h + b_n,
// h' = (1 - z) * n + z * h   (Cho et al. 2014). memo = q.
#pragma once

#include "cell.h"

namespace tidegate {
namespace {

template <class T>
struct GruForward {
  static TIDEGATE_INLINE void run(ForwardTile<T>& tile) {
    using V = Vec<T>;
    const CellForward<T>& p = tile.p;
    const auto start = [&](Sums<T>& sums, Index at, auto lanes, Index row, Index unit) {
      sums.set(at, lanes.load(tile.x[row] + unit));
      sums.set(at + 1, lanes.load(tile.x[row] + p.H + unit));
      sums.set(at + 2, p.bias_n ? lanes.load(p.bias_n + unit) : V::set(T(0)));
    };
    const auto activate = [&](Sums<T>& sums, Index at, auto lanes, Index row, Index unit) {
      const V r = sigmoid(sums.get(at)), z = sigmoid(sums.get(at + 1)), q = sums.get(at + 2);
      const V n = fma(r, q, lanes.load(tile.x[row] + 2 * p.H + unit));
      sums.set(at + 1, z);
      sums.set(at + 2, n);
      if (p.memo) lanes.store(p.memo + tile.token[row] * p.H + unit, q);
      if (!p.gates) return;
      T* const gates = p.gates + tile.token[row] * 3 * p.H + unit;
      lanes.store(gates, r);
      lanes.store(gates + p.H, z);
    };
    const auto update = [&](const Sums<T>& sums, Index at, auto lanes, Index row, Index unit) {
      const V z = sums.get(at + 1), n = tanh(sums.get(at + 2));
      const Index token = tile.token[row];
      lanes.store(p.h + token * p.h_stride + unit, fma(z, lanes.load(tile.h[row] + unit) - n, n));
      if (p.gates) lanes.store(p.gates + token * 3 * p.H + 2 * p.H + unit, n);
    };
    gated_step<T, 3>(tile, start, activate, update);
  }
};

template <class T>
struct GruBackward {
  static TIDEGATE_INLINE void run(BackwardTile<T>& tile) {
    const CellBackward<T>& p = tile.p;
    const T* dgates[kTileRows];
    const T* dmemo[kTileRows];
    for_units<T>(tile.active, p.H, [&](auto lanes, Index row, Index unit) {
      using V = Vec<T>;
      const V one = V::set(T(1));
      const Index token = tile.token[row];
      const T* const gates = p.gates + token * 3 * p.H + unit;
      const V r = lanes.load(gates), z = lanes.load(gates + p.H), n = lanes.load(gates + 2 * p.H);
      const V q = lanes.load(p.memo + token * p.H + unit);
      const V before = lanes.load(tile.h_before[row] + unit);
      T* const carried = tile.dh + row * tile.stride + unit;
      const V dh = lanes.load(p.dh + token * p.h_stride + unit) + V::load(carried);
      const V dn = dh * (one - z) * fnma(n, n, one);
      T* const out = p.dgates + token * 3 * p.H + unit;
      lanes.store(out, dn * q * (r * (one - r)));
      lanes.store(out + p.H, dh * (before - n) * (z * (one - z)));
      lanes.store(out + 2 * p.H, dn);
      lanes.store(p.dmemo + token * p.H + unit, dn * r);
      (dh * z).store(carried);
    });
    for (Index r = 0; r < tile.active; ++r) {
      dgates[r] = p.dgates + tile.token[r] * 3 * p.H;
      dmemo[r] = p.dmemo + tile.token[r] * p.H;
    }
    state_gradient<T, true>(tile, dgates, 2 * p.H, dmemo, p.H);
  }
};

}  // namespace
}  // namespace tidegate
