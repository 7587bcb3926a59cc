// Small matrix products with a fixed order of sums: a register tile of rows x vectors, each entry one chain of fused
// multiply-adds over K ascending. A lane is an output column; nothing is ever added across lanes.
#pragma once

#include "isa/math.h"

namespace tidegate {
namespace {

TIDEGATE_INLINE Index least(Index a, Index b) { return a < b ? a : b; }

// A vector of columns: all lanes, or the first `n` where the columns end inside it.
template <class T, bool Tail>
struct Lanes {
  Index n;
  TIDEGATE_INLINE Vec<T> load(const T* p) const { return Tail ? Vec<T>::load(p, n) : Vec<T>::load(p); }
  TIDEGATE_INLINE void store(T* p, Vec<T> x) const {
    if (Tail) {
      x.store(p, n);
    } else {
      x.store(p);
    }
  }
};

// Calls f(lanes, column) for every vector of columns first .. last - 1.
template <class T, class F>
TIDEGATE_INLINE void for_lanes(Index first, Index last, F&& f) {
  Index column = first;
  for (; column + Vec<T>::kLanes <= last; column += Vec<T>::kLanes) f(Lanes<T, false>{Vec<T>::kLanes}, column);
  if (column < last) f(Lanes<T, true>{last - column}, column);
}

// The sums of one register tile, [rows][width] vectors, between the pieces of code that start, extend and use them.
template <class T>
struct Sums {
  static constexpr int kSize = Vec<T>::kRows * 4 * Vec<T>::kLanes;
  alignas(64) T at[kSize];
  TIDEGATE_INLINE Vec<T> get(Index i) const { return Vec<T>::load(at + i * Vec<T>::kLanes); }
  TIDEGATE_INLINE void set(Index i, Vec<T> x) { x.store(at + i * Vec<T>::kLanes); }
};

// sums[r][w] += x[r][from + k] * weights[k][w], k ascending. `weights` points at the tile's first lane in its packed
// group, at row `from`. One line a row is fetched from `ahead` meanwhile, where weights lie that are wanted soon.
template <class T, int R, int Width>
TIDEGATE_NOINLINE void product(const T* const* x, Index from, const T* weights, Index K, Sums<T>& sums,
                               const T* ahead) {
  Vec<T> sum[R][Width];
  const T* row[R];
  TIDEGATE_UNROLL
  for (int r = 0; r < R; ++r) {
    row[r] = x[r] + from;
    TIDEGATE_UNROLL
    for (int i = 0; i < Width; ++i) sum[r][i] = sums.get(r * Width + i);
  }
  for (Index k = 0; k < K; ++k, weights += Width * kPanel<T>) {
    Vec<T> w[Width];
    __builtin_prefetch(ahead + k * kPanel<T>, 0, 2);
    TIDEGATE_UNROLL
    for (int i = 0; i < Width; ++i) w[i] = Vec<T>::load(weights + i * kPanel<T>);
    TIDEGATE_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec<T> value = Vec<T>::set(row[r][k]);
      TIDEGATE_UNROLL
      for (int i = 0; i < Width; ++i) sum[r][i] = fma(value, w[i], sum[r][i]);
    }
  }
  TIDEGATE_UNROLL
  for (int r = 0; r < R; ++r) {
    TIDEGATE_UNROLL
    for (int i = 0; i < Width; ++i) sums.set(r * Width + i, sum[r][i]);
  }
}

// Rows of the next register tile when `left` remain; the sizes that exist are kRows, 4, 2 and 1. A tile of two rows
// waits for the weights, so that eight rows go in two of four.
template <class T>
TIDEGATE_INLINE Index tile_rows(Index left) {
  constexpr Index kMost = Vec<T>::kRows;
  if (kMost > 4 && left == 8) return 4;
  if (left >= kMost) return kMost;
  return left >= 4 && kMost > 4 ? 4 : left >= 2 ? 2 : 1;
}

// The most rows of a tile that is so many vectors wide. A narrow one is higher: sums that do not wait for each other
// are what keeps the multipliers busy.
template <class T>
constexpr Index most_rows(Index width) {
  return 4 * Vec<T>::kRows / width < 8 ? 4 * Vec<T>::kRows / width : 8;
}
template <class T>
TIDEGATE_INLINE Index tile_rows(Index left, Index width) {
  return left >= most_rows<T>(width) ? most_rows<T>(width) : tile_rows<T>(left);
}

template <int N>
struct Size {
  static constexpr int value = N;
};

// Calls f(Size<rows>), or f(Size<rows>, Size<width>), for a tile size that is only known at run time.
template <class T, class F>
TIDEGATE_INLINE void with_rows(Index rows, F&& f) {
  constexpr int kMost = Vec<T>::kRows;
  if (rows == kMost) return f(Size<kMost>{});
  if (rows == 4) return f(Size<(kMost > 4 ? 4 : kMost)>{});
  if (rows == 2) return f(Size<2>{});
  f(Size<1>{});
}
template <class F>
TIDEGATE_INLINE void with_width(Index width, F&& f) {
  if (width == 4) return f(Size<4>{});
  if (width == 3) return f(Size<3>{});
  if (width == 2) return f(Size<2>{});
  f(Size<1>{});
}

template <class T, class F>
TIDEGATE_INLINE void with_tile(Index rows, Index width, F&& f) {
  with_width(width, [&](auto w) {
    constexpr int kMost = most_rows<T>(decltype(w)::value);
    if (rows == kMost) return f(Size<kMost>{}, w);
    with_rows<T>(rows, [&](auto r) { f(r, w); });
  });
}

template <class T>
TIDEGATE_INLINE void add_product(Index rows, Index width, const T* const* x, Index from, const T* weights, Index K,
                                 Sums<T>& sums, const T* ahead) {
  with_tile<T>(rows, width, [&](auto r, auto w) {
    product<T, decltype(r)::value, decltype(w)::value>(x, from, weights, K, sums, ahead);
  });
}

// The part that register tile `index` of a stretch fetches of the next one, which lies behind it: each a part, until
// all is fetched.
template <class T>
TIDEGATE_INLINE const T* next_part(const T* weights, Index count, Index width, Index index) {
  return weights + (index < width ? count * (width + index) * kPanel<T> : 0);
}

// Calls f(from, count) for stretches of K. Where the weights of a group do not fit the nearest cache, all rows go
// through one stretch of them before the next: a chain of sums that pauses in memory is the same chain.
template <class T, class F>
TIDEGATE_INLINE void for_stretches(Index K, Index width, F&& f) {
  const Index some = (Index(16) << 10) / (width * kPanelBytes);
  if (K <= 2 * some) return f(Index(0), K);
  for (Index from = 0; from < K; from += some) f(from, least(some, K - from));
}

// Calls f(column, width) for every group of panels of a packed matrix; its weights begin at `column * K`. Both ends lie
// between two groups.
template <class T, class F>
TIDEGATE_INLINE void for_groups(Index first, Index columns, F&& f) {
  for (Index column = first; column < columns;) {
    const Index width = group_width<T>(column, columns);
    f(column, width);
    column += width * kPanel<T>;
  }
}

// Calls f(lanes, lane) for every vector of a panel that begins at `column`; in a wider group all panels are full.
template <class T, class F>
TIDEGATE_INLINE void for_panel(Index column, Index columns, F&& f) {
  for_lanes<T>(0, least(kPanel<T>, columns - column), f);
}

// --- elementwise ---------------------------------------------------------------------------------------------------

template <class T>
void activate(Activation activation, const T* x, T* y, Index first, Index last) {
  const auto map = [&](auto f) {
    for_lanes<T>(first, last, [&](auto lanes, Index i) { lanes.store(y + i, f(lanes.load(x + i))); });
  };
  switch (activation) {
    case kRelu: return map([](Vec<T> v) { return relu(v); });
    case kTanh: return map([](Vec<T> v) { return tanh(v); });
    case kSigmoid: return map([](Vec<T> v) { return sigmoid(v); });
    default: return map([](Vec<T> v) { return v; });
  }
}

// y = log(x), number by number.
template <class T>
void logarithms(const T* x, T* y, Index first, Index last) {
  for_lanes<T>(first, last, [&](auto lanes, Index i) { lanes.store(y + i, log(lanes.load(x + i))); });
}

// --- linear --------------------------------------------------------------------------------------------------------

// One tile: rows `row` .. `row + rows - 1`, the vectors at `column` of `width` panels, over `count` of K.
template <class T, class L>
TIDEGATE_INLINE void linear_tile(const Linear<T>& p, Index first, Index row, Index rows, Index column, Index width,
                                 Index from, Index count, const T* weights, L lanes) {
  const T* x[most_rows<T>(1)];
  T* y[most_rows<T>(1)];
  Sums<T> sums;
  for (Index r = 0; r < rows; ++r) {
    const Index i = row + r;
    x[r] = p.x + (p.row_in ? p.row_in[i] : i) * p.x_stride;
    y[r] = p.y + (p.row_out ? p.row_out[i] : i) * p.y_stride + column;
    for (Index w = 0; w < width; ++w) {
      sums.set(r * width + w, p.accumulate || from > 0 ? lanes.load(y[r] + w * kPanel<T>)
                              : p.bias                 ? lanes.load(p.bias + column + w * kPanel<T>)
                                                       : Vec<T>::set(T(0)));
    }
  }
  const T* const at = weights + from * width * kPanel<T>;
  add_product(rows, width, x, from, at, count, sums,
              next_part<T>(at, count, width, (row - first) / most_rows<T>(width)));
  for (Index r = 0; r < rows; ++r) {
    for (Index w = 0; w < width; ++w) lanes.store(y[r] + w * kPanel<T>, sums.get(r * width + w));
  }
}

template <class T>
void linear(const Linear<T>& p, Index first, Index last) {
  for_groups<T>(0, p.columns, [&](Index column, Index width) {
    for_panel<T>(column, p.columns, [&](auto lanes, Index lane) {
      for_stretches<T>(p.K, width, [&](Index from, Index count) {
        for (Index row = first; row < last;) {
          const Index rows = tile_rows<T>(last - row, width);
          linear_tile(p, first, row, rows, column + lane, width, from, count, p.w + column * p.K + lane, lanes);
          row += rows;
        }
      });
    });
  });
  if (p.activation == kIdentity) return;
  for (Index i = first; i < last; ++i) {
    T* const y = p.y + (p.row_out ? p.row_out[i] : i) * p.y_stride;
    activate(p.activation, y, y, 0, p.columns);
  }
}

// --- outer ---------------------------------------------------------------------------------------------------------

template <class T>
TIDEGATE_INLINE void gather_block(const Outer<T>& p, Index begin, Index tokens, T* b) {
  const Index stride = padded<T>(p.columns);
  for (Index n = 0; n < tokens; ++n) {
    const T* const from = p.b_row ? p.b_row[begin + n] : p.b + (begin + n) * p.b_stride;
    const T* const scale = p.scale ? p.scale + p.scale_row[begin + n] * p.columns : nullptr;
    for_lanes<T>(0, p.columns, [&](auto lanes, Index k) {
      const Vec<T> x = lanes.load(from + k);
      (scale ? x * lanes.load(scale + k) : x).store(b + n * stride + k);
    });
  }
}

// out[r][w] += sum of a[n][r] * b[n][w], n ascending over the tokens of a block.
template <class T, int R, int Width, class L>
TIDEGATE_NOINLINE void outer_tile(const T* a, Index a_stride, const T* b, Index b_stride, Index tokens, T* out,
                                  Index out_stride, L lanes) {
  Vec<T> sum[R][Width];
  TIDEGATE_UNROLL
  for (int r = 0; r < R; ++r) {
    TIDEGATE_UNROLL
    for (int i = 0; i < Width; ++i) sum[r][i] = Vec<T>::set(T(0));
  }
  for (Index n = 0; n < tokens; ++n, a += a_stride, b += b_stride) {
    Vec<T> x[Width];
    TIDEGATE_UNROLL
    for (int i = 0; i < Width; ++i) x[i] = Vec<T>::load(b + i * kPanel<T>);
    TIDEGATE_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec<T> value = Vec<T>::set(a[r]);
      TIDEGATE_UNROLL
      for (int i = 0; i < Width; ++i) sum[r][i] = fma(value, x[i], sum[r][i]);
    }
  }
  TIDEGATE_UNROLL
  for (int r = 0; r < R; ++r, out += out_stride) {
    TIDEGATE_UNROLL
    for (int i = 0; i < Width; ++i) lanes.store(out + i * kPanel<T>, lanes.load(out + i * kPanel<T>) + sum[r][i]);
  }
}

// Column sums, in smaller blocks: they have no fused product to make up for the rounding.
template <class T>
TIDEGATE_INLINE void add_column_sums(const T* a, Index stride, Index tokens, Index columns, T* out) {
  constexpr Index kBlock = 16;
  for_lanes<T>(0, columns, [&](auto lanes, Index m) {
    Vec<T> all = lanes.load(out + m);
    for (Index begin = 0; begin < tokens; begin += kBlock) {
      Vec<T> sum = Vec<T>::set(T(0));
      for (Index n = begin; n < least(tokens, begin + kBlock); ++n) sum = sum + lanes.load(a + n * stride + m);
      all = all + sum;
    }
    lanes.store(out + m, all);
  });
}

// Adds tokens first .. last - 1 to `out` and `column_sum`. One block of tokens at a time: its rows of b are gathered
// (and scaled) into scratch once, and then meet every tile of `out`. A block is summed by itself before it is added,
// which keeps the rounding of long sums small.
template <class T>
void outer(const Outer<T>& p, Index first, Index last, T* scratch) {
  const Index stride = padded<T>(p.columns);
  for (Index begin = first; begin < last; begin += kOuterBlock) {
    const Index tokens = least(last - begin, kOuterBlock);
    const T* const a = p.a + begin * p.a_stride;
    gather_block(p, begin, tokens, scratch);
    for_groups<T>(0, p.columns, [&](Index column, Index width) {
      for_panel<T>(column, p.columns, [&](auto lanes, Index lane) {
        for (Index m = 0, rows; m < p.rows_m; m += rows) {
          rows = tile_rows<T>(p.rows_m - m, width);
          with_tile<T>(rows, width, [&](auto r, auto w) {
            outer_tile<T, decltype(r)::value, decltype(w)::value>(a + m, p.a_stride, scratch + column + lane, stride,
                                                                  tokens, p.out + m * p.columns + column + lane,
                                                                  p.columns, lanes);
          });
        }
      });
    });
    if (p.column_sum) add_column_sums(a, p.a_stride, tokens, p.rows_m, p.column_sum);
  }
}

// --- sums by distinct token ----------------------------------------------------------------------------------------

// Eight vectors at a time stay in registers while the tokens of a row go by.
template <class T, int Width, class L>
TIDEGATE_INLINE void sum_tokens(const SumByRow<T>& p, Index u, Index column, L lanes) {
  Bundle<T, Width> sum = Bundle<T, Width>::set(0);
  for (Index i = p.start[u]; i < p.start[u + 1]; ++i) {
    const T* const a = p.a + p.token[i] * p.width + column;
    sum = sum + Bundle<T, Width>::make([&](int w) { return lanes.load(a + w * Vec<T>::kLanes); });
  }
  sum.each([&](int w, Vec<T> x) { lanes.store(p.out + u * p.width + column + w * Vec<T>::kLanes, x); });
}

template <class T>
void sum_by_row(const SumByRow<T>& p, Index first, Index last) {
  constexpr Index kLanes = Vec<T>::kLanes;
  for (Index u = first; u < last; ++u) {
    Index column = 0;
    for (; column + 8 * kLanes <= p.width; column += 8 * kLanes) {
      sum_tokens<T, 8>(p, u, column, Lanes<T, false>{kLanes});
    }
    for_lanes<T>(column, p.width, [&](auto lanes, Index at) { sum_tokens<T, 1>(p, u, at, lanes); });
  }
}

template <class T>
void add_rows(const AddRows<T>& p, Index first, Index last) {
  for (Index n = first; n < last; ++n) {
    const T* const a = p.a + n * p.width;
    T* const out = p.out + p.row[n] * p.width;
    for_lanes<T>(0, p.width,
                 [&](auto lanes, Index k) { lanes.store(out + k, lanes.load(out + k) + lanes.load(a + k)); });
  }
}

}  // namespace
}  // namespace tidegate
