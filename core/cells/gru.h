// GRU in torch's form, reset after the product: r, z = sigmoid(.), n = tanh(x_n + r * q) with q = w_n h + b_n,
// h' = (1 - z) * n + z * h   (Cho et al. 2014). memo = q.
#pragma once

#include "layer/tile.h"

namespace tidegate {
namespace {

template <class T>
struct GruForward {
  static TIDEGATE_INLINE void run(ForwardTile<T>& tile) {
    const CellForward<T>& p = tile.p;
    const auto start = [&](const auto& patch, int g) {
      using V = typename std::decay_t<decltype(patch)>::Rows;
      if (g < 2) return patch.load(tile.x, g * p.H);
      return V::make([&](int) { return p.bias_apart ? patch.lanes.load(p.bias_apart + patch.unit) : Vec<T>::set(0); });
    };
    const auto finish = [&](const auto& patch, const Sums<T>& sums) {
      const auto keep = [&](int g, const auto& value) {
        if (p.gates) patch.store(p.gates + g * p.H, 3 * p.H, value);
      };
      const auto q = gate<T, 3>(sums, patch, 2), x = patch.load(tile.x, 2 * p.H);
      const auto r = sigmoid(gate<T, 3>(sums, patch, 0));
      const auto n = tanh(fma(r, q, x));
      const auto z = sigmoid(gate<T, 3>(sums, patch, 1));
      keep(0, r);
      keep(1, z);
      keep(2, n);
      if (p.memo) patch.store(p.memo, p.H, q);
      patch.store(p.h, p.h_stride, fma(z, patch.load(tile.h) - n, n));
    };
    gated_step<T, 3>(tile, start, finish);
  }
};

template <class T>
struct GruBackward {
  template <bool Keep>
  static TIDEGATE_INLINE void gates(BackwardTile<T>& tile) {
    const CellBackward<T>& p = tile.p;
    const Index H = p.H, GH = 3 * H;
    for_units<T>(tile, [&](const auto& patch) {
      using V = typename std::decay_t<decltype(patch)>::Rows;
      const V one = V::set(1);
      const V r = patch.load(p.gates, GH), z = patch.load(p.gates + H, GH), n = patch.load(p.gates + 2 * H, GH);
      const V dh = patch.load(p.dh, p.h_stride) + patch.load_state(tile.dh);
      const V dn = dh * (one - z) * fnma(n, n, one);
      patch.store(p.dgates, GH, dn * patch.load(p.memo, H) * (r * (one - r)));
      patch.store(p.dgates + H, GH, dh * (patch.load(tile.h_before) - n) * (z * (one - z)));
      patch.store(p.dgates + 2 * H, GH, dn);
      patch.store(p.dmemo, H, dn * r);
      patch.store_state(tile.dh, dh * z);
      if constexpr (Keep) patch.store(p.dh_steps, H, dh);
    });
  }
  static TIDEGATE_INLINE void state(BackwardTile<T>& tile) {
    const CellBackward<T>& p = tile.p;
    const Index H = p.H, GH = 3 * H;
    const T* dgates[kTileRows];
    const T* dmemo[kTileRows];
    for (Index r = 0; r < tile.active; ++r) {
      dgates[r] = p.dgates + tile.token[r] * GH;
      dmemo[r] = p.dmemo + tile.token[r] * H;
    }
    state_gradient<T, true>(tile, dgates, 2 * H, dmemo, H);
  }
};

template <>
struct CellSteps<cell_named("gru")> {
  template <class T>
  using Forward = GruForward<T>;
  template <class T>
  using Backward = GruBackward<T>;
};

}  // namespace
}  // namespace tidegate
