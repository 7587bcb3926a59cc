// SimpleRNN: h' = tanh(.) or relu(.) of the projected input + w_hh h   (Elman 1990). No gates, no memo.
#pragma once

#include "cell.h"

namespace tidegate {
namespace {

template <class T, bool Relu>
struct RnnForward {
  static TIDEGATE_INLINE void run(ForwardTile<T>& tile) {
    const CellForward<T>& p = tile.p;
    Sums<T> sums;
    const auto block = [&](Index row, Index rows, Index unit, Index width, const T* weights, auto lanes) {
      for (Index r = 0; r < rows; ++r) {
        const T* const x = tile.x[row + r] + unit;
        for (Index w = 0; w < width; ++w) sums.set(r * width + w, lanes.load(x + w * kPanel<T>));
      }
      add_product(rows, width, tile.h_in + row, weights, p.H, sums);
      for (Index r = 0; r < rows; ++r) {
        T* const h = p.h + tile.token[row + r] * p.h_stride + unit;
        for (Index w = 0; w < width; ++w) {
          const Vec<T> x = sums.get(r * width + w);
          lanes.store(h + w * kPanel<T>, Relu ? relu(x) : tanh(x));
        }
      }
    };
    for_groups<T>(p.H, [&](Index column, Index width) {
      for_panel<T>(column, p.H, [&](auto lanes, Index lane) {
        for (Index row = 0; row < tile.active;) {
          const Index rows = tile_rows<T>(tile.active - row);
          block(row, rows, column + lane, width, p.w_hh + column * p.H + lane, lanes);
          row += rows;
        }
      });
    });
  }
};

template <class T, bool Relu>
struct RnnBackward {
  static TIDEGATE_INLINE void run(BackwardTile<T>& tile) {
    const CellBackward<T>& p = tile.p;
    const T* dgates[kTileRows];
    for_units<T>(tile.active, p.H, [&](auto lanes, Index r, Index unit) {
      using V = Vec<T>;
      const Index token = tile.token[r];
      const V zero = V::set(T(0));
      const V h = lanes.load(p.h + token * p.h_stride + unit);
      const V dh = lanes.load(p.dh + token * p.h_stride + unit) + V::load(tile.dh + r * tile.stride + unit);
      const V slope = fnma(h, h, V::set(T(1)));
      lanes.store(p.dgates + token * p.H + unit, Relu ? where_greater(h, zero, dh, zero) : dh * slope);
    });
    for (Index r = 0; r < tile.active; ++r) dgates[r] = p.dgates + tile.token[r] * p.H;
    state_gradient<T, false>(tile, dgates, p.H, nullptr, 0);
  }
};

template <class T>
using RnnTanhForward = RnnForward<T, false>;
template <class T>
using RnnReluForward = RnnForward<T, true>;
template <class T>
using RnnTanhBackward = RnnBackward<T, false>;
template <class T>
using RnnReluBackward = RnnBackward<T, true>;

}  // namespace
}  // namespace tidegate
