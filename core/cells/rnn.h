// SimpleRNN: h' = tanh(.) or relu(.) of the projected input + w_hh h   (Elman 1990). No gates, no memo.
#pragma once

#include "layer/tile.h"

namespace tidegate {
namespace {

template <class T, bool Relu>
struct RnnForward {
  static TIDEGATE_INLINE void run(ForwardTile<T>& tile) {
    const CellForward<T>& p = tile.p;
    Sums<T> sums;
    const auto block = [&](auto size, Index row, Index unit, Index width, const T* weights, auto lanes) {
      constexpr int R = decltype(size)::value;
      const Patch<T, R, decltype(lanes)> patch{tile, lanes, row, unit};
      for (Index w = 0; w < width; ++w) {
        patch.load(tile.x, w * kPanel<T>).each([&](int r, Vec<T> v) { sums.set(r * width + w, v); });
      }
      add_product(Index(R), width, tile.h_in + row, Index(0), weights, p.H, sums, weights);
      for (Index w = 0; w < width; ++w) {
        const auto x = Bundle<T, R>::make([&](int r) { return sums.get(r * width + w); });
        if constexpr (Relu) {
          patch.store(p.h + w * kPanel<T>, p.h_stride, relu(x));
        } else {
          patch.store(p.h + w * kPanel<T>, p.h_stride, tanh(x));
        }
      }
    };
    for_groups<T>(tile.units.first, tile.units.last, [&](Index column, Index width) {
      for_panel<T>(column, p.H, [&](auto lanes, Index lane) {
        for (Index row = 0; row < tile.active;) {
          const Index rows = tile_rows<T>(tile.active - row);
          const T* const weights = p.w_hh + column * p.H + lane;
          with_rows<T>(rows, [&](auto size) { block(size, row, column + lane, width, weights, lanes); });
          row += rows;
        }
      });
    });
  }
};

template <class T, bool Relu>
struct RnnBackward {
  template <bool Keep>
  static TIDEGATE_INLINE void gates(BackwardTile<T>& tile) {
    const CellBackward<T>& p = tile.p;
    for_units<T>(tile, [&](const auto& patch) {
      using V = typename std::decay_t<decltype(patch)>::Rows;
      const V h = patch.load(p.h, p.h_stride), zero = V::set(0);
      const V dh = patch.load(p.dh, p.h_stride) + patch.load_state(tile.dh);
      patch.store(p.dgates, p.H, Relu ? where_greater(h, zero, dh, zero) : dh * fnma(h, h, V::set(1)));
      if constexpr (Keep) patch.store(p.dh_steps, p.H, dh);
    });
  }
  static TIDEGATE_INLINE void state(BackwardTile<T>& tile) {
    const CellBackward<T>& p = tile.p;
    const T* dgates[kTileRows];
    for (Index r = 0; r < tile.active; ++r) dgates[r] = p.dgates + tile.token[r] * p.H;
    state_gradient<T, false>(tile, dgates, p.H, nullptr, 0);
  }
};

template <>
struct CellSteps<cell_named("rnn_tanh")> {
  template <class T>
  using Forward = RnnForward<T, false>;
  template <class T>
  using Backward = RnnBackward<T, false>;
};

template <>
struct CellSteps<cell_named("rnn_relu")> {
  template <class T>
  using Forward = RnnForward<T, true>;
  template <class T>
  using Backward = RnnBackward<T, true>;
};

}  // namespace
}  // namespace tidegate
