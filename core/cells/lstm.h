// LSTM: i, f, o = sigmoid(.), g = tanh(.), c' = f * c + i * g, h' = o * tanh(c')   (Hochreiter & Schmidhuber 1997,
// with the forget gate of Gers et al. 2000). memo = c'.
#pragma once

#include "layer/tile.h"

namespace tidegate {
namespace {

template <class T>
struct LstmForward {
  static TIDEGATE_INLINE void run(ForwardTile<T>& tile) {
    const CellForward<T>& p = tile.p;
    const auto start = [&](const auto& patch, int g) { return patch.load(tile.x, g * p.H); };
    const auto finish = [&](const auto& patch, const Sums<T>& sums) {
      const auto keep = [&](int g, const auto& value) {
        if (p.gates) patch.store(p.gates + g * p.H, 4 * p.H, value);
      };
      const auto i = sigmoid(gate<T, 4>(sums, patch, 0));
      keep(0, i);
      const auto g = tanh(gate<T, 4>(sums, patch, 2));
      keep(2, g);
      const auto f = sigmoid(gate<T, 4>(sums, patch, 1));
      keep(1, f);
      const auto c = fma(f, patch.load_state(tile.c), i * g);
      patch.store_state(tile.c, c);
      if (p.memo) patch.store(p.memo, p.H, c);
      const auto o = sigmoid(gate<T, 4>(sums, patch, 3));
      keep(3, o);
      patch.store(p.h, p.h_stride, o * tanh(c));
    };
    gated_step<T, 4>(tile, start, finish);
  }
};

template <class T>
struct LstmBackward {
  template <bool Keep>
  static TIDEGATE_INLINE void gates(BackwardTile<T>& tile) {
    const CellBackward<T>& p = tile.p;
    const Index H = p.H, GH = 4 * H;
    for_units<T>(tile, [&](const auto& patch) {
      using V = typename std::decay_t<decltype(patch)>::Rows;
      const V one = V::set(1);
      const V i = patch.load(p.gates, GH), f = patch.load(p.gates + H, GH);
      const V g = patch.load(p.gates + 2 * H, GH), o = patch.load(p.gates + 3 * H, GH);
      const V tanh_c = tanh(patch.load(p.memo, H));
      const V dh = patch.load(p.dh, p.h_stride) + patch.load_state(tile.dh);
      const V dc = fma(dh * o, fnma(tanh_c, tanh_c, one), patch.load_state(tile.dc));
      patch.store(p.dgates, GH, dc * g * (i * (one - i)));
      patch.store(p.dgates + H, GH, dc * patch.load(tile.c_before) * (f * (one - f)));
      patch.store(p.dgates + 2 * H, GH, dc * i * fnma(g, g, one));
      patch.store(p.dgates + 3 * H, GH, dh * tanh_c * (o * (one - o)));
      patch.store_state(tile.dc, dc * f);
      if constexpr (Keep) {
        patch.store(p.dh_steps, H, dh);
        patch.store(p.dc_steps, H, dc);
      }
    });
  }
  static TIDEGATE_INLINE void state(BackwardTile<T>& tile) {
    const Index GH = 4 * tile.p.H;
    const T* dgates[kTileRows];
    for (Index r = 0; r < tile.active; ++r) dgates[r] = tile.p.dgates + tile.token[r] * GH;
    state_gradient<T, false>(tile, dgates, GH, nullptr, 0);
  }
};

template <>
struct CellSteps<cell_named("lstm")> {
  template <class T>
  using Forward = LstmForward<T>;
  template <class T>
  using Backward = LstmBackward<T>;
};

}  // namespace
}  // namespace tidegate
