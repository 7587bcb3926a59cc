// LSTM: i, f, o = sigmoid(.), g = tanh(.), c' = f * c + i * g, h' = o * tanh(c')   (Hochreiter & Schmidhuber 1997,
// with the forget gate of Gers et al. 2000). memo = c'.
#pragma once

#include "cell.h"

namespace tidegate {
namespace {

template <class T>
struct LstmForward {
  static TIDEGATE_INLINE void run(ForwardTile<T>& tile) {
    using V = Vec<T>;
    const CellForward<T>& p = tile.p;
    const auto start = [&](Sums<T>& sums, Index at, auto lanes, Index row, Index unit) {
      for (Index gate = 0; gate < 4; ++gate) sums.set(at + gate, lanes.load(tile.x[row] + gate * p.H + unit));
    };
    const auto activate = [&](Sums<T>& sums, Index at, auto lanes, Index row, Index unit) {
      const V i = sigmoid(sums.get(at)), f = sigmoid(sums.get(at + 1));
      const V g = tanh(sums.get(at + 2)), o = sigmoid(sums.get(at + 3));
      T* const state = tile.c + row * tile.stride + unit;
      fma(f, V::load(state), i * g).store(state);
      sums.set(at, o);
      if (!p.gates) return;
      T* const gates = p.gates + tile.token[row] * 4 * p.H + unit;
      lanes.store(gates, i);
      lanes.store(gates + p.H, f);
      lanes.store(gates + 2 * p.H, g);
      lanes.store(gates + 3 * p.H, o);
    };
    const auto update = [&](const Sums<T>& sums, Index at, auto lanes, Index row, Index unit) {
      const V c = V::load(tile.c + row * tile.stride + unit);
      const Index token = tile.token[row];
      lanes.store(p.h + token * p.h_stride + unit, sums.get(at) * tanh(c));
      if (p.memo) lanes.store(p.memo + token * p.H + unit, c);
    };
    gated_step<T, 4>(tile, start, activate, update);
  }
};

template <class T>
struct LstmBackward {
  static TIDEGATE_INLINE void run(BackwardTile<T>& tile) {
    const CellBackward<T>& p = tile.p;
    const T* dgates[kTileRows];
    for_units<T>(tile.active, p.H, [&](auto lanes, Index r, Index unit) {
      using V = Vec<T>;
      const V one = V::set(T(1));
      const Index token = tile.token[r];
      const T* const gates = p.gates + token * 4 * p.H + unit;
      const V i = lanes.load(gates), f = lanes.load(gates + p.H);
      const V g = lanes.load(gates + 2 * p.H), o = lanes.load(gates + 3 * p.H);
      const V tanh_c = tanh(lanes.load(p.memo + token * p.H + unit));
      const V before = lanes.load(tile.c_before[r] + unit);
      T* const carried = tile.dc + r * tile.stride + unit;
      const V dh = lanes.load(p.dh + token * p.h_stride + unit) + V::load(tile.dh + r * tile.stride + unit);
      const V dc = fma(dh * o, fnma(tanh_c, tanh_c, one), V::load(carried));
      T* const out = p.dgates + token * 4 * p.H + unit;
      lanes.store(out, dc * g * (i * (one - i)));
      lanes.store(out + p.H, dc * before * (f * (one - f)));
      lanes.store(out + 2 * p.H, dc * i * fnma(g, g, one));
      lanes.store(out + 3 * p.H, dh * tanh_c * (o * (one - o)));
      (dc * f).store(carried);
    });
    for (Index r = 0; r < tile.active; ++r) dgates[r] = p.dgates + tile.token[r] * 4 * p.H;
    state_gradient<T, false>(tile, dgates, 4 * p.H, nullptr, 0);
  }
};

}  // namespace
}  // namespace tidegate
