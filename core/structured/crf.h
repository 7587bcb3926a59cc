// Sums and best paths of a linear-chain conditional random field (Lafferty, McCallum, Pereira 2001), one sequence after
// the other. Sums are scaled at every token (Rabiner 1989), so that they need no logarithm; differences above kMostNats
// count as kMostNats, which keeps every sum above zero.
#pragma once

#include "isa/math.h"

namespace tidegate {
namespace {

constexpr double kMostNats = 300.0;

// How many lanes of the vector that begins at k are there.
TIDEGATE_INLINE Index lanes(Index k, Index count) {
  return count - k < Vec<double>::kLanes ? count - k : Vec<double>::kLanes;
}

// y = exp(x - largest) for `largest` >= x; y may be x.
inline void crf_exp(const double* x, Index count, double largest, double* y) {
  using V = Vec<double>;
  const V least = V::set(-kMostNats), shift = V::set(largest);
  for (Index k = 0; k < count; k += V::kLanes) {
    const Index n = lanes(k, count);
    exp_of_negative(max(least, V::load(x + k, n) - shift)).store(y + k, n);
  }
}

TIDEGATE_INLINE double largest_of(const double* x, Index count) {
  double largest = x[0];
  for (Index k = 1; k < count; ++k) largest = x[k] > largest ? x[k] : largest;
  return largest;
}

// The one order of adding up K numbers, so that every ISA gives the same bits.
TIDEGATE_INLINE double sum_of(const double* x, Index count) {
  double sum = 0;
  for (Index k = 0; k < count; ++k) sum += x[k];
  return sum;
}

// y = a * b, entry by entry; y may be either.
TIDEGATE_INLINE void multiply(const double* a, const double* b, Index count, double* y) {
  using V = Vec<double>;
  for (Index k = 0; k < count; k += V::kLanes) {
    const Index n = lanes(k, count);
    (V::load(a + k, n) * V::load(b + k, n)).store(y + k, n);
  }
}

TIDEGATE_INLINE void scale(double factor, Index count, double* y) {
  for (Index k = 0; k < count; ++k) y[k] *= factor;
}

// y[j] = sum over i of x[i] * m[i, j], i ascending.
TIDEGATE_INLINE void advance(const double* x, const double* m, Index K, double* y) {
  using V = Vec<double>;
  for (Index j = 0; j < K; j += V::kLanes) {
    const Index n = lanes(j, K);
    V sum = V::set(0);
    for (Index i = 0; i < K; ++i) sum = fma(V::set(x[i]), V::load(m + i * K + j, n), sum);
    sum.store(y + j, n);
  }
}

// Leaves p = exp(emission - peak) in `p` and returns the peak.
TIDEGATE_INLINE double emitted(const double* emission, Index K, double* p) {
  const double peak = largest_of(emission, K);
  crf_exp(emission, K, peak, p);
  return peak;
}

// Whether to leave at a token: looks every so many.
TIDEGATE_INLINE bool halted_at(Index n, Index K, bool (*halted)()) {
  return n % (kLook / (K * K) + 1) == 0 && halted();
}

inline void crf_forward(const CrfForward& c, Index first, Index last, double* scratch) {
  const Index K = c.crf.K;
  double* const reached = scratch;  // [K]
  for (Index b = first; b < last; ++b) {
    const Index begin = c.crf.offsets[b], end = c.crf.offsets[b + 1];
    for (Index n = begin; n < end; ++n) {
      if (halted_at(n, K, c.crf.halted)) return;
      double* const alpha = c.alpha + n * K;
      c.peak[n] = emitted(c.crf.emissions + n * K, K, alpha);
      if (n > begin) advance(alpha - K, c.crf.moves, K, reached);
      multiply(alpha, n > begin ? reached : c.crf.start, K, alpha);
      c.sum[n] = sum_of(alpha, K);
      scale(1 / c.sum[n], K, alpha);
    }
    if (begin == end) continue;
    multiply(c.alpha + (end - 1) * K, c.crf.end, K, reached);
    c.last[b] = sum_of(reached, K);
  }
}

// expected[i, j] += a[i] * b[j] * weight
TIDEGATE_INLINE void add_outer(const double* a, const double* b, double weight, Index K, double* expected) {
  using V = Vec<double>;
  for (Index i = 0; i < K; ++i) {
    const V factor = V::set(a[i] * weight);
    double* const row = expected + i * K;
    for (Index j = 0; j < K; j += V::kLanes) {
      const Index n = lanes(j, K);
      fma(factor, V::load(b + j, n), V::load(row + j, n)).store(row + j, n);
    }
  }
}

TIDEGATE_INLINE void add(const double* x, Index count, double* y) {
  for (Index k = 0; k < count; ++k) y[k] += x[k];
}

inline void crf_backward(const CrfBackward& c, Index first, Index last, double* scratch) {
  const Index K = c.crf.K;
  double* const beta = scratch;        // [K]
  double* const behind = scratch + K;  // [K] what a tag at this token makes of beta
  double* const product = behind + K;  // [K]
  for (Index b = first; b < last; ++b) {
    const Index begin = c.crf.offsets[b], end = c.crf.offsets[b + 1];
    for (Index k = 0; k < K; ++k) beta[k] = c.crf.end[k];
    for (Index n = end - 1; n >= begin; --n) {
      if (halted_at(n, K, c.crf.halted)) return;
      const double* const alpha = c.alpha + n * K;
      double* const marginals = c.marginals + n * K;
      multiply(alpha, beta, K, marginals);
      scale(c.weight[b] / sum_of(marginals, K), K, marginals);
      if (n == end - 1) add(marginals, K, c.ended);
      if (n == begin) {
        add(marginals, K, c.started);
        break;
      }
      emitted(c.crf.emissions + n * K, K, behind);
      multiply(behind, beta, K, behind);
      advance(behind, c.crf.moves_back, K, beta);
      multiply(alpha - K, beta, K, product);
      add_outer(alpha - K, behind, c.weight[b] / sum_of(product, K), K, c.moved);
      scale(1 / sum_of(beta, K), K, beta);
    }
  }
}

constexpr double kNone = -__builtin_inf();

// Puts a candidate among the best `paths` so far, which stand in descending order; of equals the earlier stays ahead.
TIDEGATE_INLINE void keep_best(double score, Index from, Index paths, double* scores, std::int32_t* origins) {
  if (!(score > scores[paths - 1])) return;
  Index at = paths - 1;
  for (; at > 0 && score > scores[at - 1]; --at) {
    scores[at] = scores[at - 1];
    origins[at] = origins[at - 1];
  }
  scores[at] = score;
  origins[at] = static_cast<std::int32_t>(from);
}

// Of all paths that end in a tag [K, P], the best P after one move more, whose score from tag i is move[i * stride]. An
// origin is the tag times P, plus the rank among the paths that end there.
TIDEGATE_INLINE void best_after(const double* ended, const double* move, Index stride, Index K, Index P, double* scores,
                                std::int32_t* origins) {
  for (Index p = 0; p < P; ++p) scores[p] = kNone;
  for (Index i = 0; i < K; ++i) {
    const double step = move[i * stride];
    for (Index p = 0; p < P; ++p) keep_best(ended[i * P + p] + step, i * P + p, P, scores, origins);
  }
}

// The best paths to each tag of each token (Viterbi 1967, with lists).
inline void crf_best(const CrfBest& c, Index first, Index last, double* scores, std::int32_t* origins) {
  const Index K = c.K, P = c.paths;
  for (Index b = first; b < last; ++b) {
    const Index begin = c.offsets[b], T = c.offsets[b + 1] - begin;
    double* const found = c.scores + b * P;
    if (T == 0) {
      for (Index p = 0; p < P; ++p) found[p] = p ? kNone : 0.0;
      continue;
    }
    double *now = scores, *next = scores + K * P;  // [K, P]
    for (Index j = 0; j < K; ++j) {
      for (Index p = 0; p < P; ++p) now[j * P + p] = p ? kNone : c.start[j] + c.emissions[begin * K + j];
    }
    for (Index t = 1; t < T; ++t) {
      if (halted_at(t, K * P, c.halted)) return;
      for (Index j = 0; j < K; ++j) {
        best_after(now, c.transitions + j, K, K, P, next + j * P, origins + (t * K + j) * P);
        for (Index p = 0; p < P; ++p) next[j * P + p] += c.emissions[(begin + t) * K + j];
      }
      double* const swap = now;
      now = next;
      next = swap;
    }
    std::int32_t* const ends = origins;  // the first token has no origins, and leaves their place
    best_after(now, c.end, 1, K, P, found, ends);
    for (Index p = 0; p < P && found[p] != kNone; ++p) {
      Index s = ends[p];
      for (Index t = T - 1; t >= 0; --t) {
        c.tags[p * c.N + begin + t] = static_cast<std::int32_t>(s / P);
        if (t) s = origins[t * K * P + s];
      }
    }
  }
}

}  // namespace
}  // namespace tidegate
