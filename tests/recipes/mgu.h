// Minimal gated unit, reset after the product: z = sigmoid(.), n = tanh(x_n + z * q) with q = w_n h + b_n,
// h' = (1 - z) * n + z * h   (Zhou et al. 2016, whose gate is 1 - z). memo = q.
#pragma once

#include "layer/tile.h"

namespace tidegate {
namespace {

template <class T>
struct MguForward {
  static TIDEGATE_INLINE void run(ForwardTile<T>& tile) {
    const CellForward<T>& p = tile.p;
    const auto start = [&](const auto& patch, int g) {
      using V = typename std::decay_t<decltype(patch)>::Rows;
      if (g == 0) return patch.load(tile.x);
      return V::make([&](int) { return p.bias_apart ? patch.lanes.load(p.bias_apart + patch.unit) : Vec<T>::set(0); });
    };
    const auto finish = [&](const auto& patch, const Sums<T>& sums) {
      const auto q = gate<T, 2>(sums, patch, 1);
      const auto z = sigmoid(gate<T, 2>(sums, patch, 0));
      const auto n = tanh(fma(z, q, patch.load(tile.x, p.H)));
      if (p.gates) {
        patch.store(p.gates, 2 * p.H, z);
        patch.store(p.gates + p.H, 2 * p.H, n);
      }
      if (p.memo) patch.store(p.memo, p.H, q);
      patch.store(p.h, p.h_stride, fma(z, patch.load(tile.h) - n, n));
    };
    gated_step<T, 2>(tile, start, finish);
  }
};

template <class T>
struct MguBackward {
  template <bool Keep>
  static TIDEGATE_INLINE void gates(BackwardTile<T>& tile) {
    const CellBackward<T>& p = tile.p;
    const Index H = p.H, GH = 2 * H;
    for_units<T>(tile, [&](const auto& patch) {
      using V = typename std::decay_t<decltype(patch)>::Rows;
      const V one = V::set(1);
      const V z = patch.load(p.gates, GH), n = patch.load(p.gates + H, GH);
      const V dh = patch.load(p.dh, p.h_stride) + patch.load_state(tile.dh);
      const V dn = dh * (one - z) * fnma(n, n, one);
      const V dz = fma(dn, patch.load(p.memo, H), dh * (patch.load(tile.h_before) - n));
      patch.store(p.dgates, GH, dz * (z * (one - z)));
      patch.store(p.dgates + H, GH, dn);
      patch.store(p.dmemo, H, dn * z);
      patch.store_state(tile.dh, dh * z);
      if constexpr (Keep) patch.store(p.dh_steps, H, dh);
    });
  }
  static TIDEGATE_INLINE void state(BackwardTile<T>& tile) {
    const CellBackward<T>& p = tile.p;
    const Index H = p.H;
    const T* dgates[kTileRows];
    const T* dmemo[kTileRows];
    for (Index r = 0; r < tile.active; ++r) {
      dgates[r] = p.dgates + tile.token[r] * 2 * H;
      dmemo[r] = p.dmemo + tile.token[r] * H;
    }
    state_gradient<T, true>(tile, dgates, H, dmemo, H);
  }
};

template <>
struct CellSteps<cell_named("mgu")> {
  template <class T>
  using Forward = MguForward<T>;
  template <class T>
  using Backward = MguBackward<T>;
};

}  // namespace
}  // namespace tidegate
