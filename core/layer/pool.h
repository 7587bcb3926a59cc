// Pooling over the tokens of each sequence, and softmax over the columns of each row.
#pragma once

#include "isa/math.h"

namespace tidegate {
namespace {

template <class T>
void pool(const Pool<T>& p, Index first, Index last) {
  for (Index b = first; b < last; ++b) {
    const Index begin = p.offsets[b], end = p.offsets[b + 1];
    T* const out = p.pooled + b * p.stride;
    const Index start = p.mode == kLast ? end - 1 : begin;
    for (Index k = 0; k < p.H; ++k) out[k] = begin < end ? p.h[start * p.H + k] : T(0);
    if (p.mode == kLast || p.mode == kFirst) continue;
    for (Index n = begin + 1; n < end; ++n) {
      const T* const h = p.h + n * p.H;
      for (Index k = 0; k < p.H; ++k) {
        if (p.mode == kMean) {
          out[k] += h[k];
        } else {
          out[k] = h[k] > out[k] || h[k] != h[k] ? h[k] : out[k];
        }
      }
    }
    if (p.mode != kMean || begin == end) continue;
    for (Index k = 0; k < p.H; ++k) out[k] = out[k] / static_cast<T>(end - begin);
  }
}

// The first token that holds the maximum takes its gradient. A strip of columns at a time, row after row.
template <class T>
TIDEGATE_INLINE void max_backward(const Pool<T>& p, Index begin, Index end, const T* d) {
  constexpr Index kStrip = 64;
  for (Index first = 0; first < p.H; first += kStrip) {
    const Index columns = p.H - first < kStrip ? p.H - first : kStrip;
    T most[kStrip];
    std::int32_t best[kStrip];
    for (Index k = 0; k < columns; ++k) {
      most[k] = p.h[begin * p.H + first + k];
      best[k] = 0;
    }
    for (Index n = begin + 1; n < end; ++n) {
      const T* const h = p.h + n * p.H + first;
      const std::int32_t at = static_cast<std::int32_t>(n - begin);
      for (Index k = 0; k < columns; ++k) {
        best[k] = h[k] > most[k] ? at : best[k];
        most[k] = h[k] > most[k] ? h[k] : most[k];
      }
    }
    for (Index k = 0; k < columns; ++k) p.dh[(begin + best[k]) * p.H + first + k] += d[first + k];
  }
}

template <class T>
void pool_backward(const Pool<T>& p, Index first, Index last) {
  for (Index b = first; b < last; ++b) {
    const Index begin = p.offsets[b], end = p.offsets[b + 1];
    const T* const d = p.pooled + b * p.stride;
    if (begin == end) continue;
    if (p.mode == kMax) {
      max_backward(p, begin, end, d);
      continue;
    }
    const Index from = p.mode == kLast ? end - 1 : begin;
    const Index to = p.mode == kFirst ? begin + 1 : end;
    const T share = p.mode == kMean ? static_cast<T>(end - begin) : T(1);
    for (Index n = from; n < to; ++n) {
      for (Index k = 0; k < p.H; ++k) p.dh[n * p.H + k] += d[k] / share;
    }
  }
}

// Rows first .. last - 1 of x [*, columns]; the largest entry is taken off first.
template <class T>
void softmax(const T* x, Index columns, T* y, Index first, Index last) {
  for (Index i = first; i < last; ++i) {
    const T* const row = x + i * columns;
    T* const out = y + i * columns;
    T largest = row[0];
    for (Index k = 1; k < columns; ++k) largest = row[k] > largest ? row[k] : largest;
    T sum = T(0);
    const Vec<T> peak = Vec<T>::set(largest);
    for_lanes<T>(0, columns,
                 [&](auto lanes, Index k) { lanes.store(out + k, exp_of_negative(lanes.load(row + k) - peak)); });
    for (Index k = 0; k < columns; ++k) sum += out[k];
    for (Index k = 0; k < columns; ++k) out[k] = out[k] / sum;
  }
}

}  // namespace
}  // namespace tidegate
