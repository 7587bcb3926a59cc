// What every cell shares: a tile of sequences walked through time. Sequences stand longest first, so the tile shrinks
// (forward) or grows (backward) at its end, and no step is spent on one that is over. Knows no cell's equations.
#pragma once

#include "isa/gemm.h"

namespace tidegate {
namespace {

// What a cell's file says of it: `Forward<T>`, a step of `cell_forward`, and `Backward<T>`, one of `cell_backward`.
template <Cell>
struct CellSteps;

template <class T>
TIDEGATE_INLINE void copy_row(const T* from, Index n, T* to) {
  for (Index i = 0; i < n; ++i) to[i] = from ? from[i] : T(0);
}

// The rows of a tile and the token that each visits in the current step.
struct TileRows {
  const Sequences& sequences;
  const Units& units;
  Index first, rows;
  Index stride;  // of the rows in scratch
  Index ahead;   // from the token of a step to that of the next one visited
  Index active;
  Index since = 0;      // the last look, in multiply-adds
  bool halted = false;  // nobody wants the result: leave at the end of the step
  Index sequence[kTileRows];
  Index token[kTileRows];

  TileRows(const Sequences& s, const Units& u, Index begin, Index end, Index width, bool forward)
      : sequences(s),
        units(u),
        first(begin),
        rows(end - begin),
        stride(width),
        ahead(s.reverse == forward ? -s.stride : s.stride) {
    for (Index r = 0; r < rows; ++r) sequence[r] = s.order[first + r];
  }
  TIDEGATE_INLINE Index length(Index r) const { return sequences.length[sequence[r]]; }
  TIDEGATE_INLINE Index steps() const { return rows > 0 ? length(0) : 0; }
  TIDEGATE_INLINE Index at(Index r, Index step) const {
    const Index start = sequences.start[sequence[r]];
    return start + (sequences.reverse ? length(r) - 1 - step : step) * sequences.stride;
  }
  // Waits for those who have the other units, and finds out whether to go on, after so many multiply-adds of our own.
  TIDEGATE_INLINE void meet(Index operations) {
    if (units.meet) {
      halted = units.meet(units.meeting);
    } else if ((since += operations) >= kLook) {
      since = 0;
      halted = units.halted();
    }
  }
  // Copies our units of a state.
  template <class T>
  TIDEGATE_INLINE void copy_units(const T* from, T* to) const {
    copy_row(from + units.first, units.last - units.first, to + units.first);
  }
  TIDEGATE_INLINE void visit(Index step) {
    while (active > 0 && length(active - 1) <= step) --active;
    while (active < rows && length(active) > step) ++active;
    for (Index r = 0; r < active; ++r) token[r] = at(r, step);
  }
};

template <class T>
struct ForwardTile : TileRows {
  const CellForward<T>& p;
  const T* zero;             // [H]
  T* c;                      // [rows, stride] cell state
  T* masked;                 // [rows, stride] state as it enters w_hh
  const T* x[kTileRows];     // projected input of the step
  const T* h[kTileRows];     // state before the step
  const T* h_in[kTileRows];  // the same as it enters w_hh

  ForwardTile(const CellForward<T>& run, const Units& units, Index begin, Index end, T* scratch)
      : TileRows(run.sequences, units, begin, end, padded<T>(run.H), true), p(run) {
    copy_row<T>(nullptr, (1 + 2 * rows) * stride, scratch);
    zero = scratch;
    c = scratch + stride;
    masked = c + rows * stride;
    active = rows;
    for (Index r = 0; r < rows; ++r) {
      h[r] = p.h0 ? p.h0 + sequence[r] * p.H : zero;
      if (p.c0) copy_row(p.c0 + sequence[r] * p.H, p.H, c + r * stride);
    }
  }

  TIDEGATE_INLINE void enter(Index step) {
    visit(step);
    for (Index r = 0; r < active; ++r) {
      x[r] = p.input + (p.input_row ? p.input_row[token[r]] : token[r]) * p.input_stride;
      h_in[r] = h[r];
      if (!p.mask) continue;
      const T* const mask = p.mask + sequence[r] * p.H;
      T* const to = masked + r * stride;
      for (Index k = 0; k < p.H; ++k) to[k] = h[r][k] * mask[k];
      h_in[r] = to;
    }
  }

  TIDEGATE_INLINE void leave() {
    for (Index r = 0; r < active; ++r) h[r] = p.h + token[r] * p.h_stride;
  }

  TIDEGATE_INLINE void finish() const {
    for (Index r = 0; r < rows; ++r) {
      copy_units(h[r], p.hn + sequence[r] * p.H);
      if (p.cn) copy_units(c + r * stride, p.cn + sequence[r] * p.H);
    }
  }
};

// Step is a struct template with `static void run(ForwardTile<T>&)`: one step of the active rows.
template <class T, template <class> class Step>
void cell_forward(const CellForward<T>& p, Index first, Index last, const Units& units, T* scratch) {
  ForwardTile<T> tile(p, units, first, last, scratch);
  const Index steps = tile.steps();
  for (Index step = 0; step < steps; ++step) {
    tile.enter(step);
    Step<T>::run(tile);
    tile.leave();
    tile.meet(tile.active * p.H * p.H);
    if (tile.halted) return;
  }
  tile.finish();
}

template <class T>
struct BackwardTile : TileRows {
  const CellBackward<T>& p;
  const T* zero;                 // [H]
  T* dh;                         // [rows, stride] gradient of the state that leaves the step; then of what entered it
  T* dc;                         // [rows, stride]
  const T* h_before[kTileRows];  // [H] state before the step
  const T* c_before[kTileRows];  // [H] cell state before the step

  BackwardTile(const CellBackward<T>& run, const Units& units, Index begin, Index end, T* scratch)
      : TileRows(run.sequences, units, begin, end, padded<T>(run.H), false), p(run) {
    copy_row<T>(nullptr, (1 + 2 * rows) * stride, scratch);
    zero = scratch;
    dh = scratch + stride;
    dc = dh + rows * stride;
    active = 0;
    for (Index r = 0; r < rows; ++r) {
      if (p.dhn) copy_row(p.dhn + sequence[r] * p.H, p.H, dh + r * stride);
      if (p.dcn) copy_row(p.dcn + sequence[r] * p.H, p.H, dc + r * stride);
    }
  }

  TIDEGATE_INLINE void enter(Index step) {
    visit(step);
    for (Index r = 0; r < active; ++r) {
      if (step > 0) {
        const Index before = at(r, step - 1);
        h_before[r] = p.h + before * p.h_stride;
        c_before[r] = p.memo + before * p.H;
      } else {
        h_before[r] = p.h0 ? p.h0 + sequence[r] * p.H : zero;
        c_before[r] = p.c0 ? p.c0 + sequence[r] * p.H : zero;
      }
    }
  }

  TIDEGATE_INLINE void finish() const {
    for (Index r = 0; r < rows; ++r) {
      copy_units(dh + r * stride, p.dh0 + sequence[r] * p.H);
      if (p.dc0) copy_units(dc + r * stride, p.dc0 + sequence[r] * p.H);
    }
  }
};

// Turns tile.dh into the gradient of the state that entered the step: (gate gradients @ w_hh) * mask, added to what
// tile.dh holds where the cell carries some of its state past the product. Row r of the gate gradients is a[r], of
// length Ka, followed by b[r], of length Kb.
template <class T, bool Carries>
TIDEGATE_INLINE void state_gradient(BackwardTile<T>& tile, const T* const* a, Index Ka, const T* const* b, Index Kb) {
  const CellBackward<T>& p = tile.p;
  Sums<T> sums;
  tile.meet(tile.active * Ka * p.H);  // every unit's gate gradients are needed
  if (tile.halted) return;
  const auto block = [&](Index row, Index rows, Index column, Index width, const T* weights, auto lanes) {
    T* const at = tile.dh + row * tile.stride + column;
    for (Index i = 0; i < rows * width; ++i) sums.set(i, Vec<T>::set(T(0)));
    add_product(rows, width, a + row, Index(0), weights, Ka, sums, weights);
    if (Kb > 0) add_product(rows, width, b + row, Index(0), weights + Ka * width * kPanel<T>, Kb, sums, weights);
    for (Index r = 0; r < rows; ++r) {
      for (Index w = 0; w < width; ++w) {
        T* const to = at + r * tile.stride + w * kPanel<T>;
        Vec<T> result = sums.get(r * width + w);
        if (p.mask) {
          const Vec<T> mask = lanes.load(p.mask + tile.sequence[row + r] * p.H + column + w * kPanel<T>);
          result = result * mask;
        }
        (Carries ? result + Vec<T>::load(to) : result).store(to);
      }
    }
  };
  for_groups<T>(tile.units.first, tile.units.last, [&](Index column, Index width) {
    for_panel<T>(column, p.H, [&](auto lanes, Index lane) {
      for (Index row = 0; row < tile.active;) {
        const Index rows = tile_rows<T>(tile.active - row, width);
        block(row, rows, column + lane, width, p.w_hh + column * (Ka + Kb) + lane, lanes);
        row += rows;
      }
    });
  });
}

// Step is a struct template with `static void gates<Keep>(BackwardTile<T>&)`, which turns the gradient of the state
// into those of the gates, and keeps it on the way where it is asked to; then `static void state(BackwardTile<T>&)`
// turns them into that of the state before.
template <class T, template <class> class Step>
void cell_backward(const CellBackward<T>& p, Index first, Index last, const Units& units, T* scratch) {
  BackwardTile<T> tile(p, units, first, last, scratch);
  for (Index step = tile.steps() - 1; step >= 0; --step) {
    tile.enter(step);
    if (p.dh_steps) {
      Step<T>::template gates<true>(tile);
    } else {
      Step<T>::template gates<false>(tile);
    }
    Step<T>::state(tile);
    if (tile.halted) return;
  }
  tile.finish();
}

// R rows of a tile at one vector of hidden units: where a cell's equations load and store.
template <class T, int R, class L>
struct Patch {
  using Rows = Bundle<T, R>;
  const TileRows& tile;
  L lanes;
  Index row, unit;

  // Of an array with one row per token.
  TIDEGATE_INLINE Rows load(const T* p, Index stride) const {
    return Rows::make([&](int r) {
      const T* const at = p + tile.token[row + r] * stride + unit;
      __builtin_prefetch(at + tile.ahead * stride, 0);
      return lanes.load(at);
    });
  }
  TIDEGATE_INLINE void store(T* p, Index stride, const Rows& x) const {
    x.each([&](int r, Vec<T> v) {
      T* const at = p + tile.token[row + r] * stride + unit;
      __builtin_prefetch(at + tile.ahead * stride, 1);
      lanes.store(at, v);
    });
  }
  // Of arrays that are given row by row.
  TIDEGATE_INLINE Rows load(const T* const* rows, Index offset = 0) const {
    return Rows::make([&](int r) { return lanes.load(rows[row + r] + offset + unit); });
  }
  // Of scratch, where every row is padded.
  TIDEGATE_INLINE Rows load_state(const T* p) const {
    return Rows::make([&](int r) { return Vec<T>::load(p + (row + r) * tile.stride + unit); });
  }
  TIDEGATE_INLINE void store_state(T* p, const Rows& x) const {
    x.each([&](int r, Vec<T> v) { v.store(p + (row + r) * tile.stride + unit); });
  }
};

// Calls f(patch) for every active row and every vector of our hidden units.
template <class T, class F>
TIDEGATE_INLINE void for_units(const TileRows& tile, F&& f) {
  for (Index row = 0; row < tile.active;) {
    const Index rows = tile_rows<T>(tile.active - row);
    with_rows<T>(rows, [&](auto size) {
      for_lanes<T>(tile.units.first, tile.units.last, [&](auto lanes, Index unit) {
        f(Patch<T, decltype(size)::value, decltype(lanes)>{tile, lanes, row, unit});
      });
    });
    row += rows;
  }
}

// The sums of the recurrent product of a patch, from `start` on: gate g of row r stands at r * Width + g.
template <class T, int Width, int R, class L>
TIDEGATE_INLINE Bundle<T, R> gate(const Sums<T>& sums, const Patch<T, R, L>&, int g) {
  return Bundle<T, R>::make([&](int r) { return sums.get(r * Width + g); });
}

// Runs one step of a cell with gates, patch by patch: `start(row, unit, lanes, g)` gives the first summand of gate g,
// then comes the recurrent product, and `finish(patch, sums)` turns the sums into gates and state.
template <class T, int Width, class Start, class Finish>
TIDEGATE_INLINE void gated_step(ForwardTile<T>& tile, Start&& start, Finish&& finish) {
  const Index H = tile.p.H;
  Sums<T> every[kTileRows / Vec<T>::kRows + 2];  // of each register tile
  const auto block = [&](auto size, Index row, Sums<T>& sums, const T* weights, auto lanes, Index unit, Index from,
                         Index count) {
    constexpr int R = decltype(size)::value;
    const Patch<T, R, decltype(lanes)> patch{tile, lanes, row, unit};
    for (int g = 0; from == 0 && g < Width; ++g) {
      start(patch, g).each([&](int r, Vec<T> v) { sums.set(r * Width + g, v); });
    }
    const T* const at = weights + from * Width * kPanel<T>;
    product<T, R, Width>(tile.h_in + row, from, at, count, sums, next_part<T>(at, count, Width, row / Vec<T>::kRows));
    if (from + count == H) finish(patch, sums);
  };
  for (Index panel = tile.units.first; panel < tile.units.last; panel += kPanel<T>) {
    for_panel<T>(panel, H, [&](auto lanes, Index lane) {
      const T* const weights = tile.p.w_hh + panel * Width * H + lane;
      for_stretches<T>(H, Width, [&](Index from, Index count) {
        Sums<T>* sums = every;
        for (Index row = 0; row < tile.active; ++sums) {
          const Index rows = tile_rows<T>(tile.active - row);
          with_rows<T>(rows, [&](auto size) { block(size, row, *sums, weights, lanes, panel + lane, from, count); });
          row += rows;
        }
      });
    });
  }
}

}  // namespace
}  // namespace tidegate
