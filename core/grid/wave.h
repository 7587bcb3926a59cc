// What every cell of grids shares: waves of cells, each of which follows the one on its left and the one above it. All
// cells of a wave go side by side. Knows no cell's equations, and of images only who stands beside whom.
#pragma once

#include "isa/gemm.h"

namespace tidegate {
namespace {

// Rows of a register tile that has all gates of a vector of units beside each other.
template <class T>
constexpr Index kWaveRows = Vec<T>::kRows >= 6 ? 4 : 2;

template <class T>
TIDEGATE_INLINE Index wave_rows(Index left) {
  return left >= kWaveRows<T> ? kWaveRows<T> : left >= 2 ? 2 : 1;
}
template <class T, class F>
TIDEGATE_INLINE void with_wave_rows(Index rows, F&& f) {
  if (rows == kWaveRows<T>) return f(Size<kWaveRows<T>>{});
  if (rows == 2) return f(Size<2>{});
  f(Size<1>{});
}

// R rows of a block at one vector of hidden units: where a cell's equations load and store. Rows may lie anywhere.
template <class T, int R, class L>
struct Spot {
  using Rows = Bundle<T, R>;
  L lanes;
  Index row, unit;

  template <class P>
  TIDEGATE_INLINE Rows load(P const* rows, Index offset = 0) const {
    return Rows::make([&](int r) { return lanes.load(rows[row + r] + offset + unit); });
  }
  TIDEGATE_INLINE void store(T* const* rows, const Rows& x, Index offset = 0) const {
    x.each([&](int r, Vec<T> v) { lanes.store(rows[row + r] + offset + unit, v); });
  }
};

// When to look whether the result is still wanted.
struct Looks {
  bool (*halted)();
  Index since = 0;  // the last look, in multiply-adds
  TIDEGATE_INLINE bool over(Index operations) {
    if ((since += operations) < kLook) return false;
    since = 0;
    return halted();
  }
};

// A row of an array by visit, or zeros where there is no such neighbour.
template <class P>
TIDEGATE_INLINE P row_or(P array, Index row, Index stride, P zero) {
  return row < 0 ? zero : array + row * stride;
}

// Some rows of a wave on the way forward.
template <class T>
struct ForwardBlock {
  Index rows;
  const T *x[kTileRows], *h_left[kTileRows], *h_up[kTileRows], *c_left[kTileRows], *c_up[kTileRows];
  T *gates[kTileRows], *c[kTileRows], *h[kTileRows];  // null: not wanted; c where h is not

  TIDEGATE_INLINE ForwardBlock(const GridForward<T>& p, Index first, Index last, const T* zero) : rows(last - first) {
    const Wave& wave = p.wave;
    for (Index r = 0; r < rows; ++r) {
      const Index v = first + r, left = wave.left[v], up = wave.up[v], kept = (v - p.origin) * kGridGates * p.H;
      x[r] = p.input + kept;
      gates[r] = p.gates ? p.gates + kept : nullptr;
      h_left[r] = row_or<const T*>(p.h, left < 0 ? -1 : wave.token[left], p.h_stride, zero);
      h_up[r] = row_or<const T*>(p.h, up < 0 ? -1 : wave.token[up], p.h_stride, zero);
      c_left[r] = row_or<const T*>(p.c, left, p.H, zero);
      c_up[r] = row_or<const T*>(p.c, up, p.H, zero);
      c[r] = p.out ? p.out_c + v * p.H : nullptr;
      h[r] = p.out ? p.out + wave.token[v] * p.h_stride : nullptr;
    }
  }
};

// The gates of a block: what the input says, then what the left neighbour does, then the upper one, K ascending.
template <class T, template <class> class Cell>
TIDEGATE_INLINE void run_block(const GridForward<T>& p, const ForwardBlock<T>& block) {
  constexpr int G = kGridGates;
  const Index H = p.H;
  Sums<T> every[kTileRows / kWaveRows<T> + 2];  // of each register tile
  const auto tile = [&](auto size, Index row, Sums<T>& sums, bool up, auto lanes, Index unit, const T* weights,
                        Index from, Index count) {
    constexpr int R = decltype(size)::value;
    const Spot<T, R, decltype(lanes)> spot{lanes, row, unit};
    for (int g = 0; !up && from == 0 && g < G; ++g) {
      spot.load(block.x, g * H).each([&](int r, Vec<T> v) { sums.set(r * G + g, v); });
    }
    const T* const at = weights + from * G * kPanel<T>;
    product<T, R, G>((up ? block.h_up : block.h_left) + row, from, at, count, sums,
                     next_part<T>(at, count, G, row / kWaveRows<T>));
    if (up && from + count == H) {
      Cell<T>::forward(block, spot, H,
                       [&](int g) { return Bundle<T, R>::make([&](int r) { return sums.get(r * G + g); }); });
    }
  };
  for (Index panel = 0; panel < H; panel += kPanel<T>) {
    for_panel<T>(panel, H, [&](auto lanes, Index lane) {
      for (const bool up : {false, true}) {
        const T* const weights = (up ? p.w_up : p.w_left) + panel * G * H + lane;
        for_stretches<T>(H, G, [&](Index from, Index count) {
          Sums<T>* sums = every;
          for (Index row = 0; row < block.rows; ++sums) {
            const Index rows = wave_rows<T>(block.rows - row);
            with_wave_rows<T>(
                rows, [&](auto size) { tile(size, row, *sums, up, lanes, panel + lane, weights, from, count); });
            row += rows;
          }
        });
      }
    });
  }
}

// Calls f(first, last) for the visits of waves `wave` .. `end` - 1, at most a tile of one wave at a time.
template <class F>
TIDEGATE_INLINE void for_blocks(const Wave& waves, Index wave, F&& f) {
  for (Index first = waves.begin[wave]; first < waves.begin[wave + 1]; first += kTileRows) {
    f(first, least(first + kTileRows, waves.begin[wave + 1]));
  }
}

// Cell is a struct template whose `forward` turns the sums of a spot into gates, cell state and output.
template <class T, template <class> class Cell>
void grid_forward(const GridForward<T>& p, Index first, Index last, T* scratch) {
  for (Index k = 0; k < p.H; ++k) scratch[k] = T(0);
  Looks looks{p.halted};
  for (Index wave = first; wave < last; ++wave) {
    for_blocks(p.wave, wave,
               [&](Index begin, Index end) { run_block<T, Cell>(p, ForwardBlock<T>(p, begin, end, scratch)); });
    if (looks.over((p.wave.begin[wave + 1] - p.wave.begin[wave]) * 2 * p.H * p.H)) return;
  }
}

// Some rows of a wave on the way back.
template <class T>
struct BackwardBlock {
  Index rows;
  const T *gates[kTileRows], *c[kTileRows], *c_left[kTileRows], *c_up[kTileRows];
  const T *right[kTileRows], *below[kTileRows];        // gate gradients of the cells that read this one
  const T *dc_right[kTileRows], *dc_below[kTileRows];  // what comes back of its cell state
  const T* dh_out[kTileRows];
  T *dh[kTileRows], *dgates[kTileRows], *dc[kTileRows];  // dc: of what goes to the left neighbour, then the upper one

  TIDEGATE_INLINE BackwardBlock(const GridBackward<T>& p, Index first, Index last, const T* zero, T* room)
      : rows(last - first) {
    const Wave& wave = p.wave;
    const Index H = p.H, GH = kGridGates * H;
    const auto after = [&](Index v) { return v < 0 ? v : v - p.origin; };
    for (Index r = 0; r < rows; ++r) {
      const Index v = first + r, at = v - p.origin, beside = after(wave.right[v]), under = after(wave.below[v]);
      gates[r] = p.gates + at * GH;
      dgates[r] = p.dgates + at * GH;
      c[r] = p.c + v * H;
      c_left[r] = row_or<const T*>(p.c, wave.left[v], H, zero);
      c_up[r] = row_or<const T*>(p.c, wave.up[v], H, zero);
      right[r] = row_or<const T*>(p.dgates, beside, GH, zero);
      below[r] = row_or<const T*>(p.dgates, under, GH, zero);
      dc_right[r] = row_or<const T*>(p.dc, beside, 2 * H, zero);
      dc_below[r] = under < 0 ? zero : p.dc + under * 2 * H + H;
      dc[r] = p.dc + at * 2 * H;
      dh_out[r] = p.dh + wave.token[v] * p.h_stride;
      dh[r] = room + r * padded<T>(H);
    }
  }
};

// The gradient of each output: its own, to which is added what comes from the right, then what comes from below.
template <class T>
TIDEGATE_INLINE void gather_gradient(const GridBackward<T>& p, const BackwardBlock<T>& block) {
  const Index H = p.H, GH = kGridGates * H;
  for_groups<T>(0, H, [&](Index column, Index width) {
    for_panel<T>(column, H, [&](auto lanes, Index lane) {
      const T* const weights = p.w + column * 2 * GH + lane;
      for (Index row = 0; row < block.rows;) {
        const Index rows = tile_rows<T>(block.rows - row, width);
        Sums<T> sums;
        for (Index i = 0; i < rows * width; ++i) sums.set(i, Vec<T>::set(T(0)));
        add_product(rows, width, block.right + row, Index(0), weights, GH, sums, weights);
        add_product(rows, width, block.below + row, Index(0), weights + GH * width * kPanel<T>, GH, sums, weights);
        for (Index r = 0; r < rows; ++r) {
          for (Index w = 0; w < width; ++w) {
            const Index at = column + lane + w * kPanel<T>;
            lanes.store(block.dh[row + r] + at, lanes.load(block.dh_out[row + r] + at) + sums.get(r * width + w));
          }
        }
        row += rows;
      }
    });
  });
}

// Cell's `backward` turns the gradient of an output into those of the gates and of the cell states before.
template <class T, template <class> class Cell>
void grid_backward(const GridBackward<T>& p, Index first, Index last, T* scratch) {
  const Index GH = kGridGates * p.H;
  for (Index k = 0; k < GH; ++k) scratch[k] = T(0);
  Looks looks{p.halted};
  for (Index wave = last - 1; wave >= first; --wave) {
    for_blocks(p.wave, wave, [&](Index begin, Index end) {
      const BackwardBlock<T> block(p, begin, end, scratch, scratch + GH);
      gather_gradient(p, block);
      for (Index row = 0; row < block.rows;) {
        const Index rows = wave_rows<T>(block.rows - row);
        with_wave_rows<T>(rows, [&](auto size) {
          for_lanes<T>(0, p.H, [&](auto lanes, Index unit) {
            Cell<T>::backward(block, Spot<T, decltype(size)::value, decltype(lanes)>{lanes, row, unit}, p.H);
          });
        });
        row += rows;
      }
    });
    if (looks.over((p.wave.begin[wave + 1] - p.wave.begin[wave]) * 2 * GH * p.H)) return;
  }
}

}  // namespace
}  // namespace tidegate
